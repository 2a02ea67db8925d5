/* SPDX-License-Identifier: MIT */
/* sig.c - what the kernel keeps per thread follows the coroutine: signal mask
 * and alternate stack; and signals wait their turn for it.
 *
 * A coroutine's mask is set when it is switched to, if it is another than the
 * kernel has.  In its own context a kernel thread blocks what every coroutine
 * blocks, nothing else: so the process gets a signal whenever anybody would.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/log.h"

enum { ALTSTACK = 64 * 1024 };

/* No mask holds these. */
#define KILLSTOP (CO_SIGBIT(SIGKILL) | CO_SIGBIT(SIGSTOP))

/* Under mask_lock. */
static struct co_lock mask_lock;
static long blocked_by[65];   /* coroutines whose mask holds the signal */
static long masks;            /* coroutines counted */
static _Atomic uint64_t idle_mask;

struct co *co_main_alive;

void (*co_sig_run)(struct co *self, int signo, siginfo_t *info);
void (*co_sig_deliver)(struct co_sig *sig);

static void
count(uint64_t mask, long by)
{
	int sig;

	while (mask != 0) {
		sig = __builtin_ctzll(mask) + 1;
		mask &= mask - 1;
		blocked_by[sig] += by;
	}
}

/* True: the idle mask has changed. */
static bool
recount(uint64_t changed)
{
	uint64_t m = idle_mask, before = m;
	int sig;

	while (changed != 0) {
		sig = __builtin_ctzll(changed) + 1;
		changed &= changed - 1;
		if (masks > 0 && blocked_by[sig] == masks)
			m |= CO_SIGBIT(sig);
		else
			m &= ~CO_SIGBIT(sig);
	}
	m &= ~CO_SIGBIT(CO_SIGSETXID);
	idle_mask = m;
	return before != m;
}

/* co's mask is now mask. */
static void
set_mask(struct co *co, uint64_t mask)
{
	bool changed;

	if (co->sigmask == mask)
		return;
	co_lock(&mask_lock);
	count(co->sigmask, -1);
	count(mask, 1);
	changed = recount(co->sigmask ^ mask);
	co->sigmask = mask;
	co_unlock(&mask_lock);
	if (changed)
		co_idle_resync();
}

uint64_t
co_sig_idle_mask(void)
{
	return idle_mask;
}

void
co_sig_born(struct co *co, const uint64_t *given)
{
	struct co *self = co_tls.self;
	uint64_t mask = self ? self->sigmask : 0;
	bool changed;

	if (given != NULL)
		mask = *given & ~KILLSTOP;
	else if (self == NULL || self->uses_masks || self->in_handler)
		sys_sigmask(SIG_BLOCK, NULL, &mask);
	co_lock(&mask_lock);
	masks++;
	co->sigmask = mask;
	count(mask, 1);
	changed = recount(~UINT64_C(0));
	co_unlock(&mask_lock);
	if (changed)
		co_idle_resync();
}

static struct co_lock free_lock;
static struct co_sig *free_sigs;

static struct co_sig *
new_sig(void)
{
	struct co_sig *s;

	co_critical_begin();
	co_lock(&free_lock);
	s = free_sigs;
	if (s != NULL)
		free_sigs = s->next;
	co_unlock(&free_lock);
	co_critical_end();
	return s != NULL ? s : co_alloc(sizeof(*s));
}

void
co_sig_free(struct co_sig *s)
{
	co_lock(&free_lock);
	s->next = free_sigs;
	free_sigs = s;
	co_unlock(&free_lock);
}

/* Critical. */
void
co_sig_gone(struct co *co)
{
	struct co_sig *s;
	bool changed;

	co_lock(&mask_lock);
	masks--;
	count(co->sigmask, -1);
	changed = recount(~UINT64_C(0));
	co_unlock(&mask_lock);
	if (changed)
		co_idle_resync();
	co_lock(&co->lock);
	while ((s = co->pending) != NULL) {
		co->pending = s->next;
		co_sig_free(s);
	}
	co->npending = co->sig_todo = 0;
	co_unlock(&co->lock);
	if (co == co_main_alive)
		co_main_alive = NULL;
}

