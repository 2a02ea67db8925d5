/* SPDX-License-Identifier: MIT */
/* thread_life.c - threads from their creation to their end. */
#define _GNU_SOURCE 1
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "thr.h"

static void *
returns_its_argument(void *arg)
{
	return arg;
}

TEST(join_gives_what_the_thread_returned)
{
	pthread_t th[100];
	int i;

	for (i = 0; i < 100; i++)
		th[i] = thr_start(returns_its_argument, thr_ptr(i * 7));
	for (i = 99; i >= 0; i--)
		CHECK_INT(thr_num(thr_join(th[i])), i * 7);
	OK(pthread_join(thr_start(returns_its_argument, NULL), NULL));
}

/* A thread that goes on when told. */
struct gate {
	pthread_mutex_t m;
	pthread_cond_t c;
	int open;
	atomic_int here;
};

#define GATE { .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER }

static void *
waits_at(void *arg)
{
	struct gate *g = arg;

	g->here++;
	OK(pthread_mutex_lock(&g->m));
	while (!g->open)
		OK(pthread_cond_wait(&g->c, &g->m));
	OK(pthread_mutex_unlock(&g->m));
	return &g->open;
}

static void
open_gate(struct gate *g)
{
	OK(pthread_mutex_lock(&g->m));
	g->open = 1;
	OK(pthread_cond_broadcast(&g->c));
	OK(pthread_mutex_unlock(&g->m));
}

TEST(tryjoin_is_EBUSY_until_the_thread_has_ended)
{
	struct gate g = GATE;
	pthread_t th = thr_start(waits_at, &g);
	void *r = NULL;
	int e, i;

	for (i = 0; i < 10; i++)
		CHECK_INT(pthread_tryjoin_np(th, &r), EBUSY);
	open_gate(&g);
	while ((e = pthread_tryjoin_np(th, &r)) == EBUSY)
		thr_ms(1);
	OK(e);
	CHECK(r == &g.open);
}

TEST(timed_joins_are_never_early)
{
	struct gate g = GATE;
	pthread_t th = thr_start(waits_at, &g);
	struct timespec at;
	void *r = NULL;

	at = thr_after(CLOCK_REALTIME, 20 * T_MS);
	CHECK_INT(pthread_timedjoin_np(th, &r, &at), ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	at = thr_after(CLOCK_MONOTONIC, 20 * T_MS);
	CHECK_INT(pthread_clockjoin_np(th, &r, CLOCK_MONOTONIC, &at),
		  ETIMEDOUT);
	CHECK(thr_reached(CLOCK_MONOTONIC, at));
	at = thr_after(CLOCK_REALTIME, 20 * T_MS);
	CHECK_INT(pthread_clockjoin_np(th, &r, CLOCK_REALTIME, &at),
		  ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	at = (struct timespec){ 0, 0 };
	CHECK_INT(pthread_timedjoin_np(th, &r, &at), ETIMEDOUT);
	open_gate(&g);
	at = thr_after(CLOCK_MONOTONIC, THR_LONG);
	OK(pthread_clockjoin_np(th, &r, CLOCK_MONOTONIC, &at));
	CHECK(r == &g.open);
}

TEST(joining_oneself_is_EDEADLK)
{
	void *r;

	CHECK_INT(pthread_join(pthread_self(), &r), EDEADLK);
	CHECK_INT(pthread_tryjoin_np(pthread_self(), &r), EBUSY);
}

/* The man page has more: EDEADLK for two that join each other, EINVAL for a
 * second joiner.  glibc 2.36 sees neither, and waits. */

TEST(a_detached_thread_cannot_be_joined_or_detached_again)
{
	static struct gate g = GATE;
	static pthread_t th[2];
	pthread_attr_t a;
	void *r;
	int i;

	th[0] = thr_start(waits_at, &g);
	OK(pthread_detach(th[0]));
	OK(pthread_attr_init(&a));
	OK(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED));
	OK(pthread_create(&th[1], &a, waits_at, &g));
	OK(pthread_attr_destroy(&a));
	for (i = 0; i < 2; i++) {
		CHECK_INT(pthread_join(th[i], &r), EINVAL);
		CHECK(pthread_tryjoin_np(th[i], &r) != 0);
		CHECK_INT(pthread_detach(th[i]), EINVAL);
	}
	open_gate(&g);
}

static atomic_int ended;

static void *
ends(void *arg)
{
	(void)arg;
	ended++;
	return NULL;
}

static void *
detaches_itself(void *arg)
{
	OK(pthread_detach(pthread_self()));
	return ends(arg);
}

TEST(detached_threads_run_to_their_end)
{
	pthread_attr_t a;
	pthread_t th;
	int i, v;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_getdetachstate(&a, &v));
	CHECK_INT(v, PTHREAD_CREATE_JOINABLE);
	OK(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED));
	OK(pthread_attr_getdetachstate(&a, &v));
	CHECK_INT(v, PTHREAD_CREATE_DETACHED);
	CHECK_INT(pthread_attr_setdetachstate(&a, 99), EINVAL);
	for (i = 0; i < 300; i++) {
		OK(pthread_create(&th, &a, ends, NULL));
		thr_start(detaches_itself, NULL);
		OK(pthread_detach(thr_start(ends, NULL)));
	}
	OK(pthread_attr_destroy(&a));
	thr_until(&ended, 900);
}

