# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# echo.sh - an echo server with a thread for each connection; see lib.sh.

ECHO_CONNECTIONS=1000
ECHO_ROUNDS=100
ECHO_BYTES=64
ECHO_PID=                       # the server

# echo_way WAY [ASSIGNMENT]: the server with that in its environment, and the
# client against it.
echo_way()
{
	local way=$1 port='' status=0 end=0 fd

	shift
	rm -f "$TMP/port"
	mkfifo "$TMP/port"
	# SIGTERM if we are killed without having stopped it.
	hold
	setpriv --pdeathsig=TERM env "$@" "$BIN/echo_server" 0 \
		>"$TMP/port" 2>>"$TMP/$way.err" </dev/null &
	ECHO_PID=$!
	unhold
	exec {fd}<"$TMP/port"
	read -r -t 30 -u "$fd" _ port
	if [ -n "$port" ]; then
		job "$TMP/$way.out" "$TMP/$way.err" \
			timeout -k 5 "$MODE_TIMEOUT" \
			"$BIN/echo_client" -p "$port" -k "$ECHO_CONNECTIONS" \
			-r "$ECHO_ROUNDS" -b "$ECHO_BYTES" -s "$ECHO_PID" ||
			status=$?
	else
		echo "the server did not start" >>"$TMP/$way.err"
		status=1
	fi
	echo_stop || end=$?
	exec {fd}<&-
	if [ "$status" = 0 ] && [ "$end" != 0 ]; then
		echo "the server ended with status $end" >>"$TMP/$way.err"
		status=$end
	fi
	! not_loaded "$TMP/$way.err" || status=1
	return "$status"
}

echo_demo()
{
	local i way line status titles hue limit per_second
	local ways=(echo_bare echo_hooked) bad=('' '')

	titles=("a thread each" "the same, under cohook")
	raise_files $((ECHO_CONNECTIONS + 200))
	limit=$(ulimit -Sn)
	if [ "$limit" != unlimited ] &&
	   [ "$limit" -lt $((ECHO_CONNECTIONS + 100)) ]; then
		ECHO_CONNECTIONS=$((limit - 100))
		say "The limit of open files is $limit: fewer connections."
	fi
	say ""
	say "${BOLD}Echo${PLAIN}: a server with a thread for each connection;" \
		"$ECHO_CONNECTIONS of them,"
	say "each with $ECHO_ROUNDS requests of $ECHO_BYTES bytes."
	for i in 0 1; do
		way=${ways[i]} status=0
		: >"$TMP/$way.out"
		: >"$TMP/$way.err"
		busy "${titles[i]}"
		if [ "$i" = 0 ]; then
			echo_way "$way" || status=$?
		else
			echo_way "$way" LD_PRELOAD="$LIB" || status=$?
		fi
		idle
		[ "$status" != 0 ] || continue
		bad[i]=failed FAILED=1
		complain "${titles[i]}: $(why_failed "$status")"
		said "$TMP/$way.err"
	done

	printf '\n%s%-28s %12s %10s %14s%s\n' "$BOLD" '' requests kernel \
		'peak memory' "$PLAIN"
	printf '%s%-28s %12s %10s %14s%s\n' "$BOLD" '' 'per second' threads \
		'of the server' "$PLAIN"
	for i in 0 1; do
		line=$(cat "$TMP/${ways[i]}.out") hue=${HUES[i + 1]}
		per_second=$(value per_second "$line")
		if [ -z "$per_second" ]; then
			printf '%s%-28s %s%12s%s\n' "$hue" "${titles[i]}" \
				"$RED" failed "$PLAIN"
			continue
		fi
		printf '%s%-28s%s %12d %10d %10.1f MiB%s\n' "$hue" \
			"${titles[i]}" "$PLAIN" "$per_second" \
			"$(value threads "$line")" \
			"$(awk -v k="$(value peak_kib "$line")" \
				'BEGIN { print k / 1024 }')" \
			"$([ -z "${bad[i]}" ] || echo "$RED FAILED$PLAIN")"
	done
}

# The server's exit status; 0 where there is none.
echo_stop()
{
	local end=0

	[ -n "$ECHO_PID" ] || return 0
	kill -TERM "$ECHO_PID" 2>/dev/null
	kill_later "$ECHO_PID"
	wait "$ECHO_PID" 2>/dev/null || end=$?
	ECHO_PID=
	return "$end"
}
