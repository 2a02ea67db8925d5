# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# leaks.sh - another library that is preloaded, and hooks malloc; see lib.sh.

# leaks_way WAY LIBRARIES: each thread leaks a block of 1000 bytes, and that
# must be found, as all of what leaks.
leaks_way()
{
	local way=$1 right

	job "$TMP/$way.out" "$TMP/$way.out" timeout -k 5 "$MODE_TIMEOUT" \
		env LD_PRELOAD="$2" "$BIN/leaky" "$LEAKS_THREADS" || return
	right="leak blocks=$LEAKS_THREADS bytes=$((1000 * LEAKS_THREADS))"
	if ! grep -qx "$right function=answer_requests" "$TMP/$way.out" ||
	   [ "$(of "$way" places)" != 1 ]; then
		cat "$TMP/$way.out" >>"$TMP/$way.err"
		return 1
	fi
}

leaks_demo()
{
	local finder=$BIN/libleaks.so

	LEAKS_THREADS=$(quick 2000 200)
	say ""
	say "${BOLD}Leaks${PLAIN}: a library that hooks malloc finds a leak" \
		"in $LEAKS_THREADS threads."
	try leaks_bare "the leak finder alone" leaks_way leaks_bare "$finder"
	try leaks_first "in front of cohook" \
		leaks_way leaks_first "$finder:$LIB"
	try leaks_last "behind cohook" leaks_way leaks_last "$LIB:$finder"

	printf '\n%s%-28s %10s %10s %10s  %s%s\n' "$BOLD" '' 'blocks' leaked \
		bytes by "$PLAIN"
	leaks_row leaks_bare "${HUES[1]}" "the leak finder alone"
	leaks_row leaks_first "${HUES[2]}" "in front of cohook"
	leaks_row leaks_last "${HUES[3]}" "behind cohook"
}

leaks_row()
{
	if [ -z "$(of "$1" blocks)" ]; then
		failed_row "$2" "$3"
		return
	fi
	printf '%s%-28s%s %10d %10d %10d  %s()\n' "$2" "$3" "$PLAIN" \
		"$(of "$1" blocks_seen)" "$(of "$1" blocks)" \
		"$(of "$1" bytes)" "$(of "$1" function)"
}
