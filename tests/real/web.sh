# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# web.sh - what a web server is asked: every byte of what it serves, at once, to
# many, and new processes amidst.  To be sourced behind lib.sh.
#
#   TMP/www               what it shall serve, on $port
#   serves CLIENTS N      so many clients, each with so many requests
#   renews SIGNAL N       that makes it take new processes; clients go on
#   most_threads          kernel threads of the process of it that has most

. "$REAL/server.sh"

mkdir "$TMP/www"
for n in 0 1 100 1000 4096 65536 300000; do
	head -c "$n" /dev/urandom >"$TMP/www/f$n"
done
chmod -R a+rX "$TMP/www"

answers()
{
	curl -sf "http://127.0.0.1:$port/f1"
}

serves()
{
	timeout -k 5 "$LIMIT" "$PYTHON" "$REAL/http_client.py" "$port" \
		"$TMP/www" "$@"
}

# The clients' connections are served to their end by those that had them.
renews()
{
	local client

	RESTARTS=1 serves 20 "$2" >"$TMP/client" 2>&1 &
	client=$!
	sleep 0.1
	kill "-$1" "$server"
	# Who comes while nobody listens yet is refused, bare as well.
	wait "$client" || ! grep '^wrong' "$TMP/client" | grep -iv connection
	until_true answers && RESTARTS=1 serves 20 10
}

most_threads()
{
	ps -o nlwp= --ppid "$server" | sort -n | tail -n 1 | tr -d ' '
}
