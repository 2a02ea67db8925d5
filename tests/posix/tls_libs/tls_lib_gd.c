/* SPDX-License-Identifier: MIT */
/* tls_lib_gd.c - thread-local variables of a library, reached dynamically: each
 * thread's block is made when it first asks. */
#include <stdint.h>

#include "tls_lib.h"

static __thread int set = 77;
static __thread char zero[20000];
static __thread struct { char c[3]; } __attribute__((aligned(64))) wide =
	{ { 'a', 'b', 'c' } };

int
tls_check(void)
{
	unsigned i;

	for (i = 0; i < sizeof zero; i++)
		if (zero[i] != 0)
			return 0;
	return set == 77 && wide.c[0] == 'a' && wide.c[2] == 'c' &&
	       (uintptr_t)&wide % 64 == 0;
}

void
tls_mark(int n)
{
	unsigned i;

	set = n;
	wide.c[1] = (char)n;
	for (i = 0; i < sizeof zero; i++)
		zero[i] = (char)(n + (int)i);
}

int
tls_marked(void)
{
	unsigned i;

	for (i = 0; i < sizeof zero; i++)
		if (zero[i] != (char)(set + (int)i))
			return -1;
	return wide.c[1] == (char)set ? set : -1;
}
