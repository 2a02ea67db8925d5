/* SPDX-License-Identifier: MIT */
/* epoll.c - the program's own epoll sets: they stay in the kernel, and say
 * through their descriptor that something is in them.
 *
 * Asking with a timeout of 0 takes what is there, edges and one-shots
 * included; polling the descriptor, ours or the poller's, takes nothing.
 */
#include <sys/epoll.h>

#include "hook/calls.h"
#include "hook/several.h"
#include "hook/sigfd.h"

/* epoll_wait(2) looks at its list without a lock, and may miss what another
 * thread that takes from the same set just puts back; then no edge follows.
 * poll(2) of the set looks with the lock. */
static bool
surely_empty(int epfd)
{
	struct pollfd p = { epfd, POLLIN, 0 };

	return real.poll(&p, 1, 0) == 0;
}

/* Whoever takes from a set is counted, by any of our names and in any thread;
 * so that who was alone meanwhile need not ask again. */
struct take {
	struct co_fd *set;
	uint32_t others, takes;
};

static void
take_begin(struct take *t, struct co_fd *set)
{
	t->set = set;
	t->others = atomic_fetch_add(&set->taking, 1);
	t->takes = atomic_fetch_add(&set->takes, 1) + 1;
}

/* True: nobody else took from it meanwhile.  It has no other number, and no
 * other process has it. */
static bool
take_end(const struct take *t)
{
	struct co_fd *set = t->set;
	bool alone = t->others == 0 && set->takes == t->takes &&
		     !(set->flags & CO_FDF_DUPPED) &&
		     set->shared_at == co_fd_shares;

	atomic_fetch_sub(&set->taking, 1);
	return alone;
}

/* Whether a signalfd in it has something is judged for who asks, as the kernel
 * does, and by what is queued for that one.  Nothing of this where there are no
 * signalfds. */
static void
ask_begins(void)
{
	struct co *self = likely(!co_sigfds) ? NULL : co_here();
	struct co_lent l;

	/* Without nudges, by which one would seem ready. */
	if (self != NULL && self->m->nudged != 0) {
		co_lend(self, &l);
		co_lend_end(self, &l, NULL);
	}
}

static int
answer(int epfd, struct epoll_event *ev, int r, int max)
{
	struct co *self = likely(!co_sigfds) ? NULL : co_here();

	if (self != NULL && r >= 0 && r < max && self->npending > 0)
		return co_sigep_add(self, epfd, ev, r, max);
	return r;
}

static int
take(struct co_io *io, struct epoll_event *ev, int max, bool *alone)
{
	struct take t;
	int r;

	ask_begins();
	take_begin(&t, io->slot);
	r = real.epoll_wait(io->fd, ev, max, 0);
	*alone = take_end(&t);
	return answer(io->fd, ev, r, max);
}

/* For those who do not wait here. */
static struct co_fd *
past_begin(int epfd)
{
	struct co_fd *set = likely(!co_active) || co_tls.vforked
				    ? NULL
				    : co_fd(epfd);
	struct take t;

	ask_begins();
	if (set != NULL)
		take_begin(&t, set);
	return set;
}

static void
past_end(struct co_fd *set)
{
	if (set != NULL)
		atomic_fetch_sub(&set->taking, 1);
}

/* Those that began found nothing.  Whoever waits here is interrupted by any
 * handler, signal(7): that goes before what came meanwhile, for the mask was
 * another one while the handler ran. */
static int
wait_epoll(struct co_io *io, struct epoll_event *ev, int max, bool alone)
{
	bool late = false;
	int r;

	for (;;) {
		if (!late && (alone || surely_empty(io->fd)) &&
		    co_io_wait(io) != 0) {
			if (errno != EAGAIN)
				return -1;
			late = true;
		}
		if (io->self->handled != io->handled) {
			errno = EINTR;
			return -1;
		}
		r = take(io, ev, max, &alone);
		if (r != 0 || late)
			return r;
	}
}

/* timeout, mask: as the program's, and not bad pointers. */
static __attribute__((noinline)) int
epoll_(struct co_io *io, struct epoll_event *ev, int max, int64_t deadline,
       const sigset_t *mask)
{
	sigset_t old;
	bool alone;
	int r;

	PASSES_TURN;
	io->in_turn = true;
	io->deadline = deadline;
	io->again = 0;
	io->timed = true; /* any handler interrupts */
	r = take(io, ev, max, &alone);
	if (r == 0) {
		co_mask_begin(mask, &old);
		r = wait_epoll(io, ev, max, alone);
		co_mask_end(mask, &old);
	}
	co_pass_turn(io->self);
	if (r >= 0)
		errno = io->saved_errno;
	return r;
}

static int64_t
deadline_ms(int timeout)
{
	return timeout < 0 ? CO_FOREVER
			   : co_deadline_after(timeout * INT64_C(1000000));
}

COHOOK_EXPORT int
epoll_wait(int epfd, struct epoll_event *ev, int max, int timeout)
{
	struct co_fd *set;
	struct co_io io;
	int r;

	io.slot = NULL;
	if (unlikely(co_here() != NULL) && timeout != 0)
		co_io_begin(&io, epfd, CO_IN, "epoll_wait");
	if (io.slot != NULL)
		return epoll_(&io, ev, max, deadline_ms(timeout), NULL);
	set = past_begin(epfd);
	r = real.epoll_wait(epfd, ev, max, timeout);
	past_end(set);
	return answer(epfd, ev, r, max);
}
CO_CALL(epoll_wait);

COHOOK_EXPORT int
epoll_pwait(int epfd, struct epoll_event *ev, int max, int timeout,
	    const sigset_t *mask)
{
	struct co_fd *set;
	struct co_io io;
	sigset_t new;
	int r;

	io.slot = NULL;
	if (unlikely(co_here() != NULL) && timeout != 0 &&
	    (mask == NULL || co_get(&new, mask, sizeof(uint64_t))))
		co_io_begin(&io, epfd, CO_IN, "epoll_pwait");
	if (io.slot != NULL)
		return epoll_(&io, ev, max, deadline_ms(timeout),
			      mask != NULL ? &new : NULL);
	set = past_begin(epfd);
	r = real.epoll_pwait(epfd, ev, max, timeout, mask);
	past_end(set);
	return answer(epfd, ev, r, max);
}
CO_CALL(epoll_pwait);

COHOOK_EXPORT int
epoll_pwait2(int epfd, struct epoll_event *ev, int max,
	     const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec ts = { 1, 0 };
	struct co_fd *set;
	struct co_io io;
	sigset_t new;
	int r;

	io.slot = NULL;
	if (unlikely(co_here() != NULL) &&
	    (timeout == NULL || co_get(&ts, timeout, sizeof(ts))) &&
	    (mask == NULL || co_get(&new, mask, sizeof(uint64_t))) &&
	    co_ts_valid(&ts) && ts.tv_sec >= 0 &&
	    (ts.tv_sec != 0 || ts.tv_nsec != 0))
		co_io_begin(&io, epfd, CO_IN, "epoll_pwait2");
	if (io.slot != NULL)
		return epoll_(&io, ev, max,
			      co_deadline_of(timeout != NULL ? &ts : NULL),
			      mask != NULL ? &new : NULL);
	set = past_begin(epfd);
	r = real.epoll_pwait2(epfd, ev, max, timeout, mask);
	past_end(set);
	return answer(epfd, ev, r, max);
}
CO_CALL(epoll_pwait2);
