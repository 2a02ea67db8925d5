/* SPDX-License-Identifier: MIT */
/* sys.h - in ctx/sys.h's place: a kernel of a few calls. */
#ifndef COHOOK_SYS_H
#define COHOOK_SYS_H

#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

long model_syscall(long nr, long a, long b, long c, long d);
long model_futex_wait(void *word, uint32_t value);
long model_futex_wake(void *word);

#define A(x) ((long)(x))
#define sys0(nr) model_syscall((nr), 0, 0, 0, 0)
#define sys1(nr, a) model_syscall((nr), A(a), 0, 0, 0)
#define sys2(nr, a, b) model_syscall((nr), A(a), A(b), 0, 0)
#define sys3(nr, a, b, c) model_syscall((nr), A(a), A(b), A(c), 0)
#define sys4(nr, a, b, c, d) model_syscall((nr), A(a), A(b), A(c), A(d))
#define sys6(nr, a, b, c, d, e, f) model_syscall((nr), A(a), A(b), A(c), A(d))
#define sys_futex_wait(word, value, ts) \
	((void)(ts), model_futex_wait(word, value))
#define sys_futex_wake(word, n) model_futex_wake(word)
#define sys_sigmask(how, set, old) ((void)(set), (void)(old))
#define CO_SIGBIT(sig) (UINT64_C(1) << ((sig)-1))

#endif
