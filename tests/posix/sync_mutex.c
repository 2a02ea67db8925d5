/* SPDX-License-Identifier: MIT */
/* sync_mutex.c - mutexes of every type keep what the man pages promise. */
#define _GNU_SOURCE 1
#include "thr.h"

static void
init(pthread_mutex_t *m, int type)
{
	pthread_mutexattr_t a;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_settype(&a, type));
	OK(pthread_mutex_init(m, &a));
	OK(pthread_mutexattr_destroy(&a));
}

static const int types[] = {
	PTHREAD_MUTEX_NORMAL,
	PTHREAD_MUTEX_RECURSIVE,
	PTHREAD_MUTEX_ERRORCHECK,
	PTHREAD_MUTEX_ADAPTIVE_NP,
};

/* Calls made by a thread other than the caller. */
static void *
do_trylock(void *m)
{
	int r = pthread_mutex_trylock(m);

	if (r == 0)
		OK(pthread_mutex_unlock(m));
	return thr_ptr(r);
}

static void *
do_unlock(void *m)
{
	return thr_ptr(pthread_mutex_unlock(m));
}

static void *
do_timedlock(void *m)
{
	struct timespec at;
	int i, r = 0;

	for (i = 1; i <= 12; i++) {
		at = thr_after(CLOCK_REALTIME, i * T_MS / 3);
		r = pthread_mutex_timedlock(m, &at);
		if (r == ETIMEDOUT)
			CHECK(thr_reached(CLOCK_REALTIME, at));
		else if (r == 0)
			OK(pthread_mutex_unlock(m));
	}
	return thr_ptr(r);
}

static int
in_thread(void *(*fn)(void *), pthread_mutex_t *m)
{
	return thr_num(thr_join(thr_start(fn, m)));
}

TEST(trylock_is_EBUSY_while_another_thread_holds_it)
{
	pthread_mutex_t m;
	size_t i;

	for (i = 0; i < LEN(types); i++) {
		init(&m, types[i]);
		CHECK_INT(in_thread(do_trylock, &m), 0);
		OK(pthread_mutex_lock(&m));
		CHECK_INT(in_thread(do_trylock, &m), EBUSY);
		OK(pthread_mutex_unlock(&m));
		CHECK_INT(in_thread(do_trylock, &m), 0);
		OK(pthread_mutex_trylock(&m));
		CHECK_INT(in_thread(do_trylock, &m), EBUSY);
		OK(pthread_mutex_unlock(&m));
		OK(pthread_mutex_destroy(&m));
	}
}

TEST(static_initialisers_make_the_types_they_name)
{
	static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
	static pthread_mutex_t rec = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	static pthread_mutex_t chk = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	static pthread_mutex_t ada = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

	OK(pthread_mutex_lock(&plain));
	CHECK_INT(pthread_mutex_trylock(&plain), EBUSY);
	CHECK_INT(in_thread(do_trylock, &plain), EBUSY);
	OK(pthread_mutex_unlock(&plain));

	OK(pthread_mutex_lock(&rec));
	OK(pthread_mutex_lock(&rec));
	OK(pthread_mutex_unlock(&rec));
	CHECK_INT(in_thread(do_trylock, &rec), EBUSY);
	OK(pthread_mutex_unlock(&rec));
	CHECK_INT(in_thread(do_trylock, &rec), 0);

	OK(pthread_mutex_lock(&chk));
	CHECK_INT(pthread_mutex_lock(&chk), EDEADLK);
	OK(pthread_mutex_unlock(&chk));
	CHECK_INT(pthread_mutex_unlock(&chk), EPERM);

	OK(pthread_mutex_lock(&ada));
	CHECK_INT(pthread_mutex_trylock(&ada), EBUSY);
	OK(pthread_mutex_unlock(&ada));
}

TEST(a_recursive_mutex_counts_its_locks)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	struct timespec mono = thr_after(CLOCK_MONOTONIC, THR_LONG);
	pthread_mutex_t m;
	int i;

	init(&m, PTHREAD_MUTEX_RECURSIVE);
	OK(pthread_mutex_lock(&m));
	OK(pthread_mutex_trylock(&m));
	OK(pthread_mutex_timedlock(&m, &at));
	OK(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &mono));
	for (i = 0; i < 4; i++) {
		CHECK_INT(in_thread(do_trylock, &m), EBUSY);
		CHECK_INT(in_thread(do_unlock, &m), EPERM);
		OK(pthread_mutex_unlock(&m));
	}
	CHECK_INT(pthread_mutex_unlock(&m), EPERM);
	CHECK_INT(in_thread(do_trylock, &m), 0);
	OK(pthread_mutex_destroy(&m));
}

