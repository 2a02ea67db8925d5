/* SPDX-License-Identifier: MIT */
/* sync_cond.c - condition variables wake whom they must, and never early. */
#define _GNU_SOURCE 1
#include "thr.h"

/* A room in which threads wait for a number to grow. */
struct room {
	pthread_mutex_t m;
	pthread_cond_t c;
	int waiting;    /* in wait(), as far as it can be known: under m */
	int tickets;    /* how many may leave */
	int left;
};

#define ROOM { .m = PTHREAD_MUTEX_INITIALIZER, .c = PTHREAD_COND_INITIALIZER }

static void *
waits_for_a_ticket(void *arg)
{
	struct room *r = arg;

	OK(pthread_mutex_lock(&r->m));
	r->waiting++;
	while (r->tickets == 0)
		OK(pthread_cond_wait(&r->c, &r->m));
	r->tickets--;
	r->left++;
	OK(pthread_mutex_unlock(&r->m));
	return NULL;
}

/* Until so many are waiting, which a thread under the mutex sees exactly. */
static void
room_full(struct room *r, int n)
{
	int have;

	for (;;) {
		OK(pthread_mutex_lock(&r->m));
		have = r->waiting;
		OK(pthread_mutex_unlock(&r->m));
		if (have == n)
			return;
		thr_ms(1);
	}
}

static void
room_left(struct room *r, int n)
{
	int have;

	for (;;) {
		OK(pthread_mutex_lock(&r->m));
		have = r->left;
		OK(pthread_mutex_unlock(&r->m));
		if (have == n)
			return;
		thr_ms(1);
	}
}

TEST(a_signal_wakes_a_waiter_each_time)
{
	struct room r = ROOM;
	pthread_t th[20];
	int i;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(waits_for_a_ticket, &r);
	room_full(&r, 20);
	for (i = 0; i < 20; i++) {
		OK(pthread_mutex_lock(&r.m));
		CHECK_INT(r.left, i);
		r.tickets++;
		OK(pthread_cond_signal(&r.c));
		OK(pthread_mutex_unlock(&r.m));
		room_left(&r, i + 1);
	}
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	OK(pthread_cond_destroy(&r.c));
}

TEST(a_signal_without_the_mutex_wakes_a_waiter)
{
	struct room r = ROOM;
	pthread_t th[20];
	int i;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(waits_for_a_ticket, &r);
	room_full(&r, 20);
	for (i = 0; i < 20; i++) {
		OK(pthread_mutex_lock(&r.m));
		r.tickets++;
		OK(pthread_mutex_unlock(&r.m));
		OK(pthread_cond_signal(&r.c));
	}
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(r.left, 20);
}

TEST(a_broadcast_wakes_all)
{
	static pthread_t th[300];
	struct room r = ROOM;
	size_t i;

	for (i = 0; i < LEN(th); i++)
		th[i] = thr_start(waits_for_a_ticket, &r);
	room_full(&r, LEN(th));
	OK(pthread_mutex_lock(&r.m));
	r.tickets = LEN(th);
	OK(pthread_cond_broadcast(&r.c));
	OK(pthread_mutex_unlock(&r.m));
	for (i = 0; i < LEN(th); i++)
		thr_join(th[i]);
	CHECK_INT(r.left, LEN(th));
	CHECK_INT(r.tickets, 0);
}

static void *
waits_for_a_ticket_but_not_for_ever(void *arg)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	struct room *r = arg;

	OK(pthread_mutex_lock(&r->m));
	r->waiting++;
	while (r->tickets == 0)
		OK(pthread_cond_timedwait(&r->c, &r->m, &at));
	r->tickets--;
	r->left++;
	OK(pthread_mutex_unlock(&r->m));
	return NULL;
}

TEST(a_broadcast_wakes_timed_and_untimed_waiters_alike)
{
	struct room r = ROOM;
	pthread_t th[20];
	int i;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(i % 2 ? waits_for_a_ticket :
				  waits_for_a_ticket_but_not_for_ever, &r);
	room_full(&r, 20);
	OK(pthread_mutex_lock(&r.m));
	r.tickets = 20;
	OK(pthread_mutex_unlock(&r.m));
	OK(pthread_cond_broadcast(&r.c));
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(r.left, 20);
}

