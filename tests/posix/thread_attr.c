/* SPDX-License-Identifier: MIT */
/* thread_attr.c - what a thread begins with: from its attributes, from the
 * process's default ones, or from its creator. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <malloc.h>
#include <signal.h>

#include "thr.h"

static uint64_t
mask_now(void)
{
	sigset_t set;
	uint64_t bits;

	OK(pthread_sigmask(SIG_BLOCK, NULL, &set));
	memcpy(&bits, &set, sizeof(bits));
	return bits;
}

static void *
tells_its_mask(void *arg)
{
	*(uint64_t *)arg = mask_now();
	thr_ms(1); /* and has it still */
	CHECK(*(uint64_t *)arg == mask_now());
	return NULL;
}

static uint64_t
bit(int sig)
{
	return UINT64_C(1) << (sig - 1);
}

TEST(a_mask_of_signals_in_the_attributes_is_what_it_begins_with)
{
	uint64_t got, own = mask_now();
	pthread_attr_t attr;
	pthread_t th;
	sigset_t set;
	int i;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	OK(pthread_attr_init(&attr));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGKILL);
	OK(pthread_attr_setsigmask_np(&attr, &set));
	for (i = 0; i < 3; i++) { /* a block is used again */
		OK(pthread_create(&th, &attr, tells_its_mask, &got));
		thr_join(th);
		CHECK(got == (bit(SIGUSR1) | bit(SIGRTMIN)));
		thr_join(thr_start(tells_its_mask, &got));
		CHECK(got == (own | bit(SIGUSR2)));
	}
	OK(pthread_attr_setsigmask_np(&attr, NULL));
	OK(pthread_create(&th, &attr, tells_its_mask, &got));
	thr_join(th);
	CHECK(got == (own | bit(SIGUSR2)));
	OK(pthread_attr_destroy(&attr));
	CHECK(mask_now() == (own | bit(SIGUSR2)));
}

static atomic_int handled;

static void
counts(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void *
lets_it_in(void *arg)
{
	sigset_t set;

	while (*(atomic_int *)arg == 0)
		thr_ms(1);
	CHECK_INT(handled, 0);
	OK(sigpending(&set));
	CHECK(sigismember(&set, SIGUSR1));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	CHECK_INT(handled, 1);
	return arg;
}

TEST(what_it_blocks_from_the_start_waits_for_it)
{
	struct sigaction sa = { .sa_handler = counts };
	pthread_attr_t attr;
	atomic_int sent = 0;
	pthread_t th;
	sigset_t set;

	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(pthread_attr_init(&attr));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(pthread_attr_setsigmask_np(&attr, &set));
	OK(pthread_create(&th, &attr, lets_it_in, &sent));
	OK(pthread_attr_destroy(&attr));
	OK(pthread_kill(th, SIGUSR1));
	sent = 1;
	thr_join(th);
	CHECK_INT(handled, 1);
}

struct room {
	size_t stack, guard;
	int detached;
};

static void *
tells_its_room(void *arg)
{
	struct room *r = arg;
	pthread_attr_t attr;

	OK(pthread_getattr_np(pthread_self(), &attr));
	OK(pthread_attr_getstacksize(&attr, &r->stack));
	OK(pthread_attr_getguardsize(&attr, &r->guard));
	OK(pthread_attr_getdetachstate(&attr, &r->detached));
	OK(pthread_attr_destroy(&attr));
	return NULL;
}

TEST(default_attributes_are_for_whoever_brings_none)
{
	pthread_attr_t attr;
	struct room r;

	OK(pthread_getattr_default_np(&attr));
	OK(pthread_attr_setstacksize(&attr, 512 * 1024));
	OK(pthread_attr_setguardsize(&attr, 16 * 1024));
	OK(pthread_setattr_default_np(&attr));
	OK(pthread_attr_destroy(&attr));
	thr_join(thr_start(tells_its_room, &r));
	CHECK(r.stack >= 512 * 1024 - 4096 && r.stack <= 540 * 1024);
	CHECK_INT(r.guard, 16 * 1024);
	CHECK_INT(r.detached, PTHREAD_CREATE_JOINABLE);
}

static void *
nothing(void *arg)
{
	return arg;
}

TEST(an_ordinary_policy_may_be_asked_for_by_name)
{
	struct sched_param p = { .sched_priority = 0 };
	pthread_attr_t attr;
	pthread_t th;

	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED));
	OK(pthread_attr_setschedpolicy(&attr, SCHED_OTHER));
	OK(pthread_attr_setschedparam(&attr, &p));
	OK(pthread_attr_setscope(&attr, PTHREAD_SCOPE_SYSTEM));
	CHECK_INT(pthread_attr_setscope(&attr, PTHREAD_SCOPE_PROCESS), ENOTSUP);
	OK(pthread_create(&th, &attr, nothing, &p));
	CHECK(thr_join(th) == &p);
	OK(pthread_attr_destroy(&attr));
}

