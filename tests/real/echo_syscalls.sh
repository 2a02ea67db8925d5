#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# echo_syscalls.sh - what an echo request costs on a warm connection, in
# system calls: two are the work, read and write; the waiting may add 0.2.  With
# two workers one may wait for events while the other runs: it meets them one
# by one, and may add as much again.
#
# Counted in the preloaded thread-per-connection server, for R rounds and for
# 2R; what starting, connecting and ending cost is in both, and falls out of
# the difference.
. "$(dirname "$0")/lib.sh"

ulimit -n 4096 2>/dev/null
for program in "$BUILD/demos/echo_server" "$BUILD/demos/echo_client"; do
	[ -x "$program" ] || {
		echo "there is no $program; build it first" >&2
		exit 1
	}
done
command -v strace >/dev/null || {
	skip 'system calls per request' 'there is no strace'
	finish
}
strace -o /dev/null true 2>/dev/null || {
	skip 'system calls per request' 'strace may not trace here'
	finish
}

at_exit='[ -z "$server" ] || kill -KILL "$server" 2>/dev/null; kill_marked'
server=

# calls MODE CONNECTIONS ROUNDS: sets total, and leaves the table in $TMP/calls.
calls()
{
	local port pid

	total=
	rm -f "$TMP/port" && mkfifo "$TMP/port"
	# -E, not env: env's own calls are not the server's.
	local -a preload=(-E "REAL_MARK_CHILD=$TMP")
	[ "$1" = bare ] || [ -n "${REAL_BARE:-}" ] ||
		preload+=(-E "LD_PRELOAD=$LIB")
	timeout -k 5 "$LIMIT" strace -f -c -U calls,name -o "$TMP/calls" \
		"${preload[@]}" "$BUILD/demos/echo_server" >"$TMP/port" &
	server=$!
	read -r -t 30 _ port <"$TMP/port" || return 1
	"$BUILD/demos/echo_client" -p "$port" -k "$2" -r "$3" || return 1
	# The server is the process of that port that strace has begun.
	pid=$(cat "/proc/$server/task/$server/children")
	pid=$(cat "/proc/${pid// /}/task/${pid// /}/children")
	kill -TERM "${pid%% *}" || return 1
	wait "$server" || return 1
	server=
	total=$(awk '$NF == "total" { print $1 }' "$TMP/calls")
	[ -n "$total" ]
}

cheap()
{
	local mode=$1 connections=$2 rounds=$3 once

	calls "$mode" "$connections" "$rounds" || return 1
	once=$total
	cp "$TMP/calls" "$TMP/calls.once"
	calls "$mode" "$connections" $((2 * rounds)) || return 1
	awk -v once="$once" -v twice="$total" -v most="$MOST" \
		-v n=$((connections * rounds)) 'BEGIN {
		cost = (twice - once) / n
		printf "%.3f calls a request, at most %s\n", cost, most
		exit !(cost >= 1.9 && cost <= most) }'
	local status=$?
	awk -v n=$((connections * rounds)) '
		# Threads that end while strace does leave stray lines.
		NF != 2 || $2 !~ /^[a-z]/ { next }
		NR == FNR { once[$2] = $1; next }
		$1 - once[$2] > n / 100 { print "  " $2, ($1 - once[$2]) / n }' \
		"$TMP/calls.once" "$TMP/calls"
	return "$status"
}

# Said aloud, passed or not: the figure is what the reader wants.
for run in "100 1 2.2" "1000 1 2.2" "1000 2 2.4"; do
	read -r connections workers MOST <<<"$run"
	export COHOOK_WORKERS=$workers
	name="an echo request, $connections connections, COHOOK_WORKERS=$workers"
	wanted "$name" || continue
	if cheap hooked "$connections" $((20000 / connections)) \
		>"$TMP/cost" 2>&1; then
		pass "$name: $(grep 'calls a request' "$TMP/cost")"
	else
		fail "$name"
		sed 's/^/       /' "$TMP/cost"
	fi
done
finish
