/* SPDX-License-Identifier: MIT */
/* cpus.c - a program at work while CPUs are taken from it and given back.
 *
 *     cpus MILLISECONDS [NARROWER]
 *
 * Pairs pass a byte to and fro, a few hand on a turn, two compute 30 ms at a time,
 * and one naps a millisecond at a time: worst_ms= is the longest that a nap took
 * beyond that.  With NARROWER a child confines all kernel threads of the
 * program to one CPU, to the other, or just the first thread, and lets them go,
 * as taskset(1) would: each is done every NARROWER milliseconds.
 */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 8, TAKERS = 4, BUSY = 2, MSEC = 1000000 };

static int64_t until, worst;
static _Atomic int over;
static _Atomic long round_trips, turns, naps;
static _Atomic unsigned long sums;

static void
check(int holds, const char *claim)
{
	if (holds)
		return;
	fprintf(stderr, "not so: %s\n", claim);
	_exit(1);
}

static int64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 * MSEC + t.tv_nsec;
}

static void
nap(int64_t ns)
{
	struct timespec t = { ns / (1000 * MSEC), ns % (1000 * MSEC) };

	nanosleep(&t, NULL);
}

/* --- its threads --- */

static int there[PAIRS][2], back[PAIRS][2];

static void *
ping(void *arg)
{
	long i = (long)arg;
	unsigned char c = 0, got;

	while (!over) {
		c++;
		check(write(there[i][1], &c, 1) == 1, "a byte goes there");
		check(read(back[i][0], &got, 1) == 1, "a byte comes back");
		check(got == (unsigned char)(c + 1), "it is the next");
		round_trips++;
	}
	close(there[i][1]);
	return NULL;
}

static void *
pong(void *arg)
{
	long i = (long)arg;
	unsigned char c;

	while (read(there[i][0], &c, 1) == 1) {
		c++;
		check(write(back[i][1], &c, 1) == 1, "a byte goes back");
	}
	return NULL;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long turn;

static void *
take_turns(void *arg)
{
	long me = (long)arg;

	pthread_mutex_lock(&lock);
	while (!over) {
		while (turn % TAKERS != me && !over)
			pthread_cond_wait(&changed, &lock);
		turn++;
		turns++;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *
compute(void *arg)
{
	unsigned long sum = (unsigned long)arg;
	int64_t end;

	while (!over) {
		for (end = now() + 30 * MSEC; now() < end && !over;)
			sum = sum * 31 + 7;
		nap(MSEC);
	}
	sums += sum;
	return NULL;
}

static void *
sleep_often(void *arg)
{
	int64_t began, late;

	(void)arg;
	while (!over) {
		began = now();
		nap(MSEC);
		late = now() - began - MSEC;
		check(late >= 0, "a nap is not too short");
		if (late > worst)
			worst = late;
		naps++;
		if (began > until) {
			pthread_mutex_lock(&lock);
			over = 1;
			pthread_cond_broadcast(&changed);
			pthread_mutex_unlock(&lock);
		}
	}
	return NULL;
}

/* --- who takes the CPUs away --- */

static void
confine(pid_t pid, const cpu_set_t *set, int all)
{
	char path[64];
	struct dirent *e;
	DIR *d;

	if (!all) {
		sched_setaffinity(pid, sizeof(*set), set);
		return;
	}
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			sched_setaffinity(atoi(e->d_name), sizeof(*set), set);
	if (d != NULL)
		closedir(d);
}

static void
narrow(pid_t pid, int ms)
{
	cpu_set_t all, one[2];
	int cpu, n = 0, i;

	sched_getaffinity(0, sizeof(all), &all);
	for (cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
		if (CPU_ISSET(cpu, &all)) {
			CPU_ZERO(&one[n]);
			CPU_SET(cpu, &one[n++]);
		}
	for (i = 0; getppid() == pid; i++) {
		nap((int64_t)ms * MSEC);
		switch (i % 6) {
		case 0:
			confine(pid, &one[0], 1);
			break;
		case 2:
			confine(pid, &one[n - 1], 1);
			break;
		case 4:
			confine(pid, &one[0], 0);
			break;
		default:
			confine(pid, &all, 1);
		}
	}
}

int
main(int argc, char **argv)
{
	pthread_t th[2 * PAIRS + TAKERS + BUSY + 1];
	pid_t pid = getpid(), child = 0;
	int64_t began;
	int n = 0;
	long i;

	if (argc < 2)
		return 2;
	if (argc > 2) {
		child = fork();
		if (child == 0) {
			narrow(pid, atoi(argv[2]));
			_exit(0);
		}
	}
	began = now();
	until = began + (int64_t)atoi(argv[1]) * MSEC;
	for (i = 0; i < PAIRS; i++) {
		check(pipe(there[i]) == 0 && pipe(back[i]) == 0, "pipes");
		pthread_create(&th[n++], NULL, ping, (void *)i);
		pthread_create(&th[n++], NULL, pong, (void *)i);
	}
	for (i = 0; i < TAKERS; i++)
		pthread_create(&th[n++], NULL, take_turns, (void *)i);
	for (i = 0; i < BUSY; i++)
		pthread_create(&th[n++], NULL, compute, (void *)i);
	pthread_create(&th[n++], NULL, sleep_often, NULL);
	while (n > 0)
		check(pthread_join(th[--n], NULL) == 0, "all end");
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	check(round_trips > 0 && turns > 0 && naps > 0, "all get on");
	printf("worst_ms=%.1f round_trips=%ld turns=%ld naps=%ld\n",
	       (double)worst / MSEC, round_trips, turns, naps);
	return 0;
}
