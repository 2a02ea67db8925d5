/* SPDX-License-Identifier: MIT */
/* tcb_donor.c - a real thread is born, leaves its block behind, and is gone.
 *
 * The dearest way, for machines that forbid the others.  The thread runs
 * glibc's own start code up to our wrapper, which sets itself aside; then the
 * kernel thread leaves on a stack of its own, having told the kernel to clear
 * nothing of ours.
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "ctx/lock.h"
#include "ctx/sys.h"
#include "ctx/tcb_ways.h"

struct donor {
	struct co_tcb *t;
	void *(*start)(void *);
	void *arg;
	struct co_ctx leave;
	_Atomic uint32_t done;
};

enum { LEAVE_STACK = 16384 };

/* Where a block has its thread's id, from the thread pointer on.  Not to be
 * looked for by its value: 32512 is 0x7f00, the upper half of a pointer. */
static ptrdiff_t tid_at;

static int
is_tid(ptrdiff_t at)
{
	return at > 0 && at < 4096 &&
	       *(int *)(co_ctx_tp() + (uintptr_t)at) == (int)sys0(SYS_gettid);
}

/* The kernel knows, for it is to clear it (CONFIG_CHECKPOINT_RESTORE); and
 * glibc tells debuggers: bits, number, offset. */
int
co_donor_init(void)
{
	const uint32_t *told;
	uintptr_t addr = 0;

	sys5(SYS_prctl, PR_GET_TID_ADDRESS, &addr, 0, 0, 0);
	tid_at = (ptrdiff_t)(addr - co_ctx_tp());
	if (is_tid(tid_at))
		return 0;
	told = dlsym(RTLD_DEFAULT, "_thread_db_pthread_tid");
	if (told == NULL || told[0] != 32)
		return -1;
	tid_at = told[2];
	return is_tid(tid_at) ? 0 : -1;
}

static void
leave(void *arg)
{
	struct donor *d = arg;

	/* At its exit, which may come late, the kernel is to write nothing:
	 * neither to the block, nor to d, which is on its creator's stack. */
	sys1(SYS_set_tid_address, NULL);
	sys2(SYS_set_robust_list, NULL, 24);
	atomic_store_explicit(&d->done, 1, memory_order_release);
	sys_futex_wake(&d->done, 1);
	for (;;)
		sys1(SYS_exit, 0);
}

static void *
give(void *arg)
{
	struct donor *d = arg;
	struct co_tcb *t = d->t;
	void *(*start)(void *) = d->start;
	void *start_arg = d->arg, *robust_head;
	size_t len;

	sys3(SYS_get_robust_list, 0, &robust_head, &len);
	t->ctx.tp = co_ctx_tp();
	t->clear_tid = (int *)(t->ctx.tp + (uintptr_t)tid_at);
	*t->clear_tid = t->tid;
	d->leave.tp = t->ctx.tp;
	co_ctx_switch(&t->ctx, &d->leave);
	/* Continued, one day, by a worker: d is gone.  What glibc's start code
	 * has told the kernel of the donor holds for the worker now. */
	t->first(t->first_arg);
	sys2(SYS_set_robust_list, robust_head, len);
	return start(start_arg);
}

/* The dying thread may run on for a little after it has said so: its stack
 * stays.  One donor dies at a time; the pool is small.  Under lock. */
static struct co_lock lock;
static char *stacks;
static unsigned next;

int
co_donor_create(struct co_tcb *t, const pthread_attr_t *attr,
		void *(*start)(void *), void *arg)
{
	struct donor d = { .t = t, .start = start, .arg = arg };
	struct co_regs regs = { 0 };
	int err;
	uint64_t all = ~UINT64_C(0), old;
	char *stack;

	co_lock(&lock);
	if (stacks == NULL) {
		stacks = mmap(NULL, LEAVE_STACK * 64, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			      0);
		if (stacks == MAP_FAILED) {
			stacks = NULL;
			co_unlock(&lock);
			return EAGAIN;
		}
	}
	stack = stacks + LEAVE_STACK * (next++ % 64);
	regs.rsp = (uint64_t)(stack + LEAVE_STACK);
	co_ctx_birth(&d.leave, &regs, 0, leave, &d);
	/* The donor must take no signal: it looks like a coroutine, and is none. */
	sys_sigmask(SIG_BLOCK, &all, &old);
	err = co_libc.create(&t->thread, attr, give, &d);
	if (err == 0)
		while (!atomic_load_explicit(&d.done, memory_order_acquire))
			sys_futex_wait(&d.done, 0, NULL);
	sys_sigmask(SIG_SETMASK, &old, NULL);
	co_unlock(&lock);
	return err;
}

void
co_donor_forked(void)
{
	lock.word = 0;
}
