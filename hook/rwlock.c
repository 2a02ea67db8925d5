/* SPDX-License-Identifier: MIT */
/* rwlock.c - read-write locks: glibc's object, our waiting.
 *
 * Those who wait are not known to the object, so two things are ours: an
 * unlock wakes every reader up to the first writer, or that writer; and a lock
 * that prefers writers makes readers wait while a writer does. */
#include "hook/lock.h"

enum { READER, WRITER };

static bool
shared(const pthread_rwlock_t *l)
{
	return l->__data.__shared != 0;
}

static bool
prefers_writers(const pthread_rwlock_t *l)
{
	return l->__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
}

static int
try_(pthread_rwlock_t *l, int who)
{
	return who == READER ? real.pthread_rwlock_tryrdlock(l)
			     : real.pthread_rwlock_trywrlock(l);
}

/* Where a writer is noted from its first wait until it has the lock or gives up:
 * not only while it sleeps, or a reader could come in between its waking and its
 * taking. */
static const void *
writers_of(const pthread_rwlock_t *l)
{
	return (const char *)l + 1;
}

/* Must a reader wait, though it might have the lock? */
static bool
after_writers(const pthread_rwlock_t *l)
{
	return prefers_writers(l) && co_lot_tag(writers_of(l), WRITER);
}

/* A handler may leave by longjmp(3): nothing of ours may be on this stack. */
static void
handle_signals(pthread_rwlock_t *l, struct co_lot_wait *noted)
{
	struct co *self = co_tls.self;

	if (self == NULL || !self->sig_todo)
		return;
	if (noted != NULL)
		co_lot_leave(noted);
	co_sig_handle();
	if (noted != NULL)
		co_lot_note(noted, writers_of(l), WRITER);
}

static int
wait_until(pthread_rwlock_t *l, int who, int64_t deadline)
{
	struct co_lot_wait w, note, *noted = NULL;
	enum co_why why = CO_NONE;
	bool lost = false;
	int saved = errno, r;

	if (who == WRITER && prefers_writers(l)) {
		noted = &note;
		co_lot_note(noted, writers_of(l), WRITER);
	}
	for (;;) {
		co_lot_enter(&w, l, who, lost);
		r = EBUSY;
		if (who == WRITER || !after_writers(l))
			r = try_(l, who);
		if (r == EBUSY && why == CO_TIMEOUT)
			r = ETIMEDOUT;
		if (r != EBUSY && r != EAGAIN)
			break;
		why = co_lot_sleep(&w, deadline,
				   who == READER ? "pthread_rwlock_rdlock"
						 : "pthread_rwlock_wrlock",
				   false);
		if (why != CO_WOKEN)
			co_lot_leave(&w);
		handle_signals(l, noted);
		lost = why == CO_WOKEN;
	}
	co_disarm(w.parker);
	co_lot_leave(&w);
	if (noted != NULL)
		co_lot_leave(noted);
	/* Readers may have waited because we did. */
	if (who == WRITER && r != 0)
		co_lot_wake(l, INT_MAX);
	errno = saved;
	return r;
}

static bool
mine(const pthread_rwlock_t *l)
{
	return co_tls.self != NULL &&
	       l->__data.__cur_writer == co_tls.self->tid;
}

static int
take(pthread_rwlock_t *l, int who, int64_t deadline)
{
	int r;

	if (who == READER && after_writers(l))
		r = EBUSY;
	else
		r = try_(l, who);
	if (r != EBUSY)
		return r;
	return wait_until(l, who, deadline);
}

COHOOK_EXPORT int
pthread_rwlock_rdlock(pthread_rwlock_t *l)
{
	int r;

	if (likely(!co_active))
		return real.pthread_rwlock_rdlock(l);
	if (shared(l) || mine(l)) {
		co_region_begin("pthread_rwlock_rdlock", shared(l));
		r = real.pthread_rwlock_rdlock(l);
		co_region_end();
		return r;
	}
	return take(l, READER, CO_FOREVER);
}
COHOOK_ALIAS(__pthread_rwlock_rdlock, pthread_rwlock_rdlock);

COHOOK_EXPORT int
pthread_rwlock_wrlock(pthread_rwlock_t *l)
{
	int r;

	if (likely(!co_active))
		return real.pthread_rwlock_wrlock(l);
	if (shared(l) || mine(l)) {
		co_region_begin("pthread_rwlock_wrlock", shared(l));
		r = real.pthread_rwlock_wrlock(l);
		co_region_end();
		return r;
	}
	return take(l, WRITER, CO_FOREVER);
}
COHOOK_ALIAS(__pthread_rwlock_wrlock, pthread_rwlock_wrlock);

COHOOK_EXPORT int
pthread_rwlock_tryrdlock(pthread_rwlock_t *l)
{
	if (unlikely(co_active) && after_writers(l))
		return EBUSY;
	return real.pthread_rwlock_tryrdlock(l);
}
COHOOK_ALIAS(__pthread_rwlock_tryrdlock, pthread_rwlock_tryrdlock);

COHOOK_EXPORT int
pthread_rwlock_trywrlock(pthread_rwlock_t *l)
{
	return real.pthread_rwlock_trywrlock(l);
}
COHOOK_ALIAS(__pthread_rwlock_trywrlock, pthread_rwlock_trywrlock);

COHOOK_EXPORT int
pthread_rwlock_clockrdlock(pthread_rwlock_t *l, clockid_t clock,
			   const struct timespec *ts)
{
	int r;

	if (likely(!co_active) || !co_lock_clock(clock) || !co_ts_valid(ts) ||
	    shared(l) || mine(l)) {
		co_region_begin("pthread_rwlock_rdlock", true);
		r = real.pthread_rwlock_clockrdlock(l, clock, ts);
		co_region_end();
		return r;
	}
	return take(l, READER, co_deadline_abs(clock, ts));
}

COHOOK_EXPORT int
pthread_rwlock_clockwrlock(pthread_rwlock_t *l, clockid_t clock,
			   const struct timespec *ts)
{
	int r;

	if (likely(!co_active) || !co_lock_clock(clock) || !co_ts_valid(ts) ||
	    shared(l) || mine(l)) {
		co_region_begin("pthread_rwlock_wrlock", true);
		r = real.pthread_rwlock_clockwrlock(l, clock, ts);
		co_region_end();
		return r;
	}
	return take(l, WRITER, co_deadline_abs(clock, ts));
}

COHOOK_EXPORT int
pthread_rwlock_timedrdlock(pthread_rwlock_t *l, const struct timespec *ts)
{
	if (likely(!co_active))
		return real.pthread_rwlock_timedrdlock(l, ts);
	return pthread_rwlock_clockrdlock(l, CLOCK_REALTIME, ts);
}

COHOOK_EXPORT int
pthread_rwlock_timedwrlock(pthread_rwlock_t *l, const struct timespec *ts)
{
	if (likely(!co_active))
		return real.pthread_rwlock_timedwrlock(l, ts);
	return pthread_rwlock_clockwrlock(l, CLOCK_REALTIME, ts);
}

/* All who wait try again, in their order: a writer that is first gets it, and
 * readers get it together. */
COHOOK_EXPORT int
pthread_rwlock_unlock(pthread_rwlock_t *l)
{
	int r = real.pthread_rwlock_unlock(l);

	if (unlikely(co_active) && r == 0)
		co_let_in(l, INT_MAX);
	return r;
}
COHOOK_ALIAS(__pthread_rwlock_unlock, pthread_rwlock_unlock);
