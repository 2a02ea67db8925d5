/* SPDX-License-Identifier: MIT */
/* cpu_time.c - what a thread has used is its own: CPU clocks and getrusage(2).
 *
 * Claims are of CPU time alone, so that a busy machine does not matter. */
#define _GNU_SOURCE 1

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "thr.h"

static int64_t
ns(clockid_t clock)
{
	struct timespec ts;

	OK(clock_gettime(clock, &ts));
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int64_t
used(void)
{
	return ns(CLOCK_THREAD_CPUTIME_ID);
}

/* Where only the caller computes: so much by the process's clock, and nothing
 * asks of a thread's. */
static void
compute(int64_t time)
{
	int64_t begin = ns(CLOCK_PROCESS_CPUTIME_ID);
	volatile unsigned n = 0;

	while (ns(CLOCK_PROCESS_CPUTIME_ID) - begin < time)
		while (++n % 4096 != 0)
			;
}

static clockid_t
clock_of(pthread_t th)
{
	clockid_t c;

	OK(pthread_getcpuclockid(th, &c));
	return c;
}

static atomic_int step, ready;

static void *
idles(void *arg)
{
	ready++;
	thr_until(&step, 1);
	CHECK(used() < 40 * T_MS);
	return arg;
}

static void *
is_busy(void *arg)
{
	compute(200 * T_MS);
	ready++;
	thr_until(&step, 1);
	CHECK(used() >= 150 * T_MS);
	CHECK(used() < 300 * T_MS);
	return arg;
}

TEST(it_counts_before_anybody_asks)
{
	pthread_t th[10], busy;
	int i;

	for (i = 0; i < 10; i++)
		th[i] = thr_start(idles, NULL);
	thr_until(&ready, 10);
	busy = thr_start(is_busy, NULL);
	thr_until(&ready, 11);
	/* Also by others. */
	CHECK(ns(clock_of(th[0])) < 40 * T_MS);
	CHECK(ns(clock_of(busy)) >= 150 * T_MS);
	step = 1;
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	thr_join(busy);
}

/* Of what both use it has a third at least, for the other naps. */
static void *
is_busy_beside_another(void *arg)
{
	compute(300 * T_MS);
	ready++;
	thr_until(&step, 1);
	CHECK(used() >= 80 * T_MS);
	return arg;
}

TEST(what_was_computed_while_others_wanted_the_cpu_counts)
{
	pthread_t th = thr_start(is_busy_beside_another, NULL);

	/* A worker is taken over from it: others run on. */
	while (ready == 0)
		thr_ms(1);
	CHECK(ns(clock_of(th)) >= 80 * T_MS);
	step = 1;
	thr_join(th);
}

/* In turn: the one computes a while, the other only yields. */
static atomic_int over;

static void *
yields(void *arg)
{
	int64_t began = used(), t = began, last;

	ready++;
	while (!over) {
		sched_yield();
		last = t;
		t = used();
		CHECK(t >= last);
	}
	*(int64_t *)arg = t - began;
	return NULL;
}

static void *
works(void *arg)
{
	int64_t began = used(), from, last = began, t;
	volatile unsigned n = 0;
	int i;

	ready++;
	for (i = 0; i < 60; i++) {
		for (from = used(); used() - from < 2 * T_MS;)
			while (++n % 1024 != 0)
				;
		if (i % 3 == 0)
			sched_yield();
		else if (i % 3 == 1)
			thr_ms(1);
		t = used();
		CHECK(t >= last);
		last = t;
	}
	*(int64_t *)arg = last - began;
	over = 1;
	thr_until(&step, 1);
	return NULL;
}

TEST(each_has_its_own_and_it_never_goes_back)
{
	int64_t had[3] = { 0 }, began = ns(CLOCK_PROCESS_CPUTIME_ID), all;
	pthread_t th[3];
	int i;

	used();
	step = 1;
	th[0] = thr_start(yields, &had[0]);
	th[1] = thr_start(yields, &had[1]);
	thr_until(&ready, 2);
	th[2] = thr_start(works, &had[2]);
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
	all = ns(CLOCK_PROCESS_CPUTIME_ID) - began;
	CHECK(had[2] >= 120 * T_MS);
	CHECK(had[0] + had[1] + had[2] <= all);
}

static void *
reads_slowly(void *arg)
{
	int fd = open("/proc/self/maps", O_RDONLY), i, k;
	char buf[4096];

	CHECK(fd != -1);
	ready++;
	/* In the kernel, most of it. */
	for (i = 0; i < 200; i++)
		for (k = 0; pread(fd, buf, sizeof buf, k) > 0 && k < 40; k++)
			;
	close(fd);
	*(int64_t *)arg = used();
	return NULL;
}

TEST(what_the_kernel_does_for_it_counts)
{
	int64_t before, had = 0;
	struct rusage a, b;

	used();
	before = ns(CLOCK_PROCESS_CPUTIME_ID);
	OK(getrusage(RUSAGE_SELF, &a));
	thr_join(thr_start(reads_slowly, &had));
	OK(getrusage(RUSAGE_SELF, &b));
	before = ns(CLOCK_PROCESS_CPUTIME_ID) - before;
	CHECK(had <= before);
	CHECK(had >= before / 2);
}

/* --- of others --- */

TEST(the_clock_of_a_thread_that_waits_stands_and_of_one_that_computes_goes)
{
	int64_t was, now, had = 0;
	pthread_t idle = thr_start(idles, NULL), busy;

	used();
	thr_until(&ready, 1);
	thr_ms(5);
	was = ns(clock_of(idle));
	compute(30 * T_MS);
	now = ns(clock_of(idle));
	CHECK(now >= was && now - was < 20 * T_MS);
	busy = thr_start(works, &had);
	thr_until(&ready, 2);
	was = ns(clock_of(busy));
	while (!over) {
		now = ns(clock_of(busy));
		CHECK(now >= was);
		was = now;
		thr_ms(2);
	}
	step = 1;
	thr_join(idle);
	thr_join(busy);
	CHECK(had >= 120 * T_MS);
}

TEST(a_clock_has_the_resolution_of_the_callers)
{
	struct timespec a, b, bad = { 0, 0 };
	clockid_t mine = clock_of(pthread_self());
	int64_t t0, t1, t2;

	OK(clock_getres(CLOCK_THREAD_CPUTIME_ID, &a));
	OK(clock_getres(mine, &b));
	CHECK(a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec);
	OK(clock_getres(mine, NULL));
	OK(syscall(SYS_clock_getres, mine, &b));
	t0 = used();
	t1 = ns(mine);
	OK(syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &a));
	t2 = a.tv_sec * INT64_C(1000000000) + a.tv_nsec;
	CHECK(t0 <= t1 && t1 <= t2);
	OK(syscall(SYS_clock_gettime, mine, &a));
	CHECK(a.tv_sec * INT64_C(1000000000) + a.tv_nsec >= t2);
	CHECK_ERR(clock_gettime(99, &a), EINVAL);
	CHECK_ERR(clock_getres(99, &a), EINVAL);
	CHECK_ERR(syscall(SYS_clock_gettime, mine, (void *)16), EFAULT);
	CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)16),
		  EFAULT);
	/* A thread that never was. */
	CHECK_ERR(clock_gettime((clockid_t)(~0x0fff0000U << 3 | 6), &bad),
		  EINVAL);
	CHECK(clock() >= 0);
}

