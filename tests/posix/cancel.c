/* SPDX-License-Identifier: MIT */
/* cancel.c - pthread_cancel: whom it ends and when, where it does not act, and
 * what runs then. */
#define _GNU_SOURCE 1
#include "cancel.h"

/*
 * Where it does not act
 */

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;

static void *
locks(void *arg)
{
	here++;
	OK(pthread_mutex_lock(&mutex));
	here++;
	OK(pthread_mutex_unlock(&mutex));
	pthread_testcancel();
	return arg;
}

static void *
read_locks(void *arg)
{
	here++;
	OK(pthread_rwlock_rdlock(&rwlock));
	here++;
	OK(pthread_rwlock_unlock(&rwlock));
	pthread_testcancel();
	return arg;
}

static void *
meets(void *arg)
{
	int r;

	here++;
	r = pthread_barrier_wait(&barrier);
	CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
	here++;
	pthread_testcancel();
	return arg;
}

static pthread_t
asked_in(void *(*fn)(void *))
{
	pthread_t th = thr_start(fn, NULL);

	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	most_likely();
	CHECK_INT(here, 1);
	return th;
}

TEST(who_waits_for_a_mutex_gets_it_and_ends_later)
{
	pthread_t th;

	open_cond();
	OK(pthread_mutex_lock(&mutex));
	th = asked_in(locks);
	OK(pthread_mutex_unlock(&mutex));
	is_cancelled(th);
	CHECK_INT(here, 2);
	shut_cond();
}

TEST(who_waits_for_a_read_lock_gets_it_and_ends_later)
{
	pthread_t th;

	OK(pthread_rwlock_wrlock(&rwlock));
	th = asked_in(read_locks);
	OK(pthread_rwlock_unlock(&rwlock));
	is_cancelled(th);
	CHECK_INT(here, 2);
}

TEST(who_waits_at_a_barrier_passes_it_and_ends_later)
{
	pthread_t th;
	int r;

	OK(pthread_barrier_init(&barrier, NULL, 2));
	th = asked_in(meets);
	r = pthread_barrier_wait(&barrier);
	CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
	is_cancelled(th);
	CHECK_INT(here, 2);
	OK(pthread_barrier_destroy(&barrier));
}

/*
 * State and type
 */

TEST(state_and_type_give_back_what_they_were)
{
	int old;

	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_ENABLE);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DISABLE);
	CHECK_INT(pthread_setcancelstate(99, &old), EINVAL);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DISABLE);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DEFERRED);
	CHECK_INT(pthread_setcanceltype(99, &old), EINVAL);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &old));
	CHECK_INT(old, PTHREAD_CANCEL_ASYNCHRONOUS);
	pthread_testcancel();
}

static void *
has_strange_ways(void *arg)
{
	int old;

	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_ENABLE);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DEFERRED);
	return arg;
}

TEST(each_thread_starts_enabled_and_deferred)
{
	int i;

	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	for (i = 0; i < 20; i++)
		thr_join(thr_start(has_strange_ways, NULL));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
}

static void *
tests_for_ever(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	for (;;)
		pthread_testcancel();
	pthread_cleanup_pop(0);
	return arg;
}

TEST(testcancel_is_a_cancellation_point)
{
	pthread_t th = thr_start(tests_for_ever, NULL);

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 1);
}

/* Whoever comes after one of strange ways, perhaps in its place, runs up to
 * its first cancellation point. */
TEST(a_thread_may_be_cancelled_before_it_runs)
{
	pthread_t th[8];
	int i;

	for (i = 0; i < 20; i++)
		thr_join(thr_start(has_strange_ways, NULL));
	for (i = 0; i < 8; i++) {
		th[i] = thr_start(tests_for_ever, NULL);
		OK(pthread_cancel(th[i]));
	}
	for (i = 0; i < 8; i++)
		is_cancelled(th[i]);
	CHECK_INT(here, 8);
	CHECK_INT(norder, 8);
}

static void *
ends_with(void *arg)
{
	here++;
	return arg;
}

static void *
sleeps_and_returns(void *arg)
{
	thr_ms(1);
	pthread_testcancel();
	return arg;
}

TEST(cancelling_one_that_has_ended_changes_nothing)
{
	pthread_t th;
	int i;

	for (i = 0; i < 20; i++) {
		here = 0;
		th = thr_start(ends_with, thr_ptr(5));
		thr_until(&here, 1);
		if (i % 2 == 0)
			most_likely();
		OK(pthread_cancel(th));
		CHECK_INT(thr_num(thr_join(th)), 5);
		/* The next one, perhaps in its place, knows nothing of it. */
		th = thr_start(sleeps_and_returns, thr_ptr(6));
		CHECK_INT(thr_num(thr_join(th)), 6);
	}
}

