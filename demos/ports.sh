# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# ports.sh - an echo server on a hundred ports, and the time that each thousand
# connections takes, of which none is closed; see lib.sh.

PORTS=100

ports_way()
{
	local way=$1

	shift
	serve "$way" env "$@" "$BIN/ports_server" "$PORTS" &&
		against "$way" "$BIN/ports_client" "$SERVER_PORT" "$PORTS" \
			"$PORTS_CONNECTIONS"
}

ports_demo()
{
	room_for "$(quick 12000 2000)"
	PORTS_CONNECTIONS=$((ROOM / 1000 * 1000))
	say ""
	say "${BOLD}Ports${PLAIN}: an echo server on $PORTS ports with a" \
		"thread for each, and for each"
	say "connection: $PORTS_CONNECTIONS, one after the other, and all are" \
		"kept."
	try ports_bare "a thread each" ports_way ports_bare
	try ports_hooked "the same, under cohook" ports_way ports_hooked \
		LD_PRELOAD="$LIB"

	printf '\n%s%12s   %s%s\n' "$BOLD" connections \
		"ms for the last 1000 of them:" "$PLAIN"
	printf '%s%12s %9s %31s%s\n' "$BOLD" '' bare 'under cohook' "$PLAIN"
	awk -v bare="${HUES[1]}" -v hooked="${HUES[2]}" -v plain="$PLAIN" \
		-v full="$FULL" '
	$1 != "connections" { next }
	{ ms[FILENAME == ARGV[1], $2] = $4 }
	$4 > most { most = $4 }
	$2 > last { last = $2 }
	function bar(x, hue, width,    s, i) {
		for (i = 0; i < int(x / most * 18 + 0.5) || i == 0; i++)
			s = s full
		s = hue s plain
		for (; i < width; i++)
			s = s " "
		return s
	}
	END {
		for (n = 1000; n <= last; n += 1000)
			printf "%12d %9.1f  %s %9.1f  %s\n", n,
				ms[1, n], bar(ms[1, n], bare, 19),
				ms[0, n], bar(ms[0, n], hooked, 0)
	}' "$TMP/ports_bare.says" "$TMP/ports_hooked.says"
}
