/* SPDX-License-Identifier: MIT */
/* poll.c - poll and select: what Linux says with a timeout of 0 is the
 * answer; between two such questions we wait on all the descriptors at once.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "hook/wait.h"

enum { FEW = 16 };

/* Waiting on many: a node for each descriptor and direction. */
struct many {
	struct co_parker *p;
	struct co_fd_wait few[FEW * 2], *nodes;
	size_t n;
};

static int
many_init(struct many *m, size_t fds)
{
	m->n = 0;
	m->nodes = m->few;
	if (fds > FEW) {
		m->nodes = malloc(fds * 2 * sizeof(*m->nodes));
		if (m->nodes == NULL)
			return -1;
	}
	return 0;
}

static void
many_free(struct many *m)
{
	if (m->nodes != m->few)
		free(m->nodes);
}

/* 0, or -1 where epoll cannot help. */
static int
many_add(struct many *m, int fd, bool in, bool out)
{
	struct co_fd *s = co_fd(fd);
	int dir, err;

	if (s == NULL)
		return -1;
	for (dir = 0; dir < CO_DIRS; dir++) {
		if (!(dir == CO_IN ? in : out))
			continue;
		err = co_fd_enter_any(&m->nodes[m->n], fd, s, dir, m->p);
		if (err == 0)
			m->n++;
		else if (err != -EPERM) /* files are ready, or never will be */
			return -1;
	}
	return 0;
}

static void
many_leave(struct many *m)
{
	while (m->n > 0)
		co_fd_leave(&m->nodes[--m->n]);
}

static int64_t
deadline_of(const struct timespec *ts)
{
	if (ts == NULL)
		return CO_FOREVER;
	if (ts->tv_sec > INT64_MAX / 1000000000 - 1)
		return CO_FOREVER;
	return co_deadline_after(ts->tv_sec * INT64_C(1000000000) +
				 ts->tv_nsec);
}

static int
left_ms(int64_t deadline)
{
	int64_t ms;

	if (deadline == CO_FOREVER)
		return -1;
	ms = (deadline - co_now() + 999999) / 1000000;
	return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static int
wait_poll(struct co *self, struct pollfd *fds, nfds_t n, int64_t deadline,
	  const char *why, unsigned handled)
{
	int saved = errno, r;
	struct many m;
	enum co_why w;
	nfds_t i;
	int err;

	if (many_init(&m, n) != 0)
		return -1; /* ENOMEM */
	for (;;) {
		co_cancel_point(self);
		m.p = co_parker();
		co_arm(m.p);
		err = 0;
		for (i = 0; i < n && err == 0; i++)
			if (fds[i].fd >= 0)
				err = many_add(
					&m, fds[i].fd, true,
					fds[i].events & (POLLOUT | POLLWRNORM |
							 POLLWRBAND));
		if (err != 0) {
			co_disarm(m.p);
			many_leave(&m);
			co_region_begin(why, true);
			r = real.poll(fds, n, left_ms(deadline));
			co_region_end();
			break;
		}
		/* Armed first and asked after: nothing falls in between. */
		r = real.poll(fds, n, 0);
		if (r == 0 && self->handled != handled) {
			errno = EINTR;
			r = -1;
		}
		if (r != 0) {
			co_disarm(m.p);
			many_leave(&m);
			break;
		}
		w = co_park(m.p, deadline, why,
			    n == 1 ? (uintptr_t)fds[0].fd : 0, true);
		many_leave(&m);
		co_sig_handle();
		if (w != CO_TIMEOUT && self->handled == handled)
			continue;
		r = real.poll(fds, n, 0);
		if (r == 0 && self->handled != handled) {
			errno = EINTR;
			r = -1;
		}
		break;
	}
	many_free(&m);
	if (r >= 0)
		errno = saved;
	return r;
}

COHOOK_EXPORT int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct co *self = co_here();
	unsigned handled;
	int r;

	if (likely(self == NULL) || timeout == 0)
		return real.poll(fds, n, timeout);
	handled = self->handled;
	r = real.poll(fds, n, 0);
	if (r != 0)
		return r;
	return wait_poll(self, fds, n,
			 timeout < 0 ? CO_FOREVER
				     : co_deadline_after(timeout *
							 INT64_C(1000000)),
			 "poll", handled);
}
COHOOK_ALIAS(__poll, poll);

COHOOK_EXPORT int
__poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof(*fds) < n)
		return real.__poll_chk(fds, n, timeout, size);
	return poll(fds, n, timeout);
}

COHOOK_EXPORT int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
      const sigset_t *mask)
{
	struct co *self = co_here();
	struct timespec ts = { 1, 0 };
	unsigned handled;
	sigset_t old, new;
	int64_t deadline;
	int r, err;

	if (likely(self == NULL) ||
	    (timeout != NULL && !co_get(&ts, timeout, sizeof(ts))) ||
	    (mask != NULL && !co_get(&new, mask, sizeof(uint64_t))) ||
	    !co_ts_valid(&ts) || ts.tv_sec < 0 ||
	    (ts.tv_sec == 0 && ts.tv_nsec == 0))
		return real.ppoll(fds, n, timeout, mask);
	handled = self->handled;
	deadline = deadline_of(timeout != NULL ? &ts : NULL);
	if (mask != NULL)
		co_sigmask(SIG_SETMASK, &new, &old);
	r = real.poll(fds, n, 0);
	if (r == 0)
		r = wait_poll(self, fds, n, deadline, "ppoll", handled);
	if (mask != NULL) {
		err = errno;
		co_sigmask(SIG_SETMASK, &old, NULL);
		errno = err;
	}
	return r;
}

