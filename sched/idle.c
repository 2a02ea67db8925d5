/* SPDX-License-Identifier: MIT */
/* idle.c - kernel threads with nothing to run: one polls, the others sleep.
 *
 *              co_idle()        polls is ours
 *     awake ------------> idle ---------------> polls
 *       ^                  | |                    |
 *       |    work is there | | another polls      | events, a kick, a deadline
 *       +------------------+ v                    |
 *       +---------------- sleeps                  |
 *       |    woken: searching                     |
 *       +-----------------------------------------+
 *
 * Who finds events takes them into its own ring and is awake: nobody polls
 * then, until somebody is idle again.  Whoever runs looks at the descriptors in
 * passing (queue.c); the monitor wakes a sleeper to poll when nobody does.
 */
#include <errno.h>

#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/work.h"

/* Under lock. */
static struct co_lock lock;
static struct co_m *idle_ms;
_Atomic int co_nidle;

/* Somebody was woken to look for work, and has not yet looked. */
static _Atomic int searching;

/* The m that waits in the poller; NULL: nobody does. */
struct co_m *_Atomic co_polls;

bool
co_somebody_polls(void)
{
	return atomic_load_explicit(&co_polls, memory_order_seq_cst) != NULL;
}

/* Under lock. */
static void
off_idle_list(struct co_m *m)
{
	struct co_m **p;

	if (!m->on_idle_list)
		return;
	for (p = &idle_ms; *p != m; p = &(*p)->next)
		;
	*p = m->next;
	m->on_idle_list = 0;
	atomic_fetch_sub(&co_nidle, 1);
}

/* One at a time is woken to search, and the next one by that if there is more:
 * who finds one on its way need not wake another.  It says that it no longer
 * searches, fences, and then looks at the queues once more.
 *
 * The monitor may not be heard by who polls, so nobody counts on whom it wakes.
 */
void
co_kick_idle(bool monitor)
{
	struct co_m *m, *polls;
	int nobody = 0;

	if (atomic_load(&searching) != 0)
		return;
	if (!monitor && !atomic_compare_exchange_strong(&searching, &nobody, 1))
		return;
	co_lock(&lock);
	polls = atomic_load(&co_polls);
	for (m = idle_ms; m != NULL && m == polls; m = m->next)
		;
	if (m != NULL) {
		off_idle_list(m);
		/* Never cleared here: who was kicked as it polled, and is on
		 * its way off the list, has it from that. */
		if (!monitor)
			m->searching = 1;
		atomic_store(&m->wake, 1);
	} else if (polls != NULL && !monitor) {
		polls->searching = 1; /* it looks at that under lock */
	} else if (!monitor) {
		/* All are awake, and will look before they sleep. */
		atomic_store(&searching, 0);
	}
	co_unlock(&lock);
	if (m != NULL) {
		sys_futex_wake(&m->wake, 1);
		/* It may have gone to poll since, where it does not see that
		 * it is woken; off the list, nobody would tell it again. */
		polls = atomic_load(&co_polls);
		if (polls != m)
			return;
	}
	if (polls != NULL && monitor)
		co_poller_kick_again();
	else if (polls != NULL)
		co_poller_kick();
}

void
co_searched(struct co_m *m, bool found)
{
	m->searching = 0;
	atomic_store(&searching, 0);
	/* The other half is in co_ready(): it puts, then looks at this. */
	atomic_thread_fence(memory_order_seq_cst);
	if (found && atomic_load(&co_nidle) > 0 && co_work_for(m->slot))
		co_kick_idle(false);
}

/* Who polls is to let in all that is to be let in, anybody else no more. */
static bool
is_stale(const struct co_m *m)
{
	uint64_t mask = co_sig_idle_mask(), its = m->kmask;

	return m == atomic_load(&co_polls) ? its != mask : (mask & ~its) != 0;
}

/* Who changed the idle mask comes after it, and whoever lets a signal in in its
 * own context, or is about to, looks at it after that is known.  The program is
 * told that a signal is blocked only when nobody takes it any more.  That takes
 * as long as others keep them from the CPU; but not for ever, somebody may be
 * stopped. */
void
co_idle_resync(void)
{
	enum { QUICK = 100, MOST = 1000 * 1000 * 1000, NAP = 50 * 1000 };
	const struct timespec nap = { 0, NAP };
	struct co_m *m, *self = co_m();
	int64_t until = 0;
	int i = 0;

	if (co_nslots == 1 && self != NULL &&
	    atomic_load(&co_slots[0].m) == self)
		return; /* nobody else looks for work */
	atomic_thread_fence(memory_order_seq_cst);
	for (m = co_all_m; m != NULL; m = m->all_next)
		while (m != self && is_stale(m)) {
			/* Two may wait for each other. */
			if (co_tls.m != NULL)
				co_sig_idle(co_tls.m, true);
			if (m == atomic_load(&co_polls))
				co_poller_kick();
			if (i++ < QUICK) {
				sys0(SYS_sched_yield);
				continue;
			}
			if (until == 0)
				until = co_now() + MOST;
			else if (co_now() > until)
				break;
			sys4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &nap,
			     NULL);
		}
}

bool
co_m_sleep(struct co_m *m, int64_t deadline)
{
	struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };
	long r = 0;

	co_critical_end();
	while (atomic_load(&m->wake) == 0 && r != -ETIMEDOUT)
		r = sys_futex_wait(&m->wake, 0,
				   deadline == CO_FOREVER ? NULL : &ts);
	co_critical_begin();
	return atomic_load(&m->wake) != 0;
}

void
co_idle_over(struct co_m *m)
{
	if (atomic_load_explicit(&co_polls, memory_order_relaxed) == m)
		atomic_store(&co_polls, NULL);
	co_lock(&lock);
	off_idle_list(m);
	atomic_store(&m->slot->idle, 0);
	co_unlock(&lock);
}

void
co_idle(struct co_m *m)
{
	struct co_slot *s = m->slot;
	struct co_m *nobody = NULL;

	if (co_timers_run(0))
		return;
	/* Who reads the log hears of a deadlock, also of one thread alone. */
	if (co_log_level >= CO_WARN)
		co_monitor_start();
	atomic_store(&m->wake, 0);
	co_lock(&lock);
	atomic_store(&s->idle, 1);
	m->on_idle_list = 1;
	m->next = idle_ms;
	idle_ms = m;
	atomic_fetch_add(&co_nidle, 1);
	co_unlock(&lock);
	atomic_thread_fence(memory_order_seq_cst);
	if (!co_work_for(s)) {
		if (atomic_compare_exchange_strong(&co_polls, &nobody, m)) {
			co_sig_idle(m, true);
			/* Asked after we are known to poll: who adds an
			 * earlier one from now on kicks us, as does who wakes
			 * us (Dekker: it sets wake, then looks at who polls).
			 */
			if (atomic_load(&m->wake) == 0)
				co_poller_wait(co_timer_next());
		} else {
			co_sig_idle(m, false);
			co_m_sleep(m, CO_FOREVER);
		}
	}
	co_idle_over(m);
	co_monitor_nudge();
}

void
co_idle_forked(void)
{
	lock.word = 0;
	idle_ms = NULL;
	co_nidle = 0;
	co_polls = NULL;
	searching = 0;
}
