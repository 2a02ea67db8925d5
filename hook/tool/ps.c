/* SPDX-License-Identifier: MIT */
/* ps.c - `cohook ps', `dump' and `top': who waits for what, in a live process. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hook/tool/live.h"

/* Where the last column begins. */
enum { LAST = 37, WIDTH = 80 };
/* Less than this is no address of an object: the first page is never mapped,
 * and no descriptor number is as high (fs.nr_open is 2^20 as a rule). */
static const uint64_t FIRST_ADDRESS = 1 << 22;

/* What a coroutine waits for, as far as it can be known. */
struct wait {
	int fd;                 /* -1: none */
	char *fd_text;
	uint64_t addr;          /* 0: none */
	char *symbol;           /* of addr; NULL */
	const struct coro *owner; /* of the lock, or who is joined; NULL */
	char *text;             /* all of it, for people; "" */
};

static const char *
state_of(const struct live *l, const struct coro *c)
{
	if (c->state == live_entry(l, "state.ready"))
		return "ready";
	if (c->state == live_entry(l, "state.parked"))
		return "parked";
	if (c->state == live_entry(l, "state.running"))
		return c->why[0] != '\0' ? "blocked" : "running";
	return "gone";
}

static char *
who(const struct coro *c)
{
	return c->name[0] != '\0' ? format("#%ld %s", (long)c->id, c->name)
				  : format("#%ld", (long)c->id);
}

static bool
begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* glibc's layout, part of its ABI: static initialisers hold it. */
static char *
lock_text(struct live *l, const struct coro *c, struct wait *w)
{
	struct {
		int lock;
		unsigned count;
		int owner;
	} mutex;
	unsigned rw[8];
	size_t i;
	char *name, *text;

	if (begins(c->why, "pthread_mutex") || begins(c->why, "mtx_")) {
		if (!live_read(l, w->addr, &mutex, sizeof(mutex)))
			return format("mutex");
		w->owner = mutex.owner != 0 ? live_by_tid(l, mutex.owner)
					    : NULL;
		if (w->owner == NULL)
			return mutex.lock == 0
				       ? format("mutex, free by now")
			       : mutex.owner != 0
				       ? format("mutex, held by thread %d",
						mutex.owner)
				       : format("mutex, held");
		name = who(w->owner);
		text = format("mutex, held by %s", name);
		free(name);
		return text;
	}
	if (begins(c->why, "pthread_rwlock")) {
		if (!live_read(l, w->addr, rw, sizeof(rw)))
			return format("rwlock");
		w->owner = rw[6] != 0 ? live_by_tid(l, (int)rw[6]) : NULL;
		if (w->owner == NULL)
			return format("rwlock, %u readers", rw[0] >> 3);
		name = who(w->owner);
		text = format("rwlock, written by %s", name);
		free(name);
		return text;
	}
	if (strcmp(c->why, "pthread_join") == 0 ||
	    strcmp(c->why, "cohook_join") == 0) {
		for (i = 0; i < l->ncoros; i++)
			if (l->coros[i].at +
				    (uint64_t)live_entry(l, "co.done") ==
			    w->addr) {
				w->owner = &l->coros[i];
				w->addr = 0;
				name = who(w->owner);
				text = format("the end of %s", name);
				free(name);
				return text;
			}
		w->addr = 0;
		return format("the end of a thread");
	}
	if (strcmp(c->why, "cohook_run") == 0) {
		w->addr = 0;
		return format("all coroutines to end");
	}
	if (begins(c->why, "pthread_cond") || begins(c->why, "cnd_"))
		return format("condition");
	if (begins(c->why, "sem_"))
		return format("semaphore");
	if (begins(c->why, "pthread_barrier"))
		return format("barrier");
	if (begins(c->why, "cohook_chan"))
		return format("channel");
	return format("object");
}

static void
look(struct live *l, const struct coro *c, struct wait *w)
{
	const struct call *call = call_of(c->why);
	struct module *m;
	char *text, *old;

	memset(w, 0, sizeof(*w));
	w->fd = -1;
	w->text = format("%s", "");
	/* In a blocking call, what was last waited for is of no meaning. */
	if (c->state == live_entry(l, "state.running") || c->why[0] == '\0')
		return;
	if (c->what >= FIRST_ADDRESS) {
		w->addr = c->what;
		text = lock_text(l, c, w);
		if (w->addr != 0) {
			w->symbol = live_symbol(l, w->addr, &m);
			old = text;
			if (w->symbol != NULL)
				text = format("%s, %s", w->symbol, old);
			else
				text = format("0x%lx, %s",
					      (unsigned long)w->addr, old);
			free(old);
		}
		free(w->text);
		w->text = text;
	} else if ((call != NULL && call->on_fd) ||
		   (c->what != 0 && strstr(c->why, "poll") != NULL)) {
		w->fd = (int)c->what;
		w->fd_text = live_fd(l, w->fd);
		free(w->text);
		w->text = format("fd %d, %s", w->fd, w->fd_text);
	}
}

