/* SPDX-License-Identifier: MIT */
/* sched.c - the CPU given up and taken: switches, parking, yielding. */
#include <errno.h>
#include <linux/membarrier.h>

#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/watch.h"
#include "sched/work.h"

__thread struct co_tls co_tls;
int co_active;

_Alignas(64) _Atomic int64_t co_clock;

int64_t
co_now(void)
{
	struct timespec ts;

	/* Not what others preloaded make of it: the kernel is to wait by it. */
	co_libc.clock(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* --- entering and leaving --- */

/* Taking over is an asymmetric Dekker: the holder stores "in" and loads "take"
 * with no barrier between, many million times a second; the monitor stores
 * "take", has the kernel put a barrier into every thread (membarrier(2)), and
 * loads "in".
 *
 * s goes from m to next in one step: a slot that is nobody's is for any kernel
 * thread that has none, and then it would have two. */
bool
co_take(struct co_slot *s, struct co_m *m, struct co_m *next)
{
	uint32_t tick = atomic_load(&s->tick);

	atomic_store(&m->take, CO_TAKE_ASKED);
	if (sys2(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) != 0 ||
	    atomic_load(&m->in) != 0 || atomic_load(&s->tick) != tick ||
	    atomic_load(&s->m) != m) {
		atomic_store(&m->take, CO_TAKE_NO);
		return false;
	}
	atomic_store(&s->m, next);
	atomic_store(&m->take, CO_TAKE_DONE);
	return true;
}

/* The monitor asked for our slot while we were out. */
void
co_settle(struct co_m *m)
{
	int take;

	while ((take = atomic_load_explicit(&m->take, memory_order_acquire)) ==
	       CO_TAKE_ASKED)
		sys0(SYS_sched_yield);
	if (take == CO_TAKE_DONE) {
		m->slot = NULL;
		atomic_store_explicit(&m->take, CO_TAKE_NO,
				      memory_order_relaxed);
		if (__builtin_expect(co_watch, 0))
			co_watch_back(m);
	}
}

/* --- switching --- */

void
co_switch_to(struct co_m *m, struct co *self, struct co *next)
{
	struct co_ctx *from = self ? &self->tcb.ctx : &m->idle;
	struct co_ctx *to = next ? &next->tcb.ctx : &m->idle;

	if (next != NULL) {
		next->m = m;
		m->cur = next;
		atomic_store_explicit(&next->state, CO_S_RUNNING,
				      memory_order_relaxed);
		atomic_store_explicit(
			&m->slot->tick,
			atomic_load_explicit(&m->slot->tick,
					     memory_order_relaxed) +
				1,
			memory_order_relaxed);
	} else {
		m->cur = NULL;
	}
	co_sig_switch(m, self, next);
	if (__builtin_expect(co_cpu_level, 0))
		co_cpu_switch(m, self);
	CO_PROBE2(switch, self ? self->id : 0, next ? next->id : 0);
	co_ctx_switch(from, to);
	co_after_switch();
}

void
co_after_switch(void)
{
	struct co_m *m = co_m();
	struct co *prev = m->prev;
	uint32_t armed = CO_ARMED;

	if (prev == NULL)
		return;
	m->prev = NULL;
	switch (m->act) {
	case CO_ACT_PARK:
		atomic_store_explicit(&prev->state, CO_S_PARKED,
				      memory_order_relaxed);
		if (!atomic_compare_exchange_strong(&prev->parker.state, &armed,
						    CO_PARKED))
			co_ready(prev);
		break;
	case CO_ACT_YIELD:
		co_ready(prev);
		break;
	case CO_ACT_GONE:
		co_gone(prev);
		break;
	}
}

void
co_give_way(struct co *self, int act)
{
	struct co_m *m = self->m;
	struct co *next = NULL;

	if (m->slot != NULL)
		next = co_pick(m);
	else if (co_cpu_level == 0)
		/* The monitor has not looked at it since it took the slot. */
		co_cpu_sample(m, self, co_cpu_of_kernel(0));
	if (next == self)
		co_die("coroutine %ld is in a run queue while it runs",
		       (long)self->id);
	m->prev = self;
	m->act = act;
	co_switch_to(m, self, next);
}

void
co_rest(void)
{
	co_enter();
	co_give_way(co_tls.self, CO_ACT_GONE);
	co_exit();
}

void
co_vanish(void)
{
	struct co *self = co_tls.self;

	co_enter();
	co_give_way(self, CO_ACT_GONE);
	co_die("coroutine %ld came back from the dead", (long)self->id);
}

/* --- parking --- */

struct co_parker *
co_parker(void)
{
	struct co *self = co_tls.self;

	if (self == NULL || (co_tls.nopark > 0 && self->pinned == NULL))
		return &co_tls.parker;
	return &self->parker;
}

void
co_arm(struct co_parker *p)
{
	atomic_store_explicit(&p->state, CO_ARMED, memory_order_seq_cst);
}

enum co_why
co_disarm(struct co_parker *p)
{
	uint32_t s = atomic_load_explicit(&p->state, memory_order_acquire);

	/* A claim is the last that anybody does to it. */
	if ((s & 0xff) == CO_CLAIMED)
		atomic_store_explicit(&p->state, CO_RUN, memory_order_relaxed);
	else
		s = atomic_exchange(&p->state, CO_RUN);
	return (s & 0xff) == CO_CLAIMED ? (enum co_why)(s >> 8) : CO_NONE;
}

bool
co_claim(struct co_parker *p, enum co_why why, bool *parked)
{
	uint32_t s = atomic_load(&p->state);

	do {
		if (s != CO_ARMED && s != CO_PARKED)
			return false;
		*parked = s == CO_PARKED;
	} while (!atomic_compare_exchange_weak(
		&p->state, &s, CO_CLAIMED | (uint32_t)why << 8));
	return true;
}

void
co_wake(struct co_parker *p, bool parked)
{
	if (!parked)
		return;
	if (p->co != NULL && p->co->pinned == NULL)
		co_ready(p->co);
	else
		sys_futex_wake(&p->state, 1);
}

/* A kernel thread: asleep on its own word.  EINTR is a signal handler that has
 * run. */
static void
park_thread(struct co_parker *p, int64_t deadline, bool may_interrupt)
{
	struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };
	uint64_t handled = co_tls.handled;
	uint32_t s = CO_ARMED;
	long r;

	/* After it is armed: who nudges sets this and then claims. */
	if (atomic_load(&co_tls.nudged) && atomic_exchange(&co_tls.nudged, 0))
		co_claim_and_wake(p, CO_SIGNAL);
	if (!atomic_compare_exchange_strong(&p->state, &s, CO_PARKED))
		return;
	while (atomic_load(&p->state) == CO_PARKED) {
		r = sys_futex_wait(&p->state, CO_PARKED,
				   deadline == CO_FOREVER ? NULL : &ts);
		s = CO_PARKED;
		if (r == -ETIMEDOUT)
			atomic_compare_exchange_strong(
				&p->state, &s, CO_CLAIMED | CO_TIMEOUT << 8);
		else if (r == -EINTR && may_interrupt &&
			 (co_tls.handled != handled || !co_active))
			atomic_compare_exchange_strong(
				&p->state, &s, CO_CLAIMED | CO_SIGNAL << 8);
	}
}

void
co_nudge_thread(struct co_tls *tls)
{
	atomic_store(&tls->nudged, 1);
	co_claim_and_wake(&tls->parker, CO_SIGNAL);
}

/* Nobody sets the clock for who has run on without a slot, or has not yet seen
 * that it was taken: all others may have been asleep meanwhile. */
int64_t
co_since_now(const struct co *self)
{
	const struct co_m *m = self->m;

	if (m->slot == NULL ||
	    atomic_load_explicit(&m->take, memory_order_relaxed) != CO_TAKE_NO)
		co_clock_set();
	return co_clock_now();
}

/* A pinned coroutine: so too, but what is sent to it claims its parker, as
 * does a signal that is put off until it is out of here. */
static enum co_why
park_pinned(struct co *self, struct co_parker *p, int64_t deadline)
{
	struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };
	uint32_t s = CO_ARMED;
	enum co_why woken;
	long r;

	co_critical_begin();
	if (co_sig_any(self))
		co_claim_and_wake(p, CO_SIGNAL);
	atomic_compare_exchange_strong(&p->state, &s, CO_PARKED);
	while (atomic_load(&p->state) == CO_PARKED) {
		r = sys_futex_wait(&p->state, CO_PARKED,
				   deadline == CO_FOREVER ? NULL : &ts);
		s = CO_PARKED;
		if (r == -ETIMEDOUT)
			atomic_compare_exchange_strong(
				&p->state, &s, CO_CLAIMED | CO_TIMEOUT << 8);
	}
	woken = co_disarm(p);
	co_critical_end();
	return woken;
}

