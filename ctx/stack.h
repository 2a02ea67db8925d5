/* SPDX-License-Identifier: MIT */
/* stack.h - stacks, carved from large slabs, with guard pages, pooled.
 *
 *     low  | guard | stack, size bytes          |  high
 *
 * A slab is MAP_NORESERVE: pages are committed as they are touched.  A guard
 * costs no mapping of its own where the kernel has MADV_GUARD_INSTALL (6.13);
 * before that it is mprotect(2), two mappings a stack, until
 * vm.max_map_count says stop; then there is none, and the log says so once.
 */
#ifndef COHOOK_STACK_H
#define COHOOK_STACK_H

#include <stddef.h>
#include <stdint.h>

struct co_stack {
	char *base;    /* lowest usable byte: the guard lies below */
	size_t size;   /* bytes from base */
	size_t guard;  /* bytes of guard below base that really fault */
	size_t room;   /* bytes set apart below base for it */
};

enum co_guard { CO_GUARD_MADVISE, CO_GUARD_MPROTECT, CO_GUARD_NONE };

/* Begin with this kind of guard; CO_GUARD_MADVISE falls back by itself.
 * exec: code may run on them. */
void co_stack_init(enum co_guard kind, int exec);
enum co_guard co_stack_guard_kind(void);
const char *co_stack_guard_name(void);
/* Is there now none, though some kind was asked for? */
int co_stack_unguarded(void);

/* A stack of size bytes, guard more below; both are rounded up to pages.
 * 0, or -1 if there is no address space for it. */
int co_stack_get(struct co_stack *s, size_t size, size_t guard);

/* Give it back.  deep: it may have been used far down, return those pages to
 * the kernel. */
void co_stack_put(struct co_stack *s, int deep);

/* Return what lies more than keep bytes below sp to the kernel; sp is in the
 * stack, and nothing below it is needed any more. */
void co_stack_trim(struct co_stack *s, uintptr_t sp, size_t keep);

/* Was it used down to keep bytes below sp?  A guess, by what was left there. */
int co_stack_deep(const struct co_stack *s, uintptr_t sp, size_t keep);

/* In the child of a fork: stacks that others held are lost, locks are free. */
void co_stack_forked(void);

#endif
