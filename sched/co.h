/* SPDX-License-Identifier: MIT */
/* co.h - what a coroutine is, how it goes to sleep and how it wakes.
 *
 * co      a coroutine: a thread to the program.
 * slot    a worker's claim to run coroutines: there are COHOOK_WORKERS.
 * m       a kernel thread of ours.  One that holds a slot takes coroutines
 *         from its queue; one that lost it (taking over, monitor.c) goes on
 *         with what it runs until that next waits, and is spare then.
 *
 * A wait, coroutine's or kernel thread's, goes through its parker:
 *
 *            co_arm()            off its stack           co_wake()
 *     RUN ------------> ARMED ------------------> PARKED ---------+
 *      ^                  |                         |             |
 *      |                  | co_claim(why)           | co_claim()  |
 *      |                  v                         v             v
 *      +------------- WOKEN(why) <---------------- WOKEN(why)   ready
 *        co_park() returns why
 *
 * Armed, it tells those who shall wake it, in writing, under their locks.
 * Each of them claims; just one wins, so a wake-up is neither lost nor double.
 * A claim of an ARMED parker finds it still on its own stack: whoever takes
 * the CPU over from it sees that and makes it ready.
 */
#ifndef COHOOK_CO_H
#define COHOOK_CO_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctx/lock.h"
#include "ctx/stack.h"
#include "ctx/tcb.h"

/* Absolute CLOCK_MONOTONIC nanoseconds; this one never comes. */
#define CO_FOREVER INT64_MAX

enum co_why {
	CO_NONE,     /* not woken */
	CO_WOKEN,    /* by the object waited for */
	CO_TIMEOUT,
	CO_SIGNAL,   /* a signal or a cancellation is pending: see to it */
	CO_CLOSED,   /* the descriptor was closed meanwhile */
};

enum { CO_RUN, CO_ARMED, CO_PARKED, CO_CLAIMED };

struct co;
struct co_m;

/* glibc's signals (nptl/internal-signals.h): to be cancelled, and to take on
 * another user id, which no kernel thread of ours ever holds up for long. */
enum { CO_SIGCANCEL = 32, CO_SIGSETXID = 33 };

struct co_timer {
	int64_t deadline;
	uint64_t seq;          /* equal deadlines: in order of arming */
	size_t at;             /* index in the heap + 1; 0: not in it */
};

struct co_parker {
	_Atomic uint32_t state; /* CO_RUN ... CO_CLAIMED | why << 8 */
	struct co *co;          /* NULL: a kernel thread, asleep on state */
	struct co_timer timer;  /* guarded by the heap's lock */
};

/* A signal on its way to a coroutine. */
struct co_sig {
	struct co_sig *next;
	int signo;
	int lent;               /* to the kernel: lend.c */
	uint64_t mask;          /* to put back; threads not ours */
	siginfo_t info;
};
enum { CO_SIGS = 8 };          /* put off in one critical section at most */

/* Somebody waits for a descriptor. */
struct co_fd_wait {
	struct co_parker *parker;
	struct co_fd_wait *next;         /* under the slot's lock */
	union {
		struct co_fd_wait **prev;
		struct co_fd_wait *before; /* in a ring of turns */
	};
	struct co_fd *slot;
	uint32_t gen;
	bool in_turn;
};

/* What getrusage(2) counts; times in ns. */
enum {
	CO_U_CPU,
	CO_U_USER,
	CO_U_SYS,
	CO_U_MINFLT,
	CO_U_MAJFLT,
	CO_U_INBLOCK,
	CO_U_OUBLOCK,
	CO_U_NVCSW,
	CO_U_NIVCSW,
	CO_USES
};
struct co_usage {
	_Atomic int64_t n[CO_USES];
};

/* What every wait touches comes first, down to tcb.ctx: with a thousand
 * coroutines each line is a miss, and each page of a stack as much again. */
