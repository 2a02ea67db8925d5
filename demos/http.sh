# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# http.sh - a web server with a thread for each connection; see lib.sh.

# http_way WAY PROGRAM [ASSIGNMENT]: that server, with that in its environment.
# The client is the same each time: threads, under cohook.
http_way()
{
	local way=$1 program=$2

	shift 2
	serve "$way" env "$@" "$BIN/$program" 0 &&
		against "$way" env LD_PRELOAD="$LIB" "$BIN/http_client" \
			-p "$SERVER_PORT" -u /slow -k "$HTTP_CONNECTIONS" \
			-r "$HTTP_REQUESTS" -s "$SERVER_PID"
}

http_demo()
{
	HTTP_CONNECTIONS=$(quick 1000 100)
	HTTP_REQUESTS=$(quick 50 10)
	room_for "$HTTP_CONNECTIONS"
	HTTP_CONNECTIONS=$ROOM
	say ""
	say "${BOLD}HTTP${PLAIN}: a server with a thread for each connection;" \
		"$HTTP_CONNECTIONS of them,"
	say "each with $HTTP_REQUESTS requests that wait 10 ms," \
		"as if for a database."
	try http_bare "a thread each" http_way http_bare http_server
	try http_hooked "the same, under cohook" \
		http_way http_hooked http_server LD_PRELOAD="$LIB"
	try http_go "linked with cohook" http_way http_go http_server_go

	printf '\n%s%-25s %10s %16s %8s %12s%s\n' "$BOLD" '' requests \
		'ms: half within,' kernel 'peak memory' "$PLAIN"
	printf '%s%-25s %10s %16s %8s %12s%s\n' "$BOLD" '' 'per second' \
		'99 % within' threads 'of server' "$PLAIN"
	http_row http_bare "${HUES[1]}" "a thread each"
	http_row http_hooked "${HUES[2]}" "the same, under cohook"
	http_row http_go "${HUES[3]}" "linked with cohook"
}

http_row()
{
	if [ -z "$(of "$1" per_second)" ]; then
		failed_row "$2" "$3"
		return
	fi
	printf '%s%-25s%s %10d %8.1f %7.1f %8d %8.1f MiB\n' "$2" "$3" \
		"$PLAIN" "$(of "$1" per_second)" "$(of "$1" half_ms)" \
		"$(of "$1" most_ms)" "$(of "$1" threads)" \
		"$(mib "$(of "$1" peak_kib)")"
}
