# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# compare.sh - four ways to serve the same requests, and a plot of it; see
# lib.sh.

COMPARE_WAYS=(serial threads coroutines loop)
COMPARE_TITLES=("one after the other" "a thread each"
	"the same, under cohook" "an epoll loop by hand")

# compare_way WAY CONNECTIONS
compare_way()
{
	local way=compare_$1_$2 k=$2 rounds server

	rounds=$(((COMPARE_REQUESTS + k - 1) / k))
	[ "$rounds" -le "$COMPARE_ROUNDS" ] || rounds=$COMPARE_ROUNDS
	case $1 in
	serial)     server=("$BIN/http_server" -1)
		    rounds=$(((COMPARE_ROUNDS + k - 1) / k)) ;;
	threads)    server=("$BIN/http_server") ;;
	coroutines) server=(env LD_PRELOAD="$LIB" "$BIN/http_server") ;;
	loop)       server=("$BIN/http_loop") ;;
	esac
	serve "$way" "${server[@]}" 0 &&
		against "$way" env LD_PRELOAD="$LIB" "$BIN/http_client" \
			-p "$SERVER_PORT" -u /slow -k "$k" -r "$rounds" \
			-s "$SERVER_PID"
}

compare_demo()
{
	local i k way most connections=(1 3 10 32 100 320 1000)

	[ -z "$QUICK" ] || connections=(1 10 100)
	COMPARE_REQUESTS=$(quick 15000 1000)
	COMPARE_ROUNDS=$(quick 40 10)   # at most, of each connection
	room_for "${connections[-1]}"
	say ""
	say "${BOLD}Compare${PLAIN}: four ways to serve requests that wait" \
		"10 ms, as if for a database."
	: >"$TMP/compare"
	for i in "${!COMPARE_WAYS[@]}"; do
		way=${COMPARE_WAYS[i]}
		for k in "${connections[@]}"; do
			# Serial is as fast with ten as with a thousand.
			[ "$way" != serial ] || [ "$k" -le 32 ] || continue
			try "compare_${way}_$k" \
				"${COMPARE_TITLES[i]}, connections: $k" \
				compare_way "$way" "$k" || continue
			echo "$i $k $(of "compare_${way}_$k" per_second)" \
				>>"$TMP/compare"
		done
	done
	most=$(awk '$3 > m { m = $3 } END { print m + 0 }' "$TMP/compare")
	[ "$most" != 0 ] || return 0
	compare_ascii "${connections[-1]}"
	compare_cost "${connections[-1]}"
	compare_svg "${connections[-1]}" >"$BIN/compare.svg"
	say ""
	say "The same as a picture: ${BIN#"$PWD/"}/compare.svg"
}

# Both axes are logarithmic: 3 columns of 20, and a line for each fifth of ten.
compare_ascii()
{
	printf '\n%sRequests per second, by the number of connections:%s\n\n' \
		"$BOLD" "$PLAIN"
	awk -v last="$1" -v hues="$(printf '%s\t' "${HUES[@]}")" \
		-v plain="$PLAIN" '
	function lg(x) { return log(x) / log(10) }
	BEGIN { split(hues, hue, "\t") }
	{
		x = int(lg($2) / lg(last) * 62 + 0.5)
		y = int((lg($3) - 1) * 5 + 0.5)
		at[x, y] = (x, y) in at ? 5 : $1 + 1
		if (y > top)
			top = y
	}
	END {
		for (y = top + 1; y >= 0; y--) {
			line = y % 5 == 0 ? sprintf("%8d +", 10 ^ (1 + y / 5)) \
				: sprintf("%8s |", "")
			for (x = 0; x <= 62; x++) {
				w = at[x, y]
				line = line (w ? hue[w] substr("abcd*", w, 1) \
					plain : " ")
			}
			sub(/ +$/, "", line)
			print line
		}
		line = sprintf("%8s +", "")
		for (x = 0; x <= 62; x++)
			line = line "-"
		print line
		line = sprintf("%9s", "")
		for (n = 1; n <= last; n *= 10) {
			while (length(line) < 10 + \
			       int(lg(n) / lg(last) * 62) - length(n "") + 1)
				line = line " "
			line = line n
		}
		print line
	}' "$TMP/compare"
	printf '\n%-27s' ''
	awk '!($2 in seen) { seen[$2]; k[n++] = $2 }
		$2 > m { m = $2 }
		END {
			for (i = 1; i <= m; i++)
				if (i in seen)
					printf "%7d", i
			print ""
		}' "$TMP/compare"
	local i
	for i in "${!COMPARE_WAYS[@]}"; do
		printf '%s%s  %-24s%s' "${HUES[i]}" "$(cut -c $((i + 1)) \
			<<<abcd)" "${COMPARE_TITLES[i]}" "$PLAIN"
		awk -v way="$i" '
			{ seen[$2] }
			$1 == way { rate[$2] = $3 }
			$2 > m { m = $2 }
			END {
				for (i = 1; i <= m; i++)
					if (i in seen)
						line = line sprintf("%7s",
							rate[i])
				sub(/ +$/, "", line)
				print line
			}' "$TMP/compare"
	done
}

