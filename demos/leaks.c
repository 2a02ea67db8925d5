/* SPDX-License-Identifier: MIT */
/* leaks.c - a leak finder: stands in front of malloc(3) and its like by
 * LD_PRELOAD, and says at the end what was not given back, and who took it.
 *
 *     LD_PRELOAD=libleaks.so ./program
 *
 * A library like many, written for threads: a lock around a table, and a
 * thread-local variable that keeps it from looking at itself.  It has never
 * heard of coroutines.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "leaks.h"

struct block *buckets[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
long taken;
__thread int inside;

static struct block **
bucket_of(void *at)
{
	size_t n = ((uintptr_t)at >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48;

	return &buckets[n % BUCKETS];
}

static void *
note(void *at, size_t size, void *caller)
{
	struct block **bucket = bucket_of(at), *b;

	if (at == NULL || inside)
		return at;
	inside = 1;
	b = __libc_malloc(sizeof *b);
	if (b != NULL) {
		pthread_mutex_lock(&lock);
		*b = (struct block){ at, caller, size, *bucket };
		*bucket = b;
		taken++;
		pthread_mutex_unlock(&lock);
	}
	inside = 0;
	return at;
}

static void
forget(void *at)
{
	struct block **p = bucket_of(at), *b;

	if (at == NULL || inside)
		return;
	inside = 1;
	pthread_mutex_lock(&lock);
	while ((b = *p) != NULL && b->at != at)
		p = &b->next;
	if (b != NULL)
		*p = b->next;
	pthread_mutex_unlock(&lock);
	__libc_free(b);
	inside = 0;
}

void *
malloc(size_t size)
{
	return note(__libc_malloc(size), size, __builtin_return_address(0));
}

void *
calloc(size_t n, size_t size)
{
	return note(__libc_calloc(n, size), n * size,
		    __builtin_return_address(0));
}

void *
realloc(void *old, size_t size)
{
	forget(old);
	return note(__libc_realloc(old, size), size,
		    __builtin_return_address(0));
}

void
free(void *at)
{
	forget(at);
	__libc_free(at);
}
