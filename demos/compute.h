/* SPDX-License-Identifier: MIT */
/* compute.h - work for a CPU. */
#ifndef COMPUTE_H
#define COMPUTE_H

#include <time.h>

static inline double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Keeps a CPU for that long, apart from what others take of it meanwhile. */
static inline void
compute(double seconds)
{
	double until = cpu_seconds() + seconds;

	while (cpu_seconds() < until)
		;
}

#endif
