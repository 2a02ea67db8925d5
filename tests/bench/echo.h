/* SPDX-License-Identifier: MIT */
/* echo.h - how the echo servers listen.  They end when they are killed. */
#ifndef BENCH_ECHO_H
#define BENCH_ECHO_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>

#include "bench.h"

/* A listener on a free port of 127.0.0.1; says on stdout which, and who it is
 * that listens.  flags: SOCK_NONBLOCK, or 0.  Connections inherit TCP_NODELAY,
 * so that large answers do not wait for acknowledgements. */
static inline int
echo_listen(int flags)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	int on = 1;

	signal(SIGPIPE, SIG_IGN);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
	    bind(fd, (struct sockaddr *)&a, len) != 0 ||
	    listen(fd, SOMAXCONN) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0)
		bench_fail("listening");
	printf("port=%d pid=%d\n", ntohs(a.sin_port), (int)getpid());
	fflush(stdout);
	return fd;
}

#endif
