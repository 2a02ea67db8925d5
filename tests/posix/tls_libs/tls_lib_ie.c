/* SPDX-License-Identifier: MIT */
/* tls_lib_ie.c - thread-local variables of a library at a fixed distance from
 * the thread pointer: they lie in what every thread, also those that are there
 * already, has to spare. */
#include "tls_lib.h"

#define IE __thread __attribute__((tls_model("initial-exec")))

static IE int set = 88;
static IE int zero[16];
static IE long last = -5;

int
tls_check(void)
{
	unsigned i;

	for (i = 0; i < sizeof zero / sizeof zero[0]; i++)
		if (zero[i] != 0)
			return 0;
	return set == 88 && last == -5;
}

void
tls_mark(int n)
{
	set = zero[0] = zero[15] = n;
	last = n;
}

int
tls_marked(void)
{
	return set == zero[0] && set == zero[15] && set == last ? set : -1;
}
