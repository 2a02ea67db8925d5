/* SPDX-License-Identifier: MIT */
/* client_pq.c - libpq, its blocking calls, against a private PostgreSQL. */
#include "crowd.h"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/select.h>

#define N 40

static const char *host = "127.0.0.1";
static const char *more = ""; /* of the connection's parameters */

static PGconn *
try_connect(const char *parameters)
{
	char info[600];
	PGconn *db;

	snprintf(info, sizeof info,
		 "host=%s port=%s user=%s password=%s dbname=postgres "
		 "gssencmode=disable application_name=t%d %s",
		 host, from_env("PG_PORT"), from_env("PG_USER"),
		 from_env("PG_PASSWORD"), (int)getpid(), parameters);
	db = PQconnectdb(info);
	CHECK(db != NULL);
	return db;
}

static PGconn *
connected(void)
{
	PGconn *db = try_connect(more);

	if (PQstatus(db) != CONNECTION_OK)
		fprintf(stderr, "%s", PQerrorMessage(db));
	CHECK(PQstatus(db) == CONNECTION_OK);
	return db;
}

/* A result that must be of that kind. */
static PGresult *
is(PGconn *db, PGresult *r, ExecStatusType want)
{
	if (PQresultStatus(r) != want)
		fprintf(stderr, "%s: %s", PQresStatus(PQresultStatus(r)),
			PQerrorMessage(db));
	CHECK_INT(PQresultStatus(r), want);
	return r;
}

static PGresult *
rows(PGconn *db, const char *sql)
{
	return is(db, PQexec(db, sql), PGRES_TUPLES_OK);
}

static void
run(PGconn *db, const char *sql)
{
	PQclear(is(db, PQexec(db, sql), PGRES_COMMAND_OK));
}

static long long
number(PGconn *db, const char *sql)
{
	PGresult *r = rows(db, sql);
	long long n;

	CHECK_INT(PQntuples(r), 1);
	n = atoll(PQgetvalue(r, 0, 0));
	PQclear(r);
	return n;
}

/* A thousand rows, each of which says whose it is; all at once, or each as it
 * comes. */
static void
check_rows(PGconn *db, int i, bool single)
{
	char me[12], want[40];
	const char *params[] = { me };
	PGresult *r;
	int at = 0, k;

	snprintf(me, sizeof me, "%d", i);
	CHECK_INT(PQsendQueryParams(db,
				    "SELECT s, $1::int, "
				    "s * s || '-' || $1::int, NULL "
				    "FROM generate_series(1, 1000) s",
				    1, NULL, params, NULL, NULL, 0),
		  1);
	if (single)
		CHECK_INT(PQsetSingleRowMode(db), 1);
	while ((r = PQgetResult(db)) != NULL) {
		if (PQresultStatus(r) != PGRES_SINGLE_TUPLE)
			is(db, r, PGRES_TUPLES_OK);
		for (k = 0; k < PQntuples(r); k++) {
			at++;
			snprintf(want, sizeof want, "%d-%d", at * at, i);
			CHECK_INT(atoi(PQgetvalue(r, k, 0)), at);
			CHECK_INT(atoi(PQgetvalue(r, k, 1)), i);
			CHECK(strcmp(PQgetvalue(r, k, 2), want) == 0);
			CHECK(PQgetisnull(r, k, 3));
		}
		PQclear(r);
	}
	CHECK_INT(at, 1000);
}

/* Prepared, binary, and more than the socket takes at a time. */
static void
check_prepared(PGconn *db, int i)
{
	const int size = 300000;
	unsigned char *bytes = malloc((size_t)size), *got;
	const char *params[1] = { (char *)bytes };
	int lengths[1] = { size }, formats[1] = { 1 }, k;
	PGresult *r;

	CHECK(bytes != NULL);
	for (k = 0; k < size; k++)
		bytes[k] = (unsigned char)(k * 7 + k / 251 + i);
	PQclear(is(
		db,
		PQprepare(db, "echo", "SELECT $1::bytea || '\\x00ff'", 1, NULL),
		PGRES_COMMAND_OK));
	r = is(db, PQexecPrepared(db, "echo", 1, params, lengths, formats, 1),
	       PGRES_TUPLES_OK);
	CHECK_INT(PQgetlength(r, 0, 0), size + 2);
	got = (unsigned char *)PQgetvalue(r, 0, 0);
	CHECK(memcmp(got, bytes, (size_t)size) == 0);
	CHECK(got[size] == 0 && got[size + 1] == 0xff);
	PQclear(r);
	free(bytes);
}

