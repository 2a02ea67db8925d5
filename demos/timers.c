/* SPDX-License-Identifier: MIT */
/* timers.c - many threads that sleep, each until a time of its own; and by how
 * much they were late.
 *
 *     timers [THREADS [SECONDS]]     10000 and 2 if not said
 *
 * They wake at even distances over that many seconds.  The result is a line.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

static int n = 10000;
static double spread = 2;
static int64_t begin; /* of the first wake-up, CLOCK_MONOTONIC */
static int64_t *late; /* nanoseconds, of each */

/* In an order that is not that of their birth. */
static void *
nap(void *arg)
{
	int64_t i = (int64_t)(intptr_t)arg;
	int64_t when =
		begin + (int64_t)((double)(i * 7919 % n) * spread * 1e9 / n);
	struct timespec t = { when / 1000000000, when % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
	late[i] = now_ns() - when;
	return NULL;
}

static int
by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	int64_t start = now_ns(), born, early = 0;
	int threads, kib;
	pthread_t *t;

	if (argc > 1)
		n = atoi(argv[1]);
	if (argc > 2)
		spread = atof(argv[2]);
	t = calloc((size_t)n, sizeof *t);
	late = calloc((size_t)n, sizeof *late);
	if (n < 1 || !t || !late)
		return 2;
	/* 100 us for each to be born, at most: none is to be late for that. */
	begin = start + 500000000 + n * INT64_C(50000);
	for (intptr_t i = 0; i < n; i++) {
		int e = pthread_create(&t[i], NULL, nap, (void *)i);

		if (e) {
			fprintf(stderr, "thread %ld: %s\n", (long)i,
				strerror(e));
			exit(1);
		}
	}
	born = now_ns() - start;
	threads = status_of(getpid(), "Threads:");
	kib = status_of(getpid(), "VmRSS:");
	for (int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
	qsort(late, (size_t)n, sizeof *late, by_size);
	for (int i = 0; i < n; i++)
		early += late[i] < 0;
	printf("sleepers=%d born_s=%.3f threads=%d kib=%d early=%ld\n"
	       "half_us=%.0f most_us=%.0f worst_us=%.0f\n",
	       n, (double)born / 1e9, threads, kib, (long)early,
	       (double)late[n / 2] / 1e3, (double)late[n - 1 - n / 100] / 1e3,
	       (double)late[n - 1] / 1e3);
	return early != 0;
}
