# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2178
# private.sh - private, throw-away servers: what those of demos and tests
# share.  To be sourced by bash.
#
#   private_port            prints a TCP port on loopback that nobody has now
#   private_user NAME...    prints who runs a server: we, or, where we are root,
#                           the first of these users that there is
#   private_exec USER CMD...   exec's CMD as that user, in a session of its own
#                           so that a terminal's Ctrl-C is for us to answer; it
#                           gets SIGTERM if we die without having stopped it,
#                           and the variables of the array PRIVATE_ENV
#   private_start NAME CMD...  CMD in the background; its pid is $NAME_PID.
#                           CMD must exec, all the way to the server
#   private_stop NAME [SIGNAL]  sends that (TERM), and waits until it is gone;
#                           KILL after 30 s.  At any time, and twice
#   private_certificates DIR  an authority's ca.pem, and server.pem and
#                           server.key, by which it vouches for localhost and
#                           127.0.0.1; all may read them
#   private_ready NAME CMD...  waits until CMD succeeds; fails when the server
#                           is gone, or after 60 seconds

PRIVATE_ENV=()

private_port()
{
	local port

	# Below the range from which the kernel gives ports to clients.
	while :; do
		port=$((20000 + RANDOM % 12000))
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null ||
			break
	done
	echo "$port"
}

private_user()
{
	local user

	if [ "$(id -u)" != 0 ]; then
		id -un
		return
	fi
	for user in "$@" nobody; do
		if id "$user" >/dev/null 2>&1; then
			echo "$user"
			return
		fi
	done
	return 1
}

private_exec()
{
	local user=$1 as=()

	shift
	if [ "$(id -u)" = 0 ] && [ "$user" != root ]; then
		as=(--reuid="$(id -u "$user")" --regid="$(id -g "$user")"
		    --clear-groups)
	fi
	exec setsid setpriv "${as[@]}" --pdeathsig=TERM \
		env "${PRIVATE_ENV[@]}" "$@"
}

private_start()
{
	local -n private_pid=$1_PID

	shift
	private_before=${!:-}
	private_pid=unnoted
	"$@" &
	private_pid=$!
}

private_stop()
{
	local -n private_pid=$1_PID
	local deadline=$((SECONDS + 30))

	# Called from a trap that struck just as the server was launched.
	if [ "$private_pid" = unnoted ]; then
		private_pid=${!:-}
		[ "$private_pid" != "$private_before" ] || private_pid=
	fi
	[ -n "$private_pid" ] || return 0
	kill -"${2:-TERM}" "$private_pid" 2>/dev/null || :
	while kill -0 "$private_pid" 2>/dev/null; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			kill -KILL "$private_pid" 2>/dev/null || :
		fi
		sleep 0.05
	done
	wait "$private_pid" 2>/dev/null || :
	private_pid=
	return 0
}

private_ready()
{
	local -n private_pid=$1_PID
	local deadline=$((SECONDS + 60))

	shift
	while [ "$SECONDS" -lt "$deadline" ]; do
		! "$@" >/dev/null 2>&1 || return 0
		kill -0 "$private_pid" 2>/dev/null || return 1
		sleep 0.05
	done
	echo "no answer within 60 seconds" >&2
	return 1
}

private_certificates()
{
	local dir=$1

	mkdir -p "$dir" || return
	{
		openssl req -x509 -newkey rsa:2048 -nodes -days 2 \
			-keyout "$dir/ca.key" -out "$dir/ca.pem" \
			-subj "/CN=nobody but us" &&
		openssl req -newkey rsa:2048 -nodes -keyout "$dir/server.key" \
			-out "$dir/server.csr" -subj /CN=localhost &&
		openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" \
			-CAkey "$dir/ca.key" -set_serial 1 -days 2 \
			-out "$dir/server.pem" -extfile <(echo \
			subjectAltName=DNS:localhost,IP:127.0.0.1)
	} >"$dir/log" 2>&1 || {
		echo "openssl makes no certificates:" >&2
		cat "$dir/log" >&2
		return 1
	}
	chmod 644 "$dir"/*
}
