/* SPDX-License-Identifier: MIT */
/* start_lib.h - how the constructor of start_lib.c fared: the line of what
 * failed, 0, or -1 if it has not run. */
#ifndef START_LIB_H
#define START_LIB_H

#include <stdint.h>

extern int start_lib_failed;

/* What the thread that it has started was told to be: a coroutine's number, or
 * 0 for a kernel thread. */
extern int64_t start_lib_self;

#endif
