#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# sysbench.sh - LuaJIT in many threads: locks, yields, loops, a database.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/mariadb.sh"

command -v sysbench >/dev/null || {
	echo "there is no sysbench"
	exit 77
}

# How many there were, not how long they took.
export COUNTED='sed -nE "s/ +/ /g; /total number of events|FATAL|ALERT|error/p"'
for threads in 1 4 64; do
	alike "threads, $threads" "
		sysbench threads --threads=$threads --events=2000 --time=0 \
			--thread-yields=20 --thread-locks=4 run 2>&1 |
		eval \"\$COUNTED\"; echo \${PIPESTATUS[0]}"
	alike "mutex, $threads" "
		sysbench mutex --threads=$threads --mutex-num=32 \
			--mutex-locks=2000 --mutex-loops=200 run 2>&1 |
		eval \"\$COUNTED\"; echo \${PIPESTATUS[0]}"
	alike "cpu, $threads" "
		sysbench cpu --threads=$threads --cpu-max-prime=500 \
			--events=4000 --time=0 run 2>&1 |
		eval \"\$COUNTED\"; echo \${PIPESTATUS[0]}"
	alike "memory, $threads" "
		sysbench memory --threads=$threads --memory-block-size=64K \
			--memory-total-size=256M run 2>&1 |
		eval \"\$COUNTED\"; echo \${PIPESTATUS[0]}"
done
alike 'fileio, 16' "
	f='sysbench fileio --file-total-size=4M --file-num=8 --threads=16'
	f=\"\$f --file-test-mode=rndrw --events=2000 --time=0\"
	\$f prepare >/dev/null; \$f run 2>&1 | eval \"\$COUNTED\"
	echo \${PIPESTATUS[0]}; \$f cleanup >/dev/null; ls"
alike 'a run of half a second, with reports' "
	sysbench cpu --threads=8 --cpu-max-prime=500 --time=1 \
		--report-interval=1 run >out 2>&1; echo \$?
	grep -c 'total number of events' out; rm out"

[ -z "$(mariadb_missing)" ] || {
	skip oltp "missing: $(mariadb_missing | tr '\n' ' ')"
	finish
}
at_exit=mariadb_stop
mariadb_start "$TMP/db" || exit 1
export MYSQL="--mysql-host=127.0.0.1 --mysql-port=$MARIADB_PORT
	--mysql-user=$MARIADB_USER --mysql-password=$MARIADB_PASSWORD
	--mysql-db=$MARIADB_DATABASE --tables=4 --table-size=2000 --time=0"
export SQL="mariadb --no-defaults --batch --skip-column-names
	--socket=$MARIADB_SOCKET --user=$MARIADB_USER $MARIADB_DATABASE"
export MYSQL_PWD=$MARIADB_PASSWORD
alike 'oltp, tables made by 4 threads' "
	sysbench oltp_common \$MYSQL cleanup >/dev/null 2>&1
	sysbench oltp_read_only \$MYSQL --threads=4 prepare >/dev/null
	echo \$?
	\$SQL -e 'select count(*), sum(id) from sbtest1; select count(*) from sbtest4'"
alike 'oltp, 64 readers' "
	sysbench oltp_read_only \$MYSQL --threads=64 --events=1000 run 2>&1 |
		eval \"\$COUNTED\"; echo \${PIPESTATUS[0]}"
alike 'oltp, 32 writers' "
	sysbench oltp_write_only \$MYSQL --threads=32 --events=1000 run 2>&1 |
		grep 'total number'; echo \${PIPESTATUS[0]}
	\$SQL -e 'select count(*) from sbtest1'"
alike 'oltp, 200 connections' "
	sysbench oltp_point_select \$MYSQL --threads=200 --events=4000 run 2>&1 |
		eval \"\$COUNTED\"; echo \${PIPESTATUS[0]}"
finish
