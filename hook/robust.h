/* SPDX-License-Identifier: MIT */
/* robust.h - what becomes of robust mutexes when their owner ends. */
#ifndef COHOOK_ROBUST_H
#define COHOOK_ROBUST_H

#include "sched/co.h"

/* co, the caller, ends: those that it holds have lost their owner. */
void co_robust_end(struct co *co);

#endif
