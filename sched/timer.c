/* SPDX-License-Identifier: MIT */
/* timer.c - deadlines, soonest first.
 *
 * A 4-ary heap of parkers.  Equal deadlines wake in the order they were set.
 */
#include <sys/mman.h>

#include "sched/co.h"
#include "sched/log.h"

enum { ARITY = 4 };
enum { FIRST = 4096 };          /* bytes */

static struct co_lock lock;
static struct co_parker **heap; /* from 0; under lock, as is n */
static size_t n, room;           /* room: parkers that fit */
static uint64_t seq;
static _Atomic int64_t next = CO_FOREVER; /* heap[0]'s, read without lock */

static bool
before(const struct co_parker *a, const struct co_parker *b)
{
	if (a->timer.deadline != b->timer.deadline)
		return a->timer.deadline < b->timer.deadline;
	return a->timer.seq < b->timer.seq;
}

static void
place(size_t i, struct co_parker *p)
{
	heap[i] = p;
	p->timer.at = i + 1;
}

static void
up(size_t i, struct co_parker *p)
{
	while (i > 0 && before(p, heap[(i - 1) / ARITY])) {
		place(i, heap[(i - 1) / ARITY]);
		i = (i - 1) / ARITY;
	}
	place(i, p);
}

static void
down(size_t i, struct co_parker *p)
{
	size_t c, k, best;

	while ((c = i * ARITY + 1) < n) {
		best = c;
		for (k = c + 1; k < c + ARITY && k < n; k++)
			if (before(heap[k], heap[best]))
				best = k;
		if (!before(heap[best], p))
			break;
		place(i, heap[best]);
		i = best;
	}
	place(i, p);
}

static void
said_next(void)
{
	atomic_store(&next, n > 0 ? heap[0]->timer.deadline : CO_FOREVER);
}

static void
take_out(struct co_parker *p)
{
	size_t i = p->timer.at - 1;
	struct co_parker *last = heap[--n];

	p->timer.at = 0;
	if (last != p) {
		if (i > 0 && before(last, heap[(i - 1) / ARITY]))
			up(i, last);
		else
			down(i, last);
	}
	said_next();
}

/* Room for the deadlines of that many coroutines, each of which has one at
 * most; 0, or -1 for want of memory. */
int
co_timer_reserve(long coroutines)
{
	size_t bytes, want = (size_t)coroutines;
	void *p;
	int r = 0;

	co_critical_begin();
	co_lock(&lock);
	if (want > room) {
		bytes = room == 0 ? FIRST : room * sizeof(*heap) * 2;
		while (bytes < want * sizeof(*heap))
			bytes *= 2;
		p = room == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
			      : mremap(heap, room * sizeof(*heap), bytes,
				       MREMAP_MAYMOVE);
		if (p == MAP_FAILED) {
			r = -1;
		} else {
			heap = p;
			room = bytes / sizeof(*heap);
		}
	}
	co_unlock(&lock);
	co_critical_end();
	return r;
}

void
co_timer_add(struct co_parker *p, int64_t deadline)
{
	bool first;

	co_lock(&lock);
	p->timer.deadline = deadline;
	p->timer.seq = ++seq;
	up(n++, p);
	first = heap[0] == p;
	said_next();
	co_unlock(&lock);
	/* Who polls may have asked for the next deadline before this one. */
	if (first && co_somebody_polls())
		co_poller_kick();
}

void
co_timer_del(struct co_parker *p)
{
	co_lock(&lock);
	if (p->timer.at != 0)
		take_out(p);
	co_unlock(&lock);
}

int64_t
co_timer_next(void)
{
	return atomic_load(&next);
}

/* Wake all whose time has come; now 0: look at the clock. */
bool
co_timers_run(int64_t now)
{
	struct co_parker *p;
	bool any = false, won, parked;

	if (co_timer_next() == CO_FOREVER)
		return false;
	if (now == 0)
		now = co_now();
	while (co_timer_next() <= now) {
		co_lock(&lock);
		p = n > 0 ? heap[0] : NULL;
		if (p == NULL || p->timer.deadline > now) {
			co_unlock(&lock);
			break;
		}
		take_out(p);
		won = co_claim(p, CO_TIMEOUT, &parked);
		co_unlock(&lock);
		any = true;
		if (won)
			co_wake(p, parked);
	}
	return any;
}

void
co_timers_forked(void)
{
	lock.word = 0;
	n = 0;
	next = CO_FOREVER;
}
