#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# random_calls.sh - calls on all kinds of descriptors, drawn from a seed
# (tests/random_calls.c), say the same bare and under cohook.
#
#     SEEDS="1 2 3"   others than those below
#     CALLS=N         for each seed; 300
#
# Timers decide some of it: what differs is run again, and fails if it differs
# each time.
. "$(dirname "$0")/lib.sh"

program=$BUILD/tests/random_calls
[ -x "$program" ] || {
	echo "there is no $program; build it first" >&2
	exit 1
}
CALLS=${CALLS:-300}
SEEDS=${SEEDS:-2 15 29 33 72 101 114 159 300 395}

same()
{
	local seed=$1 mode=$2 try

	for try in 1 2 3 4; do
		in_mode bare "$program" "$seed" "$CALLS" >"$TMP/bare" ||
			return 1
		in_mode "$mode" "$program" "$seed" "$CALLS" >"$TMP/$mode" ||
			return 1
		cmp -s "$TMP/bare" "$TMP/$mode" && return 0
	done
	diff "$TMP/bare" "$TMP/$mode" | head -n 8
	return 1
}

for seed in $SEEDS; do
	for mode in $MODES; do
		check "$CALLS calls of seed $seed ($mode)" same "$seed" "$mode"
	done
done
finish