static void
use_altstack(struct co_m *m, struct co *co)
{
	stack_t ss = { .ss_sp = m->altstack, .ss_size = ALTSTACK };

	if (co != NULL && co->altstack_set)
		ss = co->altstack;
	else if (m->altstack == NULL)
		ss.ss_flags = SS_DISABLE;
	sys2(SYS_sigaltstack, &ss, NULL);
	m->altstack_of = co != NULL && co->altstack_set;
}

void
co_sig_m_start(struct co_m *m)
{
	uint64_t mask;
	size_t len;
	stack_t ss;

	if (m->altstack == NULL)
		m->altstack = mmap(NULL, ALTSTACK, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->altstack == MAP_FAILED)
		m->altstack = NULL;
	if (m->robust_head == NULL)
		sys3(SYS_get_robust_list, 0, &m->robust_head, &len);
	/* The main thread may have an alternate stack already. */
	if (m->cur != NULL && sys2(SYS_sigaltstack, NULL, &ss) == 0 &&
	    !(ss.ss_flags & SS_DISABLE)) {
		m->cur->altstack = ss;
		m->cur->altstack_set = 1;
	}
	use_altstack(m, m->cur);
	if (m->cur == NULL) {
		m->kmask = ~CO_SIGBIT(CO_SIGSETXID); /* as it was born */
	} else {
		sys_sigmask(SIG_BLOCK, NULL, &mask);
		m->kmask = mask;
	}
}

/* The caller's kernel thread ends, and its alternate stack is kept for the next
 * one: AddressSanitizer unmaps what a thread has at its end, whose ever it is.
 */
void
co_sig_m_end(void)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	sys2(SYS_sigaltstack, &none, NULL);
}

/* The caller's kernel thread, m.  What is known of its mask never holds what the
 * kernel lets in: co_idle_resync() looks at it meanwhile. */
static void
set_kmask(struct co_m *m, uint64_t want, uint64_t *old)
{
	m->kmask = m->kmask & want;
	sys_sigmask(SIG_SETMASK, &want, old);
	m->kmask = want;
}

/* As idle.c has it: whoever changes the idle mask looks at ours after that, so
 * we look at it after ours is set. */
static void
set_idle_kmask(struct co_m *m)
{
	while (m->kmask != idle_mask)
		set_kmask(m, idle_mask, NULL);
}

/* What a thread brings upon itself, by what it writes. */
#define OWN (CO_SIGBIT(SIGPIPE) | CO_SIGBIT(SIGXFSZ))

/* Pending for this kernel thread, not for the process?  proc(5) alone tells;
 * where it does not, nearly all are.  Seldom: no other call need have the stack
 * for this. */
__attribute__((noinline)) static uint64_t
pending_here(uint64_t set)
{
	int fd = (int)sys4(SYS_openat, AT_FDCWD, "/proc/thread-self/status",
			   O_RDONLY | O_CLOEXEC, 0);
	uint64_t here = 0;
	const char *s;
	char buf[4096];
	long n = 0;

	if (fd >= 0) {
		n = sys3(SYS_read, fd, buf, sizeof(buf) - 1);
		sys1(SYS_close, fd);
	}
	if (n <= 0)
		return set;
	buf[n] = '\0';
	s = strstr(buf, "\nSigPnd:\t");
	if (s == NULL)
		return set;
	for (s += 9; *s != '\n' && *s != '\0'; s++)
		here = here << 4 |
		       (uint64_t)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
	return set & here;
}

/* from leaves the kernel thread, and blocks these, which whoever comes next
 * does not.  What libc's own write has brought, in fflush(3) say, goes with it:
 * we did not see that call. */
