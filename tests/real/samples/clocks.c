/* SPDX-License-Identifier: MIT */
/* clocks.c - waits of 50 ms in a thread, by each clock and in each way: are they
 * over, by the clock that the program sees, when they should be? */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { WAIT = 50, LATE = 10000 }; /* ms */

static struct timespec began;

static struct timespec
now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts;
}

static struct timespec
soon(clockid_t clock)
{
	struct timespec ts = now(clock);

	ts.tv_nsec += WAIT * 1000000L;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void
over(const char *what)
{
	struct timespec ts = now(CLOCK_MONOTONIC);
	long ms = (ts.tv_sec - began.tv_sec) * 1000 +
		  (ts.tv_nsec - began.tv_nsec) / 1000000;

	printf("%s %s\n", what,
	       ms < WAIT - 1 ? "early" :
	       ms > LATE     ? "late" :
			       "in time");
	began = now(CLOCK_MONOTONIC);
}

static void *
waits(void *arg)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t real = PTHREAD_COND_INITIALIZER, mono;
	pthread_condattr_t attr;
	struct timespec ts = { 0, WAIT * 1000000L };
	sem_t sem;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&mono, &attr);
	sem_init(&sem, 0, 0);
	began = now(CLOCK_MONOTONIC);
	usleep(WAIT * 1000);
	over("usleep");
	nanosleep(&ts, NULL);
	over("nanosleep");
	ts = soon(CLOCK_MONOTONIC);
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	over("until, monotonic");
	ts = soon(CLOCK_REALTIME);
	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL);
	over("until, realtime");
	poll(NULL, 0, WAIT);
	over("poll");
	pthread_mutex_lock(&m);
	ts = soon(CLOCK_REALTIME);
	pthread_cond_timedwait(&real, &m, &ts);
	over("condition, realtime");
	ts = soon(CLOCK_MONOTONIC);
	pthread_cond_timedwait(&mono, &m, &ts);
	over("condition, monotonic");
	pthread_mutex_unlock(&m);
	ts = soon(CLOCK_REALTIME);
	sem_timedwait(&sem, &ts);
	over("semaphore");
	return arg;
}

int
main(void)
{
	pthread_t th;

	pthread_create(&th, NULL, waits, NULL);
	pthread_join(th, NULL);
	return 0;
}
