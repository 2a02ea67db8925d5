#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# client_pq.sh - libpq, by TCP, Unix socket and TLS, against a private
# PostgreSQL.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/postgres_server.sh"

need_client client_pq
POSTGRES_HOME=$BUILD/postgresql
postgres_bin >/dev/null || {
	echo "there is no PostgreSQL server"
	exit 77
}
private_certificates "$TMP/tls" || exit 1
at_exit=postgres_stop
POSTGRES_OPTIONS=(-c ssl=on -c ssl_cert_file="$TMP/pg/server.pem"
	-c ssl_key_file="$TMP/pg/server.key")
# It wants its key to be nobody's but its own.
mkdir "$TMP/pg" && cp "$TMP"/tls/server.* "$TMP/pg" || exit 1
chmod 600 "$TMP/pg/server.key"
[ "$(id -u)" != 0 ] || chown "$(private_user postgres)" "$TMP/pg/server.key"
postgres_start "$TMP/pg" || exit 1
export PG_PORT=$POSTGRES_PORT PG_USER=$POSTGRES_USER \
	PG_PASSWORD=$POSTGRES_PASSWORD PG_SOCKET_DIR=$TMP/pg \
	PG_CA=$TMP/tls/ca.pem
clients client_pq
finish
