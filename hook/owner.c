/* SPDX-License-Identifier: MIT */
/* owner.c - mutexes whose owner the kernel must know.
 *
 * Of a process-shared mutex the kernel finds the owner by the thread id in it:
 * when that dies (robust), or to lend it a priority (priority-inheriting); and
 * a priority-protecting one changes its owner's.  A coroutine's id is none to
 * the kernel.  So who locks such a mutex has a kernel thread of its own from
 * then on, and stands in these mutexes, and only there, with that one's id:
 * glibc takes it from the thread's block, where it is put for as long as
 * glibc's own call takes.
 */
#include <linux/futex.h>

#include "hook/lock.h"

enum { ROBUST = 16, INHERIT = 32, PROTECT = 64, SHARED = 128 };

bool
co_owner_begin(const pthread_mutex_t *m)
{
	struct co *self = co_tls.self;
	int kind = m->__data.__kind;

	if (self == NULL ||
	    !(kind & PROTECT || (kind & SHARED && kind & (ROBUST | INHERIT))))
		return false;
	/* Locked before there was a runtime, by main: its id is real. */
	if ((kind & PROTECT ? m->__data.__owner :
			      m->__data.__lock & FUTEX_TID_MASK) == self->tid)
		return false;
	if (self->tcb.clear_tid == NULL || !co_pin())
		return false;
	*self->tcb.clear_tid = self->pinned->tid;
	return true;
}

void
co_owner_end(bool begun)
{
	if (begun)
		*co_tls.self->tcb.clear_tid = co_tls.self->tid;
}
