/* SPDX-License-Identifier: MIT */
/* http_loop.c - what http_server.c does, by hand: one thread and one epoll
 * loop, with a state for each connection and a list of those that wait.
 *
 *     http_loop [PORT]
 *
 * The price: a read is where its bytes happen to come, a pause is an entry in
 * a list, and what was a local variable is a field.
 */
#define _GNU_SOURCE /* accept4(2) */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "listen.h"

struct conn {
	int fd;
	size_t have;
	char in[4096];
	long due;          /* microseconds; its answer is sent then */
	struct conn *next; /* all wait equally long: a queue will do */
};

static struct conn *first, **last = &first;
static long requests;
static int ep;

static long
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
drop(struct conn *c)
{
	close(c->fd);
	free(c);
}

/* False: the connection is gone.  An answer is short, and one at a time: it
 * fits into the socket's buffer, or else we would need a state more. */
static int
answer(struct conn *c)
{
	char text[160], body[40], *end = strstr(c->in, "\r\n\r\n");

	snprintf(body, sizeof body, "request %ld\n", ++requests);
	snprintf(text, sizeof text,
		 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	c->have -= (size_t)(end + 4 - c->in);
	memmove(c->in, end + 4, c->have + 1);
	if (write(c->fd, text, strlen(text)) == (ssize_t)strlen(text))
		return 1;
	drop(c);
	return 0;
}

/* Answer what can be answered; put the rest off. */
static void
advance(struct conn *c)
{
	while (strstr(c->in, "\r\n\r\n") != NULL) {
		if (strncmp(c->in, "GET /slow ", 10) == 0) {
			c->due = now() + 10000;
			c->next = NULL;
			*last = c;
			last = &c->next;
			return;
		}
		if (!answer(c))
			return;
	}
}

static void
readable(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->have, sizeof c->in - 1 - c->have);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		/* Nobody speaks and leaves while it waits, or it would have to
		 * be found in the queue here. */
		drop(c);
		return;
	}
	c->have += (size_t)n;
	c->in[c->have] = '\0';
	advance(c);
}

static void
accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct conn *c = calloc(1, sizeof *c);
		struct epoll_event ev = { .events = EPOLLIN };

		ev.data.ptr = c;
		if (c == NULL || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0) {
			free(c);
			close(fd);
			continue;
		}
		c->fd = fd;
	}
}

int
main(int argc, char **argv)
{
	int listener = listen_on(argc > 1 ? argv[1] : "0");
	struct epoll_event ev = { .events = EPOLLIN }, got[256];

	fcntl(listener, F_SETFL, O_NONBLOCK);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) != 0)
		fail("epoll");
	while (!stopping) {
		long left = first ? first->due - now() : -1;
		int n = epoll_wait(ep, got, 256,
				   first == NULL ? -1 :
				   left <= 0     ? 0 :
						   (int)(left / 1000) + 1);

		for (int i = 0; i < n; i++) {
			if (got[i].data.ptr != NULL)
				readable(got[i].data.ptr);
			else if (!stopping)
				accept_all(listener);
		}
		while (first != NULL && first->due <= now()) {
			struct conn *c = first;

			first = c->next;
			if (first == NULL)
				last = &first;
			if (answer(c))
				advance(c);
		}
	}
	return 0;
}
