/* SPDX-License-Identifier: MIT */
/* mysql_select.c - a thread for each connection to a MySQL server, and one
 * query after the other in it.
 *
 *     mysql_select PORT USER DATABASE CONNECTIONS MILLISECONDS [SQL]
 *
 * The password is $MYSQL_PWD.  Each answer must be one row that holds "1" or,
 * as for SELECT SLEEP(), "0".  cpu_us= is ours, a query; not the server's.
 */
#include <mysql.h>

#include "bench.h"

struct visitor {
	struct bench_thread thread;
	long queries;
};

static const char *user, *database, *sql = "SELECT 1";
static unsigned port;
static pthread_barrier_t connected, asked;
static _Atomic int over;

static void
ask(MYSQL *db)
{
	MYSQL_RES *res;
	MYSQL_ROW row;

	if (mysql_query(db, sql) != 0 || !(res = mysql_store_result(db))) {
		fprintf(stderr, "%s: %s\n", sql, mysql_error(db));
		exit(1);
	}
	row = mysql_fetch_row(res);
	bench_check(row && row[0] &&
			    (!strcmp(row[0], "1") || !strcmp(row[0], "0")),
		    "the answer is right");
	bench_check(!mysql_fetch_row(res), "there is but one row");
	mysql_free_result(res);
}

static void
visit(void *arg)
{
	struct visitor *me = arg;
	MYSQL *db = mysql_init(NULL);

	if (!db ||
	    !mysql_real_connect(db, "127.0.0.1", user, getenv("MYSQL_PWD"),
				database, port, NULL, 0)) {
		fprintf(stderr, "connecting: %s\n",
			db ? mysql_error(db) : "out of memory");
		exit(1);
	}
	ask(db);
	pthread_barrier_wait(&connected);
	while (!over) {
		ask(db);
		me->queries++;
	}
	pthread_barrier_wait(&asked);
	mysql_close(db);
	mysql_thread_end();
}

int
main(int argc, char **argv)
{
	struct visitor *visitors;
	struct timespec t;
	long n, ms, queries = 0;
	int64_t start, took, cpu;

	if (argc != 6 && argc != 7)
		return 2;
	port = (unsigned)bench_number(argv[1]);
	user = argv[2];
	database = argv[3];
	n = bench_number(argv[4]);
	ms = bench_number(argv[5]);
	if (argc == 7)
		sql = argv[6];
	visitors = calloc((size_t)n, sizeof *visitors);
	if (!visitors || mysql_library_init(0, NULL, NULL) != 0)
		bench_fail("setting up");
	pthread_barrier_init(&connected, NULL, (unsigned)n + 1);
	pthread_barrier_init(&asked, NULL, (unsigned)n + 1);
	for (long i = 0; i < n; i++)
		bench_must_start(&visitors[i].thread, visit, &visitors[i]);

	pthread_barrier_wait(&connected);
	start = bench_now();
	cpu = bench_cpu();
	t.tv_sec = ms / 1000;
	t.tv_nsec = ms % 1000 * 1000000;
	while (nanosleep(&t, &t) != 0)
		;
	over = 1;
	pthread_barrier_wait(&asked);
	took = bench_now() - start;
	cpu = bench_cpu() - cpu;

	for (long i = 0; i < n; i++) {
		bench_join(&visitors[i].thread);
		queries += visitors[i].queries;
	}
	printf("queries=%ld per_second=%.1f cpu_us=%.2f\n", queries,
	       (double)queries / ((double)took / 1e9),
	       (double)cpu / 1e3 / (double)(queries ? queries : 1));
	mysql_library_end();
	free(visitors);
	return 0;
}
