/* SPDX-License-Identifier: MIT */
/* leaks.h - what leaks.c stands in front of; and what it has noted, for
 * leaks_report.c to sum up. */
#ifndef LEAKS_H
#define LEAKS_H

#include <stddef.h>

/* glibc's own, by the names that nobody stands in front of. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

enum { BUCKETS = 1 << 16 };

struct block {
	void *at, *caller;
	size_t size;
	struct block *next;
};

extern struct block *buckets[BUCKETS];
extern long taken;          /* blocks, ever */
extern __thread int inside; /* not to be noted */

#endif