/* Ends in a key's destructor, after it has returned. */
static void
spins_until_asked(void *arg)
{
	here++;
	while (!asked)
		sched_yield();
	notes(arg);
}

static void
sleeps_long(void *arg)
{
	here++;
	sleep(1000);
	notes(arg);
}

static void *
returns_with_a_key(void *arg)
{
	OK(pthread_setspecific(key, thr_ptr(3)));
	return arg;
}

TEST(a_request_in_a_destructor_without_waits_changes_nothing)
{
	pthread_t th;

	OK(pthread_key_create(&key, spins_until_asked));
	th = thr_start(returns_with_a_key, thr_ptr(5));
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	asked = 1;
	CHECK_INT(thr_num(thr_join(th)), 5);
	CHECK_INT(norder, 1);
	OK(pthread_key_delete(key));
	/* The next one, perhaps in its place, knows nothing of it. */
	th = thr_start(sleeps_and_returns, thr_ptr(6));
	CHECK_INT(thr_num(thr_join(th)), 6);
}

TEST(a_destructor_that_waits_is_ended)
{
	pthread_t th;

	OK(pthread_key_create(&key, sleeps_long));
	th = thr_start(returns_with_a_key, thr_ptr(5));
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 0);
	OK(pthread_key_delete(key));
}

static void *
cancels_itself(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	OK(pthread_cancel(pthread_self()));
	here++;
	pthread_testcancel();
	here++;
	pthread_cleanup_pop(0);
	return arg;
}

static void *
cancels_itself_and_waits(void *arg)
{
	OK(pthread_cancel(pthread_self()));
	here++;
	thr_ms(1);
	here++;
	return arg;
}

static void *
cancels_itself_at_once(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	here++;
	OK(pthread_cancel(pthread_self()));
	here++;
	return arg;
}

TEST(a_thread_may_cancel_itself)
{
	is_cancelled(thr_start(cancels_itself, NULL));
	CHECK_INT(here, 1);
	CHECK_INT(norder, 1);
	is_cancelled(thr_start(cancels_itself_and_waits, NULL));
	CHECK_INT(here, 2);
	is_cancelled(thr_start(cancels_itself_at_once, NULL));
	CHECK_INT(here, 3);
}

/* Which thread waits in libc must not matter: here the first of the process,
 * while others run where it has begun. */
static void *
cancels_its_parent(void *arg)
{
	here++;
	most_likely();
	OK(pthread_cancel(*(pthread_t *)arg));
	pthread_testcancel(); /* not us */
	OK(pthread_join(*(pthread_t *)arg, &arg));
	CHECK(arg == PTHREAD_CANCELED);
	most_likely();
	CHECK_INT(norder, 0);
	_exit(7);
}

static void *
tests_and_yields(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	for (;;) {
		pthread_testcancel();
		sched_yield();
	}
	pthread_cleanup_pop(0);
	return arg;
}

static void *
writes_later(void *arg)
{
	most_likely();
	comes();
	return arg;
}

static void
first_one_waits(void (*wait_)(void))
{
	static pthread_t first;
	pthread_t writer;
	pid_t pid;

	open_stdin();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		first = pthread_self();
		thr_start(tests_and_yields, NULL);
		/* It may go on where another has begun. */
		writer = thr_start(writes_later, NULL);
		waits_in_fgets();
		thr_join(writer);
		thr_start(cancels_its_parent, &first);
		thr_until(&here, 2);
		wait_();
		_exit(8);
	}
	CHECK_INT(thr_reap(pid), 7);
	shut_pair();
}

TEST(the_first_thread_may_be_cancelled_in_a_sleep)
{
	nap = THR_LONG;
	first_one_waits(waits_in_sleep);
}

TEST(the_first_thread_may_be_cancelled_in_libc)
{
	first_one_waits(waits_in_fgets);
}

/*
 * At any moment
 */

static volatile unsigned long turns;

static void *
spins(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	for (;;)
		turns++;
	pthread_cleanup_pop(0);
	return arg;
}

