/* SPDX-License-Identifier: MIT */
/* mixed.c - threads that only a kernel thread can be, among those that need
 * not: they share locks, wait for each other, and end each other.
 *
 * With CPUs of its own in its attributes a thread is a kernel thread from the
 * start, under cohook too. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "thr.h"

static pthread_t
start_native(void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	cpu_set_t cpus;
	pthread_t th;

	OK(sched_getaffinity(0, sizeof(cpus), &cpus));
	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus));
	OK(pthread_create(&th, &attr, fn, arg));
	OK(pthread_attr_destroy(&attr));
	return th;
}

/* --- waits that are ended by a cancellation --- */

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t s;
static atomic_int began, unlocked;

static void
unlock(void *arg)
{
	OK(pthread_mutex_unlock(arg));
	atomic_fetch_add(&unlocked, 1);
}

static void *
in_cond_wait(void *arg)
{
	OK(pthread_mutex_lock(&m));
	pthread_cleanup_push(unlock, &m);
	atomic_fetch_add(&began, 1);
	for (;;)
		OK(pthread_cond_wait(&cond, &m));
	pthread_cleanup_pop(0);
	return arg;
}

static void *
in_cond_timedwait(void *arg)
{
	struct timespec ts = thr_after(CLOCK_REALTIME, THR_LONG);

	OK(pthread_mutex_lock(&m));
	pthread_cleanup_push(unlock, &m);
	atomic_fetch_add(&began, 1);
	for (;;)
		OK(pthread_cond_timedwait(&cond, &m, &ts));
	pthread_cleanup_pop(0);
	return arg;
}

static void *
in_sem_wait(void *arg)
{
	atomic_fetch_add(&began, 1);
	OK(sem_wait(&s));
	return arg;
}

static void *
in_sem_timedwait(void *arg)
{
	struct timespec ts = thr_after(CLOCK_REALTIME, THR_LONG);

	atomic_fetch_add(&began, 1);
	OK(sem_timedwait(&s, &ts));
	return arg;
}

static void *
sleeps_on(void *arg)
{
	for (;;)
		sleep(1000);
	return arg;
}

static void *
in_join(void *arg)
{
	atomic_fetch_add(&began, 1);
	OK(pthread_join(*(pthread_t *)arg, NULL));
	return arg;
}

/* Cancelled before, while and after it begins to wait. */
static void
ends(void *(*fn)(void *), void *arg)
{
	pthread_t th;
	int i, was;

	for (i = 0; i < 60; i++) {
		was = atomic_load(&began);
		th = start_native(fn, arg);
		if (i % 3 == 0)
			thr_until(&began, was + 1);
		if (i % 6 == 0)
			thr_ms(2);
		OK(pthread_cancel(th));
		CHECK(thr_join(th) == PTHREAD_CANCELED);
	}
}

TEST(a_kernel_thread_in_a_condition_is_cancelled)
{
	ends(in_cond_wait, NULL);
	ends(in_cond_timedwait, NULL);
	OK(pthread_mutex_trylock(&m));
	OK(pthread_mutex_unlock(&m));
	CHECK(unlocked >= 20);
}

TEST(a_kernel_thread_at_a_semaphore_is_cancelled)
{
	OK(sem_init(&s, 0, 0));
	ends(in_sem_wait, NULL);
	ends(in_sem_timedwait, NULL);
	CHECK_ERR(sem_trywait(&s), EAGAIN);
	OK(sem_destroy(&s));
}

TEST(a_kernel_thread_that_joins_is_cancelled_and_another_joins)
{
	pthread_t th = thr_start(sleeps_on, NULL);

	ends(in_join, &th);
	OK(pthread_cancel(th));
	CHECK(thr_join(th) == PTHREAD_CANCELED);
}

static void *
locks_and_waits(void *arg)
{
	atomic_fetch_add(&began, 1);
	OK(pthread_mutex_lock(&m)); /* none */
	pthread_cleanup_push(unlock, &m);
	OK(pthread_cond_wait(&cond, &m));
	pthread_cleanup_pop(1);
	return arg;
}

TEST(a_kernel_thread_at_a_mutex_gets_it_and_is_ended_later)
{
	pthread_t th;

	OK(pthread_mutex_lock(&m));
	th = start_native(locks_and_waits, NULL);
	thr_until(&began, 1);
	thr_ms(5);
	OK(pthread_cancel(th));
	thr_ms(5);
	CHECK_INT(pthread_tryjoin_np(th, NULL), EBUSY);
	OK(pthread_mutex_unlock(&m));
	CHECK(thr_join(th) == PTHREAD_CANCELED);
	CHECK_INT(unlocked, 1);
}

