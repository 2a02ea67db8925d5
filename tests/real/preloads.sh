#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# preloads.sh - beside other preloaded libraries, in both orders: allocators,
# which are called before anything of ours has been set up; those that stand
# before calls that are ours as well; and another clock.
. "$(dirname "$0")/lib.sh"

dir=/usr/lib/$(uname -m)-linux-gnu
export PYTHON REAL PYTHONDONTWRITEBYTECODE=1 BIN=$TMP
ours=$LIB
"${CC:-cc}" -O2 -pthread -o "$TMP/clocks" "$REAL/samples/clocks.c" &&
	"${CC:-cc}" -O2 -pthread -o "$TMP/conds" "$REAL/samples/conds.c" ||
	exit 1

# each_order FILE: sets LIB and $order for each, and runs beside.
each_order()
{
	local other=${1##*/}

	for LIB in "$ours:$1" "$1:$ours"; do
		order="before $other"
		[ "$LIB" = "$ours:$1" ] || order="after $other"
		beside
	done
}

found()
{
	path=$(ls "$dir/$1" "$dir"/*/"$1" /usr/libexec/*/"$1" 2>/dev/null |
		head -1)
	[ -n "$path" ] || skip "beside $1" "it is not installed"
	[ -n "$path" ]
}

beside()
{
	alike "$order: threads of Python" '
		for c in sockets queues subprocesses libraries; do
			$PYTHON $REAL/threads.py $c; echo $?; done'
	alike "$order: xz with threads" '
		seq 200000 | xz -T4 --block-size=65536 | xz -dc | cksum'
	alike "$order: waits with a time" '$BIN/clocks'
}
export _STDBUF_O=L
for other in libjemalloc.so.2 libtcmalloc_minimal.so.4 libeatmydata.so \
	libstdbuf.so; do
	found $other && each_order "$path"
done

# Two weeks ago, for all clocks.  Less of Python: the library has its own ideas
# of semaphores with a time, also without us.  It asks for conditions by their
# versions, and in front must find ours.
beside()
{
	alike "$order: threads of Python" '
		for c in sockets subprocesses; do
			$PYTHON $REAL/threads.py $c; echo $?; done'
	alike "$order: waits with a time" '$BIN/clocks'
	check "$order: a condition costs no kernel thread" \
		test "$(in_mode hooked "$TMP/conds")" -lt 20
	check "$order: it has its effect" \
		test "$(in_mode hooked date +%s)" -lt $(($(date +%s) - 1000000))
}
export FAKETIME=-15d
found libfaketimeMT.so.1 && each_order "$path"
finish
