/* SPDX-License-Identifier: MIT */
/* lot.h - the parking lot: waiting on an address.
 *
 * Used by coroutines and kernel threads alike.  The object at the address
 * stays the truth; the lot only knows who sleeps for it:
 *
 *     wait:  co_lot_enter(); try once more; then park, or leave the lot
 *     wake:  change the object; then co_lot_wake()
 *
 * Whoever tries after it has entered, and whoever looks into the lot after the
 * change, cannot both miss the other: co_lot_enter() and co_lot_any() each
 * have a full barrier on the inner side.
 */
#ifndef COHOOK_LOT_H
#define COHOOK_LOT_H

#include "sched/co.h"

struct co_lot_wait {
	struct co_parker *parker;
	uintptr_t addr;
	struct co_lot_wait *next, **prev; /* under the bucket's lock */
	int tag;                          /* the waiter's own: reader, writer */
	bool lost;                        /* was woken, and somebody was faster */
};

/* co_lot_enter - arm the caller's parker and queue w, on the caller's stack,
 * under addr: at the end, or in front where it was woken and has lost. */
void co_lot_enter(struct co_lot_wait *w, const void *addr, int tag, bool lost);

/* co_lot_note - queue w for others to see, co_lot_tag(), and for nobody to wake:
 * at an address where nobody waits.  co_lot_leave() ends it. */
void co_lot_note(struct co_lot_wait *w, const void *addr, int tag);

/* Not waiting any more: woken, timed out, or no need.  Always called. */
void co_lot_leave(struct co_lot_wait *w);

/* Does anybody wait there?  Also by hash: a yes may be wrong, a no is not. */
bool co_lot_any(const void *addr);

/* Wake up to n of those who wait, longest first; returns how many. */
int co_lot_wake(const void *addr, int n);

/* The same for objects that whoever comes first may take.  True: one of those
 * woken has lost before.  Then the caller should let it run, co_yield(), or
 * two that always take it back at once keep all others out for ever. */
bool co_lot_wake_fair(const void *addr, int n);

/* Is somebody with this tag waiting there? */
bool co_lot_tag(const void *addr, int tag);

/* Park until woken after co_lot_enter(); co_lot_leave() is to follow. */
enum co_why co_lot_sleep(struct co_lot_wait *w, int64_t deadline,
			 const char *why, bool may_interrupt);

/* The same, and leave. */
enum co_why co_lot_park(struct co_lot_wait *w, int64_t deadline,
			const char *why, bool may_interrupt);

#endif
