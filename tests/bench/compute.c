/* SPDX-License-Identifier: MIT */
/* compute.c - fixed work, split over threads that never wait.
 *
 *     compute THREADS MILLIONS      of steps, in all
 *
 * Checked by doing one part of it once more, after the clock has stopped.
 */
#include "bench.h"

struct part {
	struct bench_thread thread;
	uint64_t from, to, sum;
};

static uint64_t
mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 29;
}

static void
work(void *arg)
{
	struct part *p = arg;
	uint64_t sum = 0;

	for (uint64_t i = p->from; i < p->to; i++)
		sum += mix(i ^ mix(sum));
	p->sum = sum;
}

int
main(int argc, char **argv)
{
	struct part *parts, again;
	uint64_t all, total = 0;
	int64_t start, took, cpu;
	long n;

	if (argc != 3)
		return 2;
	n = bench_number(argv[1]);
	all = (uint64_t)bench_number(argv[2]) * 1000000;
	parts = calloc((size_t)n, sizeof *parts);
	if (!parts)
		bench_fail("calloc");
	start = bench_now();
	cpu = bench_cpu();
	for (long i = 0; i < n; i++) {
		parts[i].from = all * (uint64_t)i / (uint64_t)n;
		parts[i].to = all * (uint64_t)(i + 1) / (uint64_t)n;
		bench_must_start(&parts[i].thread, work, &parts[i]);
	}
	for (long i = 0; i < n; i++)
		bench_join(&parts[i].thread);
	took = bench_now() - start;
	cpu = bench_cpu() - cpu;
	for (long i = 0; i < n; i++)
		total += parts[i].to - parts[i].from;
	bench_check(total == all, "all the work is shared out");
	again = parts[n - 1];
	work(&again);
	bench_check(again.sum == parts[n - 1].sum, "a sum is what it was");
	printf("ms=%.2f cpu_ms=%.2f\n", (double)took / 1e6, (double)cpu / 1e6);
	free(parts);
	return 0;
}