/* Cleanup and exit. */
static int order[8], norder;

static void
notes(void *n)
{
	order[norder++] = thr_num(n);
}

static void
exits_within(void *value)
{
	pthread_cleanup_push(notes, thr_ptr(3));
	pthread_cleanup_push(notes, thr_ptr(4));
	thr_ms(1);
	if (value != NULL)
		pthread_exit(value);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
}

static void *
exits_with_handlers(void *value)
{
	pthread_cleanup_push(notes, thr_ptr(1));
	pthread_cleanup_push(notes, thr_ptr(9));
	pthread_cleanup_pop(0);
	pthread_cleanup_push(notes, thr_ptr(2));
	pthread_cleanup_pop(1);
	pthread_cleanup_push(notes, thr_ptr(5));
	exits_within(value);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(exit_from_nested_calls_runs_the_handlers_last_first)
{
	static const int want[] = { 2, 4, 3, 5, 1 };
	int i;

	CHECK_INT(thr_num(thr_join(thr_start(exits_with_handlers,
					     thr_ptr(77)))), 77);
	CHECK_INT(norder, LEN(want));
	for (i = 0; i < norder; i++)
		CHECK_INT(order[i], want[i]);
}

static void
waits_in_cleanup(void *arg)
{
	struct gate *g = arg;

	waits_at(g);
	ended++;
}

static void *
waits_while_exiting(void *arg)
{
	pthread_cleanup_push(waits_in_cleanup, arg);
	pthread_exit(thr_ptr(5));
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(a_cleanup_handler_may_wait)
{
	struct gate g = GATE;
	pthread_t th[50];
	int i;

	for (i = 0; i < 50; i++)
		th[i] = thr_start(waits_while_exiting, &g);
	thr_until(&g.here, 50);
	CHECK_INT(ended, 0);
	open_gate(&g);
	for (i = 0; i < 50; i++)
		CHECK_INT(thr_num(thr_join(th[i])), 5);
	CHECK_INT(ended, 50);
}

/* Numbers. */
struct many {
	struct gate g;
	pthread_t self[1000];
	int tid[1000];
	atomic_int next;
};

static void *
is_one_of_many(void *arg)
{
	struct many *m = arg;
	int me = atomic_fetch_add(&m->next, 1);

	m->self[me] = pthread_self();
	m->tid[me] = gettid();
	waits_at(&m->g);
	CHECK(pthread_equal(m->self[me], pthread_self()));
	CHECK_INT(gettid(), m->tid[me]);
	return (void *)pthread_self();
}

static int
by_value(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int
by_self(const void *a, const void *b)
{
	const pthread_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

TEST(a_thousand_threads_live_at_once_and_each_is_itself)
{
	static struct many m = { .g = GATE };
	static pthread_t th[1000];
	int i;

	for (i = 0; i < 1000; i++)
		th[i] = thr_start(is_one_of_many, &m);
	thr_until(&m.g.here, 1000);
	open_gate(&m.g);
	for (i = 0; i < 1000; i++)
		CHECK(pthread_equal((pthread_t)thr_join(th[i]), th[i]));
	qsort(m.tid, 1000, sizeof m.tid[0], by_value);
	qsort(th, 1000, sizeof th[0], by_self);
	for (i = 0; i < 1000; i++) {
		CHECK(m.tid[i] > 0 && m.tid[i] != getpid());
		CHECK(!pthread_equal(th[i], pthread_self()));
		if (i > 0) {
			CHECK(m.tid[i] != m.tid[i - 1]);
			CHECK(!pthread_equal(th[i], th[i - 1]));
		}
	}
}

TEST(twenty_thousand_threads_come_and_go_one_after_another)
{
	int i;

	for (i = 0; i < 20000; i++)
		CHECK_INT(thr_num(thr_join(thr_start(returns_its_argument,
						     thr_ptr(i)))), i);
}

static void *
has_children(void *arg)
{
	int depth = thr_num(arg), i, n = 1;
	pthread_t th[5];

	if (depth == 0)
		return thr_ptr(1);
	for (i = 0; i < 5; i++)
		th[i] = thr_start(has_children, thr_ptr(depth - 1));
	for (i = 0; i < 5; i++)
		n += thr_num(thr_join(th[i]));
	return thr_ptr(n);
}

TEST(threads_start_threads_that_start_threads)
{
	CHECK_INT(thr_num(thr_join(thr_start(has_children, thr_ptr(4)))),
		  1 + 5 + 25 + 125 + 625);
}

static void *
starts_the_next(void *arg)
{
	int left = thr_num(arg);

	if (left == 0)
		return thr_ptr(0);
	return thr_ptr(1 + thr_num(thr_join(thr_start(starts_the_next,
						      thr_ptr(left - 1)))));
}

TEST(a_chain_of_three_hundred_joins_is_unwound)
{
	CHECK_INT(thr_num(starts_the_next(thr_ptr(300))), 300);
}

static void *
is_joined_by_another(void *arg)
{
	return waits_at(arg);
}

static struct { struct gate g; pthread_t th; } lent = { .g = GATE };

static void *
joins_lent(void *arg)
{
	(void)arg;
	return thr_join(lent.th);
}

TEST(any_thread_may_join_any_other)
{
	pthread_t joiner;

	lent.th = thr_start(is_joined_by_another, &lent.g);
	joiner = thr_start(joins_lent, NULL);
	open_gate(&lent.g);
	CHECK(thr_join(joiner) == &lent.g.open);
}

/* Stacks. */
static __attribute__((noinline)) unsigned
touch(size_t bytes)
{
	volatile char here[4096];
	unsigned sum;

	memset((char *)here, 1, sizeof here);
	if (bytes <= sizeof here)
		return (unsigned)here[7];
	sum = touch(bytes - sizeof here);
	return sum + (unsigned)here[bytes % sizeof here];
}

struct stack {
	size_t size, use;
	void *lo;
};

static void *
uses_stack(void *arg)
{
	struct stack *s = arg;

	touch(s->use / 2);
	thr_ms(1);
	touch(s->use);
	return arg;
}

static void
with_stack(size_t size, size_t use, int n)
{
	struct stack s = { .size = size, .use = use };
	pthread_attr_t a;
	pthread_t th[16];
	size_t got;
	int i;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_setstacksize(&a, size));
	OK(pthread_attr_getstacksize(&a, &got));
	CHECK_INT(got, size);
	for (i = 0; i < n; i++)
		OK(pthread_create(&th[i], &a, uses_stack, &s));
	for (i = 0; i < n; i++)
		CHECK(thr_join(th[i]) == &s);
	OK(pthread_attr_destroy(&a));
}

/* touch() needs a little more than the array in each frame. */
TEST(most_of_a_256_KiB_stack_can_be_used)
{
	with_stack(256 << 10, 210 << 10, 16);
	with_stack(256 << 10, 210 << 10, 16);
}

TEST(most_of_a_64_MiB_stack_can_be_used)
{
	with_stack(64 << 20, 58 << 20, 2);
	with_stack(64 << 20, 58 << 20, 1);
}

TEST(most_of_a_default_stack_can_be_used)
{
	struct stack s = { .use = 1 << 20 };
	pthread_attr_t a;
	int i;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_getstacksize(&a, &s.size));
	OK(pthread_attr_destroy(&a));
	s.use = s.size - s.size / 8;
	for (i = 0; i < 10; i++)
		thr_join(thr_start(uses_stack, &s));
}

TEST(stacks_of_many_sizes_live_side_by_side)
{
	int i;

	for (i = 0; i < 40; i++)
		with_stack((size_t)(64 + i * 52) << 10,
			   (size_t)(32 + i * 40) << 10, 8);
}

TEST(the_smallest_stack_runs_a_thread_and_less_is_EINVAL)
{
	pthread_attr_t a;
	size_t min = (size_t)PTHREAD_STACK_MIN, before, after;
	pthread_t th;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_getstacksize(&a, &before));
	CHECK_INT(pthread_attr_setstacksize(&a, min - 1), EINVAL);
	CHECK_INT(pthread_attr_setstacksize(&a, 0), EINVAL);
	OK(pthread_attr_getstacksize(&a, &after));
	CHECK_INT(after, before);
	OK(pthread_attr_setstacksize(&a, min));
	OK(pthread_create(&th, &a, returns_its_argument, &min));
	CHECK(thr_join(th) == &min);
	OK(pthread_attr_setstacksize(&a, min + 4096 + 123));
	OK(pthread_create(&th, &a, returns_its_argument, &min));
	CHECK(thr_join(th) == &min);
	OK(pthread_attr_destroy(&a));
}

static void *
runs_on(void *arg)
{
	struct stack *s = arg;
	char here;
	void *lo;
	size_t size;
	pthread_attr_t a;

	CHECK(&here > (char *)s->lo && &here < (char *)s->lo + s->size);
	OK(pthread_getattr_np(pthread_self(), &a));
	OK(pthread_attr_getstack(&a, &lo, &size));
	CHECK(&here > (char *)lo && &here < (char *)lo + size);
	CHECK((char *)lo >= (char *)s->lo);
	CHECK((char *)lo + size <= (char *)s->lo + s->size);
	OK(pthread_attr_destroy(&a));
	touch(s->use);
	thr_ms(1);
	touch(s->use);
	CHECK(&here > (char *)s->lo && &here < (char *)s->lo + s->size);
	return NULL;
}

TEST(a_thread_runs_on_the_stack_it_is_given)
{
	struct stack s = { .size = 1 << 20, .use = 800 << 10 };
	pthread_attr_t a;
	pthread_t th;
	size_t size;
	void *lo;
	int i;

	s.lo = mmap(NULL, s.size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(s.lo != MAP_FAILED);
	OK(pthread_attr_init(&a));
	OK(pthread_attr_setstack(&a, s.lo, s.size));
	OK(pthread_attr_getstack(&a, &lo, &size));
	CHECK(lo == s.lo);
	CHECK_INT(size, s.size);
	for (i = 0; i < 20; i++) {
		OK(pthread_create(&th, &a, runs_on, &s));
		thr_join(th);
	}
	CHECK_INT(pthread_attr_setstack(&a, s.lo, 100), EINVAL);
	OK(pthread_attr_destroy(&a));
	/* It is ours: still there, and goes when we say so. */
	memset(s.lo, 0, s.size);
	OK(munmap(s.lo, s.size));
}

static void *
is_on_its_reported_stack(void *arg)
{
	pthread_attr_t a;
	size_t size, guard;
	char here;
	void *lo;
	int v;

	OK(pthread_getattr_np(pthread_self(), &a));
	OK(pthread_attr_getstack(&a, &lo, &size));
	CHECK(&here >= (char *)lo && &here < (char *)lo + size);
	OK(pthread_attr_getdetachstate(&a, &v));
	CHECK_INT(v, PTHREAD_CREATE_JOINABLE);
	if (arg != NULL) {
		OK(pthread_attr_getguardsize(&a, &guard));
		CHECK(size + guard >= *(size_t *)arg);
	}
	OK(pthread_attr_destroy(&a));
	return NULL;
}

TEST(getattr_np_reports_the_stack_a_thread_is_on)
{
	size_t size = 512 << 10;
	pthread_attr_t a;
	pthread_t th;

	is_on_its_reported_stack(NULL);
	thr_join(thr_start(is_on_its_reported_stack, NULL));
	OK(pthread_attr_init(&a));
	OK(pthread_attr_setstacksize(&a, size));
	OK(pthread_create(&th, &a, is_on_its_reported_stack, &size));
	thr_join(th);
	OK(pthread_attr_destroy(&a));
}

TEST(getattr_np_answers_for_another_thread_and_for_detached_ones)
{
	static struct gate g = GATE;
	pthread_t th = thr_start(waits_at, &g);
	pthread_attr_t a;
	size_t size;
	void *lo;
	int v;

	thr_until(&g.here, 1);
	OK(pthread_getattr_np(th, &a));
	OK(pthread_attr_getstack(&a, &lo, &size));
	CHECK(lo != NULL && size >= (size_t)PTHREAD_STACK_MIN);
	OK(pthread_attr_destroy(&a));
	OK(pthread_detach(th));
	OK(pthread_getattr_np(th, &a));
	OK(pthread_attr_getdetachstate(&a, &v));
	CHECK_INT(v, PTHREAD_CREATE_DETACHED);
	OK(pthread_attr_destroy(&a));
	open_gate(&g);
}

static void *
has_guard(void *arg)
{
	pthread_attr_t a;
	size_t guard;

	OK(pthread_getattr_np(pthread_self(), &a));
	OK(pthread_attr_getguardsize(&a, &guard));
	CHECK(guard >= *(size_t *)arg);
	OK(pthread_attr_destroy(&a));
	return NULL;
}

TEST(the_guard_is_as_large_as_asked)
{
	static size_t sizes[] = { 0, 4096, 65536, 1 << 20 };
	size_t i, got;
	pthread_attr_t a;
	pthread_t th;

	OK(pthread_attr_init(&a));
	OK(pthread_attr_getguardsize(&a, &got));
	CHECK_INT(got, sysconf(_SC_PAGESIZE));
	for (i = 0; i < LEN(sizes); i++) {
		OK(pthread_attr_setguardsize(&a, sizes[i]));
		OK(pthread_attr_getguardsize(&a, &got));
		CHECK_INT(got, sizes[i]);
		OK(pthread_create(&th, &a, has_guard, &sizes[i]));
		thr_join(th);
	}
	OK(pthread_attr_destroy(&a));
}

/* In a child: what kills, exits or limits the whole process. */
static void
no_core(void)
{
	struct rlimit none = { 0, 0 };

	OK(setrlimit(RLIMIT_CORE, &none));
}

static void *
overflows(void *arg)
{
	(void)arg;
	touch((size_t)1 << 40);
	return NULL;
}

TEST(an_overflow_ends_the_process_by_SIGSEGV)
{
	pthread_attr_t a;
	pthread_t th;
	int null;
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		/* Whoever explains the overflow on stderr may do so. */
		null = open("/dev/null", O_WRONLY);
		CHECK(dup2(null, 2) == 2);
		no_core();
		OK(pthread_attr_init(&a));
		OK(pthread_attr_setstacksize(&a, 256 << 10));
		OK(pthread_create(&th, &a, overflows, NULL));
		thr_join(th);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), -SIGSEGV);
}

