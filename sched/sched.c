/* SPDX-License-Identifier: MIT */
/* sched.c - who runs next, and what a kernel thread does with nothing to run.
 *
 * A slot's ring has one owner, who puts; anybody may take. What does not fit,
 * and what is made ready by somebody without a slot, goes to the one global
 * queue.  Lost wake-ups are kept out by two orders (Dekker): who makes ready
 * puts, fences, then looks for the idle; who goes idle says so, fences, then
 * looks at the queues again.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/fd.h"
#include "sched/log.h"
#include "sched/lot.h"

__thread struct co_tls co_tls;
int co_active;

enum {
	LOOK_AROUND = 64,       /* picks between looks at I/O and timers */
	M_STACK = 256 * 1024,
	WORKERS_MOST = 64,
};

static struct co_slot slots[WORKERS_MOST];
static int nworkers = 1;
struct co_slot *const co_slots = slots;
const int *const co_slots_n = &nworkers;

/* Under lock. */
static struct co_lock lock;
static struct co *global_first, **global_last = &global_first;
static struct co_m *idle_ms, *spare_ms, *unborn;
static struct co_m *retired;    /* gone, or about to be */
static _Atomic long global_n;
static _Atomic int nidle;
static _Atomic int nspare;      /* on the list, or about to be */
struct co_m *co_all_m;          /* pushed to, never taken from */

/* The m that waits in the poller; NULL: nobody does. */
static struct co_m *_Atomic poller;

_Alignas(64) _Atomic int64_t co_clock;

int64_t
co_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

int
co_nworkers(void)
{
	return nworkers;
}

void
co_each_slot(void (*f)(struct co_slot *))
{
	int i;

	for (i = 0; i < nworkers; i++)
		f(&slots[i]);
}

bool
co_somebody_polls(void)
{
	return atomic_load_explicit(&poller, memory_order_seq_cst) != NULL;
}

/* --- entering and leaving --- */

/* The monitor asked for our slot while we were out. */
void
co_settle(struct co_m *m)
{
	int take;

	while ((take = atomic_load_explicit(&m->take, memory_order_acquire)) ==
	       CO_TAKE_ASKED)
		sys0(SYS_sched_yield);
	if (take == CO_TAKE_DONE) {
		m->slot = NULL;
		atomic_store_explicit(&m->take, CO_TAKE_NO,
				      memory_order_relaxed);
	}
}

/* --- queues --- */

static bool
ring_put(struct co_slot *s, struct co *co)
{
	uint32_t h = atomic_load_explicit(&s->head, memory_order_acquire);
	uint32_t t = atomic_load_explicit(&s->tail, memory_order_relaxed);

	if (t - h >= CO_RING)
		return false;
	atomic_store_explicit(&s->ring[t % CO_RING], co, memory_order_relaxed);
	atomic_store_explicit(&s->tail, t + 1, memory_order_release);
	return true;
}

static struct co *
ring_take(struct co_slot *s)
{
	uint32_t h = atomic_load_explicit(&s->head, memory_order_acquire), t;
	struct co *co;

	if (nworkers == 1) {
		/* No thieves; the ring goes from one owner to the next with
		 * the slot. */
		if (atomic_load_explicit(&s->tail, memory_order_relaxed) == h)
			return NULL;
		co = atomic_load_explicit(&s->ring[h % CO_RING],
					  memory_order_relaxed);
		atomic_store_explicit(&s->head, h + 1, memory_order_release);
		return co;
	}
	for (;;) {
		t = atomic_load_explicit(&s->tail, memory_order_acquire);
		if (t == h)
			return NULL;
		co = atomic_load_explicit(&s->ring[h % CO_RING],
					  memory_order_relaxed);
		if (atomic_compare_exchange_weak_explicit(
			    &s->head, &h, h + 1, memory_order_acq_rel,
			    memory_order_acquire))
			return co;
	}
}

static bool
ring_empty(struct co_slot *s)
{
	return atomic_load(&s->head) == atomic_load(&s->tail);
}

