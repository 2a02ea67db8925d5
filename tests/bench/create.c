/* SPDX-License-Identifier: MIT */
/* create.c - threads that are started, run and joined.
 *
 *     create COUNT ALIVE
 *
 * COUNT in all, in batches of ALIVE; the batches before the clock starts make
 * what can be used again, by libc as by cohook.
 */
#include "bench.h"

static void
run(void *arg)
{
	uintptr_t *value = arg;

	*value = ~*value;
}

static void
batch(struct bench_thread *threads, uintptr_t *values, long n)
{
	for (long i = 0; i < n; i++) {
		values[i] = (uintptr_t)i;
		bench_must_start(&threads[i], run, &values[i]);
	}
	for (long i = 0; i < n; i++) {
		bench_join(&threads[i]);
		bench_check(values[i] == ~(uintptr_t)i, "each thread ran once");
	}
}

int
main(int argc, char **argv)
{
	struct bench_thread *threads;
	uintptr_t *values;
	long count, alive, batches;
	int64_t start;

	if (argc != 3)
		return 2;
	count = bench_number(argv[1]);
	alive = bench_number(argv[2]);
	batches = (count + alive - 1) / alive;
	threads = calloc((size_t)alive, sizeof *threads);
	values = calloc((size_t)alive, sizeof *values);
	if (!threads || !values)
		bench_fail("calloc");
	for (long i = 0; i < (batches + 9) / 10; i++)
		batch(threads, values, alive);
	start = bench_now();
	for (long i = 0; i < batches; i++)
		batch(threads, values, alive);
	printf("ns=%.1f\n",
	       (double)(bench_now() - start) / (double)(batches * alive));
	free(values);
	free(threads);
	return 0;
}
