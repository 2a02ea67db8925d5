/* SPDX-License-Identifier: MIT */
/* report.c - the summary of COHOOK_STATS=1, a line each, below 80 columns. */
#include <string.h>

#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/watch.h"
#include "sched/where.h"
#include "sched/work.h"

enum { WIDTH = 79, TEXT = 30, NUMBER = 10 };

struct line {
	char text[512];
	int n;
};

static void
begin(struct line *l)
{
	l->n = co_format(l->text, sizeof(l->text), "cohook[%d]   ",
			 (int)sys0(SYS_getpid));
}

static void
end(struct line *l, int fd)
{
	l->text[l->n++] = '\n';
	sys3(SYS_write, fd, l->text, l->n);
}

static void
pad(struct line *l, int n)
{
	for (; n > 0 && l->n < (int)sizeof(l->text) - 2; n--)
		l->text[l->n++] = ' ';
}

static void
left(struct line *l, const char *s)
{
	int n = (int)strnlen(s, sizeof(l->text) - (size_t)l->n - 2);

	memcpy(l->text + l->n, s, (size_t)n);
	l->n += n;
	pad(l, TEXT - n);
}

static void
right(struct line *l, const char *s)
{
	int n = (int)strlen(s);

	pad(l, NUMBER - n);
	memcpy(l->text + l->n, s, (size_t)n);
	l->n += n;
}

static void
right_number(struct line *l, long v)
{
	char s[24];

	co_format(s, sizeof(s), "%ld", v);
	right(l, s);
}

/* Three digits or more. */
static void
right_time(struct line *l, int64_t ns)
{
	char s[24];
	long ms = (long)(ns / 1000000);

	if (ns < 10 * 1000 * 1000)
		co_format(s, sizeof(s), "%ld us", (long)(ns / 1000));
	else if (ms < 10000)
		co_format(s, sizeof(s), "%ld ms", ms);
	else
		co_format(s, sizeof(s), "%ld s", ms / 1000);
	right(l, s);
}

static void
title(int fd, const char *what, const char *a, const char *b, const char *c)
{
	struct line l;

	begin(&l);
	l.n -= 2;
	left(&l, what);
	pad(&l, 2);
	right(&l, a);
	right(&l, b);
	right(&l, c);
	end(&l, fd);
}

/* A constant may lie in several files, each with an address of its own. */
static void
merge(struct co_watched *table)
{
	struct co_watched *w, *v;
	int i, k;

	for (i = 0; i < CO_WATCHED; i++) {
		w = &table[i];
		for (k = i + 1; w->n != 0 && k < CO_WATCHED; k++) {
			v = &table[k];
			if (v->n == 0 || strcmp(v->call, w->call) != 0)
				continue;
			w->n += v->n;
			w->ns += v->ns;
			if (v->longest > w->longest)
				w->longest = v->longest;
			v->n = 0;
		}
	}
}

/* The one with the most time that has not been said. */
static struct co_watched *
next(struct co_watched *table, bool *said)
{
	struct co_watched *best = NULL;
	int i;

	for (i = 0; i < CO_WATCHED; i++)
		if (table[i].n != 0 && !said[i] &&
		    (best == NULL || table[i].ns > best->ns))
			best = &table[i];
	if (best != NULL)
		said[best - table] = true;
	return best;
}

static void
counts(struct line *l, const struct co_watched *w)
{
	right_number(l, w->n);
	right_time(l, w->ns);
	right_time(l, w->longest);
}

static void
calls(int fd, const char *what, struct co_watched *table)
{
	bool said[CO_WATCHED] = { false }, first = true;
	struct co_watched *w;
	struct line l;

	merge(table);
	while ((w = next(table, said)) != NULL) {
		if (first)
			title(fd, what, "times", "total", "longest");
		first = false;
		begin(&l);
		left(&l, w->call);
		counts(&l, w);
		end(&l, fd);
	}
}

/* The names of callers. */
static void
stack_lines(int fd, const struct co_watched *w)
{
	enum { INDENT = 2 };
	char name[128];
	struct line l;
	int i, n;

	begin(&l);
	pad(&l, INDENT);
	for (i = 0; i < CO_WATCH_PCS && w->pc[i] != 0; i++) {
		n = co_where_name(name, sizeof(name), w->pc[i]);
		if (i > 0 && l.n + n + 3 > WIDTH) {
			end(&l, fd);
			begin(&l);
			pad(&l, INDENT);
		} else if (i > 0) {
			pad(&l, 1);
		}
		l.n += co_format(l.text + l.n, (int)sizeof(l.text) - l.n - 1,
				 i > 0 ? "< %s" : "%s", name);
	}
	if (i > 0)
		end(&l, fd);
}

static void
places(int fd)
{
	bool said[CO_WATCHED] = { false }, first = true;
	struct co_watched *w;
	struct line l;

	while ((w = next(co_watched.places, said)) != NULL) {
		if (first)
			title(fd, "blocked a worker, in", "times", "total",
			      "longest");
		first = false;
		begin(&l);
		left(&l, w->call);
		counts(&l, w);
		end(&l, fd);
		stack_lines(fd, w);
	}
}

static size_t
power_above(size_t n)
{
	size_t p = 16384;

	while (p < n)
		p *= 2;
	return p;
}

static void
stacks(int fd)
{
	struct co_watched *w;
	struct line l;
	char name[128];
	size_t most = 0, size = 0;
	struct co *co;
	int i;

	co_critical_begin();
	co_lock(&co_all_lock);
	for (co = co_all; co != NULL; co = co->all_next)
		co_watch_stack(co);
	co_unlock(&co_all_lock);
	co_critical_end();
	for (i = 0; i < CO_WATCHED; i++) {
		w = &co_watched.stacks[i];
		if (w->n == 0)
			break;
		if (i == 0)
			title(fd, "stacks, by a thread's function", "threads",
			      "KiB used", "KiB");
		co_where_name(name, sizeof(name), w->pc[0] + 1);
		begin(&l);
		left(&l, name);
		right_number(&l, w->n);
		right_number(&l, (long)(w->used + 1023) / 1024);
		right_number(&l, (long)w->size / 1024);
		end(&l, fd);
		most = w->used > most ? w->used : most;
		size = w->size > size ? w->size : size;
	}
	/* Twice what was seen: another run may go deeper. */
	most = power_above(2 * most);
	if (i > 0 && most * 2 <= size) {
		begin(&l);
		l.n += co_format(l.text + l.n, 64,
				 "COHOOK_STACK=%luK is twice what was used",
				 (unsigned long)most / 1024);
		end(&l, fd);
	}
}

void
co_report(int fd)
{
	struct co_m *m;
	unsigned long switches = 0;
	struct line l;
	int i, threads = 0;

	for (i = 0; i < co_nslots; i++)
		switches += co_slots[i].tick;
	for (m = co_all_m; m != NULL; m = m->all_next) {
		threads++;
		if (co_watch & CO_WATCH_STATS)
			co_watch_out(m);
	}
	begin(&l);
	l.n -= 2;
	l.n += co_format(l.text + l.n, 64,
			 "%ld coroutines, %lu switches, %d "
			 "kernel threads",
			 (long)*co_ids - 1, switches, threads);
	end(&l, fd);
	calls(fd, "parked, in", co_watched.waits);
	calls(fd, "in the kernel, in", co_watched.lent);
	places(fd);
	stacks(fd);
}
