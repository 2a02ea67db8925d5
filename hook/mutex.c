/* SPDX-License-Identifier: MIT */
/* mutex.c - glibc's mutexes, waited for in the parking lot.
 *
 * The mutex itself stays glibc's: lock is its trylock, unlock its unlock.  So
 * owners, types, counts and error checks are right by construction.  What the
 * kernel takes part in (robust, priority-inheriting or -protecting, process-
 * shared) is waited for in the kernel.
 */
#include "hook/lock.h"

/* glibc's __kind, part of its ABI (static initialisers hold it): the type in
 * the low bits, then ROBUST 16, PRIO_INHERIT 32, PRIO_PROTECT 64, PSHARED 128
 * (nptl/pthreadP.h). */
enum { TYPE = 3, ERRORCHECK = 2, ROBUST = 16, INHERIT = 32, SHARED = 128 };
enum { SPECIAL = ROBUST | INHERIT | 64 | SHARED };

/* Priority inheritance has the kernel look for the owner among its threads,
 * where a coroutine is not; and coroutines have no priorities to inherit.
 * glibc says of every robust mutex that it is shared, and waits for it so
 * whatever it says: here it is what tells one from the other (owner.c). */
COHOOK_EXPORT int
pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
	int r = real.pthread_mutex_init(m, attr), shared;

	if (r != 0 || attr == NULL || !co_may_start() ||
	    !(m->__data.__kind & (INHERIT | ROBUST)) ||
	    pthread_mutexattr_getpshared(attr, &shared) != 0 ||
	    shared == PTHREAD_PROCESS_SHARED)
		return r;
	m->__data.__kind &= ~(INHERIT | SHARED);
	return 0;
}
COHOOK_ALIAS(__pthread_mutex_init, pthread_mutex_init);

static inline bool
special(const pthread_mutex_t *m)
{
	return m->__data.__kind & SPECIAL;
}

/* The real lock would say EDEADLK at once, trylock says EBUSY. */
static bool
owned_errorcheck(const pthread_mutex_t *m)
{
	return (m->__data.__kind & TYPE) == ERRORCHECK &&
	       m->__data.__owner == co_tls.self->tid;
}

int
co_mutex_wait(pthread_mutex_t *m, int64_t deadline)
{
	struct co_lot_wait w;
	enum co_why why = CO_NONE;
	bool lost = false;
	int r;

	for (;;) {
		co_lot_enter(&w, m, 0, lost);
		r = real.pthread_mutex_trylock(m);
		if (r != EBUSY) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			return r;
		}
		if (why == CO_TIMEOUT) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			return ETIMEDOUT;
		}
		why = co_lot_park(&w, deadline, "pthread_mutex_lock", false);
		/* Who was woken and finds it taken again stays first. */
		lost = why == CO_WOKEN || lost;
		if (why != CO_TIMEOUT) {
			r = real.pthread_mutex_trylock(m);
			if (r != EBUSY)
				return r;
		}
	}
}

static int
lock_special(pthread_mutex_t *m)
{
	static const struct timespec past = { 0, 0 };
	bool begun = co_owner_begin(m);
	int r;

	/* Not trylock, by which glibc forgets to unlock a robust one that
	 * cannot be recovered. */
	r = real.pthread_mutex_timedlock(m, &past);
	if (r == ETIMEDOUT) {
		co_region_begin("pthread_mutex_lock", true);
		r = real.pthread_mutex_lock(m);
		co_region_end();
	}
	co_owner_end(begun);
	return r;
}

/* Apart, so that a dormant call has no frame to make. */
static __attribute__((noinline)) int
lock(pthread_mutex_t *m)
{
	int r, saved;

	if (unlikely(special(m)))
		return lock_special(m);
	r = real.pthread_mutex_trylock(m);
	if (likely(r != EBUSY))
		return r;
	if (co_tls.self != NULL && owned_errorcheck(m))
		return real.pthread_mutex_lock(m);
	saved = errno;
	r = co_mutex_wait(m, CO_FOREVER);
	errno = saved;
	return r;
}

COHOOK_EXPORT int
pthread_mutex_lock(pthread_mutex_t *m)
{
	if (likely(!co_active))
		return real.pthread_mutex_lock(m);
	return lock(m);
}
COHOOK_ALIAS(__pthread_mutex_lock, pthread_mutex_lock);

COHOOK_EXPORT int
pthread_mutex_trylock(pthread_mutex_t *m)
{
	bool begun;
	int r;

	if (likely(!co_active) || likely(!special(m)))
		return real.pthread_mutex_trylock(m);
	begun = co_owner_begin(m);
	r = real.pthread_mutex_trylock(m);
	co_owner_end(begun);
	return r;
}
COHOOK_ALIAS(__pthread_mutex_trylock, pthread_mutex_trylock);

