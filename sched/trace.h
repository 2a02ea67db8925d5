/* SPDX-License-Identifier: MIT */
/* trace.h - each park, wake and the like, for whoever looks on: a line of the
 * log (COHOOK_LOG=trace), or an entry of a ring that is read from outside,
 * while the program runs (cohook trace PID). */
#ifndef COHOOK_TRACE_H
#define COHOOK_TRACE_H

#include "sched/co.h"

enum co_event {
	CO_EV_PARK,     /* us: for so long at most */
	CO_EV_WAKE,     /* us: it was parked for so long; woken says why */
	CO_EV_BEGIN,    /* a call that costs a kernel thread */
	CO_EV_END,      /* us: it took so long */
	CO_EV_TAKEOVER, /* other has lost its worker's place in this call */
	CO_EV_SPAWN,    /* other is born; what is its function */
	CO_EV_EXIT,     /* other is gone */
	CO_EVENTS,
};

/* The names of these numbers, for readers. */
extern const char *const co_event_names[CO_EVENTS], *const co_why_names[5];

/* A slot is written by whoever drew its number from co_ring.n.  Who reads a
 * slot for number i first finds seq == i + 1; afterwards co_ring.n must not be
 * above i + CO_TRACE_RING, or somebody may have begun to write there anew. */
enum { CO_TRACE_RING = 32768 };
struct co_traced {
	_Atomic uint64_t seq;
	int64_t time;     /* CLOCK_MONOTONIC ns */
	const char *call; /* NULL: in none of ours */
	uintptr_t what;
	int64_t us;        /* -1: none, or not known */
	int64_t id, other; /* whose thread it was; 0: nobody's */
	int32_t tid;
	uint8_t event, woken;
};

/* Who looks on writes three words of this, and the bit CO_WATCH_LIVE of co_watch,
 * by /proc/PID/mem; that may happen at any time. */
struct co_ring {
	_Atomic uint64_t n;     /* the next number */
	_Atomic int64_t until;  /* after that, nobody looks on any more */
	_Atomic int64_t from;   /* what began before was not watched */
	_Atomic uint64_t taken; /* so far it has been read */
	struct co_traced of[CO_TRACE_RING];
};
extern struct co_ring co_ring;

/* At the end of the program: let who looks on see the last events. */
void co_trace_end(void);

/* For watch.c: t has all but seq and the thread. */
void co_trace_event(struct co_traced t);

#endif
