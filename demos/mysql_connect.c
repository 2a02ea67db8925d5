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
one_after_the_other(struct work *w)
{
	for (int i = 0; i < w->n; i++)
		work_visit(&w->visits[i]);
	return work_end("serial", 0);
}

static int
a_thread_each(struct work *w)
{
	pthread_t *threads = calloc((size_t)w->n, sizeof *threads);
	int started = 0, seen, e;

	if (!threads) {
		perror("calloc");
		return 2;
	}
	while (started < w->n) {
		e = pthread_create(&threads[started], NULL, visit,
				   &w->visits[started]);
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
	if (argc > 1 && strcmp(argv[1], "serial") == 0)
		return one_after_the_other(work_begin(argc, argv));
	if (argc > 1 && strcmp(argv[1], "threads") == 0)
		return a_thread_each(work_begin(argc, argv));
	fprintf(stderr, "usage: %s serial|threads OPTIONS\n", argv[0]);
	return 2;
}
