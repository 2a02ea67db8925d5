/* SPDX-License-Identifier: MIT */
/* signal.c - the program's signal handlers, each run in the thread it is for.
 *
 * Where the program sets a handler, the kernel gets ours.  It puts off what
 * comes while we hold a lock of our own, chooses the coroutine as the kernel
 * would choose a thread (the main one first, then one that does not block it),
 * and runs the handler there, on that one's stack.
 */
#include <string.h>
#include <ucontext.h>

#include "ctx/copy.h"
#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/wait.h"
#include "sched/log.h"
#include "sched/where.h"

enum { SIGNALS = 65 };

/* What the program thinks is set.  Written by sigaction(2)'s callers, who
 * know best in which order. */
static struct sigaction view[SIGNALS];

static uint64_t
bits(const sigset_t *set)
{
	uint64_t b;

	memcpy(&b, set, sizeof(b));
	return b;
}

static const uint64_t *
uc_mask(void *uc)
{
	return (const uint64_t *)&((ucontext_t *)uc)->uc_sigmask;
}

static bool
is_handler(const struct sigaction *sa)
{
	return sa->sa_handler != SIG_DFL && sa->sa_handler != SIG_IGN;
}

/* By the program, or by itself. */
static bool
is_ignored(int sig, const struct sigaction *sa)
{
	return sa->sa_handler == SIG_IGN ||
	       (sa->sa_handler == SIG_DFL &&
		(sig == SIGCHLD || sig == SIGCONT || sig == SIGURG ||
		 sig == SIGWINCH));
}

static void
call(const struct sigaction *sa, int sig, siginfo_t *info, void *uc)
{
	if (sa->sa_flags & SA_SIGINFO)
		sa->sa_sigaction(sig, info, uc);
	else
		sa->sa_handler(sig);
}

/* Run it in the calling thread, whose kernel mask is right already. */
static void
run_here(int sig, siginfo_t *info, void *uc)
{
	struct sigaction sa = view[sig];
	struct co *self = co_tls.self;

	if (!is_handler(&sa)) {
		/* It waited while it was blocked: the kernel knows what its
		 * default is. */
		if (sa.sa_handler == SIG_DFL && uc == NULL)
			sys3(SYS_tgkill, sys0(SYS_getpid), sys0(SYS_gettid),
			     sig);
		return;
	}
	if (sa.sa_flags & (int)SA_RESETHAND)
		view[sig].sa_handler = SIG_DFL;
	if (self == NULL) {
		co_tls.handled++;
		if (!(sa.sa_flags & SA_RESTART))
			co_tls.interrupted++;
		call(&sa, sig, info, uc);
		return;
	}
	self->handled++;
	if (!(sa.sa_flags & SA_RESTART))
		self->interrupted++;
	/* It may take long, or never return. */
	if (unlikely(self->turn != NULL))
		co_fd_pass(self);
	self->in_handler++;
	call(&sa, sig, info, uc);
	co_tls.self->in_handler--;
}

/* One that was queued: the coroutine runs it when it goes on. */
static void
run_queued(struct co *self, int sig, siginfo_t *info)
{
	struct sigaction sa = view[sig];
	uint64_t mask = bits(&sa.sa_mask), old;
	ucontext_t uc;

	(void)self;
	if (sig == CO_SIGCANCEL) {
		co_cancel_now();
		return;
	}
	if (sig == CO_SIGSETXID) { /* nobody's signal: ours */
		co_pin_asked(info->si_value.sival_ptr);
		return;
	}
	if (!is_handler(&sa)) {
		run_here(sig, info, NULL);
		return;
	}
	if (!(sa.sa_flags & SA_NODEFER))
		mask |= CO_SIGBIT(sig);
	memset(&uc, 0, sizeof(uc));
	getcontext(&uc);
	sys_sigmask(SIG_BLOCK, &mask, &old);
	memcpy(&uc.uc_sigmask, &old, sizeof(old));
	run_here(sig, info, &uc);
	if (co_tls.self != NULL && co_tls.self->sigmask != old)
		co_sig_mask_returns(co_tls.self, old);
	sys_sigmask(SIG_SETMASK, &old, NULL);
	/* What came meanwhile, and was blocked. */
	if (co_tls.self != NULL && co_tls.self->npending > 0)
		co_sig_run_pending(co_tls.self);
}

static bool
blocks(const struct co *co, int sig)
{
	return co->sigmask & CO_SIGBIT(sig);
}

