/* SPDX-License-Identifier: MIT */
/* worker.c - kernel threads of ours: born, at work, spare, retired.
 *
 * One is made only when none is spare, and then every one there is has a slot
 * or a coroutine on it: so there are never more than coroutines, slots and one,
 * as the program would have had without us.
 */
#include <errno.h>
#include <sys/wait.h>

#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/work.h"

enum { SPARES = 2 };            /* that are kept however old */
#define OLD INT64_C(1000000000) /* ns */

/* Under lock. */
static struct co_lock lock;
static struct co_m *spare_ms, *unborn;
static struct co_m *retired; /* gone, or about to be */
static _Atomic int nspare;   /* on the list, or about to be */
struct co_m *co_all_m;       /* pushed to, never taken from */

static struct co_slot *
free_slot(struct co_m *m)
{
	int i;

	for (i = 0; i < co_nslots; i++) {
		struct co_m *nobody = NULL;

		if (atomic_compare_exchange_strong(&co_slots[i].m, &nobody, m))
			return &co_slots[i];
	}
	return NULL;
}

/* A child may have asked for a signal when its parent ends, and its parent is a
 * kernel thread (PR_SET_PDEATHSIG, prctl(2)). */
static bool
has_children(void)
{
	siginfo_t info;

	return sys6(SYS_waitid, P_ALL, 0, &info,
		    WEXITED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD, NULL,
		    0) != -ECHILD;
}

/* It has been spare for long, and is one too many.  The process's first kernel
 * thread stays, for its end would be seen. */
static bool
superfluous(struct co_m *m)
{
	struct co_m **p;
	bool gone = false;

	co_lock(&lock);
	for (p = &spare_ms; *p != NULL && *p != m; p = &(*p)->next)
		;
	if (*p == m && atomic_load(&nspare) > SPARES &&
	    m->tid != (int)sys0(SYS_getpid)) {
		*p = m->next;
		atomic_fetch_sub(&nspare, 1);
		gone = true;
	}
	co_unlock(&lock);
	return gone;
}

/* Without a slot, until there is one; false: it is to end.  The list is last
 * in, first out, so that what is not needed is what gets old. */
static bool
spare(struct co_m *m)
{
	struct co_slot *s;
	int64_t old;

	co_lock(&lock);
	m->slot = s = free_slot(m);
	if (s == NULL) {
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
	/* Not m->slot, which may be set by now: who has set it wakes us after
	 * that, and must not wake us from the next sleep. */
	if (s != NULL)
		return true;
	co_sig_idle(m, false);
	old = co_now() + OLD;
	if (!co_m_sleep(m, old)) {
		if (!has_children() && superfluous(m))
			return false;
		co_m_sleep(m, CO_FOREVER);
	}
	return true;
}

/* The coroutine that it was pinned to has ended, and has changed it: it ends
 * too, but for the process's first, whose end would be seen. */
static void
retire(struct co_m *m)
{
	co_sig_idle(m, false);
	while (m->tid == (int)sys0(SYS_getpid)) {
		atomic_store(&m->wake, 0);
		co_m_sleep(m, CO_FOREVER);
	}
	co_sig_m_end();
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
			if (spare(m))
				continue;
			retire(m);
			return;
		}
		co_slots_grow();
		co_spare_keep();
		co = co_pick(m);
		if (co == NULL && co_nslots > 1)
			co = co_steal(m->slot);
		if (m->searching)
			co_searched(m, co != NULL);
		if (co != NULL)
			co_switch_to(m, NULL, co);
		else
			co_idle(m);
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
	co_comm_m(m);
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
	m->kmask = ~UINT64_C(0); /* lets in nothing: it is not born yet */
	co_lock(&lock);
	m->number = co_all_m != NULL ? co_all_m->number + 1 : 0;
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
	m->cpu = 0;
	m->ndeferred = 0;
	m->altstack_of = 0;
	m->searching = 0;
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
	if (m != NULL &&
	    co_stack_get(&m->stack, CO_M_STACK + co_tcb_room(), 4096) == 0)
		return m;
	return NULL;
}

static void
m_put(struct co_m *m)
{
	co_critical_begin();
	co_lock(&lock);
	m->next = unborn;
	unborn = m;
	co_unlock(&lock);
	co_critical_end();
}

/* Our stacks, not glibc's: after a fork glibc uses those of threads that are
 * gone again, and ours may hold what the child still reads.  s NULL: it will
 * be spare. */
int
co_m_start(struct co_slot *s)
{
	struct co_m *m = m_get(), *nobody = NULL;
	uint64_t all = ~CO_SIGBIT(CO_SIGSETXID), old;
	pthread_attr_t attr;
	int err;

	if (m == NULL)
		return -1;
	/* A spare one may have found it before us. */
	if (s != NULL && !atomic_compare_exchange_strong(&s->m, &nobody, m)) {
		m_put(m);
		return 0;
	}
	m->slot = s;
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

/* One more when a coroutine is born that has none yet: so it costs nothing where
 * there are many CPUs and few threads, or in the child of a fork, which execs.
 * What is ready here already it may have at once. */
void
co_slots_grow(void)
{
	int n = atomic_load_explicit(&co_nslots, memory_order_relaxed);
	struct co_m *m;

	if (__builtin_expect(n >= co_nslots_most, 1) ||
	    n >= atomic_load_explicit(&co_count, memory_order_relaxed))
		return;
	if (co_tls.self != NULL && co_tls.self->pinned != NULL)
		return;
	if (!atomic_compare_exchange_strong(&co_nslots, &n, n + 1))
		return;
	co_enter();
	m = co_m();
	if (m != NULL && m->slot != NULL)
		co_ring_share(m->slot);
	co_exit();
	/* If that fails, it is for a spare one that is born later. */
	co_m_start(&co_slots[n]);
}

/* --- spare ones --- */

/* To make a thread takes memory, and a region may begin where the allocator is
 * interrupted: so one is always kept, made where that cannot be. */
void
co_spare_keep(void)
{
	int none = 0;

	/* It would take after its creator. */
	if (co_tls.self != NULL && co_tls.self->pinned != NULL)
		return;
	if (atomic_load_explicit(&nspare, memory_order_relaxed) != 0 ||
	    !atomic_compare_exchange_strong(&nspare, &none, 1))
		return;
	if (co_m_start(NULL) == 0)
		return;
	atomic_store(&nspare, 0);
	co_log_once(CO_WARN, "no kernel thread to take over with: what blocks "
			     "now holds up the others");
}

struct co_m *
co_spare_take(void)
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

void
co_spare_give(struct co_m *m, struct co_slot *s)
{
	m->slot = s;
	atomic_store(&s->m, m);
	atomic_store(&m->wake, 1);
	sys_futex_wake(&m->wake, 1);
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

/* The slot goes to a spare one; or to nobody, if one is about to be born, for
 * that looks for such.  Under the lock it cannot be both or neither. */
bool
co_slot_leave(struct co_m *m)
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
		co_spare_give(next, s);
	else
		co_spare_return(next);
	return true;
}

void
co_workers_forked(struct co_m *m)
{
	lock.word = 0;
	spare_ms = unborn = retired = NULL;
	nspare = 0;
	co_all_m = m;
	m->all_next = NULL;
}
