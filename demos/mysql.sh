# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# mysql.sh - many connections to a private MySQL (MariaDB) server; see lib.sh.

. "$DEMOS/mariadb.sh"

CONNECTIONS=100
PAUSE=0.05
WAYS=(serial threads hooked go)
TITLES=("(a) one after the other" "(b) a thread each"
	"(c) the same, under cohook" "(d) linked with cohook")

make_table()
{
	{
		echo 'CREATE TABLE elements (number INT PRIMARY KEY,'
		echo 'symbol CHAR(2), name VARCHAR(20), weight VARCHAR(8));'
		awk -F '\t' '
		/^#/ { next }
		{
			w = $4 == "\\N" ? "NULL" : "\047" $4 "\047"
			print "INSERT INTO elements VALUES (" $1 ", \047" \
				$2 "\047, \047" $3 "\047, " w ");"
		}' "$DEMOS/elements.tsv"
	} | mariadb_sql
}

# mysql_way WAY: run it; $TMP/WAY.{out,err,times} say what came of it.
mysql_way()
{
	local way=$1 cmd

	case $way in
	serial)  cmd=("$BIN/mysql_connect" serial) ;;
	threads) cmd=("$BIN/mysql_connect" threads) ;;
	hooked)  cmd=(env LD_PRELOAD="$LIB" "$BIN/mysql_connect" threads) ;;
	go)      cmd=("$BIN/mysql_connect_go" go) ;;
	esac
	: >"$TMP/$way.out"
	: >"$TMP/$way.err"
	job "$TMP/$way.out" "$TMP/$way.err" \
		timeout -k 5 "$MODE_TIMEOUT" env MYSQL_PWD="$MARIADB_PASSWORD" \
		"${cmd[@]}" -n "$CONNECTIONS" -s "$PAUSE" \
		-P "$MARIADB_PORT" -u "$MARIADB_USER" -d "$MARIADB_DATABASE" \
		-r "$DEMOS/elements.tsv" -t "$TMP/$way.times"
}

mysql_table()
{
	local i way line serial='' s times hue

	printf '\n%s%-28s %8s %8s %9s %8s %9s%s\n' "$BOLD" '' seconds \
		kernel peak rows times "$PLAIN"
	printf '%s%-28s %8s %8s %9s %8s %9s%s\n' "$BOLD" '' '' \
		threads memory right faster "$PLAIN"
	for i in "${!WAYS[@]}"; do
		way=${WAYS[i]} hue=${HUES[i]}
		line=$(cat "$TMP/$way.out")
		s=$(value seconds "$line")
		if [ -z "$s" ]; then
			printf '%s%-28s %s%8s%s\n' "$hue" "${TITLES[i]}" \
				"$RED" failed "$PLAIN"
			continue
		fi
		[ "$way" != serial ] || serial=$s
		times=$(awk -v a="$serial" -v b="$s" \
			'BEGIN { if (a) printf "%.1f", a / b; else print "-" }')
		printf '%s%-28s%s %8.3f %8d %5.1f MiB %8d %9s%s\n' "$hue" \
			"${TITLES[i]}" "$PLAIN" "$s" \
			"$(value threads "$line")" \
			"$(awk -v k="$(value peak_kib "$line")" \
				'BEGIN { print k / 1024 }')" \
			"$(value rows "$line")" "$times" \
			"$([ -z "${BAD[i]}" ] || echo "$RED FAILED$PLAIN")"
	done
}

