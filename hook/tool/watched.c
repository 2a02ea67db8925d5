/* SPDX-License-Identifier: MIT */
/* watched.c - what a process has counted of itself (sched/watch.h): read,
 * with names from the symbol tables of its files, and shown. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hook/tool/live.h"

static uint64_t
word(const char *entry, int64_t at)
{
	uint64_t u = 0;

	if (at >= 0)
		memcpy(&u, entry + at, sizeof(u));
	return u;
}

static void
read_name(struct live *l, uint64_t at, char *buf, size_t size)
{
	size_t n = size - 1;

	while (n > 0 && !live_read(l, at, buf, n))
		n /= 2;
	buf[n] = '\0';
}

/* Return addresses, but for the first: that is where a call was made, or the
 * very beginning of a function. */
static char *
name_of(struct live *l, uint64_t pc, bool begins, struct module **m)
{
	char *name = live_symbol(l, begins ? pc : pc - 1, m), *plus;

	plus = name != NULL ? strstr(name, "+0x") : NULL;
	if (plus != NULL)
		*plus = '\0';
	return name;
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static struct watched_entry *
add(struct watched_table *t)
{
	t->of = more(t->of, (t->n + 1) * sizeof(*t->of));
	memset(&t->of[t->n], 0, sizeof(*t->of));
	return &t->of[t->n++];
}

static bool
same_stack(const struct watched_entry *a, const struct watched_entry *b)
{
	return memcmp(a->pc, b->pc, sizeof(a->pc)) == 0;
}

/* A constant text may have several addresses. */
static void
merge(struct watched_table *t)
{
	struct watched_entry *last = &t->of[t->n - 1], *e;

	for (e = t->of; e < last; e++) {
		if (strcmp(e->call, last->call) != 0 || !same_stack(e, last))
			continue;
		e->n += last->n;
		e->ns += last->ns;
		if (last->longest > e->longest)
			e->longest = last->longest;
		free(last->call);
		t->n--;
		return;
	}
}

static int
by_time(const void *a, const void *b)
{
	const struct watched_entry *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns > y->ns ? -1 : 1;
	if (x->used != y->used)
		return x->used > y->used ? -1 : 1;
	return strcmp(x->call, y->call);
}

static void
read_stack(struct live *l, struct watched_entry *e)
{
	struct module *m;
	int i;

	for (i = 0; i < 16 && e->pc[i] != 0; i++) {
		e->symbol[i] = name_of(l, e->pc[i], false, &m);
		if (m != NULL)
			e->file[i] = strdup(base_of(m->path));
	}
}

enum table { CALLS, PLACES, STACKS };

static void
read_table(struct live *l, const char *name, enum table kind,
	   struct watched_table *t)
{
	int64_t at = live_entry(l, name), size = live_entry(l, "watched.size");
	int64_t most = live_entry(l, "watched.most"), i, k;
	int64_t pcs = live_entry(l, "watched.pcs");
	struct watched_entry *e;
	struct module *m;
	char call[64], *entry;

	if (at == -1 || size <= 0 || most <= 0)
		return;
	entry = need((size_t)size);
	for (i = 0; i < most; i++) {
		if (!live_read(l, (uint64_t)(at + i * size), entry,
			       (size_t)size))
			break;
		if (word(entry, live_entry(l, "watched.n")) == 0 &&
		    (kind != PLACES ||
		     word(entry, live_entry(l, "watched.call")) == 0))
			continue;
		e = add(t);
		e->n = (int64_t)word(entry, live_entry(l, "watched.n"));
		e->ns = (int64_t)word(entry, live_entry(l, "watched.ns"));
		e->longest =
			(int64_t)word(entry, live_entry(l, "watched.longest"));
		e->used = (int64_t)word(entry, live_entry(l, "watched.used"));
		e->size = (int64_t)word(entry, live_entry(l, "watched.stack"));
		for (k = 0; kind != CALLS && k < pcs && k < 15; k++)
			e->pc[k] = word(entry,
					live_entry(l, "watched.pc") + 8 * k);
		if (kind == STACKS) {
			e->call = name_of(l, e->pc[0], true, &m);
			if (e->call == NULL)
				e->call = format("0x%lx",
						 (unsigned long)e->pc[0]);
			continue;
		}
		read_name(l, word(entry, live_entry(l, "watched.call")), call,
			  sizeof(call));
		e->call = strdup(call);
		merge(t);
	}
	free(entry);
}

/* Those that hold a worker up to this day, since their place was taken. */
static void
read_out(struct live *l, struct watched_table *t)
{
	int64_t size = live_entry(l, "m.size"), places, width, now;
	uint64_t m = 0, co, blamed;
	struct watched_entry *e;
	struct timespec ts;
	char *buf;
	int i;

	if (size <= 0 || live_entry(l, "m.blamed") == -1)
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
	places = live_entry(l, "&places");
	width = live_entry(l, "watched.size");
	buf = need((size_t)size);
	live_read(l, (uint64_t)live_entry(l, "&all_m"), &m, 8);
	for (i = 0; m != 0 && i < 100000; i++) {
		uint64_t fn = 0;
		int64_t at;

		if (!live_read(l, m, buf, (size_t)size))
			break;
		memcpy(&m, buf + live_entry(l, "m.next"), 8);
		at = (int64_t)word(buf, live_entry(l, "m.blamed_at"));
		co = word(buf, live_entry(l, "m.cur"));
		blamed = word(buf, live_entry(l, "m.blamed"));
		if (at == 0 || co == 0)
			continue;
		e = NULL;
		if (blamed != 0) {
			/* Its entry is the one with those addresses. */
			char *entry = need((size_t)width);
			size_t k;

			(void)places;
			live_read(l, blamed, entry, (size_t)width);
			for (k = 0; k < t->n && e == NULL; k++)
				if (memcmp(t->of[k].pc,
					   entry + live_entry(l, "watched.pc"),
					   8 * 4) == 0)
					e = &t->of[k];
			free(entry);
		}
		if (e == NULL) {
			live_read(l, co + (uint64_t)live_entry(l, "co.fn"), &fn,
				  8);
			e = add(t);
			e->call = strdup("(computing)");
			e->pc[0] = fn + 1;
		}
		e->n++;
		e->ns += now - at;
		if (now - at > e->longest)
			e->longest = now - at;
	}
	free(buf);
}

void
watched_read(struct live *l, struct watched *w)
{
	size_t i;

	memset(w, 0, sizeof(*w));
	read_table(l, "&waits", CALLS, &w->waits);
	read_table(l, "&lent", CALLS, &w->lent);
	read_table(l, "&places", PLACES, &w->places);
	read_table(l, "&stacks", STACKS, &w->stacks);
	read_out(l, &w->places);
	for (i = 0; i < w->places.n; i++)
		read_stack(l, &w->places.of[i]);
	qsort(w->waits.of, w->waits.n, sizeof(*w->waits.of), by_time);
	qsort(w->lent.of, w->lent.n, sizeof(*w->lent.of), by_time);
	qsort(w->places.of, w->places.n, sizeof(*w->places.of), by_time);
	qsort(w->stacks.of, w->stacks.n, sizeof(*w->stacks.of), by_time);
}

/* --- for people --- */

static const char *
time_text(char *buf, size_t size, int64_t ns)
{
	if (ns < 10 * 1000)
		snprintf(buf, size, "%ld ns", (long)ns);
	else if (ns < 10 * 1000 * 1000)
		snprintf(buf, size, "%ld us", (long)(ns / 1000));
	else if (ns < INT64_C(10) * 1000 * 1000 * 1000)
		snprintf(buf, size, "%ld ms", (long)(ns / 1000000));
	else
		snprintf(buf, size, "%.1f s", (double)ns / 1e9);
	return buf;
}

static void
times(FILE *to, const struct watched_entry *e)
{
	char total[24], longest[24];

	fprintf(to, "  %-38.38s %10ld %12s %12s\n", e->call, (long)e->n,
		time_text(total, sizeof(total), e->ns),
		time_text(longest, sizeof(longest), e->longest));
}

static void
callers(FILE *to, const struct watched_entry *e)
{
	char text[128];
	int i, column = 0, n;

	for (i = 0; i < 16 && e->pc[i] != 0; i++) {
		n = snprintf(text, sizeof(text), "%s%.100s", i > 0 ? "< " : "",
			     e->symbol[i] != NULL ? e->symbol[i] :
			     e->file[i] != NULL   ? e->file[i] :
						    "?");
		if (column > 0 && column + 1 + n > 79) {
			fprintf(to, "\n");
			column = 0;
		}
		column += fprintf(to, "%s%s", column > 0 ? " " : "    ", text);
	}
	if (column > 0)
		fprintf(to, "\n");
}

static void
title(FILE *to, const char *what, const char *a, const char *b, const char *c)
{
	fprintf(to, "\n%-40s %10s %12s %12s\n", what, a, b, c);
}

static size_t
twice(size_t used)
{
	size_t p = 16384;

	while (p < 2 * used)
		p *= 2;
	return p;
}

void
watched_print(FILE *to, const struct watched *w)
{
	int64_t used = 0, size = 0;
	size_t i;

	if (w->waits.n > 0)
		title(to, "parked, in", "times", "total", "longest");
	for (i = 0; i < w->waits.n; i++)
		times(to, &w->waits.of[i]);
	if (w->lent.n > 0)
		title(to, "in the kernel, in", "times", "total", "longest");
	for (i = 0; i < w->lent.n; i++)
		times(to, &w->lent.of[i]);
	if (w->places.n > 0)
		title(to, "blocked a worker, in", "times", "total", "longest");
	for (i = 0; i < w->places.n; i++) {
		times(to, &w->places.of[i]);
		callers(to, &w->places.of[i]);
	}
	if (w->stacks.n > 0)
		title(to, "stacks, by a thread's function", "threads",
		      "KiB used", "KiB");
	for (i = 0; i < w->stacks.n; i++) {
		const struct watched_entry *e = &w->stacks.of[i];

		fprintf(to, "  %-38.38s %10ld %12ld %12ld\n", e->call,
			(long)e->n, (long)(e->used + 1023) / 1024,
			(long)e->size / 1024);
		used = e->used > used ? e->used : used;
		size = e->size > size ? e->size : size;
	}
	if (w->stacks.n > 0 && twice((size_t)used) * 2 <= (size_t)size)
		fprintf(to, "  COHOOK_STACK=%luK is twice what was used\n",
			(unsigned long)twice((size_t)used) / 1024);
}

/* --- for machines --- */

static void
table_json(FILE *to, const char *name, const struct watched_table *t,
	   enum table kind)
{
	size_t i;
	int k;

	fprintf(to, ",\n \"%s\": [", name);
	for (i = 0; i < t->n; i++) {
		const struct watched_entry *e = &t->of[i];

		fprintf(to, "%s\n  {\"%s\": ", i > 0 ? "," : "",
			kind == STACKS ? "function" : "call");
		json_string_to(to, e->call);
		if (kind == STACKS) {
			fprintf(to,
				", \"threads\": %ld, \"used\": %ld, "
				"\"size\": %ld}",
				(long)e->n, (long)e->used, (long)e->size);
			continue;
		}
		fprintf(to,
			", \"times\": %ld, \"total_ns\": %ld, "
			"\"longest_ns\": %ld",
			(long)e->n, (long)e->ns, (long)e->longest);
		if (kind == PLACES)
			fprintf(to, ", \"stack\": [");
		for (k = 0; kind == PLACES && k < 16 && e->pc[k] != 0; k++) {
			fprintf(to, "%s{\"pc\": \"0x%lx\", \"symbol\": ",
				k > 0 ? ", " : "", (unsigned long)e->pc[k]);
			if (e->symbol[k] != NULL)
				json_string_to(to, e->symbol[k]);
			else
				fprintf(to, "null");
			fprintf(to, ", \"file\": ");
			if (e->file[k] != NULL)
				json_string_to(to, e->file[k]);
			else
				fprintf(to, "null");
			fprintf(to, "}");
		}
		fprintf(to, kind == PLACES ? "]}" : "}");
	}
	fprintf(to, "]");
}

void
watched_json(FILE *to, const struct watched *w)
{
	table_json(to, "waits", &w->waits, CALLS);
	table_json(to, "lent", &w->lent, CALLS);
	table_json(to, "blocked", &w->places, PLACES);
	table_json(to, "stacks", &w->stacks, STACKS);
}
