/* SPDX-License-Identifier: MIT */
/* exclude.h - libraries and calls that are to have nothing to do with us:
 * COHOOK_EXCLUDE. */
#ifndef COHOOK_EXCLUDE_H
#define COHOOK_EXCLUDE_H

#include <stdbool.h>

/* list  names by commas, or NULL: of calls ("sleep"), and of libraries or the
 *       program, by base name or path, where * and ? stand for others
 *       ("libfoo.so*").  It is kept, and is cut up. */
void co_exclude_init(char *list);

/* What was loaded since is seen to as well.  Cheap where nothing was. */
void co_exclude_look(void);

/* Is a thread that begins with fn(arg) an excluded library's? */
bool co_exclude_owns(void *(*fn)(void *), void *arg);

extern int co_exclude_any;

#endif