/* Whose is it?  NULL: nobody's now. */
static struct co *
choose(int sig, const siginfo_t *info, struct co *self)
{
	struct co *co = co_main_alive;

	/* Sent to this thread: raise(3), or a write to a broken pipe or
	 * beyond the limit of a file. */
	if (self != NULL && (info->si_code == SI_TKILL || sig == SIGPIPE ||
			     sig == SIGXFSZ))
		return self;
	if (self != NULL && self->to_self & CO_SIGBIT(sig)) {
		self->to_self &= ~CO_SIGBIT(sig);
		return self;
	}
	/* A pinned one too, though the kernel may choose it for others. */
	if (self != NULL && self->pinned != NULL &&
	    (info->si_code == SI_TIMER
		     ? self->thread_timer
		     : info->si_code == SI_QUEUE &&
			       info->si_pid == (pid_t)sys0(SYS_getpid)))
		return self;
	if (co != NULL && !blocks(co, sig) &&
	    (co == self || co->state != CO_S_RUNNING || co->pinned != NULL))
		return co;
	if (self != NULL)
		return self;
	if (co != NULL && !blocks(co, sig))
		return co;
	co_critical_begin();
	co_lock(&co_all_lock);
	for (co = co_all; co != NULL && blocks(co, sig); co = co->all_next)
		;
	co_unlock(&co_all_lock);
	co_critical_end();
	return co;
}

/* Everybody blocks it: it stays pending for the process, whose kernel threads
 * all block it from now on. */
static void
put_back(int sig, siginfo_t *info)
{
	long pid = sys0(SYS_getpid);

	if (co_tls.m != NULL)
		co_sig_idle(co_tls.m, true);
	if (sys3(SYS_rt_sigqueueinfo, pid, sig, info) != 0)
		sys2(SYS_kill, pid, sig);
}

static void
deliver(int sig, siginfo_t *info, void *uc)
{
	struct co *self = co_tls.self, *co;

	if (self == NULL && co_tls.m == NULL) {
		run_here(sig, info, uc); /* a thread that is not ours */
		return;
	}
	if (co_sig_is_nudge(info)) {
		co_sig_nudge_seen(co_m(), sig);
		if (self == NULL)
			return;
		if (uc != NULL)
			sys_sigmask(SIG_SETMASK, uc_mask(uc), NULL);
		co_sig_run_pending(self);
		return;
	}
	co = choose(sig, info, self);
	if (co == NULL)
		put_back(sig, info);
	else if (co != self)
		co_sig_queue(co, sig, info);
	else if (uc != NULL)
		run_here(sig, info, uc);
	else
		run_queued(co, sig, info);
}

static void
deliver_deferred(struct co_sig *s)
{
	struct co *self = co_tls.self;

	if (s->signo == CO_SIGCANCEL)
		co_cancel_now();
	else if (self == NULL && co_tls.m == NULL)
		run_queued(NULL, s->signo, &s->info);
	else if (self != NULL && blocks(self, s->signo) &&
		 choose(s->signo, &s->info, NULL) != NULL)
		co_sig_queue(choose(s->signo, &s->info, NULL), s->signo,
			     &s->info);
	else
		deliver(s->signo, &s->info, NULL);
	if (co_tls.self != NULL)
		co_sig_look_again(co_tls.self);
}

static bool
synchronous(int sig, const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != SI_KERNEL &&
	       (sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE ||
		sig == SIGILL || sig == SIGTRAP);
}

void
co_put_off(int sig, siginfo_t *info, void *ctx)
{
	ucontext_t *uc = ctx;
	struct co_m *m = co_m();
	struct co_sig *s;

	if (m != NULL) {
		if (m->ndeferred == CO_SIGS)
			return;
		s = &m->deferred[m->ndeferred];
	} else {
		s = &co_tls.deferred_one;
		co_tls.deferred = s;
	}
	s->signo = sig;
	s->info = *info;
	memcpy(&s->mask, &uc->uc_sigmask, sizeof(s->mask));
	if (m != NULL)
		atomic_fetch_add(&m->ndeferred, 1);
	if (co_tls.self != NULL && co_tls.self->pinned != NULL)
		co_claim_and_wake(&co_tls.self->parker, CO_SIGNAL);
	/* Nothing more until it has been seen to. */
	sigfillset(&uc->uc_sigmask);
	sigdelset(&uc->uc_sigmask, SIGSEGV);
	sigdelset(&uc->uc_sigmask, SIGBUS);
	memset(&uc->uc_sigmask, 0xff, 8);
}

