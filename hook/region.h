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

/* r = call, which is failed where a signal handler interrupted it: a handler
 * that ran for somebody else, who borrowed our kernel thread, does not count. */
#define IN_REGION(r, failed, self, name, lasting, call)                       \
	do {                                                                  \
		unsigned handled_ = (self)->handled;                          \
		int saved_ = errno;                                           \
                                                                              \
		co_region_begin(name, lasting);                               \
		for (;;) {                                                    \
			r = call;                                             \
			if (r != (failed) || errno != EINTR ||                \
			    (self)->handled != handled_)                      \
				break;                                        \
			errno = saved_;                                       \
		}                                                             \
		co_region_end();                                              \
	} while (0)

/* The whole hook of such a call.  unless: it will not block at all. */
#define LET_BLOCK_EINTR(ret, name, params, args, unless)                      \
	COHOOK_EXPORT ret name params                                         \
	{                                                                     \
		struct co *self = co_here();                                  \
		ret r;                                                        \
                                                                              \
		if (likely(self == NULL) || (unless))                         \
			return real.name args;                                \
		IN_REGION(r, (ret)-1, self, #name, true, real.name args);     \
		return r;                                                     \
	}

#endif
