/* SPDX-License-Identifier: MIT */
/* copy.h - copying from and to where the program says, which may be nowhere.
 */
#ifndef COHOOK_COPY_H
#define COHOOK_COPY_H

#include <stdbool.h>
#include <stddef.h>

/* 0, or -1 where a byte of the two cannot be had: EFAULT to the program. */
int co_copy(void *dst, const void *src, size_t n);

/* For the handler of SIGSEGV and SIGBUS, with its third argument: was it in
 * co_copy()?  Then the return from the handler goes on there. */
bool co_copy_caught(void *uctx);

#endif
