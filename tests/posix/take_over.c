/* SPDX-License-Identifier: MIT */
/* take_over.c - threads that do not give way: they spin, or block where nobody
 * sees it.  The others go on, and so everybody does: nothing here is timed, it
 * ends or it hangs. */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "thr.h"

/* read(2) by an instruction of one's own. */
static ssize_t
raw_read(int fd, void *buf, size_t n)
{
#ifdef __x86_64__
	ssize_t r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(SYS_read), "D"(fd), "S"(buf), "d"(n)
			 : "rcx", "r11", "memory");
	return r;
#else
	return read(fd, buf, n);
#endif
}

static atomic_int flag, turn, arrived;

static void *
spin_for_flag(void *arg)
{
	(void)arg;
	while (!flag)
		;
	return NULL;
}

TEST(a_spinner_lets_a_sleeper_go_on)
{
	pthread_t th = thr_start(spin_for_flag, NULL);
	int i;

	for (i = 0; i < 20; i++)
		thr_ms(1);
	flag = 1;
	thr_join(th);
}

TEST(a_spinner_lets_in_what_comes_by_a_pipe)
{
	pthread_t th = thr_start(spin_for_flag, NULL);
	int p[2], i;

	CHECK_INT(pipe(p), 0);
	for (i = 0; i < 100; i++) {
		thr_tell(p[1]);
		thr_hear(p[0]);
	}
	flag = 1;
	thr_join(th);
	close(p[0]);
	close(p[1]);
}

/* By their numbers, downwards: the last to be started is the first to go. */
static void *
spin_for_turn(void *arg)
{
	while (turn != thr_num(arg))
		;
	turn = thr_num(arg) - 1;
	return NULL;
}

TEST(spinners_wait_for_the_last_in_the_queue)
{
	enum { N = 24 };
	pthread_t th[N];
	int i;

	turn = -1;
	for (i = 0; i < N; i++)
		th[i] = thr_start(spin_for_turn, thr_ptr(i));
	turn = N - 1;
	for (i = 0; i < N; i++)
		thr_join(th[i]);
	CHECK_INT(turn, -1);
}

static void *
read_raw(void *arg)
{
	char c;

	arrived++;
	CHECK_INT(raw_read(thr_num(arg), &c, 1), 1);
	return NULL;
}

/* Nobody but another thread can end the call. */
TEST(one_that_blocks_unseen_lets_others_go_on)
{
	pthread_t th;
	int p[2], i;

	CHECK_INT(pipe(p), 0);
	for (i = 0; i < 20; i++) {
		th = thr_start(read_raw, thr_ptr(p[0]));
		thr_until(&arrived, i + 1);
		thr_tell(p[1]);
		thr_join(th);
	}
	close(p[0]);
	close(p[1]);
}

/* How many kernel threads the process has. */
static int
tasks(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = 0;

	CHECK(dir != NULL);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

TEST(kernel_threads_end_when_they_are_not_needed)
{
	enum { N = 20 };
	int enough = 6 + thr_workers();
	pthread_t th[N];
	int p[2], i;

	CHECK_INT(pipe(p), 0);
	for (i = 0; i < N; i++)
		th[i] = thr_start(read_raw, thr_ptr(p[0]));
	thr_until(&arrived, N);
	CHECK(tasks() >= N);
	for (i = 0; i < N; i++)
		thr_tell(p[1]);
	for (i = 0; i < N; i++)
		thr_join(th[i]);
	while (tasks() > enough)
		thr_ms(20);
	/* And there are new ones when they are. */
	for (i = 0; i < N; i++)
		th[i] = thr_start(read_raw, thr_ptr(p[0]));
	thr_until(&arrived, 2 * N);
	for (i = 0; i < N; i++)
		thr_tell(p[1]);
	for (i = 0; i < N; i++)
		thr_join(th[i]);
	close(p[0]);
	close(p[1]);
}

/*
 * Spin locks.
 */

static pthread_spinlock_t spin;
static long shared;

/* It sleeps and gives way with the lock. */
static void *
lock_and_sleep(void *arg)
{
	int i;

	for (i = 0; i < 20; i++) {
		OK(pthread_spin_lock(&spin));
		shared++;
		if (thr_num(arg) == 0)
			thr_ms(1);
		else
			sched_yield();
		shared++;
		OK(pthread_spin_unlock(&spin));
	}
	return NULL;
}

TEST(who_sleeps_with_a_spin_lock_is_waited_for)
{
	enum { N = 4 };
	pthread_t th[N];
	int i;

	OK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
	for (i = 0; i < N; i++)
		th[i] = thr_start(lock_and_sleep, thr_ptr(i));
	for (i = 0; i < N; i++)
		thr_join(th[i]);
	CHECK_INT(shared, N * 20 * 2);
	OK(pthread_spin_destroy(&spin));
}

static void *
lock_spin(void *arg)
{
	(void)arg;
	arrived++;
	OK(pthread_spin_lock(&spin));
	shared++;
	OK(pthread_spin_unlock(&spin));
	return NULL;
}

/* They give way: nobody takes over from them. */
TEST(many_wait_for_a_spin_lock)
{
	enum { N = 40 };
	const char *expect = getenv("T_EXPECT");
	pthread_t th[N];
	int i;

	OK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE));
	OK(pthread_spin_lock(&spin));
	CHECK_INT(pthread_spin_trylock(&spin), EBUSY);
	for (i = 0; i < N; i++)
		th[i] = thr_start(lock_spin, NULL);
	thr_until(&arrived, N);
	thr_ms(100);
	CHECK(expect == NULL || tasks() < N / 2);
	CHECK_INT(shared, 0);
	OK(pthread_spin_unlock(&spin));
	for (i = 0; i < N; i++)
		thr_join(th[i]);
	CHECK_INT(shared, N);
	OK(pthread_spin_destroy(&spin));
}

static sem_t posted;

static void *
wait_for_posts(void *arg)
{
	int i, n = thr_num(arg);

	for (i = 0; i < n; i++) {
		OK(sem_wait(&posted));
		arrived++;
	}
	return NULL;
}

/* Who never waits soon runs beside the workers, and wakes others from there;
 * each time these have nothing to do again, at all points on their way to it.
 */
TEST(who_never_waits_wakes_others_who_idle)
{
	enum { N = 200000 };
	pthread_t th;
	int i, j;

	OK(sem_init(&posted, 0, 0));
	th = thr_start(wait_for_posts, thr_ptr(N));
	for (i = 0; i < N; i++) {
		for (j = 0; j < i % 512; j++)
			atomic_signal_fence(memory_order_seq_cst);
		while (arrived < i)
			;
		OK(sem_post(&posted));
	}
	while (arrived < N)
		;
	thr_join(th);
	OK(sem_destroy(&posted));
}
