# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# lib.sh - what the demos share: to start things and take them back, to show
# what happens, to install and build.  To be sourced by bash, by demos/run.
#
# A demo is a file NAME.sh here, sourced where it is asked for, of functions:
#
#   NAME_demo      shows it; sets FAILED=1 if anything did not work
#   NAME_missing   prints the Debian packages that it lacks; may be absent
#   NAME_stop      ends what it has started, called at any time, and twice;
#                  may be absent.  What job() runs is ended without
#
#   TMP            a folder that goes at the end; others can pass through it
#   BIN LIB        where the programs are, and libcohook.so
#   hold ... unhold   around the start of a process until its pid is noted
#   quick A B      prints A; B where --quick was asked for

DEMOS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit
ROOT=$(dirname "$DEMOS")
BUILD=${COHOOK_BUILD:-$ROOT/build}
BIN=$BUILD/demos
LIB=$BUILD/libcohook.so
MODE_TIMEOUT=120                # seconds; what takes longer has hung

# --- what is under way, and how it is taken back -----------------------------

TMP=                            # our folder
JOB=                            # the pid of the step under way
JOB_KILL=                       # what to give kill for it, pid or -group
TICKER=                         # shows that a long step lives
CHOSEN=                         # the demos that were asked for
FAILED=0
QUICK=                          # not for the figures, only to see it work

quick()
{
	[ -n "$QUICK" ] && echo "$2" || echo "$1"
}

# does NAME: whether there is such a function.
does()
{
	declare -F "$1" >/dev/null
}

cleanup()
{
	local demo

	trap '' INT TERM HUP
	idle
	if [ -n "$JOB" ]; then
		$JOB_SUDO kill -INT -- "$JOB_KILL" 2>/dev/null
		wait "$JOB" 2>/dev/null
	fi
	serve_stop
	for demo in $CHOSEN; do
		! does "${demo}_stop" || "${demo}_stop"
	done
	[ -z "$TMP" ] || rm -rf "$TMP"
}

# KILL for a process that has had its TERM and lives on for 10 seconds more.
kill_later()
{
	local deadline=$((SECONDS + 10))

	while kill -0 "$1" 2>/dev/null; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			kill -KILL "$1" 2>/dev/null
		fi
		sleep 0.05
	done
}

# A signal may come between the birth of a process and our noting its pid;
# between hold and unhold it is answered later.
HOLD='' PENDING=''

hold()
{
	HOLD=1
}

unhold()
{
	HOLD=
	[ -z "$PENDING" ] || interrupted "$PENDING"
}

interrupted()
{
	if [ -n "$HOLD" ]; then
		PENDING=$1
		return
	fi
	idle
	say ""
	say "${BOLD}Interrupted${PLAIN}: stopping what was started."
	exit "$1"
}

# --- what is shown -----------------------------------------------------------

CHARSET=$(locale charmap 2>/dev/null)
export LC_ALL=C                 # a decimal point is a point
BOLD='' DIM='' PLAIN='' RED='' HUES=('' '' '' '')
TTY=0 FULL='#' LIGHT='-'
if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
	TTY=1
	if [ -z "${NO_COLOR:-}" ]; then
		BOLD=$'\e[1m' DIM=$'\e[2m' PLAIN=$'\e[0m' RED=$'\e[31m'
		HUES=($'\e[33m' $'\e[34m' $'\e[32m' $'\e[36m')
	fi
	if [ "$CHARSET" = UTF-8 ]; then
		FULL='█' LIGHT='░'
	fi
fi

say()
{
	printf '%s\n' "$*"
}

# busy WHAT ... idle: on a terminal, one line that counts the seconds and goes
# away; elsewhere, just that line.
busy()
{
	if [ "$TTY" = 0 ]; then
		say "$1 ..."
		return
	fi
	printf '%s ...' "$1"
	hold
	set -m
	tick "$1" &
	TICKER=$!
	set +m
	disown "$TICKER"        # or bash would report its death
	unhold
}

tick()
{
	local s=0

	# $$ is still the script: where that is killed, this must end too.
	while sleep 1 && kill -0 $$ 2>/dev/null; do
		s=$((s + 1))
		printf '\r%s ... %s%d s%s' "$1" "$DIM" "$s" "$PLAIN"
	done
}

