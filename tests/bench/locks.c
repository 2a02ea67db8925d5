/* SPDX-License-Identifier: MIT */
/* locks.c - what a lock costs, alone and between threads.
 *
 *     locks alone COUNT       a mutex that nobody else wants: lock and unlock
 *     locks mutex COUNT       two threads that follow each other over three
 *                             mutexes, so that neither gets ahead
 *     locks cond COUNT        two that take turns by a condition each
 *     locks sem COUNT         and by a semaphore each
 *     locks crowd COUNT       eight that want one mutex; all of them, COUNT
 *                             times in all
 *
 * ns= is one lock and unlock, or one hand-over from thread to thread.
 */
#include <semaphore.h>

#include "bench.h"

#define CROWD 8
#define LOTS 500

struct player {
	struct bench_thread thread;
	int number;
};

static long count, shared;
static int turn;
static pthread_mutex_t mutexes[3] = { PTHREAD_MUTEX_INITIALIZER,
				      PTHREAD_MUTEX_INITIALIZER,
				      PTHREAD_MUTEX_INITIALIZER };
static pthread_cond_t conds[2] = { PTHREAD_COND_INITIALIZER,
				   PTHREAD_COND_INITIALIZER };
static sem_t sems[2];
static pthread_barrier_t together;
static int64_t start;
static _Atomic int64_t end;

static void
done(void)
{
	int64_t now = bench_now();

	if (now > end)
		end = now;
}

static void
begin(const struct player *me)
{
	pthread_barrier_wait(&together);
	if (me->number == 0)
		start = bench_now();
	pthread_barrier_wait(&together);
}

/* The quickest of many lots counts, for what is asked is a difference of a few
 * nanoseconds. */
static void
alone(void *arg)
{
	int64_t best = INT64_MAX;

	begin(arg);
	for (int lot = 0; lot < LOTS; lot++) {
		int64_t t = bench_now();

		for (long i = 0; i < count / LOTS; i++) {
			pthread_mutex_lock(&mutexes[0]);
			shared++;
			pthread_mutex_unlock(&mutexes[0]);
		}
		t = bench_now() - t;
		if (t < best)
			best = t;
	}
	end = start + best * LOTS;
}

/* One starts with the first mutex and the other with the third.  Each takes
 * its next before it lets its own go: that is the other's, who must have gone
 * on before. */
static void
follow(void *arg)
{
	struct player *me = arg;
	int at = me->number == 0 ? 0 : 2;

	pthread_mutex_lock(&mutexes[at]);
	begin(me);
	for (long i = 0; i < count / 2; i++) {
		pthread_mutex_lock(&mutexes[(at + 1) % 3]);
		__atomic_fetch_add(&shared, 1, __ATOMIC_RELAXED);
		pthread_mutex_unlock(&mutexes[at]);
		at = (at + 1) % 3;
	}
	pthread_mutex_unlock(&mutexes[at]);
	done();
}

static void
by_cond(void *arg)
{
	struct player *me = arg;

	begin(me);
	pthread_mutex_lock(&mutexes[0]);
	for (long i = 0; i < count / 2; i++) {
		while (turn != me->number)
			pthread_cond_wait(&conds[me->number], &mutexes[0]);
		shared++;
		turn = !me->number;
		pthread_cond_signal(&conds[turn]);
	}
	pthread_mutex_unlock(&mutexes[0]);
	done();
}

static void
by_sem(void *arg)
{
	struct player *me = arg;

	begin(me);
	for (long i = 0; i < count / 2; i++) {
		while (sem_wait(&sems[me->number]) != 0)
			;
		shared++;
		sem_post(&sems[!me->number]);
	}
	done();
}

static void
crowd(void *arg)
{
	begin(arg);
	for (long i = 0; i < count / CROWD; i++) {
		pthread_mutex_lock(&mutexes[0]);
		shared++;
		pthread_mutex_unlock(&mutexes[0]);
	}
	done();
}

static const struct {
	const char *name;
	void (*fn)(void *arg);
	int players;
} ways[] = {
	{ "alone", alone, 1 },     { "mutex", follow, 2 },
	{ "cond", by_cond, 2 },    { "sem", by_sem, 2 },
	{ "crowd", crowd, CROWD },
};

int
main(int argc, char **argv)
{
	struct player players[CROWD];
	size_t way = 0;

	if (argc != 3)
		return 2;
	while (strcmp(ways[way].name, argv[1]) != 0)
		if (++way == sizeof ways / sizeof ways[0])
			return 2;
	/* A multiple of all that it is divided by. */
	count = bench_number(argv[2]);
	count = way == 0 ? (count + LOTS - 1) / LOTS * LOTS :
			   (count + CROWD - 1) / CROWD * CROWD;
	sem_init(&sems[0], 0, 1);
	sem_init(&sems[1], 0, 0);
	pthread_barrier_init(&together, NULL, (unsigned)ways[way].players);
	for (int i = 0; i < ways[way].players; i++) {
		players[i].number = i;
		bench_must_start(&players[i].thread, ways[way].fn, &players[i]);
	}
	for (int i = 0; i < ways[way].players; i++)
		bench_join(&players[i].thread);
	bench_check(shared == count, "what a lock guards is never lost");
	printf("ns=%.2f\n", (double)(end - start) / (double)count);
	return 0;
}
