/* SPDX-License-Identifier: MIT */
/* measure.h - what the demos measure by: a clock, and /proc. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* CLOCK_MONOTONIC, nanoseconds. */
static inline int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* A number from /proc/PID/status, as "Threads:" or "VmHWM:" (KiB); 0 if it
 * cannot be read. */
static inline int
status_of(int pid, const char *key)
{
	char line[256];
	FILE *f;
	int n = 0;

	snprintf(line, sizeof line, "/proc/%d/status", pid);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0)
			n = atoi(line + strlen(key));
	if (f)
		fclose(f);
	return n;
}

#endif
