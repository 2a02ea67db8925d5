/* SPDX-License-Identifier: MIT */
/* sync_rwlock.c - many readers or one writer, by every call there is. */
#define _GNU_SOURCE 1
#include "thr.h"

static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC };

/* Calls made by a thread other than the caller. */
static void *
do_tryrdlock(void *l)
{
	int e = pthread_rwlock_tryrdlock(l);

	if (e == 0)
		OK(pthread_rwlock_unlock(l));
	return thr_ptr(e);
}

static void *
do_trywrlock(void *l)
{
	int e = pthread_rwlock_trywrlock(l);

	if (e == 0)
		OK(pthread_rwlock_unlock(l));
	return thr_ptr(e);
}

static int
in_thread(void *(*fn)(void *), pthread_rwlock_t *l)
{
	return thr_num(thr_join(thr_start(fn, l)));
}

TEST(readers_share_and_a_writer_does_not)
{
	pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;

	OK(pthread_rwlock_rdlock(&l));
	OK(pthread_rwlock_rdlock(&l));
	CHECK_INT(in_thread(do_tryrdlock, &l), 0);
	CHECK_INT(in_thread(do_trywrlock, &l), EBUSY);
	CHECK_INT(pthread_rwlock_trywrlock(&l), EBUSY);
	OK(pthread_rwlock_unlock(&l));
	CHECK_INT(in_thread(do_trywrlock, &l), EBUSY);
	OK(pthread_rwlock_unlock(&l));

	OK(pthread_rwlock_wrlock(&l));
	CHECK_INT(in_thread(do_tryrdlock, &l), EBUSY);
	CHECK_INT(in_thread(do_trywrlock, &l), EBUSY);
	CHECK_INT(pthread_rwlock_tryrdlock(&l), EBUSY);
	CHECK_INT(pthread_rwlock_trywrlock(&l), EBUSY);
	OK(pthread_rwlock_unlock(&l));
	CHECK_INT(in_thread(do_trywrlock, &l), 0);
	CHECK_INT(in_thread(do_tryrdlock, &l), 0);
	OK(pthread_rwlock_destroy(&l));
}

TEST(a_writer_that_locks_again_gets_EDEADLK)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	struct timespec mono = thr_after(CLOCK_MONOTONIC, THR_LONG);
	pthread_rwlock_t l;

	OK(pthread_rwlock_init(&l, NULL));
	OK(pthread_rwlock_wrlock(&l));
	CHECK_INT(pthread_rwlock_rdlock(&l), EDEADLK);
	CHECK_INT(pthread_rwlock_wrlock(&l), EDEADLK);
	CHECK_INT(pthread_rwlock_timedrdlock(&l, &at), EDEADLK);
	CHECK_INT(pthread_rwlock_timedwrlock(&l, &at), EDEADLK);
	CHECK_INT(pthread_rwlock_clockrdlock(&l, CLOCK_MONOTONIC, &mono),
		  EDEADLK);
	CHECK_INT(pthread_rwlock_clockwrlock(&l, CLOCK_MONOTONIC, &mono),
		  EDEADLK);
	OK(pthread_rwlock_unlock(&l));
	OK(pthread_rwlock_destroy(&l));
}

static void *
timed_out_of_reading(void *arg)
{
	pthread_rwlock_t *l = arg;
	struct timespec at;
	int i;

	for (i = 1; i <= 12; i++) {
		at = thr_after(CLOCK_REALTIME, i * T_MS / 3);
		CHECK_INT(pthread_rwlock_timedrdlock(l, &at), ETIMEDOUT);
		CHECK(thr_reached(CLOCK_REALTIME, at));
		at = thr_after(clocks[i % 2], i * T_MS / 3);
		CHECK_INT(pthread_rwlock_clockrdlock(l, clocks[i % 2], &at),
			  ETIMEDOUT);
		CHECK(thr_reached(clocks[i % 2], at));
	}
	at = (struct timespec){ 0, 0 };
	CHECK_INT(pthread_rwlock_timedrdlock(l, &at), ETIMEDOUT);
	return NULL;
}