TEST(a_signal_that_finds_nobody_is_forgotten)
{
	struct room r = ROOM;
	struct timespec at;
	int e;

	OK(pthread_cond_signal(&r.c));
	OK(pthread_cond_broadcast(&r.c));
	OK(pthread_mutex_lock(&r.m));
	at = thr_after(CLOCK_REALTIME, 10 * T_MS);
	do
		e = pthread_cond_timedwait(&r.c, &r.m, &at);
	while (e == 0); /* spurious, which POSIX allows */
	CHECK_INT(e, ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	OK(pthread_mutex_unlock(&r.m));
}

static void
cond_on(pthread_cond_t *c, clockid_t clock)
{
	pthread_condattr_t a;
	clockid_t got;

	OK(pthread_condattr_init(&a));
	OK(pthread_condattr_getclock(&a, &got));
	CHECK_INT(got, CLOCK_REALTIME);
	OK(pthread_condattr_setclock(&a, clock));
	OK(pthread_condattr_getclock(&a, &got));
	CHECK_INT(got, clock);
	OK(pthread_cond_init(c, &a));
	OK(pthread_condattr_destroy(&a));
}

static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };

TEST(timedwait_keeps_the_clock_of_its_attribute_and_is_never_early)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c;
	struct timespec at;
	size_t i;
	int k, e;

	for (i = 0; i < LEN(clocks); i++) {
		cond_on(&c, clocks[i]);
		OK(pthread_mutex_lock(&m));
		for (k = 1; k <= 20; k++) {
			at = thr_after(clocks[i], k * T_MS / 3);
			do
				e = pthread_cond_timedwait(&c, &m, &at);
			while (e == 0);
			CHECK_INT(e, ETIMEDOUT);
			CHECK(thr_reached(clocks[i], at));
		}
		OK(pthread_mutex_unlock(&m));
		OK(pthread_cond_destroy(&c));
	}
}

TEST(clockwait_keeps_the_clock_it_is_given_whatever_the_attribute)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c;
	struct timespec at;
	size_t i, k;
	int e;

	for (i = 0; i < LEN(clocks); i++) {
		cond_on(&c, clocks[i]);
		OK(pthread_mutex_lock(&m));
		for (k = 0; k < LEN(clocks); k++) {
			at = thr_after(clocks[k], 10 * T_MS);
			do
				e = pthread_cond_clockwait(&c, &m, clocks[k],
							   &at);
			while (e == 0);
			CHECK_INT(e, ETIMEDOUT);
			CHECK(thr_reached(clocks[k], at));
		}
		OK(pthread_mutex_unlock(&m));
		OK(pthread_cond_destroy(&c));
	}
}

struct sleeper {
	struct room *r;
	int64_t ns;
	clockid_t clock;
};

static void *
times_out(void *arg)
{
	struct sleeper *s = arg;
	struct timespec at = thr_after(s->clock, s->ns);
	int e;

	OK(pthread_mutex_lock(&s->r->m));
	do
		e = pthread_cond_clockwait(&s->r->c, &s->r->m, s->clock, &at);
	while (e == 0);
	CHECK_INT(e, ETIMEDOUT);
	CHECK(thr_reached(s->clock, at));
	s->r->left++;
	OK(pthread_mutex_unlock(&s->r->m));
	return NULL;
}

TEST(a_hundred_deadlines_on_one_condition_are_each_kept)
{
	struct sleeper s[100];
	struct room r = ROOM;
	pthread_t th[100];
	int i;

	for (i = 0; i < 100; i++) {
		s[i].r = &r;
		s[i].ns = (i * 37 % 100) * T_MS / 4;
		s[i].clock = clocks[i % 2];
		th[i] = thr_start(times_out, &s[i]);
	}
	for (i = 0; i < 100; i++)
		thr_join(th[i]);
	CHECK_INT(r.left, 100);
}

