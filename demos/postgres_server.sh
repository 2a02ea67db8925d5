# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# postgres_server.sh - a private, throw-away PostgreSQL server, for demos and
# tests.  To be sourced by bash.
#
#   postgres_bin         prints the folder of the server's programs; fails
#                        where there are none
#   postgres_libraries   prints the Debian packages that the server needs
#                        besides its own
#   postgres_fetch       unpacks the server's own package to $POSTGRES_HOME
#   postgres_start DIR   makes a server in DIR (created if need be) and waits
#                        until it answers; sets the variables below
#   postgres_again DIR   starts it once more, where it was, after a stop
#   postgres_stop        stops it, whatever its clients do, and waits until it
#                        is gone; may be called at any time and twice.  DIR is
#                        the caller's to remove
#
#   POSTGRES_PORT        on 127.0.0.1, chosen free; its socket is in DIR
#   POSTGRES_PID         of the server; empty while there is none
#   POSTGRES_USER        may do anything
#   POSTGRES_PASSWORD    random, new each time
#   POSTGRES_OPTIONS     an array of more for postgres; may be set before
#
# Debian's package postgresql-15 would make a cluster and start it as a system
# service.  So it is not installed: it is unpacked, and runs from there.
#
# Started by root, the server runs as the user postgres, or else nobody, who
# must be able to reach DIR.

# shellcheck source=demos/private.sh
. "$(dirname "${BASH_SOURCE[0]}")/private.sh"

POSTGRES_PID=
POSTGRES_OPTIONS=()

postgres_bin()
{
	local dir

	for dir in /usr/lib/postgresql/*/bin /usr/bin /usr/local/bin \
		"${POSTGRES_HOME:-/nowhere}"/usr/lib/postgresql/*/bin; do
		if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
			dirname "$(realpath "$dir/initdb")"
			return
		fi
	done
	return 1
}

# postgresql-15, or what the distribution has.
postgres_package()
{
	apt-cache depends postgresql |
		awk '$1 == "Depends:" && $2 ~ /^postgresql-[0-9]+$/ {
			print $2; exit }'
}

# All but the compiler, which is not used.
postgres_libraries()
{
	apt-cache depends "$(postgres_package)" |
		awk '$1 == "Depends:" && $2 ~ /^(lib|tzdata|zlib)/ &&
			$2 !~ /^libllvm/ { print $2 }' | sort -u
}

postgres_fetch()
(
	mkdir -p "$POSTGRES_HOME" && cd "$POSTGRES_HOME" || return
	apt-get -qq -o APT::Sandbox::User=root download \
		"$(postgres_package)" &&
		dpkg-deb -x postgresql-*.deb . && rm postgresql-*.deb
)

postgres_start()
{
	local dir=$1 try

	postgres_programs=$(postgres_bin) || {
		echo "postgres_start: there is no postgres" >&2
		return 1
	}
	postgres_user=$(private_user postgres)
	POSTGRES_USER=cohook
	POSTGRES_PASSWORD=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
	mkdir -p "$dir/data" || return
	chmod 711 "$dir" && chmod 700 "$dir/data" || return
	: >"$dir/log"
	(umask 077 && echo "$POSTGRES_PASSWORD" >"$dir/password") || return
	if [ "$(id -u)" = 0 ]; then
		chown "$postgres_user:" "$dir" "$dir/data" "$dir/log" \
			"$dir/password" || return
	fi
	if ! (private_exec "$postgres_user" test -w "$dir/data"); then
		echo "postgres_start: $postgres_user cannot reach $dir" >&2
		return 1
	fi
	# What root has unpacked, others may be unable to reach.
	if ! (private_exec "$postgres_user" \
		test -x "$postgres_programs/postgres"); then
		cp -r "$POSTGRES_HOME/usr" "$dir" || return
		postgres_programs=$dir/${postgres_programs#"$POSTGRES_HOME/"}
	fi
	if ! (cd / && private_exec "$postgres_user" \
		"$postgres_programs/initdb" \
		-D "$dir/data" -U "$POSTGRES_USER" --pwfile="$dir/password" \
		-A scram-sha-256 -E UTF8 --locale=C --no-sync) \
		>"$dir/initdb.log" 2>&1 </dev/null; then
		echo "postgres_start: initdb failed" >&2
		tail -n 20 "$dir/initdb.log" | sed 's/^/    /' >&2
		return 1
	fi
	# Between choosing a port and the server's taking it, somebody else
	# may: then choose again.
	for try in 1 2 3 4 5; do
		POSTGRES_PORT=$(private_port)
		! postgres_again "$dir" || return 0
		postgres_stop
		grep -q 'could not bind' "$dir/log" || break
	done
	echo "postgres_start: the server does not run (attempt $try)" >&2
	tail -n 20 "$dir/log" | sed 's/^/    /' >&2
	return 1
}

postgres_again()
{
	: >"$1/log"
	private_start POSTGRES postgres_launch "$1"
	private_ready POSTGRES grep -q 'ready to accept connections' "$1/log"
}

postgres_launch()
{
	cd / || return
	private_exec "$postgres_user" "$postgres_programs/postgres" \
		-D "$1/data" -p "$POSTGRES_PORT" -k "$1" \
		-c listen_addresses=127.0.0.1 -c max_connections=200 \
		-c shared_buffers=16MB -c fsync=off -c jit=off \
		-c autovacuum=off "${POSTGRES_OPTIONS[@]}" \
		>>"$1/log" 2>&1 </dev/null
}

postgres_stop()
{
	private_stop POSTGRES INT
}
