# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# echo.sh - an echo server with a thread for each connection; see lib.sh.

# echo_way WAY [ASSIGNMENT]: the server with that in its environment, and the
# client against it.
echo_way()
{
	local way=$1

	shift
	serve "$way" env "$@" "$BIN/echo_server" 0 &&
		against "$way" "$BIN/echo_client" -p "$SERVER_PORT" \
			-k "$ECHO_CONNECTIONS" -r "$ECHO_ROUNDS" -b 64 \
			-s "$SERVER_PID"
}

echo_demo()
{
	local i

	ECHO_CONNECTIONS=$(quick 1000 200)
	ECHO_ROUNDS=$(quick 100 10)
	room_for "$ECHO_CONNECTIONS"
	ECHO_CONNECTIONS=$ROOM
	say ""
	say "${BOLD}Echo${PLAIN}: a server with a thread for each connection;" \
		"$ECHO_CONNECTIONS of them,"
	say "each with $ECHO_ROUNDS requests of 64 bytes."
	try echo_bare "a thread each" echo_way echo_bare
	try echo_hooked "the same, under cohook" echo_way echo_hooked \
		LD_PRELOAD="$LIB"

	printf '\n%s%-28s %12s %10s %14s%s\n' "$BOLD" '' requests kernel \
		'peak memory' "$PLAIN"
	printf '%s%-28s %12s %10s %14s%s\n' "$BOLD" '' 'per second' threads \
		'of the server' "$PLAIN"
	echo_row echo_bare "${HUES[1]}" "a thread each"
	echo_row echo_hooked "${HUES[2]}" "the same, under cohook"
}

echo_row()
{
	if [ -z "$(of "$1" per_second)" ]; then
		failed_row "$2" "$3"
		return
	fi
	printf '%s%-28s%s %12d %10d %10.1f MiB\n' "$2" "$3" "$PLAIN" \
		"$(of "$1" per_second)" "$(of "$1" threads)" \
		"$(mib "$(of "$1" peak_kib)")"
}
