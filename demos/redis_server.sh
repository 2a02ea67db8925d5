# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# redis_server.sh - a private, throw-away Redis server, for demos and tests.
# To be sourced by bash.
#
#   redis_server_missing   prints the Debian packages that are still needed
#   redis_start DIR      starts a server in DIR (created if need be) and waits
#                        until it answers; sets the variables below
#   redis_again DIR      starts it once more, where it was, after a stop
#   redis_stop           stops it and waits until it is gone; may be called
#                        at any time and twice.  DIR is the caller's to remove
#
#   REDIS_PORT           on 127.0.0.1, chosen free
#   REDIS_SOCKET         DIR/socket
#   REDIS_PID            of the server; empty while there is none
#   REDIS_OPTIONS        an array of more for the server; may be set before
#
# No configuration file is read, and nothing is saved.

# shellcheck source=demos/private.sh
. "$(dirname "${BASH_SOURCE[0]}")/private.sh"

REDIS_PID=
REDIS_OPTIONS=()

# The package redis-server has a system service, and starts it.  What it calls
# the server is just another name of a program in redis-tools.
redis_program()
{
	command -v redis-server || command -v redis-check-rdb
}

redis_server_missing()
{
	redis_program >/dev/null && command -v redis-cli >/dev/null ||
		echo redis-tools
}

redis_start()
{
	local dir=$1 try

	mkdir -p "$dir" || return
	ln -sf "$(redis_program)" "$dir/redis-server" || return
	REDIS_SOCKET=$dir/socket
	# Between choosing a port and the server's taking it, somebody else
	# may: then choose again.
	for try in 1 2 3 4 5; do
		REDIS_PORT=$(private_port)
		: >"$dir/log"
		! redis_again "$dir" || return 0
		redis_stop
		grep -q 'Could not create server TCP' "$dir/log" || break
	done
	echo "redis_start: the server does not run (attempt $try)" >&2
	tail -n 20 "$dir/log" | sed 's/^/    /' >&2
	return 1
}

redis_again()
{
	private_start REDIS redis_launch "$1"
	private_ready REDIS redis_answers
}

redis_launch()
{
	private_exec "$(id -un)" "$1/redis-server" --port "$REDIS_PORT" \
		--bind 127.0.0.1 --unixsocket "$1/socket" --unixsocketperm 700 \
		--dir "$1" --save '' --appendonly no --daemonize no \
		--maxclients 4000 --tcp-backlog 1000 --hz 500 \
		"${REDIS_OPTIONS[@]}" \
		>>"$1/log" 2>&1 </dev/null
}

redis_answers()
{
	[ "$(redis-cli -p "$REDIS_PORT" ping)" = PONG ]
}

redis_stop()
{
	private_stop REDIS
}
