/* SPDX-License-Identifier: MIT */
/* key.c - thread-specific data: whose destructors a recycled thread must run
 * itself, and a key of ours that glibc destroys last. */
#include <limits.h>

#include "hook/wait.h"

enum { KEYS = PTHREAD_KEYS_MAX };

/* A key's destructor; set before the key is known to anybody. */
static void (*_Atomic destructor[KEYS])(void *);
static _Atomic unsigned char used[KEYS];
static _Atomic unsigned top;  /* no key in use is as high as this */

pthread_key_t co_last_key;

static void
note(pthread_key_t key, void (*fn)(void *))
{
	unsigned t = top;

	if (key >= KEYS)
		return;
	destructor[key] = fn;
	used[key] = 1;
	while (t <= key &&
	       !atomic_compare_exchange_weak(&top, &t, key + 1))
		;
}

COHOOK_EXPORT int
pthread_key_create(pthread_key_t *key, void (*fn)(void *))
{
	int r = real.pthread_key_create(key, fn);

	if (r == 0)
		note(*key, fn);
	return r;
}
COHOOK_ALIAS(__pthread_key_create, pthread_key_create);

COHOOK_EXPORT int
pthread_key_delete(pthread_key_t key)
{
	if (key < KEYS)
		used[key] = 0;
	return real.pthread_key_delete(key);
}

COHOOK_EXPORT int
tss_create(tss_t *key, tss_dtor_t fn)
{
	int r = real.tss_create(key, fn);

	if (r == thrd_success)
		note(*key, fn);
	return r;
}

COHOOK_EXPORT void
tss_delete(tss_t key)
{
	if (key < KEYS)
		used[key] = 0;
	real.tss_delete(key);
}

/* One round, of the keys from the first to the last but n.  False: there was
 * nothing to destroy. */
static bool
destroy(unsigned first, unsigned n)
{
	void (*fn)(void *);
	void *value;
	bool any = false;
	unsigned k;

	for (k = first; k < n; k++) {
		if (!used[k] || k == co_last_key)
			continue;
		value = pthread_getspecific(k);
		if (value == NULL)
			continue;
		fn = destructor[k];
		pthread_setspecific(k, NULL);
		if (fn != NULL) {
			any = true;
			fn(value);
		}
	}
	return any;
}

static void
forget(unsigned first, unsigned n)
{
	unsigned k;

	for (k = first; k < n; k++)
		if (used[k] && k != co_last_key &&
		    pthread_getspecific(k) != NULL)
			pthread_setspecific(k, NULL);
}

/* The thread leaves by our key's destructor, in glibc's last round, and glibc
 * may or may not go on after it: the keys after ours have had no turn in that
 * round, and are to have just one. */
void
co_keys_destroy_last(void)
{
	unsigned n = top;

	destroy(co_last_key + 1, n);
	forget(co_last_key + 1, n);
}

/* Rounds as POSIX has them, pthread_key_create(3p): while there are values,
 * four times at most; after that they are forgotten. */
void
co_keys_destroy(void)
{
	unsigned round, n = top;
	bool any = true;

	for (round = 0; any && round < PTHREAD_DESTRUCTOR_ITERATIONS; round++)
		any = destroy(0, n);
	if (any)
		forget(0, n);
}
