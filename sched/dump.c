/* SPDX-License-Identifier: MIT */
/* dump.c - every coroutine, a line each. */
#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/log.h"
#include "sched/watch.h"
#include "sched/where.h"

enum { FRAMES = 16 };

static const char *const state_name[] = {
	[CO_S_READY] = "ready",
	[CO_S_RUNNING] = "running",
	[CO_S_PARKED] = "parked",
	[CO_S_GONE] = "gone",
};

static void
dump_stack(int fd, const struct co *co)
{
	uintptr_t pc[FRAMES];
	char line[256];
	int i, n, frames = co_watch_where(co, pc, FRAMES);

	for (i = 0; i < frames; i++) {
		n = co_format(line, 8, "    ");
		n += co_where_name(line + n, (int)sizeof(line) - n - 1, pc[i]);
		line[n++] = '\n';
		sys3(SYS_write, fd, line, n);
	}
}

static void
dump_one(int fd, const struct co *co)
{
	const char *why = co->why;
	char line[256];
	int n;

	n = co_format(line, sizeof(line), "#%ld %s %s", (long)co->id,
		      co->name[0] ? co->name : "-", state_name[co->state]);
	if (why != NULL) {
		n += co_format(line + n, (int)sizeof(line) - n,
			       co->what > 0x10000 ? " in %s on 0x%lx" :
						    " in %s (%ld)",
			       why, (unsigned long)co->what);
		n += co_format(line + n, (int)sizeof(line) - n, ", %ld ms",
			       (long)((co_now() - co->since) / 1000000));
	}
	line[n++] = '\n';
	sys3(SYS_write, fd, line, n);
}

void
co_dump(int fd)
{
	struct co *co;
	int tries, locked = 0;

	/* We may be dying, or in a signal handler, over this very lock. */
	co_critical_begin();
	for (tries = 0; tries < 1000 && !locked; tries++) {
		locked = co_trylock(&co_all_lock);
		if (!locked)
			sys0(SYS_sched_yield);
	}
	for (co = co_all; co != NULL; co = co->all_next)
		dump_one(fd, co);
	if (locked)
		co_unlock(&co_all_lock);
	co_critical_end();
}

/* Others go on meanwhile, whatever fd does to us: so without the lock.  A
 * struct co is never unmapped; a walk that goes astray, or round, ends. */
void
co_dump_stacks(int fd)
{
	long left = 2 * co_count + 64;
	struct co *co;

	for (co = co_all; co != NULL && left > 0; co = co->all_next, left--) {
		dump_one(fd, co);
		dump_stack(fd, co);
	}
}
