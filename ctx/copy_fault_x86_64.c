/* SPDX-License-Identifier: MIT */
/* copy_fault_x86_64.c - how a fault in co_copy() becomes its answer. */
#include <stdint.h>
#include <ucontext.h>

#include "ctx/copy.h"

extern char co_copy_end[], co_copy_fault[];

bool
co_copy_caught(void *uctx)
{
	greg_t *r = ((ucontext_t *)uctx)->uc_mcontext.gregs;
	uintptr_t at = (uintptr_t)r[REG_RIP];

	if (at < (uintptr_t)co_copy || at >= (uintptr_t)co_copy_end)
		return false;
	r[REG_RIP] = (greg_t)(uintptr_t)co_copy_fault;
	return true;
}