static void *
timed_out_of_writing(void *arg)
{
	pthread_rwlock_t *l = arg;
	struct timespec at;
	int i;

	for (i = 1; i <= 12; i++) {
		at = thr_after(CLOCK_REALTIME, i * T_MS / 3);
		CHECK_INT(pthread_rwlock_timedwrlock(l, &at), ETIMEDOUT);
		CHECK(thr_reached(CLOCK_REALTIME, at));
		at = thr_after(clocks[i % 2], i * T_MS / 3);
		CHECK_INT(pthread_rwlock_clockwrlock(l, clocks[i % 2], &at),
			  ETIMEDOUT);
		CHECK(thr_reached(clocks[i % 2], at));
	}
	at = (struct timespec){ 0, 0 };
	CHECK_INT(pthread_rwlock_timedwrlock(l, &at), ETIMEDOUT);
	return NULL;
}

TEST(timed_locks_are_never_early)
{
	pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;

	OK(pthread_rwlock_wrlock(&l));
	thr_join(thr_start(timed_out_of_reading, &l));
	thr_join(thr_start(timed_out_of_writing, &l));
	OK(pthread_rwlock_unlock(&l));
	OK(pthread_rwlock_rdlock(&l));
	thr_join(thr_start(timed_out_of_writing, &l));
	CHECK_INT(in_thread(do_tryrdlock, &l), 0);
	OK(pthread_rwlock_unlock(&l));
	CHECK_INT(in_thread(do_trywrlock, &l), 0);
}

TEST(timed_locks_of_a_free_lock_take_it_whatever_the_deadline)
{
	pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
	struct timespec past = { 1, 0 };

	OK(pthread_rwlock_timedrdlock(&l, &past));
	OK(pthread_rwlock_clockrdlock(&l, CLOCK_MONOTONIC, &past));
	OK(pthread_rwlock_unlock(&l));
	OK(pthread_rwlock_unlock(&l));
	OK(pthread_rwlock_timedwrlock(&l, &past));
	OK(pthread_rwlock_unlock(&l));
	OK(pthread_rwlock_clockwrlock(&l, CLOCK_REALTIME, &past));
	OK(pthread_rwlock_unlock(&l));
}

TEST(bad_times_and_clocks_are_EINVAL)
{
	pthread_rwlock_t l = PTHREAD_RWLOCK_INITIALIZER;
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);
	static const clockid_t cpu = CLOCK_PROCESS_CPUTIME_ID;

	CHECK_INT(pthread_rwlock_clockrdlock(&l, cpu, &at), EINVAL);
	CHECK_INT(pthread_rwlock_clockwrlock(&l, cpu, &at), EINVAL);
	OK(pthread_rwlock_rdlock(&l));
	at.tv_nsec = 1000000000;
	CHECK_INT(pthread_rwlock_timedwrlock(&l, &at), EINVAL);
	CHECK_INT(pthread_rwlock_clockwrlock(&l, CLOCK_MONOTONIC, &at),
		  EINVAL);
	at.tv_nsec = -1;
	CHECK_INT(pthread_rwlock_timedwrlock(&l, &at), EINVAL);
	OK(pthread_rwlock_unlock(&l));
}

/* All of them inside at the same time: nobody leaves before the last came. */
struct hall {
	pthread_rwlock_t l;
	atomic_int here, inside, go;
};

static void *
reads_together(void *arg)
{
	struct hall *h = arg;

	h->here++;
	OK(pthread_rwlock_rdlock(&h->l));
	h->inside++;
	thr_until(&h->inside, 200);
	OK(pthread_rwlock_unlock(&h->l));
	return NULL;
}

TEST(two_hundred_readers_are_in_at_once)
{
	struct hall h = { .l = PTHREAD_RWLOCK_INITIALIZER };
	static pthread_t th[200];
	int i;

	for (i = 0; i < 200; i++)
		th[i] = thr_start(reads_together, &h);
	for (i = 0; i < 200; i++)
		thr_join(th[i]);
	CHECK_INT(in_thread(do_trywrlock, &h.l), 0);
}

TEST(the_writer_that_leaves_lets_all_waiting_readers_in)
{
	struct hall h = { .l = PTHREAD_RWLOCK_INITIALIZER };
	static pthread_t th[200];
	int i;

	OK(pthread_rwlock_wrlock(&h.l));
	for (i = 0; i < 200; i++)
		th[i] = thr_start(reads_together, &h);
	thr_until(&h.here, 200);
	CHECK_INT(h.inside, 0);
	OK(pthread_rwlock_unlock(&h.l));
	for (i = 0; i < 200; i++)
		thr_join(th[i]);
}

