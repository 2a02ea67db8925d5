/* SPDX-License-Identifier: MIT */
/* lock.c - waiting for a lock that somebody has. */
#include "ctx/lock.h"

enum { SPINS = 100 };

void
co_lock_slow(struct co_lock *l)
{
	int i;

	for (i = 0; i < SPINS; i++) {
		if (atomic_load_explicit(&l->word, memory_order_relaxed) == 0 &&
		    co_trylock(l))
			return;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		sys_futex_wait(&l->word, 2, NULL);
}
