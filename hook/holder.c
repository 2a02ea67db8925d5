/* SPDX-License-Identifier: MIT */
/* holder.c - who holds a lock, for the report of a deadlock. */
#include <string.h>

#include "hook/lock.h"

/* glibc's layout is part of its ABI: static initialisers hold it. */
static int
holder(const char *why, const void *object)
{
	pthread_mutex_t m;
	pthread_rwlock_t rw;

	if (strncmp(why, "pthread_mutex", 13) == 0) {
		memcpy(&m, object, sizeof(m));
		return m.__data.__owner;
	}
	if (strncmp(why, "pthread_rwlock", 14) == 0) {
		memcpy(&rw, object, sizeof(rw));
		return rw.__data.__cur_writer;
	}
	return 0;
}

void
co_holder_init(void)
{
	co_holder = holder;
}