static void *
tells_its_policy(void *arg)
{
	struct sched_param p;

	OK(pthread_getschedparam(pthread_self(), arg, &p));
	return thr_ptr(p.sched_priority);
}

TEST(a_real_time_policy_is_had_or_refused)
{
	struct sched_param p = { .sched_priority = 5 };
	pthread_attr_t attr;
	pthread_t th;
	int policy = -1, r;

	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED));
	OK(pthread_attr_setschedpolicy(&attr, SCHED_FIFO));
	OK(pthread_attr_setschedparam(&attr, &p));
	r = pthread_create(&th, &attr, tells_its_policy, &policy);
	if (r != 0) {
		CHECK_INT(r, EPERM);
	} else {
		CHECK_INT(thr_num(thr_join(th)), 5);
		CHECK_INT(policy, SCHED_FIFO);
	}
	thr_join(thr_start(tells_its_policy, &policy));
	CHECK_INT(policy, SCHED_OTHER);
	OK(pthread_attr_destroy(&attr));
}

/* What pthread_getattr_np(3) says of a thread. */
struct said {
	struct room room;
	char *stack;
	int inherit, policy, prio;
	cpu_set_t cpus, could;
	int here; /* the stack is the one it runs on */
};

static void
ask(pthread_t th, struct said *s)
{
	struct sched_param p;
	pthread_attr_t attr;
	void *stack;

	OK(pthread_getattr_np(th, &attr));
	OK(pthread_attr_getstack(&attr, &stack, &s->room.stack));
	s->stack = stack;
	OK(pthread_attr_getguardsize(&attr, &s->room.guard));
	OK(pthread_attr_getdetachstate(&attr, &s->room.detached));
	OK(pthread_attr_getinheritsched(&attr, &s->inherit));
	OK(pthread_attr_getschedpolicy(&attr, &s->policy));
	OK(pthread_attr_getschedparam(&attr, &p));
	s->prio = p.sched_priority;
	memset(&s->cpus, 0xff, sizeof(s->cpus));
	OK(pthread_attr_getaffinity_np(&attr, sizeof(s->cpus), &s->cpus));
	OK(pthread_attr_destroy(&attr));
	OK(pthread_getaffinity_np(th, sizeof(s->could), &s->could));
}

static void *
asks_itself(void *arg)
{
	struct said *s = arg;
	char here;

	ask(pthread_self(), s);
	s->here = &here >= s->stack && &here < s->stack + s->room.stack;
	return NULL;
}

TEST(getattr_np_says_what_was_asked_for)
{
	static const struct {
		size_t stack, guard, said;
	} had[] = {
		{ 256 * 1024, 8192, 8192 },
		{ 123456, 100, 4096 },
		{ 123456, 0, 0 },
		{ 300001, 12345, 16384 },
	};
	pthread_attr_t attr;
	struct said s;
	pthread_t th;
	size_t i;
	int explicit;

	for (i = 0; i < 3 * LEN(had); i++) { /* blocks are used again */
		explicit = (int)i & 1;
		OK(pthread_attr_init(&attr));
		OK(pthread_attr_setstacksize(&attr, had[i % LEN(had)].stack));
		OK(pthread_attr_setguardsize(&attr, had[i % LEN(had)].guard));
		OK(pthread_attr_setinheritsched(
			&attr, explicit ? PTHREAD_EXPLICIT_SCHED :
					  PTHREAD_INHERIT_SCHED));
		OK(pthread_create(&th, &attr, asks_itself, &s));
		thr_join(th);
		OK(pthread_attr_destroy(&attr));
		/* glibc may have a larger one left over. */
		CHECK(s.room.stack >= had[i % LEN(had)].stack / 64 * 64);
		CHECK(s.here);
		CHECK_INT((uintptr_t)s.stack % 4096, 0);
		CHECK_INT(s.room.guard, had[i % LEN(had)].said);
		CHECK_INT(s.inherit, explicit ? PTHREAD_EXPLICIT_SCHED :
						PTHREAD_INHERIT_SCHED);
		CHECK_INT(s.policy, SCHED_OTHER);
		CHECK_INT(s.prio, 0);
		CHECK(CPU_EQUAL(&s.cpus, &s.could));
		CHECK(CPU_COUNT(&s.cpus) > 0);
	}
}

