# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# server.sh - a server of the system's, a private one on loopback, bare and under
# cohook.  To be sourced behind lib.sh.
#
#   start_in MODE COMMAND...  COMMAND stays, and is $server; it is up when
#                         answers, which the script has, succeeds.  MODE is
#                         bare, now (COHOOK_START=now) or a number of workers
#   threads WHAT N MANY   a claim: N are fewer than 12 kernel threads, and bare,
#                         where mode is that, at least MANY
#   ends SIGNAL           that ends it, with status 0
#   gone                  whatever is left of it

server=
at_exit='[ -z "$server" ] || kill -KILL "$server" 2>/dev/null'

start_in()
{
	local mode=$1
	local -a env=()

	shift
	case $mode in
	bare) ;;
	now) env=("LD_PRELOAD=$LIB" COHOOK_START=now) ;;
	*) env=("LD_PRELOAD=$LIB" "COHOOK_WORKERS=$mode") ;;
	esac
	[ -z "${REAL_BARE:-}" ] || env=()
	env "REAL_MARK_CHILD=$TMP" "${env[@]}" "$@" >"$TMP/out" 2>&1 &
	server=$!
	until_true answers
}

threads()
{
	if [ "$mode" != bare ] && [ -z "${REAL_BARE:-}" ]; then
		check "$1" test "$2" -lt 12
	else
		check "$1" test "$2" -ge "$3"
	fi
}

ends()
{
	kill "-$1" "$server"
	timeout 20 tail --pid="$server" -f /dev/null || return
	wait "$server" || return
	server=
}

gone()
{
	[ -z "$server" ] || kill -KILL "$server" 2>/dev/null
	kill_marked
	server=
}
