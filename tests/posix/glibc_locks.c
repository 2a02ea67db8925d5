/* SPDX-License-Identifier: MIT */
/* glibc_locks.c - the locks that libc takes by itself: of streams, of the
 * allocator, of the dynamic linker, of the environment.  A thread that waits
 * with one held keeps out who wants it, and nobody else. */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <time.h>

#include "thr.h"

enum { CROWD = 20 };

static atomic_int stop, ticks;

/* Somebody who has nothing to do with it goes on meanwhile. */
static void *
ticks_on(void *arg)
{
	while (!stop) {
		ticks++;
		thr_ms(1);
	}
	return arg;
}

static void
crowd(void *(*fn)(void *), void *arg)
{
	pthread_t th[CROWD], other = thr_start(ticks_on, NULL);
	int i;

	for (i = 0; i < CROWD; i++)
		th[i] = thr_start(fn, arg);
	for (i = 0; i < CROWD; i++)
		thr_join(th[i]);
	stop = 1;
	thr_join(other);
	CHECK(ticks > 0);
}

/* --- streams --- */

static void *
writes_lines(void *arg)
{
	FILE *f = arg;
	int i;

	for (i = 0; i < 3; i++) {
		flockfile(f);
		flockfile(f); /* it counts */
		CHECK(fputs("one ", f) >= 0);
		thr_ms(1);
		CHECK(fputs("two\n", f) >= 0);
		funlockfile(f);
		funlockfile(f);
	}
	return arg;
}

TEST(who_waits_with_a_stream_locked_keeps_others_out_of_it)
{
	char line[32];
	FILE *f = tmpfile();
	int n = 0;

	CHECK(f != NULL);
	crowd(writes_lines, f);
	rewind(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		CHECK(strcmp(line, "one two\n") == 0);
		n++;
	}
	CHECK_INT(n, CROWD * 3);
	OK(fclose(f));
}

/* One reads from a pipe that is empty, with its stream's lock; fflush(NULL) and
 * others want the lock as well, and exit(3) too. */
static void *
reads_a_line(void *arg)
{
	char line[8];

	CHECK(fgets(line, sizeof(line), arg) != NULL);
	CHECK(strcmp(line, "ho\n") == 0);
	return arg;
}

TEST(a_stream_that_waits_holds_up_who_reads_it_and_no_others)
{
	pthread_t th[4], other;
	FILE *r, *out = tmpfile();
	int fd[2], i, was;

	OK(pipe(fd));
	r = fdopen(fd[0], "r");
	CHECK(r != NULL && out != NULL);
	other = thr_start(ticks_on, NULL);
	for (i = 0; i < 4; i++)
		th[i] = thr_start(reads_a_line, r);
	thr_ms(5);
	was = ticks;
	CHECK(fputs("something", out) >= 0);
	OK(fflush(out));
	thr_until(&ticks, was + 3);
	CHECK_INT(write(fd[1], "ho\nho\nho\nho\n", 12), 12);
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
	stop = 1;
	thr_join(other);
	OK(fclose(r));
	OK(fclose(out));
	OK(close(fd[1]));
}

static FILE *own_lock;

static void *
may_try(void *arg)
{
	/* Not, while another has it: in the thread that has it, always. */
	CHECK(ftrylockfile(own_lock) != 0);
	return arg;
}

TEST(a_streams_lock_is_a_threads_own)
{
	own_lock = tmpfile();
	CHECK(own_lock != NULL);
	flockfile(own_lock);
	thr_join(thr_start(may_try, NULL));
	CHECK_INT(ftrylockfile(own_lock), 0);
	funlockfile(own_lock);
	funlockfile(own_lock);
	OK(fclose(own_lock));
}

/* --- the allocator --- */

static void *
allocates(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)&seed;
	char *p[64] = { NULL };
	size_t n[64] = { 0 };
	int i, k;

	for (i = 0; i < 2000; i++) {
		k = (int)(thr_rand(&seed) % 64);
		if (p[k] != NULL)
			CHECK_INT(p[k][n[k] - 1], k);
		free(p[k]);
		n[k] = 1 + thr_rand(&seed) % (i % 50 == 0 ? 300000 : 3000);
		p[k] = malloc(n[k]);
		CHECK(p[k] != NULL);
		p[k][0] = p[k][n[k] - 1] = (char)k;
		if (i % 64 == 0)
			sched_yield();
		if (i % 500 == 0)
			malloc_trim(0);
		if (i % 700 == 0)
			thr_ms(1);
	}
	for (k = 0; k < 64; k++)
		free(p[k]);
	return arg;
}

