/* SPDX-License-Identifier: MIT */
/* parkers.h - in sched.c's and queue.c's place: parkers that note who was
 * woken, and why.
 *
 * A test makes parker_me whoever is to arm, and looks at the list after. */
#ifndef PARKERS_H
#define PARKERS_H

#include "sched/co.h"

enum { PARKERS_MOST = 1 << 17 };

extern struct co_parker *parker_me;       /* co_parker()'s answer */
extern struct co_parker *parkers_woken[PARKERS_MOST];
extern size_t parkers_nwoken;

/* Nobody woken, nothing critical. */
void parkers_reset(void);

bool parker_armed(struct co_parker *p);
/* Why it was woken; CO_NONE: it was not. */
enum co_why parker_why(struct co_parker *p);

#endif
