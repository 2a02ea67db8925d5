/* SPDX-License-Identifier: MIT */
/* echo_server.c - an ordinary program: a thread for each connection, which
 * sends back whatever it reads.  It has never heard of cohook.
 *
 *     echo_server [PORT]       on 127.0.0.1; 0, the default, takes a free one
 *
 * Prints "port N" once it listens.  SIGTERM ends it, with status 0.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener;
static volatile sig_atomic_t stopping;

/* Whichever thread the signal hits, shutting the listener down is what wakes
 * the one that waits in accept(). */
static void
stop(int sig)
{
	int e = errno;

	(void)sig;
	stopping = 1;
	shutdown(listener, SHUT_RDWR);
	errno = e;
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0) {
		ssize_t sent = 0, m;

		while (sent < n) {
			m = write(fd, buf + sent, (size_t)(n - sent));
			if (m < 0)
				goto out;
			sent += m;
		}
	}
out:
	close(fd);
	return NULL;
}

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
listen_on(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)atoi(port));
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		fail("socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&a, len) != 0)
		fail("bind");
	if (listen(listener, SOMAXCONN) != 0)
		fail("listen");
	if (getsockname(listener, (struct sockaddr *)&a, &len) != 0)
		fail("getsockname");
	printf("port %d\n", ntohs(a.sin_port));
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = stop, .sa_flags = SA_RESTART };
	pthread_attr_t detached;

	signal(SIGPIPE, SIG_IGN);
	listen_on(argc > 1 ? argv[1] : "0");
	sigaction(SIGTERM, &sa, NULL);
	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);

	while (!stopping) {
		int fd = accept(listener, NULL, NULL), e;
		pthread_t t;

		if (fd < 0) {
			if (stopping)
				break;
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			fail("accept");
		}
		e = pthread_create(&t, &detached, serve, (void *)(intptr_t)fd);
		if (e) {
			fprintf(stderr, "pthread_create: %s\n", strerror(e));
			close(fd);
		}
	}
	pthread_attr_destroy(&detached);
	close(listener);
	return 0;
}
