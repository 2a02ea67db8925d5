/* SPDX-License-Identifier: MIT */
/* watch.h - who waited, who blocked a worker, and for how long: for those who
 * asked by COHOOK_STATS, COHOOK_LOG or COHOOK_DUMP.  Else it is one branch at
 * each of these places. */
#ifndef COHOOK_WATCH_H
#define COHOOK_WATCH_H

#include "sched/co.h"
#include "sched/probe.h"

enum {
	CO_WATCH_TRACE = 1,  /* each park and wake is a line in the log */
	CO_WATCH_STATS = 2,  /* all is counted */
	CO_WATCH_BLAME = 4,  /* who blocks a worker is looked for */
	CO_WATCH_LIVE = 8,   /* each park and wake is an entry of trace.h's
			      * ring: set from outside, at any time */
	CO_WATCH_EVENTS = CO_WATCH_TRACE | CO_WATCH_LIVE,
};
extern int co_watch;

enum { CO_WATCHED = 128, CO_WATCH_PCS = 6 };

/* Of waits and regions, by call; of blocking, by place; and of stacks, by the
 * function that a thread begins with.  debug.h tells of these. */
struct co_watched {
	const char *call;      /* NULL: not in use */
	_Atomic long n;
	_Atomic int64_t ns;    /* in all */
	_Atomic int64_t longest;
	uintptr_t pc[CO_WATCH_PCS]; /* callers to the right; 0 ends them */
	size_t used, size;     /* of a stack, bytes */
};
struct co_watched_all {
	struct co_watched waits[CO_WATCHED], lent[CO_WATCHED];
	struct co_watched places[CO_WATCHED], stacks[CO_WATCHED];
};
extern struct co_watched_all co_watched;

/* COHOOK_STATS: on, and to be said at exit. */
void co_watch_init(bool stats, bool say);

/* The slow paths of what is below. */
int64_t co_watch_park(const struct co *co, const char *call, uintptr_t what,
		      int64_t deadline);
void co_watch_wake(const struct co *co, const char *call, uintptr_t what,
		   enum co_why woken, int64_t since);
void co_watch_begin(struct co *co, const char *call);
void co_watch_end(struct co *co);

/* A coroutine begins to wait, and has waited. */
static inline int64_t
co_seen_park(const struct co *co, const char *call, uintptr_t what,
	     int64_t deadline)
{
	CO_PROBE4(park, co->id, call, what, deadline);
	if (__builtin_expect(co_watch, 0))
		return co_watch_park(co, call, what, deadline);
	return 0;
}

static inline void
co_seen_wake(const struct co *co, const char *call, uintptr_t what,
	     enum co_why woken, int64_t since)
{
	CO_PROBE4(wake, co->id, call, what, woken);
	if (__builtin_expect(co_watch, 0))
		co_watch_wake(co, call, what, woken, since);
}

static inline void
co_seen_begin(struct co *co, const char *call, bool lasting)
{
	CO_PROBE3(region__begin, co->id, call, lasting);
	if (__builtin_expect(co_watch, 0))
		co_watch_begin(co, call);
}

static inline void
co_seen_end(struct co *co)
{
	CO_PROBE2(region__end, co->id, co->why);
	if (__builtin_expect(co_watch, 0))
		co_watch_end(co);
}

/* The monitor has taken m's slot, where it ran co.  Then m is back; in its own
 * context, critical. */
void co_seen_takeover(struct co_slot *s, struct co_m *m, struct co *co);
void co_watch_back(struct co_m *m);
/* At the end, m is not back. */
void co_watch_out(struct co_m *m);

/* Where co is, as where.h has it; 0: it runs, or nothing is known. */
int co_watch_where(const struct co *co, uintptr_t *pc, int most);

void co_seen_spawn(const struct co *co);
/* It is off its stack for good. */
void co_seen_exit(struct co *co);

/* How much of its stack it has used, into the table. */
void co_watch_stack(const struct co *co);

void co_watch_forked(void);

/* report.c: the summary, to whoever asked. */
void co_report(int fd);

#endif
