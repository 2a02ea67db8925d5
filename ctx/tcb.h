/* SPDX-License-Identifier: MIT */
/* tcb.h - thread control blocks from glibc itself.
 *
 * glibc's own pthread_create() makes the block, lists it and hands it to
 * clone3(2).  We catch just that call: its registers are a coroutine's first
 * context, and the kernel makes no thread.
 *
 * Ways, best first:
 *     sud     Syscall User Dispatch (Linux 5.11): clone3 arrives as SIGSYS
 *     patch   the one `mov $435,%eax; syscall' of libc is overwritten
 *     donor   a real thread is born, leaves its block behind, and is gone
 */
#ifndef COHOOK_TCB_H
#define COHOOK_TCB_H

#include <link.h>
#include <pthread.h>
#include <signal.h>

#include "ctx/ctx.h"

/* What ctx/ and sched/ need of libc though it is hooked: the real ones. */
struct co_libc {
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
		      void *);
	int (*join)(pthread_t, void **);
	int (*clock)(clockid_t, struct timespec *);
	int (*iterate_phdr)(int (*)(struct dl_phdr_info *, size_t, void *),
			    void *);
};
extern struct co_libc co_libc;

enum co_tcb_way {
	CO_TCB_NONE,
	CO_TCB_SUD,
	CO_TCB_PATCH,
	CO_TCB_DONOR,
};

struct co_tcb {
	struct co_ctx ctx;    /* what to switch to; the first time, its birth */
	pthread_t thread;
	int *clear_tid;       /* where the kernel would clear the id at exit */
	int tid;              /* the id that glibc was told: set by the caller */
	void (*first)(void *);
	void *first_arg;
	struct co_regs regs;  /* at its birth alone: out of the way */
};

/* co_tcb_init - find the best way that works here, by trying it.
 *
 * wanted  a way to insist on, or CO_TCB_NONE for the best.
 * Returns the way, or CO_TCB_NONE.  One thread only. */
enum co_tcb_way co_tcb_init(enum co_tcb_way wanted);
const char *co_tcb_name(enum co_tcb_way way);

/* What a stack of ours must be larger by than what is to be used of it, bytes:
 * the block and all thread-locals lie on it.  0 where those are few. */
size_t co_tcb_room(void);

/* co_tcb_create - pthread_create(attr, start, arg), but for the kernel thread.
 *
 * t->tid is the thread id to be, t->first(t->first_arg) is called on the new
 * stack before glibc's own code goes on.  attr has a stack of the caller's.
 * Returns 0, or an errno value.
 */
int co_tcb_create(struct co_tcb *t, const pthread_attr_t *attr,
		  void *(*start)(void *), void *arg);

/* co_tcb_catch_exit - the caller, a coroutine in the last of its thread-key
 * destructors, is about to leave through glibc's own code: call gone(arg) in
 * place of exit(2).  gone does not return.  If that cannot be had, it calls
 * gone at once, and what glibc frees last is lost. */
void co_tcb_catch_exit(void (*gone)(void *), void *arg);

/* In the child of a fork. */
void co_tcb_forked(void);

/* SIGSYS as the kernel sends it for SUD; 1 if it was that. */
int co_tcb_sigsys(siginfo_t *info, void *uctx);

#endif
