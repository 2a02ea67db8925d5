/* SPDX-License-Identifier: MIT */
/* sys_x86_64.h - the system call instruction of x86-64 (psABI, appendix A). */
#ifndef COHOOK_SYS_X86_64_H
#define COHOOK_SYS_X86_64_H

static inline long
co_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

#endif
