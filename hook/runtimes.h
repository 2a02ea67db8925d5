/* SPDX-License-Identifier: MIT */
/* runtimes.h - does the program bring a runtime whose threads stay native? */
#ifndef COHOOK_RUNTIMES_H
#define COHOOK_RUNTIMES_H

#include <stdbool.h>

/* Its name, or NULL; among what is loaded now. */
const char *co_runtime_here(void);

/* Is a thread that begins with fn one of such a runtime's own? */
bool co_runtime_owns(void *(*fn)(void *));

#endif
