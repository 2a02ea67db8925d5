/* SPDX-License-Identifier: MIT */
/* unit.h - what each unit test begins with: cmocka, and numbers at random. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UNIT_SKIP = 77 };

#define UNIT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct unit_rnd {
	uint64_t x;
};

/* The same each time, unless T_SEED says otherwise; printed either way. */
static inline struct unit_rnd
unit_seed(const char *whose)
{
	const char *s = getenv("T_SEED");
	uint64_t seed = s != NULL ? strtoull(s, NULL, 0) : 20240229;

	fprintf(stderr, "%s: T_SEED=%llu\n", whose, (unsigned long long)seed);
	return (struct unit_rnd){ seed };
}

/* 0 ... below - 1 (splitmix64). */
static inline unsigned
unit_below(struct unit_rnd *r, unsigned below)
{
	uint64_t z = r->x += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ (z >> 31)) % below);
}

#endif
