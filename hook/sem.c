/* SPDX-License-Identifier: MIT */
/* sem.c - semaphores: glibc's count, our waiting. */
#include "hook/lock.h"

/* A wait that has a time is not begun anew after a handler, whatever that says
 * of SA_RESTART: so the kernel has it, though signal(7) has not. */
static unsigned
count_handlers(struct co *self, bool timed)
{
	if (timed)
		return self ? self->handled : (unsigned)co_tls.handled;
	return self ? self->interrupted : (unsigned)co_tls.interrupted;
}

static int
wait_until(sem_t *s, bool timed, int64_t deadline)
{
	struct co *self = co_parker()->co;
	unsigned handlers = count_handlers(self, timed);
	struct co_lot_wait w;
	enum co_why why = CO_NONE;
	bool lost = false;
	int saved = errno, r;

	for (;;) {
		co_cancel_here();
		co_lot_enter(&w, s, 0, lost);
		r = real.sem_trywait(s);
		if (r != 0 && errno == EAGAIN && why == CO_TIMEOUT)
			errno = ETIMEDOUT;
		else if (r != 0 && errno == EAGAIN &&
			 handlers != count_handlers(self, timed))
			errno = EINTR;
		if (r == 0 || errno != EAGAIN) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			if (r == 0)
				errno = saved;
			return r;
		}
		why = co_lot_park(&w, deadline, "sem_wait", true);
		if (why != CO_WOKEN)
			continue;
		/* Before a cancellation: the post was for us, and nobody else
		 * has been woken. */
		r = real.sem_trywait(s);
		if (r == 0 || errno != EAGAIN) {
			if (r == 0)
				errno = saved;
			return r;
		}
		lost = true;
	}
}

COHOOK_EXPORT int
sem_wait(sem_t *s)
{
	int r, saved = errno;

	if (likely(!co_active))
		return real.sem_wait(s);
	co_cancel_here();
	r = real.sem_trywait(s);
	if (r == 0 || errno != EAGAIN)
		return r;
	errno = saved;
	if (co_sem_pshared(s)) {
		co_region_begin("sem_wait", true);
		r = real.sem_wait(s);
		co_region_end();
		return r;
	}
	return wait_until(s, false, CO_FOREVER);
}

COHOOK_EXPORT int
sem_trywait(sem_t *s)
{
	return real.sem_trywait(s);
}

COHOOK_EXPORT int
sem_clockwait(sem_t *s, clockid_t clock, const struct timespec *ts)
{
	int r, saved = errno;

	if (likely(!co_active) || !co_lock_clock(clock))
		return real.sem_clockwait(s, clock, ts);
	if (!co_ts_valid(ts))
		return real.sem_clockwait(s, clock, ts);
	co_cancel_here();
	r = real.sem_trywait(s);
	if (r == 0 || errno != EAGAIN)
		return r;
	errno = saved;
	if (co_sem_pshared(s)) {
		co_region_begin("sem_clockwait", true);
		r = real.sem_clockwait(s, clock, ts);
		co_region_end();
		return r;
	}
	return wait_until(s, true, co_deadline_abs(clock, ts));
}

COHOOK_EXPORT int
sem_timedwait(sem_t *s, const struct timespec *ts)
{
	if (likely(!co_active))
		return real.sem_timedwait(s, ts);
	return sem_clockwait(s, CLOCK_REALTIME, ts);
}

COHOOK_EXPORT int
sem_post(sem_t *s)
{
	int r = real.sem_post(s);

	if (unlikely(co_active) && r == 0)
		co_let_in(s, 1);
	return r;
}
