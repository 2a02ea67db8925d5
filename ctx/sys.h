/* SPDX-License-Identifier: MIT */
/* sys.h - system calls past libc: nothing in here can be hooked, cancelled or
 * change errno.
 *
 * All return what the kernel does: -errno on failure.
 */
#ifndef COHOOK_SYS_H
#define COHOOK_SYS_H

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__x86_64__)
#include "ctx/sys_x86_64.h"
#else
#error "sys.h knows no system call instruction for this machine"
#endif

/* The build of tests/faults has them fail now and then. */
#ifdef COHOOK_FAULTS
#define CO_SYSCALL6 co_faulty_syscall6
long co_faulty_syscall6(long nr, long a, long b, long c, long d, long e,
			long f);
long co_faulty_futex_wait(void *word, uint32_t value,
			  const struct timespec *deadline);
void co_faulty_lock(void);
void co_faulty_unlock(void);
#else
#define CO_SYSCALL6 co_syscall6
static inline void
co_faulty_lock(void)
{
}
static inline void
co_faulty_unlock(void)
{
}
#endif

#define SYS_ARG(x) ((long)(x))
#define sys0(nr) CO_SYSCALL6((nr), 0, 0, 0, 0, 0, 0)
#define sys1(nr, a) CO_SYSCALL6((nr), SYS_ARG(a), 0, 0, 0, 0, 0)
#define sys2(nr, a, b) CO_SYSCALL6((nr), SYS_ARG(a), SYS_ARG(b), 0, 0, 0, 0)
#define sys3(nr, a, b, c)                                                     \
	CO_SYSCALL6((nr), SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), 0, 0, 0)
#define sys4(nr, a, b, c, d)                                                  \
	CO_SYSCALL6((nr), SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d), 0, 0)
#define sys5(nr, a, b, c, d, e)                                               \
	CO_SYSCALL6((nr), SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d),     \
		    SYS_ARG(e), 0)
#define sys6(nr, a, b, c, d, e, f)                                            \
	CO_SYSCALL6((nr), SYS_ARG(a), SYS_ARG(b), SYS_ARG(c), SYS_ARG(d),     \
		    SYS_ARG(e), SYS_ARG(f))

/* Sleep while *word is still value; deadline is absolute CLOCK_MONOTONIC, NULL
 * for none.  0, -EAGAIN, -EINTR or -ETIMEDOUT. */
static inline long
sys_futex_wait(void *word, uint32_t value, const struct timespec *deadline)
{
#ifdef COHOOK_FAULTS
	return co_faulty_futex_wait(word, value, deadline);
#else
	return sys6(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
		    value, deadline, 0, FUTEX_BITSET_MATCH_ANY);
#endif
}

static inline long
sys_futex_wake(void *word, int n)
{
	return sys3(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n);
}

/* The kernel's signal set: 64 signals, bit 0 is signal 1. */
#define CO_SIGBIT(sig) (UINT64_C(1) << ((sig)-1))

static inline long
sys_sigmask(int how, const uint64_t *set, uint64_t *old)
{
	return sys4(SYS_rt_sigprocmask, how, set, old, 8);
}

#endif
