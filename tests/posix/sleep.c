/* SPDX-License-Identifier: MIT */
/* sleep.c - sleep, usleep, nanosleep, clock_nanosleep, sched_yield. */
#define _GNU_SOURCE 1

#include "party.h"

#include <sched.h>

#define SECOND (1000 * T_MS)

static int64_t
ns(struct timespec ts)
{
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static struct timespec
spec(int64_t t)
{
	return (struct timespec){ t / SECOND, t % SECOND };
}

static int64_t
clock_now(clockid_t clock)
{
	struct timespec ts;

	CHECK_INT(clock_gettime(clock, &ts), 0);
	return ns(ts);
}

TEST(usleep_is_never_early)
{
	static const unsigned us[] = { 0, 1, 50, 999, 1000, 1001, 30000 };
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(us); i++) {
		t = t_now();
		CHECK_RET(usleep(us[i]), 0);
		CHECK(t_now() - t >= us[i] * INT64_C(1000));
	}
}

TEST(usleep_takes_a_million_and_more)
{
	int64_t t = t_now();

	CHECK_RET(usleep(1000001), 0);
	CHECK(t_now() - t >= 1000001000);
}

TEST(sleep_is_never_early)
{
	int64_t t = t_now();

	CHECK_RET(sleep(1), 0);
	CHECK(t_now() - t >= SECOND);
	CHECK_RET(sleep(0), 0);
}

TEST(nanosleep_is_never_early_and_leaves_the_rest_alone)
{
	static const long for_ns[] = { 0,      1,       1000,    100000,
				       999999, 1000001, 30000000 };
	struct timespec rem = { 7, 8 };
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(for_ns); i++) {
		struct timespec ts = spec(for_ns[i]);

		t = t_now();
		CHECK_RET(nanosleep(&ts, i % 2 ? &rem : NULL), 0);
		CHECK(t_now() - t >= for_ns[i]);
		CHECK_INT(ns(ts), for_ns[i]);
		CHECK_INT(rem.tv_sec, 7);
		CHECK_INT(rem.tv_nsec, 8);
	}
}

static const struct timespec nonsense[] = {
	{ 0, 1000000000 }, { 0, -1 },         { -1, 0 },
	{ 1, 2000000000 }, { -1, 999999999 },
};

TEST(nanosleep_refuses_what_is_no_time)
{
	struct timespec rem = { 7, 8 };
	size_t i;

	for (i = 0; i < COUNT(nonsense); i++)
		CHECK_ERR(nanosleep(&nonsense[i], &rem), EINVAL);
	CHECK_INT(rem.tv_sec, 7);
	CHECK_INT(rem.tv_nsec, 8);
	CHECK_ERR(nanosleep(nowhere(), NULL), EFAULT);
}

TEST(clock_nanosleep_refuses_with_an_error_number_and_no_errno)
{
	struct timespec ts = { 0, 1 };
	size_t i;

	for (i = 0; i < COUNT(nonsense); i++) {
		CHECK_RET(
			clock_nanosleep(CLOCK_MONOTONIC, 0, &nonsense[i], NULL),
			EINVAL);
		CHECK_RET(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME,
					  &nonsense[i], NULL),
			  EINVAL);
	}
	CHECK_RET(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL),
		  EINVAL);
	CHECK_RET(clock_nanosleep(12345, 0, &ts, NULL), EINVAL);
	CHECK_RET(clock_nanosleep(CLOCK_MONOTONIC_COARSE, 0, &ts, NULL),
		  EOPNOTSUPP);
	CHECK_RET(clock_nanosleep(CLOCK_MONOTONIC, 0, nowhere(), NULL), EFAULT);
}

TEST(clock_nanosleep_is_never_early_on_any_clock)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME,
					    CLOCK_BOOTTIME, CLOCK_TAI };
	struct timespec ts, rem = { 7, 8 };
	int64_t t;
	size_t i;

	for (i = 0; i < COUNT(clocks); i++) {
		ts = spec(25 * T_MS);
		t = t_now();
		CHECK_RET(clock_nanosleep(clocks[i], 0, &ts, &rem), 0);
		CHECK(t_now() - t >= 25 * T_MS);

		ts = spec(clock_now(clocks[i]) + 25 * T_MS);
		CHECK_RET(clock_nanosleep(clocks[i], TIMER_ABSTIME, &ts, &rem),
			  0);
		CHECK(clock_now(clocks[i]) >= ns(ts));

		/* What is past is not waited for. */
		CHECK_RET(clock_nanosleep(clocks[i], TIMER_ABSTIME, &ts, NULL),
			  0);
		ts = spec(1);
		CHECK_RET(clock_nanosleep(clocks[i], TIMER_ABSTIME, &ts, NULL),
			  0);
	}
	CHECK_INT(rem.tv_sec, 7);
	CHECK_INT(rem.tv_nsec, 8);
}

/*
 * Interrupted.  No flag restarts a sleep: each case comes with and without.
 */