TEST(an_errorcheck_mutex_knows_its_owner)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	struct timespec mono = thr_after(CLOCK_MONOTONIC, THR_LONG);
	pthread_mutex_t m;

	init(&m, PTHREAD_MUTEX_ERRORCHECK);
	CHECK_INT(pthread_mutex_unlock(&m), EPERM);
	OK(pthread_mutex_lock(&m));
	CHECK_INT(pthread_mutex_lock(&m), EDEADLK);
	CHECK_INT(pthread_mutex_timedlock(&m, &at), EDEADLK);
	CHECK_INT(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &mono),
		  EDEADLK);
	CHECK_INT(pthread_mutex_trylock(&m), EBUSY);
	CHECK_INT(in_thread(do_unlock, &m), EPERM);
	CHECK_INT(in_thread(do_trylock, &m), EBUSY);
	OK(pthread_mutex_unlock(&m));
	CHECK_INT(pthread_mutex_unlock(&m), EPERM);
	OK(pthread_mutex_destroy(&m));
}

TEST(an_owner_is_known_across_its_own_waits)
{
	pthread_mutex_t m;
	int i;

	init(&m, PTHREAD_MUTEX_ERRORCHECK);
	for (i = 0; i < 10; i++) {
		OK(pthread_mutex_lock(&m));
		thr_ms(1);
		CHECK_INT(pthread_mutex_lock(&m), EDEADLK);
		CHECK_INT(in_thread(do_trylock, &m), EBUSY);
		OK(pthread_mutex_unlock(&m));
	}
	OK(pthread_mutex_destroy(&m));
}

TEST(timedlock_is_never_early)
{
	pthread_mutex_t m;
	size_t i;

	for (i = 0; i < LEN(types); i++) {
		init(&m, types[i]);
		OK(pthread_mutex_lock(&m));
		CHECK_INT(in_thread(do_timedlock, &m), ETIMEDOUT);
		OK(pthread_mutex_unlock(&m));
		CHECK_INT(in_thread(do_timedlock, &m), 0);
		OK(pthread_mutex_destroy(&m));
	}
}

TEST(timedlock_of_a_normal_mutex_one_holds_times_out)
{
	struct timespec at = thr_after(CLOCK_REALTIME, 20 * T_MS);
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

	OK(pthread_mutex_lock(&m));
	CHECK_INT(pthread_mutex_timedlock(&m, &at), ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	OK(pthread_mutex_unlock(&m));
}

TEST(clocklock_keeps_the_clock_it_is_given)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	struct timespec at;
	size_t i;

	for (i = 0; i < 12 * LEN(clocks); i++) {
		at = thr_after(clocks[i % 2], (int64_t)(i + 1) * T_MS / 3);
		OK(pthread_mutex_clocklock(&m, clocks[i % 2], &at));
		CHECK_INT(pthread_mutex_clocklock(&m, clocks[i % 2], &at),
			  ETIMEDOUT);
		CHECK(thr_reached(clocks[i % 2], at));
		OK(pthread_mutex_unlock(&m));
	}
}

TEST(bad_times_and_clocks_are_EINVAL)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	CHECK_INT(pthread_mutex_clocklock(&m, CLOCK_PROCESS_CPUTIME_ID, &at),
		  EINVAL);
	OK(pthread_mutex_lock(&m));
	at.tv_nsec = 1000000000;
	CHECK_INT(pthread_mutex_timedlock(&m, &at), EINVAL);
	CHECK_INT(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &at), EINVAL);
	at.tv_nsec = -1;
	CHECK_INT(pthread_mutex_timedlock(&m, &at), EINVAL);
	OK(pthread_mutex_unlock(&m));
}