static void *
will_not_be_cancelled(void *arg)
{
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	OK(pthread_mutex_lock(&m));
	atomic_fetch_add(&began, 1);
	while (arg != NULL && *(int *)arg == 0)
		OK(pthread_cond_wait(&cond, &m));
	OK(pthread_mutex_unlock(&m));
	return arg;
}

TEST(a_kernel_thread_that_may_not_be_cancelled_waits_on)
{
	pthread_t th;
	int go = 0;

	th = start_native(will_not_be_cancelled, &go);
	thr_until(&began, 1);
	OK(pthread_cancel(th));
	thr_ms(5);
	CHECK_INT(pthread_tryjoin_np(th, NULL), EBUSY);
	OK(pthread_mutex_lock(&m));
	go = 1;
	OK(pthread_cond_signal(&cond));
	OK(pthread_mutex_unlock(&m));
	CHECK(thr_join(th) == &go);
}

/* --- locks that both share --- */

enum { ROUNDS = 400, EACH = 6 };

static struct {
	pthread_mutex_t m;
	pthread_cond_t put, taken;
	int items, made, had;
	pthread_rwlock_t rw;
	pthread_barrier_t bar;
	int pair[2];
	atomic_int serial;
} both = {
	.m = PTHREAD_MUTEX_INITIALIZER,
	.put = PTHREAD_COND_INITIALIZER,
	.taken = PTHREAD_COND_INITIALIZER,
	.rw = PTHREAD_RWLOCK_INITIALIZER,
};

static void *
makes(void *arg)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		OK(pthread_mutex_lock(&both.m));
		while (both.items == 3)
			OK(pthread_cond_wait(&both.taken, &both.m));
		both.items++;
		both.made++;
		OK(pthread_cond_signal(&both.put));
		OK(pthread_mutex_unlock(&both.m));
	}
	return arg;
}

static void *
takes(void *arg)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		OK(pthread_mutex_lock(&both.m));
		while (both.items == 0)
			OK(pthread_cond_wait(&both.put, &both.m));
		both.items--;
		both.had++;
		OK(pthread_cond_signal(&both.taken));
		OK(pthread_mutex_unlock(&both.m));
	}
	return arg;
}

TEST(makers_and_takers_of_either_kind_pass_all_on)
{
	pthread_t th[4 * EACH];
	int i;

	for (i = 0; i < EACH; i++) {
		th[4 * i] = thr_start(makes, NULL);
		th[4 * i + 1] = start_native(makes, NULL);
		th[4 * i + 2] = thr_start(takes, NULL);
		th[4 * i + 3] = start_native(takes, NULL);
	}
	for (i = 0; i < 4 * EACH; i++)
		thr_join(th[i]);
	CHECK_INT(both.made, 2 * EACH * ROUNDS);
	CHECK_INT(both.had, both.made);
	CHECK_INT(both.items, 0);
}

static void *
reads_and_writes(void *arg)
{
	int me = thr_num(arg), i;

	for (i = 0; i < ROUNDS; i++)
		if ((i + me) % 5 == 0) {
			OK(pthread_rwlock_wrlock(&both.rw));
			both.pair[0]++;
			if (i % 20 == 0)
				sched_yield();
			both.pair[1]++;
			OK(pthread_rwlock_unlock(&both.rw));
		} else {
			OK(pthread_rwlock_rdlock(&both.rw));
			CHECK_INT(both.pair[0], both.pair[1]);
			OK(pthread_rwlock_unlock(&both.rw));
		}
	return arg;
}

TEST(readers_of_either_kind_see_no_write_half_done)
{
	pthread_t th[2 * EACH];
	int i;

	for (i = 0; i < 2 * EACH; i++)
		th[i] = i % 2 ? thr_start(reads_and_writes, thr_ptr(i)) :
				start_native(reads_and_writes, thr_ptr(i));
	for (i = 0; i < 2 * EACH; i++)
		thr_join(th[i]);
	CHECK_INT(both.pair[0], 2 * EACH * ROUNDS / 5);
}

static void *
meets(void *arg)
{
	int i, r;

	for (i = 0; i < 100; i++) {
		r = pthread_barrier_wait(&both.bar);
		CHECK(r == 0 || r == PTHREAD_BARRIER_SERIAL_THREAD);
		if (r != 0)
			atomic_fetch_add(&both.serial, 1);
	}
	return arg;
}

TEST(threads_of_either_kind_meet_at_a_barrier)
{
	pthread_t th[2 * EACH];
	int i;

	OK(pthread_barrier_init(&both.bar, NULL, 2 * EACH));
	for (i = 0; i < 2 * EACH; i++)
		th[i] = i % 2 ? thr_start(meets, NULL) :
				start_native(meets, NULL);
	for (i = 0; i < 2 * EACH; i++)
		thr_join(th[i]);
	CHECK_INT(both.serial, 100);
	OK(pthread_barrier_destroy(&both.bar));
}