static void
nanosleep_ends(int flags)
{
	struct timespec ts = { 100, 0 }, rem = { -1, -1 };
	int64_t t;

	start_ticking(flags);
	t = t_now();
	CHECK_ERR(nanosleep(&ts, &rem), EINTR);
	t = t_now() - t;
	stop_ticking();
	CHECK(ticks > 0);
	CHECK(rem.tv_nsec >= 0 && rem.tv_nsec < SECOND);
	CHECK(ns(rem) + t >= 100 * SECOND);
	CHECK(ns(rem) <= 100 * SECOND + T_MS);
	CHECK_INT(ts.tv_sec, 100);
}

TEST(nanosleep_is_interrupted_and_tells_the_rest)
{
	nanosleep_ends(0);
}

TEST(nanosleep_is_interrupted_even_with_SA_RESTART)
{
	nanosleep_ends(SA_RESTART);
}

TEST(nanosleep_goes_on_with_the_rest)
{
	int interrupted = 0;
	struct timespec ts;
	int64_t t;

	start_ticking(0);
	/* On a busy machine no tick may fall into the sleep. */
	while (interrupted == 0) {
		ts = spec(200 * T_MS);
		t = t_now();
		while (nanosleep(&ts, &ts) == -1) {
			CHECK_INT(errno, EINTR);
			interrupted++;
		}
		CHECK(t_now() - t >= 200 * T_MS);
	}
	stop_ticking();
}

TEST(nanosleep_is_interrupted_without_a_place_for_the_rest)
{
	struct timespec ts = { 100, 0 };

	start_ticking(0);
	CHECK_ERR(nanosleep(&ts, NULL), EINTR);
	stop_ticking();
}

TEST(clock_nanosleep_returns_EINTR_and_the_rest_if_relative)
{
	struct timespec ts = { 100, 0 }, rem = { -1, -1 };
	int64_t t;

	start_ticking(SA_RESTART);
	t = t_now();
	CHECK_RET(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &rem), EINTR);
	t = t_now() - t;
	stop_ticking();
	CHECK(ns(rem) + t >= 100 * SECOND);
	CHECK(ns(rem) <= 100 * SECOND + T_MS);
}

TEST(clock_nanosleep_returns_EINTR_and_no_rest_if_absolute)
{
	struct timespec ts = spec(t_now() + 100 * SECOND), rem = { 7, 8 };

	start_ticking(0);
	CHECK_RET(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, &rem),
		  EINTR);
	stop_ticking();
	CHECK_INT(rem.tv_sec, 7);
	CHECK_INT(rem.tv_nsec, 8);
}

TEST(sleep_is_interrupted_and_tells_the_seconds_left)
{
	int64_t t, slept;
	unsigned left;

	start_ticking(SA_RESTART);
	t = t_now();
	errno = 0;
	left = sleep(100);
	slept = t_now() - t;
	stop_ticking();
	/* Whole seconds, as little as one of them unsure. */
	CHECK(left <= 100);
	CHECK((left + 1) * SECOND + slept >= 100 * SECOND);
	CHECK(left > 0);
}

TEST(usleep_is_interrupted)
{
	start_ticking(SA_RESTART);
	CHECK_ERR(usleep(15000000), EINTR);
	stop_ticking();
}

struct killer {
	pthread_t victim;
	int over;
};

/* Again and again: a kill that comes before the sleep interrupts nothing. */
static void *
kills_until_told(void *arg)
{
	struct killer *k = arg;

	while (!__atomic_load_n(&k->over, __ATOMIC_ACQUIRE)) {
		CHECK_INT(pthread_kill(k->victim, SIGUSR1), 0);
		usleep(10000);
	}
	return NULL;
}

TEST(a_sleep_is_interrupted_by_pthread_kill)
{
	struct sigaction sa = { .sa_handler = on_tick };
	struct killer k = { pthread_self(), 0 };
	struct timespec ts = { 100, 0 };
	pthread_t th;

	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	th = party(kills_until_told, &k);
	CHECK_ERR(nanosleep(&ts, NULL), EINTR);
	CHECK(ticks > 0);
	__atomic_store_n(&k.over, 1, __ATOMIC_RELEASE);
	leaves(th);
}

/*
 * Many
 */

#define SORTED 8
#define ATTEMPTS 6

static int arrivals[SORTED], arrived;
static int64_t epoch, gap;

static void *
sleeps_its_number(void *arg)
{
	int n = (int)(intptr_t)arg;
	struct timespec ts = spec(epoch + (n + 1) * gap);

	CHECK_RET(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL),
		  0);
	CHECK(t_now() >= ns(ts));
	arrivals[__atomic_fetch_add(&arrived, 1, __ATOMIC_RELAXED)] = n;
	return NULL;
}

/* Kernel threads that wake one after the other may be overtaken on the way,
 * the busier the machine the later: hence the gap grows. */