TEST(waiters_that_timed_out_swallow_no_signal)
{
	struct sleeper s[20];
	struct room r = ROOM;
	pthread_t quit[20], stay[20];
	int i;

	for (i = 0; i < 20; i++) {
		s[i] = (struct sleeper){ &r, T_MS, CLOCK_MONOTONIC };
		quit[i] = thr_start(times_out, &s[i]);
		stay[i] = thr_start(waits_for_a_ticket, &r);
	}
	for (i = 0; i < 20; i++)
		thr_join(quit[i]);
	room_full(&r, 20);
	r.left = 0;
	for (i = 0; i < 20; i++) {
		OK(pthread_mutex_lock(&r.m));
		r.tickets++;
		OK(pthread_cond_signal(&r.c));
		OK(pthread_mutex_unlock(&r.m));
		room_left(&r, i + 1);
	}
	for (i = 0; i < 20; i++)
		thr_join(stay[i]);
}

TEST(a_deadline_in_the_past_is_ETIMEDOUT_at_once)
{
	struct timespec past = { 1, 0 }, before = { -1, 0 };
	struct room r = ROOM;

	OK(pthread_mutex_lock(&r.m));
	CHECK_INT(pthread_cond_timedwait(&r.c, &r.m, &past), ETIMEDOUT);
	CHECK_INT(pthread_cond_timedwait(&r.c, &r.m, &before), ETIMEDOUT);
	CHECK_INT(pthread_cond_clockwait(&r.c, &r.m, CLOCK_MONOTONIC, &past),
		  ETIMEDOUT);
	OK(pthread_mutex_unlock(&r.m));
}

static void *
do_trylock(void *m)
{
	int e = pthread_mutex_trylock(m);

	if (e == 0)
		OK(pthread_mutex_unlock(m));
	return thr_ptr(e);
}

TEST(bad_times_and_clocks_are_EINVAL_and_keep_the_mutex)
{
	pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	pthread_condattr_t a;

	OK(pthread_mutex_lock(&m));
	CHECK_INT(pthread_cond_clockwait(&c, &m, CLOCK_PROCESS_CPUTIME_ID,
					 &at), EINVAL);
	at.tv_nsec = 1000000000;
	CHECK_INT(pthread_cond_timedwait(&c, &m, &at), EINVAL);
	CHECK_INT(pthread_cond_clockwait(&c, &m, CLOCK_MONOTONIC, &at),
		  EINVAL);
	at.tv_nsec = -1;
	CHECK_INT(pthread_cond_timedwait(&c, &m, &at), EINVAL);
	CHECK_INT(thr_num(thr_join(thr_start(do_trylock, &m))), EBUSY);
	OK(pthread_mutex_unlock(&m));

	OK(pthread_condattr_init(&a));
	CHECK_INT(pthread_condattr_setclock(&a, CLOCK_PROCESS_CPUTIME_ID),
		  EINVAL);
	CHECK_INT(pthread_condattr_setpshared(&a, 99), EINVAL);
	OK(pthread_condattr_destroy(&a));
}

TEST(waiting_without_the_mutex_is_EPERM_where_the_mutex_checks)
{
	pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	CHECK_INT(pthread_cond_wait(&c, &m), EPERM);
	CHECK_INT(pthread_cond_timedwait(&c, &m, &at), EPERM);
	OK(pthread_mutex_lock(&m));
	OK(pthread_mutex_unlock(&m));
}

/* Whoever returns from a wait holds the mutex, and nobody else does. */
struct held {
	pthread_mutex_t m;
	pthread_cond_t c;
	int waiting, go, inside, out;
};

static void *
returns_with_the_mutex(void *arg)
{
	struct held *h = arg;
	struct timespec at = { 0, 0 };
	int i;

	OK(pthread_mutex_lock(&h->m));
	h->waiting++;
	while (!h->go)
		OK(pthread_cond_wait(&h->c, &h->m));
	for (i = 0; i < 3; i++) {
		CHECK_INT(h->inside++, 0);
		CHECK_INT(pthread_mutex_lock(&h->m), EDEADLK);
		sched_yield();
		CHECK_INT(h->inside--, 1);
		CHECK_INT(pthread_cond_timedwait(&h->c, &h->m, &at),
			  ETIMEDOUT);
	}
	h->out++;
	OK(pthread_mutex_unlock(&h->m));
	return NULL;
}

