/* SPDX-License-Identifier: MIT */
/* sig.c - what the kernel keeps per thread follows the coroutine: signal mask
 * and alternate stack; and signals wait their turn for it.
 *
 * A coroutine's mask is set when it is switched to, if it is another than the
 * kernel has.  In its own context a kernel thread blocks what every coroutine
 * blocks, nothing else: so the process gets a signal whenever anybody would.
 */
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

static void
recount(uint64_t changed)
{
	uint64_t m = idle_mask;
	int sig;

	while (changed != 0) {
		sig = __builtin_ctzll(changed) + 1;
		changed &= changed - 1;
		if (masks > 0 && blocked_by[sig] == masks)
			m |= CO_SIGBIT(sig);
		else
			m &= ~CO_SIGBIT(sig);
	}
	idle_mask = m;
}

/* co's mask is now mask. */
static void
set_mask(struct co *co, uint64_t mask)
{
	if (co->sigmask == mask)
		return;
	co_lock(&mask_lock);
	count(co->sigmask, -1);
	count(mask, 1);
	recount(co->sigmask ^ mask);
	co->sigmask = mask;
	co_unlock(&mask_lock);
}

uint64_t
co_sig_idle_mask(void)
{
	return idle_mask;
}

void
co_sig_born(struct co *co)
{
	struct co *self = co_tls.self;
	uint64_t mask = self ? self->sigmask : 0;

	if (self == NULL || self->uses_masks || self->in_handler)
		sys_sigmask(SIG_BLOCK, NULL, &mask);
	co_lock(&mask_lock);
	masks++;
	co->sigmask = mask;
	count(mask, 1);
	recount(~UINT64_C(0));
	co_unlock(&mask_lock);
	co->uses_masks = self == NULL || self->uses_masks;
}

void
co_sig_gone(struct co *co)
{
	co_lock(&mask_lock);
	masks--;
	count(co->sigmask, -1);
	recount(~UINT64_C(0));
	co_unlock(&mask_lock);
	co->npending = 0;
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
	size_t len;
	stack_t ss;

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
		m->kmask = co_sig_idle_mask();
		sys_sigmask(SIG_SETMASK, &m->kmask, NULL);
	} else {
		sys_sigmask(SIG_BLOCK, NULL, &m->kmask);
	}
}

void
co_sig_switch(struct co_m *m, struct co *from, struct co *to)
{
	uint64_t want = to != NULL ? to->sigmask : co_sig_idle_mask(), old;

	if (from != NULL && (from->uses_masks || from->in_handler)) {
		/* Only the kernel knows: siglongjmp(3) and handlers change the
		 * mask past us. */
		sys_sigmask(SIG_SETMASK, &want, &old);
		if (m->ndeferred == 0 || ~(old | KILLSTOP) != 0)
			set_mask(from, old);
		if (to == NULL && want != co_sig_idle_mask()) {
			want = co_sig_idle_mask();
			sys_sigmask(SIG_SETMASK, &want, NULL);
		}
		m->kmask = want;
	} else if (m->kmask != want) {
		sys_sigmask(SIG_SETMASK, &want, NULL);
		m->kmask = want;
	}
	if (m->altstack_of || (to != NULL && to->altstack_set))
		use_altstack(m, to);
}

/* Handlers that came while it was parked or in a critical section, on its own
 * stack. */
void
co_sig_run_pending(struct co *self)
{
	struct co_sig sig;
	int n;

	for (;;) {
		co_critical_begin();
		co_lock(&self->lock);
		n = self->npending;
		if (n > 0) {
			sig = self->pending[0];
			memmove(&self->pending[0], &self->pending[1],
				(size_t)(n - 1) * sizeof(sig));
			self->npending = n - 1;
		}
		co_unlock(&self->lock);
		co_critical_end();
		if (n == 0)
			return;
		co_sig_run(self, sig.signo, &sig.info);
	}
}

void
co_sig_queue(struct co *co, int signo, const siginfo_t *info)
{
	struct co_sig *room = co->pending;

	if (room == NULL) {
		room = co_alloc(CO_SIGS * sizeof(*room));
		if (room == NULL)
			return;
	}
	co_critical_begin();
	co_lock(&co->lock);
	if (co->pending == NULL)
		co->pending = room;
	/* Standard signals do not queue either, once they are many. */
	if (co->npending < CO_SIGS) {
		co->pending[co->npending].signo = signo;
		co->pending[co->npending].info = *info;
		atomic_fetch_add(&co->npending, 1);
	}
	co_unlock(&co->lock);
	co_claim_and_wake(&co->parker, CO_SIGNAL);
	co_critical_end();
}

void
co_sig_mask_changed(struct co *self)
{
	uint64_t mask;

	co_critical_begin();
	self->uses_masks = 1;
	sys_sigmask(SIG_BLOCK, NULL, &mask);
	if (self->m->ndeferred == 0 || ~(mask | KILLSTOP) != 0) {
		set_mask(self, mask);
		self->m->kmask = mask;
	}
	co_critical_end();
	if (self->npending > 0)
		co_sig_run_pending(self);
}

bool
co_deferred_any(void)
{
	struct co_m *m = co_m();

	if (m != NULL)
		return atomic_load_explicit(&m->ndeferred,
					    memory_order_relaxed) != 0;
	return co_tls.deferred != NULL;
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
co_sig_forked(void)
{
	struct co *self = co_tls.self;

	mask_lock.word = 0;
	memset(blocked_by, 0, sizeof(blocked_by));
	masks = 1;
	count(self->sigmask, 1);
	idle_mask = self->sigmask;
	self->npending = 0;
	co_main_alive = self->is_main ? self : NULL;
}
