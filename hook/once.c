/* SPDX-License-Identifier: MIT */
/* once.c - pthread_once: glibc runs the routine; who comes meanwhile parks. */
#include "hook/lock.h"

/* What a control holds while its routine runs: the process's fork generation
 * and a bit.  The first routine that runs tells us; a fork moves it on, and
 * controls left from before mean nothing (pthread_once(3p), glibc). */
static _Atomic int in_progress;

void co_once_forked(void);
void
co_once_forked(void)
{
	in_progress = 0;
}

struct run {
	void (*fn)(void);
	int *control;
};
static __thread struct run run;

static void
routine(void)
{
	struct run r = run;

	in_progress = *r.control;
	r.fn();
}

static int
once_(int *control, void (*fn)(void))
{
	struct run before = run;
	int r;

	run.fn = fn;
	run.control = control;
	r = real.pthread_once(control, routine);
	run = before;
	co_lot_wake(control, INT_MAX);
	return r;
}

/* A routine that is left by an exception or a cancellation wakes nobody here,
 * for that takes a personality routine, and with it another library: who waits
 * looks again now and then. */
enum { AGAIN_FIRST = 10 * 1000 * 1000, AGAIN_MOST = 640 * 1000 * 1000 };

COHOOK_EXPORT int
pthread_once(pthread_once_t *once, void (*fn)(void))
{
	struct co_lot_wait w;
	int64_t again = AGAIN_FIRST;
	int v;

	if (likely(!co_active))
		return real.pthread_once(once, fn);
	for (;;) {
		v = atomic_load_explicit((_Atomic int *)once,
					 memory_order_acquire);
		if (v == 2)
			return 0;
		if (v == 0 || v != in_progress)
			return once_(once, fn);
		co_lot_enter(&w, once, 0, false);
		if (atomic_load((_Atomic int *)once) != v) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			continue;
		}
		co_lot_park(&w, co_deadline_after(again), "pthread_once",
			    false);
		if (again < AGAIN_MOST)
			again *= 2;
	}
}
COHOOK_ALIAS(__pthread_once, pthread_once);

COHOOK_EXPORT void
call_once(once_flag *once, void (*fn)(void))
{
	if (likely(!co_active)) {
		real.call_once(once, fn);
		return;
	}
	pthread_once((pthread_once_t *)once, fn);
}
