#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# runtimes.sh - Ruby, Rust's standard library and Node.js as coroutines, Java
# and Go's cgo with native threads: alike bare and hooked.
. "$(dirname "$0")/lib.sh"

export SAMPLES=$REAL/samples BIN=$TMP
# Caches and shims of whoever runs this are not to be asked.
export GO111MODULE=off GOPROXY=off GOFLAGS= GOTOOLCHAIN=local GOCACHE=$TMP/go
rust=$(ls /usr/bin/rustc 2>/dev/null || command -v rustc)
java=$(command -v java) javac=$(command -v javac)
export RUBY=/usr/bin/ruby JAVA=$java NODE=/usr/bin/node

# absent NAME: says so, once.
absent()
{
	skip "$1" "it is not installed, or too old"
}

[ -z "$rust" ] || "$rust" --edition 2021 -O -o "$TMP/std" "$SAMPLES/std.rs" \
	2>"$TMP/err" || tail -n 3 "$TMP/err"
command -v go >/dev/null && ! go build -o "$TMP/cgo" "$SAMPLES/cgo.go" \
	2>"$TMP/err" && tail -n 3 "$TMP/err"
[ -z "$javac" ] || "$javac" -d "$TMP" "$SAMPLES/Threads.java" 2>"$TMP/err" ||
	tail -n 3 "$TMP/err"

for COHOOK_WORKERS in 1 2; do
	export COHOOK_WORKERS
	with="with $COHOOK_WORKERS"
	if [ -x "$RUBY" ]; then
		alike "Ruby, $with" '$RUBY -W0 $SAMPLES/threads.rb'
	else
		absent "Ruby, $with"
	fi
	if [ -x "$TMP/std" ]; then
		alike "Rust, $with" 'for i in 1 2 3; do $BIN/std; done'
	else
		absent "Rust, $with"
	fi
	if [ -x "$NODE" ] && "$NODE" -e 'Atomics.notify' 2>/dev/null; then
		alike "Node.js, $with" '$NODE $SAMPLES/workers.js'
	else
		absent "Node.js, $with"
	fi
	if [ -e "$TMP/Threads.class" ]; then
		alike "Java, $with" '$JAVA -cp $BIN Threads'
	else
		absent "Java, $with"
	fi
	if [ -x "$TMP/cgo" ]; then
		alike "Go, $with" 'for i in 1 2 3; do $BIN/cgo; echo $?; done'
	else
		absent "Go, $with"
	fi
done

# said WHO COMMAND...: the log has one line, that WHO keeps its threads.
said()
{
	local line="with $1, threads stay native"

	shift
	rm -f "$TMP/log"
	LD_PRELOAD=$LIB COHOOK_LOG=warn:$TMP/log "$@" >/dev/null
	[ "$(sed 's/^[^]]*\] warn //' "$TMP/log")" = "$line" ] && return
	cat "$TMP/log"
	return 1
}
[ ! -e "$TMP/Threads.class" ] ||
	check "Java's threads are native, and it says so" \
		said "the Java virtual machine" "$JAVA" -cp "$TMP" Threads
[ ! -x "$TMP/cgo" ] ||
	check "Go's threads are native, and it says so" \
		said "the Go runtime" "$TMP/cgo"
finish
