/* SPDX-License-Identifier: MIT */
/* mysql_work.c - what each connection of the MySQL demo does. */
#include <errno.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mysql_work.h"

#define COLUMNS 4 /* number, symbol, name, weight */
#define ROWS_MAX 1000

static const char *host = "127.0.0.1", *user, *database, *times_path;
static unsigned port = 3306;
static double pause_s = 0.05;
static char *expected[ROWS_MAX][COLUMNS];
static int n_expected;
static struct work work = { .n = 100 };
static struct timespec start;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)(t.tv_sec - start.tv_sec) +
	       (double)(t.tv_nsec - start.tv_nsec) / 1e9;
}

/* A number from /proc/self/status: "Threads:", "VmHWM:" (KiB). */
static int
status(const char *key)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	int n = 0;

	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0)
			n = atoi(line + strlen(key));
	if (f)
		fclose(f);
	return n;
}

int
work_threads(void)
{
	return status("Threads:");
}

static void
look(struct visit *v)
{
	int n = work_threads();

	if (n > v->threads)
		v->threads = n;
}

/* row is the one at place `at' of the order that connection v asked for. */
static int
right(const struct visit *v, int at, MYSQL_ROW row)
{
	int i = ((at - v->number) % n_expected + n_expected) % n_expected;
	char **want = expected[(i + n_expected - 1) % n_expected];

	if (!row[0] || atoi(row[0]) != v->number)
		return 0;
	for (int c = 0; c < COLUMNS; c++) {
		const char *got = row[c + 1];

		if (!got || strcmp(want[c], "\\N") == 0) {
			if (got || strcmp(want[c], "\\N") != 0)
				return 0;
		} else if (strcmp(got, want[c]) != 0) {
			return 0;
		}
	}
	return 1;
}

static int
check_rows(struct visit *v, MYSQL *db)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	char sql[200];
	int at = 0;

	snprintf(sql, sizeof sql,
		 "SELECT %d, number, symbol, name, weight FROM elements "
		 "ORDER BY (number + %d) %% %d",
		 v->number, v->number, n_expected);
	if (mysql_query(db, sql) != 0 || !(res = mysql_use_result(db)))
		return -1;
	while ((row = mysql_fetch_row(res))) {
		if (at < n_expected && right(v, at, row)) {
			v->rows++;
		} else {
			v->errors++;
			fprintf(stderr, "connection %d: row %d is wrong\n",
				v->number, at);
		}
		at++;
	}
	mysql_free_result(res);
	return mysql_errno(db) ? -1 : 0;
}

static int
pause_a_little(MYSQL *db)
{
	char sql[64];
	MYSQL_RES *res;

	snprintf(sql, sizeof sql, "SELECT SLEEP(%g)", pause_s);
	if (mysql_query(db, sql) != 0 || !(res = mysql_store_result(db)))
		return -1;
	mysql_free_result(res);
	return 0;
}

void
work_visit(struct visit *v)
{
	MYSQL *db = mysql_init(NULL);
	int ok;

	v->began = now();
	ok = db && mysql_real_connect(db, host, user, getenv("MYSQL_PWD"),
				      database, port, NULL, 0);
	v->connected = now();
	look(v);
	ok = ok && pause_a_little(db) == 0;
	v->slept = now();
	look(v);
	ok = ok && check_rows(v, db) == 0;
	v->ended = now();
	if (!ok) {
		v->errors++;
		fprintf(stderr, "connection %d: %s\n", v->number,
			db ? mysql_error(db) : "out of memory");
	}
	if (db)
		mysql_close(db);
	mysql_thread_end();
	v->done = 1;
}

static void
usage(const char *name)
{
	fprintf(stderr,
		"usage: %s MODE -u USER -d DATABASE -r ROWS_FILE\n"
		"\t[-n CONNECTIONS] [-h HOST] [-P PORT] [-s PAUSE_SECONDS]\n"
		"\t[-t TIMES_FILE]\n"
		"The password is taken from $MYSQL_PWD.\n",
		name);
	exit(2);
}

static void
fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

/* Tab-separated, like elements.tsv; lines that begin with # are comments. */
static void
read_rows(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (!f)
		fail(path);
	while (n_expected < ROWS_MAX && fgets(line, sizeof line, f)) {
		char *rest = line, **row = expected[n_expected];

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		for (int c = 0; c < COLUMNS; c++) {
			char *field = strsep(&rest, "\t");

			row[c] = strdup(field ? field : "");
			if (!row[c])
				fail(path);
		}
		if (atoi(row[0]) != ++n_expected) {
			fprintf(stderr, "%s: rows are not numbered 1, 2, 3\n",
				path);
			exit(2);
		}
	}
	fclose(f);
}

struct work *
work_begin(int argc, char **argv)
{
	const char *rows = NULL;
	int c;

	optind = 2;
	while ((c = getopt(argc, argv, "n:h:P:u:d:r:s:t:")) != -1) {
		switch (c) {
		case 'n':
			work.n = atoi(optarg);
			break;
		case 'h':
			host = optarg;
			break;
		case 'P':
			port = (unsigned)atoi(optarg);
			break;
		case 'u':
			user = optarg;
			break;
		case 'd':
			database = optarg;
			break;
		case 'r':
			rows = optarg;
			break;
		case 's':
			pause_s = atof(optarg);
			break;
		case 't':
			times_path = optarg;
			break;
		default:
			usage(argv[0]);
		}
	}
	if (!user || !database || !rows || work.n < 1 || optind != argc)
		usage(argv[0]);
	read_rows(rows);
	work.visits = calloc((size_t)work.n, sizeof *work.visits);
	if (!work.visits || n_expected == 0)
		fail(rows);
	for (int i = 0; i < work.n; i++)
		work.visits[i].number = i;
	/* Before any thread: mysql_init() would do it, but not safely. */
	if (mysql_library_init(0, NULL, NULL) != 0)
		fail("mysql_library_init");
	clock_gettime(CLOCK_MONOTONIC, &start);
	return &work;
}

/* A line for each visit: its number and four times in milliseconds. */
static void
write_times(void)
{
	FILE *f = fopen(times_path, "we");

	if (!f)
		fail(times_path);
	for (int i = 0; i < work.n; i++) {
		struct visit *v = &work.visits[i];

		fprintf(f, "%d %.3f %.3f %.3f %.3f\n", v->number,
			v->began * 1e3, v->connected * 1e3, v->slept * 1e3,
			v->ended * 1e3);
	}
	if (fclose(f) != 0)
		fail(times_path);
}

int
work_end(const char *mode, int threads)
{
	double seconds = now();
	int rows = 0, errors = 0;

	for (int i = 0; i < work.n; i++) {
		struct visit *v = &work.visits[i];

		rows += v->rows;
		errors += v->errors + !v->done;
		if (v->threads > threads)
			threads = v->threads;
	}
	if (times_path)
		write_times();
	printf("mode=%s seconds=%.4f threads=%d peak_kib=%d rows=%d "
	       "expected=%d errors=%d\n",
	       mode, seconds, threads, status("VmHWM:"), rows,
	       work.n * n_expected, errors);
	free(work.visits);
	for (int i = 0; i < n_expected; i++)
		for (int c = 0; c < COLUMNS; c++)
			free(expected[i][c]);
	mysql_library_end();
	return errors || rows != work.n * n_expected || fflush(stdout);
}
