/* SPDX-License-Identifier: MIT */
/* pin.h - a coroutine that has a kernel thread of its own, for good. */
#ifndef COHOOK_PIN_H
#define COHOOK_PIN_H

#include <sys/types.h>

struct co;

/* The caller, if it is a coroutine, is pinned from now on. */
void co_pin_here(void);

/* Whose id it is; 0 is the caller's.  NULL: a kernel thread's, or nobody's. */
struct co *co_of_pid(pid_t tid);

#endif
