/* SPDX-License-Identifier: MIT */
/* echo_server.c - an ordinary program: a thread for each connection, which
 * sends back whatever it reads.  It has never heard of cohook.
 *
 *     echo_server [PORT]       on 127.0.0.1; 0, the default, takes a free one
 *
 * Prints "port N" once it listens.  SIGTERM ends it, with status 0.
 */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "listen.h"

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

int
main(int argc, char **argv)
{
	int listener = listen_on(argc > 1 ? argv[1] : "0"), fd, e;
	pthread_attr_t detached;
	pthread_t t;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	while ((fd = accept_one(listener)) >= 0) {
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
