#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# wait_syscalls.sh - what waiting for a byte costs in system calls, by the way
# that it is waited for (tests/waits.c).  poll(2) of one descriptor must cost
# no more than a read(2) that waits, for that is how database clients wait.
#
# Counted for R rounds and for 2R; what starting and ending cost falls out of
# the difference.  A byte is a round of one of the two threads.  With one
# worker: two would count how often they meet.
. "$(dirname "$0")/lib.sh"

export COHOOK_WORKERS=1
program=$BUILD/tests/waits
[ -x "$program" ] || {
	echo "there is no $program; build it first" >&2
	exit 1
}
command -v strace >/dev/null || {
	skip 'system calls a wait' 'there is no strace'
	finish
}
strace -o /dev/null true 2>/dev/null || {
	skip 'system calls a wait' 'strace may not trace here'
	finish
}

# counts MODE WAY ROUNDS: sets total, leaves the table in $TMP/calls.
counts()
{
	local -a preload=(-E "REAL_MARK_CHILD=$TMP")

	[ "$1" = bare ] || [ -n "${REAL_BARE:-}" ] ||
		preload+=(-E "LD_PRELOAD=$LIB")
	timeout -k 5 "$LIMIT" strace -f -c -U calls,name -o "$TMP/calls" \
		"${preload[@]}" "$program" "$2" "$3" || return 1
	total=$(awk '$NF == "total" { print $1 }' "$TMP/calls")
	[ -n "$total" ]
}

# cost MODE WAY: sets cost, in thousandths of a call for each byte; and leaves
# the calls that make it up in $TMP/made.
cost()
{
	local n=4000 once

	counts "$1" "$2" "$n" || return 1
	once=$total
	cp "$TMP/calls" "$TMP/calls.once"
	counts "$1" "$2" $((2 * n)) || return 1
	cost=$(((total - once) * 1000 / (2 * n)))
	awk -v n=$((2 * n)) '
		NF != 2 || $2 !~ /^[a-z]/ { next }
		NR == FNR { once[$2] = $1; next }
		$1 - once[$2] > n / 100 {
			printf "  %s %.3f\n", $2, ($1 - once[$2]) / n
		}' "$TMP/calls.once" "$TMP/calls" >"$TMP/made"
}

# at_most WAY CALLS: where a read(2) that waits costs so much, send(2) and all.
# CALLS is what a program of its kind may make more of them: its own.  The rest is
# the monitor's, on a busy machine.
at_most()
{
	local way=$1 more=$2 name="a wait by $1"

	wanted "$name" || return 0
	if ! cost hooked "$way" >"$TMP/check" 2>&1; then
		fail "$name"
		sed 's/^/       /' "$TMP/check"
	elif [ "$cost" -le $((base + more * 1000 + 300)) ]; then
		pass "$name: $cost/1000 calls a byte"
	else
		fail "$name: $cost/1000 calls a byte, by read $base/1000"
		cat "$TMP/made"
	fi
}

cost hooked read >"$TMP/check" 2>&1 || {
	fail 'a wait by read'
	cat "$TMP/check"
	finish
}
# send, read, and the poller's share: both threads wait at times.
base=$cost
echo "a wait by read: $base/1000 calls a byte"
cat "$TMP/made"
[ "$base" -le 3200 ] && pass 'a wait by read' || fail 'a wait by read'
# poll takes read's place, and recv comes after it.
at_most poll 1
# recv, poll, recv.
at_most again 2
# Of two, none is known to be silent: it is asked before the wait and after.
at_most two 2
# The set is asked before the wait and after, then comes recv.
at_most epoll 2
# Of fifty who wait one is woken, and then one more, who finds nothing.
at_most crowd 2
# With a socket, its connection and two ends.
at_most accept 10
finish
