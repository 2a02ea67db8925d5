/* SPDX-License-Identifier: MIT */
/* tcb_sud_x86_64.c - clone3 caught by Syscall User Dispatch.
 *
 * Documentation/admin-guide/syscall-user-dispatch.rst: while a byte of ours
 * says BLOCK, each system call of this kernel thread comes as SIGSYS instead.
 * It is on around pthread_create() alone, for it makes each call dearer.
 *
 * A trap while SIGSYS is blocked kills the process, so it is taken out of
 * every mask that glibc sets meanwhile.
 */
#include <linux/prctl.h>
#include <linux/sched.h>
#include <string.h>
#include <ucontext.h>

#include "ctx/sys.h"
#include "ctx/tcb_ways.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#define PR_SYS_DISPATCH_ON 1
#endif
#ifndef SYS_USER_DISPATCH
#define SYS_USER_DISPATCH 2
#endif
enum { ALLOW = 0, BLOCK = 1 };

extern const char co_sud_restorer[], co_sud_restorer_end[];

/* The kernel reads selector at each system call of the thread that set it. */
static __thread volatile char selector;
static __thread struct co_tcb *catching;   /* in co_sud_create() */
static __thread void (*exit_to)(void *);   /* after co_sud_catch_exit() */
static __thread void *exit_arg;
static __thread int traps;

struct kernel_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	const char *restorer;
	uint64_t mask;
};
#define SA_RESTORER_ 0x04000000

static void
dispatch(int on)
{
	selector = ALLOW;
	if (on)
		sys5(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH,
		     PR_SYS_DISPATCH_ON, co_sud_restorer,
		     co_sud_restorer_end - co_sud_restorer, &selector);
	else
		sys5(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH,
		     PR_SYS_DISPATCH_OFF, 0, 0, 0);
}

static void
catch_clone3(struct co_tcb *t, greg_t *r, const struct clone_args *args)
{
	struct co_regs *g = &t->regs;

	g->rax = 0; /* the child's answer */
	g->rbx = r[REG_RBX];
	g->rcx = r[REG_RCX];
	g->rdx = r[REG_RDX];
	g->rsi = r[REG_RSI];
	g->rdi = r[REG_RDI];
	g->rbp = r[REG_RBP];
	g->rsp = args->stack + args->stack_size;
	g->r8 = r[REG_R8];
	g->r9 = r[REG_R9];
	g->r10 = r[REG_R10];
	g->r12 = r[REG_R12];
	g->r13 = r[REG_R13];
	g->r14 = r[REG_R14];
	g->r15 = r[REG_R15];
	g->rip = r[REG_RIP];
	t->ctx.tp = args->tls;
	t->clear_tid = (int *)(uintptr_t)args->child_tid;
	if (args->flags & CLONE_PARENT_SETTID)
		*(int *)(uintptr_t)args->parent_tid = t->tid;
	r[REG_RAX] = t->tid;
}

/* Linux's clone(2), for a glibc that falls back to it: x86-64 has flags,
 * stack, parent_tid, child_tid, tls in rdi, rsi, rdx, r10, r8. */
static void
catch_clone(struct co_tcb *t, greg_t *r)
{
	struct clone_args args = {
		.flags = r[REG_RDI],
		.stack = r[REG_RSI],
		.parent_tid = r[REG_RDX],
		.child_tid = r[REG_R10],
		.tls = r[REG_R8],
	};

	catch_clone3(t, r, &args);
}

/* rt_sigprocmask(2) for who was interrupted: its mask is the one that our
 * return sets, not the handler's. */
static long
set_mask(ucontext_t *uc, int how, const uint64_t *set, uint64_t *old)
{
	uint64_t mask;

	memcpy(&mask, &uc->uc_sigmask, sizeof(mask));
	if (old != NULL)
		*old = mask;
	if (set == NULL)
		return 0;
	switch (how) {
	case SIG_BLOCK:
		mask |= *set;
		break;
	case SIG_UNBLOCK:
		mask &= ~*set;
		break;
	case SIG_SETMASK:
		mask = *set;
		break;
	default:
		return -EINVAL;
	}
	mask &= ~CO_SIGBIT(SIGSYS);
	memcpy(&uc->uc_sigmask, &mask, sizeof(mask));
	return 0;
}

