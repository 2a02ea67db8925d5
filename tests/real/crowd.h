/* SPDX-License-Identifier: MIT */
/* crowd.h - a client library in many threads at once.
 *
 * A client program is one of posix/t.h's, with cases by name, that takes what
 * it must know of the server from its environment.  It is ordinary and
 * threaded; built a second time with CROWD_GO and -lcohook, its threads are
 * coroutines that cohook_go() starts.
 *
 * That waits overlap is not told from times: the one who looks on asks the
 * server how many wait, and only lets them go when all do.  Were they to wait
 * one after the other, the case would hang.
 */
#ifndef CROWD_H
#define CROWD_H

#include "../posix/t.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#ifdef CROWD_GO
#include "cohook.h"
#endif

#define CROWD_MAX 256

static struct crowd_one {
	void (*fn)(int i);
	int i;
	pthread_t th;
} crowd_all[CROWD_MAX];

static inline void *
crowd_run(void *arg)
{
	struct crowd_one *one = arg;

	one->fn(one->i);
	return NULL;
}

#ifdef CROWD_GO
static inline void
crowd_go(void *arg)
{
	crowd_run(arg);
}
#endif

/* n threads that run fn(0) to fn(n - 1), and the caller meanwhile(n), unless
 * that is NULL; back when all are done. */
static inline void
crowd(int n, void (*fn)(int i), void (*meanwhile)(int n))
{
	int i;

	CHECK(n <= CROWD_MAX);
	for (i = 0; i < n; i++) {
		crowd_all[i].fn = fn;
		crowd_all[i].i = i;
#ifdef CROWD_GO
		CHECK(cohook_go(crowd_go, &crowd_all[i], 0) > 0);
#else
		errno = pthread_create(&crowd_all[i].th, NULL, crowd_run,
				       &crowd_all[i]);
		CHECK(errno == 0);
#endif
	}
	if (meanwhile != NULL)
		meanwhile(n);
#ifdef CROWD_GO
	CHECK_INT(cohook_run(), 0);
#else
	for (i = 0; i < n; i++)
		CHECK_INT(pthread_join(crowd_all[i].th, NULL), 0);
#endif
}

/* While n of the crowd wait: the kernel has a thread for each, or as few as
 * $CROWD_MOST says. */
static inline void
crowd_count(int n)
{
	FILE *f = fopen("/proc/self/status", "re");
	const char *most = getenv("CROWD_MOST");
	char line[256];
	int threads = 0;

	CHECK(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		sscanf(line, "Threads: %d", &threads);
	fclose(f);
	if (most == NULL)
		CHECK(threads > n);
	else if (threads > atoi(most))
		t_int(__FILE__, __LINE__, "kernel threads", threads,
		      atoi(most));
	CHECK(threads > 0);
}

static inline void
crowd_rest(void)
{
	struct timespec ts = { 0, 5 * T_MS };

	nanosleep(&ts, NULL);
}

static inline const char *
from_env(const char *name)
{
	const char *value = getenv(name);

	if (value == NULL)
		SKIP(name);
	return value;
}

/* A listener on loopback whose backlog takes connections, and who never says
 * a word. */
static inline int
silent_server(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(s != -1);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK_INT(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	CHECK_INT(listen(s, 1000), 0);
	CHECK_INT(getsockname(s, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return s;
}

/* Likewise, but its backlog is full, by n connections: more must wait. */
static inline int
full_server(int *port, int *fd, int n)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int s = silent_server(port), i;

	CHECK_INT(listen(s, 0), 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)*port);
	for (i = 0; i < n; i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(fd[i] != -1);
		CHECK(connect(fd[i], (struct sockaddr *)&a, sizeof a) == 0 ||
		      errno == EINPROGRESS);
	}
	return s;
}

/* It took about so long, in seconds: not less, and no hang. */
static inline void
took(int64_t since, double seconds)
{
	double s = (double)(t_now() - since) / 1e9;

	if (s < seconds * 0.9 || s > seconds + 20) {
		fprintf(stderr, "took %.3f s, not %.3f\n", s, seconds);
		t_int(__FILE__, __LINE__, "ms", (long long)(s * 1000),
		      (long long)(seconds * 1000));
	}
}

#endif
