/* SPDX-License-Identifier: MIT */
/* many.c - as many idle threads as there can be, and what they weigh.
 *
 *     many COUNT
 *
 * Each says that it is there and waits.  Where a thread cannot be had, that is
 * how many there are: threads=; why=, an errno value, says what the limit was.
 *
 * rss, tables: bytes a thread, of the process's own pages and page tables.
 * gib: both, of all of them, in GiB.
 * all: bytes a thread by which the machine's free memory has shrunk, the
 * kernel's own stacks included; what others do meanwhile is in it too.
 */
#include <semaphore.h>

#include "bench.h"

static sem_t there, go;
static _Atomic long ran;

static void
idle(void *arg)
{
	(void)arg;
	sem_post(&there);
	while (sem_wait(&go) != 0)
		;
	ran++;
}

static double
each(long before, long after, long n)
{
	return (double)(after - before) / (double)(n ? n : 1);
}

int
main(int argc, char **argv)
{
	struct bench_thread *threads, one;
	long count, n = 0, rss, tables, available;
	int64_t start, up, woken;
	int why = 0;

	if (argc != 2)
		return 2;
	count = bench_number(argv[1]);
	sem_init(&there, 0, 0);
	sem_init(&go, 0, 0);
	threads = calloc((size_t)count, sizeof *threads);
	if (!threads)
		bench_fail("calloc");
	memset(threads, 1, (size_t)count * sizeof *threads);

	/* What is made once, with the first thread, is not a thread's weight. */
	bench_must_start(&one, idle, NULL);
	sem_post(&go);
	bench_join(&one);
	ran = 0;
	sem_trywait(&there);

	rss = bench_proc("/proc/self/status", "VmRSS:");
	tables = bench_proc("/proc/self/status", "VmPTE:");
	available = bench_proc("/proc/meminfo", "MemAvailable:");
	start = bench_now();
	while (n < count) {
		why = bench_start(&threads[n], idle, NULL);
		if (why)
			break;
		n++;
	}
	for (long i = 0; i < n; i++)
		while (sem_wait(&there) != 0)
			;
	up = bench_now();
	rss = bench_proc("/proc/self/status", "VmRSS:") - rss;
	tables = bench_proc("/proc/self/status", "VmPTE:") - tables;
	available -= bench_proc("/proc/meminfo", "MemAvailable:");
	bench_check(ran == 0, "nobody goes on before the word");
	woken = bench_now();
	for (long i = 0; i < n; i++)
		sem_post(&go);
	for (long i = 0; i < n; i++)
		bench_join(&threads[i]);
	woken = bench_now() - woken;
	bench_check(ran == n, "each goes on at the word, once");
	printf("threads=%ld why=%d rss=%.0f tables=%.0f gib=%.2f all=%.0f "
	       "start_us=%.3f end_us=%.3f\n",
	       n, why, each(0, rss, n), each(0, tables, n),
	       (double)(rss + tables) / (1 << 30), each(0, available, n),
	       each(start, up, n) / 1e3, each(0, woken, n) / 1e3);
	free(threads);
	return 0;
}
