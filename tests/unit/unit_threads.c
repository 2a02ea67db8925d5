/* SPDX-License-Identifier: MIT */
/* unit_threads.c - the parking lot and the table of descriptors under kernel
 * threads, which use them as coroutines do: for ThreadSanitizer, which cannot
 * follow a coroutine.
 *
 *     unit_threads [SEED [ROUNDS]]
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/fd.h"
#include "sched/lot.h"

enum { THREADS = 8, PIPES = 4 };

static int rounds = 2000;
static uint64_t seed;

#define CHECK(claim)                                                          \
	((claim) ? (void)0 : fail(__FILE__, __LINE__, #claim))

static void
fail(const char *file, int line, const char *claim)
{
	fprintf(stderr, "%s:%d: does not hold: %s (seed %llu)\n", file, line,
		claim, (unsigned long long)seed);
	_exit(1);
}

static uint64_t
next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void
each_thread(void *(*fn)(void *), int n)
{
	pthread_t th[THREADS + 1];
	int i;

	for (i = 0; i < n; i++)
		CHECK(pthread_create(&th[i], NULL, fn,
				     (void *)(intptr_t)i) == 0);
	for (i = 0; i < n; i++)
		CHECK(pthread_join(th[i], NULL) == 0);
}

/* --- a lock out of a word and the lot; what it guards is plain --- */

static _Atomic int word;
static long guarded, guarded_too;
static _Atomic long gave_up;

static bool
take(void)
{
	int free_ = 0;

	return atomic_compare_exchange_strong(&word, &free_, 1);
}

static bool
lock_until(int64_t deadline)
{
	struct co_lot_wait w;
	enum co_why why = CO_NONE;
	bool lost = false;

	while (!take()) {
		if (why == CO_TIMEOUT)
			return false;
		co_lot_enter(&w, &word, 0, lost);
		if (take()) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			return true;
		}
		why = co_lot_park(&w, deadline, "lock", false);
		lost = why == CO_WOKEN;
	}
	return true;
}

static void *
locks(void *arg)
{
	uint64_t s = seed + (uint64_t)(intptr_t)arg * 7919 + 1;
	int i;

	for (i = 0; i < rounds; i++) {
		if (!lock_until(next_random(&s) % 4 == 0 ? co_now() + 20000
							 : CO_FOREVER)) {
			atomic_fetch_add(&gave_up, 1);
			continue;
		}
		guarded++;
		if (next_random(&s) % 16 == 0)
			sched_yield();
		guarded_too++;
		CHECK(guarded == guarded_too);
		atomic_store(&word, 0);
		co_lot_wake(&word, 1);
	}
	return NULL;
}

/* --- a rendezvous: nobody goes on before all have come --- */

static _Atomic int came, turn;
static long plain[THREADS];

static void *
meets(void *arg)
{
	struct co_lot_wait w;
	int me = (int)(intptr_t)arg, i, k, at;

	for (i = 0; i < rounds / 8; i++) {
		plain[me] = i;
		at = atomic_load(&turn);
		if (atomic_fetch_add(&came, 1) == THREADS - 1) {
			for (k = 0; k < THREADS; k++)
				CHECK(plain[k] == i);
			atomic_store(&came, 0);
			atomic_store(&turn, at + 1);
			co_lot_wake(&turn, THREADS);
			continue;
		}
		while (atomic_load(&turn) == at) {
			co_lot_enter(&w, &turn, 0, false);
			if (atomic_load(&turn) != at) {
				co_disarm(w.parker);
				co_lot_leave(&w);
				break;
			}
			co_lot_park(&w, CO_FOREVER, "meet", false);
		}
	}
	return NULL;
}

/* By raw calls: ThreadSanitizer takes the close of what another reads for a
 * race.
 *
 * --- descriptors: who waits is woken by data or by the close --- */