TEST(the_mutex_is_held_on_return)
{
	struct held h = { .m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP,
			  .c = PTHREAD_COND_INITIALIZER };
	pthread_t th[50];
	int i, ready;

	for (i = 0; i < 50; i++)
		th[i] = thr_start(returns_with_the_mutex, &h);
	do {
		thr_ms(1);
		OK(pthread_mutex_lock(&h.m));
		ready = h.waiting == 50;
		OK(pthread_mutex_unlock(&h.m));
	} while (!ready);
	OK(pthread_mutex_lock(&h.m));
	h.go = 1;
	OK(pthread_cond_broadcast(&h.c));
	OK(pthread_mutex_unlock(&h.m));
	for (i = 0; i < 50; i++)
		thr_join(th[i]);
	CHECK_INT(h.out, 50);
	CHECK_INT(h.inside, 0);
}

TEST(a_wait_works_with_mutexes_of_each_type)
{
	static const int types[] = {
		PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
		PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP,
	};
	pthread_mutexattr_t a;
	pthread_t th[10];
	size_t t;
	int i;

	for (t = 0; t < LEN(types); t++) {
		struct room r = ROOM;

		OK(pthread_mutexattr_init(&a));
		OK(pthread_mutexattr_settype(&a, types[t]));
		OK(pthread_mutex_init(&r.m, &a));
		for (i = 0; i < 10; i++)
			th[i] = thr_start(waits_for_a_ticket, &r);
		room_full(&r, 10);
		OK(pthread_mutex_lock(&r.m));
		r.tickets = 10;
		OK(pthread_cond_broadcast(&r.c));
		OK(pthread_mutex_unlock(&r.m));
		for (i = 0; i < 10; i++)
			thr_join(th[i]);
		OK(pthread_mutex_destroy(&r.m));
	}
}

TEST(a_wait_leaves_errno_alone)
{
	struct room r = ROOM;
	struct timespec at;
	pthread_t th;

	errno = EDOM;
	OK(pthread_mutex_lock(&r.m));
	at = thr_after(CLOCK_REALTIME, 5 * T_MS);
	pthread_cond_timedwait(&r.c, &r.m, &at);
	OK(pthread_mutex_unlock(&r.m));
	th = thr_start(waits_for_a_ticket, &r);
	room_full(&r, 1);
	OK(pthread_mutex_lock(&r.m));
	r.tickets = 1;
	OK(pthread_cond_signal(&r.c));
	OK(pthread_mutex_unlock(&r.m));
	thr_join(th);
	CHECK_INT(errno, EDOM);
}

TEST(a_condition_may_be_destroyed_right_after_its_broadcast)
{
	pthread_t th[10];
	struct room *r;
	int i, round;

	for (round = 0; round < 20; round++) {
		r = calloc(1, sizeof *r);
		CHECK(r != NULL);
		OK(pthread_mutex_init(&r->m, NULL));
		OK(pthread_cond_init(&r->c, NULL));
		for (i = 0; i < 10; i++)
			th[i] = thr_start(waits_for_a_ticket, r);
		room_full(r, 10);
		OK(pthread_mutex_lock(&r->m));
		r->tickets = 10;
		OK(pthread_cond_broadcast(&r->c));
		OK(pthread_mutex_unlock(&r->m));
		OK(pthread_cond_destroy(&r->c));
		memset(&r->c, 0xa5, sizeof r->c);
		for (i = 0; i < 10; i++)
			thr_join(th[i]);
		CHECK_INT(r->left, 10);
		OK(pthread_mutex_destroy(&r->m));
		free(r);
	}
}

/* A bounded queue: every item out once, in the order of its producer. */
#define ITEMS 100000
#define PRODUCERS 5
#define CONSUMERS 7

static struct {
	pthread_mutex_t m;
	pthread_cond_t some, space;
	int item[16];
	unsigned in, out;
	int taken;
	int last[PRODUCERS];
	uint64_t seed;
} q = { .m = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER,
	.space = PTHREAD_COND_INITIALIZER };

static void *
produces(void *arg)
{
	int me = thr_num(arg), i;
	uint64_t rnd = q.seed + (unsigned)me;

	for (i = 0; i < ITEMS / PRODUCERS; i++) {
		if (thr_rand(&rnd) % 256 == 0)
			sched_yield();
		OK(pthread_mutex_lock(&q.m));
		while (q.in - q.out == LEN(q.item))
			OK(pthread_cond_wait(&q.space, &q.m));
		q.item[q.in++ % LEN(q.item)] = i * PRODUCERS + me;
		if (thr_rand(&rnd) % 2) {
			OK(pthread_cond_signal(&q.some));
			OK(pthread_mutex_unlock(&q.m));
		} else {
			OK(pthread_mutex_unlock(&q.m));
			OK(pthread_cond_signal(&q.some));
		}
	}
	return NULL;
}

