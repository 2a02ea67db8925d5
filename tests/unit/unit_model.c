/* SPDX-License-Identifier: MIT */
/* unit_model.c - the short protocols of sched/, in every order there is.
 *
 * The library's own source, compiled with model/ in the place of atomics, locks
 * and system calls.  See model/model.h for what machine it runs on.
 *
 * On it the fence of co_idle() is not missed when it is taken out, for there are
 * read-modify-writes beside it; other machines need it.  So they do the one of
 * co_unlock_fence(), which here is the unlock alone.
 */
#include "unit.h"

#include "model/model.h"

#define lock queue_lock
#include "sched/queue.c"
#undef lock
#define lock idle_lock
#include "sched/idle.c"
#undef lock
#include "sched/sched.c"
#define prefetch poller_prefetch
#include "sched/poller.c"
#undef prefetch
#include "sched/lot.c"

#include "quiet.h"

enum { COS = 4, MS = 3 };

static struct co them[COS];
static struct co_m ms[MS];
static int ran[COS]; /* how often it ran, or was taken */
static struct co_tls tls_of[MODEL_THREADS], tls_none;
static int shared[4]; /* the cases' own */
static struct co_lock shared_lock;

/* What the sources above need of those that are not here. */
static int
no_time_passes(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = ts->tv_nsec = 1;
	return 0;
}

struct co_libc co_libc = { .clock = no_time_passes };
_Atomic long co_count;
int co_dump_signal;

bool
co_timers_run(int64_t now)
{
	(void)now;
	return false;
}
void
co_timer_add(struct co_parker *p, int64_t d)
{
	(void)p;
	(void)d;
}
void
co_timer_del(struct co_parker *p)
{
	(void)p;
}
int64_t
co_timer_next(void)
{
	return CO_FOREVER;
}
void
co_monitor_nudge(void)
{
}
void
co_monitor_start(void)
{
}

void
co_fd_event(uint64_t data, uint32_t events)
{
	(void)data;
	(void)events;
}
void
co_fd_prefetch(uint64_t data)
{
	(void)data;
}

void
co_fd_prefetch_waits(uint64_t data)
{
	(void)data;
}

void
co_fd_renew_all(void)
{
}

/* Not of co_tls's thread: all model threads are one kernel thread. */
void model_switch(int from, int to);
void
model_switch(int from, int to)
{
	if (from >= 0)
		tls_of[from] = co_tls;
	co_tls = to >= 0 ? tls_of[to] : tls_none;
}

long model_polled(long events);
long
model_polled(long events)
{
	((struct epoll_event *)events)->data.u64 = KICK;
	return 1;
}

static void
world(int workers)
{
	int i;

	memset(ms, 0, sizeof(ms));
	memset(them, 0, sizeof(them));
	memset(ran, 0, sizeof(ran));
	memset(shared, 0, sizeof(shared));
	memset(tls_of, 0, sizeof(tls_of));
	memset(&co_tls, 0, sizeof(co_tls));
	co_queue_forked();
	co_idle_forked();
	co_lot_forked();
	shared_lock.word = 0;
	kicked = 0;
	kickfd = 1;
	co_nslots = workers;
	for (i = 0; i < COS; i++)
		them[i].parker.co = &them[i];
	for (i = 0; i < MS; i++) {
		ms[i].in = 1;
		if (i < workers) {
			co_slots[i].id = i;
			co_slots[i].enough = 1;
			co_slots[i].m = &ms[i];
			ms[i].slot = &co_slots[i];
		}
	}
}

static void
remember(void)
{
	model_memory(ms, sizeof(ms));
	model_memory(them, sizeof(them));
	model_memory(ran, sizeof(ran));
	model_memory(shared, sizeof(shared));
	model_memory(co_slots, 3 * sizeof(co_slots[0]));
	model_memory(&co_global_n, sizeof(co_global_n));
	model_memory(&global_first, sizeof(global_first));
	model_memory(&kicked, sizeof(kicked));
	model_memory(&searching, sizeof(searching));
	model_memory(&co_nslots, sizeof(co_nslots));
	model_memory(&co_polls, sizeof(co_polls));
	model_memory(&idle_ms, sizeof(idle_ms));
}