enum co_why
co_park(struct co_parker *p, int64_t deadline, const char *why, uintptr_t what,
	bool may_interrupt)
{
	struct co *self = p->co;
	enum co_why woken;
	int64_t began;

	if (self == NULL) {
		park_thread(p, deadline, may_interrupt);
		return co_disarm(p);
	}
	self->why = why;
	self->since = co_since_now(self);
	atomic_store_explicit(&self->what, what, memory_order_relaxed);
	began = co_seen_park(self, why, what, deadline);
	if (self->pinned != NULL) {
		self->parks++;
		woken = park_pinned(self, p, deadline);
		co_seen_wake(self, why, what, woken, began);
		self->why = NULL;
		return woken;
	}
	self->may_interrupt = may_interrupt;
	co_enter();
	/* One that is pending already must not wait for the next event. */
	if (co_sig_any(self))
		co_claim_and_wake(p, CO_SIGNAL);
	if (deadline != CO_FOREVER)
		co_timer_add(p, deadline);
	if (atomic_load_explicit(&p->state, memory_order_relaxed) ==
	    CO_ARMED) {
		self->parks++;
		co_give_way(self, CO_ACT_PARK);
	}
	if (deadline != CO_FOREVER)
		co_timer_del(p);
	co_exit();
	self->may_interrupt = 0;
	self->why = NULL;
	woken = co_disarm(p);
	co_seen_wake(self, why, what, woken, began);
	return woken;
}

enum co_why
co_sleep(int64_t deadline, const char *why, bool may_interrupt)
{
	struct co_parker *p = co_parker();
	enum co_why woken;

	co_arm(p);
	woken = co_park(p, deadline, why, 0, may_interrupt);
	co_sig_handle();
	return woken;
}

bool
co_yield(void)
{
	struct co *self = co_tls.self;
	bool others;

	if (self == NULL || co_tls.nopark > 0)
		return false;
	co_enter();
	/* A loop of yields alone must still see descriptors and timers. */
	if (self->m->slot != NULL && co_ring_empty(self->m->slot) &&
	    atomic_load_explicit(&co_global_n, memory_order_relaxed) == 0 &&
	    ++self->m->picks % CO_LOOK_AROUND == 0) {
		if (!co_somebody_polls())
			co_poller_wait(0);
		co_timers_run(0);
	}
	others = self->m->slot == NULL || !co_ring_empty(self->m->slot) ||
		 atomic_load_explicit(&co_global_n, memory_order_relaxed) != 0;
	if (others) {
		self->why = "sched_yield";
		co_give_way(self, CO_ACT_YIELD);
		self->why = NULL;
	}
	co_exit();
	co_sig_handle();
	return others;
}