TEST(many_threads_allocate_and_wait_in_between)
{
	crowd(allocates, NULL);
}

/* Memory goes from one thread to another, which frees it. */
static struct {
	pthread_mutex_t m;
	pthread_cond_t c;
	void *box[16];
	int n, done;
} post = { .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER };

static void *
sends_and_frees(void *arg)
{
	void *mine;
	int i;

	for (i = 0; i < 300; i++) {
		mine = malloc(100 + (size_t)i);
		OK(pthread_mutex_lock(&post.m));
		if (post.n < 16) {
			post.box[post.n++] = mine;
			mine = NULL;
		} else {
			free(post.box[--post.n]);
		}
		OK(pthread_mutex_unlock(&post.m));
		free(mine);
		if (i % 10 == 0)
			sched_yield();
	}
	return arg;
}

TEST(memory_is_freed_by_others_than_allocated_it)
{
	crowd(sends_and_frees, NULL);
	while (post.n > 0)
		free(post.box[--post.n]);
}

/* --- the dynamic linker --- */

static int
waits_at_each(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info;
	(void)size;
	++*(int *)arg;
	thr_ms(1); /* with the linker's lock held */
	return 0;
}

static int
counts_them(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)info;
	(void)size;
	++*(int *)arg;
	return 0;
}

static void *
walks(void *arg)
{
	int n = 0;

	CHECK_INT(dl_iterate_phdr(waits_at_each, &n), 0);
	CHECK(n > 0);
	return arg;
}

static void *
nothing(void *arg)
{
	return arg;
}

static void *
loads(void *arg)
{
	int i, n = 0;
	void *h;

	for (i = 0; i < 3; i++) {
		h = dlopen("libm.so.6", RTLD_NOW);
		CHECK(h != NULL);
		CHECK(dlsym(h, "cos") != NULL);
		CHECK(dlsym(h, "no_such_thing") == NULL);
		CHECK(dlerror() != NULL);
		dl_iterate_phdr(counts_them, &n);
		OK(dlclose(h));
		thr_join(thr_start(nothing, NULL));
	}
	return arg;
}

TEST(threads_walk_and_load_libraries_and_wait_meanwhile)
{
	pthread_t th[5];
	int i;

	for (i = 0; i < 5; i++)
		th[i] = thr_start(walks, NULL);
	crowd(loads, NULL);
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
}

/* --- the environment, time zones, random numbers --- */

static void *
asks_libc(void *arg)
{
	char name[32], buf[64];
	struct tm tm;
	time_t t = 86400;
	int i;

	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "T_%lx_%d",
			 (unsigned long)pthread_self(), i % 5);
		OK(setenv(name, "x", 1));
		CHECK(localtime_r(&t, &tm) != NULL);
		CHECK(strftime(buf, sizeof(buf), "%F", &tm) > 0);
		(void)random();
		OK(unsetenv(name));
		if (i % 10 == 0)
			thr_ms(1);
	}
	return arg;
}

TEST(many_threads_ask_libc_for_this_and_that)
{
	crowd(asks_libc, NULL);
}

/* exit(3) locks what it flushes, and its handlers may wait. */
static void
waits_at_exit(void)
{
	thr_ms(5);
	fputs("bye", stderr);
}

static void *
prints(void *arg)
{
	for (;;) {
		fprintf(arg, "line\n");
		sched_yield();
	}
	return NULL;
}

TEST(a_process_ends_while_its_threads_print_and_allocate)
{
	pid_t pid = fork();
	FILE *f;
	int i;

	CHECK(pid != -1);
	if (pid == 0) {
		close(2);
		f = fopen("/dev/null", "w");
		CHECK(f != NULL);
		for (i = 0; i < 10; i++) {
			thr_start(prints, f);
			thr_start(allocates, NULL);
		}
		atexit(waits_at_exit);
		thr_ms(5);
		exit(6);
	}
	CHECK_INT(thr_reap(pid), 6);
}
