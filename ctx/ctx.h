/* SPDX-License-Identifier: MIT */
/* ctx.h - one flow of control set aside, another continued.
 *
 * A context is a stack pointer and a thread pointer.  Everything else that a
 * call must preserve lies on the stack: see the picture in ctx_<machine>.S.
 */
#ifndef COHOOK_CTX_H
#define COHOOK_CTX_H

#include <stddef.h>
#include <stdint.h>

struct co_ctx {
	void *sp;      /* valid while it is set aside */
	uintptr_t tp;  /* the thread pointer: FS base on x86-64 */
};

/* co_ctx_switch - set the caller aside in from, continue to.
 *
 * Returns when somebody switches back to from, on whatever kernel thread that
 * may be.  The signal mask and the alternate stack stay the kernel thread's.
 */
void co_ctx_switch(struct co_ctx *from, struct co_ctx *to);

/* The registers of a thread that the kernel never made: what it would have
 * had on return from the clone3(2) that was caught. */
struct co_regs {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rip;
};

/* co_ctx_birth - make ctx a flow that calls first(arg) on the stack below
 * regs->rsp and then goes on with regs, as a child of clone3 would.
 *
 * regs must live until first(arg) has returned. */
void co_ctx_birth(struct co_ctx *ctx, struct co_regs *regs, uintptr_t tp,
		  void (*first)(void *), void *arg);

/* The caller's floating-point control words, which a new thread starts with:
 * set aside, and loaded. */
uint64_t co_ctx_fp(void);
void co_ctx_set_fp(uint64_t words);

/* The caller's thread pointer. */
uintptr_t co_ctx_tp(void);

/* Run by the library's first initialiser: which instruction loads the thread
 * pointer?  0, or -1 if none does. */
int co_ctx_init(void);

/* co_ctx_set_tp - load the thread pointer.  For a signal handler that must
 * look like another thread for a while. */
void co_ctx_set_tp(uintptr_t tp);

#endif
