/* SPDX-License-Identifier: MIT */
/* cputimer.c - timers by a thread's CPU clock: the kernel counts the time of the
 * kernel thread that it has got for this, which knows nothing of the thread's
 * life before.  How long a timer is to run is the same to both; at which time
 * of its clock is not.
 */
#include "hook/calls.h"
#include "hook/wait.h"

/* One that was made by such a clock, and how far that was ahead of the kernel's:
 * for ever, as the kernel thread is the thread's alone.  Without a lock, so that
 * a fork finds none held; never freed, and 0 is nobody's. */
struct ahead {
	struct ahead *next;
	_Atomic uintptr_t timer;
	_Atomic int64_t ns;
};
static _Atomic(struct ahead *) all;

/* 0, which libc gives too, is somebody's. */
static uintptr_t
key(timer_t t)
{
	return (uintptr_t)t + 1;
}

static struct ahead *
find(uintptr_t timer)
{
	struct ahead *a;

	for (a = atomic_load(&all); a != NULL; a = a->next)
		if (atomic_load(&a->timer) == timer)
			break;
	return a;
}

static struct ahead *
take_free(uintptr_t timer)
{
	struct ahead *a;
	uintptr_t none;

	for (a = atomic_load(&all); a != NULL; a = a->next) {
		none = 0;
		if (atomic_compare_exchange_strong(&a->timer, &none, timer))
			return a;
	}
	a = co_alloc(sizeof(*a));
	if (a == NULL)
		return NULL;
	atomic_store(&a->timer, timer);
	a->next = atomic_load(&all);
	while (!atomic_compare_exchange_weak(&all, &a->next, a))
		;
	return a;
}

void
co_cpu_timer_made(timer_t t, struct co *co)
{
	uintptr_t timer = key(t);
	struct ahead *a = find(timer); /* of one that is deleted */
	int64_t used;

	if (co == NULL || co->pinned == NULL) {
		if (a != NULL)
			atomic_store(&a->timer, 0);
		return;
	}
	if (a == NULL && (a = take_free(timer)) == NULL)
		return;
	/* In this order, for a timer may be late, and never early. */
	used = co_cpu_time(co);
	a->ns = used -
		co_cpu_of_kernel(co == co_tls.self ? 0 : co->pinned->tid);
}

/* To the kernel's clock; the past is now, and 0 would be never. */
static void
shift(struct timespec *ts, int64_t ns)
{
	enum { SECOND = 1000000000 };

	if ((ts->tv_sec == 0 && ts->tv_nsec == 0) || ts->tv_sec < 0 ||
	    ts->tv_nsec < 0 || ts->tv_nsec >= SECOND ||
	    ts->tv_sec > INT64_MAX / SECOND - 1)
		return;
	ns = ts->tv_sec * INT64_C(1000000000) + ts->tv_nsec - ns;
	if (ns <= 0)
		ns = 1;
	ts->tv_sec = ns / SECOND;
	ts->tv_nsec = ns % SECOND;
}

COHOOK_EXPORT int
timer_settime(timer_t t, int flags, const struct itimerspec *to,
	      struct itimerspec *old)
{
	struct itimerspec mine;
	struct ahead *a;

	if (likely(!(flags & TIMER_ABSTIME)) || atomic_load(&all) == NULL ||
	    (a = find(key(t))) == NULL || !co_get(&mine, to, sizeof(mine)))
		return real.timer_settime(t, flags, to, old);
	shift(&mine.it_value, a->ns);
	return real.timer_settime(t, flags, &mine, old);
}
CO_CALL(timer_settime);