TEST(of_a_stack_that_it_is_given_getattr_np_says_no_guard)
{
	enum { SIZE = 200000 };
	char *own = malloc(SIZE);
	pthread_attr_t attr;
	struct said s;
	pthread_t th;

	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setguardsize(&attr, 8192));
	OK(pthread_attr_setstack(&attr, own, SIZE - 1));
	OK(pthread_create(&th, &attr, asks_itself, &s));
	thr_join(th);
	CHECK(s.stack == own && s.here);
	CHECK_INT(s.room.stack, SIZE - 1);
	CHECK_INT(s.room.guard, 0);
	OK(pthread_attr_destroy(&attr));
	free(own);
}

/* The last of the CPUs that we may use, alone. */
static int
one_cpu(cpu_set_t *set)
{
	int i;

	OK(sched_getaffinity(0, sizeof(*set), set));
	for (i = CPU_SETSIZE - 1; !CPU_ISSET(i, set); i--)
		;
	CPU_ZERO(set);
	CPU_SET(i, set);
	return i;
}

static void *
has_one_cpu(void *arg)
{
	cpu_set_t set;

	one_cpu(&set);
	OK(sched_setaffinity(0, sizeof(set), &set));
	return asks_itself(arg);
}

TEST(getattr_np_says_which_cpus_a_thread_has)
{
	struct said s, others;
	cpu_set_t set, all;
	pthread_attr_t attr;
	pthread_t th;

	OK(sched_getaffinity(0, sizeof(all), &all));
	one_cpu(&set);
	thr_join(thr_start(has_one_cpu, &s));
	CHECK(CPU_EQUAL(&s.cpus, &set));
	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setaffinity_np(&attr, sizeof(set), &set));
	OK(pthread_create(&th, &attr, asks_itself, &s));
	thr_join(th);
	CHECK(CPU_EQUAL(&s.cpus, &set));
	thr_join(thr_start(asks_itself, &others));
	CHECK(CPU_EQUAL(&others.cpus, &all));
	OK(pthread_attr_destroy(&attr));
	/* Of main, or of whoever runs this. */
	has_one_cpu(&s);
	CHECK(CPU_EQUAL(&s.cpus, &set) && s.here);
}

TEST(getattr_np_says_a_real_time_policy)
{
	struct sched_param p = { .sched_priority = 5 };
	struct said s;
	int r;

	asks_itself(&s);
	CHECK_INT(s.policy, SCHED_OTHER);
	r = pthread_setschedparam(pthread_self(), SCHED_RR, &p);
	if (r == EPERM)
		SKIP("no right to a real-time policy");
	OK(r);
	asks_itself(&s);
	CHECK_INT(s.policy, SCHED_RR);
	CHECK_INT(s.prio, 5);
}

/* Pages of address space, by the kernel's count. */
static long
pages_used(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long n = 0;

	CHECK(f != NULL && fscanf(f, "%ld", &n) == 1);
	fclose(f);
	return n;
}

static void
come_and_go(int n, size_t size, int kinds)
{
	pthread_attr_t attr;
	pthread_t th;
	int i;

	OK(pthread_attr_init(&attr));
	for (i = 0; i < n; i++) {
		OK(pthread_attr_setstacksize(&attr, size + (size_t)(i % kinds) *
								    4096));
		OK(pthread_create(&th, &attr, nothing, NULL));
		thr_join(th);
	}
	OK(pthread_attr_destroy(&attr));
}

TEST(threads_with_stacks_of_any_size_leave_nothing_behind)
{
	static const struct {
		size_t size;
		int kinds;
	} with[] = { { 128 * 1024, 1 }, { 123457, 1 }, { 64 * 1024, 50 } };
	long before;
	size_t i;

	/* Two that allocate at once have an arena each, of 64 MiB. */
	mallopt(M_ARENA_MAX, 1);
	for (i = 0; i < LEN(with); i++) {
		come_and_go(200, with[i].size, with[i].kinds);
		before = pages_used();
		come_and_go(2000, with[i].size, with[i].kinds);
		CHECK(pages_used() - before < 2000 * 8);
	}
}
