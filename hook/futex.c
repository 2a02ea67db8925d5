/* SPDX-License-Identifier: MIT */
/* futex.c - futexes by syscall(2), as Rust's locks, C++20's atomics and many
 * a library of its own use them.
 *
 * A private one is waited for in the parking lot, by coroutines and kernel
 * threads alike, in the order in which they came; what is woken is looked for
 * there first, and then in the kernel, where those wait who came by no libc.
 * Futexes between processes, those of a part of the bits, and priority
 * inheritance are the kernel's alone.
 */
#include <linux/futex.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/region.h"
#include "sched/lot.h"

struct call {
	uint32_t *word;
	int op, cmd;
	uint32_t val;
	long arg4;          /* a timespec, or a second count */
	uint32_t *word2;
	uint32_t val3;
};

static long
kernel(const struct call *c)
{
	return sys6(SYS_futex, c->word, c->op, c->val, c->arg4, c->word2,
		    c->val3);
}

/* --- waiting --- */

struct wait {
	clockid_t clock;
	bool timed;
	struct timespec until;  /* absolute, of that clock */
	unsigned handled, interrupted;
};

static unsigned
count_handled(struct co *self)
{
	return self != NULL ? self->handled : (unsigned)co_tls.handled;
}

static unsigned
count_interrupted(struct co *self)
{
	return self != NULL ? self->interrupted : (unsigned)co_tls.interrupted;
}

/* What waits for ever is begun anew after a handler with SA_RESTART; what has
 * a time is not, signal(7). */
static bool
handler_ran(const struct wait *w, struct co *self)
{
	return w->timed ? count_handled(self) != w->handled
			: count_interrupted(self) != w->interrupted;
}

static int64_t
deadline_of(const struct wait *w)
{
	return w->timed ? co_deadline_abs(w->clock, &w->until) : CO_FOREVER;
}

/* The wall clock may have been set back meanwhile. */
static bool
time_is_up(const struct wait *w)
{
	struct timespec now;

	co_clock_seen(w->clock, &now);
	return now.tv_sec > w->until.tv_sec ||
	       (now.tv_sec == w->until.tv_sec &&
		now.tv_nsec >= w->until.tv_nsec);
}

/* 0, or -errno.  In the lot first and looked at then: whoever changes the word
 * and then wakes finds us there, or we find it changed.  Woken before the
 * look, it was for us, whatever the word says. */
static long
wait_once(const struct call *c, const struct wait *w, struct co *self)
{
	struct co_lot_wait node;
	enum co_why why;
	bool same, ran;

	co_critical_begin();
	co_lot_enter(&node, c->word, 0, false);
	same = __atomic_load_n(c->word, __ATOMIC_SEQ_CST) == c->val;
	ran = handler_ran(w, self);
	if (!same || ran) {
		why = co_disarm(node.parker);
		co_lot_leave(&node);
		co_critical_end();
		if (why == CO_WOKEN)
			return 0;
		return same ? -EINTR : -EAGAIN;
	}
	why = co_lot_sleep(&node, deadline_of(w), "futex", true);
	co_lot_leave(&node);
	co_critical_end();
	co_sig_handle();
	if (why == CO_WOKEN)
		return 0;
	if (why == CO_TIMEOUT && time_is_up(w))
		return -ETIMEDOUT;
	return -EINPROGRESS; /* once more */
}

