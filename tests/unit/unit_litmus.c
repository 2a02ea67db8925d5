/* SPDX-License-Identifier: MIT */
/* unit_litmus.c - do the barriers of sched/ hold on this machine?
 *
 * Each case is a pair of which one at least must see what the other has done
 * (Dekker): two kernel threads on two CPUs do one side each of the library's
 * own code, many times, beginning at the same moment but for a little that is
 * different each time.  Both having seen nothing is what a missing barrier would
 * allow.
 *
 * The barrier that a case names was taken out and the case seen to fail on x86,
 * which lets a load pass a store.  One that is "hidden" has a locked operation
 * beside it, which is a barrier on x86: its case cannot fail for want of it
 * alone, and was seen to fail where the look after it was left out.
 */
#define _GNU_SOURCE 1

#include <time.h>

#include "unit.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <setjmp.h>

#include "sched/monitor.c"

#include "sched/lot.h"

#include "quiet.h"

enum { ROUNDS = 150 * 1000, SPREAD = 256, SECONDS = 3 };

/* --- what the sources need of others --- */

static _Thread_local int in_poll; /* co_poller_wait() returns by longjmp */
static _Thread_local jmp_buf poll_out;
static _Atomic int kicks, polled;
static int64_t polled_until;

_Atomic long co_count = 1;

static int
libc_clock(clockid_t id, struct timespec *ts)
{
	return clock_gettime(id, ts);
}
struct co_libc co_libc = { .clock = libc_clock };

void
co_poller_wait(int64_t deadline)
{
	if (deadline == 0)
		return;
	polled_until = deadline;
	atomic_store(&polled, 1);
	if (in_poll)
		longjmp(poll_out, 1);
}
void
co_poller_kick(void)
{
	atomic_fetch_add(&kicks, 1);
}
void
co_poller_kick_again(void)
{
	atomic_fetch_add(&kicks, 1);
}
int
co_poller_kickfd(void)
{
	return -1;
}
void
co_sig_switch(struct co_m *m, struct co *from, struct co *to)
{
	(void)m;
	(void)from;
	(void)to;
}
void
co_ctx_switch(struct co_ctx *from, struct co_ctx *to)
{
	(void)from;
	(void)to;
}
void
co_comm_monitor(void)
{
}
void
co_dump_stacks(int fd)
{
	(void)fd;
}
void
co_deadlock_look(void)
{
}
int
co_stack_get(struct co_stack *s, size_t size, size_t guard)
{
	(void)s;
	(void)size;
	(void)guard;
	return -1;
}
void
co_stack_put(struct co_stack *s, int keep)
{
	(void)s;
	(void)keep;
}
size_t
co_tcb_room(void)
{
	return 0;
}
struct co_m *
co_spare_take(void)
{
	return NULL;
}
void
co_seen_takeover(struct co_slot *s, struct co_m *m, struct co *co)
{
	(void)s, (void)m, (void)co;
}

void
co_spare_give(struct co_m *m, struct co_slot *s)
{
	(void)m;
	(void)s;
}
void
co_spare_return(struct co_m *m)
{
	(void)m;
}

/* --- the machine --- */

struct litmus {
	const char *name;
	void (*world)(void);        /* before each round */
	void (*left)(void);         /* by the one thread, */
	void (*right)(void);        /* and by the other */
	const char *(*wrong)(void); /* NULL: right; after both */
	void (*end)(void);          /* by the one thread, to clean up */
};

static const struct litmus *running;
static void build_world(void);
static _Atomic long round_of_right, right_done;
static _Atomic int stop;

/* For a time, by the CPU's own clock, which may not be the other's. */
static void
wait_a_little(struct unit_rnd *r, unsigned most)
{
	uint64_t at = __builtin_ia32_rdtsc() + unit_below(r, most);

	while (__builtin_ia32_rdtsc() < at)
		;
}

static cpu_set_t cpus; /* that we may have */

static void
bind_to(int nth)
{
	cpu_set_t it;
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus) && nth-- == 0)
			break;
	CPU_ZERO(&it);
	CPU_SET(cpu, &it);
	sched_setaffinity(0, sizeof(it), &it);
}

/* Spin until it is so; others may need the CPU for it. */
#define UNTIL(so)                              \
	do {                                   \
		int spins_ = 0;                \
		while (!(so))                  \
			if (++spins_ > 20000)  \
				sched_yield(); \
	} while (0)

static void *
right_side(void *arg)
{
	struct unit_rnd r = { 12345 };
	long n = 0;

	(void)arg;
	bind_to(1);
	for (;;) {
		UNTIL(atomic_load(&round_of_right) > n || atomic_load(&stop));
		if (atomic_load(&stop))
			return NULL;
		n = atomic_load(&round_of_right);
		wait_a_little(&r, SPREAD);
		running->right();
		atomic_store(&right_done, n);
	}
}