static void
take_along(struct co *from, uint64_t set)
{
	static const struct timespec zero;
	siginfo_t info;
	uint64_t there = 0;
	long sig;

	sys2(SYS_rt_sigpending, &there, 8);
	set &= there;
	if (__builtin_expect(set == 0, 1))
		return;
	for (set = pending_here(set); set != 0; set &= ~CO_SIGBIT(sig)) {
		sig = sys4(SYS_rt_sigtimedwait, &set, &info, &zero, 8);
		if (sig <= 0)
			break;
		if (co_sig_is_nudge(&info))
			co_sig_nudge_seen(from->m, (int)sig);
		else
			co_sig_queue(from, (int)sig, &info);
	}
}

void
co_sig_switch(struct co_m *m, struct co *from, struct co *to)
{
	uint64_t want = to != NULL ? to->sigmask : co_sig_idle_mask(), old;

	if (from != NULL && __builtin_expect(from->sigmask & ~want & OWN, 0))
		take_along(from, from->sigmask & ~want & OWN);
	if (from != NULL && (from->uses_masks || from->in_handler)) {
		/* Only the kernel knows: handlers change the mask past us. */
		set_kmask(m, want, &old);
		if (m->ndeferred == 0 || ~(old | KILLSTOP) != 0)
			set_mask(from, old);
	} else if (m->kmask != want) {
		set_kmask(m, want, NULL);
	}
	if (to == NULL)
		set_idle_kmask(m);
	if (m->altstack_of || (to != NULL && to->altstack_set))
		use_altstack(m, to);
}

/* --- queued for a coroutine --- */

static char nudge;

bool
co_sig_is_nudge_value(uint64_t value)
{
	return value == (uintptr_t)&nudge;
}

bool
co_sig_is_nudge(const siginfo_t *info)
{
	return info->si_code == SI_QUEUE && info->si_value.sival_ptr == &nudge;
}

/* co runs on some other kernel thread, perhaps in a system call; or is the
 * caller, who blocks it now. */
static void
send_nudge(struct co *co, int signo)
{
	struct co_m *m = co->m;
	siginfo_t info;

	/* It has taken the signal by itself, has ended, and what described it
	 * is about to be another's. */
	if (m == NULL)
		return;
	memset(&info, 0, sizeof(info));
	info.si_signo = signo;
	info.si_code = SI_QUEUE;
	info.si_value.sival_ptr = &nudge;
	atomic_fetch_add(&m->nudging, 1);
	atomic_fetch_or(&m->nudged, CO_SIGBIT(signo));
	if (sys4(SYS_rt_tgsigqueueinfo, sys0(SYS_getpid), m->tid, signo,
		 &info) != 0)
		atomic_fetch_and(&m->nudged, ~CO_SIGBIT(signo));
	atomic_fetch_sub(&m->nudging, 1);
}

/* Who nudges counts itself, sets the bit, sends; who sees clears the bit, then
 * looks for those who do: the bit is set as long as one may be there. */
void
co_sig_nudge_seen(struct co_m *m, int signo)
{
	atomic_fetch_and(&m->nudged, ~CO_SIGBIT(signo));
	if (atomic_load(&m->nudging) > 0)
		atomic_fetch_or(&m->nudged, CO_SIGBIT(signo));
}

int
co_sig_send(const struct co_m *m, const siginfo_t *info)
{
	long pid = sys0(SYS_getpid);

	/* That code is the kernel's to give. */
	if (info->si_code == SI_TKILL)
		return (int)-sys3(SYS_tgkill, pid, m->tid, info->si_signo);
	return (int)-sys4(SYS_rt_tgsigqueueinfo, pid, m->tid, info->si_signo,
			  info);
}

/* It did not run when we looked.  Had it been about to, it would have looked for
 * what we had queued only after that; but its processor may have done these two
 * in the other order. */