# With as many connections as there were.
compare_cost()
{
	local i way

	printf '\n%swith %-22s %10s %10s %12s%s\n' "$BOLD" "$1 connections:" \
		'CPU us' kernel 'peak memory' "$PLAIN"
	printf '%s%-27s %10s %10s %12s%s\n' "$BOLD" '' 'a request' \
		threads 'of server' "$PLAIN"
	for i in "${!COMPARE_WAYS[@]}"; do
		way=compare_${COMPARE_WAYS[i]}_$1
		[ -s "$TMP/$way.out" ] || continue
		printf '%s%s  %-24s%s %10s %10s %8s MiB\n' "${HUES[i]}" \
			"$(cut -c $((i + 1)) <<<abcd)" "${COMPARE_TITLES[i]}" \
			"$PLAIN" "$(of "$way" cpu_us)" "$(of "$way" threads)" \
			"$(mib "$(of "$way" peak_kib)")"
	done
}

compare_svg()
{
	awk -v last="$1" -v titles="$(printf '%s\t' "${COMPARE_TITLES[@]}")" '
	function lg(x) { return log(x) / log(10) }
	function px(n) { return 70 + lg(n) / lg(last) * 470 }
	function py(r) { return 330 - (lg(r) - 1) * 72 }
	function text(x, y, anchor, hue, s) {
		printf "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" " \
			"fill=\"%s\">%s</text>\n", x, y, anchor, hue, s
	}
	BEGIN {
		split(titles, title, "\t")
		split("#b58900 #268bd2 #3a9a3a #8a4fbf", hue, " ")
		print "<svg xmlns=\"http://www.w3.org/2000/svg\" " \
			"viewBox=\"0 0 760 390\" font-family=\"sans-serif\" " \
			"font-size=\"13\">"
		print "<rect width=\"760\" height=\"390\" fill=\"white\"/>"
		text(70, 24, "start", "black", \
			"Requests per second that wait 10 ms each")
		for (r = 10; r <= 100000; r *= 10) {
			printf "<path d=\"M70 %d H540\" stroke=\"#ddd\"/>\n",
				py(r)
			text(62, py(r) + 4, "end", "black", r)
		}
		for (n = 1; n <= last; n *= 10) {
			printf "<path d=\"M%d 42 V330\" stroke=\"#ddd\"/>\n",
				px(n)
			text(px(n), 350, "middle", "black", n)
		}
		text(305, 376, "middle", "black", "connections")
	}
	{
		w = $1 + 1
		line[w] = line[w] (line[w] == "" ? "M" : " L") \
			int(px($2)) " " int(py($3))
		dots[w] = dots[w] sprintf( \
			"<circle cx=\"%d\" cy=\"%d\" r=\"3\"/>", px($2), py($3))
		end[w] = py($3)
		where[w] = px($2)
	}
	END {
		for (w = 1; w <= 4; w++) {
			if (line[w] == "")
				continue
			printf "<g fill=\"%s\"><path d=\"%s\" fill=\"none\" " \
				"stroke=\"%s\" stroke-width=\"2\"/>%s</g>\n",
				hue[w], line[w], hue[w], dots[w]
			order[w] = end[w]
		}
		# The names, beside the ends of their lines but apart.
		for (done = 0; done < 4; done++) {
			best = 0
			for (w = 1; w <= 4; w++)
				if (w in order && (!best || \
				    order[w] < order[best]))
					best = w
			if (!best)
				break
			y = end[best] + 4
			if (done && y < before + 17)
				y = before + 17
			before = y
			delete order[best]
			text((where[best] > 500 ? 552 : where[best] + 12), y, \
				"start", hue[best], title[best])
		}
		print "</svg>"
	}' "$TMP/compare"
}
