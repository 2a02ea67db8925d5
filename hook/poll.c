/* SPDX-License-Identifier: MIT */
/* poll.c - poll and ppoll: what Linux says with a timeout of 0 is the
 * answer; between two such questions we wait on all the descriptors at once.
 */
#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/several.h"
#include "hook/sigfd.h"

/* What the kernel cannot know. */
static int
add_sets(struct co *self, struct pollfd *fds, nfds_t n, int r)
{
	struct pollfd p;
	nfds_t i;

	for (i = 0; i < n && co_get(&p, &fds[i], sizeof(p)); i++) {
		if (p.fd < 0 || !(p.events & POLLIN) || p.revents & POLLIN ||
		    !co_sigep_ready(self, p.fd))
			continue;
		r += p.revents == 0;
		p.revents |= p.events & (POLLIN | POLLRDNORM);
		co_put(&fds[i], &p, sizeof(p));
	}
	return r;
}

/* No cancellation point: we are armed. */
static int
poll_now(struct co *self, struct pollfd *fds, nfds_t n)
{
	struct co_lent l;
	bool lent;
	int tries = 0;
	long r;

	do {
		lent = co_sigfd_lend(self, &l);
		r = sys3(SYS_poll, fds, n, 0);
		if (unlikely(lent)) {
			co_lend_end(self, &l, NULL);
			if (r >= 0 && self->npending > 0)
				r = add_sets(self, fds, n, (int)r);
		}
	} while (unlikely(r > 0) && co_sigfd_nudged(self, &tries));
	if (r >= 0)
		return (int)r;
	if (r == -EINTR)
		return 0;
	errno = (int)-r;
	return -1;
}

static int
in_region(struct co *self, struct pollfd *fds, nfds_t n, int64_t deadline,
	  const char *why, unsigned handled)
{
	uint32_t sigseq;
	int r;

	for (;;) {
		sigseq = self->sigseq;
		/* What is there by now, for signalfds. */
		r = unlikely(co_sigfds) ? poll_now(self, fds, n) : 0;
		if (r != 0)
			return r;
		co_region_begin(why, true);
		if (likely(!co_sigfds) || !co_sig_watch(self, sigseq))
			r = real.poll(fds, n, co_left_ms(deadline));
		else
			r = 1;
		co_sig_watch_end(self);
		co_region_end();
		if (r < 0 && errno == EINTR && self->handled == handled)
			continue;
		/* One of them may have seemed ready by a nudge of ours. */
		if (r <= 0 || likely(!co_sigfds))
			return r;
	}
}

/* poll(2) in no time, a cancellation point. */
static int
poll_at_once(struct co *self, struct pollfd *fds, nfds_t n, unsigned handled)
{
	int saved = errno, r;

	if (likely(!co_sigfds))
		return co_not_ours(self, handled, saved, real.poll(fds, n, 0));
	co_cancel_point(self);
	r = poll_now(self, fds, n);
	if (r == 0 && self->handled != handled) {
		errno = EINTR;
		return -1;
	}
	return r;
}

/* A few are seen before they are asked, and need not be asked again once the
 * waiting is arranged: it costs what a read(2) that waits does. */
enum { FEW = 4 };

static bool
wants_out(const struct pollfd *p)
{
	return p->events & (POLLOUT | POLLWRNORM | POLLWRBAND);
}

/* Ends and errors, which come unasked, wake both directions. */
static bool
wants_in(const struct pollfd *p)
{
	return p->events & ~(POLLOUT | POLLWRNORM | POLLWRBAND) ||
	       !wants_out(p);
}

static void
see(struct co_seen *seen, const struct pollfd *fds, nfds_t n)
{
	nfds_t i;

	for (i = 0; i < n && n <= FEW; i++)
		if (fds[i].fd >= 0)
			co_several_see(&seen[i], fds[i].fd);
}

/* Nothing to ask the kernel of: whoever read last has emptied it. */
static bool
known_silent(const struct co_seen *seen, const struct pollfd *fds, nfds_t n)
{
	return n == 1 && fds->fd >= 0 && !wants_out(fds) &&
	       seen->slot != NULL &&
	       co_fd_known_empty(seen->slot, seen->seq[CO_IN]);
}

/* What is there before any wait. */
static int
look(struct co *self, struct pollfd *fds, nfds_t n, unsigned handled,
     struct co_seen *seen)
{
	struct pollfd few[FEW];

	if (n <= FEW && co_get(few, fds, n * sizeof(*fds))) {
		see(seen, few, n);
		if (known_silent(seen, few, n))
			return 0;
	}
	return poll_at_once(self, fds, n, handled);
}