#define COPIED 5000

/* Rows in by COPY, and out again. */
static void
check_copy(PGconn *db, int i)
{
	char line[80], *out;
	int k, n, at = 0;

	run(db, "CREATE TEMPORARY TABLE copied (k int, who int, t text)");
	PQclear(is(db, PQexec(db, "COPY copied FROM STDIN"), PGRES_COPY_IN));
	for (k = 0; k < COPIED; k++) {
		n = snprintf(line, sizeof line, "%d\t%d\trow %d of %d\n", k, i,
			     k, i);
		CHECK_INT(PQputCopyData(db, line, n), 1);
	}
	CHECK_INT(PQputCopyEnd(db, NULL), 1);
	PQclear(is(db, PQgetResult(db), PGRES_COMMAND_OK));
	CHECK(PQgetResult(db) == NULL);
	CHECK_INT(number(db, "SELECT sum(k) FROM copied"),
		  COPIED * (COPIED - 1) / 2);

	PQclear(is(db, PQexec(db, "COPY copied TO STDOUT"), PGRES_COPY_OUT));
	while ((n = PQgetCopyData(db, &out, 0)) > 0) {
		snprintf(line, sizeof line, "%d\t%d\trow %d of %d\n", at, i, at,
			 i);
		CHECK_INT(n, strlen(line));
		CHECK(memcmp(out, line, (size_t)n) == 0);
		PQfreemem(out);
		at++;
	}
	CHECK_INT(n, -1);
	CHECK_INT(at, COPIED);
	PQclear(is(db, PQgetResult(db), PGRES_COMMAND_OK));
	CHECK(PQgetResult(db) == NULL);
}

static void
visit(int i)
{
	PGconn *db = connected();

	check_rows(db, i, false);
	check_prepared(db, i);
	check_copy(db, i);
	check_rows(db, i, true);
	PQfinish(db);
}

TEST(tcp)
{
	more = "sslmode=disable";
	crowd(N, visit, NULL);
}

TEST(unix_domain)
{
	host = from_env("PG_SOCKET_DIR");
	crowd(N, visit, NULL);
}

static void
visit_by_tls(int i)
{
	PGconn *db = connected();

	CHECK(PQsslInUse(db));
	check_rows(db, i, false);
	check_copy(db, i);
	PQfinish(db);
}

TEST(tls)
{
	static char tls[300];

	snprintf(tls, sizeof tls, "sslmode=verify-full sslrootcert=%s",
		 from_env("PG_CA"));
	more = tls;
	crowd(N, visit_by_tls, NULL);
}

/* --- LISTEN and NOTIFY --- */

static bool
wait_readable(int fd, bool by_poll)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	fd_set set;

	if (by_poll)
		return poll(&p, 1, -1) == 1 && p.revents == POLLIN;
	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, NULL) == 1 &&
	       FD_ISSET(fd, &set);
}

static void
listen_for_notes(int i)
{
	PGconn *db = connected();
	PGnotify *note;
	char want[20];
	int k = 0;

	run(db, "LISTEN notes");
	while (k < 20) {
		CHECK(wait_readable(PQsocket(db), i % 2 == 0));
		CHECK_INT(PQconsumeInput(db), 1);
		while ((note = PQnotifies(db)) != NULL) {
			snprintf(want, sizeof want, "note %d", k++);
			CHECK(strcmp(note->extra, want) == 0);
			CHECK(strcmp(note->relname, "notes") == 0);
			PQfreemem(note);
		}
	}
	run(db, "UNLISTEN notes");
	PQfinish(db);
}

/* Until the server says so of n connections, all of this process. */
static void
until_all(PGconn *db, int n, const char *what)
{
	char sql[200];

	snprintf(sql, sizeof sql,
		 "SELECT count(*) FROM pg_stat_activity "
		 "WHERE application_name = 't%d' AND %s",
		 (int)getpid(), what);
	while (number(db, sql) != n)
		crowd_rest();
	crowd_count(n);
}

