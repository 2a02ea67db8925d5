/* SPDX-License-Identifier: MIT */
/* thread_quit.c - threads that end by exit(2), past libc: alone, and without
 * any handler; and processes of which some thread is left when main ends. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <sys/syscall.h>

#include "thr.h"

enum { SHOULD_NOT = 99 };

static void
never(void *arg)
{
	(void)arg;
	_exit(SHOULD_NOT);
}

static void
quit(int status)
{
	syscall(SYS_exit, status);
	_exit(SHOULD_NOT);
}

static pthread_key_t key;

static void *
quits(void *arg)
{
	pthread_cleanup_push(never, NULL);
	if (key != 0)
		OK(pthread_setspecific(key, arg));
	if (arg != NULL)
		thr_ms(1);
	quit(3);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *
naps(void *arg)
{
	thr_ms(thr_num(arg));
	return arg;
}

TEST(a_thread_that_quits_ends_alone_and_can_be_joined)
{
	pthread_t th[20], other;
	struct timespec at;
	int i, round;
	void *r;

	OK(pthread_key_create(&key, never));
	for (round = 0; round < 10; round++) {
		other = thr_start(naps, thr_ptr(3));
		for (i = 0; i < 20; i++)
			th[i] = thr_start(quits, thr_ptr(i % 2));
		for (i = 0; i < 19; i++)
			thr_join(th[i]);
		at = thr_after(CLOCK_REALTIME, THR_LONG);
		OK(pthread_timedjoin_np(th[19], &r, &at));
		CHECK_INT(thr_num(thr_join(other)), 3);
	}
	OK(pthread_key_delete(key));
}

static atomic_int begun;

static void *
detaches_itself_and_quits(void *arg)
{
	OK(pthread_detach(pthread_self()));
	begun++;
	return quits(arg);
}

TEST(a_detached_one_quits)
{
	int i;

	for (i = 0; i < 50; i++)
		thr_start(detaches_itself_and_quits, thr_ptr(i % 2));
	thr_until(&begun, 50);
	CHECK_INT(thr_num(thr_join(thr_start(naps, thr_ptr(3)))), 3);
}

static pthread_mutex_t robust;

static void *
locks_and_quits(void *arg)
{
	OK(pthread_mutex_lock(&robust));
	return quits(arg);
}

TEST(what_it_held_of_robust_mutexes_goes_to_the_next)
{
	pthread_mutexattr_t attr;
	int shared;

	OK(pthread_mutexattr_init(&attr));
	OK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	for (shared = 0; shared < 2; shared++) {
		OK(pthread_mutexattr_setpshared(&attr, shared));
		OK(pthread_mutex_init(&robust, &attr));
		thr_join(thr_start(locks_and_quits, NULL));
		CHECK_INT(pthread_mutex_lock(&robust), EOWNERDEAD);
		OK(pthread_mutex_consistent(&robust));
		OK(pthread_mutex_unlock(&robust));
		OK(pthread_mutex_destroy(&robust));
	}
	OK(pthread_mutexattr_destroy(&attr));
}

static void *
has_one_cpu_and_quits(void *arg)
{
	cpu_set_t set;

	OK(sched_getaffinity(0, sizeof(set), &set));
	CPU_CLR(0, &set);
	if (CPU_COUNT(&set) > 0)
		OK(sched_setaffinity(0, sizeof(set), &set));
	return quits(arg);
}

TEST(one_with_cpus_of_its_own_quits)
{
	thr_join(thr_start(has_one_cpu_and_quits, NULL));
	CHECK_INT(thr_num(thr_join(thr_start(naps, thr_ptr(3)))), 3);
}

/* The rest in children: what becomes of a process.  Where each of its threads
 * has quit, its status is the first's, or with newer kernels the last's. */
static int *out;

static void
tells_the_parent(void)
{
	*out += 100;
}

/* fn is the main thread's, which has a handler at exit. */
static int
status_of(void (*fn)(void))
{
	pid_t pid;
	int r;

	out = thr_shared();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(atexit(tells_the_parent));
		fn();
		_exit(SHOULD_NOT);
	}
	r = thr_reap(pid);
	r += *out;
	thr_unshare(out);
	return r;
}

static void
the_only_one_quits(void)
{
	quit(7);
}

static void *
naps_and_ends(void *arg)
{
	thr_ms(20);
	++*out;
	return arg;
}

static void
the_first_quits_before_another(void)
{
	thr_start(naps_and_ends, NULL);
	quit(0);
}

static void *
naps_and_exits(void *arg)
{
	naps_and_ends(arg);
	exit(5);
}

static void
the_first_quits_and_another_exits(void)
{
	thr_start(naps_and_exits, NULL);
	quit(8);
}

static void *
naps_and_quits(void *arg)
{
	naps_and_ends(arg);
	quit(3);
	return NULL;
}

static void
both_quit(void)
{
	thr_start(naps_and_quits, NULL);
	quit(3);
}

static void *
naps_and_quits_with_0(void *arg)
{
	naps_and_ends(arg);
	quit(0);
	return NULL;
}

static void
the_first_exits_and_another_quits(void)
{
	thr_start(naps_and_quits_with_0, NULL);
	pthread_exit(NULL);
}

static void
one_quits_and_the_rest_end(void)
{
	thr_join(thr_start(quits, NULL));
	thr_start(naps_and_ends, NULL);
	pthread_exit(NULL);
}

TEST(a_process_ends_with_its_last_thread_whichever_way_it_goes)
{
	CHECK_INT(status_of(the_only_one_quits), 7);
	CHECK_INT(status_of(the_first_quits_before_another), 1);
	CHECK_INT(status_of(the_first_quits_and_another_exits), 100 + 5 + 1);
	CHECK_INT(status_of(both_quit), 3 + 1);
	CHECK_INT(status_of(the_first_exits_and_another_quits), 1);
	CHECK_INT(status_of(one_quits_and_the_rest_end), 1);
}

/* With CPUs of its own from the start a thread is one of the kernel's. */
static void
start_in_the_kernel(void *(*fn)(void *))
{
	pthread_attr_t attr;
	pthread_t th;
	cpu_set_t set;

	thr_join(thr_start(naps, thr_ptr(1)));
	OK(sched_getaffinity(0, sizeof(set), &set));
	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setaffinity_np(&attr, sizeof(set), &set));
	OK(pthread_create(&th, &attr, fn, NULL));
	OK(pthread_attr_destroy(&attr));
}

static void
the_last_is_the_kernels(void)
{
	start_in_the_kernel(naps_and_ends);
	pthread_exit(NULL);
}

static void *
naps_and_starts(void *arg)
{
	thr_ms(10);
	thr_start(naps_and_ends, arg);
	return arg;
}

static void
it_starts_the_last(void)
{
	start_in_the_kernel(naps_and_starts);
	pthread_exit(NULL);
}

static void
the_last_is_the_kernels_and_quits(void)
{
	start_in_the_kernel(naps_and_quits_with_0);
	pthread_exit(NULL);
}

static void
one_of_the_kernels_quits_first(void)
{
	start_in_the_kernel(quits);
	thr_ms(10);
	thr_start(naps_and_ends, NULL);
	pthread_exit(NULL);
}

TEST(threads_of_the_kernels_own_keep_a_process_too)
{
	CHECK_INT(status_of(the_last_is_the_kernels), 100 + 1);
	CHECK_INT(status_of(it_starts_the_last), 100 + 1);
	CHECK_INT(status_of(the_last_is_the_kernels_and_quits), 1);
	CHECK_INT(status_of(one_of_the_kernels_quits_first), 1);
}
