/* SPDX-License-Identifier: MIT */
/* log.h - what we have to say, and where: nowhere, unless COHOOK_LOG asks.
 *
 * One event, one line, one raw write: no stdio, no malloc, errno kept.
 *     cohook[pid.tid#coroutine] level text
 */
#ifndef COHOOK_LOG_H
#define COHOOK_LOG_H

#include <stdatomic.h>

enum co_level { CO_ERROR, CO_WARN, CO_INFO, CO_TRACE };

/* COHOOK_LOG=off|warn|info|trace[:path]; NULL or nonsense: errors alone, which
 * we write where we die, to stderr. */
void co_log_init(const char *spec);

extern int co_log_level;

/* Where it goes; -1: nowhere, but for what we die of. */
int co_log_fd(void);

/* A small printf: %s %d %u %ld %lu %zu %p %x and %%; no widths. */
void co_log(enum co_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define co_trace(...)                                                         \
	(co_log_level >= CO_TRACE ? co_log(CO_TRACE, __VA_ARGS__) : (void)0)

/* The first time that it comes by here. */
#define co_log_once(level, ...)                                               \
	do {                                                                  \
		static _Atomic int said_;                                     \
                                                                              \
		if (atomic_exchange(&said_, 1) == 0)                          \
			co_log(level, __VA_ARGS__);                           \
	} while (0)

/* A broken invariant of ours: one line, a list of all coroutines, abort. */
_Noreturn void co_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* Text into a buffer, as above: returns the length, cut to size - 1. */
int co_format(char *buf, int size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
