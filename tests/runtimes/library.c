/* SPDX-License-Identifier: MIT */
/* library.c - starts a thread of its own, as a runtime does. */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

extern int64_t cohook_self(void) __attribute__((weak));

static void *
own_thread(void *arg)
{
	*(int64_t *)arg = cohook_self != NULL ? cohook_self() : 0;
	return NULL;
}

/* Is it a coroutine? */
int library_thread(void);
int
library_thread(void)
{
	pthread_t th;
	int64_t id = -1;

	if (pthread_create(&th, NULL, own_thread, &id) != 0)
		return -1;
	pthread_join(th, NULL);
	return id != 0;
}
