/* SPDX-License-Identifier: MIT */
/* spin.c - glibc's spin locks: who finds one taken gives way soon, for its
 * owner may be in the queue behind the caller. */
#include "hook/wait.h"

enum {
	SPINS = 50,      /* before the first that gives way: the owner may run
	                  * on another kernel thread */
	YIELDS = 200,    /* before it sleeps between tries */
	NAP = 50 * 1000, /* ns */
};

static void
relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

COHOOK_EXPORT int
pthread_spin_lock(pthread_spinlock_t *l)
{
	int i;

	if (likely(co_here() == NULL))
		return real.pthread_spin_lock(l);
	for (i = 0; i < SPINS; i++) {
		if (real.pthread_spin_trylock(l) == 0)
			return 0;
		relax();
	}
	for (i = 0; real.pthread_spin_trylock(l) != 0; i++)
		if (i < YIELDS)
			co_yield();
		else
			co_sleep(co_now() + NAP, "pthread_spin_lock", false);
	return 0;
}

COHOOK_EXPORT int
pthread_spin_trylock(pthread_spinlock_t *l)
{
	return real.pthread_spin_trylock(l);
}