static int
waiting_in_queues(struct co *co)
{
	struct co *g;
	int i, n = 0;
	uint32_t k;

	for (g = global_first; g != NULL; g = g->next)
		n += g == co;
	for (i = 0; i < co_nslots; i++)
		for (k = co_slots[i].head; k != co_slots[i].tail; k++)
			n += co_slots[i].ring[k % CO_RING] == co;
	return n;
}

/* --- a worker --- */

static void (*on_run)(struct co *co);

/* A coroutine runs, and ends at once. */
void
co_ctx_switch(struct co_ctx *from, struct co_ctx *to)
{
	struct co_m *m = co_tls.m;
	struct co *co = m->cur;

	(void)from;
	(void)to;
	ran[co - them]++;
	if (on_run != NULL) {
		co_tls.self = co;
		co_exit();
		on_run(co);
		co_enter();
		co_tls.self = NULL;
	}
	m->cur = NULL;
}

/* Nobody asks for CPU times. */
int co_cpu_level;

void
co_cpu_switch(struct co_m *m, struct co *self)
{
	(void)m;
	(void)self;
}

void
co_cpu_sample(struct co_m *m, struct co *co, int64_t cpu)
{
	(void)m;
	(void)co;
	(void)cpu;
}

int64_t
co_cpu_of_kernel(int tid)
{
	(void)tid;
	return 0;
}

void
co_sig_switch(struct co_m *m, struct co *from, struct co *to)
{
	(void)m;
	(void)from;
	(void)to;
}

