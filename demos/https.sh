# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# https.sh - many fetches from an HTTPS server of our own; see lib.sh.

. "$DEMOS/private.sh"
. "$DEMOS/visits.sh"

https_demo()
{
	local n

	n=$(quick 100 20)
	say ""
	say "${BOLD}HTTPS${PLAIN}: $n connections with TLS; each fetches 100 kB," \
		"for which the server"
	say "takes 50 ms."
	private_certificates "$TMP/tls" || die "no certificates"
	[ -x "$BIN/https_server" ] || die "the build made no https_server"
	: >"$TMP/https.err"
	if ! serve https "$BIN/https_server" 0 "$TMP/tls/server.pem" \
		"$TMP/tls/server.key"; then
		cat "$TMP/https.err" >&2
		die "no server, so no HTTPS demo"
	fi
	export HTTPS_PORT=$SERVER_PORT HTTPS_CA=$TMP/tls/ca.pem
	visits_all https_visits "$n" pages
	serve_stop || FAILED=1
}

https_missing()
{
	has openssl || echo openssl
	[ -e /usr/include/openssl/ssl.h ] || echo libssl-dev
	[ -e "/usr/include/$(uname -m)-linux-gnu/curl/curl.h" ] ||
		[ -e /usr/include/curl/curl.h ] || echo libcurl4-openssl-dev
}
