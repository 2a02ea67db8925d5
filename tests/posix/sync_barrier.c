/* SPDX-License-Identifier: MIT */
/* sync_barrier.c - barriers let nobody on before the last has come. */
#define _GNU_SOURCE 1
#include "thr.h"

/* Returns 1 in the thread that is the serial one. */
static int
arrive(pthread_barrier_t *b)
{
	int e = pthread_barrier_wait(b);

	if (e == PTHREAD_BARRIER_SERIAL_THREAD)
		return 1;
	CHECK_INT(e, 0);
	return 0;
}

struct meet {
	pthread_barrier_t b;
	int n, rounds;
	atomic_int *came;       /* how many came to each round */
	atomic_int *serial;     /* how many were told to be the serial one */
};

static void *
meets(void *arg)
{
	struct meet *m = arg;
	int r;

	for (r = 0; r < m->rounds; r++) {
		m->came[r]++;
		m->serial[r] += arrive(&m->b);
		CHECK_INT(m->came[r], m->n);
		if (r > 0)
			CHECK_INT(m->serial[r - 1], 1);
	}
	return NULL;
}

static void
meet(int n, int rounds)
{
	struct meet m = { .n = n, .rounds = rounds };
	pthread_t *th = calloc((size_t)n, sizeof *th);
	int i;

	m.came = calloc((size_t)rounds, sizeof *m.came);
	m.serial = calloc((size_t)rounds, sizeof *m.serial);
	CHECK(th != NULL && m.came != NULL && m.serial != NULL);
	OK(pthread_barrier_init(&m.b, NULL, (unsigned)n));
	for (i = 1; i < n; i++)
		th[i] = thr_start(meets, &m);
	meets(&m);
	for (i = 1; i < n; i++)
		thr_join(th[i]);
	for (i = 0; i < rounds; i++)
		CHECK_INT(m.serial[i], 1);
	OK(pthread_barrier_destroy(&m.b));
	free(th);
	free(m.came);
	free(m.serial);
}

TEST(a_barrier_of_one_never_waits)
{
	meet(1, 1000);
}

TEST(two_threads_meet_in_each_of_two_thousand_rounds)
{
	meet(2, 2000);
}

TEST(a_hundred_threads_meet_with_one_serial_thread_a_round)
{
	meet(100, 50);
}

TEST(five_hundred_threads_meet)
{
	meet(500, 3);
}

TEST(a_count_of_zero_is_EINVAL)
{
	pthread_barrier_t b;

	CHECK_INT(pthread_barrier_init(&b, NULL, 0), EINVAL);
}

/* Each round has a barrier of its own in the same memory. */
struct fresh {
	pthread_barrier_t gate, *b;
	atomic_int serial;
};

static void *
destroys_if_serial(void *arg)
{
	struct fresh *f = arg;
	int i;

	for (i = 0; i < 100; i++) {
		if (arrive(f->b)) {
			f->serial++;
			OK(pthread_barrier_destroy(f->b));
			memset(f->b, 0xa5, sizeof *f->b);
			OK(pthread_barrier_init(f->b, NULL, 10));
		}
		arrive(&f->gate);
	}
	return NULL;
}

TEST(the_serial_thread_may_destroy_it_at_once_and_init_it_anew)
{
	struct fresh f = { .serial = 0 };
	pthread_barrier_t b;
	pthread_t th[10];
	int i;

	f.b = &b;
	OK(pthread_barrier_init(&b, NULL, 10));
	OK(pthread_barrier_init(&f.gate, NULL, 10));
	for (i = 0; i < 10; i++)
		th[i] = thr_start(destroys_if_serial, &f);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	CHECK_INT(f.serial, 100);
	OK(pthread_barrier_destroy(&b));
	OK(pthread_barrier_destroy(&f.gate));
}

static void *
arrives_in_a_crowd(void *arg)
{
	return thr_ptr(arrive(arg));
}

TEST(a_crowd_of_ten_groups_has_ten_serial_threads)
{
	pthread_barrier_t b;
	pthread_t th[100];
	int i, n = 0;

	OK(pthread_barrier_init(&b, NULL, 10));
	for (i = 0; i < 100; i++)
		th[i] = thr_start(arrives_in_a_crowd, &b);
	for (i = 0; i < 100; i++)
		n += thr_num(thr_join(th[i]));
	CHECK_INT(n, 10);
	OK(pthread_barrier_destroy(&b));
}

TEST(attributes_say_what_they_were_set_to)
{
	pthread_barrierattr_t a;
	int v;

	OK(pthread_barrierattr_init(&a));
	OK(pthread_barrierattr_getpshared(&a, &v));
	CHECK_INT(v, PTHREAD_PROCESS_PRIVATE);
	OK(pthread_barrierattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	OK(pthread_barrierattr_getpshared(&a, &v));
	CHECK_INT(v, PTHREAD_PROCESS_SHARED);
	CHECK_INT(pthread_barrierattr_setpshared(&a, 99), EINVAL);
	OK(pthread_barrierattr_destroy(&a));
}

TEST(a_barrier_leaves_errno_alone)
{
	pthread_barrier_t b;
	pthread_t th;

	errno = EDOM;
	OK(pthread_barrier_init(&b, NULL, 2));
	th = thr_start(arrives_in_a_crowd, &b);
	arrive(&b);
	thr_join(th);
	OK(pthread_barrier_destroy(&b));
	CHECK_INT(errno, EDOM);
}

struct page {
	pthread_barrier_t b;
	atomic_int came[200], serial[200];
};

static void *
meets_on_page(void *arg)
{
	struct page *p = arg;
	int r;

	for (r = 0; r < 200; r++) {
		p->came[r]++;
		p->serial[r] += arrive(&p->b);
		CHECK_INT(p->came[r], 4);
	}
	return NULL;
}

TEST(a_shared_barrier_holds_threads_of_two_processes)
{
	struct page *p = thr_shared();
	pthread_barrierattr_t a;
	pthread_t th;
	pid_t pid;
	int r;

	_Static_assert(sizeof *p <= 4096, "thr_shared() gives a page");
	OK(pthread_barrierattr_init(&a));
	OK(pthread_barrierattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	OK(pthread_barrier_init(&p->b, &a, 4));
	OK(pthread_barrierattr_destroy(&a));
	pid = fork();
	CHECK(pid != -1);
	th = thr_start(meets_on_page, p);
	meets_on_page(p);
	thr_join(th);
	if (pid == 0)
		_exit(0);
	CHECK_INT(thr_reap(pid), 0);
	for (r = 0; r < 200; r++)
		CHECK_INT(p->serial[r], 1);
	OK(pthread_barrier_destroy(&p->b));
	thr_unshare(p);
}
