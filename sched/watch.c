/* SPDX-License-Identifier: MIT */
/* watch.c - who waited, who blocked a worker, and for how long. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/trace.h"
#include "sched/watch.h"
#include "sched/where.h"

enum { FAR = 64 * 1024, LONG = 100 * 1000 * 1000 };
/* As many callers make two places. */
enum { SAME = 4 };

/* In place of a call's name. */
static const char unhooked[] = "(not hooked)";
static const char computing[] = "(computing)";

int co_watch;
struct co_watched_all co_watched;

static struct co_lock lock; /* of who adds to a table */
static int say_at_exit;

void
co_watch_init(bool stats, bool say)
{
	say_at_exit = stats && say;
	co_watch = (co_log_level >= CO_TRACE ? CO_WATCH_TRACE : 0) |
		   (co_log_level >= CO_INFO ? CO_WATCH_BLAME : 0) |
		   (stats ? CO_WATCH_STATS | CO_WATCH_BLAME : 0);
}

static void
count(struct co_watched *w, int64_t ns)
{
	int64_t longest = w->longest;

	atomic_fetch_add_explicit(&w->n, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&w->ns, ns, memory_order_relaxed);
	while (ns > longest &&
	       !atomic_compare_exchange_weak(&w->longest, &longest, ns))
		;
}

/* The entry of that call, or a new one; NULL: the table is full. */
static struct co_watched *
by_call(struct co_watched *table, const char *call)
{
	struct co_watched *w;
	int i;

	for (i = 0; i < CO_WATCHED; i++) {
		w = &table[((uintptr_t)call / 4 + (unsigned)i) % CO_WATCHED];
		if (w->call == call)
			return w;
		if (w->call != NULL)
			continue;
		co_critical_begin();
		co_lock(&lock);
		if (w->call == NULL)
			w->call = call;
		co_unlock(&lock);
		co_critical_end();
		if (w->call == call)
			return w;
	}
	return NULL;
}

/* --- waits --- */

int64_t
co_watch_park(const struct co *co, const char *call, uintptr_t what,
	      int64_t deadline)
{
	int64_t now = co_now();

	(void)co;
	if (co_watch & CO_WATCH_EVENTS)
		co_trace_event((struct co_traced){
			.event = CO_EV_PARK,
			.time = now,
			.call = call,
			.what = what,
			.us = deadline != CO_FOREVER ? (deadline - now) / 1000 :
						       -1,
		});
	return now;
}

void
co_watch_wake(const struct co *co, const char *call, uintptr_t what,
	      enum co_why woken, int64_t since)
{
	int64_t now = co_now();
	struct co_watched *w;

	(void)co;
	if (co_watch & CO_WATCH_STATS) {
		w = by_call(co_watched.waits, call);
		if (w != NULL)
			count(w, now - since);
	}
	if (co_watch & CO_WATCH_EVENTS)
		co_trace_event((struct co_traced){
			.event = CO_EV_WAKE,
			.woken = (uint8_t)woken,
			.time = now,
			.call = call,
			.what = what,
			.us = since != 0 ? (now - since) / 1000 : -1,
		});
}

/* --- blocking regions --- */

void
co_watch_begin(struct co *co, const char *call)
{
	co->watched = co_now();
	if (co_watch & CO_WATCH_EVENTS)
		co_trace_event((struct co_traced){
			.event = CO_EV_BEGIN,
			.time = co->watched,
			.call = call,
			.us = -1,
		});
}

void
co_watch_end(struct co *co)
{
	int64_t ns = co_now() - co->watched;
	struct co_watched *w;

	if (co->why == NULL || co->watched == 0)
		return;
	if (co_watch & CO_WATCH_STATS) {
		w = by_call(co_watched.lent, co->why);
		if (w != NULL)
			count(w, ns);
	}
	/* Where nobody looked on as it began, the time is an older one's. */
	if (co_watch & CO_WATCH_TRACE || co->watched > co_ring.from)
		co_trace_event((struct co_traced){
			.event = CO_EV_END,
			.time = co->watched + ns,
			.call = co->why,
			.us = ns / 1000,
		});
	co->watched = 0;
}

/* --- who blocks a worker --- */

static uint64_t
number(const char **p)
{
	uint64_t u = 0;
	int digit;

	if ((*p)[0] == '0' && (*p)[1] == 'x')
		*p += 2;
	for (;; (*p)++) {
		if (**p >= '0' && **p <= '9')
			digit = **p - '0';
		else if (**p >= 'a' && **p <= 'f')
			digit = **p - 'a' + 10;
		else
			return u;
		u = u * 16 + (unsigned)digit;
	}
}

