# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# visits.sh - what the demos of client libraries share: the same visits to a
# server one after the other, a thread each, and under cohook.  To be sourced
# by such a demo.

VISITS_TITLES=("one after the other" "a thread each" "the same, under cohook")

# visits_way WAY N PROGRAM MODE [ASSIGNMENT]
visits_way()
{
	local way=$1 n=$2 program=$3 mode=$4

	shift 4
	job "$TMP/$way.out" "$TMP/$way.err" timeout -k 5 "$MODE_TIMEOUT" \
		env "$@" "$BIN/$program" "$mode" "$n"
}

# visits_all PROGRAM N WHAT: all three, and a table; WHAT is counted there.
visits_all()
{
	local program=$1 n=$2 what=$3 i serial

	[ -x "$BIN/$program" ] || die "the build made no $program"
	try "${program}_0" "${VISITS_TITLES[0]}" \
		visits_way "${program}_0" "$n" "$program" serial
	try "${program}_1" "${VISITS_TITLES[1]}" \
		visits_way "${program}_1" "$n" "$program" threads
	try "${program}_2" "${VISITS_TITLES[2]}" \
		visits_way "${program}_2" "$n" "$program" threads \
		LD_PRELOAD="$LIB"

	printf '\n%s%-28s %8s %8s %9s %8s %9s%s\n' "$BOLD" '' seconds \
		kernel peak "$what" times "$PLAIN"
	printf '%s%-28s %8s %8s %9s %8s %9s%s\n' "$BOLD" '' '' \
		threads memory right faster "$PLAIN"
	serial=$(of "${program}_0" seconds)
	for i in 0 1 2; do
		visits_row "${program}_$i" "${HUES[i]}" "${VISITS_TITLES[i]}"
	done
}

visits_row()
{
	local s

	s=$(of "$1" seconds)
	if [ -z "$s" ]; then
		failed_row "$2" "$3"
		return
	fi
	printf '%s%-28s%s %8.3f %8d %5.1f MiB %8d %9s\n' "$2" "$3" "$PLAIN" \
		"$s" "$(of "$1" threads)" "$(mib "$(of "$1" peak_kib)")" \
		"$(of "$1" right)" "$(awk -v a="$serial" -v b="$s" \
			'BEGIN { if (a) printf "%.1f", a / b; else print "-" }')"
}
