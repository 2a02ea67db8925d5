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
. "$REAL/web.sh"

configured()
{
	local user=

	[ "$(id -u)" != 0 ] || user="user nobody nogroup;"
	mkdir -p "$TMP/body"
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

ends_well()
{
	ends QUIT &&
		! grep -E 'exited on signal|\[(alert|emerg|crit)\]' "$TMP/errors"
}

for sendfile in off on; do
	for mode in bare 1 2 now; do
		[ "$sendfile" = off ] || [ "$mode" = 2 ] || continue
		name="sendfile $sendfile, $mode"
		port=$(free_port)
		configured "$sendfile"
		: >"$TMP/errors"
		check "$name: it comes up" start_in "$mode" "$nginx" \
			-p "$TMP" -c "$TMP/conf" -e "$TMP/errors" || continue
		check "$name: every answer is right" serves 40 30
		n=$(most_threads)
		threads "$name: $n kernel threads in a worker" "$n" 24
		check "$name: it takes new workers" renews HUP 60
		check "$name: it ends" ends_well
		gone
	done
done
finish
