# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# files.sh - files served by a thread for each connection, and a log that is on
# the disk before the next lines are taken; see lib.sh.

FILES_SIZES="1 64 1024"         # KiB

# files_way WAY KIB [ASSIGNMENT]: its log must have a line for each request.
files_way()
{
	local way=$1 kib=$2 log=$TMP/$1.log requests lines rounds

	shift 2
	rounds=$(((FILES_REQUESTS / FILES_CONNECTIONS) / (1 + kib / 128) + 1))
	rm -f "$log"
	serve "$way" env "$@" "$BIN/files_server" "$TMP/files" "$log" &&
		against "$way" env LD_PRELOAD="$LIB" "$BIN/http_client" \
			-p "$SERVER_PORT" -u "/$kib.bin" \
			-f "$TMP/files/$kib.bin" -k "$FILES_CONNECTIONS" \
			-r "$rounds" -s "$SERVER_PID" || return
	requests=$(of "$way" requests)
	lines=$(grep -c "^GET /$kib.bin 200 $((kib * 1024))\$" "$log")
	if [ "$lines" != "$requests" ] ||
	   [ "$(wc -l <"$log")" != "$requests" ]; then
		echo "$requests requests, $lines right lines in the log" \
			>>"$TMP/$way.err"
		return 1
	fi
}

files_demo()
{
	local kib cpus

	cpus=$(nproc)
	FILES_CONNECTIONS=$(quick 200 50)
	FILES_REQUESTS=$(quick 20000 1000)
	mkdir -p "$TMP/files"
	for kib in $FILES_SIZES; do
		head -c $((kib * 1024)) /dev/urandom >"$TMP/files/$kib.bin"
	done
	say ""
	say "${BOLD}Files${PLAIN}: a thread for each of" \
		"$FILES_CONNECTIONS connections, and one for the log,"
	say "which is on the disk before it takes more."
	for kib in $FILES_SIZES; do
		try "files_bare_$kib" "$kib KiB, a thread each" \
			files_way "files_bare_$kib" "$kib"
		try "files_hooked_$kib" "$kib KiB, under cohook, one worker" \
			files_way "files_hooked_$kib" "$kib" \
			LD_PRELOAD="$LIB" COHOOK_WORKERS=1
		try "files_workers_$kib" "$kib KiB, with $cpus workers" \
			files_way "files_workers_$kib" "$kib" LD_PRELOAD="$LIB"
	done

	printf '\n%s%-28s %9s %12s %12s %12s%s\n' "$BOLD" '' file requests \
		'MiB' 'kernel' "$PLAIN"
	printf '%s%-28s %9s %12s %12s %12s%s\n' "$BOLD" '' '' 'per second' \
		'per second' threads "$PLAIN"
	for kib in $FILES_SIZES; do
		files_row bare "$kib" "${HUES[1]}" "a thread each"
		files_row hooked "$kib" "${HUES[2]}" "under cohook, one worker"
		files_row workers "$kib" "${HUES[3]}" "with $cpus workers"
	done
}

files_row()
{
	local way=files_$1_$2 kib=$2 per_second

	per_second=$(of "$way" per_second)
	if [ -z "$per_second" ]; then
		failed_row "$3" "$4"
		return
	fi
	printf '%s%-28s%s %5d KiB %12d %12.0f %12d\n' "$3" "$4" "$PLAIN" \
		"$kib" "$per_second" "$((per_second * kib / 1024))" \
		"$(of "$way" threads)"
}
