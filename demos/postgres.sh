# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# postgres.sh - many connections to a private PostgreSQL server; see lib.sh.

. "$DEMOS/postgres_server.sh"
. "$DEMOS/visits.sh"
POSTGRES_HOME=$BUILD/postgresql

postgres_demo()
{
	local n

	n=$(quick 100 20)
	say ""
	say "${BOLD}PostgreSQL${PLAIN}: $n connections; in each," \
		"SELECT pg_sleep(0.05), then 100 rows."
	postgres_bin >/dev/null ||
		step "Unpacking PostgreSQL in build/" postgres_fetch || exit 1
	busy "Starting a private PostgreSQL server"
	postgres_start "$TMP/postgres" 2>"$TMP/log" || FAILED=1
	idle
	[ -n "$POSTGRES_PID" ] || {
		cat "$TMP/log" >&2
		die "no server, so no PostgreSQL demo"
	}
	export PGHOST=127.0.0.1 PGPORT=$POSTGRES_PORT PGUSER=$POSTGRES_USER \
		PGPASSWORD=$POSTGRES_PASSWORD PGDATABASE=postgres
	visits_all postgres_visits "$n" rows
	postgres_stop
}

# The server itself is unpacked, not installed: see postgres_server.sh.
postgres_missing()
{
	local package

	[ -e /usr/include/postgresql/libpq-fe.h ] ||
		[ -e /usr/include/libpq-fe.h ] || echo libpq-dev
	! postgres_bin >/dev/null || return 0
	if ! apt-cache show postgresql >/dev/null 2>&1; then
		echo tzdata     # to have the lists read; then we ask again
		return
	fi
	for package in $(postgres_libraries); do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" \
			2>/dev/null)" = installed ] || echo "$package"
	done
}