static void
global_put(struct co *co)
{
	co->next = NULL;
	co_lock(&lock);
	*global_last = co;
	global_last = &co->next;
	atomic_fetch_add(&global_n, 1);
	co_unlock(&lock);
}

static struct co *
global_take(void)
{
	struct co *co;

	if (atomic_load_explicit(&global_n, memory_order_relaxed) == 0)
		return NULL;
	co_lock(&lock);
	co = global_first;
	if (co != NULL) {
		global_first = co->next;
		if (global_first == NULL)
			global_last = &global_first;
		atomic_fetch_sub(&global_n, 1);
	}
	co_unlock(&lock);
	return co;
}

static struct co *
steal(struct co_slot *mine)
{
	struct co *co;
	int i;

	for (i = 1; i < nworkers; i++) {
		co = ring_take(&slots[(mine->id + i) % nworkers]);
		if (co != NULL)
			return co;
	}
	return NULL;
}

static bool
work_anywhere(void)
{
	int i;

	if (atomic_load(&global_n) != 0)
		return true;
	for (i = 0; i < nworkers; i++)
		if (!ring_empty(&slots[i]))
			return true;
	return false;
}

/* Under lock. */
static void
off_idle_list(struct co_m *m)
{
	struct co_m **p;

	if (!m->on_idle_list)
		return;
	for (p = &idle_ms; *p != m; p = &(*p)->next)
		;
	*p = m->next;
	m->on_idle_list = 0;
	atomic_fetch_sub(&nidle, 1);
}

/* Somebody idle is to look at the queues. */
void
co_kick_idle(void)
{
	struct co_m *m, *polls = atomic_load(&poller);

	co_lock(&lock);
	for (m = idle_ms; m != NULL && m == polls; m = m->next)
		;
	if (m != NULL) {
		off_idle_list(m);
		atomic_store(&m->wake, 1);
	}
	co_unlock(&lock);
	if (m != NULL)
		sys_futex_wake(&m->wake, 1);
	else if (polls != NULL)
		co_poller_kick();
}

/* Who changed the idle mask comes after it, who polls looks at it after that is
 * known: as with work.  The program is told that a signal is blocked only when
 * nobody takes it any more; but not for ever, somebody may be stopped. */
void
co_idle_resync(void)
{
	enum { ENOUGH = 200 };
	struct co_slot *s;
	struct co_m *m = co_m();
	int i;

	if (nworkers == 1 && m != NULL && atomic_load(&slots[0].m) == m)
		return; /* nobody else can poll */
	atomic_thread_fence(memory_order_seq_cst);
	m = atomic_load(&poller);
	if (m == NULL || m == co_m())
		return;
	for (i = 0; i < ENOUGH && m->kmask != co_sig_idle_mask(); i++) {
		s = m->slot;
		if (s == NULL || !atomic_load(&s->idle))
			return; /* it has found something to run */
		co_poller_kick();
		sys0(SYS_sched_yield);
	}
}

void
co_ready(struct co *co)
{
	struct co_m *m;

	co_enter();
	m = co_m();
	atomic_store_explicit(&co->state, CO_S_READY, memory_order_relaxed);
	if (m == NULL || m->slot == NULL || !ring_put(m->slot, co)) {
		global_put(co);
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&nidle) > 0)
			co_kick_idle();
	} else if (atomic_load_explicit(&m->slot->idle, memory_order_relaxed)) {
		/* A signal handler over our own idle loop. */
		atomic_store(&m->wake, 1);
		co_poller_kick();
	} else if (nworkers > 1) {
		atomic_thread_fence(memory_order_seq_cst);
		if (atomic_load(&nidle) > 0)
			co_kick_idle();
	}
	co_exit();
}

static struct co *
pick(struct co_m *m)
{
	struct co_slot *s = m->slot;
	struct co *co;

	if (++m->picks % LOOK_AROUND == 0) {
		if (!co_somebody_polls())
			co_poller_wait(0);
		co_timers_run(0);
		co = global_take();
		if (co != NULL)
			return co;
	}
	co = ring_take(s);
	if (co == NULL)
		co = global_take();
	return co;
}