COHOOK_EXPORT int
__ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
	    const sigset_t *mask, size_t size)
{
	if (size / sizeof(*fds) < n)
		return real.__ppoll_chk(fds, n, timeout, mask, size);
	return ppoll(fds, n, timeout, mask);
}

/* Sets may be longer than FD_SETSIZE: the kernel reads n bits of them. */
struct sets {
	fd_set *set[3];
	unsigned long few[3][FD_SETSIZE / 64], *copy[3];
	size_t bytes;
};

static int
ask(struct sets *s, int n, bool keep)
{
	struct timeval zero = { 0, 0 };
	int i, r;

	for (i = 0; i < 3; i++)
		if (s->set[i] != NULL &&
		    !co_get(s->copy[i], s->set[i], s->bytes)) {
			errno = EFAULT;
			return -1;
		}
	r = real.select(n, s->set[0] ? (fd_set *)s->copy[0] : NULL,
			s->set[1] ? (fd_set *)s->copy[1] : NULL,
			s->set[2] ? (fd_set *)s->copy[2] : NULL, &zero);
	if (r > 0 || (r == 0 && keep))
		for (i = 0; i < 3; i++)
			if (s->set[i] != NULL)
				memcpy(s->set[i], s->copy[i], s->bytes);
	return r;
}

static bool
has(const struct sets *s, int which, int fd)
{
	return s->set[which] != NULL &&
	       ((const unsigned long *)s->set[which])[fd / 64] >> (fd % 64) & 1;
}

static int
wait_select(struct co *self, struct sets *s, int n, int64_t deadline)
{
	unsigned handled = self->handled;
	struct timeval tv, *tvp = NULL;
	struct many m;
	enum co_why w;
	int fd, fds = 0, r, err;

	/* Also sees that the sets can be read. */
	r = ask(s, n, false);
	if (r != 0)
		return r;
	for (fd = 0; fd < n; fd++)
		fds += has(s, 0, fd) || has(s, 1, fd) || has(s, 2, fd);
	if (many_init(&m, (size_t)fds) != 0)
		return -1;
	for (;;) {
		co_cancel_point(self);
		m.p = co_parker();
		co_arm(m.p);
		for (fd = err = 0; fd < n && err == 0; fd++)
			if (has(s, 0, fd) || has(s, 1, fd) || has(s, 2, fd))
				err = many_add(&m, fd, true, has(s, 1, fd));
		if (err != 0) {
			co_disarm(m.p);
			many_leave(&m);
			if (deadline != CO_FOREVER) {
				tv.tv_sec = left_ms(deadline) / 1000;
				tv.tv_usec = left_ms(deadline) % 1000 * 1000;
				tvp = &tv;
			}
			co_region_begin("select", true);
			r = real.select(n, s->set[0], s->set[1], s->set[2],
					tvp);
			co_region_end();
			break;
		}
		r = ask(s, n, false);
		if (r == 0 && self->handled != handled) {
			errno = EINTR;
			r = -1;
		}
		if (r != 0) {
			co_disarm(m.p);
			many_leave(&m);
			break;
		}
		w = co_park(m.p, deadline, "select", 0, true);
		many_leave(&m);
		co_sig_handle();
		if (self->handled != handled) {
			r = ask(s, n, false);
			if (r == 0) {
				errno = EINTR;
				r = -1;
			}
			break;
		}
		if (w == CO_TIMEOUT) {
			r = ask(s, n, true);
			break;
		}
	}
	many_free(&m);
	return r;
}

COHOOK_EXPORT int
select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	struct co *self = co_here();
	struct sets s = { .set = { r, w, e } };
	struct timeval tv = { 1, 0 };
	int64_t deadline = CO_FOREVER, ns, left;
	int saved = errno, i, ret;
	char *big = NULL;

	if (likely(self == NULL) || n < 0 ||
	    (timeout != NULL && !co_get(&tv, timeout, sizeof(tv))) ||
	    tv.tv_sec < 0 || tv.tv_usec < 0 ||
	    (tv.tv_sec == 0 && tv.tv_usec == 0))
		return real.select(n, r, w, e, timeout);
	s.bytes = ((size_t)n + 63) / 64 * 8;
	for (i = 0; i < 3; i++)
		s.copy[i] = s.few[i];
	if (s.bytes > sizeof(s.few[0])) {
		big = malloc(3 * s.bytes);
		if (big == NULL)
			return -1;
		for (i = 0; i < 3; i++)
			s.copy[i] = (unsigned long *)(big + i * s.bytes);
	}
	if (timeout != NULL && tv.tv_sec < INT64_MAX / 1000000000 - 1) {
		ns = tv.tv_sec * INT64_C(1000000000);
		ns = tv.tv_usec > (INT64_MAX - ns) / 1000
			     ? INT64_MAX
			     : ns + tv.tv_usec * 1000;
		deadline = co_deadline_after(ns);
	}
	ret = wait_select(self, &s, n, deadline);
	free(big);
	/* Linux writes back what was left, select(2). */
	if (timeout != NULL && deadline != CO_FOREVER && ret >= -1) {
		left = deadline - co_now();
		left = left < 0 || ret == 0 ? 0 : left;
		timeout->tv_sec = left / 1000000000;
		timeout->tv_usec = left % 1000000000 / 1000;
	}
	if (ret >= 0)
		errno = saved;
	return ret;
}
COHOOK_ALIAS(__select, select);
