/* SPDX-License-Identifier: MIT */
/* barrier.c - barriers: ours, in the program's object.
 *
 * glibc's barrier can only be waited for in the kernel, so private ones are
 * counted here, waking by the lot, also while the runtime does not stand.
 * glibc uses the first 20 of the 32 bytes; the tag is behind them. */
#include <string.h>

#include "hook/lock.h"

struct barrier {
	struct co_lock lock;
	uint32_t count, arrived;
	_Atomic uint32_t round;
	uint32_t inside;       /* threads not yet out of wait() */
	uint32_t pad;
	uint64_t tag;
};
_Static_assert(sizeof(struct barrier) <= sizeof(pthread_barrier_t),
	       "a barrier of ours fits into the program's");

#define OURS UINT64_C(0x636f686f6f6b6272)

COHOOK_EXPORT int
pthread_barrier_init(pthread_barrier_t *o, const pthread_barrierattr_t *attr,
		     unsigned n)
{
	struct barrier *b = (struct barrier *)o;
	int pshared = PTHREAD_PROCESS_PRIVATE, r;

	r = real.pthread_barrier_init(o, attr, n);
	if (r != 0)
		return r;
	if (!co_may_start()) {
		b->tag = 0;
		return 0;
	}
	if (attr != NULL)
		pthread_barrierattr_getpshared(attr, &pshared);
	if (pshared == PTHREAD_PROCESS_SHARED) {
		b->tag = 0;
		return 0;
	}
	memset(b, 0, sizeof(*b));
	b->count = n;
	b->tag = OURS;
	return 0;
}

COHOOK_EXPORT int
pthread_barrier_wait(pthread_barrier_t *o)
{
	struct barrier *b = (struct barrier *)o;
	struct co_lot_wait w;
	uint32_t round;
	int saved = errno, r;

	if (b->tag != OURS) {
		co_region_begin("pthread_barrier_wait", true);
		r = real.pthread_barrier_wait(o);
		co_region_end();
		return r;
	}
	co_critical_begin();
	co_lock(&b->lock);
	round = b->round;
	b->inside++;
	if (++b->arrived == b->count) {
		b->arrived = 0;
		atomic_store(&b->round, round + 1);
		b->inside--;
		co_unlock(&b->lock);
		co_critical_end();
		/* Who left may have destroyed it: only its address is used. */
		co_lot_wake(b, INT_MAX);
		return PTHREAD_BARRIER_SERIAL_THREAD;
	}
	co_unlock(&b->lock);
	co_critical_end();
	while (atomic_load(&b->round) == round) {
		co_lot_enter(&w, b, 0, false);
		if (atomic_load(&b->round) != round) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			break;
		}
		co_lot_park(&w, CO_FOREVER, "pthread_barrier_wait", false);
	}
	co_critical_begin();
	co_lock(&b->lock);
	b->inside--;
	co_unlock(&b->lock);
	co_critical_end();
	co_lot_wake(&b->inside, INT_MAX);
	errno = saved;
	return 0;
}

/* May be called as soon as one thread has come out of the last round: it waits
 * for the others, pthread_barrier_destroy(3p). */
COHOOK_EXPORT int
pthread_barrier_destroy(pthread_barrier_t *o)
{
	struct barrier *b = (struct barrier *)o;
	struct co_lot_wait w;
	bool out;

	if (b->tag != OURS)
		return real.pthread_barrier_destroy(o);
	if (b->arrived != 0)
		return EBUSY;
	for (;;) {
		co_lot_enter(&w, &b->inside, 0, false);
		co_critical_begin();
		co_lock(&b->lock);
		out = b->inside == 0;
		co_unlock(&b->lock);
		co_critical_end();
		if (out)
			break;
		co_lot_park(&w, CO_FOREVER, "pthread_barrier_destroy", false);
	}
	co_disarm(w.parker);
	co_lot_leave(&w);
	b->tag = 0;
	return 0;
}