/* --- switching --- */

static void
switch_to(struct co_m *m, struct co *self, struct co *next)
{
	struct co_ctx *from = self ? &self->tcb.ctx : &m->idle;
	struct co_ctx *to = next ? &next->tcb.ctx : &m->idle;

	if (next != NULL) {
		next->m = m;
		m->cur = next;
		atomic_store_explicit(&next->state, CO_S_RUNNING,
				      memory_order_relaxed);
		atomic_store_explicit(
			&m->slot->tick,
			atomic_load_explicit(&m->slot->tick,
					     memory_order_relaxed) +
				1,
			memory_order_relaxed);
	} else {
		m->cur = NULL;
	}
	co_sig_switch(m, self, next);
	co_ctx_switch(from, to);
	co_after_switch();
}

void
co_after_switch(void)
{
	struct co_m *m = co_m();
	struct co *prev = m->prev;
	uint32_t armed = CO_ARMED;

	if (prev == NULL)
		return;
	m->prev = NULL;
	switch (m->act) {
	case CO_ACT_PARK:
		atomic_store_explicit(&prev->state, CO_S_PARKED,
				      memory_order_relaxed);
		if (!atomic_compare_exchange_strong(&prev->parker.state, &armed,
						    CO_PARKED))
			co_ready(prev);
		break;
	case CO_ACT_YIELD:
		co_ready(prev);
		break;
	case CO_ACT_GONE:
		co_gone(prev);
		break;
	}
}

/* The caller, a coroutine inside co_enter(), gives the CPU up. */
static void
give_way(struct co *self, int act)
{
	struct co_m *m = self->m;
	struct co *next = m->slot ? pick(m) : NULL;

	if (next == self)
		co_die("coroutine %ld is in a run queue while it runs",
		       (long)self->id);
	m->prev = self;
	m->act = act;
	switch_to(m, self, next);
}

void
co_rest(void)
{
	co_enter();
	give_way(co_tls.self, CO_ACT_GONE);
	co_exit();
}

void
co_vanish(void)
{
	struct co *self = co_tls.self;

	co_enter();
	give_way(self, CO_ACT_GONE);
	co_die("coroutine %ld came back from the dead", (long)self->id);
}

/* --- parking --- */

struct co_parker *
co_parker(void)
{
	struct co *self = co_tls.self;

	if (self == NULL || (co_tls.nopark > 0 && self->pinned == NULL))
		return &co_tls.parker;
	return &self->parker;
}

void
co_arm(struct co_parker *p)
{
	atomic_store_explicit(&p->state, CO_ARMED, memory_order_seq_cst);
}

enum co_why
co_disarm(struct co_parker *p)
{
	uint32_t s = atomic_exchange(&p->state, CO_RUN);

	return (s & 0xff) == CO_CLAIMED ? (enum co_why)(s >> 8) : CO_NONE;
}

bool
co_claim(struct co_parker *p, enum co_why why, bool *parked)
{
	uint32_t s = atomic_load(&p->state);

	do {
		if (s != CO_ARMED && s != CO_PARKED)
			return false;
		*parked = s == CO_PARKED;
	} while (!atomic_compare_exchange_weak(&p->state, &s,
					       CO_CLAIMED | (uint32_t)why << 8));
	return true;
}

void
co_wake(struct co_parker *p, bool parked)
{
	if (!parked)
		return;
	if (p->co != NULL && p->co->pinned == NULL)
		co_ready(p->co);
	else
		sys_futex_wake(&p->state, 1);
}

/* A kernel thread: asleep on its own word.  EINTR is a signal handler that has
 * run. */
