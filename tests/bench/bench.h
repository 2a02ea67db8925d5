/* SPDX-License-Identifier: MIT */
/* bench.h - what the benchmark programs share: the clock, their ends, and
 * threads that may be coroutines.
 *
 * Each program measures one thing and prints one line of KEY=VALUE words; it
 * ends with status 0 only if all it computed was right.  tests/bench/run
 * starts them by turns and compares.
 *
 * A program built with -DBENCH_GO starts its threads with cohook_go(); without
 * it, it has never heard of cohook.
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

#ifdef BENCH_GO
#include "cohook.h"
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
 * Threads, which in a BENCH_GO build are coroutines.
 */
struct bench_thread {
	void (*fn)(void *arg);
	void *arg;
#ifdef BENCH_GO
	cohook_id id;
#else
	pthread_t id;
#endif
};

#ifdef BENCH_GO

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

#else

static inline void *
bench_body(void *thread)
{
	struct bench_thread *t = thread;

	t->fn(t->arg);
	return t;
}

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

static inline void
bench_must_start(struct bench_thread *t, void (*fn)(void *arg), void *arg)
{
	errno = bench_start(t, fn, arg);
	if (errno)
		bench_fail("starting a thread");
}

#endif
