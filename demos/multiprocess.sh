# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# multiprocess.sh - several processes that share a port, each on a CPU of its
# own with one worker; against one process; see lib.sh.

MULTI_BUSY=20                   # microseconds of computing a request

# multi_way WAY PROCESSES [ASSIGNMENT]
multi_way()
{
	local way=$1 processes=$2 sum

	shift 2
	serve "$way" env "$@" "$BIN/multi_server" "$processes" "$MULTI_BUSY" &&
		against "$way" "$BIN/echo_client" -p "$SERVER_PORT" -k 100 \
			-r "$MULTI_ROUNDS" || return
	# Each request was answered by one of them; a round more, to begin.
	sum=$(awk '$1 == "process" { n += $6 } END { print n + 0 }' \
		"$TMP/$way.says")
	[ "$sum" = $((100 * (MULTI_ROUNDS + 1))) ] && return
	echo "$sum requests were answered" >>"$TMP/$way.err"
	return 1
}

multiprocess_demo()
{
	local cpus

	cpus=$(nproc)
	MULTI_ROUNDS=$(quick 500 50)
	say ""
	say "${BOLD}Multiprocess${PLAIN}: an echo server that computes" \
		"$MULTI_BUSY us for each answer; 100"
	say "connections, a thread each; $cpus CPUs, which the client shares."
	try multi_bare "one process, native threads" multi_way multi_bare 1
	try multi_one "one process, one worker" \
		multi_way multi_one 1 LD_PRELOAD="$LIB" COHOOK_WORKERS=1
	try multi_workers "one process, $cpus workers" multi_way \
		multi_workers 1 LD_PRELOAD="$LIB" COHOOK_WORKERS="$cpus"
	try multi_many "$cpus processes, one worker each" \
		multi_way multi_many "$cpus" LD_PRELOAD="$LIB"

	printf '\n%s%-32s %12s  %s%s\n' "$BOLD" '' 'requests' \
		'of which' "$PLAIN"
	printf '%s%-32s %12s  %s%s\n' "$BOLD" '' 'per second' \
		'by each process' "$PLAIN"
	multi_row multi_bare "${HUES[0]}" "one process, native threads"
	multi_row multi_one "${HUES[1]}" "one process, one worker"
	multi_row multi_workers "${HUES[2]}" "one process, $cpus workers"
	multi_row multi_many "${HUES[3]}" "$cpus processes, one worker each"
}

multi_row()
{
	if [ -z "$(of "$1" per_second)" ]; then
		failed_row "$2" "$3"
		return
	fi
	printf '%s%-32s%s %12d%s\n' "$2" "$3" "$PLAIN" \
		"$(of "$1" per_second)" \
		"$(awk '$1 == "process" && $4 >= 0 && n++ < 3 {
			printf "%s%d, CPU %d", (n > 1 ? "; " : "  "), $6, $4
		}' "$TMP/$1.says")"
}
