/* SPDX-License-Identifier: MIT */
/* fork.c - the child has one coroutine, the one that forked, or if that was a
 * kernel thread, none and never any; and vfork, whose child borrows our memory.
 */
#include "hook/wait.h"
#include "sched/lot.h"
#include "sched/watch.h"

void co_once_forked(void);

bool co_orphaned;

static void
in_parent(void)
{
	/* Descriptions are shared from now on, also with a child that has not
	 * begun yet to keep books. */
	atomic_fetch_add(&co_fd_shares, 1);
}

/* Whoever forked. */
static void
forget(void)
{
	co_watch_forked();
	co_lot_forked();
	co_timers_forked();
	co_fd_forked();
	co_stack_forked();
	co_tcb_forked();
	co_monitor_forked();
	co_once_forked();
	co_setxid_forked();
}

static void
in_child(void)
{
	if (!co_active) {
		in_parent();
		return;
	}
	forget();
	if (co_tls.self == NULL) {
		co_life_orphaned();
		co_sig_orphaned();
		co_poller_orphaned();
		co_orphaned = true;
		return;
	}
	co_life_forked();
	co_sig_forked();
	co_forked();
	co_poller_forked();
}

/* As early as can be: the first registered is the first to run in the child,
 * before handlers of others call hooks. */
void
co_fork_init(void)
{
	pthread_atfork(NULL, in_parent, in_child);
}

/* Called by vfork's assembly, before and (in the parent) after. */
void co_vfork_begin(void);
void
co_vfork_begin(void)
{
	if (co_active) {
		co_region_begin("vfork", false);
		atomic_fetch_add(&co_fd_shares, 1);
	}
	co_tls.vforked++;
}

void co_vfork_end(void);
void
co_vfork_end(void)
{
	co_tls.vforked--;
	co_region_end();
}
