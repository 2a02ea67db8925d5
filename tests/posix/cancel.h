/* SPDX-License-Identifier: MIT */
/* cancel.h - what the programs about pthread_cancel share.
 *
 * Each call that waits is asked the same three things: is its wait ended; does
 * it go on while cancellation is off; and does it act on a request that came
 * before, though it would not have to wait.
 */
#ifndef CANCEL_H
#define CANCEL_H

#include <semaphore.h>

#include "party.h"
#include "signals.h"

/* What ran at the end of a thread, in order. */
static int order[8];
static atomic_int norder;

static inline void
notes(void *n)
{
	order[norder++] = thr_num(n);
}

static pthread_key_t key;

static inline void
has_key(void)
{
	OK(pthread_key_create(&key, notes));
}

/* One thread has ended so: its handlers last first, then its key's. */
static inline void
check_order(void)
{
	static const int want[] = { 2, 1, 3 };
	int i;

	CHECK_INT(norder, LEN(want));
	for (i = 0; i < norder; i++)
		CHECK_INT(order[i], want[i]);
	norder = 0;
	OK(pthread_key_delete(key));
}

static inline void
is_cancelled(pthread_t th)
{
	CHECK(thr_join(th) == PTHREAD_CANCELED);
}

/* A call that waits: what for is made by open, and comes with wake; then a
 * second call would not have to wait. */
struct call {
	void (*open)(void);
	void (*wait)(void);
	void (*wake)(void);
	void (*shut)(void);
};

static atomic_int here, asked;

static inline void
nothing(void)
{
}

/* How long a sleep is to be; a call with no wake ends by that. */
static int64_t nap;

static inline void *
waits(void *arg)
{
	struct call *c = arg;

	OK(pthread_setspecific(key, thr_ptr(3)));
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(notes, thr_ptr(2));
	here++;
	c->wait();
	CHECK(!"it has been cancelled");
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static inline void
ends_by_cancellation(struct call *c)
{
	pthread_t th;

	has_key();
	nap = THR_LONG;
	c->open();
	th = thr_start(waits, c);
	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	is_cancelled(th);
	check_order();
	/* It has taken nothing, and nothing of it is left behind. */
	nap = 0;
	c->wake();
	c->wait();
	c->shut();
}

static inline void *
waits_while_off(void *arg)
{
	struct call *c = arg;
	int old;

	OK(pthread_setspecific(key, thr_ptr(3)));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(notes, thr_ptr(2));
	here++;
	c->wait();
	here++;
	thr_until(&asked, 1); /* a nap may be over before */
	pthread_testcancel();
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old));
	CHECK_INT(old, PTHREAD_CANCEL_DISABLE);
	pthread_testcancel();
	CHECK(!"it has been cancelled");
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static inline void
goes_on_while_off(struct call *c)
{
	int64_t began = t_now();
	pthread_t th;
	int seen;

	has_key();
	nap = 60 * T_MS;
	c->open();
	th = thr_start(waits_while_off, c);
	thr_until(&here, 1);
	most_likely();
	OK(pthread_cancel(th));
	asked++;
	most_likely();
	/* A nap may be over by now. */
	seen = norder;
	if (here == 1)
		CHECK_INT(seen, 0);
	if (c->wake != nothing) {
		CHECK_INT(here, 1);
		c->wake();
	}
	thr_until(&here, 2);
	if (c->wake == nothing)
		CHECK(t_now() - began >= nap);
	is_cancelled(th);
	check_order();
	c->shut();
}

