/* SPDX-License-Identifier: MIT */
/* mysql_work.h - what each connection of the MySQL demo does, and what is
 * told of it at the end.  Blocking calls throughout; who calls work_visit(),
 * and on how many threads, is the business of the two programs that use it.
 */
#ifndef MYSQL_WORK_H
#define MYSQL_WORK_H

#include <unistd.h>

#include "measure.h"

/* One connection's visit to the server; times are seconds since the start. */
struct visit {
	int number; /* from 0; each asks for its rows in its own
				 * order, so a stranger's answer is noticed */
	int done;   /* 0 until work_visit() is over */
	int rows;   /* that came, and were right */
	int errors;
	int threads; /* the process's kernel threads, most seen */
	double began, connected, slept, ended;
};

/* What was asked for. */
extern struct work {
	int n;
	struct visit *visits; /* n of them */
	const char *host, *user, *database, *times_path;
	unsigned port;
	double pause_s;
	int64_t start; /* now_ns() */
} work;

/* work_begin - read the options and the file of rows; start the clock.
 *
 * argv[1] is the mode's name; the options follow it.  Ends the program, with
 * status 2 and a word on stderr, if it cannot make sense of them. */
void work_begin(int argc, char **argv);

/* work_visit - connect; SELECT SLEEP; ask for all rows, check each; leave.
 *
 * Trouble goes to stderr and is counted, never fatal.
 * Threads  safe, each with a visit of its own. */
void work_visit(struct visit *v);

/* work_now - the time since work_begin(), in seconds. */
static inline double
work_now(void)
{
	return (double)(now_ns() - work.start) / 1e9;
}

/* work_threads - how many kernel threads this process has now. */
static inline int
work_threads(void)
{
	return status_of(getpid(), "Threads:");
}

/* work_end - stop the clock, print the result as one line.
 *
 * threads  the most that the caller has seen by itself; 0 if it did not look.
 * Returns  what main() should: 0 if every row came and was right, else 1. */
int work_end(const char *mode, int threads);

#endif
