/* SPDX-License-Identifier: MIT */
/* thread_attr.c - what a thread begins with: from its attributes, from the
 * process's default ones, or from its creator. */
#define _GNU_SOURCE 1

#include <limits.h>
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

	for (i = 0; i < LEN(with); i++) {
		come_and_go(200, with[i].size, with[i].kinds);
		before = pages_used();
		come_and_go(2000, with[i].size, with[i].kinds);
		CHECK(pages_used() - before < 2000 * 8);
	}
}
