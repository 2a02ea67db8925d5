/* SPDX-License-Identifier: MIT */
/* sigep.c - sets of epoll(7) with signalfds in them, for who has signals queued.
 *
 * The kernel takes from its list of what is ready in a set whatever is not so
 * for the thread that looks, and our poller looks often: to lend it the signals
 * would be a race.  So a set is asked for its members (proc(5), fdinfo), and
 * what the kernel does not know is added to its answer.  An edge-triggered
 * signalfd is reported as long as it is ready.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "ctx/sys.h"
#include "hook/sigfd.h"

enum { DEPTH = 5 }; /* of sets in sets, which the kernel allows */

/* What a read of /proc gives, line by line. */
struct lines {
	int fd;
	size_t at, end;
	char buf[1024];
};

static const char *
next_line(struct lines *l)
{
	char *start, *nl;
	long n;

	for (;;) {
		start = l->buf + l->at;
		nl = memchr(start, '\n', l->end - l->at);
		if (nl != NULL) {
			*nl = '\0';
			l->at = (size_t)(nl + 1 - l->buf);
			return start;
		}
		memmove(l->buf, start, l->end - l->at);
		l->end -= l->at;
		l->at = 0;
		if (l->end == sizeof(l->buf))
			return NULL;
		n = sys3(SYS_read, l->fd, l->buf + l->end,
			 sizeof(l->buf) - l->end);
		if (n <= 0)
			return NULL;
		l->end += (size_t)n;
	}
}

/* A member of a set: "tfd: 5 events: 19 data: 5 ..." */
static bool
is_member(const char *line, int *fd, struct epoll_event *ev)
{
	unsigned long long data;
	unsigned events;

	if (sscanf(line, "tfd: %d events: %x data: %llx", fd, &events, &data) !=
	    3)
		return false;
	ev->events = events;
	ev->data.u64 = data;
	return true;
}

static bool set_is_ready(int epfd, int depth);

/* What is queued for the caller is lent. */
static bool
is_ready(int fd, int depth)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct co_fd *slot = co_fd(fd);

	if (slot == NULL)
		return false;
	switch (co_fd_kind_of(fd, slot)) {
	case CO_FD_SIGNAL:
		return sys3(SYS_poll, &p, 1, 0) == 1;
	case CO_FD_EPOLL:
		return set_is_ready(fd, depth + 1);
	default:
		return false;
	}
}

/* f() for each member that waits for input, and is ready, until one says so. */
static bool
each_ready(int epfd, int depth,
	   bool (*f)(int epfd, int fd, const struct epoll_event *ev, void *arg),
	   void *arg)
{
	struct lines l = { .at = 0, .end = 0 };
	struct epoll_event ev;
	const char *line;
	char path[40];
	bool found = false;
	int fd;

	if (depth >= DEPTH)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", epfd);
	l.fd = (int)sys3(SYS_open, path, O_RDONLY | O_CLOEXEC, 0);
	if (l.fd < 0)
		return false;
	while (!found && (line = next_line(&l)) != NULL)
		found = is_member(line, &fd, &ev) && ev.events & EPOLLIN &&
			is_ready(fd, depth) && f(epfd, fd, &ev, arg);
	sys1(SYS_close, l.fd);
	return found;
}

static bool
any(int epfd, int fd, const struct epoll_event *ev, void *arg)
{
	(void)epfd;
	(void)fd;
	(void)ev;
	(void)arg;
	return true;
}

static bool
set_is_ready(int epfd, int depth)
{
	return each_ready(epfd, depth, any, NULL);
}

bool
co_sigep_ready(struct co *self, int fd)
{
	struct co_fd *slot = co_fd(fd);
	struct co_lent l;
	bool yes;

	if (slot == NULL || co_fd_kind_of(fd, slot) != CO_FD_EPOLL)
		return false;
	co_lend(self, &l);
	yes = set_is_ready(fd, 0);
	co_lend_end(self, &l, NULL);
	return yes;
}

struct answer {
	struct epoll_event *ev;
	int n, max;
};

static bool
add(int epfd, int fd, const struct epoll_event *ev, void *arg)
{
	struct answer *a = arg;
	struct epoll_event off = *ev;
	int i;

	for (i = 0; i < a->n; i++)
		if (a->ev[i].data.u64 == ev->data.u64 &&
		    a->ev[i].events & EPOLLIN)
			return false;
	a->ev[a->n].events = EPOLLIN;
	a->ev[a->n].data = ev->data;
	a->n++;
	if (ev->events & EPOLLONESHOT) {
		/* Disarmed, as the kernel leaves it. */
		off.events &= EPOLLONESHOT | EPOLLET | EPOLLWAKEUP;
		sys4(SYS_epoll_ctl, epfd, EPOLL_CTL_MOD, fd, &off);
	}
	return a->n == a->max;
}

int
co_sigep_add(struct co *self, int epfd, struct epoll_event *ev, int n, int max)
{
	struct epoll_event more[16], *to = more;
	struct answer a = { more, 0, max - n };
	struct co_lent l;
	int i, k = n;

	if (a.max > 16)
		a.max = 16;
	co_lend(self, &l);
	each_ready(epfd, 0, add, &a);
	co_lend_end(self, &l, NULL);
	for (i = 0; i < a.n; i++, to++) {
		int j;

		/* The kernel has it as well: for the process. */
		for (j = 0; j < n; j++)
			if (ev[j].data.u64 == to->data.u64 &&
			    ev[j].events & EPOLLIN)
				break;
		if (j == n && co_put(&ev[k], to, sizeof(*to)))
			k++;
	}
	return k;
}
