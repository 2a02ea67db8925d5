/* SPDX-License-Identifier: MIT */
/* monitor.c - taking over: one worker always runs coroutines or polls.
 *
 * Every ROUND it looks at each slot.  One whose holder has been out in the
 * program, or in a system call, for too long is given to another kernel
 * thread.  What is too long depends on what the holder does:
 *
 *     sleeps in the kernel     ROUND: nothing gets done
 *     runs, or is to run       LOOP rounds: it may still come back by itself
 *     waits for a CPU          STARVED rounds, for so might the other; but not
 *                              for ever: what it spins for may be queued here
 *
 * When all slots have been idle for a while it sleeps until a worker finds
 * something to do again: an idle process wakes never.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <string.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/log.h"
#include "sched/watch.h"
#include "sched/work.h"

enum {
	ROUND = 5 * 1000 * 1000,  /* ns */
	LOOP = 2,
	STARVED = 4,
	HELP = 100 * 1000,        /* ns */
	MOST = 64,
	QUIET = 10,               /* idle rounds before it sleeps */
	STACK = 128 * 1024,
};

static _Atomic int started;
static _Atomic uint32_t asleep;   /* futex */
static int busy;                  /* the monitor's own, as is: */
static int own_files;             /* its table of descriptors is */
static _Atomic uint32_t settled;  /* it has left the program's; futex */
_Atomic int co_monitor_tid;
int co_dump_signal;
static _Atomic int dump_wanted = -1;

