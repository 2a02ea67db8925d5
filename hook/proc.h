/* SPDX-License-Identifier: MIT */
/* proc.h - proc(5)'s files of a thread. */
#ifndef COHOOK_PROC_H
#define COHOOK_PROC_H

enum { CO_PROC_PATH = 128 };

/* co_proc_path - what the kernel is to open in place of path: that, or another
 * written to mine.  The caller is in a process with coroutines; path may be no
 * memory at all.  May take a kernel thread. */
const char *co_proc_path(const char *path, char mine[CO_PROC_PATH]);

#endif
