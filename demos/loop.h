/* SPDX-License-Identifier: MIT */
/* loop.h - an epoll loop by hand: who can be read, and whose pause is over. */
#ifndef LOOP_H
#define LOOP_H

#include <fcntl.h>
#include <sys/epoll.h>

#include "listen.h"
#include "measure.h"

/* Of malloc(), but for the listener: loop_drop() frees it. */
struct source {
	int fd; /* -1: dropped, but still in the list of those that pause */
	void (*readable)(struct source *);
	void (*paused)(struct source *); /* for long enough */
	int64_t due;                     /* the end of its pause; 0: none */
	struct source *next;
};

/* In the order of their ends, since all pauses are of one length. */
static struct source *first, **last = &first;
static int loop_fd;

/* -1 and errno, as epoll_ctl(2). */
static inline int
loop_add(struct source *s)
{
	struct epoll_event ev = { .events = EPOLLIN };

	ev.data.ptr = s;
	return epoll_ctl(loop_fd, EPOLL_CTL_ADD, s->fd, &ev);
}

static inline void
loop_pause(struct source *s)
{
	s->due = now_ns() + 10000000;
	s->next = NULL;
	*last = s;
	last = &s->next;
}

/* Not met again, neither by an event nor at the end of its pause. */
static inline void
loop_drop(struct source *s)
{
	close(s->fd);
	s->fd = -1;
	if (s->due == 0)
		free(s);
}

/* Whose pause is over goes on.  The milliseconds until the next one's is. */
static inline int
end_pauses(void)
{
	struct source *s;

	while ((s = first) != NULL && s->due <= now_ns()) {
		first = s->next;
		if (first == NULL)
			last = &first;
		s->due = 0;
		if (s->fd >= 0)
			s->paused(s);
		else
			free(s);
	}
	return s == NULL ? -1 : (int)((s->due - now_ns()) / 1000000) + 1;
}

/* From this listener on, until it is time to stop. */
static inline void
loop_run(struct source *listener)
{
	struct epoll_event got[256];

	fcntl(listener->fd, F_SETFL, O_NONBLOCK);
	loop_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop_fd < 0 || loop_add(listener) != 0)
		fail("epoll");
	while (!stopping) {
		int n = epoll_wait(loop_fd, got, 256, end_pauses());

		for (int i = 0; i < n && !stopping; i++) {
			struct source *s = got[i].data.ptr;

			s->readable(s);
		}
	}
}

#endif
