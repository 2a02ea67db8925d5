/* SPDX-License-Identifier: MIT */
/* old_versions.c - calls by the versions that programs of long ago were linked
 * with.  Most are today's by an older name; pthread_cond_*@GLIBC_2.2.5 had an
 * object of another shape, a pointer and nothing else. */
#define _GNU_SOURCE 1

#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/wait.h>
#include <threads.h>

#include "party.h"

#ifdef __x86_64__

#define OLD(ret, name, params, version) \
	ret old_##name params;          \
	__asm__(".symver old_" #name ", " #name "@GLIBC_" #version)

OLD(int, pthread_cond_init, (pthread_cond_t *, const pthread_condattr_t *),
    2.2.5);
OLD(int, pthread_cond_destroy, (pthread_cond_t *), 2.2.5);
OLD(int, pthread_cond_wait, (pthread_cond_t *, pthread_mutex_t *), 2.2.5);
OLD(int, pthread_cond_timedwait,
    (pthread_cond_t *, pthread_mutex_t *, const struct timespec *), 2.2.5);
OLD(int, pthread_cond_signal, (pthread_cond_t *), 2.2.5);
OLD(int, pthread_cond_broadcast, (pthread_cond_t *), 2.2.5);
OLD(int, pthread_create,
    (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *), 2.2.5);
OLD(int, pthread_join, (pthread_t, void **), 2.2.5);
OLD(int, pthread_kill, (pthread_t, int), 2.2.5);
OLD(int, pthread_once, (pthread_once_t *, void (*)(void)), 2.2.5);
OLD(int, pthread_sigmask, (int, const sigset_t *, sigset_t *), 2.2.5);
OLD(int, pthread_rwlock_rdlock, (pthread_rwlock_t *), 2.2.5);
OLD(int, pthread_rwlock_wrlock, (pthread_rwlock_t *), 2.2.5);
OLD(int, pthread_rwlock_unlock, (pthread_rwlock_t *), 2.2.5);
OLD(int, sem_init, (sem_t *, int, unsigned), 2.2.5);
OLD(int, sem_destroy, (sem_t *), 2.2.5);
OLD(int, sem_wait, (sem_t *), 2.2.5);
OLD(int, sem_trywait, (sem_t *), 2.2.5);
OLD(int, sem_timedwait, (sem_t *, const struct timespec *), 2.2.5);
OLD(int, sem_post, (sem_t *), 2.2.5);
OLD(int, clock_nanosleep,
    (clockid_t, int, const struct timespec *, struct timespec *), 2.2.5);
OLD(int, mtx_lock, (mtx_t *), 2.28);
OLD(int, mtx_unlock, (mtx_t *), 2.28);
OLD(int, cnd_timedwait, (cnd_t *, mtx_t *, const struct timespec *), 2.28);
OLD(mqd_t, mq_open, (const char *, int, mode_t, struct mq_attr *), 2.3.4);
OLD(ssize_t, mq_receive, (mqd_t, char *, size_t, unsigned *), 2.3.4);

static struct timespec
soon(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ms * T_MS;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

struct meeting {
	pthread_mutex_t m;
	pthread_cond_t c;
	int here, go;
};

static void *
waits_for_go(void *arg)
{
	struct meeting *w = arg;

	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	w->here++;
	while (!w->go)
		CHECK_INT(old_pthread_cond_wait(&w->c, &w->m), 0);
	w->go--;
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	return arg;
}

enum { FEW = 5 };

static void
let_them_meet(struct meeting *w)
{
	struct timespec ts;
	pthread_t th[FEW];
	void *got;
	int i, all;

	for (i = 0; i < FEW; i++)
		CHECK_INT(old_pthread_create(&th[i], NULL, waits_for_go, w), 0);
	do {
		usleep(1000);
		CHECK_INT(pthread_mutex_lock(&w->m), 0);
		all = w->here == FEW;
		CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	} while (!all);
	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	w->go = 1;
	CHECK_INT(old_pthread_cond_signal(&w->c), 0);
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	most_likely();
	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	w->go += FEW - 1;
	CHECK_INT(old_pthread_cond_broadcast(&w->c), 0);
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	for (i = 0; i < FEW; i++) {
		CHECK_INT(old_pthread_join(th[i], &got), 0);
		CHECK(got == w);
	}
	CHECK_INT(pthread_mutex_lock(&w->m), 0);
	ts = soon(20);
	CHECK_INT(old_pthread_cond_timedwait(&w->c, &w->m, &ts), ETIMEDOUT);
	CHECK_INT(pthread_mutex_unlock(&w->m), 0);
	CHECK_INT(old_pthread_cond_destroy(&w->c), 0);
}

TEST(a_condition_of_old_that_is_zeroes_is_waited_for)
{
	static struct meeting w = { .m = PTHREAD_MUTEX_INITIALIZER };

	let_them_meet(&w);
}

/* Where it lies is not zeroed; of old only a pointer of it was. */
TEST(a_condition_of_old_is_made_where_anything_lay)
{
	static struct meeting w = { .m = PTHREAD_MUTEX_INITIALIZER };
	int i;

	for (i = 0; i < 2; i++) {
		w.here = w.go = 0;
		memset(&w.c, i == 0 ? 0xff : 0x55, sizeof w.c);
		CHECK_INT(old_pthread_cond_init(&w.c, NULL), 0);
		let_them_meet(&w);
	}
}

/* Nobody waits, and nobody ever starts a thread: libc's own, all the way. */
TEST(a_condition_of_old_is_used_by_one_alone)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	struct timespec ts = soon(20);
	pthread_cond_t c;

	memset(&c, 0xff, sizeof c);
	CHECK_INT(old_pthread_cond_init(&c, NULL), 0);
	CHECK_INT(old_pthread_cond_signal(&c), 0);
	CHECK_INT(pthread_mutex_lock(&m), 0);
	CHECK_INT(old_pthread_cond_timedwait(&c, &m, &ts), ETIMEDOUT);
	CHECK_INT(pthread_mutex_unlock(&m), 0);
	CHECK_INT(old_pthread_cond_broadcast(&c), 0);
	CHECK_INT(old_pthread_cond_destroy(&c), 0);
}

static void *
posts_twice(void *arg)
{
	most_likely();
	CHECK_INT(old_sem_post(arg), 0);
	CHECK_INT(old_sem_post(arg), 0);
	return NULL;
}

TEST(a_semaphore_of_old_is_waited_for)
{
	struct timespec ts;
	pthread_t th;
	sem_t s;

	memset(&s, 0xff, sizeof s);
	CHECK_INT(old_sem_init(&s, 0, 0), 0);
	CHECK_ERR(old_sem_trywait(&s), EAGAIN);
	CHECK_INT(old_pthread_create(&th, NULL, posts_twice, &s), 0);
	CHECK_INT(old_sem_wait(&s), 0);
	ts = soon(100000);
	CHECK_INT(old_sem_timedwait(&s, &ts), 0);
	CHECK_INT(old_pthread_join(th, NULL), 0);
	ts = soon(20);
	CHECK_ERR(old_sem_timedwait(&s, &ts), ETIMEDOUT);
	start_ticking(0);
	CHECK_ERR(old_sem_wait(&s), EINTR);
	stop_ticking();
	CHECK_INT(old_sem_destroy(&s), 0);
}

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int written, times;

static void
once_only(void)
{
	most_likely();
	times++;
}

static void *
reads_what_was_written(void *arg)
{
	CHECK_INT(old_pthread_once(&once, once_only), 0);
	CHECK_INT(old_pthread_rwlock_rdlock(&lock), 0);
	CHECK_INT(written, 1);
	CHECK_INT(old_pthread_rwlock_unlock(&lock), 0);
	return arg;
}

TEST(locks_of_old_are_waited_for)
{
	struct timespec ts = { 0, 20 * T_MS };
	mtx_t m;
	cnd_t c;
	pthread_t th;

	CHECK_INT(old_pthread_rwlock_wrlock(&lock), 0);
	CHECK_INT(old_pthread_create(&th, NULL, reads_what_was_written, NULL),
		  0);
	CHECK_INT(old_pthread_once(&once, once_only), 0);
	CHECK_INT(old_clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL), 0);
	written = 1;
	CHECK_INT(old_pthread_rwlock_unlock(&lock), 0);
	CHECK_INT(old_pthread_join(th, NULL), 0);
	CHECK_INT(times, 1);
	CHECK_INT(mtx_init(&m, mtx_plain), thrd_success);
	CHECK_INT(cnd_init(&c), thrd_success);
	CHECK_INT(old_mtx_lock(&m), thrd_success);
	ts = soon(20);
	CHECK_INT(old_cnd_timedwait(&c, &m, &ts), thrd_timedout);
	CHECK_INT(old_mtx_unlock(&m), thrd_success);
	cnd_destroy(&c);
	mtx_destroy(&m);
}

TEST(signals_and_queues_of_old_are)
{
	struct sigaction sa = { .sa_handler = on_tick };
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[40], buf[8];
	sigset_t set;
	mqd_t q;

	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_INT(old_pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	CHECK_INT(old_pthread_kill(pthread_self(), SIGUSR1), 0);
	CHECK_INT(ticks, 0);
	CHECK_INT(old_pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	CHECK_INT(ticks, 1);
	snprintf(name, sizeof name, "/t-old-%d", (int)getpid());
	q = old_mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == (mqd_t)-1)
		SKIP("no POSIX queues");
	CHECK_INT(mq_unlink(name), 0);
	CHECK_INT(mq_send(q, "hello", 5, 0), 0);
	CHECK_INT(old_mq_receive(q, buf, sizeof buf, NULL), 5);
	CHECK_INT(mq_close(q), 0);
}

#else

TEST(there_are_no_old_versions)
{
	SKIP("this machine came later");
}

#endif