static int ends[PIPES][2];
static pthread_rwlock_t numbers = PTHREAD_RWLOCK_INITIALIZER;
static _Atomic int stop;
static _Atomic long got, sent, closed;

static void *
polls(void *arg)
{
	(void)arg;
	while (!stop) {
		co_critical_begin();
		co_poller_wait(0);
		co_critical_end();
		sched_yield();
	}
	return NULL;
}

/* The waiting loop in small. */
static void
read_one(int fd)
{
	struct co_fd *slot = co_fd(fd);
	uint32_t gen = slot->gen, seq = slot->seq[CO_IN];
	struct co_fd_wait w;
	enum co_why why;
	char c;
	long r;
	int err;

	for (;;) {
		r = sys3(SYS_read, fd, &c, 1);
		if (r == 1) {
			atomic_fetch_add(&got, 1);
			return;
		}
		CHECK(r == -EAGAIN || r == -EBADF);
		if (r == -EBADF)
			return;
		err = co_fd_enter(&w, fd, slot, CO_IN, gen, seq);
		if (err == 0) {
			why = co_park(w.parker, co_now() + 2000000, "read",
				      (uintptr_t)fd, false);
			co_fd_leave(&w);
			if (why == CO_TIMEOUT)
				return; /* nobody may be left to write */
		} else if (err == -EBADF) {
			atomic_fetch_add(&closed, 1);
			return;
		}
		seq = slot->seq[CO_IN];
	}
}

static void
renew(int i)
{
	/* Nobody writes meanwhile; readers wait on. */
	pthread_rwlock_wrlock(&numbers);
	co_fd_forget(ends[i][0]);
	sys1(SYS_close, ends[i][0]);
	co_fd_closed(ends[i][0]);
	sys1(SYS_close, ends[i][1]);
	CHECK(sys2(SYS_pipe2, ends[i], O_NONBLOCK) == 0);
	pthread_rwlock_unlock(&numbers);
}

static void *
pipes(void *arg)
{
	uint64_t s = seed + (uint64_t)(intptr_t)arg * 104729 + 1;
	int i, k, fd;

	for (i = 0; i < rounds && !stop; i++) {
		k = (int)(next_random(&s) % PIPES);
		switch (next_random(&s) % 64) {
		case 0:
			renew(k);
			break;
		case 1 ... 32:
			pthread_rwlock_rdlock(&numbers);
			if (sys3(SYS_write, ends[k][1], "x", 1) == 1)
				atomic_fetch_add(&sent, 1);
			pthread_rwlock_unlock(&numbers);
			break;
		default:
			pthread_rwlock_rdlock(&numbers);
			fd = ends[k][0];
			pthread_rwlock_unlock(&numbers);
			read_one(fd);
		}
	}
	return NULL;
}

static void *
all_of_pipes(void *arg)
{
	each_thread(pipes, THREADS);
	stop = 1;
	return arg;
}

static void *
poller_or_pipes(void *arg)
{
	return (intptr_t)arg == 0 ? polls(arg) : all_of_pipes(arg);
}

int
main(int argc, char **argv)
{
	int i;

	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	if (seed == 0)
		seed = (uint64_t)co_now();
	if (argc > 2)
		rounds = atoi(argv[2]);
	printf("unit_threads: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	alarm(50); /* a lost wake-up is a hang */

	each_thread(locks, THREADS);
	CHECK(guarded == (long)THREADS * rounds - gave_up);
	each_thread(meets, THREADS);
	CHECK(turn == rounds / 8);

	CHECK(co_poller_init() == 0);
	for (i = 0; i < PIPES; i++)
		CHECK(sys2(SYS_pipe2, ends[i], O_NONBLOCK) == 0);
	each_thread(poller_or_pipes, 2);
	CHECK(got <= sent);
	printf("%ld locked, %ld gave up, %ld met, %ld of %ld bytes read, "
	       "%ld waits ended by a close\n", guarded, gave_up, (long)turn,
	       got, sent, closed);
	return 0;
}
