/* SPDX-License-Identifier: MIT */
/* t.h - the frame of a behaviour program: cases by name, run one at a time.
 *
 *     prog --list      names its cases, a line each
 *     prog NAME        runs one: exit 0 it holds, 1 it does not, 77 cannot run
 *
 * Such a program is plain POSIX C.  tests/twice runs each case bare and under
 * cohook; what it is run as comes by two variables:
 *
 *     T_BODY=thread    the case runs in a thread that main() starts and joins,
 *                      else in main() itself
 *     T_EXPECT=co      the case must find itself in a coroutine, or it fails:
 *                      otherwise it would test nothing but the pass-through
 */
#ifndef T_H
#define T_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct t_case {
	const char *name;
	void (*body)(void);
	struct t_case *next;
};

static struct t_case *t_first, **t_last = &t_first;

#define TEST(id)                                                              \
	static void id(void);                                                 \
	__attribute__((constructor)) static void t_add_##id(void)            \
	{                                                                     \
		static struct t_case c = { #id, id, NULL };                   \
		*t_last = &c;                                                 \
		t_last = &c.next;                                             \
	}                                                                     \
	static void id(void)

/* A claim.  In any thread; the whole program ends where one does not hold. */
#define CHECK(claim)                                                          \
	((claim) ? (void)0 : t_fail(__FILE__, __LINE__, #claim, errno))

#define CHECK_INT(got, want)                                                  \
	t_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))

/* A call that must fail with this errno. */
#define CHECK_ERR(call, err)                                                  \
	do {                                                                  \
		errno = 0;                                                    \
		CHECK((call) == -1);                                          \
		CHECK_INT(errno, err);                                        \
	} while (0)

#define SKIP(why)                                                             \
	do {                                                                  \
		fprintf(stderr, "skip: %s\n", why);                           \
		_exit(77);                                                    \
	} while (0)

static inline void
t_fail(const char *file, int line, const char *claim, int err)
{
	/* To say so may be a cancellation point. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	fprintf(stderr, "%s:%d: does not hold: %s (errno %d, %s)\n", file,
		line, claim, err, strerror(err));
	_exit(1);
}

static inline void
t_int(const char *file, int line, const char *what, long long got,
      long long want)
{
	if (got == want)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", file, line, what, got,
		want);
	_exit(1);
}

/* CLOCK_MONOTONIC, nanoseconds. */
static inline int64_t
t_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

#define T_MS INT64_C(1000000)

/* Descriptors open below 1000: the program's own, whoever else has some. */
static inline int
t_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

#ifdef __cplusplus
extern "C"
#endif
int64_t cohook_self(void) __attribute__((weak));

static void *
t_run(void *arg)
{
	struct t_case *c = (struct t_case *)arg;
	const char *expect = getenv("T_EXPECT");
	int fds = t_fds();

	if (expect != NULL && strcmp(expect, "co") == 0 &&
	    (cohook_self == NULL || cohook_self() == 0)) {
		fprintf(stderr, "%s does not run in a coroutine\n", c->name);
		_exit(1);
	}
	c->body();
	if (t_fds() != fds) {
		fprintf(stderr, "%s: %d descriptors before, %d after\n",
			c->name, fds, t_fds());
		_exit(1);
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	const char *body = getenv("T_BODY");
	struct t_case *c;
	pthread_t th;

	if (argc != 2) {
		fprintf(stderr, "usage: %s --list | NAME\n", argv[0]);
		return 2;
	}
	if (strcmp(argv[1], "--list") == 0) {
		for (c = t_first; c != NULL; c = c->next)
			puts(c->name);
		return 0;
	}
	for (c = t_first; c != NULL; c = c->next)
		if (strcmp(c->name, argv[1]) == 0)
			break;
	if (c == NULL) {
		fprintf(stderr, "%s: no case %s\n", argv[0], argv[1]);
		return 2;
	}
	if (body == NULL || strcmp(body, "thread") != 0) {
		t_run(c);
		return 0;
	}
	errno = pthread_create(&th, NULL, t_run, c);
	CHECK(errno == 0);
	errno = pthread_join(th, NULL);
	CHECK(errno == 0);
	return 0;
}

#endif
