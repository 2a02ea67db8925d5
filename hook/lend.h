/* SPDX-License-Identifier: MIT */
/* lend.h - O_NONBLOCK for the length of one call that has no other way not to
 * wait (socket.c). */
#ifndef COHOOK_LEND_H
#define COHOOK_LEND_H

#include "hook/wait.h"

/* False, and nothing is changed: somebody else might see it. */
bool co_fd_lend(int fd, struct co_fd *slot);
void co_fd_lend_end(int fd, struct co_fd *slot);

#endif
