/* SPDX-License-Identifier: MIT */
/* visits.h - many visits to a server, one after the other or with a thread
 * each, and what they took.  The client demos have this in common; none of
 * them has heard of cohook.
 */
#ifndef VISITS_H
#define VISITS_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

#define VISITS_MAX 1000

/* Visit i: how many answers were right; -1, having said why on stderr. */
static int (*visits_fn)(int i);
static int visits_right[VISITS_MAX], visits_threads;

static inline void *
visits_one(void *arg)
{
	int i = (int)(intptr_t)arg;

	visits_right[i] = visits_fn(i);
	return NULL;
}

/* argv: serial|threads N.  Prints a line of KEY=VALUE; what main() returns. */
static inline int
visits(int argc, char **argv, int (*fn)(int i), int wanted)
{
	int n = argc == 3 ? atoi(argv[2]) : 0, i, right = 0;
	int serial = n > 0 && strcmp(argv[1], "serial") == 0;
	static pthread_t threads[VISITS_MAX];
	int64_t began, ended;

	if (n < 1 || n > VISITS_MAX ||
	    (!serial && strcmp(argv[1], "threads") != 0)) {
		fprintf(stderr, "usage: %s serial|threads N\n", argv[0]);
		return 2;
	}
	visits_fn = fn;
	began = now_ns();
	for (i = 0; i < n; i++) {
		if (serial)
			visits_one((void *)(intptr_t)i);
		else if (pthread_create(&threads[i], NULL, visits_one,
					(void *)(intptr_t)i) != 0)
			return 1;
	}
	visits_threads = status_of(getpid(), "Threads:");
	for (i = 0; i < n; i++) {
		if (!serial)
			pthread_join(threads[i], NULL);
		right += visits_right[i] > 0 ? visits_right[i] : 0;
	}
	ended = now_ns();
	printf("seconds=%.4f threads=%d peak_kib=%d right=%d\n",
	       (double)(ended - began) / 1e9, visits_threads,
	       status_of(getpid(), "VmHWM:"), right);
	return right != n * wanted;
}

#endif
