# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# redis.sh - many connections to a private Redis server; see lib.sh.

. "$DEMOS/redis_server.sh"
. "$DEMOS/visits.sh"

redis_demo()
{
	local n

	n=$(quick 100 20)
	say ""
	say "${BOLD}Redis${PLAIN}: $n connections; in each, BLPOP that waits" \
		"50 ms, then 200 commands."
	busy "Starting a private Redis server"
	redis_start "$TMP/redis" 2>"$TMP/log" || FAILED=1
	idle
	[ -n "$REDIS_PID" ] || {
		cat "$TMP/log" >&2
		die "no server, so no Redis demo"
	}
	export REDIS_PORT
	visits_all redis_visits "$n" answers
	redis_stop
}

redis_missing()
{
	redis_server_missing
	[ -e /usr/include/hiredis/hiredis.h ] || echo libhiredis-dev
}
