/* SPDX-License-Identifier: MIT */
/* files.h - what has been opened. */
#ifndef COHOOK_FILES_H
#define COHOOK_FILES_H

/* A call of libc's has returned this descriptor, or -1.  Returns it. */
int co_opened(int fd);

#endif
