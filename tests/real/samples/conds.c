/* SPDX-License-Identifier: MIT */
/* conds.c - sixty threads wait for a condition, with a time, and are told; says
 * how many kernel threads there are meanwhile. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { THREADS = 60, LONG = 100 /* s */ };

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int waiting, go;

static void *
waits(void *arg)
{
	struct timespec ts;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += LONG;
	pthread_mutex_lock(&m);
	waiting++;
	while (!go && r == 0)
		r = pthread_cond_timedwait(&c, &m, &ts);
	if (r != 0)
		printf("pthread_cond_timedwait is %d\n", r);
	pthread_mutex_unlock(&m);
	return arg;
}

static int
kernel_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = -2;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

int
main(void)
{
	struct timespec nap = { 0, 50000000 };
	pthread_t th[THREADS];
	int i, n = 0;

	for (i = 0; i < THREADS; i++)
		pthread_create(&th[i], NULL, waits, NULL);
	/* Under the lock all that have counted themselves wait. */
	while (n < THREADS) {
		nanosleep(&nap, NULL);
		pthread_mutex_lock(&m);
		n = waiting;
		pthread_mutex_unlock(&m);
	}
	nanosleep(&nap, NULL);
	printf("%d\n", kernel_threads());
	pthread_mutex_lock(&m);
	go = 1;
	pthread_cond_broadcast(&c);
	pthread_mutex_unlock(&m);
	for (i = 0; i < THREADS; i++)
		pthread_join(th[i], NULL);
	return 0;
}
