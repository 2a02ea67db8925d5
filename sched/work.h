/* SPDX-License-Identifier: MIT */
/* work.h - who runs next, and on what: between the files of that.
 *
 * queue.c   what is ready
 * idle.c    kernel threads with nothing to run, and which of them polls
 * sched.c   the CPU given up and taken: switches, parking, yielding
 * worker.c  kernel threads, from birth to retirement, and the spare ones
 * region.c  blocking regions, and coroutines with a kernel thread of their own
 * start.c   the first of each; and what is left after a fork
 */
#ifndef COHOOK_WORK_H
#define COHOOK_WORK_H

#include "sched/co.h"
#include "sched/ring.h"

enum {
	CO_LOOK_AROUND = 64, /* picks between looks at I/O and timers */
	CO_M_STACK = 256 * 1024,
	CO_WORKERS_MOST = 64,
};

/* queue.c */
extern struct co_slot co_slots[CO_WORKERS_MOST];
extern _Atomic int co_nslots; /* never less; but in the child of a fork */
extern int co_nslots_most;
extern _Atomic long co_global_n;
/* Is anything ready; is anything that m of this slot may take? */
bool co_work_anywhere(void);
bool co_work_for(struct co_slot *mine);
/* The next to run on m; NULL: nothing is ready, or another's only. */
struct co *co_pick(struct co_m *m);
struct co *co_steal(struct co_slot *mine);
void co_queue_forked(void);

/* idle.c */
extern struct co_m *_Atomic co_polls; /* waits in the poller */
extern _Atomic int co_nidle;
/* m, critical and in its own context, has found nothing to run. */
void co_idle(struct co_m *m);
/* It has something to do again: before it makes others ready. */
void co_idle_over(struct co_m *m);
/* Somebody idle is to look at the queues.  The monitor says who it is, for it
 * has a table of descriptors of its own. */
void co_kick_idle(bool monitor);
/* m, which was woken to, has looked. */
void co_searched(struct co_m *m, bool found);
/* Sleep until somebody sets m->wake; handlers of signals may run.  False: the
 * deadline came first. */
bool co_m_sleep(struct co_m *m, int64_t deadline);
void co_idle_forked(void);

/* sched.c */
/* The monitor's: give m's slot to next, if m is out of the scheduler. */
bool co_take(struct co_slot *s, struct co_m *m, struct co_m *next);
void co_switch_to(struct co_m *m, struct co *self, struct co *next);
/* The caller, a coroutine inside co_enter(), gives the CPU up. */
void co_give_way(struct co *self, int act);
/* co_clock, at least as new as the caller's last wait. */
int64_t co_since_now(const struct co *self);

/* worker.c */
int co_m_start(struct co_slot *s);
bool co_slot_leave(struct co_m *m);
void co_workers_forked(struct co_m *m);

#endif