TEST(an_asynchronous_one_ends_in_the_middle_of_a_loop)
{
	pthread_t th[3];
	int i;

	for (i = 0; i < 3; i++) {
		th[i] = thr_start(spins, NULL);
		thr_until(&here, i + 1);
		if (i == 0) {
			OK(pthread_cancel(th[i]));
			is_cancelled(th[i]);
		}
	}
	OK(pthread_cancel(th[2]));
	is_cancelled(th[2]);
	OK(pthread_cancel(th[1]));
	is_cancelled(th[1]);
	CHECK_INT(norder, 3);
}

static void *
waits_at_any_moment(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	here++;
	if (arg != NULL)
		sleep(1000);
	else
		for (;;)
			sched_yield();
	pthread_cleanup_pop(0);
	return arg;
}

TEST(an_asynchronous_one_ends_in_a_wait_as_well)
{
	pthread_t th = thr_start(waits_at_any_moment, &here);

	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 1);
	th = thr_start(waits_at_any_moment, NULL);
	thr_until(&here, 2);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 2);
}

/* glibc 2.36 forgets to say PTHREAD_CANCELED where it is setcancelstate that
 * acts: that it acted is what counts. */
static void *
turns_it_on(void *arg)
{
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	here++;
	thr_until(&asked, 1);
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	here++;
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	here++;
	return arg;
}

TEST(what_was_held_back_acts_when_an_asynchronous_one_enables_it)
{
	pthread_t th = thr_start(turns_it_on, &asked);

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	asked = 1;
	CHECK(thr_join(th) != &asked);
	CHECK_INT(here, 2);
}

