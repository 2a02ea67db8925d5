/* SPDX-License-Identifier: MIT */
/* start_lib.c - a library whose constructor calls what blocks, before those of
 * whatever is preloaded have run: the loader takes the last first. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "start_lib.h"

int start_lib_failed = -1;
int64_t start_lib_self;

int64_t cohook_self(void) __attribute__((weak));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int ran;

static void
run(void)
{
	ran++;
}

static void *
sends(void *arg)
{
	if (cohook_self != NULL)
		start_lib_self = cohook_self();
	usleep(1000);
	return send(*(int *)arg, "b", 1, 0) == 1 ? arg : NULL;
}

/* The line of what is not as it should be, or 0. */
static int
call_much(void)
{
	struct timespec ts = { 0, 1000 };
	struct timeval tv = { 0, 1 };
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	struct sigaction sa;
	struct pollfd p;
	pthread_t th;
	int s[2], fd;
	void *r;
	char c;
	sem_t sem;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) != 0)
		return __LINE__;
	if (write(s[1], "a", 1) != 1 || read(s[0], &c, 1) != 1 || c != 'a')
		return __LINE__;
	p = (struct pollfd){ .fd = s[0], .events = POLLIN };
	if (poll(&p, 1, 1) != 0 || select(0, NULL, NULL, NULL, &tv) != 0)
		return __LINE__;
	if (nanosleep(&ts, NULL) != 0 || usleep(1) != 0)
		return __LINE__;
	fd = fcntl(s[0], F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || fcntl(fd, F_GETFL) != O_RDWR || close(fd) != 0)
		return __LINE__;
	if (sigaction(SIGUSR1, NULL, &sa) != 0 || sa.sa_handler != SIG_DFL)
		return __LINE__;
	if (pthread_mutex_lock(&m) != 0 || pthread_mutex_unlock(&m) != 0 ||
	    pthread_once(&once, run) != 0 || ran != 1)
		return __LINE__;
	if (sem_init(&sem, 0, 1) != 0 || sem_wait(&sem) != 0)
		return __LINE__;
	if (waitpid(-1, NULL, WNOHANG) != -1)
		return __LINE__;
	if (pthread_create(&th, NULL, sends, &s[1]) != 0)
		return __LINE__;
	if (recv(s[0], &c, 1, 0) != 1 || c != 'b')
		return __LINE__;
	if (pthread_join(th, &r) != 0 || r == NULL)
		return __LINE__;
	if (close(s[0]) != 0 || close(s[1]) != 0)
		return __LINE__;
	return 0;
}

__attribute__((constructor)) static void
load(void)
{
	start_lib_failed = call_much();
}