static void *
consumes(void *arg)
{
	uint64_t rnd = q.seed ^ (unsigned)thr_num(arg) << 8;
	struct timespec at;
	int item, n = 0;

	for (;;) {
		if (thr_rand(&rnd) % 256 == 0)
			sched_yield();
		OK(pthread_mutex_lock(&q.m));
		while (q.in == q.out && q.taken < ITEMS) {
			if (thr_rand(&rnd) % 8) {
				OK(pthread_cond_wait(&q.some, &q.m));
			} else {
				at = thr_after(CLOCK_REALTIME, THR_LONG);
				OK(pthread_cond_timedwait(&q.some, &q.m,
							  &at));
			}
		}
		if (q.in == q.out) {
			OK(pthread_mutex_unlock(&q.m));
			return thr_ptr(n);
		}
		item = q.item[q.out++ % LEN(q.item)];
		CHECK_INT(item / PRODUCERS, q.last[item % PRODUCERS]++);
		n++;
		if (++q.taken == ITEMS)
			OK(pthread_cond_broadcast(&q.some));
		OK(pthread_cond_signal(&q.space));
		OK(pthread_mutex_unlock(&q.m));
	}
}

TEST(a_hundred_thousand_items_pass_without_a_lost_wakeup)
{
	pthread_t p[PRODUCERS], c[CONSUMERS];
	int i, n = 0;

	q.seed = thr_seed();
	for (i = 0; i < CONSUMERS; i++)
		c[i] = thr_start(consumes, thr_ptr(i));
	for (i = 0; i < PRODUCERS; i++)
		p[i] = thr_start(produces, thr_ptr(i));
	for (i = 0; i < PRODUCERS; i++)
		thr_join(p[i]);
	for (i = 0; i < CONSUMERS; i++)
		n += thr_num(thr_join(c[i]));
	CHECK_INT(n, ITEMS);
}

/* Room for one item and one on each side: no later signal makes good for one
 * that was lost. */
struct narrow {
	pthread_mutex_t m;
	pthread_cond_t some, space;
	int full, item;
};

static void *
takes_each(void *arg)
{
	struct narrow *n = arg;
	int i;

	for (i = 0; i < 3000; i++) {
		OK(pthread_mutex_lock(&n->m));
		while (!n->full)
			OK(pthread_cond_wait(&n->some, &n->m));
		CHECK_INT(n->item, i);
		n->full = 0;
		OK(pthread_cond_signal(&n->space));
		OK(pthread_mutex_unlock(&n->m));
	}
	return NULL;
}

static void *
puts_each(void *arg)
{
	struct narrow *n = arg;
	int i;

	for (i = 0; i < 3000; i++) {
		OK(pthread_mutex_lock(&n->m));
		while (n->full)
			OK(pthread_cond_wait(&n->space, &n->m));
		n->item = i;
		n->full = 1;
		OK(pthread_mutex_unlock(&n->m));
		OK(pthread_cond_signal(&n->some));
	}
	return NULL;
}

TEST(ten_pairs_pass_one_item_at_a_time_and_need_every_signal)
{
	static struct narrow n[10];
	pthread_t put[10], take[10];
	int i;

	for (i = 0; i < 10; i++) {
		OK(pthread_mutex_init(&n[i].m, NULL));
		OK(pthread_cond_init(&n[i].some, NULL));
		OK(pthread_cond_init(&n[i].space, NULL));
		take[i] = thr_start(takes_each, &n[i]);
		put[i] = thr_start(puts_each, &n[i]);
	}
	for (i = 0; i < 10; i++) {
		thr_join(put[i]);
		thr_join(take[i]);
	}
}

/* A hundred threads, each with a condition of its own, wake one another. */
#define CHAIN 100
static struct {
	pthread_mutex_t m;
	pthread_cond_t c[CHAIN];
	int turn;
} chain = { .m = PTHREAD_MUTEX_INITIALIZER };

