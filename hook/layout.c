/* SPDX-License-Identifier: MIT */
/* layout.c - where glibc keeps an object's clock and whether it is shared.
 *
 * Not in any header, and it has moved between versions; so one object is made
 * with and one without, and the bit that differs is the place. */
#include <string.h>

#include "hook/lock.h"

struct place {
	size_t at;
	unsigned char mask;   /* 0: not found; then nothing is ever so */
};

static struct place cond_clock, cond_shared, sem_shared;

static struct place
difference(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;
	struct place d = { 0, 0 };
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != q[i]) {
			d.at = i;
			d.mask = p[i] ^ q[i];
			break;
		}
	return d;
}

static bool
is_set(const void *obj, const struct place *p)
{
	return ((const unsigned char *)obj)[p->at] & p->mask;
}

void
co_layout_init(void)
{
	pthread_condattr_t attr;
	pthread_cond_t plain, other;
	sem_t s1, s2;

	memset(&plain, 0, sizeof(plain));
	memset(&other, 0, sizeof(other));
	real.pthread_cond_init(&plain, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	real.pthread_cond_init(&other, &attr);
	cond_clock = difference(&plain, &other, sizeof(plain));
	memset(&other, 0, sizeof(other));
	pthread_condattr_init(&attr);
	pthread_condattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	real.pthread_cond_init(&other, &attr);
	cond_shared = difference(&plain, &other, sizeof(plain));
	memset(&s1, 0, sizeof(s1));
	memset(&s2, 0, sizeof(s2));
	sem_init(&s1, 0, 0);
	sem_init(&s2, 1, 0);
	sem_shared = difference(&s1, &s2, sizeof(s1));
}

bool
co_cond_monotonic(const pthread_cond_t *c)
{
	return is_set(c, &cond_clock);
}

bool
co_cond_pshared(const pthread_cond_t *c)
{
	return is_set(c, &cond_shared);
}

bool
co_sem_pshared(const sem_t *s)
{
	return is_set(s, &sem_shared);
}