/* The pair without any barrier: both must miss, now and then. */
static _Alignas(64) _Atomic int one;
static _Alignas(64) _Atomic int two;
static int saw_one, saw_two;

static void
store_nothing(void)
{
	one = two = 0;
}

static void
store_and_load(void)
{
	atomic_store_explicit(&one, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	saw_two = atomic_load_explicit(&two, memory_order_relaxed);
}

static void
store_other_and_load(void)
{
	atomic_store_explicit(&two, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	saw_one = atomic_load_explicit(&one, memory_order_relaxed);
}

static const char *
both_missed(void)
{
	return !saw_one && !saw_two ? "both" : NULL;
}

static void
run(void **state)
{
	const struct litmus *l = running = *state;
	struct unit_rnd r = { 54321 };
	const char *wrong = NULL;
	time_t began;
	pthread_t th;
	long n;

	bind_to(0);
	build_world();
	atomic_store(&round_of_right, 0);
	atomic_store(&right_done, 0);
	atomic_store(&stop, 0);
	assert_int_equal(pthread_create(&th, NULL, right_side, NULL), 0);
	began = time(NULL);
	/* Two CPUs that others use as well make few rounds. */
	for (n = 1; n <= ROUNDS && wrong == NULL &&
		    time(NULL) - began <= SECONDS;
	     n++) {
		l->world();
		atomic_store(&kicks, 0);
		atomic_store(&polled, 0);
		atomic_store(&round_of_right, n);
		/* The other one knows a moment later. */
		wait_a_little(&r, 4 * SPREAD);
		l->left();
		UNTIL(atomic_load(&right_done) == n);
		wrong = l->wrong();
		if (l->end != NULL)
			l->end();
	}
	atomic_store(&stop, 1);
	pthread_join(th, NULL);
	if (l->left == store_and_load) {
		/* The two meet, or the others pass for no reason. */
		if (wrong == NULL)
			skip();
	} else if (wrong != NULL) {
		fail_msg("after %ld rounds: %s", n - 1, wrong);
	}
}

/* --- the world: two slots, of which the one's m is that of the right --- */

static struct co_m ms[2];
static struct co_slot *const mine = &co_slots[0];
static struct co somebody;

static void
build_world(void)
{
	co_queue_forked();
	somebody.parker.co = &somebody;
	co_nslots = 1;
	mine->m = &ms[0];
	ms[0].slot = mine;
	ms[0].in = 1;
	ms[1].slot = &co_slots[1];
	co_timer_reserve(2);
}

/* As it was: nothing is ready, nobody idle, nobody searches. */
static void
fresh(void)
{
	co_searched(&ms[0], false);
	co_idle_over(&ms[0]);
	while (co_pick(&ms[0]) != NULL)
		;
	ms[0].slot = mine;
	ms[0].wake = 0;
}

static void
fall_idle(void)
{
	co_tls.m = &ms[0];
	co_tls.critical = 1;
	in_poll = 1;
	if (setjmp(poll_out) == 0)
		co_idle(&ms[0]);
	in_poll = 0;
	co_tls.m = NULL;
	co_tls.critical = 0;
}

/* co_ready() without a slot, and co_idle(): hidden, in both. */
static void
put_outside(void)
{
	co_ready(&somebody);
}

static const char *
not_asleep_on_it(void)
{
	return polled && kicks == 0 ?
		       "one is ready, and who went to sleep was not told" :
		       NULL;
}

/* co_searched(), and co_ready(): hidden in both; and the exchange of searching
 * in co_kick_idle(). */
static void
one_searches(void)
{
	fresh();
	fall_idle();
	co_kick_idle(false);
}

static void
has_searched(void)
{
	co_searched(&ms[1], true);
}

static const char *
told_by_one(void)
{
	return kicks == 0 ? "one is ready, and both left it to the other" :
			    NULL;
}

/* co_take(): membarrier(2); the holder has no barrier. */
static bool used, taken;

static void
one_is_out(void)
{
	ms[0].slot = mine;
	ms[0].in = 0;
	ms[0].take = CO_TAKE_NO;
	mine->m = &ms[0];
	used = taken = false;
}

static void
enter_and_use(void)
{
	co_tls.m = &ms[0];
	co_enter();
	used = ms[0].slot != NULL;
}

static void
leave(void)
{
	co_exit();
	co_tls.m = NULL;
}

static void
take_from_it(void)
{
	taken = co_take(mine, &ms[0], &ms[1]);
}

static const char *
one_has_it(void)
{
	return used && taken ? "a slot has two users" : NULL;
}

/* co_lot_any(); co_lot_enter() is hidden, see co_unlock_fence(). */
static _Atomic int flag;
static int saw, woken;
static struct co_lot_wait wait;

static void
no_flag(void)
{
	atomic_store_explicit(&flag, 0, memory_order_relaxed);
}

static void
enter_and_try(void)
{
	co_lot_enter(&wait, (void *)&flag, 0, false);
	saw = atomic_load_explicit(&flag, memory_order_relaxed);
}

static void
out_of_lot(void)
{
	co_disarm(wait.parker);
	co_lot_leave(&wait);
}

static void
set_and_wake(void)
{
	/* What it looks at is near, what it changes is far: so the load is
	 * ready to pass. */
	co_lot_any((void *)&flag);
	atomic_store_explicit(&flag, 1, memory_order_relaxed);
	woken = co_lot_wake((void *)&flag, 1);
}

static const char *
seen_or_woken(void)
{
	return !saw && woken == 0 ? "nobody wakes one who saw no flag" : NULL;
}

/* co_arm(); co_nudge_thread() is hidden, for both look at one line of memory. */
static struct co_tls *sleepers;
static enum co_why why;

static void
awake(void)
{
	sleepers = &co_tls;
	atomic_store(&co_tls.nudged, 0);
	co_tls.parker.state = CO_RUN;
}

static void
arm_and_park(void)
{
	co_arm(&co_tls.parker);
	/* As park_thread() begins; it would sleep now. */
	why = CO_NONE;
	if (atomic_load(&co_tls.nudged))
		why = CO_SIGNAL;
}

static void
nudge(void)
{
	co_nudge_thread(sleepers);
}

static const char *
nudged(void)
{
	return why == CO_NONE && co_disarm(&co_tls.parker) == CO_NONE ?
		       "a thread sleeps, and was nudged" :
		       NULL;
}

/* co_timer_add(), and co_idle() asking when it is to wake: hidden in both. */
static void
add_timer(void)
{
	co_timer_add(&somebody.parker, 1);
}

static const char *
woken_in_time(void)
{
	/* One that has come is run at once, without polling. */
	return polled && polled_until == CO_FOREVER && kicks == 0 ?
		       "who polls does not know of the deadline" :
		       NULL;
}

static void
no_timer(void)
{
	co_timer_del(&somebody.parker);
}

/* co_kick_idle(), that takes a sleeper off its list, and one that went to poll
 * meanwhile: hidden in both. */
static void
kick_any(void)
{
	co_kick_idle(true);
}

static const char *
no_poller_unheard(void)
{
	return polled && ms[0].wake != 0 && kicks == 0 ?
		       "it was woken as a sleeper, and polls" :
		       NULL;
}

/* may_sleep(); co_monitor_nudge(), which is hidden. */
static bool sleeps;

static void
all_idle(void)
{
	fresh();
	mine->idle = 1;
	atomic_store(&asleep, 0);
}

static void
monitor_sleeps(void)
{
	sleeps = may_sleep();
}

static void
work_again(void)
{
	co_idle_over(&ms[0]);
	co_monitor_nudge();
}

static const char *
monitor_watches(void)
{
	return sleeps && atomic_load(&asleep) ?
		       "the monitor sleeps, and a worker does not" :
		       NULL;
}

#define LITMUS(name, world, left, right, wrong, end)  \
	{                                             \
#name, world, left, right, wrong, end \
	}

static struct litmus cases[] = {
	LITMUS(two_without_a_barrier_both_miss, store_nothing, store_and_load,
	       store_other_and_load, both_missed, NULL),
	LITMUS(one_is_put_and_one_falls_idle, fresh, put_outside, fall_idle,
	       not_asleep_on_it, NULL),
	LITMUS(one_is_put_and_one_has_searched, one_searches, put_outside,
	       has_searched, told_by_one, NULL),
	LITMUS(one_enters_and_is_taken_from, one_is_out, enter_and_use,
	       take_from_it, one_has_it, leave),
	LITMUS(one_waits_and_is_woken, no_flag, enter_and_try, set_and_wake,
	       seen_or_woken, out_of_lot),
	LITMUS(one_sleeps_and_is_nudged, awake, arm_and_park, nudge, nudged,
	       NULL),
	LITMUS(a_timer_is_set_and_one_polls, fresh, add_timer, fall_idle,
	       woken_in_time, no_timer),
	LITMUS(one_is_kicked_and_polls, fresh, kick_any, fall_idle,
	       no_poller_unheard, NULL),
	LITMUS(the_monitor_sleeps_and_one_works, all_idle, monitor_sleeps,
	       work_again, monitor_watches, NULL),
};

int
main(int argc, char **argv)
{
	struct CMUnitTest tests[UNIT_COUNT(cases)];
	size_t i, n = 0;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (CPU_COUNT(&cpus) < 2) {
		puts("two that meet need two CPUs");
		return UNIT_SKIP;
	}
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0);
	for (i = 0; i < UNIT_COUNT(cases); i++)
		if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
			tests[n++] =
				(struct CMUnitTest){ cases[i].name, run, NULL,
						     NULL, &cases[i] };
	return _cmocka_run_group_tests("unit_litmus", tests, n, NULL, NULL);
}
