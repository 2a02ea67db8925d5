/* SPDX-License-Identifier: MIT */
/* calls.h - hooks that syscall(2) leads to as well: as libc's names have it,
 * errno included. */
#ifndef COHOOK_CALLS_H
#define COHOOK_CALLS_H

#include <stdbool.h>

#include "hook/real.h"

/* A hook by a name that is ours alone: its own would lead through the tables
 * of whoever comes before us.  CO_CALL in the file that defines it. */
#define CO_CALL(name)                                                         \
	extern __typeof__(name) co_call_##name                                \
		__attribute__((visibility("hidden"), alias(#name),            \
			       COHOOK_SAME_AS(name)))
#define CO_CALL_OF(name) extern __typeof__(name) co_call_##name

/* Declared by no header of libc's. */
int capset(void *header, const void *data);
int capget(void *header, void *data);

/* futex.c: false: it is the kernel's alone. */
bool co_futex(long arg[6], long *ret);

/* sigwait.c: rt_sigtimedwait(2), which tells what tgkill(2) has sent. */
int co_sigtimedwait_raw(const sigset_t *set, siginfo_t *info,
			const struct timespec *timeout);
/* The same file: rt_tgsigqueueinfo(2). */
long co_tgsigqueueinfo_raw(const long a[6]);

/* sigfd.c: signalfd(2) and signalfd4(2). */
long co_signalfd_raw(long nr, const long a[6]);

/* number.c: of those that have no name in libc, or mean all threads there, what
 * is one thread's alone; false: it is for the kernel as it is. */
bool co_pin_syscall(long nr, const long a[6], long *ret);

#endif
