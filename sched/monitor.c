/* SPDX-License-Identifier: MIT */
/* monitor.c - taking over: one worker always runs coroutines or polls.
 *
 * Every ROUND it looks at each slot.  One whose holder has been out in the
 * program, or in a system call, since the last look is given to another
 * kernel thread.  When all slots have been idle for a while it sleeps until a
 * worker finds something to do again: an idle process wakes never.
 *
 * Taking is an asymmetric Dekker: the holder stores "in" and loads "take" with
 * no barrier between, many million times a second; we store "take", have the
 * kernel put a barrier into every thread (membarrier(2)), and load "in".
 */
#include <linux/membarrier.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/log.h"

enum {
	ROUND = 10 * 1000 * 1000, /* ns */
	QUIET = 5,                /* idle rounds before it sleeps */
	STACK = 128 * 1024,
};

static _Atomic int started;
static _Atomic uint32_t asleep;   /* futex */
static _Atomic uint32_t poked;    /* futex: cut the round short */
static int busy;

static bool
take(struct co_slot *s, struct co_m *m)
{
	uint32_t tick = atomic_load(&s->tick);

	atomic_store(&m->take, CO_TAKE_ASKED);
	if (sys2(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) != 0 ||
	    atomic_load(&m->in) != 0 || atomic_load(&s->tick) != tick ||
	    atomic_load(&s->m) != m) {
		atomic_store(&m->take, CO_TAKE_NO);
		return false;
	}
	atomic_store(&s->m, NULL);
	atomic_store(&m->take, CO_TAKE_DONE);
	return true;
}

static void
look(struct co_slot *s)
{
	struct co_m *m = atomic_load(&s->m);
	uint32_t tick = atomic_load(&s->tick);
	struct co *co;

	if (m == NULL) {
		/* Given up by a region for which there was no thread. */
		co_slot_hand_over(s);
		busy = 1;
		return;
	}
	if (atomic_load(&s->idle))
		return;
	busy = 1;
	if (tick != s->seen_tick) {
		s->seen_tick = tick;
		return;
	}
	if (atomic_load(&co_count) < 2)
		return;
	co = m->cur;
	if (!take(s, m))
		return;
	co_trace("took over from coroutine %ld (%s)",
		 co ? (long)co->id : 0L,
		 co && co->why ? co->why : "running");
	co_slot_hand_over(s);
}

static void *
monitor(void *arg)
{
	struct timespec until;
	int64_t t;
	int quiet = 0;

	(void)arg;
	for (;;) {
		busy = 0;
		co_each_slot(look);
		quiet = busy ? 0 : quiet + 1;
		if (quiet < QUIET) {
			t = co_now() + ROUND;
			until.tv_sec = t / 1000000000;
			until.tv_nsec = t % 1000000000;
			sys_futex_wait(&poked, 0, &until);
			atomic_store(&poked, 0);
			continue;
		}
		/* Say so, then look once more: a worker that left its idle
		 * state before it could see us asleep is busy by now. */
		atomic_store(&asleep, 1);
		busy = 0;
		co_each_slot(look);
		while (!busy && atomic_load(&asleep))
			sys_futex_wait(&asleep, 1, NULL);
		atomic_store(&asleep, 0);
		quiet = 0;
	}
	return NULL;
}

void
co_monitor_start(void)
{
	static struct co_stack stack;
	uint64_t all = ~UINT64_C(0), old;
	pthread_attr_t attr;
	pthread_t th;
	int err;

	if (atomic_load_explicit(&started, memory_order_relaxed) ||
	    atomic_exchange(&started, 1))
		return;
	if (co_stack_get(&stack, STACK, 4096) != 0)
		goto fail;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack.base, stack.size);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sys_sigmask(SIG_BLOCK, &all, &old);
	co_tls.nopark++;
	err = co_libc.create(&th, &attr, monitor, NULL);
	co_tls.nopark--;
	sys_sigmask(SIG_SETMASK, &old, NULL);
	if (err == 0)
		return;
	co_stack_put(&stack, 0);
fail:
	atomic_store(&started, 0);
	co_log(CO_WARN, "no thread for the monitor: what blocks now holds up "
			"the others");
}

void
co_monitor_nudge(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&asleep, memory_order_relaxed)) {
		atomic_store(&asleep, 0);
		sys_futex_wake(&asleep, 1);
	}
}

bool
co_monitor_runs(void)
{
	return atomic_load_explicit(&started, memory_order_relaxed);
}

void
co_monitor_poke(void)
{
	atomic_store(&poked, 1);
	sys_futex_wake(&poked, 1);
	co_monitor_nudge();
}

void
co_monitor_forked(void)
{
	poked = 0;
	started = 0;
	asleep = 0;
}