TEST(names_are_the_threads_own)
{
	struct gate g = GATE;
	pthread_t th[20];
	char name[32], want[32];
	int i;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(waits_at, &g);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof name, "worker-%d", i);
		OK(pthread_setname_np(th[i], name));
	}
	OK(pthread_setname_np(pthread_self(), "fifteen_letters"));
	for (i = 0; i < 20; i++) {
		snprintf(want, sizeof want, "worker-%d", i);
		OK(pthread_getname_np(th[i], name, sizeof name));
		CHECK(strcmp(name, want) == 0);
	}
	OK(pthread_getname_np(pthread_self(), name, 16));
	CHECK(strcmp(name, "fifteen_letters") == 0);
	CHECK_INT(pthread_setname_np(pthread_self(), "sixteen__letters"),
		  ERANGE);
	CHECK_INT(pthread_getname_np(pthread_self(), name, 15), ERANGE);
	open_gate(&g);
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
}

/* What a child did before it ended, told through a pipe. */
static int told[2];

static void
tell_at_exit(void)
{
	CHECK_INT(write(told[1], "E", 1), 1);
}

static void
expect_told(const char *want)
{
	char got[16] = "";
	size_t n = 0;
	ssize_t r;

	close(told[1]);
	while ((r = read(told[0], got + n, sizeof got - 1 - n)) > 0)
		n += (size_t)r;
	CHECK_INT(r, 0);
	if (strcmp(got, want) != 0)
		fprintf(stderr, "told: %s, not %s\n", got, want);
	CHECK(strcmp(got, want) == 0);
	close(told[0]);
}

