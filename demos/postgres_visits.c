/* SPDX-License-Identifier: MIT */
/* postgres_visits.c - an ordinary program: each visit has a query that takes
 * 50 ms, and one whose rows are checked.
 *
 *     postgres_visits serial|threads N       with libpq's PGHOST, PGUSER, ...
 */
#include <libpq-fe.h>

#include "visits.h"

#define ROWS 100

static int
visit_by(PGconn *db, int me)
{
	char number[20], want[60];
	const char *params[] = { number };
	PGresult *r;
	int right = 0, k;

	if (PQstatus(db) != CONNECTION_OK)
		return -1;
	r = PQexec(db, "SELECT pg_sleep(0.05)");
	k = PQntuples(r);
	PQclear(r);
	if (k != 1)
		return -1;

	snprintf(number, sizeof number, "%d", me);
	r = PQexecParams(db,
			 "SELECT k, 'row ' || k || ' of ' || $1::int "
			 "FROM generate_series(1, 100) k",
			 1, NULL, params, NULL, NULL, 0);
	for (k = 0; k < PQntuples(r); k++) {
		snprintf(want, sizeof want, "row %d of %d", k + 1, me);
		right += atoi(PQgetvalue(r, k, 0)) == k + 1 &&
			 strcmp(PQgetvalue(r, k, 1), want) == 0;
	}
	PQclear(r);
	return right ? right : -1;
}

static int
visit(int me)
{
	PGconn *db = PQconnectdb("gssencmode=disable sslmode=disable");
	int right = visit_by(db, me);

	if (right < 0)
		fprintf(stderr, "%s", PQerrorMessage(db));
	PQfinish(db);
	return right;
}

int
main(int argc, char **argv)
{
	return visits(argc, argv, visit, ROWS);
}
