/* SPDX-License-Identifier: MIT */
/* where.h - where in the program: return addresses found on a stack, and names
 * for them.  Takes no lock and allocates nothing: for the monitor, and for
 * signal handlers. */
#ifndef COHOOK_WHERE_H
#define COHOOK_WHERE_H

#include <stddef.h>
#include <stdint.h>

/* What looks like return addresses in the words from sp to end: each follows a
 * call instruction.  What an earlier call has left there may be among them.
 * Our own are left out.  How many, most at most; innermost first. */
int co_where_scan(uintptr_t sp, uintptr_t end, uintptr_t *pc, int most);

/* "fgets", "server+0x11d5" where no name is exported, "0x7f..." where nothing is
 * known.  The length. */
int co_where_name(char *buf, int size, uintptr_t pc);

/* " < " between them: callers to the right.  call is the first, unless NULL;
 * libc's own of that name is not the second. */
int co_where_names(char *buf, int size, const char *call, const uintptr_t *pc,
		   int n);

/* Is it in this library? */
int co_where_ours(uintptr_t pc);

#endif
