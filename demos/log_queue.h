/* SPDX-License-Identifier: MIT */
/* log_queue.h - a log that nobody waits for: threads queue their lines, and one
 * of its own writes them and has them on the disk before it waits for more. */
#ifndef LOG_QUEUE_H
#define LOG_QUEUE_H

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "listen.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static char *lines; /* queued; guarded by lock, as the next two */
static size_t used, room;
static int ended, log_fd;

static void *
write_log(void *arg)
{
	pthread_mutex_lock(&lock);
	while (!ended || used > 0) {
		char *mine = lines;
		size_t n = used;

		if (n == 0) {
			pthread_cond_wait(&more, &lock);
			continue;
		}
		lines = NULL;
		used = room = 0;
		pthread_mutex_unlock(&lock);
		if (write(log_fd, mine, n) != (ssize_t)n ||
		    fdatasync(log_fd) != 0)
			fail("log");
		free(mine);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

static void
log_line(const char *name, int status, long bytes)
{
	char line[300];
	int n = snprintf(line, sizeof line, "GET /%s %d %ld\n", name, status,
			 bytes);

	pthread_mutex_lock(&lock);
	if (used + (size_t)n > room) {
		room = 2 * room + sizeof line;
		lines = realloc(lines, room);
		if (lines == NULL)
			fail("log");
	}
	memcpy(lines + used, line, (size_t)n);
	used += (size_t)n;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static pthread_t logger;

static void
log_begin(const char *path)
{
	log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log_fd < 0 || pthread_create(&logger, NULL, write_log, NULL))
		fail("log");
}

/* All that was queued is on the disk. */
static void
log_end(void)
{
	pthread_mutex_lock(&lock);
	ended = 1;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
	pthread_join(logger, NULL);
}

#endif