TEST(a_deadline_in_the_past_only_tries)
{
	struct timespec past = thr_after(CLOCK_REALTIME, -1000 * T_MS);
	struct timespec ancient = { 0, 0 }, before = { -5, 0 };
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;

	OK(pthread_mutex_timedlock(&m, &past));
	CHECK_INT(pthread_mutex_timedlock(&m, &past), ETIMEDOUT);
	CHECK_INT(pthread_mutex_timedlock(&m, &ancient), ETIMEDOUT);
	CHECK_INT(pthread_mutex_timedlock(&m, &before), ETIMEDOUT);
	CHECK_INT(pthread_mutex_clocklock(&m, CLOCK_MONOTONIC, &ancient),
		  ETIMEDOUT);
	OK(pthread_mutex_unlock(&m));
	OK(pthread_mutex_timedlock(&m, &ancient));
	OK(pthread_mutex_unlock(&m));
}

struct late {
	pthread_mutex_t m;
	atomic_int here;
	clockid_t clock;
};

static void *
gets_it_in_time(void *arg)
{
	struct late *l = arg;
	struct timespec at = thr_after(l->clock, THR_LONG);

	atomic_fetch_add(&l->here, 1);
	OK(pthread_mutex_clocklock(&l->m, l->clock, &at));
	CHECK(!thr_reached(l->clock, at));
	OK(pthread_mutex_unlock(&l->m));
	return NULL;
}

TEST(a_timed_waiter_gets_the_mutex_once_it_is_free)
{
	struct late l = { .m = PTHREAD_MUTEX_INITIALIZER };
	pthread_t th[20];
	int i;

	OK(pthread_mutex_lock(&l.m));
	l.clock = CLOCK_MONOTONIC;
	for (i = 0; i < 20; i++)
		th[i] = thr_start(gets_it_in_time, &l);
	thr_until(&l.here, 20);
	thr_ms(5);
	OK(pthread_mutex_unlock(&l.m));
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
}

static void *
times_out(void *arg)
{
	struct late *l = arg;
	struct timespec at = thr_after(l->clock, 10 * T_MS);

	atomic_fetch_add(&l->here, 1);
	CHECK_INT(pthread_mutex_clocklock(&l->m, l->clock, &at), ETIMEDOUT);
	CHECK(thr_reached(l->clock, at));
	return NULL;
}

TEST(a_waiter_that_gave_up_is_not_handed_the_mutex)
{
	struct late l = { .m = PTHREAD_MUTEX_INITIALIZER };
	pthread_t quit[20], stay[20];
	int i;

	l.clock = CLOCK_MONOTONIC;
	OK(pthread_mutex_lock(&l.m));
	for (i = 0; i < 20; i++) {
		quit[i] = thr_start(times_out, &l);
		stay[i] = thr_start(gets_it_in_time, &l);
	}
	for (i = 0; i < 20; i++)
		thr_join(quit[i]);
	OK(pthread_mutex_unlock(&l.m));
	for (i = 0; i < 20; i++)
		thr_join(stay[i]);
	OK(pthread_mutex_trylock(&l.m));
	OK(pthread_mutex_unlock(&l.m));
}

TEST(destroy_of_a_locked_mutex_is_EBUSY_and_init_makes_it_new)
{
	pthread_mutex_t m;
	int i;

	for (i = 0; i < 100; i++) {
		init(&m, types[i % 4]);
		OK(pthread_mutex_lock(&m));
		CHECK_INT(pthread_mutex_destroy(&m), EBUSY);
		OK(pthread_mutex_unlock(&m));
		OK(pthread_mutex_destroy(&m));
		memset(&m, 0xa5, sizeof m);
	}
}

TEST(attributes_say_what_they_were_set_to)
{
	pthread_mutexattr_t a;
	size_t i;
	int v;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_gettype(&a, &v));
	CHECK_INT(v, PTHREAD_MUTEX_DEFAULT);
	for (i = 0; i < LEN(types); i++) {
		OK(pthread_mutexattr_settype(&a, types[i]));
		OK(pthread_mutexattr_gettype(&a, &v));
		CHECK_INT(v, types[i]);
	}
	CHECK_INT(pthread_mutexattr_settype(&a, 99), EINVAL);
	OK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	OK(pthread_mutexattr_getpshared(&a, &v));
	CHECK_INT(v, PTHREAD_PROCESS_SHARED);
	CHECK_INT(pthread_mutexattr_setpshared(&a, 99), EINVAL);
	OK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
	OK(pthread_mutexattr_getrobust(&a, &v));
	CHECK_INT(v, PTHREAD_MUTEX_ROBUST);
	OK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
	OK(pthread_mutexattr_getprotocol(&a, &v));
	CHECK_INT(v, PTHREAD_PRIO_INHERIT);
	OK(pthread_mutexattr_destroy(&a));
}