static void
forget(struct wait *w)
{
	free(w->fd_text);
	free(w->symbol);
	free(w->text);
}

static void
duration(char *buf, size_t size, int64_t ns)
{
	long s = (long)(ns / 1000000000);

	if (ns < 0)
		ns = 0;
	if (ns < 1000000000)
		snprintf(buf, size, "%ldms", (long)(ns / 1000000));
	else if (s < 100)
		snprintf(buf, size, "%ld.%lds", s,
			 (long)(ns / 100000000 % 10));
	else if (s < 6000)
		snprintf(buf, size, "%ldm%02ld", s / 60, s % 60);
	else if (s < 360000)
		snprintf(buf, size, "%ldh%02ld", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, "%ldd%02ld", s / 86400, s / 3600 % 24);
}

static void
waited(const struct live *l, const struct coro *c, char *buf, size_t size)
{
	if (c->why[0] == '\0' || c->since == 0)
		snprintf(buf, size, "-");
	else
		duration(buf, size, l->now - c->since);
}

/* In the last column, broken at blanks. */
static void
last_column(const char *text, int column)
{
	size_t room = (size_t)(WIDTH - 1 - column), n;

	while (strlen(text) > room) {
		for (n = room; n > 0 && text[n] != ' '; n--)
			;
		if (n == 0)
			n = room;
		printf("%.*s\n%*s", (int)n, text, column, "");
		text += n + (text[n] == ' ');
	}
	printf("%s\n", text);
}

static char *
wait_text(const struct live *l, const struct coro *c, const struct wait *w)
{
	char *text, *more_text, left[16];

	if (c->why[0] == '\0')
		return c->m_tid != 0 ? format("on kernel thread %d",
					      (int)c->m_tid)
				     : format("%s", "");
	text = format("%s%s%s", c->why, w->text[0] ? ": " : "", w->text);
	if (c->m_tid != 0) {
		more_text = format("%s, in kernel thread %d", text,
				   (int)c->m_tid);
		free(text);
		text = more_text;
	}
	if (c->deadline != 0) {
		duration(left, sizeof(left), c->deadline - l->now);
		more_text = format("%s, %s left", text, left);
		free(text);
		text = more_text;
	}
	return text;
}

static void
program_name(const struct live *l, char *buf, size_t size)
{
	char *path = format("/proc/%d/comm", (int)l->pid);
	FILE *f = fopen(path, "re");

	free(path);
	snprintf(buf, size, "?");
	if (f == NULL)
		return;
	if (fgets(buf, (int)size, f) != NULL)
		buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
}

static void
head(const struct live *l)
{
	char name[32];

	program_name(l, name, sizeof(name));
	printf("%s%s%s, process %d, under cohook %s: ", bold, name, plain,
	       (int)l->pid, l->version);
	if (!l->active) {
		printf("no second thread yet, so no coroutines\n");
		return;
	}
	printf("%zu coroutine%s\n%d worker%s, %d kernel thread%s in all\n\n",
	       l->ncoros, l->ncoros == 1 ? "" : "s", l->workers,
	       l->workers == 1 ? "" : "s", l->kernel_threads,
	       l->kernel_threads == 1 ? "" : "s");
}

static const char *
hue_of(const char *state)
{
	return strcmp(state, "parked") == 0    ? plain
	       : strcmp(state, "blocked") == 0 ? yellow
					       : green;
}

static void
list(struct live *l, size_t most)
{
	char since[16], *text;
	struct wait w;
	size_t i;

	head(l);
	if (l->ncoros == 0)
		return;
	printf("%s%7s %-15s %-7s %5s %s%s\n", dim, "ID", "NAME", "STATE",
	       "SINCE", "WAITS FOR", plain);
	for (i = 0; i < l->ncoros && i < most; i++) {
		const struct coro *c = &l->coros[i];
		const char *state = state_of(l, c);

		progress(i, l->ncoros);
		look(l, c, &w);
		text = wait_text(l, c, &w);
		waited(l, c, since, sizeof(since));
		printf("%7ld %-15.15s %s%-7s%s %5s ", (long)c->id,
		       c->name[0] ? c->name : "-", hue_of(state), state,
		       plain, since);
		last_column(text, LAST + 1);
		free(text);
		forget(&w);
	}
	progress(l->ncoros, l->ncoros);
	if (i < l->ncoros)
		printf("%7s and %zu more\n", "", l->ncoros - i);
}

/* --- stacks --- */

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool
is_ours(const struct module *m)
{
	return m != NULL && begins(base_of(m->path), "libcohook.so");
}

