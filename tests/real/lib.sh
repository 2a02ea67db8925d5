# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# lib.sh - run what the system has, bare and under cohook, and compare.
# To be sourced by bash.
#
#   alike NAME COMMANDS   runs COMMANDS by bash in an empty folder, bare and
#                         in each of the modes below: stdout, exit status and
#                         the files left behind must be the same
#   check NAME COMMAND... counts one claim: COMMAND must succeed, silently
#   skip NAME REASON      counts one that cannot be made here
#   clients PROGRAM [CASE...]  runs each case of a client program (crowd.h)
#                         bare and in each way that cohook has: each must hold
#   in_mode MODE COMMAND... runs COMMAND in a mode
#   finish                the tally; exits, 0 if nothing failed
#
#   LIMIT     seconds that one run may take; 60
#   MODES     what alike compares with bare; "hooked now"
#   FIXTURE   a folder of which each run gets a copy as its own; none
#   TMP       a folder of the script's own, gone when it ends
#   LIB       libcohook.so
#   PYTHON    the distribution's own
#
#   COHOOK_BUILD    where the build is; build/
#   REAL_BARE=1     preload nothing in any mode: the tests of the tests
#   REAL_ONLY=WORD  only what has WORD in its name
#
# A mode is bare, hooked (preloaded), one (that, with one worker) or now
# (preloaded, COHOOK_START=now).  It holds for all that COMMANDS starts,
# beginning with bash.
#
# A run that hangs is a failure.  It has a process group of its own, which
# timeout(1) kills; what has left the group (job control, setsid) is found by
# a variable in its environment.

export LC_ALL=C.UTF-8 TZ=UTC
unset LD_PRELOAD COHOOK COHOOK_START COHOOK_THREADS COHOOK_WORKERS \
	COHOOK_STACK COHOOK_LOG COHOOK_TCB COHOOK_GUARD COHOOK_STATS COHOOK_DUMP COHOOK_EXCLUDE \
	CDPATH BASH_ENV ENV MAKEFLAGS MAKELEVEL http_proxy HTTP_PROXY \
	https_proxy HTTPS_PROXY all_proxy ALL_PROXY

REAL=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$REAL/../.." && pwd)
BUILD=$(realpath -m "${COHOOK_BUILD:-$ROOT/build}")
LIB=$BUILD/libcohook.so
PYTHON=/usr/bin/python3
LIMIT=60
MODES="hooked now"
FIXTURE=
# Short, for sockets have to fit in 108 bytes; and others may pass through
# it, for servers that are not root.
TMP=$(mktemp -d /tmp/cohook.XXXXXX) || exit 1
chmod 711 "$TMP"
passed=0 failed=0 skipped=0 hangs=0

if [ -z "${REAL_BARE:-}" ] && [ ! -e "$LIB" ]; then
	echo "there is no $LIB; build it first, see tests/run --help" >&2
	rm -rf "$TMP"
	exit 1
fi

# Scripts add to what must be done at the end, Ctrl-C included.
at_exit=
clean_up()
{
	trap '' INT TERM HUP
	eval "$at_exit"
	kill_marked
	rm -rf "$TMP"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Kill every process that in_mode started, however far from its parents.
kill_marked()
{
	local dir pid

	for dir in /proc/[0-9]*; do
		pid=${dir#/proc/}
		grep -qzFx "REAL_MARK_CHILD=$TMP" "$dir/environ" 2>/dev/null &&
			kill -KILL "$pid" 2>/dev/null
	done
	return 0
}

in_mode()
{
	local mode=$1
	local -a env=("REAL_MARK_CHILD=$TMP")

	shift
	case $mode in
	bare) ;;
	hooked) env+=("LD_PRELOAD=$LIB") ;;
	one) env+=("LD_PRELOAD=$LIB" COHOOK_WORKERS=1) ;;
	now) env+=("LD_PRELOAD=$LIB" COHOOK_START=now) ;;
	*)
		echo "no mode $mode" >&2
		exit 1
		;;
	esac
	[ -z "${REAL_BARE:-}" ] || env=("REAL_MARK_CHILD=$TMP")
	timeout -k 5 "$LIMIT" env "${env[@]}" "$@"
}

pass()
{
	passed=$((passed + 1))
	echo "ok   $1"
}

fail()
{
	failed=$((failed + 1))
	echo "FAIL $1"
}

skip()
{
	skipped=$((skipped + 1))
	echo "skip $1: $2"
}

wanted()
{
	case $1 in
	*"${REAL_ONLY:-}"*) return 0 ;;
	*) return 1 ;;
	esac
}

