# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# timers.sh - threads that sleep, and how late they wake; see lib.sh.

# timers_way WAY THREADS SECONDS [ASSIGNMENT]
timers_way()
{
	local way=$1 n=$2 seconds=$3

	shift 3
	job "$TMP/$way.out" "$TMP/$way.err" timeout -k 5 "$MODE_TIMEOUT" \
		env "$@" "$BIN/timers" "$n" "$seconds"
}

timers_demo()
{
	local few many seconds

	few=$(quick 10000 1000) many=$(quick 100000 10000)
	seconds=$(quick 2 0.5)
	say ""
	say "${BOLD}Timers${PLAIN}: threads that sleep, each until its own" \
		"time; all wake within $seconds s."
	try timers_bare "$few threads" timers_way timers_bare "$few" "$seconds"
	try timers_few "the same, under cohook" \
		timers_way timers_few "$few" "$seconds" LD_PRELOAD="$LIB"
	try timers_many "$many threads, under cohook" \
		timers_way timers_many "$many" "$seconds" LD_PRELOAD="$LIB"

	printf '\n%s%-28s %7s %8s %8s  %s%s\n' "$BOLD" '' 'us to' kernel KiB \
		'us late: half within,' "$PLAIN"
	printf '%s%-28s %7s %8s %8s %10s %10s%s\n' "$BOLD" '' start threads \
		'each' '' '99 % within' "$PLAIN"
	timers_row timers_bare "${HUES[1]}" "$few threads"
	timers_row timers_few "${HUES[2]}" "the same, under cohook"
	timers_row timers_many "${HUES[3]}" "$many threads, under cohook"
}

timers_row()
{
	local n

	n=$(of "$1" sleepers)
	if [ -z "$n" ]; then
		failed_row "$2" "$3"
		return
	fi
	printf '%s%-28s%s %7.1f %8d %8.1f %10d %11d\n' "$2" "$3" "$PLAIN" \
		"$(awk -v s="$(of "$1" born_s)" -v n="$n" \
			'BEGIN { print s / n * 1e6 }')" \
		"$(of "$1" threads)" \
		"$(awk -v k="$(of "$1" kib)" -v n="$n" \
			'BEGIN { print k / n }')" \
		"$(of "$1" half_us)" "$(of "$1" most_us)"
}