int
co_sud_sigsys(siginfo_t *info, void *uctx)
{
	ucontext_t *uc = uctx;
	greg_t *r = uc->uc_mcontext.gregs;

	if (info->si_code != SYS_USER_DISPATCH)
		return 0;
	selector = ALLOW;
	traps++;
	switch (r[REG_RAX]) {
	case SYS_clone3:
		if (catching == NULL)
			goto pass;
		catch_clone3(catching, r,
			     (struct clone_args *)(uintptr_t)r[REG_RDI]);
		catching = NULL;
		break;
	case SYS_clone:
		if (catching == NULL)
			goto pass;
		catch_clone(catching, r);
		catching = NULL;
		break;
	case SYS_rt_sigprocmask:
		r[REG_RAX] = set_mask(uc, (int)r[REG_RDI],
				      (const uint64_t *)(uintptr_t)r[REG_RSI],
				      (uint64_t *)(uintptr_t)r[REG_RDX]);
		break;
	case SYS_exit:
		if (exit_to == NULL)
			goto pass;
		dispatch(0);
		exit_to(exit_arg); /* another context: we never return */
		__builtin_trap();
	default:
	pass:
		r[REG_RAX] = co_syscall6(r[REG_RAX], r[REG_RDI], r[REG_RSI],
					 r[REG_RDX], r[REG_R10], r[REG_R8],
					 r[REG_R9]);
	}
	selector = BLOCK;
	return 1;
}

static void
on_sigsys(int sig, siginfo_t *info, void *uctx)
{
	(void)sig;
	co_sud_sigsys(info, uctx);
}

/* The program's own SIGSYS handler, if it has one, is put behind ours by
 * hook/signal.c, which calls co_tcb_sigsys() first. */
static int
install(void)
{
	struct kernel_sigaction sa = {
		.handler = on_sigsys,
		/* NODEFER: the exit trap leaves without a sigreturn. */
		.flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | SA_RESTORER_,
		.restorer = co_sud_restorer,
		.mask = ~(CO_SIGBIT(SIGSYS) | CO_SIGBIT(SIGSEGV)),
	};

	return sys4(SYS_rt_sigaction, SIGSYS, &sa, NULL, 8) == 0 ? 0 : -1;
}

/* Off; the mask as it was. */
struct guard {
	uint64_t mask;
};

/* Nothing is handled while it is on but what an instruction brings about: any
 * other handler's return would be a system call of libc's, and caught; it can
 * only be made where the handler's frame is. */
static const uint64_t all_but_faults =
	~(CO_SIGBIT(SIGSYS) | CO_SIGBIT(SIGSEGV) | CO_SIGBIT(SIGBUS) |
	  CO_SIGBIT(SIGFPE) | CO_SIGBIT(SIGILL) | CO_SIGBIT(SIGTRAP));

static void
begin(struct guard *g)
{
	sys_sigmask(SIG_SETMASK, &all_but_faults, &g->mask);
	dispatch(1);
}

static void
end(const struct guard *g)
{
	dispatch(0);
	sys_sigmask(SIG_SETMASK, &g->mask, NULL);
}

int
co_sud_init(void)
{
	struct guard g;
	long pid;

	if (sys5(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF,
		 0, 0, 0) != 0)
		return -1;
	if (install() != 0)
		return -1;
	traps = 0;
	begin(&g);
	selector = BLOCK;
	pid = sys0(SYS_getpid);
	selector = ALLOW;
	end(&g);
	return traps == 1 && pid > 0 ? 0 : -1;
}

int
co_sud_create(struct co_tcb *t, const pthread_attr_t *attr,
	      void *(*start)(void *), void *arg)
{
	struct guard g;
	int err;

	begin(&g);
	catching = t;
	selector = BLOCK;
	err = co_libc.create(&t->thread, attr, start, arg);
	selector = ALLOW;
	catching = NULL;
	end(&g);
	return err;
}

void
co_sud_catch_exit(void (*gone)(void *), void *arg)
{
	exit_to = gone;
	exit_arg = arg;
	sys_sigmask(SIG_SETMASK, &all_but_faults, NULL);
	dispatch(1);
	selector = BLOCK;
}
