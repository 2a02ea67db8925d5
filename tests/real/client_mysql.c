/* SPDX-License-Identifier: MIT */
/* client_mysql.c - MySQL's client library against a private server. */
#include "crowd.h"

#include <mysql.h>

#define N 40

static const char *unix_socket; /* else TCP */
static const char *ca;          /* TLS, if set */

/* Ends the program if that did not work. */
#define DB(db, call) db_check(db, call, __LINE__, #call)

static void
db_check(MYSQL *db, int failed, int line, const char *what)
{
	if (!failed)
		return;
	fprintf(stderr, "%s:%d: %s: %s (%u)\n", __FILE__, line, what,
		mysql_error(db), mysql_errno(db));
	t_fail(__FILE__, line, what, errno);
}

static MYSQL *
client(void)
{
	MYSQL *db = mysql_init(NULL);

	CHECK(db != NULL);
	return db;
}

static bool
try_connect(MYSQL *db)
{
	return mysql_real_connect(db, unix_socket ? NULL : "127.0.0.1",
				  from_env("MYSQL_USER"), from_env("MYSQL_PWD"),
				  from_env("MYSQL_DB"),
				  (unsigned)atoi(from_env("MYSQL_TCP_PORT")),
				  unix_socket, CLIENT_MULTI_STATEMENTS) != NULL;
}

