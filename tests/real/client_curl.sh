#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# client_curl.sh - libcurl by HTTPS, against the demos' server, which runs bare;
# then that server under cohook, and its clients bare.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/private.sh"

need_client client_curl
need_client https_server
private_certificates "$TMP/tls" || exit 1
private_certificates "$TMP/other" || exit 1
export TLS_CA=$TMP/tls/ca.pem TLS_OTHER_CA=$TMP/other/ca.pem

HTTPS_PID=
at_exit='private_stop HTTPS'
# serve [VARIABLE=VALUE...]
serve()
{
	private_start HTTPS private_exec "$(id -un)" env "$@" \
		"$BUILD/tests/real/https_server" 0 "$TMP/tls/server.pem" \
		"$TMP/tls/server.key" >"$TMP/port"
	private_ready HTTPS grep -q port "$TMP/port" || exit 1
	HTTPS_PORT=$(sed 's/port //' "$TMP/port")
	export HTTPS_PORT
}

serve A=a
clients client_curl
private_stop HTTPS

WAYS=bare
for workers in 1 2; do
	echo "the server under cohook, workers: $workers"
	serve LD_PRELOAD="$LIB" COHOOK_WORKERS=$workers
	clients client_curl easy waits_overlap multi_poll
	private_stop HTTPS
done
finish