idle()
{
	[ -n "$TICKER" ] || return 0
	kill -KILL -- "-$TICKER" 2>/dev/null
	TICKER=
	printf '\r\e[K'
}

complain()
{
	printf '%s%s%s\n' "$RED$BOLD" "$*" "$PLAIN" >&2
}

die()
{
	complain "demos/run: $*"
	exit 1
}

# job OUT ERR COMMAND...: run it in a process group of its own, so that it can
# be stopped with all its children the moment we are, and wait.
JOB_SUDO=
job()
{
	local out=$1 err=$2 status=0

	shift 2
	hold
	set -m
	"$@" >>"$out" 2>>"$err" </dev/null &
	JOB=$! JOB_KILL=-$!
	set +m
	# Stopped in mid-install, dpkg leaves things half done; apt-get alone
	# knows when it can stop.
	[ "$1" != apt ] || JOB_KILL=$JOB
	unhold
	wait "$JOB" 2>/dev/null || status=$?
	JOB=
	return "$status"
}

# step WHAT COMMAND...: a job whose output only matters if it fails.
step()
{
	local what=$1 status=0

	shift
	busy "$what"
	: >"$TMP/log"
	job "$TMP/log" "$TMP/log" "$@" || status=$?
	idle
	if [ "$status" != 0 ]; then
		complain "$what: failed with status $status; it ended so:"
		tail -n 25 "$TMP/log" | sed 's/^/    /' >&2
	fi
	return "$status"
}

# --- preparing ---------------------------------------------------------------

apt()
{
	exec $SUDO env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

has()
{
	command -v "$1" >/dev/null
}

# The packages that are missing, judged by what they bring: a cmake of the
# user's own is as good as Debian's.
missing()
{
	local demo probe='#include <pthread.h>
		int main(void) { return 0; }'

	has cmake || echo cmake
	has make || echo make
	if ! has "${CC:-cc}" ||
	   ! "${CC:-cc}" -x c -o "$TMP/probe" - 2>/dev/null <<<"$probe"; then
		echo gcc libc6-dev
	fi
	for demo in $CHOSEN; do
		! does "${demo}_missing" || "${demo}_missing"
	done
}

install_missing()
{
	local packages before=''

	# Once more, for some are known only when the lists have been read.
	while packages=$(missing | sort -u | tr '\n' ' ') &&
		[ -n "$packages" ]; do
		[ "$packages" != "$before" ] ||
			die "still missing after install: $packages"
		[ -n "$before" ] || may_install "$packages"
		before=$packages
		say "Missing:"
		fold -s -w 72 <<<"$packages" | sed 's/^/    /'
		JOB_SUDO=$SUDO
		step "Reading the lists of packages" apt update || exit 1
		step "Installing what is missing" \
			apt --no-install-recommends install $packages || exit 1
		JOB_SUDO=
	done
}

may_install()
{
	has apt-get || die "needed, and no apt-get to install it: $1"
	SUDO=
	if [ "$(id -u)" != 0 ]; then
		has sudo || die "needed, and neither root nor sudo: $1"
		sudo -v || die "needed, but sudo says no: $1"
		SUDO='sudo -n'
	fi
}

build()
{
	step "Configuring" cmake -S "$ROOT" -B "$BUILD" \
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCOHOOK_DEMOS=ON || exit 1
	step "Building" cmake --build "$BUILD" -j "$(nproc)" \
		--target cohook demos || exit 1
	[ -e "$LIB" ] || die "the build made no $LIB"
}

# raise_files N: let us have N descriptors, as far as the hard limit goes.
raise_files()
{
	local hard

	[ "$(ulimit -Sn)" != unlimited ] && [ "$(ulimit -Sn)" -lt "$1" ] ||
		return 0
	hard=$(ulimit -Hn)
	if [ "$hard" = unlimited ] || [ "$hard" -ge "$1" ]; then
		ulimit -Sn "$1"
	else
		ulimit -Sn "$hard"
	fi
}

# room_for N: N connections need descriptors, 200 beside them; ROOM is how many
# there can be.
room_for()
{
	local limit

	raise_files $(($1 + 200))
	limit=$(ulimit -Sn)
	ROOM=$1
	if [ "$limit" != unlimited ] && [ "$limit" -lt $(($1 + 100)) ]; then
		ROOM=$((limit - 100))
		say "The limit of open files is $limit: fewer connections."
	fi
}

# value KEY LINE: from a line of KEY=VALUE words.
value()
{
	sed -n "s/.*\\b$1=\\([^ ]*\\).*/\\1/p" <<<"$2"
}

# What a failed run wrote to stderr; the loader's complaint is a failure by
# itself, for it goes on without what it could not load.
said()
{
	sort "$1" | uniq | head -n 8 | sed 's/^/      /' >&2
}

why_failed()
{
	case $1 in
	124|137) echo "did not end within $MODE_TIMEOUT seconds" ;;
	0)       echo "cohook was not loaded" ;;
	*)       echo "failed with status $1" ;;
	esac
}

