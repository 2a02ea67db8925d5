/* SPDX-License-Identifier: MIT */
/* select.c - select and pselect: as poll.c has it, over sets of bits. */
#include <stdlib.h>
#include <sys/time.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/several.h"
#include "hook/sigfd.h"

/* Sets may be longer than FD_SETSIZE: the kernel reads n bits of them. */
struct sets {
	fd_set *set[3];
	unsigned long few[3][FD_SETSIZE / 64], *copy[3];
	char *big;
	size_t bytes;
	int n;
};

/* 0; 1: the kernel is to say what it thinks of it; -1: no memory. */
static int
sets_init(struct sets *s, int n, fd_set *r, fd_set *w, fd_set *e)
{
	int i;

	if (n < 0)
		return 1;
	s->set[0] = r;
	s->set[1] = w;
	s->set[2] = e;
	s->n = n;
	s->big = NULL;
	s->bytes = ((size_t)n + 63) / 64 * 8;
	for (i = 0; i < 3; i++)
		s->copy[i] = s->few[i];
	if (s->bytes > sizeof(s->few[0])) {
		s->big = malloc(3 * s->bytes);
		if (s->big == NULL)
			return -1;
		for (i = 0; i < 3; i++)
			s->copy[i] =
				(unsigned long *)(s->big + i * s->bytes);
	}
	return 0;
}

static int
from_program(struct sets *s)
{
	int i;

	for (i = 0; i < 3; i++)
		if (s->set[i] != NULL &&
		    !co_get(s->copy[i], s->set[i], s->bytes)) {
			errno = EFAULT;
			return -1;
		}
	return 0;
}

static int
to_program(struct sets *s)
{
	int i;

	for (i = 0; i < 3; i++)
		if (s->set[i] != NULL &&
		    !co_put(s->set[i], s->copy[i], s->bytes)) {
			errno = EFAULT;
			return -1;
		}
	return 0;
}

/* What the kernel cannot know. */
static int
add_sets(struct co *self, struct sets *s, int r)
{
	const unsigned long *asked = (const unsigned long *)s->set[0];
	unsigned long bits;
	int fd;

	for (fd = 0; asked != NULL && fd < s->n; fd++) {
		if (!co_get(&bits, asked + fd / 64, sizeof(bits)))
			break;
		if (!(bits >> (fd % 64) & 1) ||
		    s->copy[0][fd / 64] >> (fd % 64) & 1 ||
		    !co_sigep_ready(self, fd))
			continue;
		s->copy[0][fd / 64] |= 1UL << (fd % 64);
		r++;
	}
	return r;
}

/* What is ready now, in the copies.  No cancellation point. */
static int
ask(struct co *self, struct sets *s)
{
	struct timespec zero = { 0, 0 };
	struct co_lent l;
	int tries = 0;
	bool lent;
	long r;

again:
	if (from_program(s) != 0)
		return -1;
	lent = co_sigfd_lend(self, &l);
	r = sys6(SYS_pselect6, s->n, s->set[0] ? s->copy[0] : NULL,
		 s->set[1] ? s->copy[1] : NULL, s->set[2] ? s->copy[2] : NULL,
		 &zero, NULL);
	if (unlikely(lent)) {
		co_lend_end(self, &l, NULL);
		if (r >= 0 && self->npending > 0)
			r = add_sets(self, s, (int)r);
	}
	if (unlikely(r > 0) && co_sigfd_nudged(self, &tries))
		goto again;
	if (r >= 0 || r == -EINTR)
		return r >= 0 ? (int)r : 0;
	errno = (int)-r;
	return -1;
}

static bool
has(const struct sets *s, int which, int fd)
{
	return s->set[which] != NULL &&
	       ((const unsigned long *)s->set[which])[fd / 64] >> (fd % 64) & 1;
}

/* The kernel thread waits; 1: it is worth to ask again. */
static int
wait_in_copies(struct co *self, struct sets *s, uint32_t sigseq,
	       const struct timespec *timeout)
{
	fd_set *copy[3];
	int i, r;

	if (from_program(s) != 0)
		return -1;
	for (i = 0; i < 3; i++)
		copy[i] = s->set[i] != NULL ? (fd_set *)s->copy[i] : NULL;
	r = co_sig_watch(self, sigseq) ? 1
				       : real.pselect(s->n, copy[0], copy[1],
						      copy[2], timeout, NULL);
	co_sig_watch_end(self);
	return r;
}

static int
in_region(struct co *self, struct sets *s, int64_t deadline, unsigned handled,
	  const char *why)
{
	struct timespec ts;
	uint32_t sigseq;
	int64_t left;
	int r;

	for (;;) {
		sigseq = self->sigseq;
		/* What is there by now, for signalfds; in the copies, so that
		 * the program's sets still say what is asked for. */
		if (unlikely(co_sigfds)) {
			r = ask(self, s);
			if (r > 0 && to_program(s) != 0)
				r = -1;
			if (r != 0)
				return r;
		}
		left = deadline - co_now();
		left = left > 0 ? left : 0;
		ts.tv_sec = left / 1000000000;
		ts.tv_nsec = left % 1000000000;
		co_region_begin(why, true);
		if (likely(!co_sigfds))
			r = real.pselect(s->n, s->set[0], s->set[1], s->set[2],
					 deadline == CO_FOREVER ? NULL : &ts,
					 NULL);
		else
			r = wait_in_copies(self, s, sigseq,
					   deadline == CO_FOREVER ? NULL :
								    &ts);
		co_region_end();
		if (r < 0 && errno == EINTR && self->handled == handled)
			continue;
		/* One of them may have seemed ready by a nudge of ours. */
		if (r < 0 || likely(!co_sigfds))
			return r;
		if (r == 0)
			return to_program(s) == 0 ? 0 : -1;
	}
}

