/* SPDX-License-Identifier: MIT */
/* lock.h - what the families of locks share. */
#ifndef COHOOK_HOOK_LOCK_H
#define COHOOK_HOOK_LOCK_H

#include <limits.h>

#include "hook/wait.h"
#include "sched/lot.h"

static inline bool
co_lock_clock(clockid_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC;
}

/* addr can be had: wake up to n of those who wait for it, and let those in
 * who have waited for long. */
static inline void
co_let_in(const void *addr, int n)
{
	if (co_lot_wake_fair(addr, n) && co_here() != NULL)
		co_yield();
}

/* Around each call of glibc's that locks or unlocks m: the caller is then one
 * that the kernel knows, if it must be (owner.c). */
bool co_owner_begin(const pthread_mutex_t *m);
void co_owner_end(bool begun);

/* Wait for m in the lot; what its trylock says in the end, or ETIMEDOUT. */
int co_mutex_wait(pthread_mutex_t *m, int64_t deadline);

/* Lock and unlock as our hooks do, for the condition variables. */
int co_mutex_lock(pthread_mutex_t *m);
int co_mutex_unlock(pthread_mutex_t *m);

/* glibc keeps some facts where no header says: they are found at start by
 * making one object with and one without.  (layout.c) */
bool co_cond_monotonic(const pthread_cond_t *c);
bool co_cond_pshared(const pthread_cond_t *c);
bool co_sem_pshared(const sem_t *s);
void co_layout_init(void);
void co_holder_init(void);

#endif
