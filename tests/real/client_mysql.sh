#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# client_mysql.sh - MySQL's client library, by TCP, Unix socket and TLS,
# against a private MariaDB, which dies and comes back in the end.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/mariadb.sh"

need_client client_mysql
[ -z "$(mariadb_missing)" ] || {
	echo "missing: $(mariadb_missing | tr '\n' ' ')"
	exit 77
}
private_certificates "$TMP/tls" || exit 1
MARIADB_OPTIONS=(--ssl-cert="$TMP/tls/server.pem"
	--ssl-key="$TMP/tls/server.key" --ssl-ca="$TMP/tls/ca.pem")
at_exit=mariadb_stop
mariadb_start "$TMP/db" || exit 1
export MYSQL_USER=$MARIADB_USER MYSQL_PWD=$MARIADB_PASSWORD \
	MYSQL_DB=$MARIADB_DATABASE MYSQL_TCP_PORT=$MARIADB_PORT \
	MYSQL_UNIX_PORT=$MARIADB_SOCKET MYSQL_CA=$TMP/tls/ca.pem

clients client_mysql $("$BUILD/tests/real/client_mysql" --list | grep -v restart)

# The program writes there when all its threads wait for the server.
mkfifo "$TMP/restart"
export RESTART=$TMP/restart
wanted restart || finish
for way in $WAYS; do
	client_run client_mysql restart "$way" &
	client=$!
	# Opened for both, it does not wait for ever for one that has died.
	if read -r -t 30 _ <>"$TMP/restart"; then
		mariadb_stop
		mariadb_again "$TMP/db" || exit 1
	fi
	status=0
	wait "$client" || status=$?
	client_verdict restart "$way" "$status"
done
finish