static void *
outlives(void *main_thread)
{
	void *r;

	OK(pthread_join(*(pthread_t *)main_thread, &r));
	CHECK_INT(thr_num(r), 3);
	thr_ms(5);
	CHECK_INT(write(told[1], "T", 1), 1);
	return thr_ptr(1);
}

TEST(main_may_exit_and_the_last_thread_ends_the_process_with_0)
{
	static pthread_t first;
	pid_t pid;

	OK(pipe(told));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(atexit(tell_at_exit));
		first = pthread_self();
		thr_start(outlives, &first);
		pthread_exit(thr_ptr(3));
	}
	expect_told("TE");
	CHECK_INT(thr_reap(pid), 0);
}

static void *
sleeps_and_ends(void *arg)
{
	thr_ms(thr_num(arg));
	CHECK_INT(write(told[1], "t", 1), 1);
	return NULL;
}

TEST(detached_threads_too_keep_the_process_until_the_last_ends)
{
	pid_t pid;
	int i;

	OK(pipe(told));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(atexit(tell_at_exit));
		for (i = 0; i < 5; i++)
			OK(pthread_detach(thr_start(sleeps_and_ends,
						    thr_ptr(i * 3))));
		pthread_exit(NULL);
	}
	expect_told("tttttE");
	CHECK_INT(thr_reap(pid), 0);
}