not_loaded()
{
	grep -q 'cannot be preloaded' "$1"
}

# --- ways of running, and servers --------------------------------------------

# try WAY TITLE COMMAND...: runs it, in sight.  It leaves what it says in
# $TMP/WAY.out and WAY.err; a failure is told, and FAILED set.
try()
{
	local way=$1 title=$2 status=0

	shift 2
	: >"$TMP/$way.out"
	: >"$TMP/$way.err"
	busy "$title"
	"$@" || status=$?
	idle
	! not_loaded "$TMP/$way.err" || status=1
	[ "$status" != 0 ] || return 0
	FAILED=1
	: >"$TMP/$way.out"
	complain "$title: $(why_failed "$status")"
	said "$TMP/$way.err"
	return 1
}

# of WAY KEY: what its line says of that; nothing if it failed.
of()
{
	value "$2" "$(grep "$2=" "$TMP/$1.out")"
}

failed_row()
{
	printf '%s%-28s %s%12s%s\n' "$1" "$2" "$RED" failed "$PLAIN"
}

mib()
{
	awk -v k="$1" 'BEGIN { printf "%.1f", k / 1024 }'
}

SERVER_PID=                     # one of ours, under way
SERVER_PORT=
SERVER_SAYS=                    # a descriptor: its standard output

# serve WAY COMMAND...: a server that prints "port N" once it listens.
serve()
{
	local way=$1

	shift
	rm -f "$TMP/says"
	mkfifo "$TMP/says"
	SERVER_PORT=
	hold
	# SIGTERM if we are killed without having stopped it.
	setpriv --pdeathsig=TERM "$@" >"$TMP/says" 2>>"$TMP/$way.err" \
		</dev/null &
	SERVER_PID=$!
	unhold
	exec {SERVER_SAYS}<"$TMP/says"
	read -r -t 30 -u "$SERVER_SAYS" _ SERVER_PORT
	[ -z "$SERVER_PORT" ] || return 0
	echo "the server did not start" >>"$TMP/$way.err"
	serve_stop
	return 1
}

# against WAY COMMAND...: runs that, and then ends the server, whose further
# words are in $TMP/WAY.says.  Fails if one of them does.
against()
{
	local way=$1 status=0 end=0

	shift
	job "$TMP/$way.out" "$TMP/$way.err" timeout -k 5 "$MODE_TIMEOUT" \
		"$@" || status=$?
	serve_stop "$TMP/$way.says" || end=$?
	if [ "$status" = 0 ] && [ "$end" != 0 ]; then
		echo "the server ended with status $end" >>"$TMP/$way.err"
		status=$end
	fi
	return "$status"
}

# serve_stop [FILE]: the server's exit status, 0 where there is none; FILE gets
# what it has said.
serve_stop()
{
	local end=0

	[ -n "$SERVER_PID" ] || return 0
	kill -TERM "$SERVER_PID" 2>/dev/null
	kill_later "$SERVER_PID"
	wait "$SERVER_PID" 2>/dev/null || end=$?
	SERVER_PID=
	cat <&"$SERVER_SAYS" >"${1:-/dev/null}"
	exec {SERVER_SAYS}<&-
	return "$end"
}