struct co {
	struct co_parker parker;
	struct co_fd_wait fd_wait; /* where it waits for one descriptor alone */
	struct co_m *m;         /* who runs it; changes only while parked */
	const char *why;        /* static text: the call it waits in */
	_Atomic uintptr_t what; /* what it waits for: an address or an fd */
	int64_t since;          /* when it began to wait, by co_clock */
	_Atomic uint8_t state;  /* enum co_state, for dumps */
	uint8_t is_main;
	uint8_t may_interrupt;  /* parked where a signal may wake it */
	uint8_t in_handler;     /* signal handlers on its stack, or left by
	                         * longjmp: the kernel knows its mask best */
	uint8_t uses_masks;     /* changes its mask past us: ask the kernel */
	uint8_t altstack_set;
	uint8_t by_address;     /* waits in the parking lot, nowhere else */
	_Atomic int sig_todo;   /* one of its signals may be run: look */
	_Atomic uint32_t sigseq;/* signals that were ever queued for it */
	unsigned handled;       /* handlers that ran here; */
	unsigned interrupted;   /* those of them without SA_RESTART */
	struct co *next;        /* run queue, free list */
	struct co_tcb tcb;      /* tcb.ctx: where it goes on */
	int64_t id;             /* never used again */
	int tid;                /* what gettid() answers */
	int64_t watched;        /* its region began; for watch.c */
	uint32_t parks;         /* waits in which others had its CPU */
	uint32_t lends;         /* and those in the kernel without a slot */
	char name[32];

	/* Its signals; lock guards pending. */
	uint64_t sigmask;       /* as set aside at its last switch */
	stack_t altstack;
	struct co_lock lock;
	struct co_sig *pending; /* oldest first */
	_Atomic int npending;
	_Atomic uint64_t sigwait; /* waits for these, blocked as they are */

	/* Its stack and its life. */
	struct co_stack stack;
	size_t own_size;        /* as asked for: stack may have more */
	size_t own_guard;       /* the attribute's, in whole pages */
	struct co_pool *pool;   /* for its block; NULL: glibc frees it */
	uint8_t own_stack;      /* stack is ours, not the program's */
	uint8_t recycled;       /* the block has had a life before */
	_Atomic uint8_t spent;  /* enum co_spent */
	_Atomic uint8_t cancel; /* somebody has cancelled it */
	_Atomic uint8_t region; /* in a lasting one: alone on its kernel thread;
	                         * changed under lock */
	uint8_t own_sched;      /* struct co_birth's */
	uint8_t light;          /* of cohook_go(): counted by cohook_run() */
	void *(*fn)(void *);
	void *arg;
	void *result;
	uint64_t fp;            /* its creator's control words */

	/* Join; all under join_lock, waited for on &done. */
	struct co_lock join_lock;
	_Atomic uint8_t done;
	uint8_t detached, joining, real_exit;
	struct co *all_next, **all_prev; /* every live one; co_all_lock */
	void *robust_head;
	struct co_fd *turn;     /* an event's, that it has to see to: fd.h */
	uint32_t turn_gen;
	struct co_m *pinned;    /* its own kernel thread, to its end */
	uint8_t thread_timer;   /* pinned: a timer is for that thread */
	uintptr_t memory[2];    /* from, to: was memory when last read into */
	uint64_t to_self;       /* signals that it has sent itself, and not by
	                         * tgkill(2), which would tell; its own */
	struct co_usage usage;  /* until its last switch: cpu.c */
	_Atomic int64_t cpu_seen; /* what others have been told of it */
};

/* CO_SPENT: must end through glibc, and cannot be recycled.  CO_ENDED: will be
 * recycled, and can be spent no more. */
enum co_spent { CO_LIVES, CO_SPENT, CO_ENDED };

enum co_state { CO_S_READY, CO_S_RUNNING, CO_S_PARKED, CO_S_GONE };

/* Per thread, in every thread: a coroutine's own, an m's own, or that of a
 * kernel thread that is not ours. */