/* What lies in the library below the hook is of no interest to its user. */
static size_t
first_frame(struct live *l, const struct frames *f)
{
	size_t i;

	for (i = 0; i + 1 < f->n; i++)
		if (is_ours(live_module(l, f->pc[i])) &&
		    !is_ours(live_module(l, f->pc[i + 1])))
			return i;
	return 0;
}

static bool
stack_of(struct live *l, const struct coro *c, struct frames *f)
{
	f->n = 0;
	if (c->state == live_entry(l, "state.running"))
		return live_unwind_blocked(l, c, f);
	return live_unwind(l, c, f);
}

static void
print_stack(struct live *l, const struct coro *c, bool all)
{
	struct frames f;
	struct module *m;
	char *symbol;
	size_t i, from;

	if (!stack_of(l, c, &f)) {
		printf("     %s(it runs: its stack is not to be had from "
		       "outside)%s\n",
		       dim, plain);
		return;
	}
	from = all ? 0 : first_frame(l, &f);
	for (i = from; i < f.n; i++) {
		symbol = live_symbol(l, f.pc[i] - 1, &m);
		if (symbol != NULL && strstr(symbol, "+0x") != NULL)
			*strstr(symbol, "+0x") = '\0';
		printf("  %s%3zu 0x%012lx%s %s", dim, i - from,
		       (unsigned long)f.pc[i], plain,
		       symbol != NULL ? symbol : "?");
		if (m != NULL)
			printf("  %s%s%s", dim, base_of(m->path), plain);
		printf("\n");
		free(symbol);
	}
	if (f.cut)
		printf("      %s...%s\n", dim, plain);
}

static void
dump(struct live *l, bool all)
{
	char since[16], *name, *text, *start;
	struct module *m;
	struct wait w;
	size_t i;

	head(l);
	for (i = 0; i < l->ncoros; i++) {
		const struct coro *c = &l->coros[i];
		const char *state = state_of(l, c);

		progress(i, l->ncoros);
		look(l, c, &w);
		name = who(c);
		text = wait_text(l, c, &w);
		waited(l, c, since, sizeof(since));
		start = c->main ? NULL : live_symbol(l, c->fn, &m);
		printf("%s%s%s, %s%s%s%s%s%s%s\n", bold, name, plain,
		       hue_of(state), state, plain,
		       strcmp(since, "-") ? " for " : "",
		       strcmp(since, "-") ? since : "",
		       start != NULL ? ", began in " : "",
		       start != NULL ? start : "");
		if (text[0] != '\0') {
			printf("     ");
			last_column(text, 5);
		}
		print_stack(l, c, all);
		if (i + 1 < l->ncoros)
			printf("\n");
		free(name);
		free(text);
		free(start);
		forget(&w);
	}
	progress(l->ncoros, l->ncoros);
}

/* --- for machines --- */

static void
member(const char *name, const char *value)
{
	printf(", \"%s\": ", name);
	if (value != NULL)
		json_string(value);
	else
		printf("null");
}

static void
number(const char *name, bool there, int64_t value)
{
	if (there)
		printf(", \"%s\": %ld", name, (long)value);
	else
		printf(", \"%s\": null", name);
}

static void
json_stack(struct live *l, const struct coro *c)
{
	struct frames f;
	struct module *m;
	char *symbol;
	size_t i;

	printf(",\n   \"stack\": [");
	stack_of(l, c, &f);
	for (i = 0; i < f.n; i++) {
		symbol = live_symbol(l, f.pc[i] - 1, &m);
		printf("%s\n    {\"pc\": \"0x%lx\"", i > 0 ? "," : "",
		       (unsigned long)f.pc[i]);
		if (symbol != NULL && strstr(symbol, "+0x") != NULL)
			*strstr(symbol, "+0x") = '\0';
		member("symbol", symbol);
		member("file", m != NULL ? m->path : NULL);
		printf("}");
		free(symbol);
	}
	printf("]");
}

static void
list_json(struct live *l, bool stacks)
{
	char name[32], *text;
	struct wait w;
	size_t i;

	program_name(l, name, sizeof(name));
	printf("{\"pid\": %d", (int)l->pid);
	member("program", name);
	member("version", l->version);
	printf(", \"active\": %s", l->active ? "true" : "false");
	number("workers", true, l->workers);
	number("kernel_threads", true, l->kernel_threads);
	printf(",\n \"coroutines\": [");
	for (i = 0; i < l->ncoros; i++) {
		const struct coro *c = &l->coros[i];

		progress(i, l->ncoros);
		look(l, c, &w);
		printf("%s\n  {\"id\": %ld", i > 0 ? "," : "", (long)c->id);
		member("name", c->name);
		number("tid", true, c->tid);
		member("state", state_of(l, c));
		member("call", c->why[0] != '\0' ? c->why : NULL);
		number("since_ms", c->why[0] != '\0' && c->since != 0,
		       (l->now - c->since) / 1000000);
		number("timeout_ms", c->deadline != 0,
		       (c->deadline - l->now) / 1000000);
		number("fd", w.fd >= 0, w.fd);
		member("fd_is", w.fd_text);
		text = w.addr != 0 ? format("0x%lx", (unsigned long)w.addr)
				   : NULL;
		member("address", text);
		free(text);
		member("symbol", w.symbol);
		number("owner", w.owner != NULL,
		       w.owner != NULL ? w.owner->id : 0);
		number("kernel_thread", c->m_tid != 0, (int64_t)c->m_tid);
		if (stacks)
			json_stack(l, c);
		printf("}");
		forget(&w);
	}
	progress(l->ncoros, l->ncoros);
	printf("]}\n");
}

