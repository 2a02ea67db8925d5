/* SPDX-License-Identifier: MIT */
/* thousands.h - says how long each thousand connections took. */
#ifndef THOUSANDS_H
#define THOUSANDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "measure.h"

/* In any thread, as each connection begins.  The first starts the clock. */
static inline void
one_more_connection(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static atomic_long connections;
	static int64_t last;
	long n = atomic_fetch_add(&connections, 1) + 1;
	int64_t now;

	if (n % 1000 != 0 && n != 1)
		return;
	pthread_mutex_lock(&lock);
	now = now_ns();
	if (n != 1) {
		printf("connections %ld ms %.1f\n", n,
		       (double)(now - last) / 1e6);
		fflush(stdout);
	}
	last = now;
	pthread_mutex_unlock(&lock);
}

#endif
