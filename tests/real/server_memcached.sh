#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# server_memcached.sh - memcached, whose threads have an event loop each, and
# others that tidy up: a private one on loopback, asked by many clients at
# once, all of whose answers are checked; and its end.
. "$(dirname "$0")/lib.sh"

memcached=$(ls /usr/bin/memcached "$BUILD/servers/usr/bin/memcached" \
	2>/dev/null | head -n 1)
[ -n "$memcached" ] && "$memcached" -V >/dev/null 2>&1 || {
	echo "there is no memcached"
	exit 77
}
server=
at_exit='[ -z "$server" ] || kill -KILL "$server" 2>/dev/null'

answers()
{
	: 2>/dev/null <"/dev/tcp/127.0.0.1/$port"
}

start_in()
{
	local -a env=() user=()

	case $1 in
	bare) ;;
	now) env=("LD_PRELOAD=$LIB" COHOOK_START=now) ;;
	*) env=("LD_PRELOAD=$LIB" "COHOOK_WORKERS=$1") ;;
	esac
	[ -z "${REAL_BARE:-}" ] || env=()
	[ "$(id -u)" != 0 ] || user=(-u nobody)
	env "REAL_MARK_CHILD=$TMP" "${env[@]}" "$memcached" "${user[@]}" \
		-l 127.0.0.1 -p "$port" -U 0 -t 16 -m 64 >"$TMP/out" 2>&1 &
	server=$!
	until_true answers
}

serves()
{
	timeout -k 5 "$LIMIT" "$PYTHON" "$REAL/memcached_client.py" "$port" "$@"
}

ends()
{
	kill -TERM "$server"
	timeout 20 tail --pid="$server" -f /dev/null || return
	wait "$server" || return
	server=
}

for mode in bare 1 2 now; do
	port=$(free_port)
	check "$mode: it comes up" start_in "$mode" || continue
	check "$mode: every answer is right" serves
	n=$(ps -o nlwp= "$server" | tr -d ' ')
	if [ "$mode" != bare ] && [ -z "${REAL_BARE:-}" ]; then
		check "$mode: $n kernel threads" test "$n" -lt 12
	else
		check "$mode: $n kernel threads" test "$n" -ge 16
	fi
	check "$mode: it ends" ends
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null
	kill_marked
	server=
done
finish
