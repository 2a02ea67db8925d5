/* SPDX-License-Identifier: MIT */
/* stress_lot.c - hundreds of threads on few locks, in random order.
 *
 * Everything that waits here is sure to end: who holds something waits only
 * for what comes later in the order of the objects, tokens always come back,
 * a ticker moves the generations on as long as anybody is there, and barriers
 * are met by threads that were started for that.  So a hang is a lost wake-up.
 */
#define _GNU_SOURCE 1
#include <semaphore.h>

#include "stress.h"

#define THREADS 200
#define HELPERS 3       /* that each thread may have at a time */
#define ACCOUNTS 10
#define POOLS 3
#define SEMS 3
#define RWLOCKS 4
#define GENERATIONS 3

/* Money moves between accounts; what is on each is kept twice. */
static struct account {
	pthread_mutex_t m;
	volatile long a, b;
	volatile int inside;
} accounts[ACCOUNTS];

/* Tokens that are taken and come back. */
static struct pool {
	pthread_mutex_t m;
	pthread_cond_t some;
	int free, size;
} pools[POOLS];

static struct permits {
	sem_t s;
	atomic_int inside;
	int size;
} sems[SEMS];

static struct twice {
	pthread_rwlock_t l;
	volatile long a, b;
	atomic_int readers, writers;
} twices[RWLOCKS];

static struct generation {
	pthread_mutex_t m;
	pthread_cond_t moved;
	uint64_t n;
} generations[GENERATIONS];

/* A queue with as many items in it as went in and did not come out. */
static struct {
	pthread_mutex_t m;
	pthread_cond_t some, space;
	uint64_t item[8];
	unsigned in, out;
	uint64_t sum_in, sum_out;
	unsigned long gave_up;
} queue;

static atomic_int left;         /* threads that are still at it */
static atomic_ulong counts[16];

static void
lock(pthread_mutex_t *m, uint64_t *r, const char *what, long i)
{
	clockid_t clock = below(r, 2) ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	struct timespec when;
	int e;

	/* ThreadSanitizer of gcc 12 does not see a clocklock. */
	if (UNDER_TSAN)
		clock = CLOCK_REALTIME;
	doing(what, i);
	switch (below(r, 6)) {
	case 0:
		while ((e = pthread_mutex_trylock(m)) == EBUSY)
			sched_yield();
		OK(e);
		break;
	case 1: /* gives up again and again */
		for (;;) {
			when = after(clock, below(r, 2000) * INT64_C(1000));
			e = UNDER_TSAN ? pthread_mutex_timedlock(m, &when)
				: pthread_mutex_clocklock(m, clock, &when);
			if (e != ETIMEDOUT)
				break;
			CHECK(reached(clock, when));
		}
		OK(e);
		break;
	case 2:
		when = after(CLOCK_REALTIME, INT64_C(1000000000000));
		OK(pthread_mutex_timedlock(m, &when));
		break;
	default:
		OK(pthread_mutex_lock(m));
	}
}

static void
in(struct account *c)
{
	CHECK(c->inside == 0);
	c->inside = 1;
	CHECK(c->a == ~c->b);
}

static void
out(struct account *c)
{
	CHECK(c->inside == 1);
	c->inside = 0;
	OK(pthread_mutex_unlock(&c->m));
}

static void
moves_money(uint64_t *r)
{
	uint32_t i = below(r, ACCOUNTS), j = below(r, ACCOUNTS), k;
	struct account *from, *to;
	long sum = (long)below(r, 1000);

	if (i == j)
		return;
	if (i > j) {
		k = i;
		i = j;
		j = k;
	}
	lock(&accounts[i].m, r, "lock the first of two accounts", i);
	in(&accounts[i]);
	dawdle(r);
	lock(&accounts[j].m, r, "lock the second of two accounts", j);
	in(&accounts[j]);
	from = &accounts[below(r, 2) ? i : j];
	to = from == &accounts[i] ? &accounts[j] : &accounts[i];
	from->a -= sum;
	to->a += sum;
	dawdle(r);
	from->b = ~from->a;
	to->b = ~to->a;
	if (below(r, 2)) {
		out(&accounts[i]);
		out(&accounts[j]);
	} else {
		out(&accounts[j]);
		out(&accounts[i]);
	}
}

