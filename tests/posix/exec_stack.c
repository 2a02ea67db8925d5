/* SPDX-License-Identifier: MIT */
/* exec_stack.c - a program that runs code on its stacks, as GNU C's nested
 * functions do; it is linked to say so. */
#define _GNU_SOURCE 1

#include "thr.h"

/* mov $42, %eax; ret */
static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };

static void *
runs_code(void *arg)
{
	unsigned char here[sizeof(code)] __attribute__((aligned(16)));
	int (*fn)(void);
	void *at = here;

	(void)arg;
	memcpy(here, code, sizeof(code));
	__asm__ volatile("" ::"r"(here) : "memory");
	memcpy(&fn, &at, sizeof(fn));
	return thr_ptr(fn());
}

TEST(threads_run_code_on_their_stacks)
{
	pthread_attr_t attr;
	pthread_t th;
	int i;

	for (i = 0; i < 20; i++)
		CHECK_INT(thr_num(thr_join(thr_start(runs_code, NULL))), 42);
	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setstacksize(&attr, 256 * 1024));
	OK(pthread_create(&th, &attr, runs_code, NULL));
	OK(pthread_attr_destroy(&attr));
	CHECK_INT(thr_num(thr_join(th)), 42);
	CHECK_INT(thr_num(runs_code(NULL)), 42);
}
