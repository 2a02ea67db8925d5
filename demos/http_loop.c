/* SPDX-License-Identifier: MIT */
/* http_loop.c - what http_server.c does, by hand: one thread and one epoll
 * loop, with a state for each connection.
 *
 *     http_loop [PORT]
 *
 * The price: a read is where its bytes happen to come, a pause is an entry in
 * a list, and what was a local variable is a field.
 */
#define _GNU_SOURCE /* accept4(2) */
#include <errno.h>
#include <string.h>

#include "http.h"
#include "listen.h"
#include "loop.h"

struct conn {
	struct source source; /* first: its address is the connection's */
	struct http http;
};

static long requests;

/* It is short, and one at a time: it fits into the socket's buffer, or else we
 * would need a state more.  If not, the next read says that all is over. */
static void
answer(struct conn *c)
{
	char body[40];

	snprintf(body, sizeof body, "request %ld\n", ++requests);
	if (!http_answer(c->source.fd, body))
		shutdown(c->source.fd, SHUT_RDWR);
}

/* Answer what can be answered; put the rest off. */
static void
advance(struct conn *c)
{
	const char *request;

	while (c->source.due == 0 && (request = http_next(&c->http)) != NULL)
		if (strncmp(request, "GET /slow ", 10) == 0)
			loop_pause(&c->source);
		else
			answer(c);
}

static void
paused(struct source *s)
{
	struct conn *c = (struct conn *)s;

	answer(c);
	advance(c);
}

static void
readable(struct source *s)
{
	struct conn *c = (struct conn *)s;
	ssize_t n = http_read(&c->http, s->fd);

	if (n > 0)
		advance(c);
	else if (n == 0 || errno != EAGAIN)
		loop_drop(s);
}

static void
accept_all(struct source *listener)
{
	int fd;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct conn *c = calloc(1, sizeof *c);

		if (c == NULL) {
			close(fd);
			continue;
		}
		c->source.fd = fd;
		c->source.readable = readable;
		c->source.paused = paused;
		if (loop_add(&c->source) != 0)
			loop_drop(&c->source);
	}
}

int
main(int argc, char **argv)
{
	struct source listener = { .readable = accept_all };

	listener.fd = listen_on(argc > 1 ? argv[1] : "0");
	loop_run(&listener);
	return 0;
}