/* --- descriptors --- */

static int numbers[2];

static void *
gives_the_numbers_to_others(void *arg)
{
	int new[2];

	OK(close(numbers[0]));
	OK(close(numbers[1]));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, new));
	CHECK_INT(new[0], numbers[0]);
	CHECK_INT(new[1], numbers[1]);
	return arg;
}

static void *
answers(void *arg)
{
	char c;

	CHECK_INT(read(numbers[1], &c, 1), 1);
	usleep(20000);
	CHECK_INT(write(numbers[1], &c, 1), 1);
	return arg;
}

TEST(a_number_that_a_kernel_thread_closes_is_new_to_all)
{
	struct timeval tv = { 0, 1000 };
	pthread_t th;
	int i;
	char c;

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, numbers));
	for (i = 0; i < 3; i++) {
		if (i == 1)
			OK(fcntl(numbers[0], F_SETFL, O_RDWR | O_NONBLOCK));
		OK(setsockopt(numbers[0], SOL_SOCKET, SO_RCVTIMEO, &tv,
			      sizeof tv));
		CHECK_ERR(read(numbers[0], &c, 1), EAGAIN);
		thr_join(start_native(gives_the_numbers_to_others, NULL));
		th = i == 2 ? thr_start(answers, NULL) :
			      start_native(answers, NULL);
		CHECK_INT(write(numbers[0], "x", 1), 1);
		CHECK_INT(read(numbers[0], &c, 1), 1);
		CHECK_INT(c, 'x');
		thr_join(th);
	}
	OK(close(numbers[0]));
	OK(close(numbers[1]));
}

/* --- signals --- */

static __thread int mine;
static atomic_int got;

static void
counts(int sig)
{
	(void)sig;
	mine++;
	atomic_fetch_add(&got, 1);
}

static void *
waits_for_signal(void *arg)
{
	(void)arg;
	atomic_fetch_add(&began, 1);
	while (mine == 0)
		usleep(1000);
	return thr_ptr(mine);
}

TEST(pthread_kill_reaches_threads_of_either_kind)
{
	struct sigaction sa = { .sa_handler = counts };
	pthread_t th[20];
	int i;

	OK(sigaction(SIGUSR1, &sa, NULL));
	for (i = 0; i < 20; i++)
		th[i] = i % 2 ? thr_start(waits_for_signal, NULL) :
				start_native(waits_for_signal, NULL);
	thr_until(&began, 20);
	for (i = 0; i < 20; i++)
		OK(pthread_kill(th[i], SIGUSR1));
	for (i = 0; i < 20; i++)
		CHECK_INT(thr_num(thr_join(th[i])), 1);
	CHECK_INT(got, 20);
}

/* --- children of kernel threads --- */

static void *
does_a_little(void *arg)
{
	struct timespec at = thr_after(CLOCK_REALTIME, T_MS);
	pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;

	thr_ms(1);
	OK(pthread_mutex_lock(&own));
	CHECK_INT(pthread_cond_timedwait(&c, &own, &at), ETIMEDOUT);
	OK(pthread_mutex_unlock(&own));
	return arg;
}

static void
lives_a_life(int depth)
{
	pthread_t th[5];
	int i, fd[2];
	pid_t pid;

	for (i = 0; i < 5; i++)
		th[i] = thr_start(does_a_little, th);
	for (i = 0; i < 5; i++)
		CHECK(thr_join(th[i]) == th);
	OK(pipe(fd));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		if (depth > 0)
			lives_a_life(depth - 1);
		thr_tell(fd[1]);
		_exit(7);
	}
	thr_hear(fd[0]);
	CHECK_INT(thr_reap(pid), 7);
	OK(close(fd[0]));
	OK(close(fd[1]));
}

static void *
forks(void *arg)
{
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		lives_a_life(1);
		_exit(6);
	}
	CHECK_INT(thr_reap(pid), 6);
	return arg;
}

static void *
waits_in_between(void *arg)
{
	while (*(atomic_int *)arg == 0)
		thr_ms(1);
	return arg;
}

TEST(a_child_of_a_kernel_thread_lives_a_full_life)
{
	pthread_t others[10], th;
	atomic_int over = 0;
	int i;

	for (i = 0; i < 10; i++)
		others[i] = thr_start(waits_in_between, &over);
	for (i = 0; i < 3; i++) {
		th = start_native(forks, NULL);
		thr_join(th);
	}
	over = 1;
	for (i = 0; i < 10; i++)
		thr_join(others[i]);
	lives_a_life(0);
}