static void
park_thread(struct co_parker *p, int64_t deadline, bool may_interrupt)
{
	struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };
	uint64_t handled = co_tls.handled;
	uint32_t s = CO_ARMED;
	long r;

	if (!atomic_compare_exchange_strong(&p->state, &s, CO_PARKED))
		return;
	while (atomic_load(&p->state) == CO_PARKED) {
		r = sys_futex_wait(&p->state, CO_PARKED,
				   deadline == CO_FOREVER ? NULL : &ts);
		s = CO_PARKED;
		if (r == -ETIMEDOUT)
			atomic_compare_exchange_strong(
				&p->state, &s, CO_CLAIMED | CO_TIMEOUT << 8);
		else if (r == -EINTR && may_interrupt &&
			 (co_tls.handled != handled || !co_active))
			atomic_compare_exchange_strong(
				&p->state, &s, CO_CLAIMED | CO_SIGNAL << 8);
	}
}

/* Nobody sets the clock for who has run on without a slot, or has not yet seen
 * that it was taken: all others may have been asleep meanwhile. */
static int64_t
since_now(const struct co *self)
{
	const struct co_m *m = self->m;

	if (m->slot == NULL ||
	    atomic_load_explicit(&m->take, memory_order_relaxed) != CO_TAKE_NO)
		co_clock_set();
	return co_clock_now();
}

/* A pinned coroutine: so too, but what is sent to it claims its parker, as
 * does a signal that is put off until it is out of here. */
static enum co_why
park_pinned(struct co *self, struct co_parker *p, int64_t deadline)
{
	struct timespec ts = { deadline / 1000000000, deadline % 1000000000 };
	uint32_t s = CO_ARMED;
	enum co_why woken;
	long r;

	co_critical_begin();
	if (co_sig_any(self))
		co_claim_and_wake(p, CO_SIGNAL);
	atomic_compare_exchange_strong(&p->state, &s, CO_PARKED);
	while (atomic_load(&p->state) == CO_PARKED) {
		r = sys_futex_wait(&p->state, CO_PARKED,
				   deadline == CO_FOREVER ? NULL : &ts);
		s = CO_PARKED;
		if (r == -ETIMEDOUT)
			atomic_compare_exchange_strong(
				&p->state, &s, CO_CLAIMED | CO_TIMEOUT << 8);
	}
	woken = co_disarm(p);
	co_critical_end();
	return woken;
}

enum co_why
co_park(struct co_parker *p, int64_t deadline, const char *why, uintptr_t what,
	bool may_interrupt)
{
	struct co *self = p->co;

	if (self == NULL) {
		park_thread(p, deadline, may_interrupt);
		return co_disarm(p);
	}
	self->why = why;
	self->since = since_now(self);
	atomic_store_explicit(&self->what, what, memory_order_relaxed);
	if (self->pinned != NULL) {
		enum co_why woken = park_pinned(self, p, deadline);

		self->why = NULL;
		return woken;
	}
	self->may_interrupt = may_interrupt;
	co_enter();
	/* One that is pending already must not wait for the next event. */
	if (co_sig_any(self))
		co_claim_and_wake(p, CO_SIGNAL);
	if (deadline != CO_FOREVER)
		co_timer_add(p, deadline);
	if (atomic_load_explicit(&p->state, memory_order_relaxed) == CO_ARMED)
		give_way(self, CO_ACT_PARK);
	if (deadline != CO_FOREVER)
		co_timer_del(p);
	co_exit();
	self->may_interrupt = 0;
	self->why = NULL;
	return co_disarm(p);
}

enum co_why
co_sleep(int64_t deadline, const char *why, bool may_interrupt)
{
	struct co_parker *p = co_parker();
	enum co_why woken;

	co_arm(p);
	woken = co_park(p, deadline, why, 0, may_interrupt);
	co_sig_handle();
	return woken;
}

bool
co_yield(void)
{
	struct co *self = co_tls.self;
	bool others;

	if (self == NULL || co_tls.nopark > 0)
		return false;
	co_enter();
	/* A loop of yields alone must still see descriptors and timers. */
	if (self->m->slot != NULL && ring_empty(self->m->slot) &&
	    atomic_load_explicit(&global_n, memory_order_relaxed) == 0 &&
	    ++self->m->picks % LOOK_AROUND == 0) {
		if (!co_somebody_polls())
			co_poller_wait(0);
		co_timers_run(0);
	}
	others = self->m->slot == NULL || !ring_empty(self->m->slot) ||
		 atomic_load_explicit(&global_n, memory_order_relaxed) != 0;
	if (others) {
		self->why = "sched_yield";
		give_way(self, CO_ACT_YIELD);
		self->why = NULL;
	}
	co_exit();
	co_sig_handle();
	return others;
}

