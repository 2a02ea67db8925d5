/* SPDX-License-Identifier: MIT */
/* lot.c - buckets of waiters, by address. */
#include <string.h>

#include "sched/lot.h"

enum { BUCKETS = 1 << 13 };

struct bucket {
	struct co_lock lock;
	_Atomic uint32_t n; /* waiters; written under the lock */
	struct co_lot_wait *first, **last;
} __attribute__((aligned(64)));

static struct bucket buckets[BUCKETS];

static struct bucket *
bucket_of(uintptr_t addr)
{
	return &buckets[(addr >> 2) * UINT64_C(0x9e3779b97f4a7c15) >>
			(64 - 13)];
}

/* Both under the bucket's lock. */
static void
count(struct bucket *b, uint32_t more)
{
	atomic_store_explicit(
		&b->n, atomic_load_explicit(&b->n, memory_order_relaxed) + more,
		memory_order_relaxed);
}

static void
unlink_wait(struct bucket *b, struct co_lot_wait *w)
{
	*w->prev = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		b->last = w->prev;
	w->prev = NULL;
	count(b, -1U);
}

/* Under the bucket's lock. */
static void
link_last(struct bucket *b, struct co_lot_wait *w)
{
	w->next = NULL;
	w->prev = b->last;
	*b->last = w;
	b->last = &w->next;
}

void
co_lot_note(struct co_lot_wait *w, const void *addr, int tag)
{
	struct bucket *b = bucket_of((uintptr_t)addr);

	w->parker = NULL;
	w->addr = (uintptr_t)addr;
	w->tag = tag;
	w->lost = false;
	co_critical_begin();
	co_lock(&b->lock);
	if (b->last == NULL)
		b->last = &b->first;
	link_last(b, w);
	count(b, 1);
	co_unlock(&b->lock);
	co_critical_end();
}

void
co_lot_enter(struct co_lot_wait *w, const void *addr, int tag, bool lost)
{
	struct bucket *b = bucket_of((uintptr_t)addr);

	w->parker = co_parker();
	w->addr = (uintptr_t)addr;
	w->tag = tag;
	w->lost = lost;
	co_critical_begin();
	co_arm_before_fence(w->parker);
	co_lock(&b->lock);
	if (b->last == NULL)
		b->last = &b->first;
	if (lost) {
		w->next = b->first;
		w->prev = &b->first;
		if (w->next != NULL)
			w->next->prev = &w->next;
		else
			b->last = &w->next;
		b->first = w;
	} else {
		link_last(b, w);
	}
	count(b, 1);
	/* Before the caller tries again; the other half is in co_lot_any(). */
	co_unlock_fence(&b->lock);
	co_critical_end();
}

void
co_lot_leave(struct co_lot_wait *w)
{
	struct bucket *b = bucket_of(w->addr);

	co_critical_begin();
	co_lock(&b->lock);
	if (w->prev != NULL)
		unlink_wait(b, w);
	co_unlock(&b->lock);
	co_critical_end();
}

bool
co_lot_any(const void *addr)
{
	/* After the caller's change; the other half is in co_lot_enter(). */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&bucket_of((uintptr_t)addr)->n,
				    memory_order_relaxed) != 0;
}

static int
wake(const void *addr, int n, bool *lost)
{
	struct bucket *b = bucket_of((uintptr_t)addr);
	struct co_lot_wait *w, *next;
	struct co_parker *p;
	bool parked, had_lost;
	int woken = 0;

	co_critical_begin();
	co_lock(&b->lock);
	for (w = b->first; w != NULL && woken < n; w = next) {
		next = w->next;
		if (w->addr != (uintptr_t)addr)
			continue;
		/* Out of the list before it may run: w is on its stack. */
		p = w->parker;
		had_lost = w->lost;
		unlink_wait(b, w);
		if (co_claim(p, CO_WOKEN, &parked)) {
			woken++;
			*lost |= had_lost;
			co_wake(p, parked);
		}
	}
	co_unlock(&b->lock);
	co_critical_end();
	return woken;
}

int
co_lot_wake(const void *addr, int n)
{
	bool lost = false;

	return co_lot_any(addr) ? wake(addr, n, &lost) : 0;
}

bool
co_lot_wake_fair(const void *addr, int n)
{
	bool lost = false;

	if (co_lot_any(addr))
		wake(addr, n, &lost);
	return lost;
}

bool
co_lot_tag(const void *addr, int tag)
{
	struct bucket *b = bucket_of((uintptr_t)addr);
	struct co_lot_wait *w;
	bool found = false;

	if (!co_lot_any(addr))
		return false;
	co_critical_begin();
	co_lock(&b->lock);
	for (w = b->first; w != NULL && !found; w = w->next)
		found = w->addr == (uintptr_t)addr && w->tag == tag;
	co_unlock(&b->lock);
	co_critical_end();
	return found;
}

enum co_why
co_lot_sleep(struct co_lot_wait *w, int64_t deadline, const char *why,
	     bool may_interrupt)
{
	struct co *co = w->parker->co;
	enum co_why r;

	if (co != NULL)
		co->by_address = 1;
	r = co_park(w->parker, deadline, why, w->addr, may_interrupt);
	if (co != NULL)
		co->by_address = 0;
	return r;
}

enum co_why
co_lot_park(struct co_lot_wait *w, int64_t deadline, const char *why,
	    bool may_interrupt)
{
	enum co_why r = co_lot_sleep(w, deadline, why, may_interrupt);

	/* Who has woken it had taken it off before, and has done with it. */
	if (r != CO_WOKEN)
		co_lot_leave(w);
	co_sig_handle();
	return r;
}

void
co_lot_forked(void)
{
	memset(buckets, 0, sizeof(buckets));
}
