/* SPDX-License-Identifier: MIT */
/* robust.c - mutexes that a thread held when it ended.
 *
 * For a kernel thread the kernel walks the list of its robust mutexes
 * (set_robust_list(2), robust-futex-ABI in the kernel's documentation).  It
 * does not know a coroutine's end, so the list is walked here.
 */
#include <limits.h>
#include <linux/futex.h>

#include "ctx/sys.h"
#include "hook/robust.h"

/* A list may be damaged; the kernel stops there too (ROBUST_LIST_LIMIT). */
enum { MOST = 2048 };

static void
owner_died(struct robust_list_head *head, struct robust_list *entry, int tid,
	   int kernel_tid)
{
	_Atomic uint32_t *word;
	uint32_t v;

	word = (_Atomic uint32_t *)((uintptr_t)entry + head->futex_offset);
	v = atomic_load(word);
	do {
		if ((v & FUTEX_TID_MASK) != (uint32_t)tid &&
		    (v & FUTEX_TID_MASK) != (uint32_t)kernel_tid)
			return;
	} while (!atomic_compare_exchange_weak(
		word, &v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
	/* Not private: glibc waits for every robust mutex so. */
	if (v & FUTEX_WAITERS)
		sys3(SYS_futex, word, FUTEX_WAKE, 1);
}

void
co_robust_end(struct co *co)
{
	struct robust_list_head *head = co->robust_head;
	struct robust_list *e, *next;
	int n, kernel_tid = co->tid; /* in some it stands so: owner.c */

	if (co->pinned != NULL) {
		kernel_tid = co->pinned->tid;
		/* Its kernel thread ends later than what is on its stack. */
		sys2(SYS_set_robust_list, co->pinned->robust_head, 24);
	}
	if (head == NULL || head->list.next == &head->list)
		return;
	for (e = head->list.next, n = 0; e != &head->list && n < MOST;
	     e = next, n++) {
		/* Bit 0 is set for priority inheritance. */
		e = (struct robust_list *)((uintptr_t)e & ~(uintptr_t)1);
		next = e->next; /* before anybody can lock it again */
		owner_died(head, e, co->tid, kernel_tid);
	}
	head->list.next = &head->list;
	/* glibc's is doubly linked; the other link stands before the head
	 * (nptl/descr.h). */
	((void **)head)[-1] = &head->list;
}