struct co_tls {
	struct co *self;          /* NULL: no coroutine */
	struct co_m *m;           /* in an m's own context */
	int critical;             /* > 0: signal handlers are put off */
	int nopark;               /* > 0: block the kernel thread instead */
	int vforked;              /* the child of a vfork: keep no books */
	struct co_parker parker;  /* where self is NULL */
	_Atomic int nudged;       /* likewise: its next wait ends at once */
	struct co_sig *deferred;  /* where there is neither self nor m */
	struct co_sig deferred_one;
	void (*once)(void);       /* hook/once.c */
	uint64_t handled;         /* native threads: handlers that ran */
	uint64_t interrupted;
};
extern __thread struct co_tls co_tls;

/* The runtime stands: hooks do more than call libc.  Set once, by the main
 * thread while it is alone. */
extern int co_active;

/* Start it: main becomes a coroutine, its kernel thread the first m.
 * workers  the most there will be, see co_slots_grow().
 * 0, or -1 and nothing has changed. */
int co_start(int workers);

/* --- waiting --- */

/* The caller's parker. */
struct co_parker *co_parker(void);

/* co_arm - from now on a claim counts.  Nothing may wait between this and
 * co_park() or co_disarm(). */
void co_arm(struct co_parker *p);

/* The same without its barrier: the caller has one, for all that it looks at
 * before it parks. */
static inline void
co_arm_before_fence(struct co_parker *p)
{
	atomic_store_explicit(&p->state, CO_ARMED, memory_order_release);
}

/* co_park - wait until somebody claims p, the caller's own and armed.
 *
 * why       static text for the dump: the call's name
 * what      an address or a descriptor, for the dump
 * Returns   why it was woken.  The caller takes back what it has left with
 *           others to be woken by, and then calls co_sig_handle(). */
enum co_why co_park(struct co_parker *p, int64_t deadline, const char *why,
		    uintptr_t what, bool may_interrupt);

/* co_disarm - wait after all not.  Returns the claim that was there, if any. */
enum co_why co_disarm(struct co_parker *p);

/* co_claim - try to be the one who wakes p.  false: it is awake already.  true:
 * call co_wake() with *parked as it was filled in, soon, locks released. */
bool co_claim(struct co_parker *p, enum co_why why, bool *parked);
void co_wake(struct co_parker *p, bool parked);

/* Wake it if it is still asleep: for callers without locks. */
static inline void
co_claim_and_wake(struct co_parker *p, enum co_why why)
{
	bool parked;

	if (co_claim(p, why, &parked))
		co_wake(p, parked);
}

/* A thread that is not a coroutine, whose co_tls this is, is to look at what has
 * come for it: the wait that it is in, or else its next, ends as CO_SIGNAL. */
void co_nudge_thread(struct co_tls *tls);

/* Sleep; CO_TIMEOUT, or CO_SIGNAL if may_interrupt. */
enum co_why co_sleep(int64_t deadline, const char *why, bool may_interrupt);

/* Let the others run first.  False if there was nobody. */
bool co_yield(void);

/* A coroutine that is parked nowhere is to run: born, or woken. */
void co_ready(struct co *co);

int64_t co_now(void);

/* co_now() as it was when the poller last woke or the monitor last looked:
 * for those who want to know at no cost, and not to the millisecond. */
extern _Atomic int64_t co_clock;
static inline void
co_clock_set(void)
{
	atomic_store_explicit(&co_clock, co_now(), memory_order_relaxed);
}
static inline int64_t
co_clock_now(void)
{
	return atomic_load_explicit(&co_clock, memory_order_relaxed);
}

/* --- blocking regions --- */

/* co_region_begin - the caller is about to block in the kernel.
 *
 * lasting  it will surely be for long: the slot is given away at once.  Else
 *          the monitor takes it if we do not come back. */
void co_region_begin(const char *why, bool lasting);
void co_region_end(void);

/* co_pin - the caller, a coroutine, gets a kernel thread for itself alone: what
 * it changes there is its own, and gone with it.
 *
 * From now on it waits as a kernel thread does: co_tls.nopark holds, and hooks
 * are libc's own calls.  Where it must wait for coroutines, co_park() blocks
 * the kernel thread.  It ends glibc's way.
 * Returns  false: no kernel thread is to be had to go on with the others. */
