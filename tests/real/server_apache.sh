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
. "$REAL/web.sh"

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

ends_well()
{
	ends TERM &&
		! grep -E 'segfault|exit signal|core:(emerg|crit|alert)' "$TMP/errors"
}

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
		# The process that we start becomes the server's first.
		check "$name: it comes up" start_in "$mode" "$httpd" \
			-f "$TMP/conf" -DFOREGROUND || continue
		check "$name: every answer is right" serves 50 30
		n=$(most_threads)
		threads "$name: $n kernel threads in a child" "$n" 64
		check "$name: it restarts gracefully" renews USR1 120
		check "$name: it ends" ends_well
		gone
	done
done
finish
