/* SPDX-License-Identifier: MIT */
/* listen.h - what the servers here have in common: they listen on 127.0.0.1,
 * say on which port, and accept until it is time to stop. */
#ifndef LISTEN_H
#define LISTEN_H

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stop.h"

static inline void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* A socket that listens on the port, 0 for a free one; -1 and errno. */
static inline int
listen_at(int port, int reuse)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, reuse, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
	close(fd);
	return -1;
}

static inline int
port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;

	if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		fail("getsockname");
	return ntohs(a.sin_port);
}

/* To whoever has started us, that we listen. */
static inline void
say_port(int port)
{
	printf("port %d\n", port);
	fflush(stdout);
}

static inline int
listen_on(const char *port)
{
	int fd = listen_at(atoi(port), SO_REUSEADDR);

	if (fd < 0)
		fail("listen");
	stop_at_sigterm(fd);
	say_port(port_of(fd));
	return fd;
}

/* The next connection; -1 when it is time to stop. */
static inline int
accept_one(int listener)
{
	while (!stopping) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			return fd;
		if (!stopping && errno != EINTR && errno != ECONNABORTED)
			fail("accept");
	}
	return -1;
}

#endif
