/* SPDX-License-Identifier: MIT */
/* parkers.c - co_arm(), co_claim() and their like, for one kernel thread. */
#include "unit.h"

#include "parkers.h"

__thread struct co_tls co_tls;
int co_active = 1;

struct co_parker *parker_me;
struct co_parker *parkers_woken[PARKERS_MOST];
size_t parkers_nwoken;

void
parkers_reset(void)
{
	parkers_nwoken = 0;
	parker_me = NULL;
	co_tls = (struct co_tls){ 0 };
}

bool
parker_armed(struct co_parker *p)
{
	return p->state == CO_ARMED;
}

enum co_why
parker_why(struct co_parker *p)
{
	return (p->state & 0xff) == CO_CLAIMED ? (enum co_why)(p->state >> 8)
					       : CO_NONE;
}

struct co_parker *
co_parker(void)
{
	assert_non_null(parker_me);
	return parker_me;
}

void
co_arm(struct co_parker *p)
{
	assert_int_equal(p->state & 0xff, CO_RUN);
	p->state = CO_ARMED;
}

enum co_why
co_disarm(struct co_parker *p)
{
	enum co_why why = parker_why(p);

	p->state = CO_RUN;
	return why;
}

/* PARKED to the one who wakes: then co_wake() has something to do. */
bool
co_claim(struct co_parker *p, enum co_why why, bool *parked)
{
	if (p->state != CO_ARMED)
		return false;
	p->state = CO_CLAIMED | (uint32_t)why << 8;
	*parked = true;
	return true;
}

void
co_wake(struct co_parker *p, bool parked)
{
	assert_true(parked);
	assert_true((p->state & 0xff) == CO_CLAIMED);
	assert_true(parkers_nwoken < PARKERS_MOST);
	parkers_woken[parkers_nwoken++] = p;
}

void
co_deferred_run(void)
{
	fail();
}