static void *
wakes_the_next(void *arg)
{
	int me = thr_num(arg), i;

	for (i = 0; i < 20; i++) {
		OK(pthread_mutex_lock(&chain.m));
		while (chain.turn != i * CHAIN + me)
			OK(pthread_cond_wait(&chain.c[me], &chain.m));
		chain.turn++;
		OK(pthread_cond_signal(&chain.c[(me + 1) % CHAIN]));
		OK(pthread_mutex_unlock(&chain.m));
	}
	return NULL;
}

TEST(a_hundred_conditions_share_one_mutex)
{
	pthread_t th[CHAIN];
	int i;

	for (i = 0; i < CHAIN; i++)
		OK(pthread_cond_init(&chain.c[i], NULL));
	for (i = 0; i < CHAIN; i++)
		th[i] = thr_start(wakes_the_next, thr_ptr(i));
	for (i = 0; i < CHAIN; i++)
		thr_join(th[i]);
	CHECK_INT(chain.turn, 20 * CHAIN);
}

/* Between processes. */
struct page {
	pthread_mutex_t m;
	pthread_cond_t c;
	int turn;
};

static struct page *
shared_page(void)
{
	struct page *p = thr_shared();
	pthread_mutexattr_t ma;
	pthread_condattr_t ca;

	OK(pthread_mutexattr_init(&ma));
	OK(pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED));
	OK(pthread_mutex_init(&p->m, &ma));
	OK(pthread_mutexattr_destroy(&ma));
	OK(pthread_condattr_init(&ca));
	OK(pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED));
	OK(pthread_cond_init(&p->c, &ca));
	OK(pthread_condattr_destroy(&ca));
	return p;
}

static void
ping_pong(struct page *p, int me)
{
	int i;

	for (i = 0; i < 500; i++) {
		OK(pthread_mutex_lock(&p->m));
		while (p->turn != 2 * i + me)
			OK(pthread_cond_wait(&p->c, &p->m));
		p->turn++;
		OK(pthread_cond_signal(&p->c));
		OK(pthread_mutex_unlock(&p->m));
	}
}

TEST(a_shared_condition_wakes_another_process)
{
	struct page *p = shared_page();
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		ping_pong(p, 1);
		_exit(0);
	}
	ping_pong(p, 0);
	CHECK_INT(thr_reap(pid), 0);
	CHECK_INT(p->turn, 1000);
	OK(pthread_cond_destroy(&p->c));
	OK(pthread_mutex_destroy(&p->m));
	thr_unshare(p);
}

static void *
waits_on_page(void *arg)
{
	struct page *p = arg;

	OK(pthread_mutex_lock(&p->m));
	p->turn++;
	OK(pthread_cond_signal(&p->c));
	while (p->turn < 100)
		OK(pthread_cond_wait(&p->c, &p->m));
	OK(pthread_mutex_unlock(&p->m));
	return NULL;
}

TEST(a_broadcast_reaches_threads_of_both_processes)
{
	struct page *p = shared_page();
	struct timespec at;
	pthread_t th[3];
	pid_t pid;
	int i, e;

	OK(pthread_mutex_lock(&p->m));
	at = thr_after(CLOCK_REALTIME, 10 * T_MS);
	do
		e = pthread_cond_timedwait(&p->c, &p->m, &at);
	while (e == 0);
	CHECK_INT(e, ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	OK(pthread_mutex_unlock(&p->m));

	pid = fork();
	CHECK(pid != -1);
	for (i = 0; i < 3; i++)
		th[i] = thr_start(waits_on_page, p);
	if (pid == 0) {
		for (i = 0; i < 3; i++)
			thr_join(th[i]);
		_exit(0);
	}
	OK(pthread_mutex_lock(&p->m));
	while (p->turn < 6) {
		/* The signals above may go to waiters instead of us. */
		at = thr_after(CLOCK_REALTIME, T_MS);
		pthread_cond_timedwait(&p->c, &p->m, &at);
	}
	p->turn = 100;
	OK(pthread_cond_broadcast(&p->c));
	OK(pthread_mutex_unlock(&p->m));
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
	CHECK_INT(thr_reap(pid), 0);
	OK(pthread_cond_destroy(&p->c));
	OK(pthread_mutex_destroy(&p->m));
	thr_unshare(p);
}
