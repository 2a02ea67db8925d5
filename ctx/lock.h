/* SPDX-License-Identifier: MIT */
/* lock.h - a mutex between kernel threads, for a few instructions at a time.
 *
 * 0 free, 1 held, 2 held and somebody sleeps for it (U. Drepper, "Futexes Are
 * Tricky", mutex2).  Its holder never parks, allocates or calls the program;
 * it can still lose the CPU, hence the futex behind the spinning.
 */
#ifndef COHOOK_LOCK_H
#define COHOOK_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

#include "ctx/sys.h"

struct co_lock {
	_Atomic uint32_t word;
};

void co_lock_slow(struct co_lock *l);

static inline void
co_lock(struct co_lock *l)
{
	uint32_t free_ = 0;

	co_faulty_lock();
	if (!atomic_compare_exchange_strong_explicit(&l->word, &free_, 1,
						     memory_order_acquire,
						     memory_order_relaxed))
		co_lock_slow(l);
}

static inline int
co_trylock(struct co_lock *l)
{
	uint32_t free_ = 0;

	return atomic_compare_exchange_strong_explicit(&l->word, &free_, 1,
						       memory_order_acquire,
						       memory_order_relaxed);
}

static inline void
co_unlock(struct co_lock *l)
{
	if (atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2)
		sys_futex_wake(&l->word, 1);
	co_faulty_unlock();
}

/* And a full barrier: what was done under the lock is there for all, before the
 * caller looks at anything else.  On x86 the exchange is one. */
static inline void
co_unlock_fence(struct co_lock *l)
{
	co_unlock(l);
#ifdef __x86_64__
	atomic_signal_fence(memory_order_seq_cst);
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif
