/* SPDX-License-Identifier: MIT */
/* sync_kernel.c - locks that the kernel has a hand in, between processes: whose
 * owner dies, who lends its priority, who protects one; and spin locks, in
 * which nobody has. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <signal.h>

#include "thr.h"

struct shared {
	pthread_mutex_t m;
	pthread_cond_t c;
	atomic_int locked, count;
	int n;
};

static void
make(struct shared *p, int robust, int protocol, int type)
{
	pthread_mutexattr_t a;
	pthread_condattr_t ca;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	if (robust)
		OK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
	OK(pthread_mutexattr_setprotocol(&a, protocol));
	OK(pthread_mutexattr_settype(&a, type));
	OK(pthread_mutex_init(&p->m, &a));
	OK(pthread_mutexattr_destroy(&a));
	OK(pthread_condattr_init(&ca));
	OK(pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED));
	OK(pthread_cond_init(&p->c, &ca));
	OK(pthread_condattr_destroy(&ca));
}

/* --- the owner's process is killed --- */

static void *
holds_for_ever(void *arg)
{
	struct shared *p = arg;

	OK(pthread_mutex_lock(&p->m));
	p->locked = 1;
	for (;;)
		sleep(1000);
	return arg;
}

static void *
sleeps_on(void *arg)
{
	for (;;)
		sleep(1000);
	return arg;
}

static void
holder_is_killed(int protocol, int type)
{
	struct shared *p = thr_shared();
	struct timespec ts;
	pid_t pid;
	int i;

	make(p, 1, protocol, type);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		thr_start(holds_for_ever, p);
		for (i = 0; i < 10; i++)
			thr_start(sleeps_on, NULL);
		for (;;)
			sleep(1000);
	}
	thr_until(&p->locked, 1);
	ts = thr_after(CLOCK_REALTIME, 10 * T_MS);
	CHECK_INT(pthread_mutex_timedlock(&p->m, &ts), ETIMEDOUT);
	CHECK_INT(pthread_mutex_trylock(&p->m), EBUSY);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	ts = thr_after(CLOCK_REALTIME, THR_LONG);
	CHECK_INT(pthread_mutex_timedlock(&p->m, &ts), EOWNERDEAD);
	OK(pthread_mutex_consistent(&p->m));
	OK(pthread_mutex_unlock(&p->m));
	OK(pthread_mutex_lock(&p->m));
	OK(pthread_mutex_unlock(&p->m));
	OK(pthread_mutex_destroy(&p->m));
	thr_unshare(p);
}

TEST(a_robust_mutex_of_a_killed_process_is_told_of_and_made_good)
{
	holder_is_killed(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
	holder_is_killed(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_RECURSIVE);
	holder_is_killed(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ERRORCHECK);
}

TEST(so_is_one_that_inherits_priorities)
{
	holder_is_killed(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_NORMAL);
}

static void *
gets_it_from_a_dead_one(void *arg)
{
	struct shared *p = arg;

	p->locked++;
	CHECK_INT(pthread_mutex_lock(&p->m), EOWNERDEAD);
	OK(pthread_mutex_consistent(&p->m));
	OK(pthread_mutex_unlock(&p->m));
	return arg;
}

TEST(who_waits_is_woken_when_the_owners_process_is_killed)
{
	struct shared *p = thr_shared();
	pthread_t th;
	pid_t pid;

	make(p, 1, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		thr_start(holds_for_ever, p);
		for (;;)
			sleep(1000);
	}
	thr_until(&p->locked, 1);
	th = thr_start(gets_it_from_a_dead_one, p);
	thr_until(&p->locked, 2);
	thr_ms(10);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	thr_join(th);
	thr_unshare(p);
}

static void *
dies_with_it(void *arg)
{
	struct shared *p = arg;

	OK(pthread_mutex_lock(&p->m));
	if (p->n++ % 2)
		pthread_exit(NULL);
	return NULL;
}

TEST(a_thread_that_ends_with_a_shared_robust_mutex_leaves_it_to_the_next)
{
	struct shared *p = thr_shared();
	pid_t pid;
	int i;

	make(p, 1, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
	for (i = 0; i < 6; i++) {
		thr_join(thr_start(dies_with_it, p));
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			CHECK_INT(pthread_mutex_lock(&p->m), EOWNERDEAD);
			OK(pthread_mutex_consistent(&p->m));
			OK(pthread_mutex_unlock(&p->m));
			_exit(0);
		}
		CHECK_INT(thr_reap(pid), 0);
	}
	thr_unshare(p);
}

static void *
leaves_a_private_one(void *arg)
{
	OK(pthread_mutex_lock(arg));
	return arg;
}

TEST(a_thread_that_ends_with_a_private_robust_mutex_leaves_it_to_the_next)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;
	int i;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
	OK(pthread_mutex_init(&m, &a));
	OK(pthread_mutexattr_destroy(&a));
	for (i = 0; i < 20; i++) {
		thr_join(thr_start(leaves_a_private_one, &m));
		CHECK_INT(pthread_mutex_lock(&m), EOWNERDEAD);
		OK(pthread_mutex_consistent(&m));
		OK(pthread_mutex_unlock(&m));
	}
	OK(pthread_mutex_destroy(&m));
}

/* --- two processes at work --- */

static void *
counts(void *arg)
{
	struct shared *p = arg;
	struct timespec ts;
	int i, r;

	for (i = 0; i < 60; i++) {
		switch (i % 3) {
		case 0:
			OK(pthread_mutex_lock(&p->m));
			break;
		case 1:
			ts = thr_after(CLOCK_REALTIME, THR_LONG);
			OK(pthread_mutex_timedlock(&p->m, &ts));
			break;
		case 2:
			while ((r = pthread_mutex_trylock(&p->m)) != 0) {
				CHECK_INT(r, EBUSY);
				thr_ms(1);
			}
		}
		p->n++;
		if (i % 10 == 0)
			thr_ms(1);
		OK(pthread_mutex_unlock(&p->m));
	}
	return arg;
}

static void
both_count(int robust, int protocol)
{
	struct shared *p = thr_shared();
	pthread_t th[4];
	pid_t pid;
	int i;

	make(p, robust, protocol, PTHREAD_MUTEX_NORMAL);
	pid = fork();
	CHECK(pid != -1);
	for (i = 0; i < 4; i++)
		th[i] = thr_start(counts, p);
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
	if (pid == 0)
		_exit(0);
	CHECK_INT(thr_reap(pid), 0);
	CHECK_INT(p->n, 2 * 4 * 60);
	thr_unshare(p);
}

TEST(threads_of_two_processes_lose_no_count_with_a_robust_mutex)
{
	both_count(1, PTHREAD_PRIO_NONE);
}

TEST(threads_of_two_processes_lose_no_count_with_one_that_inherits)
{
	both_count(0, PTHREAD_PRIO_INHERIT);
}

TEST(threads_of_two_processes_lose_no_count_with_one_that_does_both)
{
	both_count(1, PTHREAD_PRIO_INHERIT);
}

static void *
answers(void *arg)
{
	struct shared *p = arg;
	int me = p->locked++, i;

	for (i = 0; i < 50; i++) {
		OK(pthread_mutex_lock(&p->m));
		while (p->n % 4 != me % 4)
			OK(pthread_cond_wait(&p->c, &p->m));
		p->n++;
		OK(pthread_cond_broadcast(&p->c));
		OK(pthread_mutex_unlock(&p->m));
	}
	return arg;
}

TEST(a_condition_waits_with_a_robust_mutex_of_two_processes)
{
	struct shared *p = thr_shared();
	pthread_t th[2];
	pid_t pid;
	int i;

	make(p, 1, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
	pid = fork();
	CHECK(pid != -1);
	for (i = 0; i < 2; i++)
		th[i] = thr_start(answers, p);
	for (i = 0; i < 2; i++)
		thr_join(th[i]);
	if (pid == 0)
		_exit(0);
	CHECK_INT(thr_reap(pid), 0);
	CHECK_INT(p->n, 200);
	thr_unshare(p);
}

/* --- what else a thread that holds such a mutex does --- */

static void *
works_on(void *arg)
{
	struct shared *p = arg;
	pthread_mutex_t own = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	pid_t tid = gettid();
	int fds[2];

	OK(pthread_mutex_lock(&own));
	OK(pthread_mutex_lock(&p->m));
	/* What it locked before is its own still, as is its number. */
	CHECK_INT(pthread_mutex_lock(&own), EDEADLK);
	CHECK_INT(gettid(), tid);
	OK(pthread_mutex_unlock(&own));
	OK(pipe(fds));
	thr_tell(fds[1]);
	thr_hear(fds[0]);
	OK(close(fds[0]));
	OK(close(fds[1]));
	OK(pthread_mutex_lock(&own));
	OK(pthread_mutex_unlock(&p->m));
	OK(pthread_mutex_unlock(&own));
	return arg;
}

TEST(its_other_mutexes_are_its_own_meanwhile)
{
	struct shared *p = thr_shared();
	pthread_t th[8];
	int i;

	make(p, 1, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_NORMAL);
	for (i = 0; i < 8; i++)
		th[i] = thr_start(works_on, p);
	for (i = 0; i < 8; i++)
		thr_join(th[i]);
	thr_unshare(p);
}

TEST(protecting_a_priority_takes_a_policy_that_has_some)
{
	struct shared *p = thr_shared();

	make(p, 0, PTHREAD_PRIO_PROTECT, PTHREAD_MUTEX_NORMAL);
	CHECK_INT(pthread_mutex_lock(&p->m), EINVAL);
	thr_unshare(p);
}

/* Priorities of which others are none the wiser. */
static void
be_first_in_first_out(int prio)
{
	struct sched_param p = { .sched_priority = prio };
	int r = pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);

	if (r == EPERM)
		SKIP("no right to a real-time policy");
	OK(r);
}

static int
my_priority(void)
{
	struct sched_param p;

	OK(sched_getparam(0, &p));
	return p.sched_priority;
}

static void
make_ceiling(pthread_mutex_t *m, int type, int ceiling)
{
	pthread_mutexattr_t a;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_PROTECT));
	OK(pthread_mutexattr_settype(&a, type));
	OK(pthread_mutexattr_setprioceiling(&a, ceiling));
	OK(pthread_mutex_init(m, &a));
	OK(pthread_mutexattr_destroy(&a));
}

static void *
is_lifted(void *arg)
{
	pthread_mutex_t low, high, *m = arg;
	struct timespec at;

	make_ceiling(&low, PTHREAD_MUTEX_NORMAL, 5);
	make_ceiling(&high, PTHREAD_MUTEX_RECURSIVE, 10);
	be_first_in_first_out(2);
	OK(pthread_mutex_lock(&low));
	CHECK_INT(my_priority(), 5);
	OK(pthread_mutex_trylock(&high));
	CHECK_INT(my_priority(), 10);
	at = thr_after(CLOCK_REALTIME, THR_LONG);
	OK(pthread_mutex_timedlock(&high, &at));
	OK(pthread_mutex_unlock(&high));
	CHECK_INT(my_priority(), 10);
	OK(pthread_mutex_unlock(&high));
	CHECK_INT(my_priority(), 5);
	OK(pthread_mutex_unlock(&low));
	CHECK_INT(my_priority(), 2);
	be_first_in_first_out(6);
	CHECK_INT(pthread_mutex_lock(&low), EINVAL);
	OK(pthread_mutex_lock(&high));
	OK(pthread_mutex_lock(m));
	thr_ms(1);
	OK(pthread_mutex_unlock(m));
	OK(pthread_mutex_unlock(&high));
	OK(pthread_mutex_destroy(&low));
	OK(pthread_mutex_destroy(&high));
	return NULL;
}

TEST(who_holds_a_mutex_with_a_ceiling_has_that_priority)
{
	pthread_mutex_t m;
	pthread_t th[3];
	int i, before = my_priority();

	make_ceiling(&m, PTHREAD_MUTEX_NORMAL, 20);
	for (i = 0; i < 3; i++)
		th[i] = thr_start(is_lifted, &m);
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
	CHECK_INT(my_priority(), before);
	OK(pthread_mutex_destroy(&m));
}

static void *
changes_the_ceiling(void *arg)
{
	pthread_mutex_t *m = arg;
	int was;

	be_first_in_first_out(2);
	OK(pthread_mutex_setprioceiling(m, 9, &was));
	return thr_ptr(was);
}

TEST(a_ceiling_can_be_changed)
{
	static const int types[] = { PTHREAD_MUTEX_NORMAL,
				     PTHREAD_MUTEX_RECURSIVE,
				     PTHREAD_MUTEX_ERRORCHECK };
	pthread_mutex_t m, plain = PTHREAD_MUTEX_INITIALIZER;
	pthread_t th;
	size_t i;
	int v;

	CHECK_INT(pthread_mutex_getprioceiling(&plain, &v), EINVAL);
	CHECK_INT(pthread_mutex_setprioceiling(&plain, 5, &v), EINVAL);
	be_first_in_first_out(1);
	for (i = 0; i < LEN(types); i++) {
		make_ceiling(&m, types[i], 5);
		OK(pthread_mutex_getprioceiling(&m, &v));
		CHECK_INT(v, 5);
		CHECK_INT(pthread_mutex_setprioceiling(&m, 100, &v), EINVAL);
		OK(pthread_mutex_setprioceiling(&m, 7, &v));
		CHECK_INT(v, 5);
		OK(pthread_mutex_lock(&m));
		CHECK_INT(my_priority(), 7);
		if (types[i] == PTHREAD_MUTEX_RECURSIVE) {
			OK(pthread_mutex_setprioceiling(&m, 8, &v));
			CHECK_INT(my_priority(), 8);
		}
		if (types[i] == PTHREAD_MUTEX_ERRORCHECK)
			CHECK_INT(pthread_mutex_setprioceiling(&m, 8, &v),
				  EDEADLK);
		OK(pthread_mutex_unlock(&m));
		CHECK_INT(my_priority(), 1);
		OK(pthread_mutex_setprioceiling(&m, 6, &v));
		OK(pthread_mutex_lock(&m));
		th = thr_start(changes_the_ceiling, &m);
		thr_ms(5);
		CHECK_INT(pthread_tryjoin_np(th, NULL), EBUSY);
		OK(pthread_mutex_unlock(&m));
		CHECK_INT(thr_num(thr_join(th)), 6);
		OK(pthread_mutex_getprioceiling(&m, &v));
		CHECK_INT(v, 9);
		OK(pthread_mutex_destroy(&m));
	}
}

/* --- spin locks --- */

static struct {
	pthread_spinlock_t l;
	long n;
} spin;

static void *
spins(void *arg)
{
	int i;

	for (i = 0; i < 50; i++) {
		OK(pthread_spin_lock(&spin.l));
		spin.n++;
		if (i % 10 == 0)
			thr_ms(1);
		OK(pthread_spin_unlock(&spin.l));
	}
	return arg;
}

TEST(spin_locks_whose_holders_sleep_make_progress)
{
	pthread_t th[20];
	int i;

	OK(pthread_spin_init(&spin.l, PTHREAD_PROCESS_PRIVATE));
	for (i = 0; i < 20; i++)
		th[i] = thr_start(spins, NULL);
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(spin.n, 20 * 50);
	OK(pthread_spin_trylock(&spin.l));
	CHECK_INT(pthread_spin_trylock(&spin.l), EBUSY);
	OK(pthread_spin_unlock(&spin.l));
	OK(pthread_spin_destroy(&spin.l));
}

static pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

static void *
adapts(void *arg)
{
	int i;

	for (i = 0; i < 100; i++) {
		OK(pthread_mutex_lock(&adaptive));
		spin.n++;
		if (i % 20 == 0)
			thr_ms(1);
		OK(pthread_mutex_unlock(&adaptive));
	}
	return arg;
}

TEST(adaptive_mutexes_whose_holders_sleep_make_progress)
{
	pthread_t th[20];
	int i;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(adapts, NULL);
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(spin.n, 20 * 100);
}