static bool
runs_after_all(struct co *co)
{
	sys2(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
	return atomic_load(&co->state) == CO_S_RUNNING;
}

int
co_sig_queue(struct co *co, int signo, const siginfo_t *info)
{
	struct co_sig *s = new_sig(), **p;
	struct co_m *its = NULL;
	bool parked, won = false, wanted;
	int r = 0;

	if (s == NULL)
		return EAGAIN;
	s->next = NULL;
	s->signo = signo;
	s->info = *info;
	co_critical_begin();
	co_lock(&co->lock);
	/* Pinned meanwhile, it waits for those that it blocks in the kernel. */
	if (info->si_code == SI_TKILL || info->si_code == SI_QUEUE)
		its = co->sigmask & CO_SIGBIT(signo) ? co->pinned : NULL;
	for (p = &co->pending; *p != NULL; p = &(*p)->next)
		/* Standard signals do not queue, signal(7). */
		if ((*p)->signo == signo && signo < 32)
			break;
	if (*p == NULL && its == NULL) {
		*p = s;
		s = NULL;
		atomic_fetch_add(&co->npending, 1);
	}
	/* Before the look at sigwait: co_sig_watch() has the other order. */
	atomic_fetch_add(&co->sigseq, 1);
	wanted = !(co->sigmask & CO_SIGBIT(signo)) ||
		 co->sigwait & CO_SIGBIT(signo);
	if (wanted)
		atomic_store(&co->sig_todo, 1);
	co_unlock(&co->lock);
	if (s != NULL)
		co_sig_free(s);
	if (its != NULL) {
		r = co_sig_send(its, info);
	} else if (wanted) {
		won = co_claim(&co->parker, CO_SIGNAL, &parked);
		if (won)
			co_wake(&co->parker, parked);
		else if (co != co_tls.self &&
			 (!(co->sigmask & CO_SIGBIT(signo)) || co->region) &&
			 (co->state == CO_S_RUNNING || runs_after_all(co)))
			/* One that waits for it looks by itself, unless it
			 * does so in the kernel. */
			send_nudge(co, signo);
	}
	co_critical_end();
	return r;
}

uint64_t
co_sig_mask(struct co *self)
{
	uint64_t mask = self->sigmask;

	if (self->uses_masks || self->in_handler)
		sys_sigmask(SIG_BLOCK, NULL, &mask);
	return mask;
}

/* Before others, as in the kernel: what an instruction has brought about. */
#define FIRST                                                                 \
	(CO_SIGBIT(SIGSEGV) | CO_SIGBIT(SIGBUS) | CO_SIGBIT(SIGILL) |         \
	 CO_SIGBIT(SIGTRAP) | CO_SIGBIT(SIGFPE) | CO_SIGBIT(SIGSYS))

/* Under the lock: of those in set the lowest, and of its kind the oldest. */
static struct co_sig **
lowest(struct co *co, uint64_t set)
{
	struct co_sig **p;
	uint64_t there = 0;
	int sig;

	for (p = &co->pending; *p != NULL; p = &(*p)->next)
		there |= set & CO_SIGBIT((*p)->signo);
	if (there & FIRST)
		there &= FIRST;
	sig = there != 0 ? __builtin_ctzll(there) + 1 : 0;
	for (p = &co->pending; *p != NULL && (*p)->signo != sig;
	     p = &(*p)->next)
		;
	return p;
}

bool
co_sig_take(struct co *self, uint64_t set, struct co_sig *out)
{
	struct co_sig **p, *s;

	if (self->npending == 0)
		return false;
	co_critical_begin();
	co_lock(&self->lock);
	p = lowest(self, set);
	s = *p;
	if (s != NULL) {
		*p = s->next;
		atomic_fetch_sub(&self->npending, 1);
	}
	co_unlock(&self->lock);
	if (s != NULL) {
		*out = *s;
		co_sig_free(s);
	}
	co_critical_end();
	return s != NULL;
}

void
co_sig_renudge(struct co *self, uint64_t mask)
{
	uint64_t set = co_sig_pending(self) & ~mask;

	if (set != 0)
		send_nudge(self, __builtin_ctzll(set) + 1);
}

void
co_sig_discard(int signo)
{
	struct co_sig **p, *s;
	struct co *co;

	co_critical_begin();
	co_lock(&co_all_lock);
	for (co = co_all; co != NULL; co = co->all_next) {
		if (co->npending == 0)
			continue;
		co_lock(&co->lock);
		for (p = &co->pending; (s = *p) != NULL;) {
			if (s->signo != signo) {
				p = &s->next;
				continue;
			}
			*p = s->next;
			atomic_fetch_sub(&co->npending, 1);
			co_sig_free(s);
		}
		co_unlock(&co->lock);
	}
	co_unlock(&co_all_lock);
	co_critical_end();
}

uint64_t
co_sig_pending(struct co *self)
{
	struct co_sig *s;
	uint64_t set = 0;

	co_critical_begin();
	co_lock(&self->lock);
	for (s = self->pending; s != NULL; s = s->next)
		set |= CO_SIGBIT(s->signo);
	co_unlock(&self->lock);
	co_critical_end();
	return set;
}

/* Handlers that came while it was parked or in a critical section, on its own
 * stack. */
void
co_sig_run_pending(struct co *self)
{
	struct co_sig sig;

	atomic_store(&self->sig_todo, 0);
	while (co_sig_take(self, ~co_sig_mask(self), &sig))
		co_sig_run(self, sig.signo, &sig.info);
}

void
co_sig_mask_changed(struct co *self)
{
	uint64_t mask;

	co_critical_begin();
	sys_sigmask(SIG_BLOCK, NULL, &mask);
	if (self->m->ndeferred == 0 || ~(mask | KILLSTOP) != 0) {
		set_mask(self, mask);
		self->m->kmask = mask;
	}
	co_critical_end();
	if (self->npending > 0)
		co_sig_run_pending(self);
}

void
co_sig_mask_returns(struct co *self, uint64_t mask)
{
	co_critical_begin();
	set_mask(self, mask);
	self->m->kmask = mask;
	co_critical_end();
}

void
co_sig_idle(struct co_m *m, bool polls)
{
	uint64_t none = ~CO_SIGBIT(CO_SIGSETXID);

	if (polls)
		set_idle_kmask(m);
	else if (m->kmask != none)
		set_kmask(m, none, NULL);
}

/* The handler that put them off left every signal blocked: the mask is put
 * back here. */
void
co_deferred_run(void)
{
	struct co_m *m = co_m();
	struct co_sig sig[CO_SIGS];
	uint64_t mask;
	int i, n;

	if (m == NULL) {
		sig[0] = co_tls.deferred_one;
		co_tls.deferred = NULL;
		sys_sigmask(SIG_SETMASK, &sig[0].mask, NULL);
		co_sig_deliver(&sig[0]);
		return;
	}
	n = m->ndeferred;
	memcpy(sig, m->deferred, (size_t)n * sizeof(sig[0]));
	atomic_store_explicit(&m->ndeferred, 0, memory_order_relaxed);
	mask = co_tls.self != NULL ? co_tls.self->sigmask : co_sig_idle_mask();
	m->kmask = mask;
	sys_sigmask(SIG_SETMASK, &mask, NULL);
	for (i = 0; i < n; i++)
		co_sig_deliver(&sig[i]);
}

void
co_sig_orphaned(void)
{
	mask_lock.word = free_lock.word = 0;
	free_sigs = NULL;
	memset(blocked_by, 0, sizeof(blocked_by));
	masks = 0;
	co_main_alive = NULL;
}

void
co_sig_forked(void)
{
	struct co *self = co_tls.self;

	co_sig_orphaned();
	masks = 1;
	count(self->sigmask, 1);
	idle_mask = self->sigmask;
	self->npending = self->sig_todo = 0;
	self->pending = NULL;
	co_main_alive = self->is_main ? self : NULL;
}