static void *
spins_while_off(void *arg)
{
	OK(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	here++;
	while (!asked)
		turns++;
	here++;
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	here++;
	return arg;
}

TEST(one_that_is_off_is_not_ended_in_a_loop)
{
	pthread_t th = thr_start(spins_while_off, &asked);

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	most_likely();
	CHECK_INT(here, 1);
	asked = 1;
	CHECK(thr_join(th) != &asked);
	CHECK_INT(here, 2);
}

/*
 * The end of it
 */

static void
counts(void *n)
{
	atomic_fetch_add((atomic_int *)n, 1);
}

static void *
sleeps_detached(void *ended)
{
	OK(pthread_detach(pthread_self()));
	pthread_cleanup_push(counts, ended);
	here++;
	sleep(1000);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(detached_threads_are_cancelled_too)
{
	static atomic_int ended;
	pthread_t th[100];
	int i;

	for (i = 0; i < 100; i++)
		th[i] = thr_start(sleeps_detached, &ended);
	thr_until(&here, 100);
	for (i = 0; i < 100; i++)
		OK(pthread_cancel(th[i]));
	thr_until(&ended, 100);
}

static void *
exits_detached(void *ended)
{
	counts(ended);
	pthread_exit(NULL);
}

static long
vm_pages(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL);
	CHECK_INT(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages;
}

/* 2000 stacks of 8 MiB: who kept them would have 4 million pages. */
TEST(detached_threads_that_exit_leave_no_stack_behind)
{
	long before = vm_pages();
	atomic_int ended = 0;
	int i;

	for (i = 0; i < 2000; i++) {
		OK(pthread_detach(thr_start(exits_detached, &ended)));
		thr_until(&ended, i + 1);
	}
	CHECK(vm_pages() - before < 2000000);
}

static void
waits_in_handler(void *arg)
{
	char c;

	here++;
	CHECK_INT(read(p[0], &c, 1), 1);
	thr_ms(1);
	notes(arg);
}

static void *
ends_slowly(void *arg)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(waits_in_handler, thr_ptr(2));
	if (arg != NULL)
		pthread_exit(arg);
	here++;
	sleep(1000);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(a_handler_may_wait_and_is_not_cancelled_again)
{
	pthread_t th;

	open_pipe();
	th = thr_start(ends_slowly, NULL);
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	thr_until(&here, 2);
	OK(pthread_cancel(th));
	most_likely();
	OK(pthread_cancel(th));
	CHECK_INT(norder, 0);
	thr_tell(p[1]);
	is_cancelled(th);
	CHECK_INT(norder, 2);
	CHECK_INT(order[0], 2);
	CHECK_INT(order[1], 1);
	shut_pair();
}

TEST(who_exits_is_not_cancelled_any_more)
{
	pthread_t th;

	open_pipe();
	th = thr_start(ends_slowly, &here);
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	most_likely();
	CHECK_INT(norder, 0);
	thr_tell(p[1]);
	CHECK(thr_join(th) == &here);
	CHECK_INT(norder, 2);
	shut_pair();
}

static void
sleeps_deeper(int depth)
{
	pthread_cleanup_push(notes, thr_ptr(depth));
	if (depth > 1)
		sleeps_deeper(depth - 1);
	else
		sleep(1000);
	pthread_cleanup_pop(0);
}

static void *
sleeps_deep(void *arg)
{
	here++;
	sleeps_deeper(8);
	return arg;
}

TEST(handlers_of_all_the_callers_run_innermost_first)
{
	pthread_t th = thr_start(sleeps_deep, NULL);
	int i;

	thr_until(&here, 1);
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_INT(norder, 8);
	for (i = 0; i < 8; i++)
		CHECK_INT(order[i], i + 1);
}

/*
 * Nothing is lost
 */

static atomic_int got;

static void *
takes_one(void *arg)
{
	here++;
	OK(sem_wait(&sem));
	got++;
	return arg;
}

/* A post and a cancellation at once: either the one cancelled has had it
 * before, or it is still there.  (That the other one is woken for it is more
 * than glibc 2.36 does.) */
TEST(a_post_is_not_lost_to_one_that_is_cancelled)
{
	uint64_t seed = thr_seed();
	pthread_t a, b;
	int i, left;

	open_sem();
	for (i = 0; i < 100; i++) {
		here = got = 0;
		a = thr_start(takes_one, NULL);
		b = thr_start(takes_one, NULL);
		thr_until(&here, 2);
		if (thr_rand(&seed) % 2 == 0)
			sched_yield();
		posts();
		OK(pthread_cancel(a));
		thr_join(a);
		posts();
		thr_join(b);
		OK(sem_getvalue(&sem, &left));
		CHECK_INT(got + left, 2);
		if (left > 0)
			OK(sem_wait(&sem));
	}
	shut_sem();
}

static void *
is_told(void *arg)
{
	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	here++;
	while (!told)
		OK(pthread_cond_wait(&cond, &mutex));
	told = 0;
	got++;
	pthread_cleanup_pop(1);
	return arg;
}

TEST(a_signalled_condition_is_not_lost_to_one_that_is_cancelled)
{
	uint64_t seed = thr_seed();
	pthread_t a, b;
	int i;

	open_cond();
	for (i = 0; i < 100; i++) {
		here = got = 0;
		a = thr_start(is_told, NULL);
		b = thr_start(is_told, NULL);
		thr_until(&here, 2);
		tells();
		OK(pthread_cancel(thr_rand(&seed) % 2 == 0 ? a : b));
		thr_until(&got, 1);
		OK(pthread_cancel(a));
		OK(pthread_cancel(b));
		thr_join(a);
		thr_join(b);
		CHECK_INT(got, 1);
	}
	shut_cond();
}

/*
 * Many
 */

static atomic_int cleaned;

static void
waits_by_kind(int kind)
{
	switch (kind) {
	case 0:
		nap = THR_LONG;
		waits_in_nanosleep();
		break;
	case 1:
		waits_in_read();
		break;
	case 2:
		waits_in_poll();
		break;
	case 3:
		waits_in_sem_wait();
		break;
	case 4:
		waits_in_cond_wait();
		break;
	case 5:
		waits_in_sigwait();
		break;
	default:
		for (;;) {
			sched_yield();
			pthread_testcancel();
		}
	}
	CHECK(!"it has been cancelled");
}

static void *
waits_somehow(void *arg)
{
	pthread_cleanup_push(counts, &cleaned);
	here++;
	waits_by_kind(thr_num(arg));
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(a_hundred_are_cancelled_in_any_order)
{
	uint64_t seed = thr_seed();
	pthread_t th[100], t;
	int i, j, round;

	open_pipe();
	open_sem();
	open_cond();
	for (round = 0; round < 3; round++) {
		here = cleaned = 0;
		for (i = 0; i < 100; i++)
			th[i] = thr_start(waits_somehow, thr_ptr(i % 7));
		/* The first hundred may not even have begun. */
		if (round > 0)
			thr_until(&here, 100);
		for (i = 99; i > 0; i--) {
			j = (int)(thr_rand(&seed) % (unsigned)(i + 1));
			t = th[i];
			th[i] = th[j];
			th[j] = t;
		}
		for (i = 0; i < 100; i++) {
			OK(pthread_cancel(th[i]));
			if (thr_rand(&seed) % 4 == 0)
				thr_ms(1);
		}
		for (i = 99; i >= 0; i--)
			is_cancelled(th[i]);
		CHECK_INT(cleaned, 100);
	}
	shut_pair();
	shut_sem();
	shut_cond();
}
