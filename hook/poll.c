/* SPDX-License-Identifier: MIT */
/* poll.c - poll and ppoll: what Linux says with a timeout of 0 is the
 * answer; between two such questions we wait on all the descriptors at once.
 */
#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/several.h"

/* No cancellation point: we are armed. */
static int
poll_now(struct pollfd *fds, nfds_t n)
{
	long r = sys3(SYS_poll, fds, n, 0);

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
	int r;

	co_region_begin(why, true);
	do
		r = real.poll(fds, n, co_left_ms(deadline));
	while (r < 0 && errno == EINTR && self->handled == handled);
	co_region_end();
	return r;
}

/* Those that asked have found nothing. */
static int
wait_poll(struct co *self, struct pollfd *fds, nfds_t n, int64_t deadline,
	  const char *why, unsigned handled)
{
	int saved = errno, r, err;
	struct co_several m;
	enum co_why w = CO_NONE;
	nfds_t i;

	if (co_several_init(&m, n) != 0)
		return -1; /* ENOMEM */
	for (;;) {
		co_cancel_point(self);
		co_several_arm(&m);
		for (i = 0, err = 0; i < n && err == 0; i++)
			if (fds[i].fd >= 0)
				err = co_several_add(
					&m, fds[i].fd, true,
					fds[i].events & (POLLOUT | POLLWRNORM |
							 POLLWRBAND));
		/* Armed first and asked after: nothing falls in between. */
		r = err == 0 ? poll_now(fds, n) : 0;
		if (self->handled != handled) {
			errno = EINTR;
			r = -1;
		}
		if (r != 0 || err != 0 || w == CO_TIMEOUT) {
			co_several_off(&m);
			if (r == 0 && err != 0)
				r = in_region(self, fds, n, deadline, why,
					      handled);
			break;
		}
		w = co_several_park(&m, deadline, why,
				    n == 1 ? (uintptr_t)fds[0].fd : 0);
	}
	co_several_free(&m);
	if (r >= 0)
		errno = saved;
	return r;
}

int
co_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct co *self = co_here();
	unsigned handled;
	int r;

	if (likely(self == NULL) || timeout == 0)
		return real.poll(fds, n, timeout);
	handled = self->handled;
	r = co_not_ours(self, handled, real.poll(fds, n, 0));
	if (r != 0)
		return r;
	return wait_poll(self, fds, n,
			 timeout < 0 ? CO_FOREVER
				     : co_deadline_after(timeout *
							 INT64_C(1000000)),
			 "poll", handled);
}

COHOOK_EXPORT int
poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return co_poll(fds, n, timeout);
}
COHOOK_ALIAS(__poll, poll);

COHOOK_EXPORT int
__poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof(*fds) < n)
		return real.__poll_chk(fds, n, timeout, size);
	return co_poll(fds, n, timeout);
}

COHOOK_EXPORT int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
      const sigset_t *mask)
{
	struct co *self = co_here();
	struct timespec ts = { 1, 0 };
	int saved = errno, r;
	unsigned handled;
	sigset_t old, new;
	int64_t deadline;

	if (likely(self == NULL) ||
	    (timeout != NULL && !co_get(&ts, timeout, sizeof(ts))) ||
	    (mask != NULL && !co_get(&new, mask, sizeof(uint64_t))) ||
	    !co_ts_valid(&ts) || ts.tv_sec < 0)
		return real.ppoll(fds, n, timeout, mask);
	handled = self->handled;
	/* Linux says what is there before it lets a signal in; and where
	 * nothing is, it lets it in before it says so, also in no time. */
	r = co_not_ours(self, handled, real.poll(fds, n, 0));
	if (r != 0)
		return r;
	if (mask != NULL)
		mask = &new;
	deadline = co_deadline_of(timeout != NULL ? &ts : NULL);
	co_mask_begin(mask, &old);
	if (timeout == NULL || ts.tv_sec != 0 || ts.tv_nsec != 0) {
		r = wait_poll(self, fds, n, deadline, "ppoll", handled);
	} else if (self->handled != handled) {
		errno = EINTR;
		r = -1;
	}
	co_mask_end(mask, &old);
	if (r >= 0)
		errno = saved;
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
