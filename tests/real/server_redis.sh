#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# server_redis.sh - Redis with threads that read and write for the one that
# serves, and that free memory and sync files, under the library: what
# client_redis.c checks, by clients that run bare; a load; files; and an end.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/redis_server.sh"

need_client client_redis
[ -z "$(redis_server_missing)" ] || {
	echo "missing: $(redis_server_missing)"
	exit 77
}
: >"$TMP/log"
at_exit=redis_stop
WAYS=bare

# Answers of many clients at once, each with its own numbers.
answers()
{
	local i

	for ((i = 0; i < 20; i++)); do
		{
			seq 1 200 | sed "s/.*/SET k$i:& v$i:&/"
			seq 1 200 | sed "s/.*/GET k$i:&/"
		} | redis-cli -p "$REDIS_PORT" >"$TMP/answers.$i" &
	done
	for ((i = 0; i < 20; i++)); do
		wait -n || return
	done
	for ((i = 0; i < 20; i++)); do
		{
			yes OK | head -n 200
			seq 1 200 | sed "s/.*/v$i:&/"
		} | diff -q - "$TMP/answers.$i" || return
	done
	[ "$(redis-cli -p "$REDIS_PORT" dbsize)" -ge 4000 ]
}

load()
{
	redis-benchmark -p "$REDIS_PORT" -q -n 2000 -c 50 -P 4 \
		-t set,get,incr,lpush,lrange_100 -d 500 >"$TMP/load" 2>&1 &&
		! grep -i error "$TMP/load" &&
		[ "$(redis-cli -p "$REDIS_PORT" get counter:__rand_int__)" = 2000 ]
}

# Freed by a thread of its own, and saved by a child.
keeps_files()
{
	redis-cli -p "$REDIS_PORT" debug populate 20000 big 100 >/dev/null &&
		redis-cli -p "$REDIS_PORT" flushall async &&
		redis-cli -p "$REDIS_PORT" set kept yes &&
		redis-cli -p "$REDIS_PORT" bgrewriteaof &&
		until_true written &&
		redis-cli -p "$REDIS_PORT" save &&
		[ -s "$TMP/redis/dump.rdb" ]
}

written()
{
	redis-cli -p "$REDIS_PORT" info persistence |
		grep -q 'aof_rewrite_in_progress:0'
}

ends()
{
	local pid=$REDIS_PID

	redis-cli -p "$REDIS_PORT" shutdown nosave
	until_true eval "! kill -0 $pid" || return
	wait "$pid" || return
	REDIS_PID=
	! grep -iE 'crash|assert|signal' "$TMP/redis/log"
}

for mode in bare 1 2; do
	case $mode in
	bare) PRIVATE_ENV=() name=bare ;;
	*)
		PRIVATE_ENV=("LD_PRELOAD=$LIB" "COHOOK_WORKERS=$mode")
		name="hooked with $mode"
		;;
	esac
	[ $mode = bare ] || PRIVATE_ENV+=("COHOOK_LOG=warn:$TMP/log")
	[ -z "${REAL_BARE:-}" ] || PRIVATE_ENV=()
	REDIS_OPTIONS=(--io-threads 2 --io-threads-do-reads yes
		--enable-debug-command yes --appendonly yes
		--appendfsync everysec)
	rm -rf "$TMP/redis"
	redis_start "$TMP/redis" || {
		fail "$name: it comes up"
		continue
	}
	export REDIS_PORT REDIS_SOCKET
	if [ $mode = 1 ] || [ $mode = 2 ]; then
		echo "by clients of the server, $name:"
		clients client_redis
	fi
	check "$name: 20 clients get what they have set" answers
	check "$name: a load" load
	check "$name: memory is freed, and files are written" keeps_files
	check "$name: it ends" ends
	redis_stop
	check "$name: no word in the log" diff /dev/null "$TMP/log"
done
finish
