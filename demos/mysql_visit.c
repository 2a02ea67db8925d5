/* SPDX-License-Identifier: MIT */
/* mysql_visit.c - what each connection of the MySQL demo does. */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>

#include "mysql_rows.h"
#include "mysql_work.h"

static void
look(struct visit *v)
{
	int n = work_threads();

	if (n > v->threads)
		v->threads = n;
}

static int
pause_a_little(MYSQL *db)
{
	char sql[64];
	MYSQL_RES *res;

	snprintf(sql, sizeof sql, "SELECT SLEEP(%g)", work.pause_s);
	if (mysql_query(db, sql) != 0 || !(res = mysql_store_result(db)))
		return -1;
	mysql_free_result(res);
	return 0;
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
		 v->number, v->number, rows_wanted);
	if (mysql_query(db, sql) != 0 || !(res = mysql_use_result(db)))
		return -1;
	while ((row = mysql_fetch_row(res))) {
		if (at < rows_wanted && rows_right(v->number, at, row)) {
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

void
work_visit(struct visit *v)
{
	MYSQL *db = mysql_init(NULL);
	int ok;

	v->began = work_now();
	ok = db &&
	     mysql_real_connect(db, work.host, work.user, getenv("MYSQL_PWD"),
				work.database, work.port, NULL, 0);
	v->connected = work_now();
	look(v);
	ok = ok && pause_a_little(db) == 0;
	v->slept = work_now();
	look(v);
	ok = ok && check_rows(v, db) == 0;
	v->ended = work_now();
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