static void
write_notes(int n)
{
	PGconn *db = connected();
	char sql[40];
	int k;

	until_all(db, n, "query = 'LISTEN notes' AND state = 'idle'");
	for (k = 0; k < 20; k++) {
		snprintf(sql, sizeof sql, "NOTIFY notes, 'note %d'", k);
		run(db, sql);
	}
	PQfinish(db);
}

TEST(notes)
{
	more = "sslmode=disable";
	crowd(N, listen_for_notes, write_notes);
}

/* --- waits, and what ends them --- */

static PGconn *volatile sleepers[N];
static volatile bool cancelled[N];

/* Half are ended by PQcancel() from another thread, the others with their
 * connections. */
static void
sleep_until_ended(int i)
{
	PGconn *db = connected();
	PGresult *r;

	sleepers[i] = db;
	r = PQexec(db, "SELECT pg_sleep(100)");
	CHECK_INT(PQresultStatus(r), PGRES_FATAL_ERROR);
	/* libpq's own word comes after the server's, hence no code there. */
	CHECK(strstr(PQerrorMessage(db),
		     i % 2 ? "terminating connection due to administrator" :
			     "canceling statement due to user request") !=
	      NULL);
	PQclear(r);
	if (i % 2) {
		CHECK(PQstatus(db) == CONNECTION_BAD);
	} else {
		/* The server sends the signal to the process, then to its
		 * group: the second may hit what comes next. */
		while (!cancelled[i])
			crowd_rest();
		check_rows(db, i, false);
	}
	PQfinish(db);
}

static void
end_sleepers(int n)
{
	PGconn *db = connected();
	char text[256];
	PGcancel *cancel;
	int i;

	until_all(db, n, "wait_event = 'PgSleep'");
	for (i = 0; i < n; i++) {
		if (i % 2) {
			snprintf(text, sizeof text,
				 "SELECT pg_terminate_backend(%d)",
				 PQbackendPID(sleepers[i]));
			PQclear(rows(db, text));
			continue;
		}
		cancel = PQgetCancel(sleepers[i]);
		CHECK(cancel != NULL);
		CHECK_INT(PQcancel(cancel, text, sizeof text), 1);
		PQfreeCancel(cancel);
		cancelled[i] = true;
	}
	PQfinish(db);
}

TEST(waits_overlap_and_are_cancelled)
{
	more = "sslmode=disable";
	crowd(N, sleep_until_ended, end_sleepers);
}

static int silent_port;

static void
too_long(int i)
{
	int64_t since;
	char info[100];
	PGconn *db;
	PGresult *r;

	if (i % 2) {
		db = connected();
		run(db, "SET statement_timeout = '300ms'");
		since = t_now();
		r = PQexec(db, "SELECT pg_sleep(100)");
		took(since, 0.3);
		CHECK(strcmp(PQresultErrorField(r, PG_DIAG_SQLSTATE),
			     "57014") == 0);
		PQclear(r);
		check_rows(db, i, true);
	} else {
		/* Two seconds are the least that libpq knows. */
		since = t_now();
		snprintf(info, sizeof info, "port=%d connect_timeout=2",
			 silent_port);
		db = try_connect(info);
		CHECK(PQstatus(db) == CONNECTION_BAD);
		CHECK(strstr(PQerrorMessage(db), "timeout expired") != NULL);
		/* By whole seconds of time(), so that one may be cut short. */
		took(since, 1);
	}
	PQfinish(db);
}

TEST(timeouts)
{
	int s = silent_server(&silent_port);

	more = "sslmode=disable";
	crowd(N, too_long, NULL);
	close(s);
}

/* --- locks of the server's --- */

static void
count_up(int i)
{
	PGconn *db = connected();

	(void)i;
	run(db, "BEGIN; UPDATE counted SET n = n + 1");
	PQclear(rows(db, "SELECT pg_sleep(0.002)"));
	run(db, "COMMIT");
	PQfinish(db);
}

TEST(row_locks)
{
	PGconn *db;

	more = "sslmode=disable";
	db = connected();
	run(db, "DROP TABLE IF EXISTS counted; CREATE TABLE counted (n int); "
		"INSERT INTO counted VALUES (0)");
	crowd(N, count_up, NULL);
	CHECK_INT(number(db, "SELECT n FROM counted"), N);
	PQfinish(db);
}