TEST(sleepers_wake_in_the_order_of_their_deadlines)
{
	static const int start[SORTED] = { 5, 0, 3, 1, 6, 2, 7, 4 };
	pthread_t th[SORTED];
	int i, attempt;

	for (attempt = 0; attempt < ATTEMPTS; attempt++) {
		arrived = 0;
		gap = 20 * T_MS << attempt;
		epoch = t_now();
		for (i = 0; i < SORTED; i++)
			th[i] = party(sleeps_its_number,
				      (void *)(intptr_t)start[i]);
		for (i = 0; i < SORTED; i++)
			leaves(th[i]);
		CHECK_INT(arrived, SORTED);
		for (i = 0; i < SORTED && arrivals[i] == i; i++)
			;
		if (i == SORTED)
			return;
	}
	CHECK_INT(attempt, 0);
}

#define MANY 500

static void *
sleeps_a_while(void *arg)
{
	struct timespec ts = spec(100 * T_MS);
	int64_t t = t_now();
	int i = (int)(intptr_t)arg;

	switch (i % 4) {
	case 0:
		CHECK_RET(nanosleep(&ts, NULL), 0);
		break;
	case 1:
		CHECK_RET(usleep(100000), 0);
		break;
	case 2:
		CHECK_RET(clock_nanosleep(CLOCK_REALTIME, 0, &ts, NULL), 0);
		break;
	default:
		CHECK_RET(poll(NULL, 0, 100), 0);
		break;
	}
	CHECK(t_now() - t >= 100 * T_MS);
	return NULL;
}

TEST(many_sleep_at_once)
{
	static pthread_t th[MANY];
	int i;

	for (i = 0; i < MANY; i++)
		th[i] = party(sleeps_a_while, (void *)(intptr_t)i);
	for (i = 0; i < MANY; i++)
		leaves(th[i]);
}

TEST(one_who_sleeps_long_does_not_keep_others_from_sleeping_short)
{
	pthread_t th = party(sleeps_a_while, NULL);
	int i;

	for (i = 0; i < 50; i++)
		CHECK_RET(usleep(100), 0);
	leaves(th);
}

static int turn;

static void *
takes_turns(void *arg)
{
	int me = (int)(intptr_t)arg, i;

	for (i = 0; i < 100; i++) {
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) % 3 != me)
			CHECK_RET(sched_yield(), 0);
		__atomic_fetch_add(&turn, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

TEST(sched_yield_lets_the_others_run)
{
	pthread_t th[3];
	int i;

	for (i = 0; i < 3; i++)
		th[i] = party(takes_turns, (void *)(intptr_t)i);
	for (i = 0; i < 3; i++)
		leaves(th[i]);
	CHECK_INT(turn, 300);
}

static void *
ends_it(void *arg)
{
	int i;

	for (i = 0; i < 10; i++)
		CHECK_RET(usleep(1000), 0);
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* He who yields all the time must not keep timers from going off. */
TEST(sched_yield_in_a_loop_lets_sleepers_wake)
{
	int over = 0;
	pthread_t th = party(ends_it, &over);

	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		CHECK_RET(sched_yield(), 0);
	leaves(th);
}

static void *
writes_after_a_sleep(void *arg)
{
	usleep(5000);
	CHECK_RET(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

static void *
reads_then_tells(void *arg)
{
	int *p = arg;
	char c;

	CHECK_RET(read(p[0], &c, 1), 1);
	__atomic_store_n(&p[2], 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Nor descriptors from becoming ready. */
TEST(sched_yield_in_a_loop_lets_readers_wake)
{
	int p[3] = { 0 };
	pthread_t r, w;

	CHECK_INT(pipe(p), 0);
	r = party(reads_then_tells, p);
	w = party(writes_after_a_sleep, &p[1]);
	while (!__atomic_load_n(&p[2], __ATOMIC_ACQUIRE))
		CHECK_RET(sched_yield(), 0);
	leaves(r);
	leaves(w);
	shut(p[0]);
	shut(p[1]);
}

static void *
yields_until(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
		CHECK_RET(sched_yield(), 0);
	return NULL;
}

/* Not even where there are several, and always one that is ready. */
TEST(several_who_yield_in_a_loop_let_all_others_wake)
{
	int p[3] = { 0 }, over = 0, i;
	pthread_t r, w, e, y[5];

	CHECK_INT(pipe(p), 0);
	r = party(reads_then_tells, p);
	for (i = 0; i < 5; i++)
		y[i] = party(yields_until, i % 2 ? &p[2] : &over);
	w = party(writes_after_a_sleep, &p[1]);
	e = party(ends_it, &over);
	yields_until(&p[2]);
	yields_until(&over);
	for (i = 0; i < 5; i++)
		leaves(y[i]);
	leaves(r);
	leaves(w);
	leaves(e);
	shut(p[0]);
	shut(p[1]);
}

/* A loop that never calls anything: whoever runs it must not keep the others
 * from running. */
TEST(a_loop_that_never_waits_does_not_stop_the_others)
{
	int over = 0;
	pthread_t th = party(ends_it, &over);

	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		;
	leaves(th);
}
