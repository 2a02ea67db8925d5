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
. "$REAL/server.sh"
user=()
[ "$(id -u)" != 0 ] || user=(-u nobody)

answers()
{
	: 2>/dev/null <"/dev/tcp/127.0.0.1/$port"
}

serves()
{
	timeout -k 5 "$LIMIT" "$PYTHON" "$REAL/memcached_client.py" "$port" "$@"
}

for mode in bare 1 2 now; do
	port=$(free_port)
	check "$mode: it comes up" start_in "$mode" "$memcached" "${user[@]}" \
		-l 127.0.0.1 -p "$port" -U 0 -t 16 -m 64 || continue
	check "$mode: every answer is right" serves
	n=$(ps -o nlwp= "$server" | tr -d ' ')
	threads "$mode: $n kernel threads" "$n" 16
	check "$mode: it ends" ends TERM
	gone
done
finish
