#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# curl.sh - libcurl's sockets, polls and its threaded resolver.
. "$(dirname "$0")/lib.sh"

mkdir "$TMP/www"
for i in $(seq 200); do seq "$i" $((i * 40)) >"$TMP/www/f$i"; done
head -c 8000000 /dev/zero | tr '\0' z >"$TMP/www/big"
mkfifo "$TMP/port"
"$PYTHON" "$REAL/http_server.py" "$TMP/www" >"$TMP/port" 2>/dev/null &
server=$!
at_exit='kill $server; wait $server 2>/dev/null'
read -r -t 30 port <"$TMP/port" || {
	echo "the HTTP server does not start" >&2
	exit 1
}
export U=http://127.0.0.1:$port
export CURL="curl -q -sS"

alike get '$CURL $U/f7; $CURL $U/big | md5sum; $CURL -I $U/f9 | grep -ci content-length'
alike 'get in chunks' '$CURL $U/chunks; $CURL -N $U/chunks | cat'
alike 'get a range, follow, resume' '
	$CURL -r 10-29 $U/f9; $CURL -L $U/moved; $CURL -w "%{http_code}\n" $U/moved
	$CURL -o b $U/big; $CURL -o b2 --limit-rate 40M $U/big; cmp b b2'
alike 'post and upload' '
	$CURL -d hello $U/; head -c 3000000 /dev/zero | $CURL --data-binary @- $U/ | wc -c
	seq 9999 >up; $CURL -T up $U/up | rev | tac | md5sum
	$CURL -H "Expect: 100-continue" -d @up $U/ | wc -c'
alike 'keep a connection' '
	$CURL $U/f1 $U/f2 $U/f3 $U/f4 -w "%{num_connects}\n" | tail -n 1'
alike 'many in parallel' '
	$CURL --parallel --parallel-max 100 -o "o#1" "$U/f[1-200]"; echo $?
	for i in $(seq 200); do cat o$i; done | md5sum'
alike 'many curls at once' '
	for i in $(seq 40); do $CURL -o c$i $U/f$i & done; wait; cat c* | md5sum'
alike 'errors' '
	$CURL -f $U/nosuch; echo $?; $CURL $U/dies | wc -c; echo ${PIPESTATUS[0]}
	$CURL http://127.0.0.1:1/; echo $?; $CURL nosuch://x; echo $?
	$CURL -o /dev/full $U/big; echo $?; $CURL http://[; echo $?'
alike 'timeouts' '
	$CURL -m 0.3 $U/never; echo $?
	$CURL -m 0.3 $U/never & $CURL -m 0.3 $U/never & wait; echo here'
alike 'a reader that goes away' '$CURL $U/big | head -c 100 | wc -c; echo ${PIPESTATUS[0]}'
alike 'file://' 'seq 99 >f; $CURL "file://$PWD/f" | md5sum; $CURL file:///nosuch; echo $?'

# A name that is no address takes the resolver's thread; the hosts file is as
# far as it may go.
name=$(awk '$1 == "127.0.0.1" || $1 == "127.0.1.1" {
	for (i = 2; i <= NF; i++)
		if ($i !~ /^#/ && $i !~ /localhost/) { print $i; exit } }' /etc/hosts)
if [ -n "$name" ] && [ "$(getent ahostsv4 "$name" |
	awk '{ print $1; exit }')" = 127.0.0.1 ]; then
	export N=http://$name:$port
	alike 'a name to resolve' '$CURL -4 $N/f7 | md5sum; $CURL -4 --parallel -o "n#1" "$N/f[1-50]"; echo $?'
else
	skip 'a name to resolve' 'the hosts file has none but localhost for 127.0.0.1'
fi
finish
