/* SPDX-License-Identifier: MIT */
/* tasks.h - what waits is a coroutine, where there are any, and no kernel
 * thread. */
#ifndef TASKS_H
#define TASKS_H

#include <dirent.h>

#include "party.h"

enum { WAITERS = 20 };

static inline int
count_tasks(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;
	int n = 0;

	CHECK(dir != NULL);
	while ((d = readdir(dir)) != NULL)
		n += d->d_name[0] != '.';
	closedir(dir);
	return n;
}

static inline void
check_tasks(void)
{
	CHECK(getenv("T_EXPECT") == NULL || count_tasks() < WAITERS);
}

/* What they do, and how many of them have come to it: one who keeps a kernel
 * thread keeps the next from that until somebody takes over. */
static void *(*tasks_fn)(void *);
static _Atomic int tasks_begun;

static inline void *
tasks_begin(void *arg)
{
	tasks_begun++;
	return tasks_fn(arg);
}

static inline void
tasks_wait(int all)
{
	int n, last;

	while (tasks_begun < all)
		sched_yield();
	n = count_tasks();
	do {
		last = n;
		most_likely();
		n = count_tasks();
	} while (n > last);
	check_tasks();
}

/* Many wait in fn, until release lets them all go. */
static inline void
check_waiting(void *(*fn)(void *), void *arg, void (*release)(void *))
{
	pthread_t th[WAITERS];
	int i;

	tasks_fn = fn;
	tasks_begun = 0;
	for (i = 0; i < WAITERS; i++)
		th[i] = party(tasks_begin, arg);
	tasks_wait(WAITERS);
	release(arg);
	for (i = 0; i < WAITERS; i++)
		leaves(th[i]);
}

#endif
