#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tools.sh - strace, perf and heaptrack on a program whose threads are
# coroutines: it does what it does without them, and they tell of it.  gdb's
# part is in tests/tool_debug, valgrind's in tests/runtimes.
. "$(dirname "$0")/lib.sh"

tools=$TMP/tools
${CC:-cc} -g -O1 -fno-omit-frame-pointer -pthread -o "$tools" \
	"$REAL/samples/tools.c" || exit 1
total=$("$tools")
cd "$TMP" || exit 1

# under WORKERS COMMAND...: the program's output as ever, and nothing besides.
under()
{
	local workers=$1

	shift
	LD_PRELOAD=$LIB COHOOK_WORKERS=$workers timeout -k 5 "$LIMIT" "$@" \
		>"$TMP/out" 2>"$TMP/err" || return
	grep -qxF "$total" "$TMP/out"
}

# With strace itself left alone.
strace_follows()
{
	timeout -k 5 "$LIMIT" strace -f -o "$TMP/strace" -E "LD_PRELOAD=$LIB" \
		-E "COHOOK_WORKERS=$1" "$tools" >"$TMP/out" &&
		grep -qxF "$total" "$TMP/out" &&
		[ "$(grep -c 'pipe2\?(' "$TMP/strace")" -ge 60 ] &&
		[ "$(grep -c '+++ exited with 0 +++' "$TMP/strace")" -lt 12 ] &&
		! grep '+++ killed' "$TMP/strace"
}

perf_knows_its_functions()
{
	under "$1" perf record -q -F 997 -g -e cpu-clock:u -o "$TMP/perf" \
		"$tools" || return
	perf script --no-inline -i "$TMP/perf" 2>/dev/null >"$TMP/stacks"
	grep -q computes_a_while "$TMP/stacks" &&
		grep -A 8 computes_a_while "$TMP/stacks" | grep -q works
}

# 60 threads leak 777 bytes each, and it says which.
heaptrack_finds_what_is_leaked()
{
	rm -f "$TMP"/heap.*
	under "$1" heaptrack -o "$TMP/heap" "$tools" || {
		cat "$TMP/err"
		return 1
	}
	heaptrack_print -f "$TMP"/heap.* --print-leaks yes >"$TMP/heaps"
	grep -A 3 '^forgets_some' "$TMP/heaps" |
		grep '46.62K.* over 60 calls' &&
		grep -A 6 '46.62K.* over 60 calls' "$TMP/heaps" | grep works
}

perf_can()
{
	perf record -q -e cpu-clock:u -o "$TMP/perf" true >"$TMP/err" 2>&1
}

for workers in 1 2; do
	with="with $workers"
	if command -v strace >/dev/null && strace -o "$TMP/strace" true; then
		check "strace -f, $with" strace_follows "$workers"
	else
		skip "strace -f, $with" "there is none that may trace"
	fi
	if command -v perf >/dev/null && perf_can; then
		check "perf record -g, $with" perf_knows_its_functions "$workers"
	else
		skip "perf record -g, $with" "there is none that may record"
	fi
	if command -v heaptrack >/dev/null; then
		check "heaptrack, $with" heaptrack_finds_what_is_leaked "$workers"
	else
		skip "heaptrack, $with" "there is none"
	fi
done
finish