static inline void *
waits_when_asked(void *arg)
{
	struct call *c = arg;

	OK(pthread_setspecific(key, thr_ptr(3)));
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(notes, thr_ptr(2));
	here++;
	thr_until(&asked, 1);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	c->wait();
	CHECK(!"it has been cancelled");
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

static inline void
sees_an_earlier_request(struct call *c)
{
	pthread_t th;

	has_key();
	nap = 0;
	c->open();
	c->wake();
	th = thr_start(waits_when_asked, c);
	thr_until(&here, 1);
	OK(pthread_cancel(th));
	asked = 1;
	is_cancelled(th);
	check_order();
	/* What it did not take is still there. */
	c->wait();
	c->shut();
}

#define CALL(name, ...) static struct call name##_call = { __VA_ARGS__ }
#define ENDS(name)                                                            \
	TEST(name##_ends_by_cancellation)                                     \
	{                                                                     \
		ends_by_cancellation(&name##_call);                           \
	}
#define GOES_ON(name)                                                         \
	TEST(name##_goes_on_while_cancellation_is_off)                        \
	{                                                                     \
		goes_on_while_off(&name##_call);                              \
	}
#define SEES(name)                                                            \
	TEST(name##_acts_on_an_earlier_request)                               \
	{                                                                     \
		sees_an_earlier_request(&name##_call);                        \
	}
#define ALL(name) ENDS(name) GOES_ON(name) SEES(name)

/*
 * What waits, and what for
 */

static inline struct timespec
nap_spec(void)
{
	return (struct timespec){ nap / 1000000000, nap % 1000000000 };
}

static inline void
waits_in_nanosleep(void)
{
	struct timespec ts = nap_spec();

	OK(nanosleep(&ts, NULL));
}

static inline void
waits_in_sleep(void)
{
	OK(sleep((unsigned)((nap + 999999999) / 1000000000)));
}

static int p[2];

static inline void
open_pipe(void)
{
	OK(pipe(p));
}

static inline void
shut_pair(void)
{
	shut_both(p);
}

static inline void
comes(void)
{
	thr_tell(p[1]);
}

static inline void
waits_in_read(void)
{
	char c;

	CHECK_INT(read(p[0], &c, 1), 1);
	CHECK_INT(c, 'x');
}

/* It waits in libc, in a read that nobody else sees. */
static inline void
waits_in_fgets(void)
{
	char line[8];

	CHECK(fgets(line, 2, stdin) != NULL);
	CHECK_INT(line[0], 'x');
}

static inline void
open_stdin(void)
{
	open_pipe();
	CHECK_INT(dup2(p[0], 0), 0);
	OK(setvbuf(stdin, NULL, _IONBF, 0));
}

static inline void
waits_in_poll(void)
{
	struct pollfd f = { .fd = p[0], .events = POLLIN };

	CHECK_INT(poll(&f, 1, -1), 1);
}

/* SIGUSR1 is blocked in all threads before there are any, and sent to the
 * process: only who waits for it takes it. */
__attribute__((constructor)) static inline void
block_usr1(void)
{
	hold_back(SIGUSR1);
}

static inline void
waits_in_sigwait(void)
{
	sigset_t set = set_of(SIGUSR1);
	int sig;

	OK(sigwait(&set, &sig));
	CHECK_INT(sig, SIGUSR1);
}

static sem_t sem;

static inline void
open_sem(void)
{
	OK(sem_init(&sem, 0, 0));
}

static inline void
posts(void)
{
	OK(sem_post(&sem));
}

static inline void
shut_sem(void)
{
	OK(sem_destroy(&sem));
}

static inline void
waits_in_sem_wait(void)
{
	OK(sem_wait(&sem));
}

/* The mutex checks: only its owner may unlock it. */
static pthread_mutex_t mutex;
static pthread_cond_t cond;
static int told;

static inline void
open_cond(void)
{
	pthread_mutexattr_t a;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK));
	OK(pthread_mutex_init(&mutex, &a));
	OK(pthread_mutexattr_destroy(&a));
	OK(pthread_cond_init(&cond, NULL));
}

static inline void
tells(void)
{
	OK(pthread_mutex_lock(&mutex));
	told = 1;
	OK(pthread_cond_signal(&cond));
	OK(pthread_mutex_unlock(&mutex));
}

static inline void
shut_cond(void)
{
	OK(pthread_mutex_destroy(&mutex));
	OK(pthread_cond_destroy(&cond));
}

static inline void
unlocks(void *m)
{
	OK(pthread_mutex_unlock(m));
}

static inline void
waits_in_cond_wait(void)
{
	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	while (!told)
		OK(pthread_cond_wait(&cond, &mutex));
	pthread_cleanup_pop(1);
}

#endif
