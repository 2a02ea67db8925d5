/* SPDX-License-Identifier: MIT */
/* mysql_result.c - what is told at the end of the MySQL demo. */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>

#include "mysql_rows.h"
#include "mysql_work.h"

/* A line for each visit: its number and four times in milliseconds. */
static int
write_times(void)
{
	FILE *f = fopen(work.times_path, "we");

	if (!f)
		return -1;
	for (int i = 0; i < work.n; i++) {
		struct visit *v = &work.visits[i];

		fprintf(f, "%d %.3f %.3f %.3f %.3f\n", v->number,
			v->began * 1e3, v->connected * 1e3, v->slept * 1e3,
			v->ended * 1e3);
	}
	return fclose(f);
}

int
work_end(const char *mode, int threads)
{
	double seconds = work_now();
	int rows = 0, errors = 0;

	for (int i = 0; i < work.n; i++) {
		struct visit *v = &work.visits[i];

		rows += v->rows;
		errors += v->errors + !v->done;
		if (v->threads > threads)
			threads = v->threads;
	}
	if (work.times_path && write_times() != 0) {
		perror(work.times_path);
		errors++;
	}
	printf("mode=%s seconds=%.4f threads=%d peak_kib=%d rows=%d "
	       "expected=%d errors=%d\n",
	       mode, seconds, threads, status_of(getpid(), "VmHWM:"), rows,
	       work.n * rows_wanted, errors);
	free(work.visits);
	rows_free();
	mysql_library_end();
	return errors || rows != work.n * rows_wanted || fflush(stdout);
}
