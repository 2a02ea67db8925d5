#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# server_nginx.sh - nginx whose files are read by a pool of threads, a private
# one on loopback: every byte of what it serves, at once, to many; new workers
# amidst; and its end.
. "$(dirname "$0")/lib.sh"

nginx=$(ls /usr/sbin/nginx "$BUILD/servers/usr/sbin/nginx" 2>/dev/null |
	head -n 1)
[ -n "$nginx" ] && "$nginx" -V 2>&1 | grep -q with-threads || {
	echo "there is no nginx with threads"
	exit 77
}
server=
at_exit='[ -z "$server" ] || kill -KILL "$server" 2>/dev/null'

configured()
{
	local user=

	[ "$(id -u)" != 0 ] || user="user nobody nogroup;"
	mkdir -p "$TMP/www" "$TMP/body"
	cat >"$TMP/conf" <<-END
		$user
		daemon off;
		worker_processes 2;
		pid $TMP/pid;
		error_log $TMP/errors notice;
		thread_pool files threads=24;
		events { worker_connections 512; }
		http {
			access_log off;
			client_body_temp_path $TMP/body;
			proxy_temp_path $TMP/body;
			fastcgi_temp_path $TMP/body;
			uwsgi_temp_path $TMP/body;
			scgi_temp_path $TMP/body;
			sendfile \$sendfile_is;
			aio threads=files;
			output_buffers 2 16k;
			keepalive_requests 50;
			server {
				listen 127.0.0.1:$port;
				root $TMP/www;
			}
		}
	END
	sed -i "s/\$sendfile_is/$1/" "$TMP/conf"
}

answers()
{
	curl -sf "http://127.0.0.1:$port/f1"
}

start_in()
{
	local -a env=()

	case $1 in
	bare) ;;
	now) env=("LD_PRELOAD=$LIB" COHOOK_START=now) ;;
	*) env=("LD_PRELOAD=$LIB" "COHOOK_WORKERS=$1") ;;
	esac
	[ -z "${REAL_BARE:-}" ] || env=()
	env "REAL_MARK_CHILD=$TMP" "${env[@]}" "$nginx" -p "$TMP" -c "$TMP/conf" \
		-e "$TMP/errors" >"$TMP/out" 2>&1 &
	server=$!
	until_true answers
}

serves()
{
	timeout -k 5 "$LIMIT" "$PYTHON" "$REAL/http_client.py" "$port" \
		"$TMP/www" "$@"
}

# The clients' connections are served to their end by the old workers.
reloads()
{
	local client

	RESTARTS=1 serves 20 60 >"$TMP/client" 2>&1 &
	client=$!
	sleep 0.1
	kill -HUP "$server"
	wait "$client" || ! grep '^wrong' "$TMP/client" | grep -iv connection
	until_true answers && RESTARTS=1 serves 20 10
}

# In the worker that has most.
kernel_threads()
{
	ps -o nlwp= --ppid "$server" | sort -n | tail -n 1 | tr -d ' '
}

ends()
{
	kill -QUIT "$server"
	timeout 20 tail --pid="$server" -f /dev/null || return
	wait "$server" || return
	server=
	! grep -E 'exited on signal|\[(alert|emerg|crit)\]' "$TMP/errors"
}

mkdir "$TMP/www"
for n in 0 1 100 1000 4096 65536 300000; do
	head -c "$n" /dev/urandom >"$TMP/www/f$n"
done
chmod -R a+rX "$TMP/www"
for sendfile in off on; do
	for mode in bare 1 2 now; do
		[ "$sendfile" = off ] || [ "$mode" = 2 ] || continue
		name="sendfile $sendfile, $mode"
		port=$(free_port)
		configured "$sendfile"
		: >"$TMP/errors"
		check "$name: it comes up" start_in "$mode" || continue
		check "$name: every answer is right" serves 40 30
		n=$(kernel_threads)
		if [ "$mode" != bare ] && [ -z "${REAL_BARE:-}" ]; then
			check "$name: $n kernel threads in a worker" \
				test "$n" -lt 12
		else
			check "$name: $n kernel threads in a worker" \
				test "$n" -ge 24
		fi
		check "$name: it takes new workers" reloads
		check "$name: it ends" ends
		[ -z "$server" ] || kill -KILL "$server" 2>/dev/null
		kill_marked
		server=
	done
done
finish