struct writers {
	pthread_rwlock_t l;
	atomic_int here, readers_out;
	int n, inside;
};

static void *
writes_once(void *arg)
{
	struct writers *w = arg;

	w->here++;
	OK(pthread_rwlock_wrlock(&w->l));
	CHECK_INT(w->readers_out, 10);
	CHECK_INT(w->inside++, 0);
	sched_yield();
	w->n++;
	CHECK_INT(w->inside--, 1);
	OK(pthread_rwlock_unlock(&w->l));
	return NULL;
}

TEST(the_last_reader_to_leave_lets_the_writers_in_one_by_one)
{
	struct writers w = { .l = PTHREAD_RWLOCK_INITIALIZER };
	static pthread_t th[100];
	int i;

	for (i = 0; i < 10; i++)
		OK(pthread_rwlock_rdlock(&w.l));
	for (i = 0; i < 100; i++)
		th[i] = thr_start(writes_once, &w);
	thr_until(&w.here, 100);
	for (i = 0; i < 10; i++) {
		CHECK_INT(w.n, 0);
		w.readers_out++;
		OK(pthread_rwlock_unlock(&w.l));
	}
	for (i = 0; i < 100; i++)
		thr_join(th[i]);
	CHECK_INT(w.n, 100);
}

/* Readers and writers of a value kept twice. */
struct twice {
	pthread_rwlock_t l;
	volatile long a, b;
	atomic_int readers, writers;
	uint64_t seed;
	atomic_int next;
};

static void
take(pthread_rwlock_t *l, int write, unsigned how)
{
	struct timespec at;

	switch (how % 4) {
	case 0:
		while ((write ? pthread_rwlock_trywrlock(l)
			      : pthread_rwlock_tryrdlock(l)) != 0)
			sched_yield();
		break;
	case 1:
		at = thr_after(CLOCK_REALTIME, THR_LONG);
		OK(write ? pthread_rwlock_timedwrlock(l, &at)
			 : pthread_rwlock_timedrdlock(l, &at));
		break;
	default:
		OK(write ? pthread_rwlock_wrlock(l)
			 : pthread_rwlock_rdlock(l));
	}
}

static void *
reads_and_writes(void *arg)
{
	struct twice *t = arg;
	uint64_t rnd = t->seed + (unsigned)atomic_fetch_add(&t->next, 1);
	int wrote = 0, i;

	for (i = 0; i < 300; i++) {
		if (thr_rand(&rnd) % 5 == 0) {
			take(&t->l, 1, thr_rand(&rnd));
			CHECK_INT(t->writers++, 0);
			CHECK_INT(t->readers, 0);
			t->a = t->a + 1;
			if (thr_rand(&rnd) % 8 == 0)
				sched_yield();
			t->b = t->b + 1;
			CHECK_INT(t->writers--, 1);
			wrote++;
		} else {
			take(&t->l, 0, thr_rand(&rnd));
			t->readers++;
			CHECK_INT(t->writers, 0);
			if (thr_rand(&rnd) % 8 == 0)
				sched_yield();
			CHECK_INT(t->a, t->b);
			t->readers--;
		}
		OK(pthread_rwlock_unlock(&t->l));
	}
	return thr_ptr(wrote);
}

static void
mix(pthread_rwlockattr_t *a)
{
	struct twice t = { .seed = thr_seed() };
	pthread_t th[60];
	long n = 0;
	int i;

	OK(pthread_rwlock_init(&t.l, a));
	for (i = 0; i < 60; i++)
		th[i] = thr_start(reads_and_writes, &t);
	for (i = 0; i < 60; i++)
		n += thr_num(thr_join(th[i]));
	CHECK_INT(t.a, n);
	CHECK_INT(t.b, n);
	OK(pthread_rwlock_destroy(&t.l));
}

TEST(readers_never_see_a_write_half_done)
{
	mix(NULL);
}

