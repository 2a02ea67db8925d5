/* SPDX-License-Identifier: MIT */
/* idle.c - a process in which everybody waits does not wake. */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "party.h"

static int pipes[8][2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* Each kind of wait, until a byte comes or the mutex is free. */
static void *
waits(void *arg)
{
	int kind = (int)(intptr_t)arg, fd = pipes[kind][0], e;
	struct pollfd p = { fd, POLLIN, 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	fd_set set;
	char c;

	switch (kind) {
	case 0:
		break;
	case 1:
		CHECK_INT(poll(&p, 1, -1), 1);
		break;
	case 2:
		CHECK_INT(poll(&p, 1, 1000 * 1000), 1);
		break;
	case 3:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		CHECK_INT(select(fd + 1, &set, NULL, NULL, NULL), 1);
		break;
	case 4:
		e = epoll_create1(0);
		CHECK_INT(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), 0);
		CHECK_INT(epoll_wait(e, &ev, 1, -1), 1);
		shut(e);
		break;
	case 5:
		CHECK_INT(pthread_mutex_lock(&mutex), 0);
		CHECK_INT(pthread_mutex_unlock(&mutex), 0);
		break;
	default:
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		while (kind == 6 && poll(&p, 1, 0) == 0)
			sleep(1000);
		break;
	}
	CHECK_INT(read(fd, &c, 1), 1);
	return NULL;
}

/* How often the threads of a process have gone off a CPU. */
static long
switches(pid_t pid)
{
	char path[PATH_MAX], line[200];
	struct dirent *d;
	long all = 0, n;
	DIR *dir;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	dir = opendir(path);
	CHECK(dir != NULL);
	while ((d = readdir(dir)) != NULL) {
		snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid,
			 d->d_name);
		f = d->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (f == NULL)
			continue;
		while (fgets(line, sizeof line, f) != NULL)
			if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) ==
			    1)
				all += n;
		fclose(f);
	}
	closedir(dir);
	return all;
}

/* The watcher is another process, and needs but one quiet time to see. */
static _Noreturn void
watch(pid_t pid)
{
	long before, after;
	int i;

	for (i = 0; i < 60; i++) {
		before = switches(pid);
		usleep(300000);
		after = switches(pid);
		if (before == after)
			_exit(0);
	}
	fprintf(stderr, "%ld switches in the last 300 ms\n", after - before);
	_exit(1);
}

TEST(where_all_wait_nobody_wakes)
{
	enum { KINDS = 8 };
	pthread_t th[KINDS];
	int i, status;
	pid_t pid;

	CHECK_INT(pthread_mutex_lock(&mutex), 0);
	for (i = 0; i < KINDS; i++) {
		CHECK_INT(pipe(pipes[i]), 0);
		th[i] = party(waits, (void *)(intptr_t)i);
	}
	most_likely();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0)
		watch(getppid());
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_INT(pthread_mutex_unlock(&mutex), 0);
	for (i = 0; i < KINDS; i++)
		CHECK_INT(write(pipes[i][1], "x", 1), 1);
	CHECK_INT(pthread_cancel(th[6]), 0);
	for (i = 0; i < KINDS; i++) {
		pthread_join(th[i], NULL);
		shut_both(pipes[i]);
	}
}
