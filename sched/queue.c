/* SPDX-License-Identifier: MIT */
/* queue.c - what is ready, and who takes it.
 *
 * A slot's ring has one owner, who puts; anybody may take. What does not fit,
 * and what is made ready by somebody without a slot, goes to the one global
 * queue.  Lost wake-ups are kept out by two orders (Dekker): who makes ready
 * puts, fences, then looks for the idle; who goes idle says so, fences, then
 * looks at the queues again (idle.c).
 */
#include <string.h>

#include "sched/work.h"

struct co_slot co_slots[CO_WORKERS_MOST];
int co_nslots = 1;

/* Under lock. */
static struct co_lock lock;
static struct co *global_first, **global_last = &global_first;
_Atomic long co_global_n;

int
co_nworkers(void)
{
	return co_nslots;
}

void
co_each_slot(void (*f)(struct co_slot *))
{
	int i;

	for (i = 0; i < co_nslots; i++)
		f(&co_slots[i]);
}

static void
global_put(struct co *co)
{
	co->next = NULL;
	co_lock(&lock);
	*global_last = co;
	global_last = &co->next;
	atomic_fetch_add(&co_global_n, 1);
	co_unlock(&lock);
}

static struct co *
global_take(void)
{
	struct co *co;

	if (atomic_load_explicit(&co_global_n, memory_order_relaxed) == 0)
		return NULL;
	co_lock(&lock);
	co = global_first;
	if (co != NULL) {
		global_first = co->next;
		if (global_first == NULL)
			global_last = &global_first;
		atomic_fetch_sub(&co_global_n, 1);
	}
	co_unlock(&lock);
	return co;
}

struct co *
co_steal(struct co_slot *mine)
{
	struct co *co;
	int i;

	for (i = 1; i < co_nslots; i++) {
		co = co_ring_take(&co_slots[(mine->id + i) % co_nslots], false);
		if (co != NULL)
			return co;
	}
	return NULL;
}

bool
co_work_anywhere(void)
{
	int i;

	if (atomic_load(&co_global_n) != 0)
		return true;
	for (i = 0; i < co_nslots; i++)
		if (!co_ring_empty(&co_slots[i]))
			return true;
	return false;
}

void
co_ready(struct co *co)
{
	struct co_m *m;

	co_enter();
	m = co_m();
	atomic_store_explicit(&co->state, CO_S_READY, memory_order_relaxed);
	if (m == NULL || m->slot == NULL || !co_ring_put(m->slot, co)) {
		global_put(co);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&co_nidle) > 0)
			co_kick_idle();
	} else if (atomic_load_explicit(&m->slot->idle, memory_order_relaxed)) {
		/* A signal handler over our own idle loop. */
		atomic_store(&m->wake, 1);
		co_poller_kick();
	} else if (co_nslots > 1) {
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&co_nidle) > 0)
			co_kick_idle();
	}
	co_exit();
}

struct co *
co_pick(struct co_m *m)
{
	struct co_slot *s = m->slot;
	struct co *co;

	if (++m->picks % CO_LOOK_AROUND == 0) {
		if (!co_somebody_polls())
			co_poller_wait(0);
		co_timers_run(0);
		co = global_take();
		if (co != NULL)
			return co;
	}
	co = co_ring_take(s, co_nslots == 1);
	if (co == NULL)
		co = global_take();
	return co;
}

void
co_queue_forked(void)
{
	int i;

	lock.word = 0;
	global_first = NULL;
	global_last = &global_first;
	co_global_n = 0;
	memset(co_slots, 0, sizeof(co_slots));
	for (i = 0; i < co_nslots; i++)
		co_slots[i].id = i;
	co_nslots = 1;
}