bool co_pin(void);

/* --- CPU time (cpu.c) --- */

/* What is counted at each switch: nothing, the time, or all. */
enum { CO_CPU_NONE, CO_CPU_TIME, CO_CPU_ALL };
extern int co_cpu_level;

/* co's so far, ns: from the first call on it is counted exactly. */
int64_t co_cpu_time(struct co *co);
/* All of self's, the caller; CO_U_CPU alone at CO_CPU_TIME. */
void co_cpu_own(struct co *self, int level, int64_t n[CO_USES]);
/* self, which may be NULL, leaves m, which is the caller's. */
void co_cpu_switch(struct co_m *m, struct co *self);
/* While nobody has asked: m has used that much by now, and co is on it. */
void co_cpu_sample(struct co_m *m, struct co *co, int64_t cpu);
/* CPU time of a kernel thread of the process; 0: the caller. */
int64_t co_cpu_of_kernel(int tid);

/* --- births and deaths (life.c) --- */

struct co_birth {
	size_t stack;          /* bytes */
	size_t guard;
	void *own;             /* the program's own stack, or NULL */
	bool detached, light;
	bool own_sched;        /* a policy of its own was asked for */
	const uint64_t *mask;  /* of signals; NULL: the creator's */
	void *(*fn)(void *);
	void *arg;
};

/* 0, or EAGAIN, EINVAL.  The child is ready when this returns. */
int co_spawn(const struct co_birth *b, struct co **out);
/* The end of a coroutine's life in glibc's own way, from a key destructor. */
void co_leave(void);
/* One of co_threads ends: the last one's end is the end of the process, as
 * pthread_exit(3) says.  Or it ends by exit(2), and stays counted. */
void co_count_out(void);
void co_count_quit(int status);
/* As by exit(2): the caller, a coroutine, ends alone and at once, and runs no
 * handler of anybody's. */
void co_quit(int status);
/* Give a dead and joined one back; its result. */
void *co_reap(struct co *co);
/* What a recycled block runs to look new, and an ending one to clean up:
 * hook/ fills these in. */
extern void (*co_on_life_begin)(struct co *);
extern void (*co_on_life_end)(struct co *);
/* After a coroutine's end, in its own context, before it can be reaped. */
extern void (*co_on_done)(struct co *);
/* Set up in co_start(); also the first context of each m. */
struct co *co_main_co(void);

/* Every coroutine ends by glibc's own code. */
extern bool co_never_recycle;
extern struct co_lock co_all_lock;
extern struct co *co_all;
extern _Atomic long co_count;       /* coroutines, main included */
extern _Atomic long co_threads; /* those that are threads to the program, and
                                     * kernel threads that hook/ counts in */
extern _Atomic long co_light_count; /* those of cohook_go(); waited on */
/* Memory that is never given back: zeroed, NULL if there is none. */
void *co_alloc(size_t size);

void co_dump(int fd);
/* With their stacks, as far as where.h can tell: for the monitor. */
void co_dump_stacks(int fd);

/* deadlock.c: nothing has run for a while. */
void co_deadlock_look(void);
/* hook/ fills these in: has the program a handler for a signal that is not
 * among these, and can come by itself?  And the id, as gettid() gives it, of
 * who holds what is waited for in the call why, by a copy of its first 64
 * bytes; 0: nobody can know. */
extern bool (*co_sig_handled)(uint64_t except);
extern int (*co_holder)(const char *why, const void *object);

/* --- kernel threads, slots, queues (work.h) --- */

#ifndef CO_RING_SIZE
#define CO_RING_SIZE 256 /* tests/unit/unit_model.c has shorter ones */
#endif
enum { CO_RING = CO_RING_SIZE };

