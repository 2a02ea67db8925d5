/* SPDX-License-Identifier: MIT */
/* sync_sem.c - semaphores count, wait, time out and are interrupted. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <semaphore.h>
#include <signal.h>

#include "thr.h"

static int
value(sem_t *s)
{
	int v;

	OK(sem_getvalue(s, &v));
	return v;
}

/* Waits through whatever handlers run. */
static void
down(sem_t *s)
{
	while (sem_wait(s) == -1)
		CHECK_INT(errno, EINTR);
}

TEST(a_semaphore_counts)
{
	sem_t s;
	int i;

	OK(sem_init(&s, 0, 3));
	CHECK_INT(value(&s), 3);
	OK(sem_wait(&s));
	OK(sem_trywait(&s));
	CHECK_INT(value(&s), 1);
	OK(sem_wait(&s));
	CHECK_ERR(sem_trywait(&s), EAGAIN);
	CHECK_INT(value(&s), 0);
	for (i = 1; i <= 100; i++) {
		OK(sem_post(&s));
		CHECK_INT(value(&s), i);
	}
	OK(sem_destroy(&s));
}

TEST(too_large_a_value_is_EINVAL_and_one_post_too_many_EOVERFLOW)
{
	sem_t s;

	CHECK_ERR(sem_init(&s, 0, (unsigned)SEM_VALUE_MAX + 1), EINVAL);
	OK(sem_init(&s, 0, SEM_VALUE_MAX));
	CHECK_ERR(sem_post(&s), EOVERFLOW);
	CHECK_INT(value(&s), SEM_VALUE_MAX);
	OK(sem_wait(&s));
	OK(sem_post(&s));
	OK(sem_destroy(&s));
}

TEST(timed_waits_are_never_early)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };
	struct timespec at;
	sem_t s;
	size_t i;
	int k;

	OK(sem_init(&s, 0, 0));
	for (k = 1; k <= 10; k++) {
		at = thr_after(CLOCK_REALTIME, k * T_MS / 2);
		CHECK_ERR(sem_timedwait(&s, &at), ETIMEDOUT);
		CHECK(thr_reached(CLOCK_REALTIME, at));
		for (i = 0; i < LEN(clocks); i++) {
			at = thr_after(clocks[i], k * T_MS / 2);
			CHECK_ERR(sem_clockwait(&s, clocks[i], &at),
				  ETIMEDOUT);
			CHECK(thr_reached(clocks[i], at));
		}
	}
	CHECK_INT(value(&s), 0);
	OK(sem_destroy(&s));
}

TEST(a_deadline_in_the_past_only_tries)
{
	struct timespec past = { 1, 0 }, before = { -1, 0 };
	sem_t s;

	OK(sem_init(&s, 0, 2));
	OK(sem_timedwait(&s, &past));
	OK(sem_clockwait(&s, CLOCK_MONOTONIC, &before));
	CHECK_ERR(sem_timedwait(&s, &past), ETIMEDOUT);
	CHECK_ERR(sem_timedwait(&s, &before), ETIMEDOUT);
	CHECK_ERR(sem_clockwait(&s, CLOCK_MONOTONIC, &past), ETIMEDOUT);
	OK(sem_destroy(&s));
}

TEST(bad_times_and_clocks_are_EINVAL)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	sem_t s;

	OK(sem_init(&s, 0, 0));
	CHECK_ERR(sem_clockwait(&s, CLOCK_PROCESS_CPUTIME_ID, &at), EINVAL);
	at.tv_nsec = 1000000000;
	CHECK_ERR(sem_timedwait(&s, &at), EINVAL);
	CHECK_ERR(sem_clockwait(&s, CLOCK_MONOTONIC, &at), EINVAL);
	at.tv_nsec = -1;
	CHECK_ERR(sem_timedwait(&s, &at), EINVAL);
	OK(sem_destroy(&s));
}

struct gate {
	sem_t s, done;
	atomic_int here, through;
};

static void *
goes_through(void *arg)
{
	struct gate *g = arg;
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	int n = atomic_fetch_add(&g->here, 1);

	if (n % 2)
		OK(sem_wait(&g->s));
	else
		OK(sem_timedwait(&g->s, &at));
	atomic_fetch_add(&g->through, 1);
	OK(sem_post(&g->done));
	return NULL;
}

TEST(each_post_lets_exactly_one_of_three_hundred_through)
{
	static pthread_t th[300];
	struct gate g = { .here = 0 };
	int i;

	OK(sem_init(&g.s, 0, 0));
	OK(sem_init(&g.done, 0, 0));
	for (i = 0; i < 300; i++)
		th[i] = thr_start(goes_through, &g);
	thr_until(&g.here, 300);
	CHECK_INT(g.through, 0);
	CHECK_INT(value(&g.s), 0);
	for (i = 0; i < 300; i++) {
		OK(sem_post(&g.s));
		OK(sem_wait(&g.done));
		CHECK_INT(g.through, i + 1);
	}
	for (i = 0; i < 300; i++)
		thr_join(th[i]);
	CHECK_INT(value(&g.s), 0);
	OK(sem_destroy(&g.s));
	OK(sem_destroy(&g.done));
}

TEST(posts_in_a_burst_are_all_taken)
{
	static pthread_t th[300];
	struct gate g = { .here = 0 };
	int i;

	OK(sem_init(&g.s, 0, 0));
	OK(sem_init(&g.done, 0, 0));
	for (i = 0; i < 300; i++)
		th[i] = thr_start(goes_through, &g);
	for (i = 0; i < 300; i++)
		OK(sem_post(&g.s));
	for (i = 0; i < 300; i++)
		thr_join(th[i]);
	CHECK_INT(value(&g.s), 0);
	CHECK_INT(value(&g.done), 300);
}

struct limit {
	sem_t s;
	atomic_int inside, most;
};

static void *
is_limited(void *arg)
{
	struct limit *l = arg;
	int i, n, most;

	for (i = 0; i < 100; i++) {
		OK(sem_wait(&l->s));
		n = atomic_fetch_add(&l->inside, 1) + 1;
		most = l->most;
		while (n > most && !atomic_compare_exchange_weak(&l->most,
								 &most, n))
			;
		if (i % 4 == 0)
			sched_yield();
		atomic_fetch_sub(&l->inside, 1);
		OK(sem_post(&l->s));
	}
	return NULL;
}

TEST(three_permits_let_at_most_three_of_a_hundred_in)
{
	struct limit l = { .inside = 0 };
	pthread_t th[100];
	int i;

	OK(sem_init(&l.s, 0, 3));
	for (i = 0; i < 100; i++)
		th[i] = thr_start(is_limited, &l);
	for (i = 0; i < 100; i++)
		thr_join(th[i]);
	CHECK(l.most >= 1 && l.most <= 3);
	CHECK_INT(l.inside, 0);
	CHECK_INT(value(&l.s), 3);
	OK(sem_destroy(&l.s));
}

#define RING 100
static sem_t ring[RING];
static int token;

static void *
hands_on(void *arg)
{
	int me = thr_num(arg), i;

	for (i = 0; i < 50; i++) {
		OK(sem_wait(&ring[me]));
		CHECK_INT(token++, i * RING + me);
		OK(sem_post(&ring[(me + 1) % RING]));
	}
	return NULL;
}

TEST(a_token_goes_around_a_ring_of_a_hundred)
{
	pthread_t th[RING];
	int i;

	for (i = 0; i < RING; i++)
		OK(sem_init(&ring[i], 0, 0));
	for (i = 0; i < RING; i++)
		th[i] = thr_start(hands_on, thr_ptr(i));
	OK(sem_post(&ring[0]));
	for (i = 0; i < RING; i++)
		thr_join(th[i]);
	CHECK_INT(token, 50 * RING);
	CHECK_INT(value(&ring[0]), 1);
}

