#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# preloads.sh - beside other preloaded libraries, allocators above all, which
# are called before anything of ours has been set up; in both orders.
. "$(dirname "$0")/lib.sh"

dir=/usr/lib/$(uname -m)-linux-gnu
export PYTHON REAL PYTHONDONTWRITEBYTECODE=1
ours=$LIB
for other in libjemalloc.so.2 libtcmalloc_minimal.so.4 libeatmydata.so; do
	path=$(ls "$dir/$other" "$dir/libeatmydata/$other" 2>/dev/null | head -1)
	[ -n "$path" ] || {
		skip "beside $other" "it is not installed"
		continue
	}
	for LIB in "$ours:$path" "$path:$ours"; do
		order="before $other"
		[ "$LIB" = "$ours:$path" ] || order="after $other"
		alike "$order: threads of Python" '
			for c in sockets queues subprocesses libraries; do
				$PYTHON $REAL/threads.py $c; echo $?; done'
		alike "$order: xz with threads" '
			seq 200000 | xz -T4 --block-size=65536 | xz -dc | cksum'
	done
done
finish
