#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# cpus.sh - how many workers there are for what CPUs, and what becomes of a
# program at work that loses them.
. "$(dirname "$0")/lib.sh"

[ -z "${REAL_BARE:-}" ] || {
	echo "bare, there is nothing to compare"
	exit 77
}
CPUS=$BUILD/tests/real/cpus
GO=$BUILD/tests/bench/yield_go
cpus=$(nproc)

# A group of our own whose time can be bound; none without the right, or where
# the controller is not ours to use.
GROUP=
QUOTA=
for dir in /sys/fs/cgroup/cpu /sys/fs/cgroup; do
	mkdir "$dir/cohook.$$" 2>/dev/null || continue
	at_exit="$at_exit rmdir '$dir/cohook.$$' 2>/dev/null;"
	if [ -w "$dir/cohook.$$/cpu.cfs_quota_us" ]; then
		GROUP=$dir/cohook.$$ QUOTA=cpu.cfs_quota_us
	elif [ -w "$dir/cohook.$$/cpu.max" ]; then
		GROUP=$dir/cohook.$$ QUOTA=cpu.max
	fi
	[ -z "$GROUP" ] || break
done

quota_of()
{
	echo "$1" >"$GROUP/$QUOTA"
}
no_quota()
{
	quota_of -1 2>/dev/null || quota_of max
}

# workers N COMMAND...: so many has what it starts.
workers()
{
	local n=$1

	shift
	rm -f "$TMP/log"
	"$@" >/dev/null || return
	cat "$TMP/log"
	grep -q "started: $n worker" "$TMP/log"
}
hooked()
{
	in_mode hooked env COHOOK_LOG="info:$TMP/log" "$@"
}
in_group()
{
	(
		echo "$BASHPID" >"$GROUP/cgroup.procs"
		"$@"
	)
}

# The machine's own quota may be lower than its CPUs.
if hooked "$CPUS" 10 >/dev/null && grep -q "started: $cpus worker" "$TMP/log"; then
	check 'a worker for each CPU' workers "$cpus" hooked "$CPUS" 10
else
	skip 'a worker for each CPU' "a quota above this test bounds it"
fi
check 'one, where there is one CPU' \
	workers 1 hooked taskset -c "$(taskset -cp $$ | sed 's/.*[ ,-]//')" \
	"$CPUS" 10
check 'three, if asked for' workers 3 hooked env COHOOK_WORKERS=3 "$CPUS" 10
if [ -x "$GO" ]; then
	check 'one in a program that is linked with the library' \
		workers 1 in_mode bare env COHOOK_LOG="info:$TMP/log" "$GO" 10
	check 'but more, if asked for' \
		workers 2 in_mode bare env COHOOK_LOG="info:$TMP/log" \
		COHOOK_WORKERS=2 "$GO" 10
fi
if [ -n "$GROUP" ]; then
	quota_of 30000
	check 'one, where a quota gives less than one CPU' \
		workers 1 in_group hooked "$CPUS" 10
	if [ "$cpus" -ge 2 ]; then
		quota_of 110000
		check 'two, where it gives a little more' \
			workers 2 in_group hooked "$CPUS" 10
	fi
	no_quota
else
	skip 'quotas' "no control group with a bound on time can be made"
fi

# --- taken away --------------------------------------------------------------

# worst MODE COMMAND...: the longest nap, in ms
worst()
{
	in_mode "$@" >"$TMP/out" || return
	sed -n 's/worst_ms=\([0-9]*\).*/\1/p' "$TMP/out"
}

# no_stall MODE COMMAND...: is worse than bare by 50 ms at most.  This machine
# may be busy: in the best of five pairs.
no_stall()
{
	local mode=$1 bare ours i

	shift
	for i in 1 2 3 4 5; do
		bare=$(worst bare "$@") && ours=$(worst "$mode" "$@") || return
		echo "bare $bare ms, $mode $ours ms"
		[ "$ours" -gt $((bare + 50)) ] || return 0
	done
	return 1
}

# throttled MODE COMMAND...: no_stall in the group, whose quota falls and rises.
throttled()
{
	local sway status

	while :; do
		quota_of 100000
		sleep 0.1
		quota_of 40000
		sleep 0.1
	done &
	sway=$!
	(
		echo "$BASHPID" >"$GROUP/cgroup.procs"
		no_stall "$@"
	)
	status=$?
	kill "$sway"
	wait "$sway" 2>/dev/null
	no_quota
	return "$status"
}

for mode in hooked one; do
	check "affinity comes and goes ($mode)" \
		no_stall "$mode" "$CPUS" 500 20
	[ -z "$GROUP" ] || check "a quota falls and rises ($mode)" \
		throttled "$mode" "$CPUS" 500
done
finish
