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

/* The routine that this thread is in, innermost first; each lies on the stack
 * of its once_(). */
struct run {
	void (*fn)(void);
	int *control;
	struct run *outer;
};
static __thread struct run *run;

static void
routine(void)
{
	struct run *r = run;

	in_progress = *r->control;
	r->fn();
}

static void
leave(void)
{
	struct run *r = run;

	run = r->outer;
	co_lot_wake(r->control, INT_MAX);
}

/* An exception or a cancellation that leaves the routine has gone through
 * glibc's pthread_once(), which has put the control back, and comes to
 * once_(): who waits is woken, and it goes on.  The one thing that is asked of
 * a personality routine with nothing to catch (Itanium C++ ABI, 1.6); no
 * library is needed for that.  Returns _URC_CONTINUE_UNWIND. */
int co_once_unwound(int version, int actions, uint64_t class, void *what,
		    void *context);
int
co_once_unwound(int version, int actions, uint64_t class, void *what,
		void *context)
{
	enum { CLEANUP_PHASE = 2, CONTINUE_UNWIND = 8 };

	(void)version, (void)class, (void)what, (void)context;
	if (actions & CLEANUP_PHASE)
		leave();
	return CONTINUE_UNWIND;
}

/* 0x1b: the distance to it, in four bytes (DW_EH_PE_pcrel, _sdata4). */
__attribute__((noinline)) static int
once_(int *control, void (*fn)(void))
{
	struct run this = { fn, control, run };
	int r;

	__asm__ volatile(".cfi_personality 0x1b, co_once_unwound");
	run = &this;
	r = real.pthread_once(control, routine);
	leave();
	return r;
}

COHOOK_EXPORT int
pthread_once(pthread_once_t *once, void (*fn)(void))
{
	struct co_lot_wait w;
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
		co_lot_park(&w, CO_FOREVER, "pthread_once", false);
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