COHOOK_EXPORT int
pthread_mutex_clocklock(pthread_mutex_t *m, clockid_t clock,
			const struct timespec *ts)
{
	bool begun;
	int r, saved;

	if (likely(!co_active))
		return real.pthread_mutex_clocklock(m, clock, ts);
	if (!co_lock_clock(clock))
		return real.pthread_mutex_clocklock(m, clock, ts);
	r = special(m) ? EBUSY : real.pthread_mutex_trylock(m);
	if (r != EBUSY)
		return r;
	if (special(m) || !co_ts_valid(ts) ||
	    (co_tls.self != NULL && owned_errorcheck(m))) {
		begun = special(m) && co_owner_begin(m);
		co_region_begin("pthread_mutex_clocklock", true);
		r = real.pthread_mutex_clocklock(m, clock, ts);
		co_region_end();
		co_owner_end(begun);
		return r;
	}
	saved = errno;
	r = co_mutex_wait(m, co_deadline_abs(clock, ts));
	errno = saved;
	return r;
}

COHOOK_EXPORT int
pthread_mutex_timedlock(pthread_mutex_t *m, const struct timespec *ts)
{
	if (likely(!co_active))
		return real.pthread_mutex_timedlock(m, ts);
	return pthread_mutex_clocklock(m, CLOCK_REALTIME, ts);
}

COHOOK_EXPORT int
pthread_mutex_consistent(pthread_mutex_t *m)
{
	bool begun;
	int r;

	if (likely(!co_active))
		return real.pthread_mutex_consistent(m);
	begun = co_owner_begin(m);
	r = real.pthread_mutex_consistent(m);
	co_owner_end(begun);
	return r;
}

/* It locks it for the while. */
COHOOK_EXPORT int
pthread_mutex_setprioceiling(pthread_mutex_t *m, int ceiling, int *old)
{
	bool begun;
	int r;

	if (likely(!co_active))
		return real.pthread_mutex_setprioceiling(m, ceiling, old);
	begun = co_owner_begin(m);
	co_region_begin("pthread_mutex_setprioceiling", true);
	r = real.pthread_mutex_setprioceiling(m, ceiling, old);
	co_region_end();
	co_owner_end(begun);
	return r;
}

static int
unlock(pthread_mutex_t *m)
{
	bool begun = unlikely(co_active) && unlikely(special(m)) &&
		     co_owner_begin(m);
	int r = real.pthread_mutex_unlock(m);

	co_owner_end(begun);
	return r;
}

static __attribute__((noinline)) int
unlock_and_let_in(pthread_mutex_t *m)
{
	int r = unlock(m);

	/* m may be freed by now: only its address is used. */
	if (r == 0)
		co_let_in(m, 1);
	return r;
}

COHOOK_EXPORT int
pthread_mutex_unlock(pthread_mutex_t *m)
{
	/* What starts the runtime is the only thread: nobody waits. */
	if (likely(!co_active))
		return real.pthread_mutex_unlock(m);
	return unlock_and_let_in(m);
}
COHOOK_ALIAS(__pthread_mutex_unlock, pthread_mutex_unlock);

int
co_mutex_lock(pthread_mutex_t *m)
{
	return pthread_mutex_lock(m);
}

/* Not for the fair: the caller is about to wait. */
int
co_mutex_unlock(pthread_mutex_t *m)
{
	int r = unlock(m);

	if (r == 0)
		co_lot_wake(m, 1);
	return r;
}

static int
thrd_of(int err)
{
	switch (err) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	case ENOMEM:
		return thrd_nomem;
	default:
		return thrd_error;
	}
}

/* C11's are the same objects (glibc, nptl/thrd_priv.h). */
COHOOK_EXPORT int
mtx_lock(mtx_t *m)
{
	if (likely(!co_active))
		return real.mtx_lock(m);
	return thrd_of(pthread_mutex_lock((pthread_mutex_t *)m));
}

COHOOK_EXPORT int
mtx_timedlock(mtx_t *m, const struct timespec *ts)
{
	if (likely(!co_active))
		return real.mtx_timedlock(m, ts);
	return thrd_of(pthread_mutex_timedlock((pthread_mutex_t *)m, ts));
}

COHOOK_EXPORT int
mtx_unlock(mtx_t *m)
{
	if (likely(!co_active))
		return real.mtx_unlock(m);
	return thrd_of(pthread_mutex_unlock((pthread_mutex_t *)m));
}
