/* SPDX-License-Identifier: MIT */
/* quiet.h - in the place of what sched/ calls and a test has nothing to do with:
 * nobody to list, no log, no signals, no watch.
 *
 * To be included once, behind the sources under test. */
#ifndef QUIET_H
#define QUIET_H

#include "unit.h"

#include "sched/log.h"
#include "sched/watch.h"
#include "sched/work.h"

struct co_m *co_all_m;
struct co_lock co_all_lock;
struct co *co_all;
int co_log_level, co_watch;

int
co_log_fd(void)
{
	return -1;
}

void
co_log(enum co_level level, const char *f, ...)
{
	(void)level;
	(void)f;
}

int
co_format(char *to, int n, const char *f, ...)
{
	(void)to;
	(void)n;
	(void)f;
	return 0;
}

void
co_die(const char *f, ...)
{
	fail_msg("%s", f);
	abort();
}

uint64_t
co_sig_idle_mask(void)
{
	return 0;
}

void
co_sig_idle(struct co_m *m, bool polls)
{
	(void)m;
	(void)polls;
}

void
co_sig_run_pending(struct co *self)
{
	(void)self;
}

void
co_deferred_run(void)
{
}

void
co_gone(struct co *co)
{
	(void)co;
}

void
co_watch_back(struct co_m *m)
{
	(void)m;
}

int64_t
co_watch_park(const struct co *co, const char *c, uintptr_t w, int64_t t)
{
	(void)co;
	(void)c;
	(void)w;
	return t;
}

void
co_watch_wake(const struct co *co, const char *c, uintptr_t w, enum co_why y,
	      int64_t t)
{
	(void)co;
	(void)c;
	(void)y;
	(void)w;
	(void)t;
}

#endif
