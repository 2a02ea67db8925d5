/* SPDX-License-Identifier: MIT */
/* region.h - calls that block where we cannot reach in: the kernel thread
 * waits, and another takes the worker's slot over. */
#ifndef COHOOK_REGION_H
#define COHOOK_REGION_H

#include "hook/wait.h"

/* The whole hook. */
#define LET_BLOCK(ret, name, params, args)                                    \
	COHOOK_EXPORT ret name params                                         \
	{                                                                     \
		ret r;                                                        \
                                                                              \
		if (likely(co_here() == NULL))                                \
			return real.name args;                                \
		co_region_begin(#name, true);                                 \
		r = real.name args;                                           \
		co_region_end();                                              \
		return r;                                                     \
	}

/* The same for one that seldom blocks for long: whoever looks sees its name,
 * and the monitor takes over where it does. */
#define MAY_BLOCK(ret, name, params, args)                                    \
	COHOOK_EXPORT ret name params                                         \
	{                                                                     \
		ret r;                                                        \
                                                                              \
		if (likely(co_here() == NULL))                                \
			return real.name args;                                \
		co_region_begin(#name, false);                                \
		r = real.name args;                                           \
		co_region_end();                                              \
		return r;                                                     \
	}

/* The same for a call that a signal handler interrupts: one that ran for
 * somebody else, who borrowed our kernel thread, does not count.  unless: it
 * will not block at all. */
#define LET_BLOCK_EINTR(ret, name, params, args, unless)                      \
	COHOOK_EXPORT ret name params                                         \
	{                                                                     \
		struct co *self = co_here();                                  \
		unsigned handled;                                             \
		int saved = errno;                                            \
		ret r;                                                        \
                                                                              \
		if (likely(self == NULL) || (unless))                         \
			return real.name args;                                \
		handled = self->handled;                                      \
		co_region_begin(#name, true);                                 \
		for (;;) {                                                    \
			r = real.name args;                                   \
			if ((long)r != -1 || errno != EINTR ||                \
			    self->handled != handled)                         \
				break;                                        \
			errno = saved;                                        \
		}                                                             \
		co_region_end();                                              \
		return r;                                                     \
	}

#endif
