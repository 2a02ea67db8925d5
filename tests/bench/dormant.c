/* SPDX-License-Identifier: MIT */
/* dormant.c - what a hooked call costs a program that has no second thread.
 *
 *     dormant read|write|mutex COUNT
 *
 * One byte from /dev/zero, one to /dev/null, or an uncontended lock and unlock
 * of a mutex.  ns= is the quickest of 500 lots, for what is asked is a
 * difference of a nanosecond or two, whatever else the machine does.
 */
#include <fcntl.h>

#include "bench.h"

#define LOTS 500

static int fd;
static char byte;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void
by_read(long n)
{
	byte = 1;
	while (n--)
		bench_check(read(fd, &byte, 1) == 1 && byte == 0,
			    "/dev/zero gives a zero");
}

static void
by_write(long n)
{
	while (n--)
		bench_check(write(fd, &byte, 1) == 1, "/dev/null takes a byte");
}

static void
by_mutex(long n)
{
	while (n--) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

static const struct {
	const char *name, *file;
	void (*fn)(long n);
} ways[] = {
	{ "read", "/dev/zero", by_read },
	{ "write", "/dev/null", by_write },
	{ "mutex", "/dev/null", by_mutex },
};

int
main(int argc, char **argv)
{
	int64_t best = INT64_MAX;
	size_t way = 0;
	long n;

	if (argc != 3)
		return 2;
	while (strcmp(ways[way].name, argv[1]) != 0)
		if (++way == sizeof ways / sizeof ways[0])
			return 2;
	n = (bench_number(argv[2]) + LOTS - 1) / LOTS;
	fd = open(ways[way].file, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		bench_fail(ways[way].file);
	for (int i = 0; i < LOTS; i++) {
		int64_t t = bench_now();

		ways[way].fn(n);
		t = bench_now() - t;
		if (t < best)
			best = t;
	}
	printf("ns=%.2f\n", (double)best / (double)n);
	return 0;
}