/* seen: as before the kernel was asked, and found nothing. */
static int
wait_poll(struct co *self, struct pollfd *fds, nfds_t n, int64_t deadline,
	  const char *why, unsigned handled, struct co_seen *seen,
	  uint32_t sigseq)
{
	int saved = errno, r, err;
	struct co_several m;
	enum co_why w;
	nfds_t i;

	if (co_several_init(&m, n) != 0)
		return -1; /* ENOMEM */
	m.sigseq = sigseq;
	for (;;) {
		co_cancel_point(self);
		co_several_arm(&m);
		for (i = 0, err = 0; i < n && err == 0; i++)
			if (fds[i].fd >= 0)
				err = co_several_add(
					&m, fds[i].fd, wants_in(&fds[i]),
					wants_out(&fds[i]),
					n <= FEW ? &seen[i] : NULL);
		/* Those that were not seen: armed first and asked after,
		 * nothing falls in between. */
		r = err == 0 && n > FEW ? poll_now(self, fds, n) : 0;
		if (self->handled != handled) {
			errno = EINTR;
			r = -1;
		}
		w = CO_NONE;
		if (r != 0 || err != 0)
			co_several_off(&m);
		else
			w = co_several_park(&m, deadline, why,
					    n == 1 ? (uintptr_t)fds[0].fd : 0);
		if (r == 0 && err < 0)
			r = in_region(self, fds, n, deadline, why, handled);
		if (r != 0 || err < 0)
			break;
		if (self->handled != handled) {
			errno = EINTR;
			r = -1;
			break;
		}
		see(seen, fds, n);
		m.sigseq = self->sigseq;
		r = poll_now(self, fds, n);
		if (r != 0 || w == CO_TIMEOUT)
			break;
	}
	co_several_free(&m);
	if (r >= 0)
		errno = saved;
	return r;
}

static int
poll_(struct pollfd *fds, nfds_t n, int timeout)
{
	struct co *self = co_here();
	struct co_seen seen[FEW];
	unsigned handled;
	uint32_t sigseq;
	int r;

	if (likely(self == NULL))
		return real.poll(fds, n, timeout);
	handled = self->handled;
	sigseq = self->sigseq;
	/* In no time as well a handler of somebody else may interrupt. */
	r = timeout != 0 ? look(self, fds, n, handled, seen)
			 : poll_at_once(self, fds, n, handled);
	if (r != 0 || timeout == 0)
		return r;
	return wait_poll(self, fds, n,
			 timeout < 0 ?
				 CO_FOREVER :
				 co_deadline_after(timeout * INT64_C(1000000)),
			 "poll", handled, seen, sigseq);
}

COHOOK_EXPORT int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return poll_(fds, n, timeout);
}
COHOOK_ALIAS(__poll, poll);
CO_CALL(poll);

COHOOK_EXPORT int
__poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof(*fds) < n)
		return real.__poll_chk(fds, n, timeout, size);
	return poll_(fds, n, timeout);
}

COHOOK_EXPORT int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
      const sigset_t *mask)
{
	struct co *self = co_here();
	struct timespec ts = { 1, 0 };
	struct co_seen seen[FEW];
	int saved = errno, r;
	unsigned handled;
	sigset_t old, new;
	int64_t deadline;
	uint32_t sigseq;

	if (likely(self == NULL) ||
	    (timeout != NULL && !co_get(&ts, timeout, sizeof(ts))) ||
	    (mask != NULL && !co_get(&new, mask, sizeof(uint64_t))) ||
	    !co_ts_valid(&ts) || ts.tv_sec < 0)
		return real.ppoll(fds, n, timeout, mask);
	handled = self->handled;
	sigseq = self->sigseq;
	/* Linux says what is there before it lets a signal in; and where
	 * nothing is, it lets it in before it says so, also in no time. */
	r = look(self, fds, n, handled, seen);
	if (r != 0)
		return r;
	if (mask != NULL)
		mask = &new;
	deadline = co_deadline_of(timeout != NULL ? &ts : NULL);
	co_mask_begin(mask, &old);
	if (timeout == NULL || ts.tv_sec != 0 || ts.tv_nsec != 0) {
		r = wait_poll(self, fds, n, deadline, "ppoll", handled, seen,
			      sigseq);
	} else if (self->handled != handled) {
		errno = EINTR;
		r = -1;
	}
	co_mask_end(mask, &old);
	if (r >= 0)
		errno = saved;
	return r;
}
CO_CALL(ppoll);

COHOOK_EXPORT int
__ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
	    const sigset_t *mask, size_t size)
{
	if (size / sizeof(*fds) < n)
		return real.__ppoll_chk(fds, n, timeout, mask, size);
	return ppoll(fds, n, timeout, mask);
}
