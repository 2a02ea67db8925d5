/* SPDX-License-Identifier: MIT */
/* sync_c11.c - the threads of C11: thrd_, mtx_, cnd_, tss_. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <signal.h>
#include <threads.h>

#include "thr.h"

static thrd_t
start(int (*fn)(void *), void *arg)
{
	thrd_t t;

	CHECK_INT(thrd_create(&t, fn, arg), thrd_success);
	return t;
}

static int
finish(thrd_t t)
{
	int r;

	CHECK_INT(thrd_join(t, &r), thrd_success);
	return r;
}

static struct timespec
in_ms(int ms)
{
	return thr_after(CLOCK_REALTIME, ms * T_MS);
}

static int
returns_its_argument(void *arg)
{
	return thr_num(arg);
}

static int
exit_deep(int depth, int with)
{
	volatile int below = depth;

	if (below > 0)
		below = exit_deep(depth - 1, with);
	else if (with != INT_MAX)
		thrd_exit(with);
	return below;
}

static int
exits_deep(void *arg)
{
	return exit_deep(20, thr_num(arg));
}

TEST(join_gives_what_was_returned_or_exited_with)
{
	int i;

	for (i = -3; i < 100; i++) {
		CHECK_INT(finish(start(returns_its_argument, thr_ptr(i))), i);
		CHECK_INT(finish(start(exits_deep, thr_ptr(i))), i);
	}
	CHECK_INT(thrd_join(start(returns_its_argument, NULL), NULL),
		  thrd_success);
}

static int
is_not(void *arg)
{
	thrd_t *starter = arg;

	CHECK(!thrd_equal(thrd_current(), *starter));
	CHECK(thrd_equal(thrd_current(), thrd_current()));
	return 0;
}

TEST(threads_know_themselves)
{
	thrd_t me = thrd_current();
	int i;

	for (i = 0; i < 10; i++)
		finish(start(is_not, &me));
	CHECK(thrd_equal(me, thrd_current()));
}

static atomic_int gone;

static int
goes(void *arg)
{
	(void)arg;
	gone++;
	return 0;
}

TEST(detached_threads_run_to_their_end)
{
	int i;

	for (i = 0; i < 200; i++)
		CHECK_INT(thrd_detach(start(goes, NULL)), thrd_success);
	thr_until(&gone, 200);
}

TEST(sleep_is_never_short_and_yield_returns)
{
	struct timespec d = { 0, 20 * 1000000 }, bad = { 0, 1000000000 };
	int64_t t0 = t_now();

	CHECK_INT(thrd_sleep(&d, NULL), 0);
	CHECK(t_now() - t0 >= 20 * T_MS);
	CHECK(thrd_sleep(&bad, NULL) < -1);
	thrd_yield();
}

static thrd_t sleeper;
static atomic_int woken;

static void
on_usr1(int sig)
{
	(void)sig;
}

static int
wakes_sleeper(void *arg)
{
	(void)arg;
	while (!woken) {
		OK(pthread_kill(sleeper, SIGUSR1));
		thr_ms(1);
	}
	return 0;
}

TEST(a_sleep_interrupted_by_a_handler_says_what_remained)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	struct timespec d = { 1000, 0 }, left = { 0, 0 };
	sigset_t set, old;
	thrd_t t;

	OK(sigaction(SIGUSR1, &sa, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sleeper = thrd_current();
	OK(pthread_sigmask(SIG_BLOCK, &set, &old));
	t = start(wakes_sleeper, NULL);
	OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
	CHECK_INT(thrd_sleep(&d, &left), -1);
	/* Timer slack may count as remaining: 1000 s and a little. */
	CHECK(left.tv_sec > 0 && left.tv_sec <= 1000);
	woken = 1;
	finish(t);
}

static int
tries(void *m)
{
	int r = mtx_trylock(m);

	if (r == thrd_success)
		CHECK_INT(mtx_unlock(m), thrd_success);
	return r;
}

static int
tries_for_a_while(void *m)
{
	struct timespec at = in_ms(20);
	int r = mtx_timedlock(m, &at);

	if (r == thrd_timedout)
		CHECK(thr_reached(CLOCK_REALTIME, at));
	else
		CHECK_INT(mtx_unlock(m), thrd_success);
	return r;
}

TEST(mutexes_are_busy_recursive_and_timed_as_they_were_made)
{
	mtx_t plain, rec, timed, both;

	CHECK_INT(mtx_init(&plain, mtx_plain), thrd_success);
	CHECK_INT(mtx_init(&rec, mtx_plain | mtx_recursive), thrd_success);
	CHECK_INT(mtx_init(&timed, mtx_timed), thrd_success);
	CHECK_INT(mtx_init(&both, mtx_timed | mtx_recursive), thrd_success);

	CHECK_INT(mtx_lock(&plain), thrd_success);
	CHECK_INT(finish(start(tries, &plain)), thrd_busy);
	CHECK_INT(mtx_unlock(&plain), thrd_success);
	CHECK_INT(finish(start(tries, &plain)), thrd_success);

	CHECK_INT(mtx_lock(&rec), thrd_success);
	CHECK_INT(mtx_lock(&rec), thrd_success);
	CHECK_INT(mtx_unlock(&rec), thrd_success);
	CHECK_INT(finish(start(tries, &rec)), thrd_busy);
	CHECK_INT(mtx_unlock(&rec), thrd_success);
	CHECK_INT(finish(start(tries, &rec)), thrd_success);

	CHECK_INT(mtx_lock(&timed), thrd_success);
	CHECK_INT(finish(start(tries_for_a_while, &timed)), thrd_timedout);
	CHECK_INT(mtx_unlock(&timed), thrd_success);
	CHECK_INT(finish(start(tries_for_a_while, &timed)), thrd_success);

	CHECK_INT(mtx_lock(&both), thrd_success);
	CHECK_INT(tries_for_a_while(&both), thrd_success);
	CHECK_INT(finish(start(tries_for_a_while, &both)), thrd_timedout);
	CHECK_INT(mtx_unlock(&both), thrd_success);

	mtx_destroy(&plain);
	mtx_destroy(&rec);
	mtx_destroy(&timed);
	mtx_destroy(&both);
}

