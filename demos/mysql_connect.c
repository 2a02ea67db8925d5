/* SPDX-License-Identifier: MIT */
/* mysql_connect.c - an ordinary program: many connections to a MySQL server,
 * one after the other or with a thread for each.  It has never heard of
 * cohook; `LD_PRELOAD=libcohook.so mysql_connect threads ...' is this binary.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mysql_work.h"

static void *
visit(void *arg)
{
	work_visit(arg);
	return NULL;
}

static int
one_after_the_other(void)
{
	for (int i = 0; i < work.n; i++)
		work_visit(&work.visits[i]);
	return work_end("serial", 0);
}

static int
a_thread_each(void)
{
	pthread_t *threads = calloc((size_t)work.n, sizeof *threads);
	int started = 0, seen, e;

	if (!threads) {
		perror("calloc");
		return 2;
	}
	while (started < work.n) {
		e = pthread_create(&threads[started], NULL, visit,
				   &work.visits[started]);
		if (e) {
			fprintf(stderr, "thread %d: %s\n", started,
				strerror(e));
			break;
		}
		started++;
	}
	seen = work_threads();
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return work_end("threads", seen);
}

int
main(int argc, char **argv)
{
	int serial = argc > 1 && strcmp(argv[1], "serial") == 0;

	if (!serial && (argc < 2 || strcmp(argv[1], "threads") != 0)) {
		fprintf(stderr, "usage: %s serial|threads OPTIONS\n", argv[0]);
		return 2;
	}
	work_begin(argc, argv);
	return serial ? one_after_the_other() : a_thread_each();
}