TEST(a_wait_that_succeeds_leaves_errno_alone)
{
	struct gate g = { .here = 0 };
	pthread_t th;

	OK(sem_init(&g.s, 0, 1));
	OK(sem_init(&g.done, 0, 0));
	errno = EDOM;
	th = thr_start(goes_through, &g);
	OK(sem_wait(&g.done));
	CHECK_INT(errno, EDOM);
	thr_join(th);
}

/* Signals: a thread sends them to the one that waits, again and again, since
 * nobody can know when a wait has begun. */
static struct {
	pthread_t whom;
	atomic_int stop, handled;
	sem_t *post;
} pest;

static void
on_usr1(int sig)
{
	(void)sig;
	pest.handled++;
	if (pest.post != NULL && pest.handled % 3 == 0)
		sem_post(pest.post);
}

static void *
pesters(void *arg)
{
	(void)arg;
	while (!pest.stop) {
		OK(pthread_kill(pest.whom, SIGUSR1));
		thr_ms(1);
	}
	return NULL;
}

static pthread_t
pester_me(int flags, sem_t *post)
{
	struct sigaction sa = { .sa_handler = on_usr1, .sa_flags = flags };
	sigset_t set, old;
	pthread_t th;

	OK(sigaction(SIGUSR1, &sa, NULL));
	pest.whom = pthread_self();
	pest.stop = 0;
	pest.handled = 0;
	pest.post = post;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(pthread_sigmask(SIG_BLOCK, &set, &old));
	th = thr_start(pesters, NULL);
	OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
	return th;
}

TEST(a_handler_without_SA_RESTART_interrupts_each_kind_of_wait)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	struct timespec mono = thr_after(CLOCK_MONOTONIC, THR_LONG);
	pthread_t th;
	sem_t s;

	OK(sem_init(&s, 0, 0));
	th = pester_me(0, NULL);
	CHECK_ERR(sem_wait(&s), EINTR);
	CHECK(pest.handled > 0);
	CHECK_ERR(sem_timedwait(&s, &at), EINTR);
	CHECK_ERR(sem_clockwait(&s, CLOCK_MONOTONIC, &mono), EINTR);
	pest.stop = 1;
	thr_join(th);
	CHECK_INT(value(&s), 0);
	OK(sem_destroy(&s));
}

TEST(a_post_from_a_handler_wakes_the_waiter_it_interrupted)
{
	pthread_t th;
	sem_t s;
	int i;

	OK(sem_init(&s, 0, 0));
	th = pester_me(SA_RESTART, &s);
	/* With SA_RESTART, sem_wait() goes on until there is something. */
	for (i = 0; i < 5; i++)
		OK(sem_wait(&s));
	pest.stop = 1;
	thr_join(th);
	CHECK_INT(value(&s), pest.handled / 3 - 5);
	OK(sem_destroy(&s));
}

TEST(a_post_from_a_handler_wakes_another_thread)
{
	struct gate g = { .here = 0 };
	pthread_t th[5], from;
	int i;

	OK(sem_init(&g.s, 0, 0));
	OK(sem_init(&g.done, 0, 0));
	for (i = 0; i < 5; i++)
		th[i] = thr_start(goes_through, &g);
	thr_until(&g.here, 5);
	from = pester_me(SA_RESTART, &g.s);
	for (i = 0; i < 5; i++)
		down(&g.done);
	pest.stop = 1;
	thr_join(from);
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
}

/* Between processes. */
TEST(a_shared_semaphore_wakes_another_process)
{
	sem_t *s = thr_shared();
	pid_t pid;
	int i;

	OK(sem_init(&s[0], 1, 0));
	OK(sem_init(&s[1], 1, 0));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (i = 0; i < 1000; i++) {
			OK(sem_wait(&s[0]));
			OK(sem_post(&s[1]));
		}
		_exit(0);
	}
	for (i = 0; i < 1000; i++) {
		OK(sem_post(&s[0]));
		OK(sem_wait(&s[1]));
	}
	CHECK_INT(thr_reap(pid), 0);
	CHECK_INT(value(&s[0]), 0);
	CHECK_INT(value(&s[1]), 0);
	OK(sem_destroy(&s[0]));
	OK(sem_destroy(&s[1]));
	thr_unshare(s);
}

