#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# mysqlslap.sh - MariaDB's own load client, with 200 threads, and the plain
# client, against a private server.  The server runs bare: it is no subject.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/mariadb.sh"

slap=$(command -v mariadb-slap || command -v mysqlslap) || {
	echo "there is no mariadb-slap"
	exit 77
}
[ -z "$(mariadb_missing)" ] || {
	echo "missing: $(mariadb_missing | tr '\n' ' ')"
	exit 77
}
at_exit=mariadb_stop
mariadb_start "$TMP/db" || exit 1
export MYSQL_PWD=$MARIADB_PASSWORD
export SLAP="$slap --no-defaults"
export SQL="mariadb --no-defaults --batch --skip-column-names"
export TCP="--protocol=tcp --host=127.0.0.1 --port=$MARIADB_PORT
	--user=$MARIADB_USER"
export UNIX="--socket=$MARIADB_SOCKET --user=$MARIADB_USER"
export DB=$MARIADB_DATABASE

# mariadb-slap reports seconds, which are never alike, and how many clients
# and queries there were; the tables tell what arrived.
counted='sed -nE "s/ [0-9.]+ seconds\$/ seconds/; /(clients|queries)/p"'

alike '200 clients over TCP' "
	\$SLAP \$TCP --concurrency=200 --iterations=2 --auto-generate-sql \
		--number-of-queries=4000 2>&1 | $counted; echo \${PIPESTATUS[0]}"
alike '200 clients over the socket' "
	\$SLAP \$UNIX --concurrency=200 --auto-generate-sql \
		--number-of-queries=4000 2>&1 | $counted; echo \${PIPESTATUS[0]}"
alike '200 clients, who connect anew now and then' "
	\$SLAP \$TCP --concurrency=200 --auto-generate-sql --detach=3 \
		--number-of-queries=2000 2>&1 | $counted; echo \${PIPESTATUS[0]}"
alike '200 clients, and every row counted' "
	\$SLAP \$TCP --concurrency=200 --number-of-queries=4000 --no-drop \
		--create-schema=slap --delimiter=';' \
		--create='create table t (id int auto_increment primary key, c bigint, v varchar(40)); create view w as select connection_id()' \
		--query=\"insert into t (c, v) values (connection_id(), 'a row')\" \
		2>&1 | $counted; echo \${PIPESTATUS[0]}
	\$SQL \$TCP -e 'select count(*), count(distinct c), min(v), max(v) from slap.t'
	\$SQL \$TCP -e 'drop database slap'"
alike '200 clients, who all sleep' "
	\$SLAP \$TCP --concurrency=200 --number-of-queries=400 \
		--create-schema=\$DB --query='select sleep(0.05)' 2>&1 |
		$counted; echo \${PIPESTATUS[0]}"
alike 'a statement that fails' "
	\$SLAP \$TCP --concurrency=20 --create-schema=\$DB --query='select nosuch' \
		>/dev/null 2>&1; echo \$?
	\$SLAP \$TCP --port=1 --concurrency=20 -a >/dev/null 2>&1; echo \$?"
alike 'the plain client' '
	$SQL $TCP $DB -e "select seq, seq * seq from seq_1_to_10000" | md5sum
	$SQL $UNIX $DB -e "select repeat(\"x\", 3000000)" | wc -c
	echo "create temporary table x (a int); insert into x values (1), (2);
	select sum(a) from x;" | $SQL $TCP $DB; $SQL $TCP $DB -e "select nosuch"; echo $?'
finish