TEST(a_lock_that_waited_leaves_errno_alone)
{
	struct late l = { .m = PTHREAD_MUTEX_INITIALIZER };
	struct timespec at = thr_after(CLOCK_REALTIME, 5 * T_MS);
	pthread_t th;

	errno = EDOM;
	OK(pthread_mutex_lock(&l.m));
	CHECK_INT(pthread_mutex_trylock(&l.m), EBUSY);
	CHECK_INT(pthread_mutex_timedlock(&l.m, &at), ETIMEDOUT);
	OK(pthread_mutex_unlock(&l.m));
	th = thr_start(do_trylock, &l.m);
	OK(pthread_mutex_lock(&l.m));
	OK(pthread_mutex_unlock(&l.m));
	thr_join(th);
	CHECK_INT(errno, EDOM);
}

/* A counter that loses steps if two are in at once. */
struct count {
	pthread_mutex_t *m;
	int rounds;
	int inside;
	volatile long n;
	int how; /* 0 lock, 1 timedlock, 2 trylock in a loop, 3 in turns */
};

static void
take(struct count *c, int turn)
{
	struct timespec at;

	switch (c->how == 3 ? turn % 3 : c->how) {
	case 0:
		OK(pthread_mutex_lock(c->m));
		break;
	case 1:
		at = thr_after(CLOCK_REALTIME, THR_LONG);
		OK(pthread_mutex_timedlock(c->m, &at));
		break;
	default:
		while (pthread_mutex_trylock(c->m) != 0)
			sched_yield();
	}
}

static void *
counts(void *arg)
{
	struct count *c = arg;
	long n;
	int i;

	for (i = 0; i < c->rounds; i++) {
		take(c, i);
		CHECK_INT(c->inside++, 0);
		n = c->n;
		if (i % 64 == 0)
			sched_yield();
		c->n = n + 1;
		CHECK_INT(c->inside--, 1);
		OK(pthread_mutex_unlock(c->m));
	}
	return NULL;
}

static void
hundred_count(pthread_mutex_t *m, int how, int rounds)
{
	struct count c = { .m = m, .how = how, .rounds = rounds };
	pthread_t th[100];
	int i;

	for (i = 0; i < 100; i++)
		th[i] = thr_start(counts, &c);
	for (i = 0; i < 100; i++)
		thr_join(th[i]);
	CHECK_INT(c.n, 100 * rounds);
}

TEST(a_hundred_threads_lose_no_count)
{
	pthread_mutex_t m;
	size_t i;

	for (i = 0; i < LEN(types); i++) {
		init(&m, types[i]);
		hundred_count(&m, 0, 1000);
		OK(pthread_mutex_destroy(&m));
	}
}

TEST(a_hundred_threads_mixing_the_lock_calls_lose_no_count)
{
	pthread_mutex_t m;
	size_t i;

	for (i = 0; i < LEN(types); i++) {
		init(&m, types[i]);
		hundred_count(&m, 3, 300);
		OK(pthread_mutex_destroy(&m));
	}
}

TEST(a_priority_inheriting_mutex_loses_no_count)
{
	pthread_mutexattr_t a;
	pthread_mutex_t m;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
	OK(pthread_mutex_init(&m, &a));
	OK(pthread_mutexattr_destroy(&a));
	hundred_count(&m, 0, 100);
	OK(pthread_mutex_lock(&m));
	CHECK_INT(in_thread(do_trylock, &m), EBUSY);
	CHECK_INT(in_thread(do_timedlock, &m), ETIMEDOUT);
	OK(pthread_mutex_unlock(&m));
	OK(pthread_mutex_destroy(&m));
}

static void *
sleeps_inside(void *arg)
{
	struct count *c = arg;
	int i;

	for (i = 0; i < c->rounds; i++) {
		OK(pthread_mutex_lock(c->m));
		CHECK_INT(c->inside++, 0);
		thr_ms(1);
		CHECK_INT(c->inside--, 1);
		c->n++;
		OK(pthread_mutex_unlock(c->m));
	}
	return NULL;
}

