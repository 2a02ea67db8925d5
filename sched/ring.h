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

/* How many there are now; 0: no room. */
static inline uint32_t
co_ring_put(struct co_slot *s, struct co *co)
{
	uint32_t h = atomic_load_explicit(&s->head, memory_order_acquire);
	uint32_t t = atomic_load_explicit(&s->tail, memory_order_relaxed);

	if (t - h >= CO_RING)
		return 0;
	atomic_store_explicit(&s->ring[t % CO_RING], co, memory_order_relaxed);
	atomic_store_explicit(&s->tail, t + 1, memory_order_release);
	return t + 1 - h;
}

/* Its owner says that others may take from now on: before that it takes with
 * plain stores, as it may have while others already looked. */
static inline void
co_ring_share(struct co_slot *s)
{
	atomic_store_explicit(&s->shared, 1, memory_order_release);
}

/* By its owner. */
static inline struct co *
co_ring_take(struct co_slot *s)
{
	uint32_t h = atomic_load_explicit(&s->head, memory_order_acquire), t;
	struct co *co;

	if (!atomic_load_explicit(&s->shared, memory_order_relaxed)) {
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

/* How many of them others may take.  Those of a slot that changes hands all the
 * time leave it the last, which it will have run before they could. */
static inline uint32_t
co_ring_spared(struct co_slot *s, uint32_t n)
{
	if (!atomic_load_explicit(&s->shared, memory_order_acquire))
		return 0;
	return atomic_load_explicit(&s->enough, memory_order_relaxed) == 1 ?
		       n - n / 2 :
		       n / 2;
}

/* Take half of what is there: the oldest is returned, the others go to the
 * caller's own ring, which is empty.  NULL: nothing is to be had. */
static inline struct co *
co_ring_steal(struct co_slot *to, struct co_slot *from)
{
	uint32_t at = atomic_load_explicit(&to->tail, memory_order_relaxed);
	uint32_t h, t, n, i;
	struct co *first, *co;

	/* Before its head: that is only good with it. */
	if (!atomic_load_explicit(&from->shared, memory_order_acquire))
		return NULL;
	h = atomic_load_explicit(&from->head, memory_order_acquire);
	for (;;) {
		t = atomic_load_explicit(&from->tail, memory_order_acquire);
		n = co_ring_spared(from, t - h);
		if (n == 0)
			return NULL;
		first = atomic_load_explicit(&from->ring[h % CO_RING],
					     memory_order_relaxed);
		for (i = 1; i < n; i++) {
			co = atomic_load_explicit(
				&from->ring[(h + i) % CO_RING],
				memory_order_relaxed);
			atomic_store_explicit(&to->ring[(at + i - 1) % CO_RING],
					      co, memory_order_relaxed);
		}
		if (atomic_compare_exchange_weak_explicit(
			    &from->head, &h, h + n, memory_order_acq_rel,
			    memory_order_acquire))
			break;
	}
	atomic_store_explicit(&to->tail, at + n - 1, memory_order_release);
	return first;
}

static inline uint32_t
co_ring_len(struct co_slot *s)
{
	uint32_t h = atomic_load(&s->head);

	return atomic_load(&s->tail) - h;
}

static inline bool
co_ring_empty(struct co_slot *s)
{
	return atomic_load(&s->head) == atomic_load(&s->tail);
}

#endif