/* --- getrusage(2) --- */

static int64_t
sum_of(const struct rusage *r)
{
	return (r->ru_utime.tv_sec + r->ru_stime.tv_sec) *
		       INT64_C(1000000000) +
	       (r->ru_utime.tv_usec + r->ru_stime.tv_usec) * 1000;
}

static void
touch(size_t pages)
{
	size_t i, len = pages * 4096;
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	OK(madvise(p, len, MADV_NOHUGEPAGE));
	for (i = 0; i < pages; i++)
		p[i * 4096] = 1;
	OK(munmap(p, len));
}

static void *
touches(void *arg)
{
	struct rusage a, b;

	OK(getrusage(RUSAGE_THREAD, &a));
	ready++;
	touch(2000);
	thr_ms(1);
	OK(getrusage(RUSAGE_THREAD, &b));
	CHECK(b.ru_minflt - a.ru_minflt >= 2000);
	return arg;
}

TEST(getrusage_of_a_thread_is_its_own)
{
	struct rusage a, b;
	int64_t t0, t1, began;
	int i;

	OK(getrusage(RUSAGE_THREAD, &a));
	t0 = used();
	thr_join(thr_start(touches, NULL));
	for (i = 0; i < 20; i++)
		thr_ms(1);
	for (began = used(); used() - began < 30 * T_MS;)
		;
	t1 = used();
	OK(getrusage(RUSAGE_THREAD, &b));
	CHECK(b.ru_minflt - a.ru_minflt < 1000);
	CHECK(b.ru_nvcsw - a.ru_nvcsw >= 20); /* each wait is one */
	CHECK(b.ru_maxrss > 0);
	CHECK(sum_of(&b) - sum_of(&a) >= t1 - t0 - 12 * T_MS);
	CHECK(sum_of(&b) - sum_of(&a) >= 20 * T_MS);
	OK(syscall(SYS_getrusage, RUSAGE_THREAD, &a));
	CHECK(sum_of(&a) >= sum_of(&b));
	CHECK_ERR(getrusage((__rusage_who_t)99, &a), EINVAL);
	CHECK_ERR(syscall(SYS_getrusage, RUSAGE_THREAD, (void *)16), EFAULT);
	OK(getrusage(RUSAGE_SELF, &b));
	CHECK(sum_of(&b) >= 30 * T_MS);
}

/* --- lives --- */

static void *
has_used_little(void *arg)
{
	CHECK(used() < 20 * T_MS);
	compute(25 * T_MS);
	CHECK(used() >= 20 * T_MS);
	return arg;
}

TEST(a_thread_begins_with_none)
{
	int i;

	for (i = 0; i < 4; i++)
		thr_join(thr_start(has_used_little, NULL));
}

TEST(so_does_a_child)
{
	pid_t pid;

	compute(60 * T_MS);
	used();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK(used() < 40 * T_MS);
		thr_join(thr_start(has_used_little, NULL));
		_exit(3);
	}
	CHECK_INT(thr_reap(pid), 3);
}
