/* SPDX-License-Identifier: MIT */
/* deadlock.c - all wait for one another: the log says so, once.
 *
 * The monitor asks when nothing has run for a while, before it goes to sleep.
 * Nothing can wake a coroutine that waits for an address but another thread of
 * the process, and a signal's handler; so it is sure if, at one time,
 *
 *   - every coroutine is parked for an address, without a deadline,
 *   - nothing is ready, and no timer is set,
 *   - every kernel thread of the process is one of ours, and idle,
 *   - no handler is set, or those who wait do not heed any.
 *
 * Nothing holds them still meanwhile: they were still if no slot has switched
 * since before the first was looked at until after the last, and none does.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/work.h"

bool (*co_sig_handled)(uint64_t except);
int (*co_holder)(const char *why, const void *object);

enum { LINES = 64 };

/* The slots are idle, and have switched as often as *ticks says; or are to say
 * so there. */
static bool
still(uint32_t *ticks, bool again)
{
	uint32_t sum = 0;
	int i;

	for (i = 0; i < co_nslots; i++) {
		if (!atomic_load(&co_slots[i].idle))
			return false;
		sum += atomic_load(&co_slots[i].tick);
	}
	if (co_work_anywhere() || co_timer_next() != CO_FOREVER)
		return false;
	if (again)
		return sum == *ticks;
	*ticks = sum;
	return true;
}

/* Would it go on waiting after a handler has run in it?  A condition variable
 * lets its waiter go then. */
static bool
heeds_signals(const struct co *co)
{
	return co->may_interrupt || strcmp(co->why, "pthread_cond_wait") == 0;
}

static bool
all_wait(bool handlers)
{
	struct co *co;
	bool all = true;

	co_lock(&co_all_lock);
	for (co = co_all; co != NULL && all; co = co->all_next)
		all = co->by_address && co->pinned == NULL &&
		      atomic_load(&co->state) == CO_S_PARKED &&
		      atomic_load(&co->parker.state) == CO_PARKED &&
		      atomic_load(&co->npending) == 0 && co->why != NULL &&
		      !(handlers && heeds_signals(co));
	co_unlock(&co_all_lock);
	return all;
}

struct ours {
	int tid;
	bool found;
};

static void
compare(int tid, void *arg)
{
	struct ours *o = arg;

	if (tid == o->tid)
		o->found = true;
}

/* Is every thread of the process one of ours? */
static bool
no_others(void)
{
	struct linux_dirent64 {
		uint64_t ino, off;
		uint16_t reclen;
		uint8_t type;
		char name[];
	} * d;
	char buf[2048] __attribute__((aligned(8)));
	struct ours o = { 0, true };
	long fd, n = 1, at;

	fd = sys4(SYS_openat, AT_FDCWD, "/proc/self/task",
		  O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	while (o.found && (n = sys3(SYS_getdents64, fd, buf, sizeof(buf))) > 0)
		for (at = 0; at < n && o.found; at += d->reclen) {
			d = (struct linux_dirent64 *)(buf + at);
			if (d->name[0] == '.')
				continue;
			o.tid = atoi(d->name);
			o.found = false;
			co_each_tid(compare, &o);
		}
	sys1(SYS_close, fd);
	return o.found && n == 0;
}

enum { TITLE = 64 };

static const char *
title(char buf[TITLE], const struct co *co)
{
	co_format(buf, TITLE, co->name[0] != '\0' ? "#%ld \"%s\"" : "#%ld",
		  (long)co->id, co->name);
	return buf;
}

/* Under co_all_lock, as are the next two. */
static const struct co *
joined_by(const struct co *co)
{
	const struct co *other = NULL;

	if (strcmp(co->why, "pthread_join") == 0 ||
	    strcmp(co->why, "cohook_join") == 0)
		for (other = co_all; other != NULL; other = other->all_next)
			if ((uintptr_t)&other->done == co->what)
				break;
	return other;
}

/* Its id; 0: nobody, or not known.  The object may be no memory any more, so
 * whoever knows its kind gets a copy. */
static int
holder_of(const struct co *co)
{
	enum { OBJECT = 64 };
	char object[OBJECT] __attribute__((aligned(8))) = "";
	struct iovec to = { object, OBJECT };
	struct iovec from = { (void *)co->what, OBJECT };

	if (co_holder == NULL || sys6(SYS_process_vm_readv, sys0(SYS_getpid),
				      &to, 1, &from, 1, 0) <= 0)
		return 0;
	return co_holder(co->why, object);
}

static void
say_one(const struct co *co)
{
	const struct co *other = joined_by(co);
	char name[TITLE], its[TITLE], by[TITLE + 32] = "";
	int tid;

	if (other != NULL) {
		co_log(CO_WARN, "deadlock: %s waits in %s for %s",
		       title(name, co), co->why, title(its, other));
		return;
	}
	tid = holder_of(co);
	for (other = co_all; tid != 0 && other != NULL; other = other->all_next)
		if (other->tid == tid)
			break;
	if (tid != 0 && other == co)
		co_format(by, sizeof(by), ", which it holds itself");
	else if (tid != 0 && other != NULL)
		co_format(by, sizeof(by), ", held by %s", title(its, other));
	else if (tid != 0)
		co_format(by, sizeof(by), ", held by thread %d, which is gone",
			  tid);
	co_log(CO_WARN, "deadlock: %s waits in %s for %p%s", title(name, co),
	       co->why, (void *)co->what, by);
}

static void
say(void)
{
	struct co *co;
	long n = 0, all = 0;

	co_lock(&co_all_lock);
	for (co = co_all; co != NULL; co = co->all_next)
		all++;
	co_log(CO_WARN,
	       "deadlock: %ld thread%s, and nothing is left that could wake "
	       "%s",
	       all, all == 1 ? " waits" : "s wait", all == 1 ? "it" : "any");
	for (co = co_all; co != NULL && n < LINES; co = co->all_next, n++)
		say_one(co);
	if (all > n)
		co_log(CO_WARN, "deadlock: and %ld more", all - n);
	co_unlock(&co_all_lock);
}

void
co_deadlock_look(void)
{
	static int said_by;
	uint32_t ticks;

	if (co_log_level < CO_WARN || said_by == (int)sys0(SYS_getpid) ||
	    !still(&ticks, false))
		return;
	if (!all_wait(co_sig_handled == NULL ||
		      co_sig_handled(co_sig_idle_mask())) ||
	    !no_others() || !still(&ticks, true))
		return;
	said_by = (int)sys0(SYS_getpid);
	say();
}