TEST(the_only_thread_may_end_by_pthread_exit)
{
	pid_t pid;

	OK(pipe(told));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(atexit(tell_at_exit));
		pthread_exit(thr_ptr(9));
	}
	expect_told("E");
	CHECK_INT(thr_reap(pid), 0);
}

static void *
calls_exit(void *arg)
{
	thr_ms(2);
	exit(thr_num(arg));
}

static void *
waits_for_ever(void *arg)
{
	struct gate never = GATE;

	ended++;
	switch (thr_num(arg) % 3) {
	case 0:
		return waits_at(&never);
	case 1:
		for (;;)
			pause();
	default:
		for (;;)
			sleep(1000);
	}
}

TEST(exit_from_a_thread_runs_the_handlers_and_ends_all)
{
	pthread_t th;
	pid_t pid;
	int i;

	OK(pipe(told));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(atexit(tell_at_exit));
		for (i = 0; i < 20; i++)
			thr_start(waits_for_ever, thr_ptr(i));
		thr_until(&ended, 20);
		th = thr_start(calls_exit, thr_ptr(7));
		thr_join(th);
		_exit(1);
	}
	expect_told("E");
	CHECK_INT(thr_reap(pid), 7);
}

static void *
leaves_at_once(void *arg)
{
	_exit(thr_num(arg));
}

