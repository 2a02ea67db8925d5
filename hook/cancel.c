/* SPDX-License-Identifier: MIT */
/* cancel.c - pthread_cancel(3).
 *
 * glibc has the state, the type and the request, and unwinds; who waits in us
 * asks it at co_cancel_point().  Where the type is asynchronous, as it also is
 * within each of glibc's own calls that wait, glibc sends SIGCANCEL, but to
 * the thread id of a coroutine, which the kernel does not know.  So that is
 * queued as a signal for the coroutine: it comes to the kernel thread that
 * runs it, or is sent on when it runs again.
 */
#include <string.h>

#include "ctx/sys.h"
#include "hook/wait.h"

/* rt_sigaction(2): glibc's own refuses SIGCANCEL. */
struct kernel_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

/* What glibc has set. */
static void (*_Atomic glibcs)(int, siginfo_t *, void *);

/* Not for whoever else runs here by now, and not where we hold a lock. */
static void
on_cancel(int sig, siginfo_t *info, void *uc)
{
	struct co *self = co_tls.self;
	int saved = errno;

	if (self == NULL ? co_tls.m != NULL : !self->cancel)
		return;
	if (co_tls.critical > 0 || co_parker()->state != CO_RUN) {
		co_put_off(sig, info, uc);
	} else if (co_sig_is_nudge(info)) {
		co_sig_run_pending(self);
		co_sig_look_again(self);
	} else {
		glibcs(sig, info, uc);
	}
	errno = saved;
}

void
co_cancel_now(void)
{
	sys3(SYS_tgkill, sys0(SYS_getpid), sys0(SYS_gettid), CO_SIGCANCEL);
}

/* glibc sets its handler when it is first asked to cancel: ours goes before
 * it.  NODEFER, for it may be left by unwinding, and then other coroutines
 * run on this kernel thread. */
static void
go_before(void)
{
	struct kernel_sigaction sa;

	if (glibcs != NULL ||
	    sys4(SYS_rt_sigaction, CO_SIGCANCEL, NULL, &sa, 8) != 0 ||
	    sa.handler == NULL || sa.handler == on_cancel)
		return;
	glibcs = sa.handler;
	sa.handler = on_cancel;
	sa.flags |= SA_NODEFER;
	sys4(SYS_rt_sigaction, CO_SIGCANCEL, &sa, NULL, 8);
}

static void *
nothing(void *arg)
{
	return arg;
}

/* The first thread of a process, also of one that a coroutine has forked, has
 * an id that the kernel knows; ours are above those (life.c). */
static bool
kernel_knows(const struct co *co)
{
	return co->tid < 1 << 22;
}

/* Then glibc's signal is sent, and finds whoever runs there by now: our handler
 * must stand before, so glibc is first asked for a thread of no account. */
static void
prepare(void)
{
	struct co_birth b = {
		.stack = 64 * 1024 + co_tcb_room(),
		.guard = 4096,
		.detached = true,
		.light = true,
		.fn = nothing,
	};
	struct co *co;

	if (glibcs != NULL || co_spawn(&b, &co) != 0)
		return;
	co->spent = CO_SPENT;
	real.pthread_cancel(co->tcb.thread);
	go_before();
	co_ready(co);
}

/* From now on it ends glibc's way; false: it has ended. */
static bool
still_lives(struct co *co)
{
	uint8_t spent = CO_LIVES;

	return !co->done &&
	       (atomic_compare_exchange_strong(&co->spent, &spent, CO_SPENT) ||
		spent == CO_SPENT);
}

static void
wake(struct co *co)
{
	atomic_store(&co->sig_todo, 1);
	co_claim_and_wake(&co->parker, CO_SIGNAL);
}

COHOOK_EXPORT int
pthread_cancel(pthread_t th)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	siginfo_t info;
	int r;

	if (co == NULL) {
		r = real.pthread_cancel(th);
		if (co_active) {
			go_before();
			/* It may wait in the lot, where libc does not see it. */
			co_nudge_thread(co_tls_of_thread(th));
		}
		return r;
	}
	if (!still_lives(co))
		return 0;
	if (kernel_knows(co))
		prepare();
	co->cancel = 1;
	r = real.pthread_cancel(th);
	go_before();
	if (r != 0 && r != ESRCH)
		return r;
	memset(&info, 0, sizeof(info));
	info.si_signo = CO_SIGCANCEL;
	info.si_code = SI_TKILL;
	if ((r == ESRCH || kernel_knows(co)) &&
	    co_sig_queue(co, CO_SIGCANCEL, &info) == 0)
		return 0;
	wake(co);
	return 0;
}