static void
trampoline(int sig, siginfo_t *info, void *ctx)
{
	int saved = errno;
	struct co_m *m;
	ucontext_t *uc = ctx;

	if (synchronous(sig, info)) {
		if (co_copy_caught(ctx))
			return;
		run_here(sig, info, ctx);
		errno = saved;
		return;
	}
	if (co_tls.critical > 0) {
		co_put_off(sig, info, uc);
		return;
	}
	m = co_m();
	deliver(sig, info, ctx);
	if (co_tls.self != NULL)
		co_sig_look_again(co_tls.self);
	if (co_tls.self != NULL && co_tls.self->sigmask != *uc_mask(uc) &&
	    !co_tls.self->uses_masks)
		co_sig_mask_returns(co_tls.self, *uc_mask(uc));
	if (co_tls.self != NULL && co_tls.self->npending > 0)
		co_sig_renudge(co_tls.self, *uc_mask(uc));
	/* The handler may have waited, and gone on on another kernel thread,
	 * whose alternate stack the return must leave alone. */
	if (co_m() != m && co_m() != NULL) {
		sys2(SYS_sigaltstack, NULL, &uc->uc_stack);
		memcpy(&co_m()->kmask, &uc->uc_sigmask, 8);
	}
	errno = saved;
}

/* --- our own: a stack that ran over --- */

static void
say_overflow(const struct co *self, const ucontext_t *uc)
{
	unsigned long kib = self->stack.size / 1024;
	char where[160] = "?";
#ifdef __x86_64__
	uintptr_t sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
	uintptr_t pc[2] = { (uintptr_t)uc->uc_mcontext.gregs[REG_RIP] + 1 };
	int n = 1;

	/* It may be a leaf of libc's: who called it is to blame. */
	if (sp < (uintptr_t)self->stack.base)
		sp = (uintptr_t)self->stack.base;
	n += co_where_scan(sp, sp + 4096, pc + 1, 1);
	co_where_names(where, sizeof(where), NULL, pc, n);
#else
	(void)uc;
#endif
	co_log(CO_ERROR,
	       "stack overflow: coroutine %ld \"%s\" has used all %lu KiB of "
	       "its stack in %s; give it more, with COHOOK_STACK=%luK or "
	       "pthread_attr_setstacksize()",
	       (long)self->id, self->name, kib, where, 2 * kib);
}

static void
on_fault(int sig, siginfo_t *info, void *uc)
{
	struct co *self = co_tls.self;
	char *at = info->si_addr;
	struct sigaction dfl;

	if (co_copy_caught(uc))
		return;
	if (self != NULL && self->own_stack && at < self->stack.base &&
	    at >= self->stack.base - self->stack.room)
		say_overflow(self, uc);
	/* Then as ever: the instruction is run again and kills, or what was
	 * sent is sent again. */
	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	real.sigaction(sig, &dfl, NULL);
	if (info->si_code <= 0)
		sys3(SYS_tgkill, sys0(SYS_getpid), sys0(SYS_gettid), sig);
}

static int
install(int sig, const struct sigaction *act)
{
	struct sigaction k = *act;

	if (is_handler(act)) {
		k.sa_sigaction = trampoline;
		k.sa_flags |= SA_SIGINFO;
	} else if ((sig == SIGSEGV || sig == SIGBUS) &&
		   act->sa_handler == SIG_DFL) {
		k.sa_sigaction = on_fault;
		k.sa_flags = SA_SIGINFO | SA_ONSTACK;
	}
	return real.sigaction(sig, &k, NULL);
}

COHOOK_EXPORT int
sigaction(int sig, const struct sigaction *act, struct sigaction *old)
{
	struct sigaction before;

	if (likely(!co_active) || sig < 1 || sig >= SIGNALS ||
	    co_tls.vforked)
		return real.sigaction(sig, act, old);
	if (sig == SIGSYS || sig == co_dump_signal) {
		before = view[sig];
		if (act != NULL)
			view[sig] = *act;
		if (old != NULL)
			*old = before;
		return 0;
	}
	before = view[sig];
	if (act != NULL) {
		struct sigaction new = *act;

		/* The view first: a signal may come at once. */
		view[sig] = new;
		if (install(sig, &new) != 0) {
			view[sig] = before;
			return -1;
		}
		/* As the kernel does with what is pending there. */
		if (is_ignored(sig, &new))
			co_sig_discard(sig);
	} else if (real.sigaction(sig, NULL, old) != 0) {
		return -1;
	}
	if (old != NULL)
		*old = before;
	return 0;
}
COHOOK_ALIAS(__sigaction, sigaction);

COHOOK_EXPORT sighandler_t
signal(int sig, sighandler_t handler)
{
	struct sigaction sa, old;

	if (likely(!co_active))
		return real.signal(sig, handler);
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sa.sa_flags = SA_RESTART;
	sigaddset(&sa.sa_mask, sig);
	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	return sigaction(sig, &sa, &old) == 0 ? old.sa_handler : SIG_ERR;
}

bool
co_is_handled(int sig)
{
	return is_handler(&view[sig]);
}

