/* SPDX-License-Identifier: MIT */
/* start.c - the first coroutine and the first kernel threads; and what is left
 * of them after a fork. */
#include <linux/membarrier.h>

#include <string.h>

#include "ctx/sys.h"
#include "sched/work.h"

static void *
m0_main(void *arg)
{
	struct co_m *m = arg;

	sys2(SYS_set_robust_list, m->robust_head, 24);
	/* glibc's start code has set its creator's mask. */
	m->kmask = ~co_sig_idle_mask();
	co_sig_idle(m, true);
	co_m_loop(m);
	return NULL;
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* The main thread's kernel thread is the first m; its own context needs a
 * thread block of its own, since main takes its block along. */
int
co_start(int workers)
{
	static struct co_tcb tcb;
	struct co_m *m;
	struct co_stack stack;
	struct co_tls *tls;
	struct co *co;
	pthread_attr_t attr;
	uint64_t all = ~UINT64_C(0), old;
	size_t len;
	int i, err;

	if (workers > CO_WORKERS_MOST)
		workers = CO_WORKERS_MOST;
	co_nslots_most = workers > 0 ? workers : 1;
	co_comm_init();
	m = co_m_new();
	co = co_main_co();
	if (m == NULL || co == NULL || co_timer_reserve(2) != 0 ||
	    co_poller_init() != 0)
		return -1;
	if (co_stack_get(&stack, CO_M_STACK + co_tcb_room(), 4096) != 0)
		return -1;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack.base, stack.size);
	tcb.tid = (1 << 22) - 1;
	tcb.first = nothing;
	/* It begins to run when main first waits: by then the program may
	 * have blocked what kills it now. */
	sys_sigmask(SIG_BLOCK, &all, &old);
	err = co_tcb_create(&tcb, &attr, m0_main, m);
	sys_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0) {
		co_stack_put(&stack, 0);
		return -1;
	}
	m->idle = tcb.ctx;
	m->stack = stack;
	m->tid = (int)sys0(SYS_gettid);
	sys3(SYS_get_robust_list, 0, &m->robust_head, &len);
	co->robust_head = m->robust_head;
	/* glibc's block is the same in all threads. */
	co->tcb.clear_tid =
		(int *)(co_ctx_tp() + ((uintptr_t)tcb.clear_tid - tcb.ctx.tp));
	tls = (struct co_tls *)(tcb.ctx.tp +
				((uintptr_t)&co_tls - co_ctx_tp()));
	tls->m = m;
	tls->critical = 1;
	for (i = 0; i < CO_WORKERS_MOST; i++) {
		co_slots[i].id = i;
		co_slots[i].enough = 1; /* until the monitor knows */
	}
	atomic_store(&co_slots[0].m, m);
	m->slot = &co_slots[0];
	m->born = 1;
	m->cur = co;
	m->in = 0;
	co->m = m;
	co_cpu_sample(m, co, co_cpu_of_kernel(0));
	sys2(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0);
	co_sig_m_start(m);
	co_sig_born(co, NULL);
	co_main_alive = co;
	co_clock_set();
	co_tls.self = co;
	co_active = 1;
	return 0;
}

void
co_forked(void)
{
	struct co *self = co_tls.self;
	struct co_m *m = self->m;

	/* All the others are gone; what they held half changed is dropped. */
	co_queue_forked();
	co_idle_forked();
	co_workers_forked(m);
	m->on_idle_list = 0;
	m->searching = 0;
	atomic_store(&co_slots[0].m, m);
	m->slot = &co_slots[0];
	m->take = CO_TAKE_NO;
	m->in = 0;
	m->tid = (int)sys0(SYS_gettid);
	self->tid = m->tid;
	m->number = 0;
	/* A thread that has just begun, and so its times. */
	memset(&self->usage, 0, sizeof(self->usage));
	self->cpu_seen = m->sampled = 0;
	m->usage_level = 0;
	co_comm_co(self);
	if (self->pinned != NULL) {
		/* Alone: who comes takes after it, as after its creator. */
		self->pinned = NULL;
		m->pinned = 0;
		co_tls.nopark--;
	}
	self->parker.timer.at = 0;
	/* membarrier's registration is the memory's, and came along. */
}
