/* SPDX-License-Identifier: MIT */
/* thread_each.h - accepts, and starts a thread for each connection. */
#ifndef THREAD_EACH_H
#define THREAD_EACH_H

#include <pthread.h>

#include "listen.h"

/* Until it is time to stop; serve() gets the descriptor, and closes it. */
static inline void
thread_each(int listener, void *(*serve)(void *fd))
{
	pthread_t t;
	int fd;

	while ((fd = accept_one(listener)) >= 0)
		if (pthread_create(&t, NULL, serve, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(t);
}

#endif
