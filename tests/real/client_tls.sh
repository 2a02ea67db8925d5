#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# client_tls.sh - OpenSSL, clients and servers in one process.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/private.sh"

need_client client_tls
private_certificates "$TMP/tls" || exit 1
private_certificates "$TMP/other" || exit 1
export TLS_CERT=$TMP/tls/server.pem TLS_KEY=$TMP/tls/server.key \
	TLS_CA=$TMP/tls/ca.pem TLS_OTHER_CA=$TMP/other/ca.pem
clients client_tls
finish
