#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# server_mariadb.sh - MariaDB's server, with a thread for each connection, under
# the library: what client_mysql.c checks, by clients that run bare; a load;
# few kernel threads; and an orderly end.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/mariadb.sh"

need_client client_mysql
[ -z "$(mariadb_missing)" ] || {
	echo "missing: $(mariadb_missing | tr '\n' ' ')"
	exit 77
}
private_certificates "$TMP/tls" || exit 1
MARIADB_OPTIONS=(--ssl-cert="$TMP/tls/server.pem"
	--ssl-key="$TMP/tls/server.key" --ssl-ca="$TMP/tls/ca.pem"
	--thread-handling=one-thread-per-connection)
at_exit=mariadb_stop
mariadb_start "$TMP/db" || exit 1
mariadb_stop
export MYSQL_USER=$MARIADB_USER MYSQL_PWD=$MARIADB_PASSWORD \
	MYSQL_DB=$MARIADB_DATABASE MYSQL_TCP_PORT=$MARIADB_PORT \
	MYSQL_UNIX_PORT=$MARIADB_SOCKET MYSQL_CA=$TMP/tls/ca.pem
: >"$TMP/log"
chmod 666 "$TMP/log"
WAYS=bare
finds()
{
	[ "$(mariadb_sql -e "$1")" = "$2" ]
}

# 50 clients who each move money from one account to another, 20 times, and
# then wait for a lock that we hold: nothing is lost, and $threads is how many
# kernel threads the server had then.
moves()
{
	local i k a b c clients=()

	mariadb_sql <<-END || return
		drop table if exists account;
		create table account (id int primary key, n int) engine=innodb;
		insert into account select seq, 100 from seq_1_to_50;
	END
	coproc gate { mariadb_sql --unbuffered; }
	echo "do get_lock('gate', 0); select 'held';" >&"${gate[1]}"
	read -r -t 20 _ <&"${gate[0]}" || return
	for ((i = 1; i <= 50; i++)); do
		{
			for ((k = 0; k < 20; k++)); do
				a=$((RANDOM % 50 + 1)) b=$((RANDOM % 50 + 1))
				# In one order: no two wait for each other.
				[ $a -le $b ] || { c=$a a=$b b=$c; }
				echo "start transaction;
				update account set n = n - $i where id = $a;
				update account set n = n + $i where id = $b;
				commit;"
			done
			echo "do get_lock('gate', 60), release_lock('gate');"
		} | mariadb_sql &
		clients+=($!)
	done
	until_true finds "select count(*) from information_schema.processlist
		where state = 'User lock'" 50 || return
	threads=$(ps -o nlwp= -p "$MARIADB_PID" | tr -d ' ')
	echo "do release_lock('gate');" >&"${gate[1]}"
	exec {gate[1]}>&-
	for i in "${clients[@]}"; do
		wait "$i" || return
	done
	finds 'select sum(n), count(*) from account' $'5000\t50'
}

is_in_order()
{
	local table

	for table in $(mariadb_sql -e 'show tables'); do
		mariadb_sql -e "check table $table" | grep -q 'status.*OK$' ||
			return
	done
}

# ends: as it is asked to, with all that it had to write.
ends()
{
	local pid=$MARIADB_PID

	mariadb_sql -e shutdown || return
	until_true eval "! kill -0 $pid" || return
	wait "$pid" || return
	MARIADB_PID=
	! grep -E 'signal|\[ERROR\]|Assertion' "$TMP/db/error.log"
}

for mode in bare 1 2 now; do
	case $mode in
	bare) PRIVATE_ENV=() name=bare ;;
	now) PRIVATE_ENV=("LD_PRELOAD=$LIB" COHOOK_START=now) name=now ;;
	*)
		PRIVATE_ENV=("LD_PRELOAD=$LIB" "COHOOK_WORKERS=$mode")
		name="hooked with $mode"
		;;
	esac
	[ $mode = bare ] || PRIVATE_ENV+=("COHOOK_LOG=warn:$TMP/log")
	[ -z "${REAL_BARE:-}" ] || PRIVATE_ENV=()
	: >"$TMP/db/error.log"
	mariadb_again "$TMP/db" || {
		fail "$name: it comes up"
		continue
	}
	if [ $mode = 1 ] || [ $mode = 2 ]; then
		echo "by clients of the server, $name:"
		clients client_mysql \
			$("$BUILD/tests/real/client_mysql" --list |
				grep -v restart)
	fi
	threads=0
	check "$name: 50 clients move money, and none is lost" moves
	if [ $mode = bare ] || [ -n "${REAL_BARE:-}" ]; then
		check "$name: $threads kernel threads" test "$threads" -gt 50
	else
		check "$name: $threads kernel threads" test "$threads" -lt 25
	fi
	check "$name: the tables are in order" is_in_order
	check "$name: it ends" ends
	mariadb_stop
	check "$name: no word in the log" diff /dev/null "$TMP/log"
done
finish
