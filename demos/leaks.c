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

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

struct block *buckets[BUCKETS];
static pthread_mutex_t locks[64]; /* all zero: as if initialised */
_Atomic long taken;
__thread int inside;

static struct block **
bucket_of(void *at, pthread_mutex_t **lock)
{
	size_t n = ((uintptr_t)at >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 48;

	*lock = &locks[n % 64];
	return &buckets[n % BUCKETS];
}

static void *
note(void *at, size_t size, void *caller)
{
	pthread_mutex_t *lock;
	struct block **bucket, *b;

	if (at == NULL || inside++)
		goto out;
	b = __libc_malloc(sizeof *b);
	if (b == NULL)
		goto out;
	*b = (struct block){ at, caller, size, NULL };
	bucket = bucket_of(at, &lock);
	pthread_mutex_lock(lock);
	b->next = *bucket;
	*bucket = b;
	pthread_mutex_unlock(lock);
	taken++;
out:
	inside -= at != NULL;
	return at;
}

static void
forget(void *at)
{
	pthread_mutex_t *lock;
	struct block **p = bucket_of(at, &lock), *b;

	if (at == NULL || inside)
		return;
	inside = 1;
	pthread_mutex_lock(lock);
	while ((b = *p) != NULL && b->at != at)
		p = &b->next;
	if (b != NULL)
		*p = b->next;
	pthread_mutex_unlock(lock);
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
