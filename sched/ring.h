/* SPDX-License-Identifier: MIT */
/* ring.h - a slot's queue: its owner puts, anybody takes.
 *
 * head and tail count for ever; what is between them is in the ring.  Only the
 * owner moves tail, and never more than CO_RING ahead of the head that it has
 * seen.  Who takes moves head by a compare and swap: if that wins, nobody has
 * taken the place since it was read, and so nobody has put there again.
 */
#ifndef COHOOK_RING_H
#define COHOOK_RING_H

#include "sched/co.h"

static inline bool
co_ring_put(struct co_slot *s, struct co *co)
{
	uint32_t h = atomic_load_explicit(&s->head, memory_order_acquire);
	uint32_t t = atomic_load_explicit(&s->tail, memory_order_relaxed);

	if (t - h >= CO_RING)
		return false;
	atomic_store_explicit(&s->ring[t % CO_RING], co, memory_order_relaxed);
	atomic_store_explicit(&s->tail, t + 1, memory_order_release);
	return true;
}

/* alone: nobody else takes, but who has the slot. */
static inline struct co *
co_ring_take(struct co_slot *s, bool alone)
{
	uint32_t h = atomic_load_explicit(&s->head, memory_order_acquire), t;
	struct co *co;

	if (alone) {
		/* No thieves; the ring goes from one owner to the next with
		 * the slot. */
		if (atomic_load_explicit(&s->tail, memory_order_relaxed) == h)
			return NULL;
		co = atomic_load_explicit(&s->ring[h % CO_RING],
					  memory_order_relaxed);
		atomic_store_explicit(&s->head, h + 1, memory_order_release);
		return co;
	}
	for (;;) {
		t = atomic_load_explicit(&s->tail, memory_order_acquire);
		if (t == h)
			return NULL;
		co = atomic_load_explicit(&s->ring[h % CO_RING],
					  memory_order_relaxed);
		if (atomic_compare_exchange_weak_explicit(&s->head, &h, h + 1,
							  memory_order_acq_rel,
							  memory_order_acquire))
			return co;
	}
}

static inline bool
co_ring_empty(struct co_slot *s)
{
	return atomic_load(&s->head) == atomic_load(&s->tail);
}

#endif