# First all ways on one axis: of (a) some of its connections, a bar each from
# beginning to end, of the others one bar for all, as that is what fits.  Then
# the others by themselves, larger.
mysql_bars()
{
	local i way longest

	longest=$(longest "$TMP"/*.times)
	[ "$longest" != 0 ] || return 0
	axis "$longest" "every $((CONNECTIONS / 10))th connection of (a)," \
		"and all of the others"
	for i in "${!WAYS[@]}"; do
		way=${WAYS[i]}
		if [ "$way" = serial ]; then
			times "$way" $((CONNECTIONS / 10))
		else
			all "$way"
		fi | bars "$longest" "${HUES[i]}"
	done

	longest=$(longest "$TMP"/threads.times "$TMP"/hooked.times \
		"$TMP"/go.times)
	[ "$longest" != 0 ] || return 0
	axis "$longest" "every $((CONNECTIONS / 5))th connection" \
		"($LIGHT connecting, $FULL querying)"
	for i in 1 2 3; do
		times "${WAYS[i]}" $((CONNECTIONS / 5)) |
			bars "$longest" "${HUES[i]}"
	done
}

# When the last of all connections ended, in milliseconds; 0 if there is none.
longest()
{
	cat "$@" 2>/dev/null | awk '$5 > m { m = $5 } END { print m + 0 }'
}

axis()
{
	local length=$1

	shift
	printf '\n%sAn axis of %s ms:%s %s\n' "$BOLD" "${length%.*}" "$PLAIN" \
		"$*"
}

# times WAY EVERY: for each EVERYth, "LABEL NUMBER BEGAN CONNECTED ENDED".
times()
{
	awk -v every="$2" -v label="$(label "$1")" '
		$1 % every == 0 {
			print label, $1, $2, $3, $5
		}' "$TMP/$1.times" 2>/dev/null
}

all()
{
	awk -v label="$(label "$1")" '
		$5 > ended { ended = $5 }
		END { if (NR) print label, "all", 0, 0, ended }
		' "$TMP/$1.times" 2>/dev/null
}

label()
{
	case $1 in
	serial)  echo '(a)' ;;
	threads) echo '(b)' ;;
	hooked)  echo '(c)' ;;
	go)      echo '(d)' ;;
	esac
}

# bars LONGEST HUE: draw what times() and all() tell.
bars()
{
	awk -v longest="$1" -v hue="$2" -v plain="$PLAIN" -v full="$FULL" \
	    -v light="$LIGHT" '
	function column(t) { return int(t / longest * 70 + 0.5) }
	{
		a = column($3); b = column($4); c = column($5)
		if (c == a)
			c = a + 1
		line = sprintf("%s %3s  ", $1, $2)
		for (i = 0; i < a; i++)
			line = line " "
		line = line hue
		for (; i < c; i++)
			line = line (i < b ? light : full)
		print line plain
	}'
}

mysql_demo()
{
	local i way status rows BAD=('' '' '' '')

	say ""
	rows=$(grep -vc '^#' "$DEMOS/elements.tsv")
	say "${BOLD}MySQL${PLAIN}: $CONNECTIONS connections; in each," \
		"SELECT SLEEP($PAUSE), then $rows rows to check."

	busy "Starting a private MariaDB server"
	mariadb_start "$TMP/mariadb" 2>"$TMP/log" && make_table 2>>"$TMP/log"
	status=$?
	idle
	if [ "$status" != 0 ]; then
		cat "$TMP/log" >&2
		die "no server, so no MySQL demo"
	fi

	rm -f "$TMP"/*.times
	for i in "${!WAYS[@]}"; do
		way=${WAYS[i]} status=0
		busy "${TITLES[i]}"
		mysql_way "$way" || status=$?
		idle
		[ "$status" = 0 ] && ! not_loaded "$TMP/$way.err" && continue
		BAD[i]=failed FAILED=1
		complain "${TITLES[i]}: $(why_failed "$status")"
		said "$TMP/$way.err"
	done
	mariadb_stop

	mysql_table
	mysql_bars
}

mysql_missing()
{
	mariadb_missing
	[ -e /usr/include/mysql/mysql.h ] ||
		[ -e /usr/include/mariadb/mysql.h ] ||
		echo default-libmysqlclient-dev
}

mysql_stop()
{
	mariadb_stop
}