struct co_slot {
	/* The owner puts at tail and takes at head; thieves take at head. */
	_Atomic uint32_t head, tail;
	struct co *_Atomic ring[CO_RING];
	_Atomic uint32_t tick;    /* switches: the monitor watches it */
	struct co_m *_Atomic m;   /* who has it; NULL: nobody */
	_Atomic int idle;         /* its m polls or sleeps: not to be taken */
	/* The monitor's to write: */
	_Atomic uint8_t enough;   /* so many in the ring want help; 1: what
	                           * runs there keeps it for long */
	_Atomic uint8_t look;     /* at I/O and timers, before the next pick */
	/* Who has the slot writes, once: others may take from the ring. */
	_Atomic uint8_t shared;
	uint32_t seen_tick;
	int seen;                 /* rounds that it has not moved */
	int id;
};

enum { CO_TAKE_NO, CO_TAKE_ASKED, CO_TAKE_DONE };

struct co_m {
	struct co_ctx idle;       /* its own context, where it looks for work */
	struct co_slot *slot;     /* its own to read and write */
	_Atomic int in;           /* in the scheduler: nothing is taken */
	_Atomic int take;         /* CO_TAKE_*: the monitor's side */
	struct co *prev;          /* who just left the CPU, and */
	int act;                  /* what is to be done with it */
	struct co *cur;
	_Atomic uint32_t wake;    /* futex: sleep while 0 */
	struct co_m *next;        /* idle or spare list; sched lock */
	int on_idle_list;         /* idle lock */
	int searching;            /* idle lock, and its own when awake */
	int born;                 /* has been through spare() or begun with a
	                           * slot: nspare no longer counts it */
	int64_t cpu;              /* monitor's: its CPU time when last seen to move */
	_Atomic int64_t sampled;  /* its CPU time that coroutines have had; */
	struct co_usage usage;    /* and its own at the last switch, as far */
	int usage_level;          /* as this has it: cpu.c */
	_Atomic uint64_t kmask;   /* the kernel's signal mask, as far as known */
	_Atomic uint64_t nudged;  /* by these, and no handler has seen it; */
	_Atomic int nudging;      /* or one is on its way: sig.c */
	struct co_sig deferred[CO_SIGS];
	_Atomic int ndeferred;
	char *altstack;           /* ours, for handlers with nowhere to go */
	int pinned;               /* to one coroutine: not for others after it */
	int altstack_of;          /* a coroutine's is installed */
	int tid;
	void *robust_head;
	unsigned picks;
	pthread_t thread;
	struct co_stack stack;
	int number;               /* in its name, comm.c */
	/* The monitor has taken its slot, then, for what it does there: the
	 * monitor writes, it reads when it is back (watch.c). */
	_Atomic int64_t blamed_at;
	struct co_watched *_Atomic blamed;
	struct co_m *all_next;
};

/* The m that runs the caller; NULL for kernel threads not ours. */
static inline struct co_m *
co_m(void)
{
	return co_tls.self != NULL ? co_tls.self->m : co_tls.m;
}

/* Critical sections: a signal handler of the program that wants to run now
 * runs at the end of it.  They nest; nothing in one calls the program. */
void co_deferred_run(void);

static inline bool
co_deferred_any(void)
{
	struct co_m *m = co_m();

	if (m != NULL)
		return atomic_load_explicit(&m->ndeferred,
					    memory_order_relaxed) != 0;
	return co_tls.deferred != NULL;
}

static inline void
co_critical_begin(void)
{
	co_tls.critical++;
	atomic_signal_fence(memory_order_seq_cst);
}

static inline void
co_critical_end(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (--co_tls.critical == 0 && __builtin_expect(co_deferred_any(), 0))
		co_deferred_run();
}

/* Enter and leave the scheduler: critical, and the slot stays ours inside. */
void co_settle(struct co_m *m);

