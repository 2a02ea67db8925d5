/* SPDX-License-Identifier: MIT */
/* start_lib.h - how the constructor of start_lib.c fared: the line of what
 * failed, 0, or -1 if it has not run. */
#ifndef START_LIB_H
#define START_LIB_H

extern int start_lib_failed;

#endif
