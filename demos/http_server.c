/* SPDX-License-Identifier: MIT */
/* http_server.c - an ordinary web server: a thread for each connection.  It
 * has never heard of cohook.
 *
 *     http_server [-1] [PORT]
 *
 * -1     no threads: one connection after the other
 * PORT   on 127.0.0.1; 0, the default, takes a free one
 *
 * It answers with how many requests there have been: /slow after 10 ms, as if
 * it had asked a database; /work after 10 ms of computing; others at once.
 * Prints "port N" once it listens.  SIGTERM ends it, with status 0.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "compute.h"
#include "http.h"
#include "listen.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long requests;

static int
answer(int fd, const char *request)
{
	char body[40];
	long count;

	if (strncmp(request, "GET /slow ", 10) == 0)
		usleep(10000);
	else if (strncmp(request, "GET /work ", 10) == 0)
		compute(0.010);
	pthread_mutex_lock(&lock);
	count = ++requests;
	pthread_mutex_unlock(&lock);
	snprintf(body, sizeof body, "request %ld\n", count);
	return http_answer(fd, body);
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg, ok = 1;
	const char *request;
	struct http http;

	http_begin(&http);
	while (ok && http_read(&http, fd) > 0)
		while (ok && (request = http_next(&http)) != NULL)
			ok = answer(fd, request);
	close(fd);
	return NULL;
}

int
main(int argc, char **argv)
{
	int alone = argc > 1 && strcmp(argv[1], "-1") == 0, fd;
	int listener = listen_on(argc > 1 + alone ? argv[1 + alone] : "0");
	pthread_t t;

	while ((fd = accept_one(listener)) >= 0) {
		if (alone)
			serve((void *)(intptr_t)fd);
		else if (pthread_create(&t, NULL, serve, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(t);
	}
	return 0;
}
