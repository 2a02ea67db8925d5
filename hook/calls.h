/* SPDX-License-Identifier: MIT */
/* calls.h - hooks that syscall(2) leads to as well: as libc's names have it,
 * errno included. */
#ifndef COHOOK_CALLS_H
#define COHOOK_CALLS_H

#include <stdbool.h>

#include "hook/real.h"

int co_poll(struct pollfd *fds, nfds_t n, int timeout);   /* poll.c */
int co_close(int fd);                                     /* fdlife.c */
int co_tgkill(pid_t pid, pid_t tid, int sig);             /* sigwait.c */

/* futex.c: false: it is the kernel's alone. */
bool co_futex(long arg[6], long *ret);

#endif