/* --- kernel threads --- */

static struct co_slot *
free_slot(struct co_m *m)
{
	int i;

	for (i = 0; i < nworkers; i++) {
		struct co_m *nobody = NULL;

		if (atomic_compare_exchange_strong(&slots[i].m, &nobody, m))
			return &slots[i];
	}
	return NULL;
}

/* Sleep until somebody sets m->wake; handlers of signals may run. */
static void
m_sleep(struct co_m *m)
{
	co_critical_end();
	while (atomic_load(&m->wake) == 0)
		sys_futex_wait(&m->wake, 0, NULL);
	co_critical_begin();
}

static void
spare(struct co_m *m)
{
	co_lock(&lock);
	m->slot = free_slot(m);
	if (m->slot == NULL) {
		atomic_store(&m->wake, 0);
		m->next = spare_ms;
		spare_ms = m;
		/* The first is counted since it was asked for. */
		if (m->born)
			atomic_fetch_add(&nspare, 1);
	} else if (!m->born) {
		atomic_fetch_sub(&nspare, 1);
	}
	m->born = 1;
	co_unlock(&lock);
	if (m->slot == NULL) {
		co_sig_idle(m, false);
		m_sleep(m); /* whoever wakes us has set m->slot */
	}
}

static void
idle(struct co_m *m)
{
	struct co_slot *s = m->slot;
	struct co_m *nobody = NULL;

	if (co_timers_run(0))
		return;
	atomic_store(&m->wake, 0);
	co_lock(&lock);
	atomic_store(&s->idle, 1);
	m->on_idle_list = 1;
	m->next = idle_ms;
	idle_ms = m;
	atomic_fetch_add(&nidle, 1);
	co_unlock(&lock);
	atomic_thread_fence(memory_order_seq_cst);
	if (!work_anywhere()) {
		if (atomic_compare_exchange_strong(&poller, &nobody, m)) {
			co_sig_idle(m, true);
			/* Asked after we are known to poll: who adds an
			 * earlier one from now on kicks us. */
			co_poller_wait(co_timer_next());
			atomic_store(&poller, NULL);
		} else {
			co_sig_idle(m, false);
			m_sleep(m);
		}
	}
	co_lock(&lock);
	off_idle_list(m);
	atomic_store(&s->idle, 0);
	co_unlock(&lock);
	co_monitor_nudge();
}

/* The coroutine that it was pinned to has ended, and has changed it: it ends
 * too, but for the process's first, whose end would be seen. */
static void
retire(struct co_m *m)
{
	co_sig_idle(m, false);
	while (m->tid == (int)sys0(SYS_getpid)) {
		atomic_store(&m->wake, 0);
		m_sleep(m);
	}
	co_lock(&lock);
	m->next = retired;
	retired = m;
	co_unlock(&lock);
}

void
co_m_loop(struct co_m *m)
{
	struct co *co;

	for (;;) {
		co_after_switch();
		if (m->pinned) {
			retire(m);
			return;
		}
		if (m->slot == NULL) {
			/* Only the monitor takes, and never in here. */
			spare(m);
			continue;
		}
		co_spare_keep();
		co = pick(m);
		if (co == NULL && nworkers > 1)
			co = steal(m->slot);
		if (co != NULL)
			switch_to(m, NULL, co);
		else
			idle(m);
	}
}

static void *
m_main(void *arg)
{
	struct co_m *m = arg;

	co_tls.m = m;
	co_tls.critical = 1;
	m->born = m->slot != NULL;
	m->idle.tp = co_ctx_tp();
	m->tid = (int)sys0(SYS_gettid);
	co_sig_m_start(m);
	co_m_loop(m);
	return NULL;
}

