/* SPDX-License-Identifier: MIT */
/* model.c - the explorer of model.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "ctx/lock.h"
#include "ctx/sys.h"
#include "model.h"

enum {
	STACK = 128 * 1024,
	STORES = 16,  /* that one thread may have waiting */
	DEPTH = 4096, /* steps of a run */
	AREAS = 32,
	SEEN = 1 << 23, /* places in the table; a power of two */
};

struct store {
	void *p;
	size_t size;
	uint64_t v;
};

struct thread {
	void (*fn)(void *);
	void *arg;
	ucontext_t first;
	jmp_buf at;
	bool begun, ended;
	/* What it waits for: one or none. */
	struct co_lock *lock;
	void *futex;
	bool poll;
	bool spins; /* until somebody else has done something */
	struct store stores[STORES];
	int nstores;
	uint64_t history; /* of all that it has read */
	struct model_local *local;
	char *stack;
};

static struct thread threads[MODEL_THREADS];
static int nthreads, me = -1;
static struct {
	char *p, *saved;
	size_t size;
} areas[AREAS];
static int nareas;
static jmp_buf explorer;
static const char *wrong;
static struct {
	const char *p;
	size_t size;
} owned[AREAS];
static int nowned;
static bool event; /* somebody has written to a kick */
static unsigned short choices[DEPTH], width[DEPTH];
static int depth, known;
static uint64_t *seen;
long model_runs, model_states;

