/* SPDX-License-Identifier: MIT */
/* bench.h - what the benchmark programs share: the clock, their ends, and
 * threads that may be coroutines.
 *
 * Each program measures one thing and prints one line of KEY=VALUE words; it
 * ends with status 0 only if all it computed was right.  tests/bench/run
 * starts them by turns and compares.
 *
 * A program built with -DBENCH_GO starts its threads with cohook_go(), with
 * -DBENCH_ST as State Threads; else it has never heard of either.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(BENCH_GO)
#include "cohook.h"
#elif defined(BENCH_ST)
#include <st.h>
#endif

static inline void
bench_fail(const char *what)
{
	perror(what);
	exit(1);
}

/* A claim of the benchmark's about its own results; never compiled out. */
static inline void
bench_check(int holds, const char *claim)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", claim);
	exit(1);
}

static inline int64_t
bench_clock(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		bench_fail("clock_gettime");
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nanoseconds, CLOCK_MONOTONIC. */
static inline int64_t
bench_now(void)
{
	return bench_clock(CLOCK_MONOTONIC);
}

/* Nanoseconds of CPU that the whole process has used. */
static inline int64_t
bench_cpu(void)
{
	return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* A positive number from the command line. */
static inline long
bench_number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (n < 1 || *end) {
		fprintf(stderr, "not a positive number: %s\n", s);
		exit(2);
	}
	return n;
}

/* A number from /proc/self/status or /proc/meminfo, in bytes; -1 if there is
 * none such. */
static inline long
bench_proc(const char *file, const char *key)
{
	FILE *f = fopen(file, "re");
	char line[256];
	long kib = -1;

	while (f && kib < 0 && fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = atol(line + strlen(key));
	if (f)
		fclose(f);
	return kib < 0 ? -1 : kib * 1024;
}

/*
 * Threads, which in a BENCH_GO build are coroutines, and in a BENCH_ST build
 * State Threads: those never run at the same time.
 */
struct bench_thread {
	void (*fn)(void *arg);
	void *arg;
#if defined(BENCH_GO)
	cohook_id id;
#elif defined(BENCH_ST)
	st_thread_t id;
#else
	pthread_t id;
#endif
};

static inline void *
bench_body(void *thread)
{
	struct bench_thread *t = (struct bench_thread *)thread;

	t->fn(t->arg);
	return t;
}

#if defined(BENCH_GO)

/* Returns 0, or an errno value. */
static inline int
bench_start(struct bench_thread *t, void (*fn)(void *arg), void *arg)
{
	t->id = cohook_go(fn, arg, 0);
	return t->id < 0 ? errno : 0;
}

/* Waits for all of them, as every program here does in the end. */
static inline void
bench_join(struct bench_thread *t)
{
	(void)t;
	if (cohook_run() != 0)
		bench_fail("cohook_run");
}

static inline void
bench_yield(void)
{
	cohook_yield();
}

#elif defined(BENCH_ST)

enum { BENCH_ST_STACK = 64 * 1024 };

static inline void
bench_st(void)
{
	static int begun;

	if (begun++ == 0 &&
	    (st_set_eventsys(ST_EVENTSYS_POLL) != 0 || st_init() != 0))
		bench_fail("st_init");
}

/* Returns 0, or an errno value.  t must stay where it is until it is joined. */
static inline int
bench_start(struct bench_thread *t, void (*fn)(void *arg), void *arg)
{
	bench_st();
	t->fn = fn;
	t->arg = arg;
	t->id = st_thread_create(bench_body, t, 1, BENCH_ST_STACK);
	return t->id == NULL ? errno : 0;
}

static inline void
bench_join(struct bench_thread *t)
{
	void *result;

	bench_check(st_thread_join(t->id, &result) == 0 && result == t,
		    "a thread is joined, with result");
}

static inline void
bench_yield(void)
{
	st_usleep(0); /* it has no other way */
}

#else

/* Returns 0, or an errno value.  t must stay where it is until it is joined. */
static inline int
bench_start(struct bench_thread *t, void (*fn)(void *arg), void *arg)
{
	t->fn = fn;
	t->arg = arg;
	return pthread_create(&t->id, NULL, bench_body, t);
}

static inline void
bench_join(struct bench_thread *t)
{
	void *result;
	int e = pthread_join(t->id, &result);

	bench_check(e == 0 && result == t, "a thread is joined, with result");
}

static inline void
bench_yield(void)
{
	sched_yield();
}

#endif

/* All n begin at once: a barrier, for use once. */
static inline void
bench_together(int *here, int n)
{
	__atomic_add_fetch(here, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(here, __ATOMIC_SEQ_CST) < n)
		bench_yield();
}

static inline void
bench_must_start(struct bench_thread *t, void (*fn)(void *arg), void *arg)
{
	errno = bench_start(t, fn, arg);
	if (errno)
		bench_fail("starting a thread");
}

#endif