struct co_m *
co_m_new(void)
{
	struct co_m *m = co_alloc(sizeof(*m));

	if (m == NULL)
		return NULL;
	m->in = 1;
	co_lock(&lock);
	m->all_next = co_all_m;
	co_all_m = m;
	co_unlock(&lock);
	return m;
}

void
co_each_tid(void (*f)(int, void *), void *arg)
{
	struct co_m *m;

	co_critical_begin();
	co_lock(&lock);
	m = co_all_m;
	co_unlock(&lock);
	co_critical_end();
	for (; m != NULL; m = m->all_next)
		f(m->tid, arg);
	f(co_monitor_tid, arg);
}

/* One whose kernel thread is gone: then its stack is ours again. */
static struct co_m *
m_again(void)
{
	struct co_m **p, *m;

	for (p = &retired; (m = *p) != NULL; p = &m->next)
		if (sys3(SYS_tgkill, sys0(SYS_getpid), m->tid, 0) == -ESRCH)
			break;
	if (m == NULL)
		return NULL;
	*p = m->next;
	m->pinned = 0;
	m->born = 0;
	m->cur = m->prev = NULL;
	m->robust_head = NULL;
	m->ndeferred = 0;
	m->altstack_of = 0;
	m->in = 1;
	return m;
}

/* One that could not be born is kept for the next time. */
static struct co_m *
m_get(void)
{
	struct co_m *m;

	co_critical_begin();
	co_lock(&lock);
	m = unborn;
	if (m != NULL)
		unborn = m->next;
	else
		m = m_again();
	co_unlock(&lock);
	co_critical_end();
	if (m != NULL)
		return m;
	m = co_m_new();
	if (m != NULL && co_stack_get(&m->stack, M_STACK + co_tcb_room(),
				      4096) == 0)
		return m;
	return NULL;
}

static void
m_put(struct co_m *m)
{
	co_lock(&lock);
	m->next = unborn;
	unborn = m;
	co_unlock(&lock);
}

/* Our stacks, not glibc's: after a fork glibc uses those of threads that are
 * gone again, and ours may hold what the child still reads.  s NULL: it will
 * be spare. */
static int
m_start(struct co_slot *s)
{
	struct co_m *m = m_get();
	uint64_t all = ~CO_SIGBIT(CO_SIGSETXID), old;
	pthread_attr_t attr;
	int err;

	if (m == NULL)
		return -1;
	m->slot = s;
	if (s != NULL)
		atomic_store(&s->m, m);
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, m->stack.base, m->stack.size);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sys_sigmask(SIG_BLOCK, &all, &old);
	co_tls.nopark++; /* an allocator's lock in there must not switch */
	err = co_libc.create(&m->thread, &attr, m_main, m);
	co_tls.nopark--;
	sys_sigmask(SIG_SETMASK, &old, NULL);
	if (err == 0)
		return 0;
	if (s != NULL)
		atomic_store(&s->m, NULL);
	m->slot = NULL;
	m_put(m);
	return -1;
}

/* To make a thread takes memory, and a region may begin where the allocator is
 * interrupted: so one is always kept, made where that cannot be. */
void
co_spare_keep(void)
{
	static _Atomic int said;
	int none = 0;

	/* It would take after its creator. */
	if (co_tls.self != NULL && co_tls.self->pinned != NULL)
		return;
	if (atomic_load_explicit(&nspare, memory_order_relaxed) != 0 ||
	    !atomic_compare_exchange_strong(&nspare, &none, 1))
		return;
	if (m_start(NULL) == 0)
		return;
	atomic_store(&nspare, 0);
	if (atomic_exchange(&said, 1) == 0)
		co_log(CO_WARN, "no kernel thread to take over with: what "
				"blocks now holds up the others");
}

/* Take a spare kernel thread off its list; NULL: there is none. */
static struct co_m *
take_spare(void)
{
	struct co_m *m;

	co_critical_begin();
	co_lock(&lock);
	m = spare_ms;
	if (m != NULL) {
		spare_ms = m->next;
		atomic_fetch_sub(&nspare, 1);
	}
	co_unlock(&lock);
	co_critical_end();
	return m;
}