static struct {
	mtx_t m;
	cnd_t c;
	int waiting, tickets;
	volatile long n;
} room;

static int
counts(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 500; i++) {
		CHECK_INT(mtx_lock(&room.m), thrd_success);
		room.n = room.n + 1;
		if (i % 32 == 0)
			thrd_yield();
		CHECK_INT(mtx_unlock(&room.m), thrd_success);
	}
	return 0;
}

TEST(a_hundred_threads_lose_no_count)
{
	thrd_t t[100];
	int i;

	CHECK_INT(mtx_init(&room.m, mtx_plain), thrd_success);
	for (i = 0; i < 100; i++)
		t[i] = start(counts, NULL);
	for (i = 0; i < 100; i++)
		finish(t[i]);
	CHECK_INT(room.n, 50000);
	mtx_destroy(&room.m);
}

static int
waits(void *arg)
{
	struct timespec at = in_ms(100000);

	mtx_lock(&room.m);
	room.waiting++;
	while (room.tickets == 0)
		CHECK_INT(arg == NULL ? cnd_wait(&room.c, &room.m)
			  : cnd_timedwait(&room.c, &room.m, &at),
			  thrd_success);
	room.tickets--;
	room.n++;
	mtx_unlock(&room.m);
	return 0;
}

TEST(conditions_signal_broadcast_and_time_out)
{
	struct timespec at;
	thrd_t t[60];
	int i, r, all;

	CHECK_INT(mtx_init(&room.m, mtx_plain), thrd_success);
	CHECK_INT(cnd_init(&room.c), thrd_success);
	room.n = 0;
	mtx_lock(&room.m);
	at = in_ms(20);
	do
		r = cnd_timedwait(&room.c, &room.m, &at);
	while (r == thrd_success);
	CHECK_INT(r, thrd_timedout);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	mtx_unlock(&room.m);

	for (i = 0; i < 60; i++)
		t[i] = start(waits, i % 2 ? &room : NULL);
	do {
		thr_ms(1);
		mtx_lock(&room.m);
		all = room.waiting == 60;
		mtx_unlock(&room.m);
	} while (!all);
	for (i = 0; i < 30; i++) {
		mtx_lock(&room.m);
		room.tickets++;
		CHECK_INT(cnd_signal(&room.c), thrd_success);
		mtx_unlock(&room.m);
	}
	mtx_lock(&room.m);
	room.tickets += 30;
	CHECK_INT(cnd_broadcast(&room.c), thrd_success);
	mtx_unlock(&room.m);
	for (i = 0; i < 60; i++)
		finish(t[i]);
	CHECK_INT(room.n, 60);
	cnd_destroy(&room.c);
	mtx_destroy(&room.m);
}

static tss_t key, stubborn;
static atomic_int destroyed, stubborn_runs;

static void
destroys(void *p)
{
	CHECK(tss_get(key) == NULL);
	destroyed++;
	free(p);
}

static void
sets_again(void *p)
{
	stubborn_runs++;
	CHECK_INT(tss_set(stubborn, p), thrd_success);
}

static int
has_its_own(void *arg)
{
	int *p;

	CHECK(tss_get(key) == NULL);
	p = malloc(sizeof *p);
	CHECK(p != NULL);
	*p = thr_num(arg);
	CHECK_INT(tss_set(key, p), thrd_success);
	thr_ms(1);
	CHECK(tss_get(key) == p);
	CHECK_INT(*p, thr_num(arg));
	if (thr_num(arg) % 2)
		thrd_exit(1);
	return 1;
}

static int
is_stubborn(void *arg)
{
	CHECK_INT(tss_set(stubborn, &stubborn_runs), thrd_success);
	return thr_num(arg);
}

TEST(tss_values_are_the_threads_own_and_destroyed_once)
{
	thrd_t t[100];
	int i;

	CHECK_INT(tss_create(&key, destroys), thrd_success);
	for (i = 0; i < 100; i++)
		t[i] = start(has_its_own, thr_ptr(i));
	for (i = 0; i < 100; i++)
		finish(t[i]);
	CHECK_INT(destroyed, 100);
	CHECK(tss_get(key) == NULL);
	tss_delete(key);
}

TEST(a_stubborn_destructor_runs_as_often_as_promised)
{
	CHECK_INT(tss_create(&stubborn, sets_again), thrd_success);
	finish(start(is_stubborn, NULL));
	CHECK_INT(stubborn_runs, TSS_DTOR_ITERATIONS);
	tss_delete(stubborn);
}

static thread_local int tl = 42;

static int
sees_fresh_tl(void *arg)
{
	(void)arg;
	CHECK_INT(tl, 42);
	tl = 7;
	thr_ms(1);
	CHECK_INT(tl, 7);
	return 0;
}

TEST(thread_local_starts_as_written)
{
	thrd_t t[50];
	int i;

	for (i = 0; i < 50; i++)
		t[i] = start(sees_fresh_tl, NULL);
	for (i = 0; i < 50; i++)
		finish(t[i]);
	for (i = 0; i < 50; i++)
		finish(start(sees_fresh_tl, NULL));
	CHECK_INT(tl, 42);
}