/* Saved and loaded with each thread: the test's thread-locals. */
extern void model_switch(int from, int to);

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t
get(const void *p, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

/* Give the explorer the choice who goes next. */
static void
yield(void)
{
	if (me < 0)
		return;
	/* Where it is, is part of what it is. */
	threads[me].history = mix(threads[me].history, 1);
	if (_setjmp(threads[me].at) == 0)
		_longjmp(explorer, 1);
}

static void
let_out(struct thread *t)
{
	struct store *s = &t->stores[0];

	memcpy(s->p, &s->v, s->size);
	memmove(s, s + 1, (size_t)--t->nstores * sizeof(*s));
}

static void
let_all_out(struct thread *t)
{
	while (t->nstores > 0)
		let_out(t);
}

static void
note(uint64_t what)
{
	threads[me].history = mix(threads[me].history, what);
}

static bool
is_owned(const void *p)
{
	const char *c = p;
	int i;

	for (i = 0; i < nowned; i++)
		if (c >= owned[i].p && c < owned[i].p + owned[i].size)
			return true;
	return false;
}

uint64_t
model_load(const void *p, size_t size, enum model_order o)
{
	struct thread *t;
	uint64_t v;
	int i;

	if (me < 0 || is_owned(p))
		return get(p, size);
	yield();
	t = &threads[me];
	if (o == memory_order_seq_cst)
		let_all_out(t);
	v = get(p, size);
	for (i = 0; i < t->nstores; i++)
		if (t->stores[i].p == p)
			v = t->stores[i].v;
	note(v);
	return v;
}

void
model_store(void *p, size_t size, uint64_t v, enum model_order o)
{
	struct thread *t;

	(void)o;
	if (me < 0 || is_owned(p)) {
		memcpy(p, &v, size);
		return;
	}
	/* No step: nobody sees it before it is let out. */
	t = &threads[me];
	if (t->nstores == STORES)
		let_out(t);
	t->stores[t->nstores++] = (struct store){ p, size, v };
	note(v);
}

uint64_t
model_change(void *p, size_t size, enum model_change how, uint64_t v)
{
	uint64_t old;

	if (me >= 0) {
		yield();
		let_all_out(&threads[me]);
	}
	old = get(p, size);
	v = how == MODEL_SET ? v : how == MODEL_ADD ? old + v : old | v;
	memcpy(p, &v, size);
	if (me >= 0)
		note(old);
	return old;
}

bool
model_cas(void *p, size_t size, void *expected, uint64_t v)
{
	uint64_t old;

	if (me >= 0) {
		yield();
		let_all_out(&threads[me]);
	}
	old = get(p, size);
	if (me >= 0)
		note(old);
	if (old != get(expected, size)) {
		memcpy(expected, &old, size);
		return false;
	}
	memcpy(p, &v, size);
	return true;
}

void
model_fence(void)
{
	if (me >= 0) {
		yield();
		let_all_out(&threads[me]);
	}
}

void
model_step(void)
{
	yield();
}

int
model_me(void)
{
	return me;
}

void
model_lock(struct co_lock *l)
{
	if (me >= 0) {
		threads[me].lock = l;
		yield();
		threads[me].lock = NULL;
		let_all_out(&threads[me]);
	}
	l->word = 1;
}

void
model_unlock(struct co_lock *l)
{
	if (me >= 0) {
		yield();
		let_all_out(&threads[me]);
	}
	l->word = 0;
}

long
model_futex_wait(void *word, uint32_t value)
{
	yield();
	let_all_out(&threads[me]);
	if (*(uint32_t *)word != value)
		return -EAGAIN;
	threads[me].futex = word;
	yield();
	return 0;
}

long
model_futex_wake(void *word)
{
	int i;

	yield();
	if (me >= 0)
		let_all_out(&threads[me]);
	for (i = 0; i < nthreads; i++)
		if (threads[i].futex == word)
			threads[i].futex = NULL;
	return 0;
}

/* An edge-triggered epoll set of one kick. */
static long
poll(bool waits)
{
	if (!waits && !event)
		return 0;
	threads[me].poll = waits;
	yield();
	threads[me].poll = false;
	let_all_out(&threads[me]);
	event = false;
	return 1;
}

extern long model_polled(long events);

long
model_syscall(long nr, long a, long b, long c, long d)
{
	const struct timespec *ts = (const struct timespec *)d;
	int i;

	(void)a;
	(void)c;
	/* At once: what the caller has looked at since is not to change. */
	if (nr == SYS_sched_yield && me >= 0)
		threads[me].spins = true;
	if (me >= 0) {
		yield();
		let_all_out(&threads[me]);
	}
	switch (nr) {
	case SYS_write:
		event = true;
		return 8;
	case SYS_epoll_pwait2:
		return poll(ts == NULL) == 0 ? 0 : model_polled(b);
	case SYS_membarrier:
		for (i = 0; i < nthreads; i++)
			let_all_out(&threads[i]);
		return 0;
	default:
		return 0;
	}
}

void
model_wrong(const char *what)
{
	if (wrong == NULL)
		wrong = what;
	yield();
}

void
model_forget(void)
{
	threads[me].history = 1;
}

void
model_owned(const void *p, size_t size)
{
	owned[nowned].p = p;
	owned[nowned].size = size;
	nowned++;
}

bool
model_ended(int i)
{
	return threads[i].ended;
}

void
model_memory(void *p, size_t size)
{
	areas[nareas].p = p;
	areas[nareas].size = size;
	areas[nareas].saved = malloc(size);
	memcpy(areas[nareas].saved, p, size);
	nareas++;
}

void
model_thread(void (*fn)(void *), void *arg)
{
	struct thread *t = &threads[nthreads++];
	char *stack = t->stack != NULL ? t->stack : malloc(STACK);

	memset(t, 0, sizeof(*t));
	t->fn = fn;
	t->arg = arg;
	t->stack = stack;
}

static void
run_thread(void)
{
	struct thread *t = &threads[me];

	t->fn(t->arg);
	t->ended = true;
	_longjmp(explorer, 1);
}

static bool
can_go(const struct thread *t)
{
	if (t->ended || t->futex != NULL || t->spins)
		return false;
	if (t->lock != NULL && t->lock->word != 0)
		return false;
	return !t->poll || event;
}

static void
go(int i)
{
	struct thread *t = &threads[i];

	model_switch(-1, i);
	me = i;
	if (_setjmp(explorer) == 0) {
		if (t->begun)
			_longjmp(t->at, 1);
		t->begun = true;
		getcontext(&t->first);
		t->first.uc_stack.ss_sp = t->stack;
		t->first.uc_stack.ss_size = STACK;
		t->first.uc_link = NULL;
		makecontext(&t->first, run_thread, 0);
		setcontext(&t->first);
	}
	i = me;
	me = -1;
	model_switch(i, -1);
}

static uint64_t
fingerprint(int last, int preempted)
{
	uint64_t h = mix((uint64_t)event + 2, (uint64_t)(last + 8 * preempted));
	int i, k;
	size_t n;

	for (i = 0; i < nareas; i++)
		for (n = 0; n + 8 <= areas[i].size; n += 8)
			h = mix(h, get(areas[i].p + n, 8));
	for (i = 0; i < nthreads; i++) {
		struct thread *t = &threads[i];

		h = mix(h, t->history);
		h = mix(h, (uint64_t)(uintptr_t)t->futex + t->poll +
				   2 * t->ended + 4 * t->spins);
		h = mix(h, (uint64_t)(uintptr_t)t->lock);
		for (k = 0; k < t->nstores; k++)
			h = mix(mix(h, (uintptr_t)t->stores[k].p),
				t->stores[k].v);
		h = mix(h, (uint64_t)t->nstores);
	}
	return h | 1;
}

/* True: it is new. */
static bool
is_new(uint64_t h)
{
	uint64_t i = h >> 1;

	for (;; i++) {
		uint64_t *s = &seen[i & (SEEN - 1)];

		if (*s == h)
			return false;
		if (*s == 0) {
			*s = h;
			model_states++;
			return model_states < SEEN / 2;
		}
	}
}

static void
run(const struct model_case *c)
{
	int enabled[2 * MODEL_THREADS], n, i, last = 0, preempted = 0;
	bool cut;

	for (i = 0; i < nareas; i++)
		memcpy(areas[i].p, areas[i].saved, areas[i].size);
	nthreads = 0;
	nowned = 0;
	event = false;
	c->begin();
	for (depth = 0; wrong == NULL; depth++) {
		n = 0;
		/* Who could go on, and is not let. */
		cut = c->preemptions != 0 && can_go(&threads[last]);
		for (i = 0; i < nthreads; i++)
			if (can_go(&threads[i]) &&
			    (i == last || !cut || preempted < c->preemptions))
				enabled[n++] = i;
		for (i = 0; i < nthreads; i++)
			if (threads[i].nstores > 0)
				enabled[n++] = MODEL_THREADS + i;
		if (n == 0) {
			wrong = c->end();
			return;
		}
		if (depth == DEPTH) {
			wrong = "a run without end";
			return;
		}
		if (depth == known) {
			if (!is_new(fingerprint(last, preempted)))
				return;
			choices[depth] = 0;
			width[depth] = (unsigned short)n;
			known++;
		}
		i = enabled[choices[depth]];
		for (n = 0; n < nthreads; n++)
			if (n != i)
				threads[n].spins = false;
		if (i < MODEL_THREADS) {
			preempted += cut && i != last;
			last = c->preemptions != 0 ? i : 0;
			go(i);
		} else {
			let_out(&threads[i - MODEL_THREADS]);
		}
	}
}

const char *
model_explore(const struct model_case *c)
{
	int i;

	seen = calloc(SEEN, sizeof(*seen));
	model_runs = model_states = 0;
	wrong = NULL;
	known = 0;
	for (;;) {
		run(c);
		model_runs++;
		if (wrong != NULL) {
			fprintf(stderr,
				"%s: after %ld runs: %s\n  order:", c->name,
				model_runs, wrong);
			for (i = 0; i < known && i < depth && i < 100; i++)
				fprintf(stderr, " %d", choices[i]);
			fprintf(stderr, "\n");
			break;
		}
		while (known > 0 && choices[known - 1] + 1 == width[known - 1])
			known--;
		if (known == 0)
			break;
		choices[known - 1]++;
	}
	if (wrong == NULL && model_states >= SEEN / 2)
		wrong = "too many states to see them all";
	free(seen);
	for (i = 0; i < nareas; i++)
		free(areas[i].saved);
	nareas = 0;
	return wrong;
}
