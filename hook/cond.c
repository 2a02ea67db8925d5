/* SPDX-License-Identifier: MIT */
/* cond.c - condition variables live in the lot.
 *
 * A waiter is in the lot before it unlocks the mutex, so a signal sent under
 * the mutex cannot miss it.  The object holds its clock and whether it is
 * process-shared, nothing else; shared ones wait in the kernel. */
#include "hook/calls.h"
#include "hook/lock.h"

/* In version 2.2.5 a condition was a pointer, made at its first use and freed
 * at its end; whoever was linked with that gets one of today's (old_x86_64.c),
 * and so must not come to the old way to end it. */
COHOOK_EXPORT int
pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *attr)
{
	return real.pthread_cond_init(c, attr);
}

COHOOK_EXPORT int
pthread_cond_destroy(pthread_cond_t *c)
{
	return real.pthread_cond_destroy(c);
}
CO_CALL(pthread_cond_destroy);

static int
wait_until(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline)
{
	struct co_lot_wait w;
	enum co_why why;
	int saved = errno, r, r2;

	co_cancel_here();
	co_lot_enter(&w, c, 0, false);
	r = co_mutex_unlock(m);
	if (r != 0) {
		co_disarm(w.parker);
		co_lot_leave(&w);
		return r;
	}
	/* A handler that ran is a spurious wake-up, which POSIX allows. */
	why = co_lot_park(&w, deadline, "pthread_cond_wait", false);
	r2 = co_mutex_lock(m);
	/* Not if it was signalled: nobody else was. */
	if (why != CO_WOKEN)
		co_cancel_here();
	errno = saved;
	return r2 != 0 ? r2 : why == CO_TIMEOUT ? ETIMEDOUT : 0;
}

COHOOK_EXPORT int
pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	bool begun;
	int r;

	if (likely(!co_active))
		return real.pthread_cond_wait(c, m);
	if (co_cond_pshared(c)) {
		begun = co_owner_begin(m);
		co_region_begin("pthread_cond_wait", true);
		r = real.pthread_cond_wait(c, m);
		co_region_end();
		co_owner_end(begun);
		return r;
	}
	return wait_until(c, m, CO_FOREVER);
}
CO_CALL(pthread_cond_wait);

COHOOK_EXPORT int
pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t clock,
		       const struct timespec *ts)
{
	bool begun;
	int r;

	if (likely(!co_active) || !co_ts_valid(ts) || !co_lock_clock(clock))
		return real.pthread_cond_clockwait(c, m, clock, ts);
	if (co_cond_pshared(c)) {
		begun = co_owner_begin(m);
		co_region_begin("pthread_cond_clockwait", true);
		r = real.pthread_cond_clockwait(c, m, clock, ts);
		co_region_end();
		co_owner_end(begun);
		return r;
	}
	return wait_until(c, m, co_deadline_abs(clock, ts));
}

COHOOK_EXPORT int
pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
		       const struct timespec *ts)
{
	bool begun;
	int r;

	if (likely(!co_active) || !co_ts_valid(ts))
		return real.pthread_cond_timedwait(c, m, ts);
	if (co_cond_pshared(c)) {
		begun = co_owner_begin(m);
		co_region_begin("pthread_cond_timedwait", true);
		r = real.pthread_cond_timedwait(c, m, ts);
		co_region_end();
		co_owner_end(begun);
		return r;
	}
	return wait_until(c, m,
			  co_deadline_abs(co_cond_monotonic(c)
						  ? CLOCK_MONOTONIC
						  : CLOCK_REALTIME,
					  ts));
}
CO_CALL(pthread_cond_timedwait);

/* Somebody may wait in libc all the same: one that began before the runtime
 * did, or through code that does not see us. */
COHOOK_EXPORT int
pthread_cond_signal(pthread_cond_t *c)
{
	if (unlikely(co_active) && co_lot_wake(c, 1) > 0)
		return 0;
	return real.pthread_cond_signal(c);
}
CO_CALL(pthread_cond_signal);

COHOOK_EXPORT int
pthread_cond_broadcast(pthread_cond_t *c)
{
	if (unlikely(co_active))
		co_lot_wake(c, INT_MAX);
	return real.pthread_cond_broadcast(c);
}
CO_CALL(pthread_cond_broadcast);

COHOOK_EXPORT int
cnd_wait(cnd_t *c, mtx_t *m)
{
	if (likely(!co_active))
		return real.cnd_wait(c, m);
	return pthread_cond_wait((pthread_cond_t *)c, (pthread_mutex_t *)m) == 0
		       ? thrd_success
		       : thrd_error;
}

COHOOK_EXPORT int
cnd_timedwait(cnd_t *c, mtx_t *m, const struct timespec *ts)
{
	if (likely(!co_active))
		return real.cnd_timedwait(c, m, ts);
	switch (pthread_cond_timedwait((pthread_cond_t *)c,
				       (pthread_mutex_t *)m, ts)) {
	case 0:
		return thrd_success;
	case ETIMEDOUT:
		return thrd_timedout;
	default:
		return thrd_error;
	}
}

COHOOK_EXPORT int
cnd_signal(cnd_t *c)
{
	if (likely(!co_active))
		return real.cnd_signal(c);
	pthread_cond_signal((pthread_cond_t *)c);
	return thrd_success;
}

COHOOK_EXPORT int
cnd_broadcast(cnd_t *c)
{
	if (likely(!co_active))
		return real.cnd_broadcast(c);
	pthread_cond_broadcast((pthread_cond_t *)c);
	return thrd_success;
}