static void *
waits_shared(void *arg)
{
	OK(sem_wait(arg));
	return NULL;
}

TEST(threads_that_wait_for_another_process_hold_up_nobody)
{
	sem_t *s = thr_shared(), own;
	struct timespec at;
	pthread_t th[5], t;
	int go[2], i;
	pid_t pid;

	OK(pipe(go));
	OK(sem_init(s, 1, 0));
	OK(sem_init(&own, 0, 0));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		thr_hear(go[0]);
		for (i = 0; i < 5; i++)
			OK(sem_post(s));
		_exit(0);
	}
	at = thr_after(CLOCK_REALTIME, 5 * T_MS);
	CHECK_ERR(sem_timedwait(s, &at), ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	for (i = 0; i < 5; i++)
		th[i] = thr_start(waits_shared, s);
	for (i = 0; i < 100; i++) {
		t = thr_start(waits_shared, &own);
		OK(sem_post(&own));
		thr_join(t);
	}
	thr_tell(go[1]);
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
	CHECK_INT(thr_reap(pid), 0);
	close(go[0]);
	close(go[1]);
	OK(sem_destroy(s));
	thr_unshare(s);
}

TEST(named_semaphores_are_one_to_all_who_open_them)
{
	char name[64];
	sem_t *a, *b;
	pid_t pid;

	snprintf(name, sizeof name, "/t-sync-sem-%d", (int)getpid());
	errno = 0;
	CHECK(sem_open(name, 0) == SEM_FAILED);
	CHECK_INT(errno, ENOENT);
	a = sem_open(name, O_CREAT | O_EXCL, 0600, 2);
	CHECK(a != SEM_FAILED);
	errno = 0;
	CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 2) == SEM_FAILED);
	CHECK_INT(errno, EEXIST);
	b = sem_open(name, 0);
	CHECK(a == b);
	CHECK_INT(value(b), 2);
	OK(sem_wait(a));
	OK(sem_wait(b));
	CHECK_ERR(sem_trywait(a), EAGAIN);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		b = sem_open(name, 0);
		CHECK(b != SEM_FAILED);
		OK(sem_post(b));
		_exit(0);
	}
	OK(sem_wait(a));
	CHECK_INT(thr_reap(pid), 0);
	OK(sem_close(b));
	OK(sem_unlink(name));
	CHECK_ERR(sem_unlink(name), ENOENT);
	OK(sem_post(a));
	OK(sem_close(a));
}

TEST(bad_names_are_refused)
{
	char *longname;

	errno = 0;
	CHECK(sem_open("/", O_CREAT, 0600, 0) == SEM_FAILED);
	CHECK_INT(errno, EINVAL);
	longname = malloc(5001);
	CHECK(longname != NULL);
	memset(longname, 'x', 5000);
	longname[0] = '/';
	longname[5000] = 0;
	errno = 0;
	CHECK(sem_open(longname, O_CREAT, 0600, 0) == SEM_FAILED);
	CHECK(errno == ENAMETOOLONG || errno == EINVAL);
	free(longname);
}

static void *
posts_once(void *arg)
{
	OK(sem_post(arg));
	return NULL;
}

TEST(a_semaphore_may_be_destroyed_once_its_wait_returns)
{
	pthread_t th;
	sem_t *s;
	int i;

	for (i = 0; i < 200; i++) {
		s = malloc(sizeof *s);
		CHECK(s != NULL);
		OK(sem_init(s, 0, 0));
		th = thr_start(posts_once, s);
		OK(sem_wait(s));
		OK(sem_destroy(s));
		memset(s, 0xa5, sizeof *s);
		free(s);
		thr_join(th);
	}
}
