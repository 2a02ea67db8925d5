/* SPDX-License-Identifier: MIT */
/* http_server_go.c - http_server.c with coroutines of cohook.h in place of
 * threads.
 *
 *     http_server_go [-1] [PORT]
 *
 * -1     no coroutines: one connection after the other
 * PORT   on 127.0.0.1; 0, the default, takes a free one
 *
 * It answers with how many requests there have been: /slow after 10 ms, as if
 * it had asked a database; /work after 10 ms of computing; others at once.
 * Prints "port N" once it listens.  SIGTERM ends it, with status 0.
 */
#include <cohook.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "listen.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long requests;

static void
compute(double seconds)
{
	struct timespec t;
	double until = 0;

	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		if (until == 0)
			until = (double)t.tv_sec + (double)t.tv_nsec / 1e9 +
				seconds;
	} while ((double)t.tv_sec + (double)t.tv_nsec / 1e9 < until);
}

static int
answer(int fd, const char *request)
{
	char text[160], body[40];
	long count;

	if (strncmp(request, "GET /slow ", 10) == 0)
		usleep(10000);
	else if (strncmp(request, "GET /work ", 10) == 0)
		compute(0.010);
	pthread_mutex_lock(&lock);
	count = ++requests;
	pthread_mutex_unlock(&lock);

	snprintf(body, sizeof body, "request %ld\n", count);
	snprintf(text, sizeof text,
		 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static void
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char in[4096], *end;
	size_t have = 0;
	ssize_t n;

	while (have < sizeof in - 1 &&
	       (n = read(fd, in + have, sizeof in - 1 - have)) > 0) {
		have += (size_t)n;
		in[have] = '\0';
		while ((end = strstr(in, "\r\n\r\n")) != NULL) {
			if (!answer(fd, in))
				goto out;
			have -= (size_t)(end + 4 - in);
			memmove(in, end + 4, have + 1);
		}
	}
out:
	close(fd);
}

int
main(int argc, char **argv)
{
	int alone = argc > 1 && strcmp(argv[1], "-1") == 0, fd;
	int listener = listen_on(argc > 1 + alone ? argv[1 + alone] : "0");

	while ((fd = accept_one(listener)) >= 0) {
		if (alone)
			serve((void *)(intptr_t)fd);
		else if (cohook_go(serve, (void *)(intptr_t)fd, 64 * 1024) < 0)
			close(fd);
	}
	return 0;
}