static void
uses_a_token(uint64_t *r)
{
	uint32_t i = below(r, POOLS);
	struct pool *p = &pools[i];
	struct timespec when;
	int e = 0;

	lock(&p->m, r, "lock a pool", i);
	doing("wait for a token", i);
	while (p->free == 0) {
		if (below(r, 4) == 0) {
			when = after(CLOCK_REALTIME, below(r, 3000) *
				     INT64_C(1000));
			e = pthread_cond_timedwait(&p->some, &p->m, &when);
			CHECK(e == 0 || e == ETIMEDOUT);
			if (e == ETIMEDOUT)
				CHECK(reached(CLOCK_REALTIME, when));
		} else {
			OK(pthread_cond_wait(&p->some, &p->m));
		}
	}
	CHECK(p->free <= p->size);
	p->free--;
	OK(pthread_mutex_unlock(&p->m));
	moves_money(r);
	lock(&p->m, r, "lock a pool to give back", i);
	p->free++;
	CHECK(p->free <= p->size);
	if (below(r, 2)) {
		OK(pthread_cond_signal(&p->some));
		OK(pthread_mutex_unlock(&p->m));
	} else {
		OK(pthread_mutex_unlock(&p->m));
		OK(pthread_cond_signal(&p->some));
	}
}

static void
uses_a_permit(uint64_t *r)
{
	uint32_t i = below(r, SEMS);
	struct permits *p = &sems[i];
	struct timespec when;
	int n;

	doing("wait for a permit", i);
	switch (below(r, 4)) {
	case 0:
		while (sem_trywait(&p->s) == -1) {
			CHECK(errno == EAGAIN);
			sched_yield();
		}
		break;
	case 1:
		for (;;) {
			when = after(CLOCK_MONOTONIC, below(r, 2000) *
				     INT64_C(1000));
			if (sem_clockwait(&p->s, CLOCK_MONOTONIC, &when) == 0)
				break;
			CHECK(errno == ETIMEDOUT);
			CHECK(reached(CLOCK_MONOTONIC, when));
		}
		break;
	default:
		OK(sem_wait(&p->s));
	}
	n = atomic_fetch_add(&p->inside, 1) + 1;
	CHECK(n <= p->size);
	if (below(r, 2))
		moves_money(r);
	else
		dawdle(r);
	atomic_fetch_sub(&p->inside, 1);
	OK(sem_post(&p->s));
}

static void
reads_or_writes(uint64_t *r)
{
	uint32_t i = below(r, RWLOCKS), how = below(r, 5);
	struct twice *t = &twices[i];
	int writes = below(r, 4) == 0, e;
	struct timespec when;

	doing(writes ? "write lock" : "read lock", i);
	if (how == 0) {
		while ((e = writes ? pthread_rwlock_trywrlock(&t->l)
				   : pthread_rwlock_tryrdlock(&t->l)) == EBUSY)
			sched_yield();
		OK(e);
	} else if (how == 1) {
		for (;;) {
			when = after(CLOCK_REALTIME, below(r, 2000) *
				     INT64_C(1000));
			e = writes ? pthread_rwlock_timedwrlock(&t->l, &when)
				   : pthread_rwlock_timedrdlock(&t->l, &when);
			if (e != ETIMEDOUT)
				break;
			CHECK(reached(CLOCK_REALTIME, when));
		}
		OK(e);
	} else {
		OK(writes ? pthread_rwlock_wrlock(&t->l)
			  : pthread_rwlock_rdlock(&t->l));
	}
	if (writes) {
		CHECK(t->writers++ == 0);
		CHECK(t->readers == 0);
		CHECK(t->a == t->b);
		t->a++;
		dawdle(r);
		t->b++;
		CHECK(t->writers-- == 1);
	} else {
		t->readers++;
		CHECK(t->writers == 0);
		dawdle(r);
		CHECK(t->a == t->b);
		t->readers--;
	}
	OK(pthread_rwlock_unlock(&t->l));
}

static void
waits_for_a_generation(uint64_t *r)
{
	uint32_t i = below(r, GENERATIONS);
	struct generation *g = &generations[i];
	uint64_t n;

	lock(&g->m, r, "lock a generation", i);
	n = g->n;
	doing("wait for the next generation", i);
	while (g->n == n)
		OK(pthread_cond_wait(&g->moved, &g->m));
	CHECK(g->n > n);
	OK(pthread_mutex_unlock(&g->m));
}