static MYSQL *
connected(void)
{
	MYSQL *db = client();

	if (ca != NULL) {
		my_bool yes = 1;

		mysql_ssl_set(db, NULL, NULL, ca, NULL, NULL);
		mysql_options(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
	DB(db, !try_connect(db));
	CHECK((mysql_get_ssl_cipher(db) != NULL) == (ca != NULL));
	return db;
}

static void
leave(MYSQL *db)
{
	mysql_close(db);
	mysql_thread_end();
}

static void
query(MYSQL *db, const char *sql)
{
	MYSQL_RES *res;

	DB(db, mysql_query(db, sql));
	res = mysql_store_result(db);
	DB(db, mysql_errno(db) != 0);
	mysql_free_result(res);
}

static long long
number(MYSQL *db, const char *sql)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	long long n;

	DB(db, mysql_query(db, sql));
	res = mysql_store_result(db);
	DB(db, res == NULL);
	row = mysql_fetch_row(res);
	CHECK(row != NULL && row[0] != NULL);
	n = atoll(row[0]);
	mysql_free_result(res);
	return n;
}

/* A thousand rows, each of which says whose it is. */
static void
check_rows(MYSQL *db, int i)
{
	char sql[200], want[40];
	MYSQL_RES *res;
	MYSQL_ROW row;
	int at = 0;

	snprintf(sql, sizeof sql,
		 "SELECT seq, %d, CONCAT(seq * seq, '-%d'), NULL "
		 "FROM seq_1_to_1000",
		 i, i);
	DB(db, mysql_query(db, sql));
	res = mysql_use_result(db);
	DB(db, res == NULL);
	while ((row = mysql_fetch_row(res)) != NULL) {
		at++;
		snprintf(want, sizeof want, "%d-%d", at * at, i);
		CHECK_INT(atoi(row[0]), at);
		CHECK_INT(atoi(row[1]), i);
		CHECK(strcmp(row[2], want) == 0);
		CHECK(row[3] == NULL);
	}
	DB(db, mysql_errno(db) != 0);
	CHECK_INT(at, 1000);
	mysql_free_result(res);
}

/* More than the socket takes at a time. */
static void
check_large(MYSQL *db, int i)
{
	const unsigned long size = 400000;
	char sql[100];
	MYSQL_RES *res;
	MYSQL_ROW row;
	unsigned long *len, k;

	snprintf(sql, sizeof sql, "SELECT REPEAT('%c', %lu)", 'a' + i % 26,
		 size);
	DB(db, mysql_query(db, sql));
	res = mysql_store_result(db);
	DB(db, res == NULL);
	row = mysql_fetch_row(res);
	len = mysql_fetch_lengths(res);
	CHECK(row != NULL && len[0] == size);
	for (k = 0; k < size; k++)
		if (row[0][k] != 'a' + i % 26)
			CHECK_INT(row[0][k], 'a' + i % 26);
	mysql_free_result(res);
}

/* A long parameter there, its length and its end back. */
static void
check_prepared(MYSQL *db, int i)
{
	static const char sql[] = "SELECT LENGTH(?), RIGHT(?, 4), ? + 1";
	const unsigned long size = 100000;
	char *text = malloc(size + 1), end[8] = "";
	MYSQL_STMT *st = mysql_stmt_init(db);
	MYSQL_BIND in[3] = { 0 }, out[3] = { 0 };
	unsigned long end_len = 0;
	int n = i, length = 0, next = 0, round;

	CHECK(text != NULL && st != NULL);
	memset(text, 'x', size);
	snprintf(text + size - 4, 5, "%04d", i);
	DB(db, mysql_stmt_prepare(st, sql, sizeof sql - 1));
	CHECK_INT(mysql_stmt_param_count(st), 3);
	in[0].buffer_type = in[1].buffer_type = MYSQL_TYPE_STRING;
	in[0].buffer = in[1].buffer = text;
	in[0].buffer_length = in[1].buffer_length = size;
	in[2].buffer_type = MYSQL_TYPE_LONG;
	in[2].buffer = &n;
	out[0].buffer_type = out[2].buffer_type = MYSQL_TYPE_LONG;
	out[0].buffer = &length;
	out[1].buffer_type = MYSQL_TYPE_STRING;
	out[1].buffer = end;
	out[1].buffer_length = sizeof end;
	out[1].length = &end_len;
	out[2].buffer = &next;
	DB(db, mysql_stmt_bind_param(st, in));
	DB(db, mysql_stmt_bind_result(st, out));
	for (round = 0; round < 3; round++, n++) {
		DB(db, mysql_stmt_execute(st));
		CHECK_INT(mysql_stmt_fetch(st), 0);
		CHECK_INT(length, size);
		CHECK_INT(end_len, 4);
		CHECK(memcmp(end, text + size - 4, 4) == 0);
		CHECK_INT(next, n + 1);
		CHECK_INT(mysql_stmt_fetch(st), MYSQL_NO_DATA);
	}
	CHECK_INT(mysql_stmt_close(st), 0);
	free(text);
}

static void
visit(int i)
{
	MYSQL *db = connected();

	check_rows(db, i);
	check_large(db, i);
	check_prepared(db, i);
	check_rows(db, i);
	leave(db);
}

static void
begin(void)
{
	CHECK_INT(mysql_library_init(0, NULL, NULL), 0);
}

TEST(tcp)
{
	begin();
	crowd(N, visit, NULL);
}

TEST(unix_domain)
{
	unix_socket = from_env("MYSQL_UNIX_PORT");
	begin();
	crowd(N, visit, NULL);
}

TEST(tls)
{
	ca = from_env("MYSQL_CA");
	begin();
	crowd(N, visit, NULL);
}

/* --- waits, and what ends them --- */

static unsigned long ids[N];

/* Not SLEEP(): the server wakes a killed one by luck, or 2 s later. */
#define WAIT "SELECT GET_LOCK('crowd', 100)"

/* Wait until n of those connections wait in the server. */
static void
all_wait(MYSQL *db, int n)
{
	while (number(db, "SELECT COUNT(*) FROM information_schema.processlist"
			  " WHERE state = 'User lock'") != n)
		crowd_rest();
}

/* Wait, not to get it: 0 where the server answers nevertheless. */
static unsigned
wait_in_vain(MYSQL *db)
{
	MYSQL_RES *res;
	MYSQL_ROW row;

	if (mysql_query(db, WAIT) != 0)
		return mysql_errno(db);
	res = mysql_store_result(db);
	if (res == NULL)
		return mysql_errno(db);
	row = mysql_fetch_row(res);
	CHECK(row != NULL && row[0] == NULL);
	mysql_free_result(res);
	return 0;
}

static void
wait_until_killed(int i)
{
	MYSQL *db = connected();
	unsigned e;

	ids[i] = mysql_thread_id(db);
	e = wait_in_vain(db);
	if (i % 2 == 0) {
		CHECK(e == 0 || e == 1317);
		check_rows(db, i);
	} else {
		CHECK(e == 2013 || e == 1927);
	}
	leave(db);
}

static void
kill_all(int n)
{
	MYSQL *db = connected();
	char sql[64];
	int i;

	all_wait(db, n);
	crowd_count(n);
	for (i = 0; i < n; i++) {
		snprintf(sql, sizeof sql, "KILL %s %lu",
			 i % 2 ? "CONNECTION" : "QUERY", ids[i]);
		query(db, sql);
	}
	leave(db);
}

TEST(waits_overlap_and_are_killed)
{
	MYSQL *holder;

	begin();
	holder = connected();
	CHECK_INT(number(holder, WAIT), 1);
	crowd(N, wait_until_killed, kill_all);
	leave(holder);
}

static void
sleep_too_long(int i)
{
	unsigned timeout = 1;
	int64_t since;
	MYSQL *db = client();

	(void)i;
	mysql_options(db, MYSQL_OPT_READ_TIMEOUT, &timeout);
	DB(db, !try_connect(db));
	since = t_now();
	CHECK(mysql_query(db, "SELECT SLEEP(100)") != 0);
	CHECK_INT(mysql_errno(db), 2013);
	took(since, 1);
	leave(db);
}

static int silent_port;

static void
connect_too_long(int i)
{
	unsigned timeout = 1;
	int64_t since = t_now();
	MYSQL *db = client();

	(void)i;
	mysql_options(db, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
	CHECK(mysql_real_connect(db, "127.0.0.1", "nobody", "", NULL,
				 (unsigned)silent_port, NULL, 0) == NULL);
	CHECK_INT(mysql_errno(db), 2013);
	took(since, 1);
	leave(db);
}

static void
wait_too_long(int i)
{
	if (i % 2)
		connect_too_long(i);
	else
		sleep_too_long(i);
}

TEST(timeouts_of_read_and_connect)
{
	int s = silent_server(&silent_port);

	begin();
	crowd(N, wait_too_long, NULL);
	close(s);
}

/* --- locks of the server's --- */

static void
count_up(int i)
{
	MYSQL *db = connected();

	(void)i;
	query(db, "BEGIN");
	query(db, "UPDATE counted SET n = n + 1");
	query(db, "SELECT SLEEP(0.005)");
	query(db, "COMMIT");
	leave(db);
}

TEST(row_locks)
{
	MYSQL *db;

	begin();
	db = connected();
	query(db, "CREATE OR REPLACE TABLE counted (n INT) ENGINE=InnoDB;");
	query(db, "INSERT INTO counted VALUES (0)");
	crowd(N, count_up, NULL);
	CHECK_INT(number(db, "SELECT n FROM counted"), N);
	leave(db);
}

/* --- a server that goes, and comes back --- */

static void
wait_through_restart(int i)
{
	MYSQL *db = connected();
	unsigned e;

	check_rows(db, i);
	e = wait_in_vain(db);
	CHECK(e == 2013 || e == 1927 || e == 1053 || e == 1317);
	mysql_close(db);

	/* Until it is there again. */
	for (;;) {
		db = client();
		if (try_connect(db))
			break;
		CHECK(mysql_errno(db) == 2002 || mysql_errno(db) == 2003 ||
		      mysql_errno(db) == 2013 || mysql_errno(db) == 1053);
		mysql_close(db);
		crowd_rest();
	}
	check_rows(db, i);
	leave(db);
}

static void
ask_for_restart(int n)
{
	MYSQL *db = connected();
	FILE *ask;

	all_wait(db, n);
	crowd_count(n);
	leave(db);
	ask = fopen(from_env("RESTART"), "we");
	CHECK(ask != NULL);
	CHECK(fputs("restart\n", ask) >= 0);
	CHECK_INT(fclose(ask), 0);
}

TEST(restart)
{
	MYSQL *holder;

	from_env("RESTART");
	begin();
	holder = connected();
	CHECK_INT(number(holder, WAIT), 1);
	crowd(N, wait_through_restart, ask_for_restart);
	leave(holder);
}