/* Those that asked have found nothing. */
static int
wait_select(struct co *self, struct sets *s, int64_t deadline,
	    unsigned handled, const char *why)
{
	struct co_several m;
	enum co_why w = CO_NONE;
	int fd, fds = 0, r, err;

	for (fd = 0; fd < s->n; fd++)
		fds += has(s, 0, fd) || has(s, 1, fd) || has(s, 2, fd);
	if (co_several_init(&m, (size_t)fds) != 0)
		return -1;
	for (;;) {
		co_cancel_point(self);
		co_several_arm(&m);
		for (fd = err = 0; fd < s->n && err == 0; fd++)
			if (has(s, 0, fd) || has(s, 1, fd) || has(s, 2, fd))
				err = co_several_add(&m, fd, true,
						     has(s, 1, fd), NULL);
		/* Armed first and asked after: nothing falls in between. */
		m.sigseq = self->sigseq;
		r = err == 0 ? ask(self, s) : 0;
		if (self->handled != handled) {
			errno = EINTR;
			r = -1;
		}
		if (r != 0 || err != 0 || w == CO_TIMEOUT) {
			co_several_off(&m);
			if (r == 0 && err != 0)
				r = in_region(self, s, deadline, handled, why);
			else if (r >= 0 && to_program(s) != 0)
				r = -1;
			break;
		}
		w = co_several_park(&m, deadline, why, 0);
	}
	co_several_free(&m);
	return r;
}

/* Linux says what is there before it lets a signal in; and where nothing is,
 * it lets it in before it says so, also in no time. */
static int
select_(struct co *self, struct sets *s, int64_t deadline, bool no_time,
	const sigset_t *mask, const char *why)
{
	unsigned handled = self->handled;
	int saved = errno, r;
	sigset_t old;

	co_cancel_point(self);
	r = ask(self, s);
	if (r < 0)
		return r;
	if (r == 0) {
		co_mask_begin(mask, &old);
		if (!no_time) {
			r = wait_select(self, s, deadline, handled, why);
		} else if (self->handled != handled) {
			errno = EINTR;
			r = -1;
		} else {
			r = to_program(s);
		}
		co_mask_end(mask, &old);
	} else {
		r = to_program(s) == 0 ? r : -1;
	}
	if (r >= 0)
		errno = saved;
	return r;
}

/* Linux writes back what was left, select(2); not to memory that is only to
 * be read. */
static void
write_back(struct timeval *timeout, int64_t deadline, int r)
{
	int64_t left = deadline - co_now();
	struct timeval tv;

	left = left < 0 || r == 0 ? 0 : left;
	tv.tv_sec = left / 1000000000;
	tv.tv_usec = left % 1000000000 / 1000;
	(void)co_put(timeout, &tv, sizeof(tv));
}

COHOOK_EXPORT int
select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *timeout)
{
	struct co *self = co_here();
	struct timeval tv = { 1, 0 };
	int64_t deadline = CO_FOREVER, ns;
	struct sets s;
	int ret;

	if (likely(self == NULL) ||
	    (timeout != NULL && !co_get(&tv, timeout, sizeof(tv))) ||
	    tv.tv_sec < 0 || tv.tv_usec < 0 ||
	    (tv.tv_sec == 0 && tv.tv_usec == 0 && likely(!co_sigfds)))
		return real.select(n, r, w, e, timeout);
	ret = sets_init(&s, n, r, w, e);
	if (ret != 0)
		return ret < 0 ? -1 : real.select(n, r, w, e, timeout);
	if (timeout != NULL && tv.tv_sec < INT64_MAX / 1000000000 - 1) {
		ns = tv.tv_sec * INT64_C(1000000000);
		ns = tv.tv_usec > (INT64_MAX - ns) / 1000
			     ? INT64_MAX
			     : ns + tv.tv_usec * 1000;
		deadline = co_deadline_after(ns);
	}
	ret = select_(self, &s, deadline, tv.tv_sec == 0 && tv.tv_usec == 0,
		      NULL, "select");
	free(s.big);
	if (timeout != NULL && deadline != CO_FOREVER)
		write_back(timeout, deadline, ret);
	return ret;
}
COHOOK_ALIAS(__select, select);
CO_CALL(select);

COHOOK_EXPORT int
pselect(int n, fd_set *r, fd_set *w, fd_set *e,
	const struct timespec *timeout, const sigset_t *mask)
{
	struct co *self = co_here();
	struct timespec ts = { 1, 0 };
	struct sets s;
	sigset_t new;
	bool no_time;
	int ret;

	if (likely(self == NULL) ||
	    (timeout != NULL && !co_get(&ts, timeout, sizeof(ts))) ||
	    (mask != NULL && !co_get(&new, mask, sizeof(uint64_t))) ||
	    !co_ts_valid(&ts) || ts.tv_sec < 0)
		return real.pselect(n, r, w, e, timeout, mask);
	ret = sets_init(&s, n, r, w, e);
	if (ret != 0)
		return ret < 0 ? -1 : real.pselect(n, r, w, e, timeout, mask);
	no_time = ts.tv_sec == 0 && ts.tv_nsec == 0;
	ret = select_(self, &s, co_deadline_of(timeout != NULL ? &ts : NULL),
		      no_time, mask != NULL ? &new : NULL, "pselect");
	free(s.big);
	return ret;
}
CO_CALL(pselect);