/* Both sides give up after a while, since nobody promises them the other. */
static void
uses_the_queue(uint64_t *r)
{
	struct timespec when = after(CLOCK_REALTIME, below(r, 3000) *
				     INT64_C(1000));
	int puts = (int)below(r, 2), e = 0;
	uint64_t x = rnd(r);

	lock(&queue.m, r, "lock the queue", puts);
	doing(puts ? "wait for space" : "wait for an item", 0);
	while (e == 0 && (puts ? queue.in - queue.out == LEN(queue.item)
			       : queue.in == queue.out))
		e = pthread_cond_timedwait(puts ? &queue.space : &queue.some,
					   &queue.m, &when);
	CHECK(e == 0 || e == ETIMEDOUT);
	if (e == ETIMEDOUT)
		CHECK(reached(CLOCK_REALTIME, when));
	if (puts ? queue.in - queue.out == LEN(queue.item)
		 : queue.in == queue.out) {
		queue.gave_up++;
	} else if (puts) {
		queue.item[queue.in++ % LEN(queue.item)] = x;
		queue.sum_in += x;
		OK(pthread_cond_signal(&queue.some));
	} else {
		queue.sum_out += queue.item[queue.out++ % LEN(queue.item)];
		OK(pthread_cond_signal(&queue.space));
	}
	OK(pthread_mutex_unlock(&queue.m));
}

/* Helpers: they meet their starter at a barrier, and are joined. */
struct party {
	pthread_barrier_t b;
	int n, rounds;
	atomic_int came, serial;
};

struct helper {
	struct party *p;
	int slot;
	uint64_t r;
};

static void
meets(struct party *p, uint64_t *r)
{
	int i, e;

	for (i = 1; i <= p->rounds; i++) {
		dawdle(r);
		atomic_fetch_add(&p->came, 1);
		doing("meet at a barrier", i);
		e = pthread_barrier_wait(&p->b);
		CHECK(e == 0 || e == PTHREAD_BARRIER_SERIAL_THREAD);
		if (e != 0)
			atomic_fetch_add(&p->serial, 1);
		CHECK(p->came >= i * p->n);
	}
}

static void *
helps(void *arg)
{
	struct helper *h = arg;

	be(h->slot);
	meets(h->p, &h->r);
	if (below(&h->r, 2))
		moves_money(&h->r);
	be_gone();
	return arg;
}

static void
throws_a_party(uint64_t *r, int slot)
{
	struct party p = { .n = 1 + (int)below(r, HELPERS + 1) };
	struct helper h[HELPERS];
	pthread_t th[HELPERS];
	struct timespec when;
	void *got;
	int i, e;

	p.rounds = 1 + (int)below(r, 5);
	OK(pthread_barrier_init(&p.b, NULL, (unsigned)p.n));
	for (i = 0; i < p.n - 1; i++) {
		h[i].p = &p;
		h[i].slot = THREADS + slot * HELPERS + i;
		h[i].r = *r + (unsigned)i;
		OK(pthread_create(&th[i], NULL, helps, &h[i]));
	}
	meets(&p, r);
	for (i = 0; i < p.n - 1; i++) {
		doing("join a helper", i);
		switch (below(r, 3)) {
		case 0:
			while ((e = pthread_tryjoin_np(th[i], &got)) == EBUSY)
				sched_yield();
			OK(e);
			break;
		case 1:
			for (;;) {
				when = after(CLOCK_REALTIME, 100000);
				e = pthread_timedjoin_np(th[i], &got, &when);
				if (e != ETIMEDOUT)
					break;
				CHECK(reached(CLOCK_REALTIME, when));
			}
			OK(e);
			break;
		default:
			OK(pthread_join(th[i], &got));
		}
		CHECK(got == &h[i]);
	}
	CHECK(p.serial == p.rounds);
	CHECK(p.came == p.rounds * p.n);
	OK(pthread_barrier_destroy(&p.b));
}

static void *
works(void *arg)
{
	int slot = (int)(intptr_t)arg;
	uint64_t r = stream((uint64_t)slot + 1);
	uint32_t what;

	be(slot);
	while (!is_over()) {
		what = below(&r, 16);
		switch (what) {
		case 0:
		case 1:
			uses_a_token(&r);
			break;
		case 2:
		case 3:
			uses_a_permit(&r);
			break;
		case 4:
		case 5:
			reads_or_writes(&r);
			break;
		case 6:
			waits_for_a_generation(&r);
			break;
		case 7:
		case 8:
			uses_the_queue(&r);
			break;
		case 9:
			throws_a_party(&r, slot);
			break;
		default:
			moves_money(&r);
		}
		atomic_fetch_add(&counts[what], 1);
		errno = 10000 + slot;
		dawdle(&r);
		CHECK(errno == 10000 + slot);
	}
	be_gone();
	atomic_fetch_sub(&left, 1);
	return arg;
}