static void
go_on_with(struct co_m *m, struct co_slot *s)
{
	m->slot = s;
	atomic_store(&s->m, m);
	atomic_store(&m->wake, 1);
	sys_futex_wake(&m->wake, 1);
}

struct co_m *
co_spare_take(void)
{
	return take_spare();
}

void
co_spare_give(struct co_m *m, struct co_slot *s)
{
	go_on_with(m, s);
}

void
co_spare_return(struct co_m *m)
{
	co_critical_begin();
	co_lock(&lock);
	m->next = spare_ms;
	spare_ms = m;
	atomic_fetch_add(&nspare, 1);
	co_unlock(&lock);
	co_critical_end();
}

/* --- blocking regions --- */

static void
in_region(struct co *self, uint8_t in)
{
	co_lock(&self->lock);
	self->region = in;
	co_unlock(&self->lock);
}

void
co_region_begin(const char *why, bool lasting)
{
	struct co *self = co_tls.self;
	struct co_slot *s;
	struct co_m *m, *next;

	if (self == NULL)
		return;
	self->why = why;
	self->since = since_now(self);
	if (!lasting ||
	    atomic_load_explicit(&co_count, memory_order_relaxed) < 2)
		return;
	co_enter();
	m = self->m;
	s = m->slot;
	next = s != NULL ? take_spare() : NULL;
	if (next != NULL) {
		/* Inside: the monitor might take it as well. */
		m->slot = NULL;
		go_on_with(next, s);
	}
	in_region(self, 1);
	co_exit();
}

void
co_region_end(void)
{
	struct co *self = co_tls.self;

	if (self == NULL)
		return;
	self->why = NULL;
	if (self->region) {
		co_critical_begin();
		in_region(self, 0);
		co_critical_end();
	}
}

/* --- a kernel thread of one's own --- */

/* The slot goes to a spare one; or to nobody, if one is about to be born, for
 * that looks for such.  Under the lock it cannot be both or neither. */
static bool
leave_slot(struct co_m *m)
{
	struct co_slot *s = m->slot;
	struct co_m *next, *nobody = NULL;
	bool left = true;

	if (s == NULL)
		return true;
	co_lock(&lock);
	next = spare_ms;
	if (next == NULL && atomic_load(&nspare) == 0) {
		left = false;
	} else {
		m->slot = NULL;
		atomic_store(&s->m, NULL);
	}
	if (next != NULL) {
		spare_ms = next->next;
		atomic_fetch_sub(&nspare, 1);
	}
	co_unlock(&lock);
	if (next == NULL)
		return left;
	if (atomic_compare_exchange_strong(&s->m, &nobody, next))
		go_on_with(next, s);
	else
		co_spare_return(next);
	return true;
}

/* What was queued for it while it was anywhere is its kernel thread's. */
static void
pass_signals_on(struct co *self, struct co_m *m)
{
	long pid = sys0(SYS_getpid);
	struct co_sig sig;

	while (co_sig_take(self, ~CO_SIGBIT(CO_SIGSETXID), &sig))
		if (sig.signo == CO_SIGCANCEL)
			sys3(SYS_tgkill, pid, m->tid, CO_SIGCANCEL);
		else
			sys4(SYS_rt_tgsigqueueinfo, pid, m->tid, sig.signo,
			     &sig.info);
}

bool
co_pin(void)
{
	enum { TRIES = 100 };
	struct co *self = co_tls.self;
	uint8_t spent = CO_LIVES;
	bool left = false;
	int i;

	if (self->pinned != NULL)
		return true;
	if (!atomic_compare_exchange_strong(&self->spent, &spent, CO_SPENT) &&
	    spent != CO_SPENT)
		return false;
	co_monitor_start();
	for (i = 0; i < TRIES && !left; i++) {
		co_spare_keep();
		co_enter();
		left = leave_slot(self->m);
		if (left) {
			self->m->pinned = 1;
			self->pinned = self->m;
			co_tls.nopark++;
		}
		co_exit();
		if (!left)
			sys0(SYS_sched_yield);
	}
	if (left)
		pass_signals_on(self, self->m);
	return left;
}