/* The state of a kernel thread of ours, as proc(5) has it; 0: unknown. */
static char
state_of(int tid)
{
	char text[256], *p;
	long fd, n;

	if (!own_files)
		return 0;
	co_format(text, sizeof(text), "/proc/self/task/%d/stat", tid);
	fd = sys4(SYS_openat, AT_FDCWD, text, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	n = sys3(SYS_read, fd, text, sizeof(text) - 1);
	sys1(SYS_close, fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	return p != NULL && p[1] == ' ' ? p[2] : 0;
}

/* It has not moved for s->seen rounds, at least one.  Too long? */
static bool
stuck(struct co_slot *s, struct co_m *m)
{
	char state;

	if (s->seen >= STARVED)
		return true;
	state = state_of(m->tid);
	if (state != 'R' && state != 0)
		return true;
	return s->seen >= LOOP && co_cpu_of_kernel(m->tid) - m->cpu >= ROUND / 2;
}

/* How many may be queued until it is time for help: what takes HELP to run, by
 * what a run has taken of late.  Who sleeps costs nothing. */
static void
moved(struct co_slot *s, struct co_m *m, uint32_t tick)
{
	int64_t cpu = co_cpu_of_kernel(m->tid), runs = (uint32_t)(tick - s->seen_tick);
	/* One that has just ended, or got the slot, tells nothing. */
	int64_t each = cpu > m->cpu ? (cpu - m->cpu) / runs : 0;
	int64_t enough = HELP / (each + 1);

	atomic_store_explicit(&s->enough,
			      enough < 2    ? 1 :
			      enough > MOST ? MOST :
					      (uint8_t)enough,
			      memory_order_relaxed);
	co_cpu_sample(m, m->cur, cpu);
	m->cpu = cpu;
	s->seen_tick = tick;
	s->seen = 0;
}

/* True: others are idle, and need no slot to go on with what this one has. */
static bool
help(struct co_slot *s)
{
	if (atomic_load(&co_nidle) == 0)
		return false;
	if (!co_somebody_polls() || !co_ring_empty(s))
		co_kick_idle(true);
	return true;
}

static void
look(struct co_slot *s)
{
	struct co_m *m = atomic_load(&s->m), *next;
	uint32_t tick = atomic_load(&s->tick);
	struct co *co;

	if (m == NULL || atomic_load(&s->idle))
		return;
	busy = 1;
	atomic_store_explicit(&s->look, 1, memory_order_relaxed);
	if (tick != s->seen_tick) {
		moved(s, m, tick);
		help(s);
		return;
	}
	s->seen++;
	if (co_cpu_level == 0)
		co_cpu_sample(m, m->cur, co_cpu_of_kernel(m->tid));
	if (atomic_load(&co_count) < 2 || !stuck(s, m))
		return;
	atomic_store_explicit(&s->enough, 1, memory_order_relaxed);
	if (help(s) && s->seen < STARVED)
		return;
	next = co_spare_take();
	if (next == NULL)
		return;
	co = m->cur;
	if (!co_take(s, m, next)) {
		co_spare_return(next);
		return;
	}
	co_seen_takeover(s, m, co);
	s->seen = 0;
	next->sampled = co_cpu_of_kernel(next->tid);
	next->cpu = next->sampled;
	co_spare_give(next, s);
}

static long
close_from_to(unsigned first, unsigned last)
{
	if (first > last)
		return 0;
	return sys3(SYS_close_range, first, last, CLOSE_RANGE_UNSHARE);
}

/* A table of descriptors of its own, with the log and the poller's kick alone:
 * what it opens takes no number from the program, and it keeps nothing open
 * that the program closes. */
static void
leave_files(void)
{
	int log = co_log_fd() >= 0 || !co_dump_signal ? co_log_fd() : 2;
	unsigned a = (unsigned)log, b = (unsigned)co_poller_kickfd(), c;

	/* No log is -1, the highest of all. */
	if (a > b) {
		c = a;
		a = b;
		b = c;
	}
	if (a > 0)
		close_from_to(0, a - 1);
	own_files = close_from_to(a + 1, b == ~0U ? b : b - 1) == 0;
	if (b != ~0U)
		own_files = close_from_to(b + 1, ~0U) == 0;
}

/* Say that we sleep, then look once more: a worker that left its idle state
 * before it could see us asleep is busy by now.  The other half is in
 * co_monitor_nudge(). */
static bool
may_sleep(void)
{
	atomic_store(&asleep, 1);
	busy = 0;
	co_each_slot(look);
	return !busy;
}

static void *
monitor(void *arg)
{
	struct timespec round = { 0, ROUND };
	int quiet = 0, dump_to;

	(void)arg;
	co_monitor_tid = (int)sys0(SYS_gettid);
	co_comm_monitor();
	leave_files();
	atomic_store(&settled, 1);
	sys_futex_wake(&settled, 1);
	for (;;) {
		dump_to = atomic_exchange(&dump_wanted, -1);
		if (dump_to >= 0)
			co_dump_stacks(dump_to);
		busy = 0;
		co_clock_set();
		co_each_slot(look);
		quiet = busy ? 0 : quiet + 1;
		if (quiet < QUIET) {
			sys4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &round,
			     NULL);
			continue;
		}
		if (own_files)
			co_deadlock_look();
		if (may_sleep())
			while (atomic_load(&asleep) && dump_wanted < 0)
				sys_futex_wait(&asleep, 1, NULL);
		atomic_store(&asleep, 0);
		quiet = 0;
	}
	return NULL;
}

void
co_monitor_start(void)
{
	static struct co_stack stack;
	uint64_t all = ~CO_SIGBIT(CO_SIGSETXID), old;
	pthread_attr_t attr;
	pthread_t th;
	int err;

	if (atomic_load_explicit(&started, memory_order_relaxed) ||
	    atomic_exchange(&started, 1))
		return;
	if (co_stack_get(&stack, STACK + co_tcb_room(), 4096) != 0)
		goto fail;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stack.base, stack.size);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (co_dump_signal != 0)
		all &= ~CO_SIGBIT(co_dump_signal);
	sys_sigmask(SIG_BLOCK, &all, &old);
	co_tls.nopark++;
	err = co_libc.create(&th, &attr, monitor, NULL);
	co_tls.nopark--;
	sys_sigmask(SIG_SETMASK, &old, NULL);
	/* Until then it has what the program has open, and a pipe that the
	 * program closes would still have a reader. */
	while (err == 0 && !atomic_load(&settled))
		sys_futex_wait(&settled, 0, NULL);
	if (err == 0)
		return;
	co_stack_put(&stack, 0);
fail:
	atomic_store(&started, 0);
	co_log_once(CO_WARN, "no thread for the monitor: what blocks now holds "
			     "up the others");
}

void
co_monitor_nudge(void)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&asleep, memory_order_relaxed)) {
		atomic_store(&asleep, 0);
		sys_futex_wake(&asleep, 1);
	}
}

void
co_monitor_dump(int fd)
{
	atomic_store(&dump_wanted, fd);
	co_monitor_nudge();
}

void
co_monitor_forked(void)
{
	own_files = 0;
	co_monitor_tid = 0;
	started = 0;
	settled = 0;
	asleep = 0;
}
