/* SPDX-License-Identifier: MIT */
/* several.h - waiting for several descriptors at once: what poll and select
 * share. */
#ifndef COHOOK_SEVERAL_H
#define COHOOK_SEVERAL_H

#include <limits.h>
#include <stdlib.h>

#include "hook/wait.h"

enum { CO_SEVERAL_FEW = 16 };

/* A node for each descriptor and direction. */
struct co_several {
	struct co_parker *p;
	struct co_fd_wait few[CO_SEVERAL_FEW * 2], *nodes;
	size_t n;
	uint32_t sigseq;   /* the caller's when it last asked, co_sig_watch() */
};

static inline int
co_several_init(struct co_several *m, size_t fds)
{
	m->n = 0;
	m->nodes = m->few;
	if (fds > CO_SEVERAL_FEW) {
		m->nodes = malloc(fds * 2 * sizeof(*m->nodes));
		if (m->nodes == NULL)
			return -1;
	}
	return 0;
}

static inline void
co_several_free(struct co_several *m)
{
	if (m->nodes != m->few)
		free(m->nodes);
}

/* co_several_arm - from here to co_several_park() or co_several_off(), no
 * handler of the program runs: one that ran unseen would not wake us, and one
 * that leaves by longjmp(3) would leave our nodes in the queues.  For the same
 * reason nothing in between may be a cancellation point. */
static inline void
co_several_arm(struct co_several *m)
{
	co_critical_begin();
	m->p = co_parker();
	co_arm(m->p);
}

/* What had happened on a descriptor before the kernel was asked of it: then it
 * need not be asked again when all is armed. */
struct co_seen {
	struct co_fd *slot;
	uint32_t gen, seq[CO_DIRS];
};

static inline void
co_several_see(struct co_seen *seen, int fd)
{
	int dir;

	seen->slot = co_fd(fd);
	if (seen->slot == NULL)
		return;
	seen->gen = seen->slot->gen;
	for (dir = 0; dir < CO_DIRS; dir++)
		seen->seq[dir] = seen->slot->seq[dir];
}

/* 0, or -1 where epoll cannot help; 1: something has come since it was seen.
 * seen  NULL: the caller asks once more */
static inline int
co_several_add(struct co_several *m, int fd, bool in, bool out,
	       const struct co_seen *seen)
{
	struct co_fd *s = seen != NULL ? seen->slot : co_fd(fd);
	int dir, err;

	if (s == NULL)
		return -1;
	for (dir = 0; dir < CO_DIRS; dir++) {
		if (!(dir == CO_IN ? in : out))
			continue;
		err = co_fd_enter_any(&m->nodes[m->n], fd, s, dir,
				      seen != NULL ? seen->gen : s->gen,
				      seen != NULL ? &seen->seq[dir] : NULL,
				      m->p);
		if (err == 0)
			m->n++;
		else if (seen != NULL && (err == 1 || err == -EBADF))
			return 1;
		else if (err != -EPERM) /* files are ready, or never will be */
			return -1;
	}
	return 0;
}

static inline void
co_several_leave(struct co_several *m)
{
	while (m->n > 0)
		co_fd_leave(&m->nodes[--m->n]);
	co_critical_end();
	co_sig_handle();
}

static inline void
co_several_off(struct co_several *m)
{
	co_disarm(m->p);
	co_several_leave(m);
}

static inline enum co_why
co_several_park(struct co_several *m, int64_t deadline, const char *why,
		uintptr_t what)
{
	struct co *self = m->p->co;
	enum co_why w;

	if (unlikely(co_sigfds) && co_sig_watch(self, m->sigseq))
		co_claim_and_wake(m->p, CO_SIGNAL);
	w = co_park(m->p, deadline, why, what, true);
	co_sig_watch_end(self);
	co_several_leave(m);
	return w;
}

/* A relative timeout that is valid; NULL: none. */
static inline int64_t
co_deadline_of(const struct timespec *ts)
{
	if (ts == NULL || ts->tv_sec > INT64_MAX / 1000000000 - 1)
		return CO_FOREVER;
	return co_deadline_after(ts->tv_sec * INT64_C(1000000000) +
				 ts->tv_nsec);
}

/* For calls that count milliseconds: never early. */
static inline int
co_left_ms(int64_t deadline)
{
	int64_t ms;

	if (deadline == CO_FOREVER)
		return -1;
	ms = (deadline - co_now() + 999999) / 1000000;
	return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

/* A call that does not wait can still be interrupted, by a handler that ran
 * for somebody else on our kernel thread: that is no answer for us. */
static inline int
co_not_ours(struct co *self, unsigned handled, int saved_errno, int r)
{
	if (r >= 0 || errno != EINTR || self->handled != handled)
		return r;
	errno = saved_errno;
	return 0;
}

/* The mask that a call waits with, ppoll(2): from here on signals that it lets
 * in run their handlers.  Those that look first and find something have let
 * nothing in, as in the kernel. */
static inline void
co_mask_begin(const sigset_t *mask, sigset_t *old)
{
	if (mask != NULL)
		co_sigmask(SIG_SETMASK, mask, old);
}

static inline void
co_mask_end(const sigset_t *mask, const sigset_t *old)
{
	int err = errno;

	if (mask != NULL)
		co_sigmask(SIG_SETMASK, old, NULL);
	errno = err;
}

#endif
