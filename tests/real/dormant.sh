#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# dormant.sh - a program that never starts a thread never meets us: it has one
# kernel thread, and a log that tells all tells nothing.
. "$(dirname "$0")/lib.sh"

[ -z "${REAL_BARE:-}" ] || {
	echo "bare, there is nothing to compare"
	exit 77
}
mkdir "$TMP/work" && cd "$TMP/work" || exit 1
seq 5000 >numbers
export COHOOK_LOG=info:$TMP/log PYTHON

# The log has a line, so silence means something.
speaks()
{
	rm -f "$TMP/log"
	in_mode "$@"
	[ -s "$TMP/log" ]
}
check 'a thread starts the runtime, and the log says so' \
	speaks hooked "$PYTHON" -c '
import threading
t = threading.Thread(target=print)
t.start()
t.join()'
check 'so does COHOOK_START=now' speaks now /bin/true

silent()
{
	rm -f "$TMP/log"
	in_mode hooked bash -c "$1" </dev/null || return
	[ ! -s "$TMP/log" ] || {
		cat "$TMP/log"
		return 1
	}
}
while read -r commands; do
	check "dormant: $commands" silent "$commands"
done <<'END'
ls -l /
grep -c 7 numbers
cat numbers | head -n 1 | tr 0-9 a-j
tar -cf - numbers | gzip | zcat | tar -tf -
find . -type f -exec wc {} +
awk '{ s += $1 } END { print s }' numbers
sed -n 7p numbers
xargs -P 4 -n 50 echo <numbers | wc -l
timeout 10 sleep 0.01
dd if=/dev/zero bs=64K count=4 | md5sum
git --version
make --version
$PYTHON -c 'import socket, subprocess; a, b = socket.socketpair(); a.send(b"x"); b.recv(1); subprocess.run("true")'
(sleep 0.01 & wait; read -t 0.01 x <> <(sleep 1) || true; kill -0 $$)
END

# The kernel's own count, while the program waits in the middle of its work.
threads()
{
	local mode=$1 cat pid n line

	mkfifo "$TMP/in" "$TMP/out"
	in_mode "$mode" cat <"$TMP/in" >"$TMP/out" 2>"$TMP/err" &
	cat=$!
	exec 7>"$TMP/in" 8<"$TMP/out"
	echo hello >&7
	read -r -t 20 line <&8
	# timeout's child is the cat.
	pid=$(cat "/proc/$cat/task/$cat/children")
	n=$(find "/proc/${pid// /}/task" -mindepth 1 -maxdepth 1 | wc -l)
	exec 7>&- 8<&-
	wait "$cat"
	rm -f "$TMP/in" "$TMP/out"
	echo "$mode: $line, $n kernel threads"
	[ "$line" = hello ] && [ "$n" = "$2" ]
}
check 'one kernel thread' threads hooked 1
finish
