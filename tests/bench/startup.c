/* SPDX-License-Identifier: MIT */
/* startup.c - how long a process takes to start and to end.
 *
 *     startup COUNT [NAME=VALUE]
 *
 * The process is this program without arguments, with that added to its
 * environment (LD_PRELOAD=...).  us= is the median of COUNT of them.
 */
#include <spawn.h>
#include <sys/wait.h>

#include "bench.h"

static int
by_size(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int
main(int argc, char **argv)
{
	char self[] = "/proc/self/exe", *args[] = { argv[0], NULL };
	char *environment[] = { argc > 2 ? argv[2] : NULL, NULL };
	int64_t *took;
	long n;

	if (argc == 1)
		return 0;
	if (argc > 3)
		return 2;
	n = bench_number(argv[1]);
	took = calloc((size_t)n, sizeof *took);
	if (!took)
		bench_fail("calloc");
	for (long i = 0; i < n; i++) {
		int64_t start = bench_now();
		int status;
		pid_t pid;

		errno = posix_spawn(&pid, self, NULL, NULL, args, environment);
		if (errno)
			bench_fail("posix_spawn");
		if (waitpid(pid, &status, 0) != pid)
			bench_fail("waitpid");
		took[i] = bench_now() - start;
		bench_check(status == 0, "the process ends well");
	}
	qsort(took, (size_t)n, sizeof *took, by_size);
	printf("us=%.1f\n", (double)took[n / 2] / 1e3);
	free(took);
	return 0;
}
