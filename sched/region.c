/* SPDX-License-Identifier: MIT */
/* region.c - what blocks its kernel thread: for a while, or for life. */
#include "ctx/sys.h"
#include "sched/watch.h"
#include "sched/work.h"

static void
in_region(struct co *self, uint8_t in)
{
	co_lock(&self->lock);
	self->region = in;
	co_unlock(&self->lock);
}

void
co_region_begin(const char *why, bool lasting)
{
	struct co *self = co_tls.self;
	struct co_slot *s;
	struct co_m *m, *next;

	if (self == NULL)
		return;
	self->why = why;
	self->since = co_since_now(self);
	co_seen_begin(self, why, lasting);
	if (!lasting ||
	    atomic_load_explicit(&co_count, memory_order_relaxed) < 2)
		return;
	co_enter();
	m = self->m;
	s = m->slot;
	next = s != NULL ? co_spare_take() : NULL;
	if (next != NULL) {
		/* Inside: the monitor might take it as well. */
		m->slot = NULL;
		co_spare_give(next, s);
	}
	in_region(self, 1);
	co_exit();
}

void
co_region_end(void)
{
	struct co *self = co_tls.self;

	if (self == NULL)
		return;
	co_seen_end(self);
	self->lends += self->m->slot == NULL ||
		       atomic_load_explicit(&self->m->take,
					    memory_order_relaxed) !=
			       CO_TAKE_NO;
	self->why = NULL;
	if (self->region) {
		co_critical_begin();
		in_region(self, 0);
		co_critical_end();
	}
}

/* --- a kernel thread of one's own --- */

/* What was queued for it while it was anywhere is its kernel thread's. */
static void
pass_signals_on(struct co *self, struct co_m *m)
{
	long pid = sys0(SYS_getpid);
	struct co_sig sig;

	while (co_sig_take(self, ~CO_SIGBIT(CO_SIGSETXID), &sig))
		if (sig.signo == CO_SIGCANCEL)
			sys3(SYS_tgkill, pid, m->tid, CO_SIGCANCEL);
		else
			sys4(SYS_rt_tgsigqueueinfo, pid, m->tid, sig.signo,
			     &sig.info);
}

bool
co_pin(void)
{
	enum { TRIES = 100 };
	struct co *self = co_tls.self;
	uint8_t spent = CO_LIVES;
	bool left = false;
	int i;

	if (self->pinned != NULL)
		return true;
	if (!atomic_compare_exchange_strong(&self->spent, &spent, CO_SPENT) &&
	    spent != CO_SPENT)
		return false;
	co_monitor_start();
	for (i = 0; i < TRIES && !left; i++) {
		co_spare_keep();
		co_enter();
		left = co_slot_leave(self->m);
		if (left) {
			self->m->pinned = 1;
			co_lock(&self->lock); /* whoever queues signals looks */
			self->pinned = self->m;
			co_unlock(&self->lock);
			co_tls.nopark++;
		}
		co_exit();
		if (!left)
			sys0(SYS_sched_yield);
	}
	if (left) {
		/* The kernel sees to those of its robust mutexes that name
		 * this kernel thread as their owner. */
		if (self->robust_head != NULL)
			sys2(SYS_set_robust_list, self->robust_head, 24);
		pass_signals_on(self, self->m);
		co_comm_co(self);
	}
	return left;
}
