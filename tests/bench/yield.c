/* SPDX-License-Identifier: MIT */
/* yield.c - two threads that do nothing but give way to each other.
 *
 *     yield COUNT
 *
 * What counts is a change of hands and back, not a call: the kernel may let
 * the caller go on.  Meant for one CPU; on two, nobody has to give way.
 */
#include <stdatomic.h>

#include "bench.h"

struct player {
	struct bench_thread thread;
	int number;
	long turns; /* how often it found that the other had run meanwhile */
};

static long count;
static int together;
static _Atomic int last = -1; /* the number of who ran last */
static _Atomic int over;
static int64_t start, end;

static void
play(void *arg)
{
	struct player *me = arg;

	bench_together(&together, 2);
	if (me->number == 0)
		start = bench_now();
	while (!over && me->turns < count) {
		if (last != me->number) {
			atomic_store_explicit(&last, me->number,
					      memory_order_relaxed);
			me->turns++;
		}
		bench_yield();
	}
	if (!over) {
		over = 1;
		end = bench_now();
	}
}

int
main(int argc, char **argv)
{
	struct player players[2] = { { .number = 0 }, { .number = 1 } };
	long turns;

	if (argc != 2)
		return 2;
	count = bench_number(argv[1]);
	for (int i = 0; i < 2; i++)
		bench_must_start(&players[i].thread, play, &players[i]);
	for (int i = 0; i < 2; i++)
		bench_join(&players[i].thread);
	turns = players[0].turns + players[1].turns;
	bench_check(turns >= 2 * count - 2, "the two take turns");
	printf("ns=%.2f\n", (double)(end - start) / ((double)turns / 2));
	return 0;
}
