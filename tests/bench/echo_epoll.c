/* SPDX-License-Identifier: MIT */
/* echo_epoll.c - an echo server as one would write it by hand: one loop over
 * epoll, level-triggered, a read and a write for each request.
 *
 *     echo_epoll [BYTES]        of a connection's buffer; 4096
 */
#include <sys/epoll.h>

#include "echo.h"

#define EVENTS 256

struct conn {
	int fd;
	size_t begin, end; /* of what in buf has not been sent */
	char buf[];
};

static int ep, listener;
static size_t size;

static void
hang_up(struct conn *c)
{
	close(c->fd);
	free(c);
}

static void
watch(struct conn *c, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) != 0)
		bench_fail("epoll_ctl");
}

static void
take_connections(void)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct epoll_event ev = { .events = EPOLLIN };
		struct conn *c;

		if (fd < 0) {
			if (errno == EAGAIN)
				return;
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			bench_fail("accept");
		}
		c = malloc(sizeof *c + size);
		if (!c)
			bench_fail("malloc");
		c->fd = fd;
		c->begin = c->end = 0;
		ev.data.ptr = c;
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0)
			bench_fail("epoll_ctl");
	}
}

/* While something is left to send, nothing is read. */
static void
serve(struct conn *c)
{
	int waited = c->begin < c->end;
	ssize_t n;

	if (!waited) {
		n = read(c->fd, c->buf, size);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			hang_up(c);
			return;
		}
		c->begin = 0;
		c->end = (size_t)n;
	}
	while (c->begin < c->end) {
		n = write(c->fd, c->buf + c->begin, c->end - c->begin);
		if (n < 0) {
			if (errno != EAGAIN)
				hang_up(c);
			else if (!waited)
				watch(c, EPOLLOUT);
			return;
		}
		c->begin += (size_t)n;
	}
	if (waited)
		watch(c, EPOLLIN);
}

int
main(int argc, char **argv)
{
	struct epoll_event ev[EVENTS];

	size = argc > 1 ? (size_t)bench_number(argv[1]) : 4096;
	listener = echo_listen(SOCK_NONBLOCK);
	ep = epoll_create1(EPOLL_CLOEXEC);
	ev[0] = (struct epoll_event){ .events = EPOLLIN };
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev[0]) != 0)
		bench_fail("epoll");
	for (;;) {
		int n = epoll_wait(ep, ev, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			bench_fail("epoll_wait");
		for (int i = 0; i < n; i++)
			if (ev[i].data.ptr)
				serve(ev[i].data.ptr);
			else
				take_connections();
	}
}