check()
{
	local name=$1

	wanted "$name" || return 0
	shift
	if "$@" >"$TMP/check" 2>&1; then
		pass "$name"
	else
		fail "$name"
		tail -n 20 "$TMP/check" | sed 's/^/       /'
	fi
}

# One run, in the folder work: stdout, status and files to $TMP/$1.*.
run_one()
{
	local mode=$1 commands=$2 status

	rm -rf "$TMP/work"
	if [ -n "$FIXTURE" ]; then
		cp -a "$FIXTURE" "$TMP/work"
	else
		mkdir "$TMP/work"
	fi
	(
		cd "$TMP/work" || exit 1
		HOME=$TMP/work in_mode "$mode" bash -c "$commands"
	) >"$TMP/$mode.out" 2>"$TMP/$mode.err" </dev/null
	status=$?
	echo "$status" >"$TMP/$mode.status"
	case $status in
	124 | 137) kill_marked ;;
	esac
	(
		cd "$TMP/work" || exit 1
		find . -name .git -prune -o -type f -exec cksum {} + | sort -k 3
		find . -name .git -prune -o ! -type f -printf '%y %l %p\n' |
			sort
	) >"$TMP/$mode.files" 2>&1
}

alike()
{
	local name=$1 commands=$2 mode what

	wanted "$name" || return 0
	if [ "$hangs" -ge 3 ]; then
		skip "$name" "three others have hung"
		return
	fi
	run_one bare "$commands"
	for mode in $MODES; do
		run_one "$mode" "$commands"
		for what in status out files; do
			cmp -s "$TMP/bare.$what" "$TMP/$mode.$what" || break
			what=
		done
		if [ -z "$what" ]; then
			pass "$name ($mode)"
			continue
		fi
		case $(cat "$TMP/$mode.status") in
		124 | 137)
			fail "$name ($mode): not done after $LIMIT s"
			hangs=$((hangs + 1))
			;;
		*)
			fail "$name ($mode): another $what"
			;;
		esac
		diff "$TMP/bare.$what" "$TMP/$mode.$what" | head -n 15 |
			cut -c1-200 | sed 's/^/       /'
		tail -n 8 "$TMP/$mode.err" | cut -c1-200 |
			sed 's/^/       stderr: /'
	done
}

# Kernel threads that a crowd of 40 and more may take under cohook.  A worker
# for each CPU, a monitor, and what is lent for a file that is read.
CROWD_MOST=$((10 + $(nproc)))
WAYS="bare hooked one go"

# client_run PROGRAM CASE WAY
client_run()
{
	local program=$BUILD/tests/real/$1 case=$2 way=$3

	case $way in
	bare) in_mode bare env T_BODY=thread "$program" "$case" ;;
	hooked | one)
		in_mode "$way" env CROWD_MOST="$CROWD_MOST" T_BODY=thread \
			T_EXPECT=co "$program" "$case"
		;;
	go)
		in_mode bare env CROWD_MOST="$CROWD_MOST" "${program}_go" \
			"$case"
		;;
	esac >"$TMP/check" 2>&1
}

# client_verdict CASE WAY STATUS
client_verdict()
{
	local case=$1 way=$2 status=$3

	case $status in
	0) pass "$case ($way)" ;;
	77) skip "$case ($way)" "$(tail -n 1 "$TMP/check")" ;;
	124 | 137)
		fail "$case ($way): not done after $LIMIT s"
		kill_marked
		;;
	*) fail "$case ($way)" ;;
	esac
	case $status in
	0 | 77) ;;
	*) tail -n 8 "$TMP/check" | cut -c1-200 | sed 's/^/       /' ;;
	esac
}

clients()
{
	local program=$1 case way status

	shift
	[ $# != 0 ] || set -- $("$BUILD/tests/real/$program" --list)
	for case; do
		wanted "$case" || continue
		for way in $WAYS; do
			status=0
			client_run "$program" "$case" "$way" || status=$?
			client_verdict "$case" "$way" "$status"
		done
	done
}

# Ends as skipped where PROGRAM could not be built.
need_client()
{
	[ ! -x "$BUILD/tests/real/$1" ] || return 0
	echo "the library of $1 is missing"
	exit 77
}

# Wait until COMMAND succeeds, for others' servers, which tell nobody that
# they are ready; no longer than 20 seconds.
until_true()
{
	local deadline=$((SECONDS + 20))

	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.02
	done
}

# A TCP port on loopback that nobody has just now.
free_port()
{
	"$PYTHON" -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

finish()
{
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" = 0 ] || exit 1
	[ "$passed" != 0 ] || exit 77
	exit 0
}
