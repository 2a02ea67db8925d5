/* SPDX-License-Identifier: MIT */
/* leaks.h - what leaks.c has noted, and leaks_report.c sums up. */
#ifndef LEAKS_H
#define LEAKS_H

#include <stddef.h>

enum { BUCKETS = 1 << 16 };

struct block {
	void *at, *caller;
	size_t size;
	struct block *next;
};

extern struct block *buckets[BUCKETS];
extern _Atomic long taken;   /* blocks, ever */
extern __thread int inside;  /* not to be noted */

#endif
