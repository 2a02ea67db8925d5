/* SPDX-License-Identifier: MIT */
/* stall.c - how long some threads are kept from running by what others do.
 *
 *     stall spin MILLISECONDS   four threads hand on a turn; who has not got
 *                               it spins, and never gives way
 *     stall raw MILLISECONDS    one sleeps through its own system calls, 100
 *                               ms each, while another naps a millisecond at
 *                               a time
 *
 * worst_ms= is the longest that the turn was not handed on, or that a nap took
 * beyond its millisecond; turns= how often all went well.
 */
#include <sys/syscall.h>

#include "bench.h"

#define SPINNERS 4

struct player {
	struct bench_thread thread;
	int number;
};

static int64_t until;
static int64_t worst, last_turn;
static long turns;
static _Atomic int turn, over;

static void
note(int64_t took)
{
	turns++;
	if (took > worst)
		worst = took;
}

/* Only who has the turn touches last_turn. */
static void
spin(void *arg)
{
	struct player *me = arg;

	while (!over) {
		int64_t now;

		if (turn != me->number)
			continue;
		now = bench_now();
		note(now - last_turn);
		last_turn = now;
		if (now >= until)
			over = 1;
		turn = (me->number + 1) % SPINNERS;
	}
}

static void
sleep_raw(void *arg)
{
	struct timespec t = { .tv_nsec = 100000000 };

	(void)arg;
	while (!over)
		syscall(SYS_nanosleep, &t, NULL);
}

static void
nap(void *arg)
{
	(void)arg;
	while (!over) {
		struct timespec t = { .tv_nsec = 1000000 };
		int64_t now = bench_now();

		nanosleep(&t, NULL);
		note(bench_now() - now - t.tv_nsec);
		if (now >= until)
			over = 1;
	}
}

int
main(int argc, char **argv)
{
	struct player players[SPINNERS];
	int n = SPINNERS, spins;

	if (argc != 3)
		return 2;
	spins = strcmp(argv[1], "spin") == 0;
	if (!spins) {
		if (strcmp(argv[1], "raw") != 0)
			return 2;
		n = 2;
	}
	last_turn = bench_now();
	until = last_turn + bench_number(argv[2]) * 1000000;
	for (int i = 0; i < n; i++) {
		players[i].number = i;
		bench_must_start(&players[i].thread,
				 spins  ? spin :
				 i == 0 ? sleep_raw :
					  nap,
				 &players[i]);
	}
	for (int i = 0; i < n; i++)
		bench_join(&players[i].thread);
	bench_check(turns > 0, "somebody runs");
	printf("worst_ms=%.3f turns=%ld\n", (double)worst / 1e6, turns);
	return 0;
}