TEST(a_holder_that_sleeps_keeps_the_others_out)
{
	pthread_mutex_t m;
	struct count c = { .m = &m, .rounds = 3 };
	pthread_t th[20];
	size_t t;
	int i;

	for (t = 0; t < LEN(types); t++) {
		init(&m, types[t]);
		c.n = 0;
		for (i = 0; i < 20; i++)
			th[i] = thr_start(sleeps_inside, &c);
		for (i = 0; i < 20; i++)
			thr_join(th[i]);
		CHECK_INT(c.n, 60);
		OK(pthread_mutex_destroy(&m));
	}
}

struct crowd {
	pthread_mutex_t m;
	atomic_int here;
	int through;
};

static void *
goes_through(void *arg)
{
	struct crowd *c = arg;

	atomic_fetch_add(&c->here, 1);
	OK(pthread_mutex_lock(&c->m));
	c->through++;
	OK(pthread_mutex_unlock(&c->m));
	return NULL;
}

TEST(four_hundred_waiters_all_get_their_turn)
{
	static pthread_t th[400];
	struct crowd c = { .m = PTHREAD_MUTEX_INITIALIZER };
	size_t i;

	OK(pthread_mutex_lock(&c.m));
	for (i = 0; i < LEN(th); i++)
		th[i] = thr_start(goes_through, &c);
	thr_until(&c.here, LEN(th));
	CHECK_INT(c.through, 0);
	OK(pthread_mutex_unlock(&c.m));
	for (i = 0; i < LEN(th); i++)
		thr_join(th[i]);
	CHECK_INT(c.through, LEN(th));
}

TEST(waiters_of_one_mutex_do_not_hold_up_another)
{
	struct crowd c = { .m = PTHREAD_MUTEX_INITIALIZER };
	pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;
	pthread_t th[50];
	int i;

	OK(pthread_mutex_lock(&c.m));
	for (i = 0; i < 50; i++)
		th[i] = thr_start(goes_through, &c);
	thr_until(&c.here, 50);
	hundred_count(&other, 0, 100);
	CHECK_INT(c.through, 0);
	OK(pthread_mutex_unlock(&c.m));
	for (i = 0; i < 50; i++)
		thr_join(th[i]);
	CHECK_INT(c.through, 50);
}

/* A mutex, and whose turn it is, goes round and round. */
struct ring {
	pthread_mutex_t m;
	int turn, size, rounds;
	atomic_int next;
};

static void *
passes_it_on(void *arg)
{
	struct ring *r = arg;
	int me = atomic_fetch_add(&r->next, 1), done = 0;

	while (done < r->rounds) {
		OK(pthread_mutex_lock(&r->m));
		if (r->turn % r->size == me) {
			CHECK_INT(r->turn, me + done * r->size);
			r->turn++;
			done++;
		}
		OK(pthread_mutex_unlock(&r->m));
		sched_yield();
	}
	return NULL;
}

TEST(a_mutex_goes_around_a_ring)
{
	struct ring r = { .m = PTHREAD_MUTEX_INITIALIZER,
			  .size = 16, .rounds = 50 };
	pthread_t th[16];
	int i;

	for (i = 0; i < 16; i++)
		th[i] = thr_start(passes_it_on, &r);
	for (i = 0; i < 16; i++)
		thr_join(th[i]);
	CHECK_INT(r.turn, 16 * 50);
}

/* Hand over hand around a ring of mutexes: as there are more of them than
 * walkers, somebody can always go on; and nobody can overtake. */
#define NODES 16
#define WALKERS 12
static struct { pthread_mutex_t m; int who; } nodes[NODES];
static atomic_int steps[WALKERS];

static void *
walks(void *arg)
{
	int me = thr_num(arg), at = me, to, i;

	OK(pthread_mutex_lock(&nodes[at].m));
	for (i = 0; i < 400; i++) {
		CHECK_INT(nodes[at].who, 0);
		nodes[at].who = me + 1;
		if (i % 16 == 0)
			sched_yield();
		to = (at + 1) % NODES;
		OK(pthread_mutex_lock(&nodes[to].m));
		CHECK_INT(nodes[at].who, me + 1);
		nodes[at].who = 0;
		OK(pthread_mutex_unlock(&nodes[at].m));
		at = to;
		steps[me]++;
	}
	OK(pthread_mutex_unlock(&nodes[at].m));
	return NULL;
}