TEST(underscore_exit_from_a_thread_runs_no_handler_and_ends_all)
{
	pthread_t th;
	pid_t pid;
	int i;

	OK(pipe(told));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(atexit(tell_at_exit));
		for (i = 0; i < 20; i++)
			thr_start(waits_for_ever, thr_ptr(i));
		th = thr_start(leaves_at_once, thr_ptr(8));
		thr_join(th);
		_exit(1);
	}
	expect_told("");
	CHECK_INT(thr_reap(pid), 8);
}

TEST(threads_left_behind_end_when_main_returns)
{
	int i;

	for (i = 0; i < 100; i++)
		thr_start(waits_for_ever, thr_ptr(i));
	thr_until(&ended, 100);
	/* and so back to main(), which returns 0 */
}

static long
vm_size(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CHECK(f != NULL);
	CHECK_INT(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

TEST(a_creation_that_fails_for_want_of_memory_loses_nothing)
{
	static pthread_t th[2000];
	struct rlimit lim;
	struct gate g = GATE;
	int i, n, round, e;
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid != 0) {
		CHECK_INT(thr_reap(pid), 0);
		return;
	}
	OK(getrlimit(RLIMIT_AS, &lim));
	lim.rlim_cur = (rlim_t)vm_size() + (256 << 20);
	OK(setrlimit(RLIMIT_AS, &lim));
	for (round = 0; round < 3; round++) {
		for (n = 0; n < 2000; n++) {
			errno = EDOM;
			e = pthread_create(&th[n], NULL, waits_at, &g);
			if (e != 0)
				break;
		}
		CHECK_INT(e, EAGAIN);
		CHECK(n > 0);
		CHECK_INT(pthread_create(&th[n], NULL, waits_at, &g), EAGAIN);
		thr_until(&g.here, n);
		open_gate(&g);
		for (i = 0; i < n; i++)
			CHECK(thr_join(th[i]) == &g.open);
		g.open = 0;
		g.here = 0;
	}
	_exit(0);
}

TEST(create_gives_the_id_that_self_gives)
{
	static struct many m = { .g = GATE };
	pthread_t th = thr_start(is_one_of_many, &m);

	thr_until(&m.g.here, 1);
	CHECK(pthread_equal(m.self[0], th));
	CHECK(pthread_equal(pthread_self(), pthread_self()));
	CHECK(!pthread_equal(pthread_self(), th));
	open_gate(&m.g);
	thr_join(th);
}

TEST(getpid_is_the_same_in_all_threads_and_gettid_is_not)
{
	static struct many m = { .g = GATE, };
	pthread_t th = thr_start(is_one_of_many, &m);

	thr_until(&m.g.here, 1);
	CHECK(m.tid[0] != gettid());
	open_gate(&m.g);
	thr_join(th);
	if (getenv("T_BODY") == NULL || strcmp(getenv("T_BODY"), "thread") != 0)
		CHECK_INT(gettid(), getpid());
}
