/* SPDX-License-Identifier: MIT */
/* thr.h - what behaviour programs full of threads share. */
#ifndef THR_H
#define THR_H

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "t.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* A call that returns 0, or an errno value, or -1: it must return 0. */
#define OK(call) t_int(__FILE__, __LINE__, #call, (long long)(call), 0)

static inline pthread_t
thr_start(void *(*fn)(void *), void *arg)
{
	pthread_t th;

	OK(pthread_create(&th, NULL, fn, arg));
	return th;
}

static inline void *
thr_join(pthread_t th)
{
	void *r;

	OK(pthread_join(th, &r));
	return r;
}

/* Small numbers as a thread's argument and result. */
static inline void *
thr_ptr(intptr_t n)
{
	return (void *)n;
}

static inline int
thr_num(void *p)
{
	return (int)(intptr_t)p;
}

/* What the clock will show in so many nanoseconds. */
static inline struct timespec
thr_after(clockid_t clock, int64_t ns)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	ns += ts.tv_nsec;
	ts.tv_sec += ns / 1000000000;
	ns %= 1000000000;
	if (ns < 0) {
		ns += 1000000000;
		ts.tv_sec--;
	}
	ts.tv_nsec = ns;
	return ts;
}

/* A deadline that only a hang reaches. */
#define THR_LONG (120 * INT64_C(1000000000))

/* Does the clock show this point in time, or later? */
static inline int
thr_reached(clockid_t clock, struct timespec when)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec != when.tv_sec ? now.tv_sec > when.tv_sec
					 : now.tv_nsec >= when.tv_nsec;
}

static inline void
thr_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) == -1)
		CHECK(errno == EINTR);
}

/* Wait until others have counted so far. */
static inline void
thr_until(atomic_int *n, int want)
{
	while (atomic_load(n) < want)
		thr_ms(1);
}

/* How many workers there may be under cohook. */
static inline int
thr_workers(void)
{
	const char *s = getenv("COHOOK_WORKERS");

	return s != NULL ? atoi(s) : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

/* A zeroed page that children of fork() share with us. */
static inline void *
thr_shared(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static inline void
thr_unshare(void *p)
{
	OK(munmap(p, 4096));
}

/* How a child ended: its exit status, or minus the signal that killed it. */
static inline int
thr_reap(pid_t pid)
{
	int status;
	pid_t r;

	do
		r = waitpid(pid, &status, 0);
	while (r == -1 && errno == EINTR);
	CHECK_INT(r, pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* One byte through a pipe or a socket: "go on", "I am here". */
static inline void
thr_tell(int fd)
{
	CHECK_INT(write(fd, "x", 1), 1);
}

static inline void
thr_hear(int fd)
{
	char c;
	ssize_t r;

	do
		r = read(fd, &c, 1);
	while (r == -1 && errno == EINTR);
	CHECK_INT(r, 1);
}

/* Random numbers of a seed that is printed; T_SEED gives one again. */
static inline uint64_t
thr_seed(void)
{
	const char *s = getenv("T_SEED");
	uint64_t seed = s != NULL ? strtoull(s, NULL, 0) : (uint64_t)t_now();

	fprintf(stderr, "T_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline uint32_t
thr_rand(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

#endif