static long
wait_for(const struct call *c, const struct timespec *user)
{
	struct co *self = co_parker()->co;
	struct wait w = { .clock = CLOCK_MONOTONIC,
			  .handled = count_handled(self),
			  .interrupted = count_interrupted(self) };
	struct timespec now;
	uint32_t val;
	long r;

	if (user != NULL) {
		w.timed = true;
		if (!co_get(&w.until, user, sizeof(w.until)))
			return -EFAULT;
		if (!co_ts_valid(&w.until) || w.until.tv_sec < 0)
			return -EINVAL;
		if (c->op & FUTEX_CLOCK_REALTIME)
			w.clock = CLOCK_REALTIME;
	}
	if ((uintptr_t)c->word % sizeof(*c->word) != 0)
		return -EINVAL;
	if (!co_get(&val, c->word, sizeof(val)))
		return -EFAULT;
	if (val != c->val)
		return -EAGAIN;
	if (w.timed && c->cmd == FUTEX_WAIT) {
		co_clock_seen(w.clock, &now);
		w.timed = w.until.tv_sec < INT64_MAX / 1000000000 - now.tv_sec;
		w.until.tv_sec += now.tv_sec;
		w.until.tv_nsec += now.tv_nsec;
		if (w.until.tv_nsec >= 1000000000) {
			w.until.tv_nsec -= 1000000000;
			w.until.tv_sec++;
		}
	}
	do
		r = wait_once(c, &w, self);
	while (r == -EINPROGRESS);
	return r;
}

/* In the kernel: it has the whole of it, but for signals that are not ours. */
static long
wait_in_kernel(const struct call *c)
{
	struct co *self = co_here();
	unsigned handled;
	long r;

	if (self == NULL)
		return kernel(c);
	handled = self->handled;
	co_region_begin("futex", true);
	do
		r = kernel(c);
	while (r == -EINTR && self->handled == handled &&
	       (c->cmd != FUTEX_WAIT || c->arg4 == 0));
	co_region_end();
	return r;
}

/* --- waking --- */

static long
wake(const struct call *c)
{
	/* The kernel wakes one also where it is asked for none, or for less:
	 * FUTEX_WAKE looks after it has woken. */
	int n = (int)c->val > 0 ? (int)c->val : 1, woken;
	struct call rest = *c;
	long r;

	if ((uintptr_t)c->word % sizeof(*c->word) != 0)
		return -EINVAL;
	if (c->cmd == FUTEX_WAKE_BITSET && c->val3 == 0)
		return -EINVAL;
	woken = co_lot_wake(c->word, n);
	if (woken >= n)
		return woken;
	rest.val = (uint32_t)(n - woken);
	r = kernel(&rest);
	return r < 0 ? (woken > 0 ? woken : r) : r + woken;
}

/* What is to wait for another word from now on, or to be woken by what that
 * word was: all of ours are woken, as they may be at any time, and look. */
static long
wake_all_ours(const struct call *c, bool second)
{
	long r = kernel(c);

	if (r < 0)
		return r;
	r += co_lot_wake(c->word, INT32_MAX);
	if (second)
		r += co_lot_wake(c->word2, INT32_MAX);
	return r;
}

static long
futex(const struct call *c)
{
	switch (c->cmd) {
	case FUTEX_WAIT:
		return wait_for(c, (const struct timespec *)c->arg4);
	case FUTEX_WAIT_BITSET:
		if (c->val3 != FUTEX_BITSET_MATCH_ANY)
			return c->val3 == 0 ? -EINVAL : wait_in_kernel(c);
		return wait_for(c, (const struct timespec *)c->arg4);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return wake(c);
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		return wake_all_ours(c, false);
	default: /* FUTEX_WAKE_OP */
		return wake_all_ours(c, true);
	}
}

bool
co_futex(long arg[6], long *ret)
{
	struct call c = {
		.word = (uint32_t *)arg[0],
		.op = (int)arg[1],
		.cmd = (int)arg[1] & FUTEX_CMD_MASK,
		.val = (uint32_t)arg[2],
		.arg4 = arg[3],
		.word2 = (uint32_t *)arg[4],
		.val3 = (uint32_t)arg[5],
	};
	long r;

	switch (c.cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		r = c.op & FUTEX_PRIVATE_FLAG ? futex(&c) : wait_in_kernel(&c);
		break;
	case FUTEX_LOCK_PI:
	case FUTEX_WAIT_REQUEUE_PI:
		r = wait_in_kernel(&c);
		break;
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
		if (!(c.op & FUTEX_PRIVATE_FLAG))
			return false;
		r = futex(&c);
		break;
	default:
		return false;
	}
	if (r < 0) {
		errno = (int)-r;
		r = -1;
	}
	*ret = r;
	return true;
}
