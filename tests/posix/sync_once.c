/* SPDX-License-Identifier: MIT */
/* sync_once.c - once is once, and nobody goes on before it is done. */
#define _GNU_SOURCE 1
#include <threads.h>

#include "thr.h"

static atomic_int runs, done, here;

static void
slow_init(void)
{
	runs++;
	thr_ms(20);
	done = 1;
}

static void
reset(void)
{
	runs = done = here = 0;
}

static void *
calls_pthread_once(void *control)
{
	here++;
	OK(pthread_once(control, slow_init));
	CHECK_INT(done, 1);
	return NULL;
}

static void *
calls_call_once(void *flag)
{
	here++;
	call_once(flag, slow_init);
	CHECK_INT(done, 1);
	return NULL;
}

TEST(pthread_once_runs_a_sleeping_routine_once_for_two_hundred)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static pthread_t th[200];
	int i;

	reset();
	for (i = 0; i < 200; i++)
		th[i] = thr_start(calls_pthread_once, &once);
	for (i = 0; i < 200; i++)
		thr_join(th[i]);
	CHECK_INT(runs, 1);
	OK(pthread_once(&once, slow_init));
	CHECK_INT(runs, 1);
}

TEST(call_once_runs_a_sleeping_routine_once_for_two_hundred)
{
	static once_flag once = ONCE_FLAG_INIT;
	static pthread_t th[200];
	int i;

	reset();
	for (i = 0; i < 200; i++)
		th[i] = thr_start(calls_call_once, &once);
	for (i = 0; i < 200; i++)
		thr_join(th[i]);
	CHECK_INT(runs, 1);
	call_once(&once, slow_init);
	CHECK_INT(runs, 1);
}

/* The routine returns only after all others have come to wait for it. */
static void
waits_for_the_others(void)
{
	runs++;
	thr_until(&here, 100);
	thr_ms(5);
	done = 1;
}

static void *
comes_second(void *control)
{
	here++;
	OK(pthread_once(control, waits_for_the_others));
	CHECK_INT(done, 1);
	return NULL;
}

TEST(all_who_come_during_the_routine_wait_for_its_end)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_t th[100];
	int i;

	reset();
	for (i = 0; i < 100; i++)
		th[i] = thr_start(comes_second, &once);
	for (i = 0; i < 100; i++)
		thr_join(th[i]);
	CHECK_INT(runs, 1);
}

static pthread_once_t outer = PTHREAD_ONCE_INIT, middle = PTHREAD_ONCE_INIT;
static once_flag inner = ONCE_FLAG_INIT;
static atomic_int outer_runs, middle_runs, inner_runs;

static void
inner_init(void)
{
	thr_ms(2);
	inner_runs++;
}

static void
middle_init(void)
{
	call_once(&inner, inner_init);
	CHECK_INT(inner_runs, 1);
	thr_ms(2);
	middle_runs++;
}

static void
outer_init(void)
{
	OK(pthread_once(&middle, middle_init));
	CHECK_INT(middle_runs, 1);
	thr_ms(2);
	outer_runs++;
}

static void *
calls_any_of_three(void *arg)
{
	switch (thr_num(arg) % 3) {
	case 0:
		OK(pthread_once(&outer, outer_init));
		CHECK_INT(outer_runs, 1);
		/* fall through */
	case 1:
		OK(pthread_once(&middle, middle_init));
		CHECK_INT(middle_runs, 1);
		/* fall through */
	default:
		call_once(&inner, inner_init);
		CHECK_INT(inner_runs, 1);
	}
	return NULL;
}

TEST(a_routine_may_use_other_controls)
{
	pthread_t th[99];
	int i;

	for (i = 0; i < 99; i++)
		th[i] = thr_start(calls_any_of_three, thr_ptr(i));
	for (i = 0; i < 99; i++)
		thr_join(th[i]);
	CHECK_INT(outer_runs, 1);
	CHECK_INT(middle_runs, 1);
	CHECK_INT(inner_runs, 1);
}

/* A routine that starts a thread, joins it, and holds a mutex meanwhile. */
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

static void *
just_counts(void *arg)
{
	(void)arg;
	runs++;
	return NULL;
}

static void
starts_threads(void)
{
	pthread_t th[5];
	int i;

	OK(pthread_mutex_lock(&m));
	for (i = 0; i < 5; i++)
		th[i] = thr_start(just_counts, NULL);
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
	OK(pthread_mutex_unlock(&m));
}

static void *
calls_starter(void *control)
{
	OK(pthread_once(control, starts_threads));
	CHECK_INT(runs, 5);
	return NULL;
}

TEST(a_routine_may_start_and_join_threads)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_t th[20];
	int i;

	reset();
	for (i = 0; i < 20; i++)
		th[i] = thr_start(calls_starter, &once);
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(runs, 5);
}

#define CONTROLS 1000
static pthread_once_t controls[CONTROLS];

static void
counts(void)
{
	runs++;
}

static void *
calls_all_controls(void *arg)
{
	int from = thr_num(arg), i;

	for (i = 0; i < CONTROLS; i++)
		OK(pthread_once(&controls[(from + i) % CONTROLS], counts));
	CHECK_INT(runs, CONTROLS);
	return NULL;
}

TEST(a_thousand_controls_each_run_once_for_many_threads)
{
	static const pthread_once_t fresh = PTHREAD_ONCE_INIT;
	pthread_t th[20];
	int i;

	reset();
	for (i = 0; i < CONTROLS; i++)
		controls[i] = fresh;
	for (i = 0; i < 20; i++)
		th[i] = thr_start(calls_all_controls, thr_ptr(i * 50));
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(runs, CONTROLS);
}

TEST(a_routine_leaves_errno_as_the_routine_left_it)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	errno = EDOM;
	OK(pthread_once(&once, counts));
	CHECK_INT(errno, EDOM);
}

/* A child of a process in the midst of a routine starts it afresh. */
static pthread_once_t forked = PTHREAD_ONCE_INIT;
static atomic_int in_routine, leave;

static void
stays_in(void)
{
	if (runs++ > 0)
		return;
	in_routine = 1;
	thr_until(&leave, 1);
}

static void *
is_in_the_routine(void *arg)
{
	(void)arg;
	OK(pthread_once(&forked, stays_in));
	return NULL;
}

TEST(a_child_runs_anew_the_routine_that_its_parent_was_in)
{
	pthread_t th;
	pid_t pid;

	reset();
	th = thr_start(is_in_the_routine, NULL);
	thr_until(&in_routine, 1);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(pthread_once(&forked, stays_in));
		CHECK_INT(runs, 2);
		OK(pthread_once(&forked, stays_in));
		CHECK_INT(runs, 2);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), 0);
	leave = 1;
	thr_join(th);
	CHECK_INT(runs, 1);
}