static void *
ticks(void *arg)
{
	struct timespec ms = { 0, 1000000 };
	struct generation *g;

	be((int)LEN(at) - 1);
	while (left > 0) {
		for (g = generations; g < generations + GENERATIONS; g++) {
			doing("move a generation on", g - generations);
			OK(pthread_mutex_lock(&g->m));
			g->n++;
			OK(pthread_cond_broadcast(&g->moved));
			OK(pthread_mutex_unlock(&g->m));
		}
		doing("sleep between generations", 0);
		nanosleep(&ms, NULL);
	}
	be_gone();
	return arg;
}

int
main(int argc, char **argv)
{
	static const int types[] = {
		PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
		PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ADAPTIVE_NP,
	};
	pthread_t th[THREADS], ticker;
	unsigned long steps = 0;
	pthread_mutexattr_t a;
	pthread_rwlockattr_t ra;
	long money = 0;
	int i, v;
	void *got;

	begin(argc, argv, "stress_lot");
	for (i = 0; i < ACCOUNTS; i++) {
		OK(pthread_mutexattr_init(&a));
		OK(pthread_mutexattr_settype(&a, types[i % (int)LEN(types)]));
		OK(pthread_mutex_init(&accounts[i].m, &a));
		OK(pthread_mutexattr_destroy(&a));
		accounts[i].a = 1000;
		accounts[i].b = ~1000L;
	}
	for (i = 0; i < POOLS; i++) {
		OK(pthread_mutex_init(&pools[i].m, NULL));
		OK(pthread_cond_init(&pools[i].some, NULL));
		pools[i].free = pools[i].size = 1 + i * 3;
	}
	for (i = 0; i < SEMS; i++) {
		sems[i].size = 1 + i * 4;
		OK(sem_init(&sems[i].s, 0, (unsigned)sems[i].size));
	}
	for (i = 0; i < RWLOCKS; i++) {
		OK(pthread_rwlockattr_init(&ra));
		if (i % 2)
			OK(pthread_rwlockattr_setkind_np(&ra,
				PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
		OK(pthread_rwlock_init(&twices[i].l, &ra));
		OK(pthread_rwlockattr_destroy(&ra));
	}
	for (i = 0; i < GENERATIONS; i++) {
		OK(pthread_mutex_init(&generations[i].m, NULL));
		OK(pthread_cond_init(&generations[i].moved, NULL));
	}
	OK(pthread_mutex_init(&queue.m, NULL));
	OK(pthread_cond_init(&queue.some, NULL));
	OK(pthread_cond_init(&queue.space, NULL));

	left = THREADS;
	OK(pthread_create(&ticker, NULL, ticks, NULL));
	for (i = 0; i < THREADS; i++)
		OK(pthread_create(&th[i], NULL, works, (void *)(intptr_t)i));
	for (i = 0; i < THREADS; i++) {
		OK(pthread_join(th[i], &got));
		CHECK(got == (void *)(intptr_t)i);
	}
	OK(pthread_join(ticker, NULL));

	for (i = 0; i < ACCOUNTS; i++) {
		money += accounts[i].a;
		CHECK(accounts[i].a == ~accounts[i].b);
		OK(pthread_mutex_destroy(&accounts[i].m));
	}
	CHECK(money == ACCOUNTS * 1000);
	for (i = 0; i < POOLS; i++) {
		CHECK(pools[i].free == pools[i].size);
		OK(pthread_cond_destroy(&pools[i].some));
	}
	for (i = 0; i < SEMS; i++) {
		OK(sem_getvalue(&sems[i].s, &v));
		CHECK(v == sems[i].size);
		OK(sem_destroy(&sems[i].s));
	}
	for (i = 0; i < RWLOCKS; i++) {
		CHECK(twices[i].a == twices[i].b);
		OK(pthread_rwlock_destroy(&twices[i].l));
	}
	while (queue.out != queue.in)
		queue.sum_out += queue.item[queue.out++ % LEN(queue.item)];
	CHECK(queue.sum_in == queue.sum_out);
	for (i = 0; i < (int)LEN(counts); i++)
		steps += counts[i];
	printf("stress_lot: %lu steps, %u items queued, %lu waits for the "
	       "queue given up\n", steps, queue.in, queue.gave_up);
	return 0;
}
