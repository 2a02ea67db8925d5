/* SPDX-License-Identifier: MIT */
/* stress.h - the frame of a stress program: seed, time, claims, watchdog.
 *
 *     prog [SEED [SECONDS]]       the seed is printed; 0 or none: a new one;
 *                                 SECONDS may be 0.2
 *
 * A stress program is plain POSIX C, ends by itself and with status 0, bare
 * and under cohook.  Which thread runs when is not in the seed's power, so the
 * same seed makes the same choices but not the same run.
 *
 * Where it hangs, it says after a while what each thread is at, and fails.
 */
#ifndef STRESS_H
#define STRESS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/* How long after the end of its time a program must have ended: far more than
 * any honest run takes on a busy machine, sanitizers included. */
#define GRACE_SECONDS 120

extern void cohook_dump(int fd) __attribute__((weak));
extern uint64_t cohook_faults_seed(void) __attribute__((weak));

/* What each thread is at: written by it alone, read by the watchdog. */
static struct at {
	const char *_Atomic what;       /* NULL: not there, or done */
	_Atomic long object;
	_Atomic int64_t since;
	_Atomic uint64_t steps;
} at[2048];

static __thread struct at *me;

static uint64_t seed;
static int64_t time_over;       /* CLOCK_MONOTONIC, nanoseconds */

static inline int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static inline int
is_over(void)
{
	return now_ns() >= time_over;
}

/* Threads take and leave a line in the watchdog's table. */
static inline void
be(int slot)
{
	me = &at[slot];
	me->since = now_ns();
	me->what = "begins";
}

static inline void
doing(const char *what, long object)
{
	me->object = object;
	me->since = now_ns();
	me->what = what;
	me->steps++;
}

static inline void
be_gone(void)
{
	me->what = NULL;
	me = NULL;
}

/* Async-signal-safe as far as snprintf() is, and the process is lost anyway. */
static inline void
say_what_hangs(void)
{
	char line[200];
	const char *what;
	int64_t now = now_ns();
	size_t i;
	int n;

	for (i = 0; i < LEN(at); i++) {
		what = at[i].what;
		if (what == NULL)
			continue;
		n = snprintf(line, sizeof line,
			     "thread %zu: %s, object %ld, for %lld ms, "
			     "step %llu\n", i, what, (long)at[i].object,
			     (long long)((now - at[i].since) / 1000000),
			     (unsigned long long)at[i].steps);
		if (write(2, line, (size_t)n) == -1)
			break;
	}
	if (cohook_dump != NULL)
		cohook_dump(2);
}

static inline void
watchdog(int sig)
{
	static const char msg[] = "it hangs:\n";

	(void)sig;
	if (write(2, msg, sizeof msg - 1) != -1)
		say_what_hangs();
	_exit(1);
}

#define CHECK(claim)                                                          \
	((claim) ? (void)0 : fails(__FILE__, __LINE__, #claim, errno))

/* A call that returns 0, or an errno value, or -1: it must return 0. */
#define OK(call) returns_0(__FILE__, __LINE__, #call, (call))

static inline void
fails(const char *file, int line, const char *claim, int err)
{
	fprintf(stderr, "%s:%d: does not hold: %s (errno %d, %s), seed %llu\n",
		file, line, claim, err, strerror(err),
		(unsigned long long)seed);
	if (me != NULL)
		fprintf(stderr, "thread %ld was at: %s, object %ld\n",
			(long)(me - at), me->what, (long)me->object);
	_exit(1);
}

static inline void
returns_0(const char *file, int line, const char *call, int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "%s:%d: %s is %d (errno %d), seed %llu\n", file, line,
		call, r, errno, (unsigned long long)seed);
	_exit(1);
}

static inline uint32_t
rnd(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

/* From 0 up to n - 1. */
static inline uint32_t
below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((uint64_t)rnd(state) * n) >> 32);
}

/* A stream of random numbers of its own for each who has a number. */
static inline uint64_t
stream(uint64_t n)
{
	uint64_t s = seed ^ (n * UINT64_C(0xd1342543de82ef95));

	rnd(&s);
	return s;
}

static inline uint32_t
checksum(const void *p, size_t n)
{
	const unsigned char *c = p;
	uint32_t h = 2166136261u;

	while (n-- > 0)
		h = (h ^ *c++) * 16777619u;
	return h;
}

static inline struct timespec
after(clockid_t clock, int64_t ns)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ns += ts.tv_nsec;
	ts.tv_sec += ns / 1000000000;
	ts.tv_nsec = ns % 1000000000;
	return ts;
}

static inline int
reached(clockid_t clock, struct timespec when)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec != when.tv_sec ? t.tv_sec > when.tv_sec
				       : t.tv_nsec >= when.tv_nsec;
}

/* An address of this run's own on the loopback: with a thousand runs in a row
 * those before have left all ports of 127.0.0.1 in TIME_WAIT. */
static inline uint32_t
own_loopback(void)
{
	uint64_t s = seed ^ (uint64_t)getpid();

	return UINT32_C(0x7f000000) | (1 + below(&s, 0xfffffd));
}

/* Now and then let others go first, or take a nap. */
static inline void
dawdle(uint64_t *r)
{
	struct timespec ts = { 0, (long)below(r, 300) * 1000 };

	switch (below(r, 16)) {
	case 0:
		nanosleep(&ts, NULL);
		break;
	case 1:
	case 2:
		sched_yield();
		break;
	default:
		break;
	}
}

/* Descriptors open below 1000. */
static inline int
open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static inline void
begin(int argc, char **argv, const char *what)
{
	double seconds = argc > 2 ? atof(argv[2]) : 5;

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 0;
	if (seed == 0)
		seed = ((uint64_t)now_ns() ^ (uint64_t)getpid() << 40) >> 8;
	if (argc > 3 || !(seconds > 0 && seconds < 1e6)) {
		fprintf(stderr, "usage: %s [SEED [SECONDS]]\n", argv[0]);
		exit(2);
	}
	printf("%s: seed %llu, %g seconds\n", what, (unsigned long long)seed,
	       seconds);
	if (cohook_faults_seed != NULL && cohook_faults_seed() != 0)
		printf("%s: seed of the faults %llu\n", what,
		       (unsigned long long)cohook_faults_seed());
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, watchdog);
	alarm((unsigned)seconds + GRACE_SECONDS);
	time_over = now_ns() + (int64_t)(seconds * 1e9);
}

#endif
