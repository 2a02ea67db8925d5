/* SPDX-License-Identifier: MIT */
/* jump.c - jumps that bring a signal mask along, which libc sets by itself. */
#include <setjmp.h>
#include <ucontext.h>

#include "hook/wait.h"

/* glibc: struct __jmp_buf_tag, in <bits/types/struct___jmp_buf_tag.h>. */
static void
take_mask(const jmp_buf env)
{
	if (unlikely(co_active) && co_here() != NULL && env->__mask_was_saved)
		co_sigmask(SIG_SETMASK, (const sigset_t *)&env->__saved_mask,
			   NULL);
}

#define JUMP(name)                                                            \
	COHOOK_EXPORT void name(jmp_buf env, int val)          \
	{                                                                     \
		take_mask(env);                                               \
		real.name(env, val);                                          \
		__builtin_unreachable();                                      \
	}

JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)

/* A program that switches contexts of its own changes the mask at each: the
 * kernel is asked from then on. */
static void
switches(void)
{
	struct co *self = co_here();

	if (self != NULL)
		self->uses_masks = 1;
}

COHOOK_EXPORT int
setcontext(const ucontext_t *uc)
{
	switches();
	return real.setcontext(uc);
}

/* Called by swapcontext's assembly: where it goes on. */
void *co_swapcontext_real(void);
void *
co_swapcontext_real(void)
{
	switches();
	return (void *)(uintptr_t)real.swapcontext;
}