/* Stack pointer and program counter of a thread of ours that is in a system
 * call (proc(5), /proc/PID/syscall: number, six arguments, these two). */
static bool
in_syscall(int tid, uintptr_t *sp, uintptr_t *pc)
{
	char text[256];
	const char *p;
	long fd, n;
	int i;

	co_format(text, sizeof(text), "/proc/self/task/%d/syscall", tid);
	fd = sys4(SYS_openat, AT_FDCWD, text, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	n = sys3(SYS_read, fd, text, sizeof(text) - 1);
	sys1(SYS_close, fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	p = text;
	for (i = 0; i < 7; i++) {
		p = strchr(p, ' ');
		if (p == NULL)
			return false; /* "running" */
		p++;
	}
	*sp = number(&p);
	p = strchr(p, ' ');
	if (p == NULL)
		return false;
	p++;
	*pc = number(&p);
	return true;
}

static uintptr_t
stack_end(const struct co *co, uintptr_t sp)
{
	uintptr_t base = (uintptr_t)co->stack.base;

	if (sp >= base && sp < base + co->stack.size)
		return base + co->stack.size;
	return sp + FAR; /* main()'s */
}

/* The entry of that place; *fresh: it is new. */
static struct co_watched *
by_place(const char *call, const uintptr_t *pc, bool *fresh)
{
	struct co_watched *w = NULL;
	int i;

	*fresh = false;
	co_critical_begin();
	co_lock(&lock);
	for (i = 0; i < CO_WATCHED; i++) {
		w = &co_watched.places[i];
		if (w->call == NULL ||
		    (w->call == call &&
		     memcmp(w->pc, pc, SAME * sizeof(*pc)) == 0))
			break;
	}
	if (i == CO_WATCHED) {
		w = NULL;
	} else if (w->call == NULL) {
		memcpy(w->pc, pc, sizeof(w->pc));
		w->call = call;
		*fresh = true;
	}
	co_unlock(&lock);
	co_critical_end();
	return w;
}

static int
length(const uintptr_t *pc)
{
	int n = 0;

	while (n < CO_WATCH_PCS && pc[n] != 0)
		n++;
	return n;
}

static void
say(const char *what, const struct co *co, const struct co_watched *w, long ms)
{
	char names[320], took[32] = "";

	co_where_names(names, sizeof(names), w->call[0] != '(' ? w->call : NULL,
		       w->pc, length(w->pc));
	if (ms >= 0)
		co_format(took, sizeof(took), " for %ld ms", ms);
	co_log(CO_INFO, "coroutine %ld \"%s\" %s%s: %s", (long)co->id, co->name,
	       what, took, names);
}

int
co_watch_where(const struct co *co, uintptr_t *pc, int most)
{
	uintptr_t sp = (uintptr_t)co->tcb.ctx.sp;
	const struct co_m *m = co->m;
	int n = 0;

	if (atomic_load(&co->state) == CO_S_RUNNING) {
		if (m == NULL || !in_syscall(m->tid, &sp, &pc[0]))
			return 0;
		n = co_where_ours(pc[0]) ? 0 : 1;
	}
	return n + co_where_scan(sp, stack_end(co, sp), pc + n, most - n);
}

/* A thread that is in a system call stays where it is, or has come back and
 * waits for nothing of ours: what is read is its stack, or was. */
void
co_seen_takeover(struct co_slot *s, struct co_m *m, struct co *co)
{
	uintptr_t pc[CO_WATCH_PCS] = { 0 };
	const char *call = co != NULL ? co->why : NULL;
	struct co_watched *w = NULL;
	bool fresh;

	CO_PROBE3(takeover, s->id, co != NULL ? co->id : 0, call);
	if (!co_watch || co == NULL)
		return;
	if (co_watch & CO_WATCH_EVENTS)
		co_trace_event((struct co_traced){
			.event = CO_EV_TAKEOVER,
			.time = co_now(),
			.other = co->id,
			.call = call,
			.us = -1,
		});
	if (!(co_watch & CO_WATCH_BLAME))
		return;
	m->blamed = NULL;
	m->blamed_at = co_now();
	if (co_watch_where(co, pc, CO_WATCH_PCS) > 0)
		w = by_place(call != NULL ? call : unhooked, pc, &fresh);
	m->blamed = w; /* else it runs: it tells itself when it is back */
	/* It has come back before we knew why it was away. */
	if (atomic_load(&m->take) != CO_TAKE_DONE)
		m->blamed_at = 0;
	if (w != NULL && fresh)
		say(call != NULL ? "blocks its worker" :
				   "blocks its worker, not hooked",
		    co, w, -1);
}

void
co_watch_back(struct co_m *m)
{
	uintptr_t pc[CO_WATCH_PCS] = { 0 };
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	struct co_watched *w = m->blamed;
	struct co *co = m->cur;
	bool fresh = false;
	int64_t ns;

	if (m->blamed_at == 0 || co == NULL)
		return;
	ns = co_now() - m->blamed_at;
	m->blamed_at = 0;
	m->blamed = NULL;
	if (w == NULL) {
		co_where_scan(sp, stack_end(co, sp), pc, CO_WATCH_PCS);
		w = by_place(computing, pc, &fresh);
	}
	if (w == NULL)
		return;
	if (fresh || (ns > LONG && ns > 2 * w->longest))
		say(w->call == computing ? "has computed, its worker taken," :
					   "has blocked its worker",
		    co, w, (long)(ns / 1000000));
	count(w, ns);
}

/* At the end: it has not come back. */
void
co_watch_out(struct co_m *m)
{
	uintptr_t pc[CO_WATCH_PCS] = { 0 };
	struct co_watched *w = m->blamed;
	int64_t at = m->blamed_at;
	struct co *co = m->cur;
	bool fresh;

	if (at == 0 || co == NULL || atomic_load(&m->take) != CO_TAKE_DONE)
		return;
	if (w == NULL) {
		pc[0] = (uintptr_t)co->fn + 1; /* where its thread begins */
		w = by_place(computing, pc, &fresh);
	}
	if (w != NULL)
		count(w, co_now() - at);
}

/* --- births, ends, stacks --- */

void
co_seen_spawn(const struct co *co)
{
	const struct co *self = co_tls.self;

	CO_PROBE3(spawn, co->id, co->fn, self != NULL ? self->id : 0);
	if (co_watch & CO_WATCH_EVENTS)
		co_trace_event((struct co_traced){
			.event = CO_EV_SPAWN,
			.time = co_now(),
			.other = co->id,
			.what = (uintptr_t)co->fn,
			.us = -1,
		});
}

/* From the lowest page that is there.  Pages of memory of nobody's file are
 * there since they were touched (mincore(2)), or else swapped out. */
static size_t
stack_used(const struct co *co)
{
	enum { PAGE = 4096, PAGES = 1024 };
	unsigned char there[PAGES];
	char *at = co->stack.base, *end = at + co->stack.size;
	size_t n, i;

	for (; at < end; at += n * PAGE) {
		n = (size_t)(end - at) / PAGE;
		n = n < PAGES ? n : PAGES;
		if (n == 0 || sys3(SYS_mincore, at, n * PAGE, there) != 0)
			break;
		for (i = 0; i < n; i++)
			if (there[i] & 1)
				return (size_t)(end - at) - i * PAGE;
	}
	return 0;
}

void
co_watch_stack(const struct co *co)
{
	struct co_watched *w = NULL;
	size_t used;
	int i;

	if (!(co_watch & CO_WATCH_STATS) || !co->own_stack || co->fn == NULL)
		return;
	used = stack_used(co);
	co_critical_begin();
	co_lock(&lock);
	for (i = 0; i < CO_WATCHED; i++) {
		w = &co_watched.stacks[i];
		if (w->n == 0 || w->pc[0] == (uintptr_t)co->fn)
			break;
	}
	if (i < CO_WATCHED) {
		w->pc[0] = (uintptr_t)co->fn;
		w->n++;
		if (used > w->used)
			w->used = used;
		if (co->stack.size > w->size)
			w->size = co->stack.size;
	}
	co_unlock(&lock);
	co_critical_end();
}

void
co_seen_exit(struct co *co)
{
	CO_PROBE1(exit, co->id);
	if (!co_watch)
		return;
	co_watch_stack(co);
	if (co_watch & CO_WATCH_EVENTS)
		co_trace_event((struct co_traced){
			.event = CO_EV_EXIT,
			.time = co_now(),
			.other = co->id,
			.us = -1,
		});
}

/* The child's own are counted from here. */
void
co_watch_forked(void)
{
	lock.word = 0;
	if (co_watch & CO_WATCH_STATS)
		memset(&co_watched, 0, sizeof(co_watched));
}

__attribute__((destructor)) static void
ends(void)
{
	co_trace_end();
	if (say_at_exit && co_active)
		co_report(co_log_fd() >= 0 ? co_log_fd() : 2);
}