/* --- starting --- */

static void *
m0_main(void *arg)
{
	struct co_m *m = arg;

	sys2(SYS_set_robust_list, m->robust_head, 24);
	/* glibc's start code has set its creator's mask. */
	m->kmask = ~co_sig_idle_mask();
	co_sig_idle(m, true);
	co_m_loop(m);
	return NULL;
}

static void
nothing(void *arg)
{
	(void)arg;
}

/* The main thread's kernel thread is the first m; its own context needs a
 * thread block of its own, since main takes its block along. */
int
co_start(int workers)
{
	static struct co_tcb tcb;
	struct co_m *m;
	struct co_stack stack;
	struct co_tls *tls;
	struct co *co;
	pthread_attr_t attr;
	uint64_t all = ~UINT64_C(0), old;
	size_t len;
	int i, err;

	if (workers > WORKERS_MOST)
		workers = WORKERS_MOST;
	nworkers = workers > 0 ? workers : 1;
	m = co_m_new();
	co = co_main_co();
	if (m == NULL || co == NULL || co_timer_reserve(2) != 0 ||
	    co_poller_init() != 0)
		return -1;
	if (co_stack_get(&stack, M_STACK + co_tcb_room(), 4096) != 0)
		return -1;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack.base, stack.size);
	tcb.tid = (1 << 22) - 1;
	tcb.first = nothing;
	/* It begins to run when main first waits: by then the program may
	 * have blocked what kills it now. */
	sys_sigmask(SIG_BLOCK, &all, &old);
	err = co_tcb_create(&tcb, &attr, m0_main, m);
	sys_sigmask(SIG_SETMASK, &old, NULL);
	if (err != 0) {
		co_stack_put(&stack, 0);
		return -1;
	}
	m->idle = tcb.ctx;
	m->stack = stack;
	m->tid = (int)sys0(SYS_gettid);
	sys3(SYS_get_robust_list, 0, &m->robust_head, &len);
	tls = (struct co_tls *)(tcb.ctx.tp +
				((uintptr_t)&co_tls - co_ctx_tp()));
	tls->m = m;
	tls->critical = 1;
	for (i = 0; i < nworkers; i++)
		slots[i].id = i;
	atomic_store(&slots[0].m, m);
	m->slot = &slots[0];
	m->born = 1;
	m->cur = co;
	m->in = 0;
	co->m = m;
	sys2(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0);
	co_sig_m_start(m);
	co_sig_born(co);
	co_main_alive = co;
	co_clock_set();
	co_tls.self = co;
	co_active = 1;
	for (i = 1; i < nworkers; i++)
		m_start(&slots[i]);
	return 0;
}

/* --- after a fork --- */

void
co_forked(void)
{
	struct co *self = co_tls.self;
	struct co_m *m = self->m;
	int i;

	/* All the others are gone; what they held half changed is dropped. */
	lock.word = 0;
	global_first = NULL;
	global_last = &global_first;
	global_n = 0;
	idle_ms = spare_ms = unborn = retired = NULL;
	nidle = 0;
	nspare = 0;
	poller = NULL;
	co_all_m = m;
	m->all_next = NULL;
	m->on_idle_list = 0;
	memset(slots, 0, sizeof(slots));
	for (i = 0; i < nworkers; i++)
		slots[i].id = i;
	nworkers = 1;
	atomic_store(&slots[0].m, m);
	m->slot = &slots[0];
	m->take = CO_TAKE_NO;
	m->in = 0;
	m->tid = (int)sys0(SYS_gettid);
	self->tid = m->tid;
	if (self->pinned != NULL) {
		/* Alone: who comes takes after it, as after its creator. */
		self->pinned = NULL;
		m->pinned = 0;
		co_tls.nopark--;
	}
	self->parker.timer.at = 0;
	/* membarrier's registration is the memory's, and came along. */
}