/* --- the commands --- */

pid_t
pid_of(const char *s)
{
	char *end;
	long pid = strtol(s, &end, 10);

	if (*end != '\0' || pid <= 0 || pid > INT_MAX)
		die(2, "\"%s\" is no process id", s);
	return (pid_t)pid;
}

static struct live *
open_or_die(const char *pid)
{
	char *why = NULL;
	struct live *l = live_open(pid_of(pid), &why);

	if (l == NULL)
		die(1, "%s", why);
	return l;
}

static int
show(int argc, char **argv, bool stacks)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false, all = false, usage = false;
	struct live *l;
	int c;

	while ((c = getopt_long(argc, argv, "jah", options, NULL)) != -1)
		if (c == 'j')
			json = true;
		else if (c == 'a' && stacks)
			all = true;
		else if (c == 'h')
			usage = true;
		else
			return 2;
	if (usage || optind + 1 != argc) {
		fprintf(usage ? stdout : stderr,
			"usage: cohook %s [--json]%s PID\n\n"
			"Shows the coroutines of a live process, which is "
			"neither stopped nor traced.\n%s",
			argv[0], stacks ? " [--all]" : "",
			stacks ? "\n  -a, --all  the frames inside cohook too\n"
			       : "");
		return usage ? 0 : 2;
	}
	l = open_or_die(argv[optind]);
	live_read_all(l);
	if (json)
		list_json(l, stacks);
	else if (stacks)
		dump(l, all);
	else
		list(l, SIZE_MAX);
	live_close(l);
	return 0;
}

int
cmd_ps(int argc, char **argv)
{
	return show(argc, argv, false);
}

int
cmd_dump(int argc, char **argv)
{
	return show(argc, argv, true);
}

/* The longest waits last, as they are the least news: who runs comes first. */
static int
by_activity(const void *a, const void *b)
{
	const struct coro *x = a, *y = b;

	if ((x->why[0] == '\0') != (y->why[0] == '\0'))
		return x->why[0] == '\0' ? -1 : 1;
	if (x->since != y->since)
		return x->since > y->since ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

int
cmd_top(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' },
		{ "times", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct live_counts before = { 0 }, now;
	bool tty = isatty(STDOUT_FILENO);
	double delay = 1;
	long times = -1, i;
	struct timespec ts;
	struct live *l;
	char *why;
	int c;

	while ((c = getopt_long(argc, argv, "d:n:h", options, NULL)) != -1)
		if (c == 'd' && atof(optarg) > 0)
			delay = atof(optarg);
		else if (c == 'n' && atol(optarg) > 0)
			times = atol(optarg);
		else if (c == 'h') {
			printf("usage: cohook top [-d SECONDS] [-n TIMES] "
			       "PID\n");
			return 0;
		} else {
			complain("-d takes seconds, -n how often");
			return 2;
		}
	if (optind + 1 != argc)
		die(2, "usage: cohook top [-d SECONDS] [-n TIMES] PID");
	ts.tv_sec = (time_t)delay;
	ts.tv_nsec = (long)((delay - (double)ts.tv_sec) * 1e9);
	for (i = 0; times < 0 || i < times; i++) {
		if (i > 0)
			nanosleep(&ts, NULL);
		l = i == 0 ? open_or_die(argv[optind])
			   : live_open(pid_of(argv[optind]), &why);
		if (l == NULL)
			return 0; /* it has ended */
		live_read_all(l);
		qsort(l->coros, l->ncoros, sizeof(*l->coros), by_activity);
		if (tty)
			printf("\033[H\033[2J");
		else if (i > 0)
			printf("\n");
		live_counts(l, &now);
		printf("%s%.0f switches/s, %.0f started/s%s\n", dim,
		       i > 0 ? (double)(uint32_t)(now.switches -
						  before.switches) /
				       delay
			     : 0.0,
		       i > 0 ? (double)(now.started - before.started) / delay
			     : 0.0,
		       plain);
		before = now;
		list(l, tty ? 18 : SIZE_MAX);
		live_close(l);
		if (text_unread())
			return 1;
	}
	return 0;
}