TEST(walkers_go_hand_over_hand_around_a_ring_of_mutexes)
{
	pthread_t th[WALKERS];
	int i;

	for (i = 0; i < NODES; i++)
		init(&nodes[i].m, PTHREAD_MUTEX_ERRORCHECK);
	for (i = 0; i < WALKERS; i++)
		th[i] = thr_start(walks, thr_ptr(i));
	for (i = 0; i < WALKERS; i++)
		thr_join(th[i]);
	for (i = 0; i < WALKERS; i++)
		CHECK_INT(steps[i], 400);
}

/* Between processes. */
struct page {
	pthread_mutex_t m;
	volatile long n;
	volatile int inside;
};

static struct page *
shared_page(int robust)
{
	struct page *p = thr_shared();
	pthread_mutexattr_t a;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	if (robust)
		OK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
	OK(pthread_mutex_init(&p->m, &a));
	OK(pthread_mutexattr_destroy(&a));
	return p;
}

static void *
counts_on_page(void *arg)
{
	struct page *p = arg;
	int i;

	for (i = 0; i < 2000; i++) {
		OK(pthread_mutex_lock(&p->m));
		CHECK_INT(p->inside, 0);
		p->inside = 1;
		p->n = p->n + 1;
		p->inside = 0;
		OK(pthread_mutex_unlock(&p->m));
	}
	return NULL;
}

TEST(a_shared_mutex_excludes_another_process)
{
	struct page *p = shared_page(0);
	pthread_t th[4];
	pid_t pid;
	int i;

	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		counts_on_page(p);
		_exit(0);
	}
	for (i = 0; i < 4; i++)
		th[i] = thr_start(counts_on_page, p);
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
	CHECK_INT(thr_reap(pid), 0);
	CHECK_INT(p->n, 5 * 2000);
	OK(pthread_mutex_destroy(&p->m));
	thr_unshare(p);
}

static void *
gets_shared(void *arg)
{
	struct page *p = arg;

	OK(pthread_mutex_lock(&p->m));
	p->n++;
	OK(pthread_mutex_unlock(&p->m));
	return NULL;
}

TEST(a_thread_that_waits_for_another_process_holds_up_nobody)
{
	struct page *p = shared_page(0);
	int held[2], go[2];
	pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
	struct timespec at;
	pthread_t th[3];
	pid_t pid;
	int i;

	OK(pipe(held));
	OK(pipe(go));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		OK(pthread_mutex_lock(&p->m));
		thr_tell(held[1]);
		thr_hear(go[0]);
		CHECK_INT(p->n, 0);
		OK(pthread_mutex_unlock(&p->m));
		_exit(0);
	}
	thr_hear(held[0]);
	CHECK_INT(pthread_mutex_trylock(&p->m), EBUSY);
	at = thr_after(CLOCK_REALTIME, 10 * T_MS);
	CHECK_INT(pthread_mutex_timedlock(&p->m, &at), ETIMEDOUT);
	CHECK(thr_reached(CLOCK_REALTIME, at));
	for (i = 0; i < 3; i++)
		th[i] = thr_start(gets_shared, p);
	hundred_count(&own, 0, 50);
	thr_tell(go[1]);
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
	CHECK_INT(p->n, 3);
	CHECK_INT(thr_reap(pid), 0);
	for (i = 0; i < 2; i++) {
		close(held[i]);
		close(go[i]);
	}
	OK(pthread_mutex_destroy(&p->m));
	thr_unshare(p);
}

static void
robust_init(pthread_mutex_t *m)
{
	pthread_mutexattr_t a;

	OK(pthread_mutexattr_init(&a));
	OK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST));
	OK(pthread_mutex_init(m, &a));
	OK(pthread_mutexattr_destroy(&a));
}

static void *
dies_holding(void *m)
{
	OK(pthread_mutex_lock(m));
	return NULL;
}