/* One that does not come of what the program does. */
static bool
any_handled(uint64_t except)
{
	static const uint64_t faults =
		CO_SIGBIT(SIGSEGV) | CO_SIGBIT(SIGBUS) | CO_SIGBIT(SIGFPE) |
		CO_SIGBIT(SIGILL) | CO_SIGBIT(SIGTRAP) | CO_SIGBIT(SIGSYS);
	int sig;

	for (sig = 1; sig < SIGNALS; sig++)
		if (!((except | faults) & CO_SIGBIT(sig)) &&
		    is_handler(&view[sig]))
			return true;
	return false;
}

/* What is pending for the process and unblocked now is the caller's, in its
 * order, before the call returns; an idle kernel thread would be quicker. */
static void
take_unblocked(struct co *self, int how, const sigset_t *set)
{
	static const struct timespec zero;
	uint64_t mask, theirs, pending = 0;
	siginfo_t info;
	long sig;

	if (how == SIG_BLOCK || self->in_handler ||
	    !co_get(&theirs, set, sizeof(theirs)))
		return;
	mask = co_sig_mask(self);
	sys2(SYS_rt_sigpending, &pending, 8);
	pending &= mask & (how == SIG_UNBLOCK ? theirs : ~theirs);
	pending &= ~(CO_SIGBIT(32) | CO_SIGBIT(33)); /* glibc's own */
	while (pending != 0) {
		sig = sys4(SYS_rt_sigtimedwait, &pending, &info, &zero, 8);
		if (sig <= 0)
			break;
		if (!co_sig_is_nudge(&info))
			co_sig_queue(self, (int)sig, &info);
	}
}

int
co_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	int r;

	if (unlikely(co_active) && set != NULL && co_here() != NULL)
		take_unblocked(co_tls.self, how, set);
	r = real.pthread_sigmask(how, set, old);

	if (unlikely(co_active) && r == 0 && set != NULL &&
	    co_tls.self != NULL && !co_tls.vforked)
		co_sig_mask_changed(co_tls.self);
	return r;
}

COHOOK_EXPORT int
pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return co_sigmask(how, set, old);
}

COHOOK_EXPORT int
sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	int err = co_sigmask(how, set, old);

	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

COHOOK_EXPORT int
sigaltstack(const stack_t *ss, stack_t *old)
{
	struct co *self = co_tls.self;
	stack_t mine;
	int r;

	if (likely(!co_active) || self == NULL || co_tls.vforked)
		return real.sigaltstack(ss, old);
	memset(&mine, 0, sizeof(mine));
	mine.ss_flags = SS_DISABLE;
	if (self->altstack_set) {
		r = real.sigaltstack(ss, old);
	} else {
		/* The kernel has ours: the program has none. */
		r = ss != NULL ? real.sigaltstack(ss, NULL) : 0;
		if (r == 0 && old != NULL)
			*old = mine;
	}
	if (r == 0 && ss != NULL) {
		self->altstack_set = !(ss->ss_flags & SS_DISABLE);
		self->altstack = *ss;
		self->m->altstack_of = 1;
	}
	return r;
}
CO_CALL(sigaltstack);

/* The runtime could not be started after all: as it was. */
void
co_signals_undo(void)
{
	int sig;

	for (sig = 1; sig < SIGNALS; sig++)
		if (sig != SIGSYS && sig != 32 && sig != 33 &&
		    (is_handler(&view[sig]) || sig == SIGSEGV ||
		     sig == SIGBUS))
			real.sigaction(sig, &view[sig], NULL);
}

/* COHOOK_DUMP: the kernel's handler is this, whatever the program sets. */
static void
on_dump(int sig)
{
	int fd = co_log_fd();

	(void)sig;
	if (co_active)
		co_monitor_dump(fd >= 0 ? fd : 2);
}

void
co_dump_init(void)
{
	struct sigaction sa;

	if (co_dump_signal == 0)
		return;
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_dump;
	sa.sa_flags = SA_RESTART | SA_ONSTACK;
	real.sigaction(co_dump_signal, &sa, NULL);
}

/* At the start of the runtime: what is set so far goes behind ours. */
void
co_signals_init(void)
{
	int sig;

	co_sig_run = run_queued;
	co_sig_deliver = deliver_deferred;
	co_sig_handled = any_handled;
	for (sig = 1; sig < SIGNALS; sig++) {
		if (sig == SIGSYS || sig == 32 || sig == 33 ||
		    real.sigaction(sig, NULL, &view[sig]) != 0)
			continue;
		if (sig == co_dump_signal)
			view[sig].sa_handler = SIG_DFL;
		else if (is_handler(&view[sig]) || sig == SIGSEGV ||
			 sig == SIGBUS)
			install(sig, &view[sig]);
	}
	co_dump_init();
}