TEST(readers_never_see_a_write_half_done_where_writers_come_first)
{
	pthread_rwlockattr_t a;

	OK(pthread_rwlockattr_init(&a));
	OK(pthread_rwlockattr_setkind_np(&a,
		PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
	mix(&a);
	OK(pthread_rwlockattr_destroy(&a));
}

TEST(attributes_say_what_they_were_set_to)
{
	pthread_rwlockattr_t a;
	int v;

	OK(pthread_rwlockattr_init(&a));
	OK(pthread_rwlockattr_getkind_np(&a, &v));
	CHECK_INT(v, PTHREAD_RWLOCK_PREFER_READER_NP);
	OK(pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NP));
	OK(pthread_rwlockattr_getkind_np(&a, &v));
	CHECK_INT(v, PTHREAD_RWLOCK_PREFER_WRITER_NP);
	CHECK_INT(pthread_rwlockattr_setkind_np(&a, 99), EINVAL);
	OK(pthread_rwlockattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	OK(pthread_rwlockattr_getpshared(&a, &v));
	CHECK_INT(v, PTHREAD_PROCESS_SHARED);
	CHECK_INT(pthread_rwlockattr_setpshared(&a, 99), EINVAL);
	OK(pthread_rwlockattr_destroy(&a));
}

/* Who came in, in order. */
struct order {
	pthread_rwlock_t l;
	atomic_int here, next;
	int writer, reader;
};

static void *
comes_to_write(void *arg)
{
	struct order *o = arg;

	o->here++;
	OK(pthread_rwlock_wrlock(&o->l));
	o->writer = ++o->next;
	OK(pthread_rwlock_unlock(&o->l));
	return NULL;
}

static void *
comes_to_read(void *arg)
{
	struct order *o = arg;

	o->here++;
	OK(pthread_rwlock_rdlock(&o->l));
	o->reader = ++o->next;
	OK(pthread_rwlock_unlock(&o->l));
	return NULL;
}

TEST(a_reader_may_read_again_while_a_writer_waits)
{
	struct order o = { .l = PTHREAD_RWLOCK_INITIALIZER };
	pthread_t th;
	int i;

	OK(pthread_rwlock_rdlock(&o.l));
	th = thr_start(comes_to_write, &o);
	thr_until(&o.here, 1);
	for (i = 0; i < 20; i++) {
		thr_ms(1);
		OK(pthread_rwlock_rdlock(&o.l));
		OK(pthread_rwlock_tryrdlock(&o.l));
		OK(pthread_rwlock_unlock(&o.l));
		OK(pthread_rwlock_unlock(&o.l));
	}
	CHECK_INT(o.writer, 0);
	OK(pthread_rwlock_unlock(&o.l));
	thr_join(th);
	CHECK_INT(o.writer, 1);
}

static void
prefers_writers(pthread_rwlock_t *l)
{
	pthread_rwlockattr_t a;

	OK(pthread_rwlockattr_init(&a));
	OK(pthread_rwlockattr_setkind_np(&a,
		PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
	OK(pthread_rwlock_init(l, &a));
	OK(pthread_rwlockattr_destroy(&a));
}

TEST(a_waiting_writer_goes_first_where_writers_are_preferred)
{
	struct order o = { .here = 0 };
	pthread_t w, r;

	prefers_writers(&o.l);
	OK(pthread_rwlock_rdlock(&o.l));
	w = thr_start(comes_to_write, &o);
	while (in_thread(do_tryrdlock, &o.l) == 0)
		thr_ms(1);
	r = thr_start(comes_to_read, &o);
	thr_until(&o.here, 2);
	thr_ms(5);
	CHECK_INT(o.next, 0);
	OK(pthread_rwlock_unlock(&o.l));
	thr_join(w);
	thr_join(r);
	CHECK_INT(o.writer, 1);
	CHECK_INT(o.reader, 2);
	OK(pthread_rwlock_destroy(&o.l));
}

/* It is let in, whether it runs at once or not. */
TEST(no_reader_gets_in_before_a_writer_that_is_let_in)
{
	struct order o = { .here = 0 };
	pthread_t w;
	int i, r;

	prefers_writers(&o.l);
	for (i = 0; i < 20; i++) {
		o.writer = 0;
		o.next = 0;
		OK(pthread_rwlock_rdlock(&o.l));
		w = thr_start(comes_to_write, &o);
		while (in_thread(do_tryrdlock, &o.l) == 0)
			thr_ms(1);
		OK(pthread_rwlock_unlock(&o.l));
		r = pthread_rwlock_tryrdlock(&o.l);
		if (r == 0) {
			CHECK_INT(o.writer, 1);
			OK(pthread_rwlock_unlock(&o.l));
		} else {
			CHECK_INT(r, EBUSY);
		}
		thr_join(w);
		CHECK_INT(o.writer, 1);
	}
	OK(pthread_rwlock_destroy(&o.l));
}

static void *
gives_up_writing(void *arg)
{
	struct order *o = arg;
	struct timespec at = thr_after(CLOCK_MONOTONIC, 20 * T_MS);

	o->here++;
	CHECK_INT(pthread_rwlock_clockwrlock(&o->l, CLOCK_MONOTONIC, &at),
		  ETIMEDOUT);
	return NULL;
}

TEST(a_writer_that_gives_up_lets_the_readers_behind_it_in)
{
	struct order o = { .here = 0 };
	pthread_rwlockattr_t a;
	pthread_t w, r;

	OK(pthread_rwlockattr_init(&a));
	OK(pthread_rwlockattr_setkind_np(&a,
		PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP));
	OK(pthread_rwlock_init(&o.l, &a));
	OK(pthread_rwlockattr_destroy(&a));

	OK(pthread_rwlock_rdlock(&o.l));
	w = thr_start(gives_up_writing, &o);
	thr_until(&o.here, 1);
	r = thr_start(comes_to_read, &o);
	thr_join(r);
	thr_join(w);
	OK(pthread_rwlock_unlock(&o.l));
	OK(pthread_rwlock_destroy(&o.l));
}

TEST(destroy_and_init_make_it_new)
{
	pthread_rwlock_t l;
	int i;

	for (i = 0; i < 100; i++) {
		OK(pthread_rwlock_init(&l, NULL));
		OK(pthread_rwlock_wrlock(&l));
		OK(pthread_rwlock_unlock(&l));
		OK(pthread_rwlock_destroy(&l));
		memset(&l, 0xa5, sizeof l);
	}
}

TEST(a_lock_that_waited_leaves_errno_alone)
{
	struct order o = { .l = PTHREAD_RWLOCK_INITIALIZER };
	pthread_t th;

	errno = EDOM;
	OK(pthread_rwlock_rdlock(&o.l));
	th = thr_start(comes_to_write, &o);
	thr_until(&o.here, 1);
	OK(pthread_rwlock_unlock(&o.l));
	OK(pthread_rwlock_rdlock(&o.l));
	OK(pthread_rwlock_unlock(&o.l));
	thr_join(th);
	CHECK_INT(errno, EDOM);
}

struct page {
	pthread_rwlock_t l;
	volatile long a, b;
};

static void
uses_page(struct page *p, int me)
{
	int i;

	for (i = 0; i < 2000; i++) {
		if (i % 4 == me % 4) {
			OK(pthread_rwlock_wrlock(&p->l));
			p->a = p->a + 1;
			p->b = p->b + 1;
		} else {
			OK(pthread_rwlock_rdlock(&p->l));
			CHECK_INT(p->a, p->b);
		}
		OK(pthread_rwlock_unlock(&p->l));
	}
}

static void *
uses_page_too(void *p)
{
	uses_page(p, 0);
	return NULL;
}

TEST(a_shared_lock_excludes_another_process)
{
	struct page *p = thr_shared();
	pthread_rwlockattr_t a;
	pthread_t th[2];
	pid_t pid;
	int i;

	OK(pthread_rwlockattr_init(&a));
	OK(pthread_rwlockattr_setpshared(&a, PTHREAD_PROCESS_SHARED));
	OK(pthread_rwlock_init(&p->l, &a));
	OK(pthread_rwlockattr_destroy(&a));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		uses_page(p, 1);
		_exit(0);
	}
	for (i = 0; i < 2; i++)
		th[i] = thr_start(uses_page_too, p);
	for (i = 0; i < 2; i++)
		thr_join(th[i]);
	CHECK_INT(thr_reap(pid), 0);
	CHECK_INT(p->a, 3 * 500);
	OK(pthread_rwlock_destroy(&p->l));
	thr_unshare(p);
}
