#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# server_apache.sh - Apache's httpd with a thread for each connection (worker) and
# with an event loop in front (event), a private one on loopback: every byte of
# what it serves, at once, to many; a restart amidst; and its end.
. "$(dirname "$0")/lib.sh"

httpd=$(ls /usr/sbin/apache2 2>/dev/null) || {
	echo "there is no /usr/sbin/apache2"
	exit 77
}
modules=/usr/lib/apache2/modules
server=
at_exit='[ -z "$server" ] || kill -KILL "$server" 2>/dev/null'

# configured MPM: in $TMP/www.
configured()
{
	local user=

	[ "$(id -u)" != 0 ] || user=$'User nobody\nGroup nogroup'
	cat >"$TMP/conf" <<-END
		ServerRoot $TMP
		ServerName localhost
		Listen 127.0.0.1:$port
		PidFile $TMP/pid
		ErrorLog $TMP/errors
		Mutex default:$TMP
		LoadModule mpm_$1_module $modules/mod_mpm_$1.so
		LoadModule authz_core_module $modules/mod_authz_core.so
		LoadModule dir_module $modules/mod_dir.so
		LoadModule mime_module $modules/mod_mime.so
		LoadModule deflate_module $modules/mod_deflate.so
		TypesConfig /dev/null
		DocumentRoot $TMP/www
		$user
		StartServers 2
		ServerLimit 2
		ThreadsPerChild 64
		MaxRequestWorkers 128
		KeepAlive On
		MaxKeepAliveRequests 50
	END
}

answers()
{
	curl -sf "http://127.0.0.1:$port/f1"
}

# start_in MODE: the process that we started becomes the server's first.
start_in()
{
	local -a env=()

	case $1 in
	bare) ;;
	now) env=("LD_PRELOAD=$LIB" COHOOK_START=now) ;;
	*) env=("LD_PRELOAD=$LIB" "COHOOK_WORKERS=$1") ;;
	esac
	[ -z "${REAL_BARE:-}" ] || env=()
	env "REAL_MARK_CHILD=$TMP" "${env[@]}" "$httpd" -f "$TMP/conf" \
		-DFOREGROUND >"$TMP/out" 2>&1 &
	server=$!
	until_true answers
}

serves()
{
	timeout -k 5 "$LIMIT" "$PYTHON" "$REAL/http_client.py" "$port" \
		"$TMP/www" "$@"
}

# Clients go on while it restarts; those that it had are served to the end.
restarts()
{
	local client

	RESTARTS=1 serves 20 120 >"$TMP/client" 2>&1 &
	client=$!
	sleep 0.1
	kill -USR1 "$server"
	# Who comes while nobody listens yet is refused, bare as well.
	wait "$client" || ! grep '^wrong' "$TMP/client" | grep -iv connection
	until_true answers && RESTARTS=1 serves 20 10
}

# In the child that has most.
kernel_threads()
{
	ps -o nlwp= --ppid "$server" | sort -n | tail -n 1 | tr -d ' '
}

ends()
{
	kill -TERM "$server"
	timeout 20 tail --pid="$server" -f /dev/null || return
	wait "$server" || return
	server=
	! grep -E 'segfault|exit signal|core:(emerg|crit|alert)' "$TMP/errors"
}

mkdir "$TMP/www"
for n in 0 1 100 1000 4096 65536 300000; do
	head -c "$n" /dev/urandom >"$TMP/www/f$n"
done
chmod -R a+rX "$TMP/www"
for mpm in worker event; do
	[ -e "$modules/mod_mpm_$mpm.so" ] || {
		skip "$mpm" "there is no such module"
		continue
	}
	for mode in bare 1 2 now; do
		name="$mpm, $mode"
		case $mode in [12]) name="$mpm, hooked with $mode" ;; esac
		port=$(free_port)
		configured "$mpm"
		: >"$TMP/errors"
		check "$name: it comes up" start_in "$mode" || continue
		check "$name: every answer is right" serves 50 30
		n=$(kernel_threads)
		if [ "$mode" != bare ] && [ -z "${REAL_BARE:-}" ]; then
			check "$name: $n kernel threads in a child" \
				test "$n" -lt 12
		else
			check "$name: $n kernel threads in a child" \
				test "$n" -ge 64
		fi
		check "$name: it restarts gracefully" restarts
		check "$name: it ends" ends
		[ -z "$server" ] || kill -KILL "$server" 2>/dev/null
		kill_marked
		server=
	done
done
finish
