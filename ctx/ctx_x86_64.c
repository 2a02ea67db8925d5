/* SPDX-License-Identifier: MIT */
/* ctx_x86_64.c - the first picture on a new stack, and the FS base. */
#include <asm/prctl.h>
#include <string.h>
#include <sys/auxv.h>

#include "ctx/ctx.h"
#include "ctx/sys.h"

/* Linux, arch/x86/include/uapi/asm/hwcap2.h: user mode may use the FSGSBASE
 * instructions.  Valgrind knows neither them nor the bit. */
#define HWCAP2_FSGSBASE_ (1 << 1)

extern uint8_t co_ctx_no_fsgsbase;
uint8_t co_ctx_no_fsgsbase = 1;

void co_ctx_entry(void);

/* The picture drawn at the top of ctx_x86_64.S, as a struct. */
struct frame {
	uint32_t mxcsr;
	uint16_t fpucw, pad;
	uintptr_t r15, r14, r13, r12, rbx, rbp;
	uintptr_t ret;
};

_Static_assert(sizeof(struct frame) == 64, "must match ctx_x86_64.S");
_Static_assert(offsetof(struct co_regs, rip) == 128, "must match the .S");

/* The red zone of whoever was interrupted, and room to align. */
enum { BELOW = 256 };

void
co_ctx_birth(struct co_ctx *ctx, struct co_regs *regs, uintptr_t tp,
	     void (*first)(void *), void *arg)
{
	uintptr_t sp = (regs->rsp - BELOW) & ~(uintptr_t)15;
	struct frame *f;

	f = (struct frame *)(sp - sizeof(*f));
	memset(f, 0, sizeof(*f));
	/* A child starts with its creator's control words (fesetround(3)). */
	__asm__("stmxcsr %0" : "=m"(f->mxcsr));
	__asm__("fnstcw %0" : "=m"(f->fpucw));
	f->rbx = (uintptr_t)regs;
	f->r12 = (uintptr_t)first;
	f->r13 = (uintptr_t)arg;
	f->ret = (uintptr_t)co_ctx_entry + 1; /* past the nop */
	ctx->sp = f;
	ctx->tp = tp;
}

uintptr_t
co_ctx_tp(void)
{
	uintptr_t tp;

	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

void
co_ctx_set_tp(uintptr_t tp)
{
	if (co_ctx_no_fsgsbase)
		sys2(SYS_arch_prctl, ARCH_SET_FS, tp);
	else
		__asm__ volatile("wrfsbase %0" : : "r"(tp) : "memory");
}

int
co_ctx_init(void)
{
	co_ctx_no_fsgsbase = !(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_);
	return 0;
}

uint64_t
co_ctx_fp(void)
{
	uint32_t mxcsr;
	uint16_t cw;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(cw));
	return (uint64_t)cw << 32 | mxcsr;
}

void
co_ctx_set_fp(uint64_t words)
{
	uint32_t mxcsr = (uint32_t)words;
	uint16_t cw = (uint16_t)(words >> 32);

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fldcw %0" : : "m"(cw));
}