/* As co_m_loop() in worker.c. */
static void
work(void *arg)
{
	struct co_m *m = arg;
	struct co *co;

	co_tls.m = m;
	co_tls.critical = 1;
	for (;;) {
		model_forget();
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

/* A kernel thread not ours, or a coroutine that has lost its slot. */
static void
put(void *arg)
{
	co_ready(arg);
}

static void
kick_as_monitor(void *arg)
{
	(void)arg;
	co_kick_idle(true);
}

static const char *
each_ran_once(void)
{
	int i;

	for (i = 0; i < COS; i++)
		if (them[i].id != 0 && ran[i] != 1)
			return ran[i] == 0 ?
				       "a coroutine is ready, and all are "
				       "asleep" :
				       "a coroutine ran twice";
	if (searching != 0)
		return "somebody is said to search for ever";
	return NULL;
}

static void
workers(int n)
{
	int i;

	world(n);
	on_run = NULL;
	for (i = 0; i < 2; i++) {
		model_owned(&ms[i].in, sizeof(ms[i].in));
		model_owned(&ms[i].take, sizeof(ms[i].take));
		model_owned(&ms[i].ndeferred, sizeof(ms[i].ndeferred));
		model_owned(&co_slots[i].tick, sizeof(co_slots[i].tick));
		model_owned(&co_slots[i].look, sizeof(co_slots[i].look));
		model_owned(&co_slots[i].enough, sizeof(co_slots[i].enough));
		model_owned(&co_slots[i].idle, sizeof(co_slots[i].idle));
	}
	for (i = 0; i < COS; i++)
		model_owned(&them[i].state, sizeof(them[i].state));
	model_owned(&watched, sizeof(watched));
	model_owned(&co_clock, sizeof(co_clock));
	for (i = 0; i < n; i++)
		model_thread(work, &ms[i]);
}

static void
from_outside(int n)
{
	int i;

	workers(n);
	/* Nothing comes into the rings. */
	for (i = 0; i < 2; i++) {
		model_owned(&co_slots[i].head, sizeof(co_slots[i].head));
		model_owned(&co_slots[i].tail, sizeof(co_slots[i].tail));
	}
	them[0].id = 1;
	model_thread(put, &them[0]);
}

static void
one_from_outside(void)
{
	from_outside(2);
}

static void
two_from_outside(void)
{
	one_from_outside();
	them[1].id = 2;
	model_thread(put, &them[1]);
}

/* One polls each time: fails if the poller does not take back kicked. */
static void
two_for_one_worker(void)
{
	from_outside(1);
	them[1].id = 2;
	model_thread(put, &them[1]);
}

static void
one_and_the_monitor(void)
{
	one_from_outside();
	model_thread(kick_as_monitor, NULL);
}

static void
readies_the_next(struct co *co)
{
	if (co == &them[0]) {
		co_ready(&them[1]);
		co_ready(&them[2]);
	}
}

static void
one_that_readies_two(void)
{
	workers(2);
	on_run = readies_the_next;
	them[0].id = 1;
	them[1].id = 2;
	them[2].id = 3;
	model_thread(put, &them[0]);
}

/* --- the parker --- */

static void
park(void *arg)
{
	struct co *co = arg;

	co_tls.m = &ms[0];
	co_tls.critical = 1;
	co_arm(&co->parker);
	co_lock(&shared_lock);
	shared[0] = 1;
	co_unlock(&shared_lock);
	ms[0].prev = co;
	ms[0].act = CO_ACT_PARK;
	co_after_switch();
}

static void
wake_it(void *arg)
{
	struct co *co = arg;
	bool parked, won = false;

	co_lock(&shared_lock);
	if (shared[0]) {
		shared[1] = 1;
		won = co_claim(&co->parker, CO_WOKEN, &parked);
	}
	co_unlock(&shared_lock);
	if (won)
		co_wake(&co->parker, parked);
}

static void
one_parks_and_two_wake(void)
{
	world(1);
	model_thread(park, &them[0]);
	model_thread(wake_it, &them[0]);
	model_thread(wake_it, &them[0]);
}

static const char *
woken_once(void)
{
	int n = waiting_in_queues(&them[0]);

	if (n > 1)
		return "it is ready twice";
	if (shared[1] && n == 0)
		return "it was woken, and is not ready";
	if (!shared[1] && n != 0)
		return "it is ready, and nobody has woken it";
	return NULL;
}

/* --- rings --- */

static void
put_four_and_take(void *arg)
{
	struct co_slot *s = arg;
	struct co *co;
	int i;

	for (i = 0; i < COS; i++)
		if (co_ring_put(s, &them[i]) == 0) {
			co = co_ring_take(s);
			if (co != NULL)
				ran[co - them]++;
			i--;
		}
}

static void
steal_once(void *arg)
{
	struct co_slot *to = arg;
	struct co *co = co_ring_steal(to, &co_slots[0]);

	if (co != NULL)
		ran[co - them]++;
}

static void
one_puts_and_two_steal(void)
{
	int i;

	world(3);
	for (i = 0; i < 3; i++)
		co_slots[i].head = co_slots[i].tail = UINT32_MAX;
	co_ring_share(&co_slots[0]);
	model_thread(put_four_and_take, &co_slots[0]);
	model_thread(steal_once, &co_slots[1]);
	model_thread(steal_once, &co_slots[2]);
}

static const char *
each_is_somewhere_once(void)
{
	int i, n;

	for (i = 0; i < COS; i++) {
		n = ran[i] + waiting_in_queues(&them[i]);
		if (n != 1)
			return n == 0 ? "one is lost" : "one is there twice";
	}
	return NULL;
}

/* The second worker of a process: while there was one, its ring had no lock. */
static void
pick_three(void *arg)
{
	struct co_m *m = arg;
	struct co *co;
	int i;

	co_tls.m = m;
	co_tls.critical = 1;
	for (i = 0; i < 3; i++) {
		co = co_pick(m);
		if (co != NULL)
			ran[co - them]++;
	}
}

static void
begin_and_steal(void *arg)
{
	co_nslots = 2;
	steal_once(arg);
	steal_once(arg);
}

static void
a_second_worker_begins(void)
{
	int i;

	world(1);
	co_slots[1].id = 1;
	for (i = 0; i < CO_RING; i++)
		co_ring_put(&co_slots[0], &them[i]);
	for (; i < COS; i++)
		global_put(&them[i]);
	model_thread(pick_three, &ms[0]);
	model_thread(begin_and_steal, &co_slots[1]);
}

/* --- taking over --- */

static int users;

static void
use_slot(struct co_m *m)
{
	if (m->slot == NULL)
		return;
	if (users++ != 0)
		model_wrong("a slot has two users");
	model_step();
	users--;
}

static void
enter_and_exit(void *arg)
{
	struct co_m *m = arg;
	int i;

	co_tls.m = m;
	for (i = 0; i < 2; i++) {
		co_enter();
		use_slot(m);
		co_exit();
	}
}

static void
take_over(void *arg)
{
	(void)arg;
	if (!co_take(&co_slots[0], &ms[0], &ms[1]))
		return;
	ms[1].slot = &co_slots[0];
	use_slot(&ms[1]);
}

static void
one_is_taken_from(void)
{
	world(1);
	users = 0;
	ms[0].in = 0;
	model_thread(enter_and_exit, &ms[0]);
	model_thread(take_over, NULL);
}

static const char *
nobody_waits(void)
{
	int i;

	for (i = 0; i < 2; i++)
		if (!model_ended(i))
			return "somebody waits for ever";
	return NULL;
}

/* --- the parking lot --- */

static int flag;

static void
wait_for_flag(void *arg)
{
	struct co_lot_wait w;

	co_tls.self = arg;
	co_tls.self->m = co_tls.self->pinned = &ms[0];
	while (atomic_load_explicit(&flag, memory_order_relaxed) == 0) {
		co_lot_enter(&w, &flag, 0, false);
		if (atomic_load_explicit(&flag, memory_order_relaxed) != 0) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			break;
		}
		co_lot_park(&w, CO_FOREVER, "flag", false);
	}
}

static void
set_flag(void *arg)
{
	(void)arg;
	atomic_store_explicit(&flag, 1, memory_order_relaxed);
	co_lot_wake(&flag, 1);
}

static void
one_waits_for_a_flag(void)
{
	world(1);
	flag = 0;
	model_thread(wait_for_flag, &them[0]);
	model_thread(set_flag, NULL);
}

/* --- */

static void
explore(void **state)
{
	const struct model_case *c = *state;
	const char *wrong;

	world(2);
	remember();
	model_memory(&users, sizeof(users));
	model_memory(&flag, sizeof(flag));
	wrong = model_explore(c);
	fprintf(stderr, "%s: %ld runs, %ld states\n", c->name, model_runs,
		model_states);
	if (wrong != NULL)
		fail_msg("%s", wrong);
}

#define CASE(begin, end, preemptions)           \
	{                                       \
#begin, begin, end, preemptions \
	}

static struct model_case cases[] = {
	CASE(one_parks_and_two_wake, woken_once, 0),
	CASE(one_puts_and_two_steal, each_is_somewhere_once, 2),
	CASE(a_second_worker_begins, each_is_somewhere_once, 0),
	CASE(one_is_taken_from, nobody_waits, 0),
	CASE(one_waits_for_a_flag, nobody_waits, 0),
	CASE(two_for_one_worker, each_ran_once, 3),
	CASE(one_from_outside, each_ran_once, 3),
	CASE(one_and_the_monitor, each_ran_once, 2),
	CASE(one_that_readies_two, each_ran_once, 1),
	CASE(two_from_outside, each_ran_once, 1),
};

int
main(int argc, char **argv)
{
	struct CMUnitTest tests[UNIT_COUNT(cases)];
	size_t i, n = 0;

	for (i = 0; i < UNIT_COUNT(cases); i++)
		if (argc < 2 || strcmp(argv[1], cases[i].name) == 0)
			tests[n++] =
				(struct CMUnitTest){ cases[i].name, explore,
						     NULL, NULL, &cases[i] };
	return _cmocka_run_group_tests("unit_model", tests, n, NULL, NULL);
}
