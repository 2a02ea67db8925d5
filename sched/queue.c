/* SPDX-License-Identifier: MIT */
/* queue.c - what is ready, and who takes it.
 *
 * A slot's ring has one owner, who puts; anybody may take. What does not fit,
 * and what is made ready by somebody without a slot, goes to the one global
 * queue.
 *
 * What is in a ring is never forgotten, for its slot is not idle: its holder
 * comes to it, or the monitor gives the slot to another.  What is in the global
 * queue is nobody's: lost wake-ups are kept out by two orders (Dekker): who
 * puts there fences, then looks for the idle; who goes idle says so, fences,
 * then looks at the queues again (idle.c).
 */
#include <string.h>

#include "sched/work.h"

struct co_slot co_slots[CO_WORKERS_MOST];
_Atomic int co_nslots = 1;
int co_nslots_most = 1;

/* Under lock. */
static struct co_lock lock;
static struct co *global_first, **global_last = &global_first;
_Atomic long co_global_n;

int
co_nworkers(void)
{
	return co_nslots_most;
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

/* Under lock, which has been seen to hold one. */
static struct co *
global_first_off(void)
{
	struct co *co = global_first;

	global_first = co->next;
	if (global_first == NULL)
		global_last = &global_first;
	atomic_fetch_sub(&co_global_n, 1);
	return co;
}

/* The oldest; and for an empty ring a fair share of the others. */
static struct co *
global_take(struct co_slot *empty)
{
	struct co *co = NULL;
	long n;

	if (atomic_load_explicit(&co_global_n, memory_order_relaxed) == 0)
		return NULL;
	co_lock(&lock);
	if (global_first != NULL)
		co = global_first_off();
	if (empty != NULL) {
		n = co_global_n / co_nslots;
		if (n > CO_RING / 2)
			n = CO_RING / 2;
		while (n-- > 0)
			co_ring_put(empty, global_first_off());
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
		co = co_ring_steal(mine, &co_slots[(mine->id + i) % co_nslots]);
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

bool
co_work_for(struct co_slot *mine)
{
	int i;

	if (atomic_load(&co_global_n) != 0 || !co_ring_empty(mine))
		return true;
	for (i = 1; i < co_nslots; i++) {
		struct co_slot *s = &co_slots[(mine->id + i) % co_nslots];

		if (co_ring_spared(s, co_ring_len(s)) != 0)
			return true;
	}
	return false;
}

/* n are queued in m's ring now, and m runs on: is somebody idle to help?  Only a
 * matter of speed, for m will come to them, or be relieved by the monitor.
 *
 * To wake a kernel thread takes longer than most coroutines run, and who makes
 * one ready mostly waits next.  So a slot that changes hands all the time calls
 * for help when a heap has grown; one with something heavy on it, at once. */
static void
call_for_help(struct co_m *m, uint32_t n)
{
	uint32_t enough;

	if (atomic_load_explicit(&co_nidle, memory_order_relaxed) == 0)
		return;
	enough = atomic_load_explicit(&m->slot->enough, memory_order_relaxed);
	/* In its own context it takes the first itself, now. */
	if (enough == 1 && co_tls.self == NULL)
		enough = 2;
	if (n >= enough)
		co_kick_idle(false);
}

void
co_ready(struct co *co)
{
	struct co_m *m;
	uint32_t n;

	co_enter();
	m = co_m();
	atomic_store_explicit(&co->state, CO_S_READY, memory_order_relaxed);
	if (m == NULL || m->slot == NULL ||
	    (n = co_ring_put(m->slot, co)) == 0) {
		global_put(co);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&co_nidle) > 0)
			co_kick_idle(false);
	} else if (co_nslots > 1 || co_tls.self == NULL) {
		if (atomic_load_explicit(&m->slot->idle,
					 memory_order_relaxed)) {
			/* A signal handler over our own idle loop. */
			atomic_store(&m->wake, 1);
			co_poller_kick();
		} else if (co_nslots > 1) {
			call_for_help(m, n);
		}
	}
	co_exit();
}

/* With many coroutines a stack is a miss of the caches, and of the tables that
 * lead to its page: ask for the next one's while this one runs, and before that
 * for the struct that says where it is. */
static void
prefetch(struct co_slot *s)
{
	enum { STACK = 1, STRUCT = 4, LINE = 64, LINES = 6 };
	uint32_t h = atomic_load_explicit(&s->head, memory_order_relaxed);
	uint32_t n = atomic_load_explicit(&s->tail, memory_order_relaxed) - h;
	const char *at;
	int i;

	/* Others may take from the ring meanwhile: what was in it lives. */
	if (n > STACK && n <= CO_RING) {
		at = atomic_load_explicit(&s->ring[(h + STACK) % CO_RING],
					  memory_order_relaxed)
			     ->tcb.ctx.sp;
		for (i = 0; i < LINES; i++)
			__builtin_prefetch(at + i * LINE);
	}
	if (n > STRUCT && n <= CO_RING) {
		at = (const char *)atomic_load_explicit(
			&s->ring[(h + STRUCT) % CO_RING], memory_order_relaxed);
		for (i = 0; i < 3; i++)
			__builtin_prefetch(at + i * LINE);
	}
}

/* Fewer of them than this make up HELP (monitor.c): they take 10 us or more. */
enum { LONG_RUNS = 10 };

struct co *
co_pick(struct co_m *m)
{
	struct co_slot *s = m->slot;
	struct co *co;

	if (++m->picks % CO_LOOK_AROUND == 0 ||
	    atomic_load_explicit(&s->look, memory_order_relaxed)) {
		atomic_store_explicit(&s->look, 0, memory_order_relaxed);
		if (!co_somebody_polls())
			co_poller_wait(0);
		co_timers_run(0);
		co = global_take(NULL);
		if (co != NULL)
			return co;
	} else if (atomic_load_explicit(&s->enough, memory_order_relaxed) <
		   LONG_RUNS) {
		/* To ask the clock is nothing beside what runs here, and 64 of
		 * those are long. */
		co_timers_run(0);
	}
	if (!atomic_load_explicit(&s->shared, memory_order_relaxed) &&
	    co_nslots > 1)
		co_ring_share(s);
	co = co_ring_take(s);
	if (co == NULL)
		co = global_take(s);
	prefetch(s);
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
	for (i = 0; i < CO_WORKERS_MOST; i++) {
		co_slots[i].id = i;
		co_slots[i].enough = 1;
	}
	co_nslots = 1;
}