TEST(a_robust_mutex_tells_that_its_owner_has_ended)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	pthread_mutex_t m;

	robust_init(&m);
	thr_join(thr_start(dies_holding, &m));
	CHECK_INT(pthread_mutex_lock(&m), EOWNERDEAD);
	OK(pthread_mutex_consistent(&m));
	OK(pthread_mutex_unlock(&m));
	OK(pthread_mutex_lock(&m));
	OK(pthread_mutex_unlock(&m));

	thr_join(thr_start(dies_holding, &m));
	CHECK_INT(pthread_mutex_trylock(&m), EOWNERDEAD);
	OK(pthread_mutex_consistent(&m));
	OK(pthread_mutex_unlock(&m));

	thr_join(thr_start(dies_holding, &m));
	CHECK_INT(pthread_mutex_timedlock(&m, &at), EOWNERDEAD);
	OK(pthread_mutex_consistent(&m));
	CHECK_INT(pthread_mutex_consistent(&m), EINVAL);
	OK(pthread_mutex_unlock(&m));
	OK(pthread_mutex_destroy(&m));
}

TEST(a_robust_mutex_left_inconsistent_is_lost)
{
	pthread_mutex_t m;

	robust_init(&m);
	thr_join(thr_start(dies_holding, &m));
	CHECK_INT(pthread_mutex_lock(&m), EOWNERDEAD);
	OK(pthread_mutex_unlock(&m));
	CHECK_INT(pthread_mutex_lock(&m), ENOTRECOVERABLE);
	CHECK_INT(pthread_mutex_trylock(&m), ENOTRECOVERABLE);
	OK(pthread_mutex_destroy(&m));
	robust_init(&m);
	OK(pthread_mutex_lock(&m));
	OK(pthread_mutex_unlock(&m));
	OK(pthread_mutex_destroy(&m));
}

TEST(consistent_is_EINVAL_where_no_owner_has_ended)
{
	pthread_mutex_t m, plain = PTHREAD_MUTEX_INITIALIZER;

	robust_init(&m);
	CHECK_INT(pthread_mutex_consistent(&m), EINVAL);
	CHECK_INT(pthread_mutex_consistent(&plain), EINVAL);
	OK(pthread_mutex_destroy(&m));
}

struct heir {
	pthread_mutex_t m;
	atomic_int held, here;
	int dead, heirs;
};

static void *
dies_when_waited_for(void *arg)
{
	struct heir *h = arg;

	OK(pthread_mutex_lock(&h->m));
	h->held = 1;
	thr_until(&h->here, h->heirs);
	thr_ms(5);
	return NULL;
}

static void *
inherits(void *arg)
{
	struct heir *h = arg;
	int r;

	atomic_fetch_add(&h->here, 1);
	r = pthread_mutex_lock(&h->m);
	if (r == EOWNERDEAD) {
		h->dead++;
		OK(pthread_mutex_consistent(&h->m));
	} else {
		OK(r);
	}
	OK(pthread_mutex_unlock(&h->m));
	return NULL;
}

TEST(one_waiter_inherits_a_robust_mutex_and_then_the_others)
{
	struct heir h = { .heirs = 10 };
	pthread_t owner, th[10];
	int i;

	robust_init(&h.m);
	owner = thr_start(dies_when_waited_for, &h);
	thr_until(&h.held, 1);
	for (i = 0; i < 10; i++)
		th[i] = thr_start(inherits, &h);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	thr_join(owner);
	CHECK_INT(h.dead, 1);
	OK(pthread_mutex_destroy(&h.m));
}

TEST(a_robust_mutex_counts_while_it_is_contended)
{
	pthread_mutex_t m;

	robust_init(&m);
	hundred_count(&m, 0, 100);
	OK(pthread_mutex_destroy(&m));
}

TEST(a_shared_robust_mutex_outlives_the_process_that_held_it)
{
	struct page *p = shared_page(1);
	pid_t pid;
	int i;

	for (i = 0; i < 3; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			OK(pthread_mutex_lock(&p->m));
			p->n++;
			_exit(0);
		}
		CHECK_INT(thr_reap(pid), 0);
		CHECK_INT(pthread_mutex_lock(&p->m), EOWNERDEAD);
		CHECK_INT(p->n, i + 1);
		OK(pthread_mutex_consistent(&p->m));
		OK(pthread_mutex_unlock(&p->m));
	}
	OK(pthread_mutex_destroy(&p->m));
	thr_unshare(p);
}
