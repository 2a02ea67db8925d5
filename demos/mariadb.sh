# SPDX-License-Identifier: MIT
# mariadb.sh - a private, throw-away MariaDB server, for demos and tests.
# To be sourced by bash.
# shellcheck shell=bash
#
#   mariadb_missing       prints the Debian packages that are still needed
#   mariadb_start DIR     makes a server in DIR (created if need be) and waits
#                         until it answers; sets the variables below
#   mariadb_sql [ARG...]  the mariadb client as the server's administrator, in
#                         $MARIADB_DATABASE; SQL comes from stdin or by -e
#   mariadb_again DIR     starts it once more, where it was, after a stop
#   mariadb_stop          stops it and waits until it is gone; may be called
#                         at any time and twice.  DIR is the caller's to remove
#
#   MARIADB_PORT          on 127.0.0.1, chosen free
#   MARIADB_SOCKET        DIR/socket
#   MARIADB_PID           of the server; empty while there is none
#   MARIADB_USER          may do anything, from TCP and from the socket
#   MARIADB_PASSWORD      random, new each time; for MYSQL_PWD
#   MARIADB_DATABASE      an empty database
#   MARIADB_MAX_CONNECTIONS   may be set before mariadb_start; 1000 if not
#   MARIADB_OPTIONS       an array of more for mariadbd; may be set likewise
#
# Nothing is shared with a MariaDB that the system may run: no configuration
# file is read, and all that is written is below DIR.  Started by root, it
# runs as the user mysql, or else nobody, who must be able to reach DIR: not
# below a folder that is closed to others, as mktemp -d makes them.
#
# The functions return non-zero on failure, having said why on stderr.

# shellcheck source=demos/private.sh
. "$(dirname "${BASH_SOURCE[0]}")/private.sh"

MARIADB_PID=
MARIADB_OPTIONS=()

# The server without Debian's system service: mariadb-server would bring that,
# and start it; mariadb-server-core is the programs alone.
mariadb_missing()
{
	PATH=$PATH:/usr/sbin:/sbin command -v mariadbd mariadb-install-db \
		>/dev/null || echo mariadb-server-core
	command -v mariadb >/dev/null || echo mariadb-client-core
}

mariadb_say_log()
{
	echo "MariaDB's log ends so:" >&2
	tail -n 20 "$1" | sed 's/^/    /' >&2
}

mariadb_sql()
{
	mariadb --no-defaults --protocol=socket --socket="$MARIADB_SOCKET" \
		--user="$(id -un)" --database="$MARIADB_DATABASE" \
		--batch --skip-column-names "$@"
}

mariadb_start()
{
	local dir=$1 old_umask try path=$PATH
	local log=$dir/error.log

	mariadb_user=$(private_user mysql)      # for mariadb_launch too
	MARIADB_SOCKET=$dir/socket
	MARIADB_USER=cohook
	MARIADB_DATABASE=demo
	MARIADB_PASSWORD=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
	if [ ${#MARIADB_SOCKET} -gt 100 ]; then
		echo "mariadb_start: $dir is too long for a socket" >&2
		return 1
	fi

	mkdir -p "$dir/data" "$dir/tmp" || return
	chmod 711 "$dir" && chmod 700 "$dir/data" "$dir/tmp" || return
	old_umask=$(umask)
	umask 077
	cat >"$dir/init.sql" <<-END
		CREATE DATABASE IF NOT EXISTS $MARIADB_DATABASE;
		CREATE OR REPLACE USER $MARIADB_USER@'%'
		IDENTIFIED BY '$MARIADB_PASSWORD';
		GRANT ALL ON *.* TO $MARIADB_USER@'%' WITH GRANT OPTION;
	END
	: >"$log"
	umask "$old_umask"
	if [ "$(id -u)" = 0 ]; then
		chown "$mariadb_user:" "$dir" "$dir/data" "$dir/tmp" \
			"$dir/init.sql" "$log" || return
	fi
	if ! (private_exec "$mariadb_user" test -w "$dir/data"); then
		echo "mariadb_start: user $mariadb_user cannot reach $dir" >&2
		return 1
	fi

	# --force: though the machine's name, or even localhost, should not
	# resolve.  Debian keeps mariadbd where users have no PATH to.
	PATH=$PATH:/usr/sbin:/sbin
	if ! (private_exec "$mariadb_user" mariadb-install-db --no-defaults \
		--datadir="$dir/data" --tmpdir="$dir/tmp" --skip-test-db \
		--force \
		--auth-root-authentication-method=socket \
		--auth-root-socket-user="$(id -un)") \
		>"$dir/install.log" 2>&1 </dev/null; then
		echo "mariadb_start: mariadb-install-db failed" >&2
		mariadb_say_log "$dir/install.log"
		PATH=$path
		return 1
	fi

	# Between choosing a port and the server's taking it, somebody else
	# may: then choose again.
	for try in 1 2 3 4 5; do
		MARIADB_PORT=$(private_port)
		: >"$log"
		if mariadb_again "$dir"; then
			PATH=$path
			return 0
		fi
		mariadb_stop
		grep -q 'Bind on TCP/IP port' "$log" || break
	done
	PATH=$path
	echo "mariadb_start: the server does not run (attempt $try)" >&2
	mariadb_say_log "$log"
	return 1
}

mariadb_again()
{
	local path=$PATH status=0

	PATH=$PATH:/usr/sbin:/sbin
	private_start MARIADB mariadb_launch "$1"
	private_ready MARIADB mariadb_sql -e 'SELECT 1' || status=1
	PATH=$path
	return "$status"
}

mariadb_launch()
{
	# Each connection takes a descriptor, and so do tables; the server
	# lowers max_connections by itself where it gets none.
	ulimit -Sn "$(ulimit -Hn)" 2>/dev/null || :
	private_exec "$mariadb_user" mariadbd --no-defaults \
		--datadir="$1/data" --tmpdir="$1/tmp" \
		--socket="$1/socket" --pid-file="$1/pid" \
		--bind-address=127.0.0.1 --port="$MARIADB_PORT" \
		--log-error="$1/error.log" --init-file="$1/init.sql" \
		--skip-name-resolve --open-files-limit=8192 \
		--max-connections="${MARIADB_MAX_CONNECTIONS:-1000}" \
		--back-log=1000 --innodb-buffer-pool-size=32M \
		--innodb-log-file-size=8M --innodb-doublewrite=0 \
		--innodb-flush-log-at-trx-commit=0 \
		--innodb-fast-shutdown=2 --aria-pagecache-buffer-size=8M \
		"${MARIADB_OPTIONS[@]}" \
		>>"$1/error.log" 2>&1 </dev/null
}

mariadb_stop()
{
	private_stop MARIADB
}