static inline void
co_enter(void)
{
	struct co_m *m;

	co_critical_begin();
	m = co_m();
	if (m == NULL)
		return;
	/* Plain on purpose: the other side of this Dekker pair is the
	 * monitor's membarrier(2), see co_take() in sched.c. */
	atomic_store_explicit(
		&m->in, atomic_load_explicit(&m->in, memory_order_relaxed) + 1,
		memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (__builtin_expect(atomic_load_explicit(&m->take,
						  memory_order_relaxed) !=
				     CO_TAKE_NO,
			     0))
		co_settle(m);
}

static inline void
co_exit(void)
{
	struct co_m *m = co_m();

	if (m != NULL)
		atomic_store_explicit(
			&m->in,
			atomic_load_explicit(&m->in, memory_order_relaxed) - 1,
			memory_order_release);
	co_critical_end();
}
/* First thing in a context that was switched to: see to who was before. */
void co_after_switch(void);
/* Leave the CPU for good. */
_Noreturn void co_vanish(void);
/* Leave it until a next life begins. */
void co_rest(void);
/* What is to be done with m->prev. */
enum { CO_ACT_PARK, CO_ACT_YIELD, CO_ACT_GONE };
void co_gone(struct co *co);
struct co_m *co_m_new(void);
void co_m_loop(struct co_m *m);
extern struct co_m *co_all_m;
/* For debug.c alone. */
extern const _Atomic int64_t *const co_ids;
/* All kernel threads that are ours, by their ids. */
void co_each_tid(void (*f)(int tid, void *arg), void *arg);

/* comm.c: what /proc calls a kernel thread: one of ours; the monitor; as the
 * coroutine that it is now alone for, or that makes another or forks on it. */
void co_comm_init(void);
void co_comm_m(const struct co_m *m);
void co_comm_monitor(void);
void co_comm_co(const struct co *co);
/* The thread's name, to the program. */
void co_comm_get(const struct co *co, char name[16]);
void co_comm_set(struct co *co, const char *name);

/* fork: in the child, with the forking coroutine alone. */
void co_forked(void);

/* A descriptor of ours, moved out of the program's way; returns its number. */
int co_high_fd(int fd);
/* The same for one that lives only as long as a call. */
int co_fd_lift(int fd);
bool co_is_our_fd(int fd);
/* The lowest of ours that is at least from; -1: none. */
int co_our_fd_from(int from);

/* --- between the files of sched/ --- */
int co_timer_reserve(long coroutines);
void co_timer_add(struct co_parker *p, int64_t deadline);
void co_timer_del(struct co_parker *p);
int64_t co_timer_next(void);
bool co_timers_run(int64_t now);
void co_timers_forked(void);

int co_poller_init(void);
/* Wait up to deadline (0: not at all) for descriptors; ready their waiters. */
void co_poller_wait(int64_t deadline);
void co_poller_kick(void);
/* The same, perhaps in vain, and though it may have been kicked: it relies on no
 * table of descriptors, and nobody relies on it. */
void co_poller_kick_again(void);
int co_poller_kickfd(void);
void co_poller_forked(void);

void co_monitor_start(void);
void co_monitor_nudge(void);
/* By a signal handler: it is to dump them, soon, to that descriptor. */
void co_monitor_dump(int fd);
/* That signal, which the monitor lets in when all others block it. */
extern int co_dump_signal;
extern _Atomic int co_monitor_tid; /* 0: there is none */

void co_monitor_forked(void);
/* Spare kernel threads: keep one; take one (NULL: there is none) for a slot
 * that it will be given, or put it back.  Keeping is not for signal handlers. */
void co_spare_keep(void);
struct co_m *co_spare_take(void);
void co_spare_give(struct co_m *m, struct co_slot *s);
void co_spare_return(struct co_m *m);
void co_each_slot(void (*f)(struct co_slot *));
/* So many there may be. */
int co_nworkers(void);
/* Another worker, if there are more coroutines than workers, and may be: by a
 * thread whose table of descriptors, CPUs and priority it may take after. */
void co_slots_grow(void);
bool co_somebody_polls(void);

void co_lot_forked(void);
void co_life_forked(void);
/* Likewise, but the child of a thread that is no coroutine: there are none any
 * more, and nobody to run them. */
void co_life_orphaned(void);
void co_sig_orphaned(void);
void co_poller_orphaned(void);
void co_sig_forked(void);

/* sig.c: masks and alternate stacks follow the coroutine. */
void co_sig_switch(struct co_m *m, struct co *from, struct co *to);
/* mask NULL: the caller's. */
void co_sig_born(struct co *co, const uint64_t *mask);
void co_sig_gone(struct co *co);
void co_sig_m_start(struct co_m *m);
void co_sig_m_end(void);
void co_sig_run_pending(struct co *self);
static inline bool
co_sig_any(struct co *self)
{
	return __builtin_expect(atomic_load_explicit(&self->sig_todo,
						     memory_order_relaxed) != 0,
				0);
}
/* Run what has come for the caller meanwhile.  A handler may wait, and it may
 * leave by longjmp(3): nothing may be armed, queued or locked. */
static inline void
co_sig_handle(void)
{
	struct co *self = co_tls.self;

	if (self != NULL && co_sig_any(self))
		co_sig_run_pending(self);
}
/* Handlers have run between any two lines of self, the caller: a cancellation,
 * or a signal that it is about to wait for, may have been seen by them alone
 * (they look as they wait, and so does each nudge).  Its next wait looks. */
static inline void
co_sig_look_again(struct co *self)
{
	if (self->cancel || (self->sigwait != 0 && self->npending > 0))
		atomic_store(&self->sig_todo, 1);
}
/* To that kernel thread; 0, or what pthread_kill(3) says then.  info is another
 * thread's to send: its code is SI_TKILL or SI_QUEUE. */
int co_sig_send(const struct co_m *m, const siginfo_t *info);
/* Queue a signal for co, and wake it: its handler runs on its own stack.
 * 0, or EAGAIN. */
int co_sig_queue(struct co *co, int signo, const siginfo_t *info);
/* The caller returns from a handler to this mask: what is queued and not
 * blocked then is to be run. */
void co_sig_renudge(struct co *self, uint64_t mask);
/* Take one of the caller's own that is in set: false, there is none. */
bool co_sig_take(struct co *self, uint64_t set, struct co_sig *out);
/* It is ignored from now on: what is queued of it, for anybody, is gone. */
void co_sig_discard(int signo);
/* Critical. */
void co_sig_free(struct co_sig *s);
/* Those that are queued for it. */
uint64_t co_sig_pending(struct co *self);
/* Its mask as it is now. */
uint64_t co_sig_mask(struct co *self);
/* A signal of this content is none: it makes a kernel thread look at what is
 * queued for the coroutine that it runs. */
bool co_sig_is_nudge(const siginfo_t *info);
bool co_sig_is_nudge_value(uint64_t value);
/* The one by that signal was handled, or taken out, or is about to be. */
void co_sig_nudge_seen(struct co_m *m, int signo);
/* lend.c.  What is queued for self, the caller, and blocked, is pending for its
 * kernel thread from the one to the other.  Critical in between: one system
 * call, which does not wait. */
struct co_lent {
	struct co_sig *first;
};
void co_lend(struct co *self, struct co_lent *l);
/* taken  how many of each signal the call took; NULL: none.  Used up. */
void co_lend_end(struct co *self, struct co_lent *l, uint16_t *taken);
/* A kernel thread is about to poll, and lets in what some coroutine does; or
 * to sleep, and lets in nothing. */
void co_sig_idle(struct co_m *m, bool polls);
/* The idle mask has changed: returns when the one that polls has it. */
void co_idle_resync(void);
/* The caller's handler is over, and this mask comes back: it may have waited,
 * and what was set aside of its mask then is the handler's. */
void co_sig_mask_returns(struct co *self, uint64_t mask);
/* The kernel's mask was changed for the caller, a coroutine. */
void co_sig_mask_changed(struct co *self);
/* The main coroutine, while it lives. */
extern struct co *co_main_alive;
uint64_t co_sig_idle_mask(void);
/* hook/signal.c: run the program's handler for it, now and here; and deliver
 * one that was put off. */
extern void (*co_sig_run)(struct co *self, int signo, siginfo_t *info);
extern void (*co_sig_deliver)(struct co_sig *sig);

#endif
