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
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 1 << 16, CALLERS = 256 };

struct block {
	void *at, *caller;
	size_t size;
	struct block *next;
};

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);

static struct block *buckets[BUCKETS];
static pthread_mutex_t locks[64]; /* all zero: as if initialised */
static _Atomic long taken;
static __thread int inside;

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

/* Only what the program itself has taken: libraries keep things on purpose. */
__attribute__((destructor)) static void
report(void)
{
	static struct {
		const char *name;
		long blocks, bytes;
	} sums[CALLERS];
	Dl_info program, of;
	int n = 0, i;

	inside = 1;
	if (!dladdr(dlsym(RTLD_DEFAULT, "main"), &program))
		return;
	for (size_t k = 0; k < BUCKETS; k++)
		for (struct block *b = buckets[k]; b != NULL; b = b->next) {
			if (!dladdr(b->caller, &of) ||
			    of.dli_fbase != program.dli_fbase)
				continue;
			for (i = 0; i < n && sums[i].name != of.dli_sname; i++)
				;
			if (i == CALLERS)
				continue;
			n += i == n;
			sums[i].name = of.dli_sname;
			sums[i].blocks++;
			sums[i].bytes += (long)b->size;
		}
	for (i = 0; i < n; i++)
		fprintf(stderr, "leak blocks=%ld bytes=%ld function=%s\n",
			sums[i].blocks, sums[i].bytes,
			sums[i].name ? sums[i].name : "?");
	fprintf(stderr, "leaks blocks_seen=%ld places=%d\n", taken, n);
}
