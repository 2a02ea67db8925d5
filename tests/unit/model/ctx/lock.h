/* SPDX-License-Identifier: MIT */
/* lock.h - in ctx/lock.h's place: a lock is one step, and waited for by the
 * explorer. */
#ifndef COHOOK_LOCK_H
#define COHOOK_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct co_lock {
	uint32_t word;
};

void model_lock(struct co_lock *l);
void model_unlock(struct co_lock *l);
#define co_lock(l) model_lock(l)
#define co_unlock(l) model_unlock(l)
#define co_unlock_fence(l) model_unlock(l)

#endif
