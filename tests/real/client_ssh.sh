#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# client_ssh.sh - libssh against a private dropbear, whose idea of root's home
# is a folder of ours.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/private.sh"

need_client client_ssh
for tool in dropbear dropbearkey dropbearconvert unshare; do
	PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || {
		echo "missing: $tool (dropbear-bin)"
		exit 77
	}
done
[ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null || {
	echo "a home of its own for the server takes root, and a mount namespace"
	exit 77
}
PATH=$PATH:/usr/sbin

# key NAME: NAME.db is dropbear's, NAME what libssh reads, NAME.pub the rest.
key()
{
	dropbearkey -t ed25519 -f "$TMP/$1.db" >/dev/null 2>&1 &&
		dropbearconvert dropbear openssh "$TMP/$1.db" "$TMP/$1" \
			>/dev/null 2>&1 &&
		dropbearkey -y -f "$TMP/$1.db" | grep '^ssh-' >"$TMP/$1.pub"
}

launch()
{
	# shellcheck disable=SC2016
	exec setsid unshare -m sh -c 'mount --bind "$1" /root && shift &&
		exec "$@"' sh "$TMP/home" dropbear -F -E -s -r "$TMP/host.db" \
		-p "127.0.0.1:$SSH_PORT" -P "$TMP/pid" >>"$TMP/log" 2>&1 </dev/null
}

listens()
{
	(: <"/dev/tcp/127.0.0.1/$SSH_PORT")
}

key host && key mine && key other || exit 1
mkdir -p "$TMP/home/.ssh"
chmod 700 "$TMP/home" "$TMP/home/.ssh"
cp "$TMP/mine.pub" "$TMP/home/.ssh/authorized_keys"
chmod 600 "$TMP/home/.ssh/authorized_keys"
SSH_PORT=$(private_port)
cut -d ' ' -f 1-2 "$TMP/host.pub" |
	sed "s/^/[127.0.0.1]:$SSH_PORT /" >"$TMP/known"
cut -d ' ' -f 1-2 "$TMP/other.pub" |
	sed "s/^/[127.0.0.1]:$SSH_PORT /" >"$TMP/other_known"
SSH_PID=
at_exit="private_stop SSH"
private_start SSH launch
private_ready SSH listens || {
	cat "$TMP/log"
	exit 1
}
export SSH_PORT SSH_DIR=$TMP SSH_KEY=$TMP/mine SSH_OTHER_KEY=$TMP/other \
	SSH_KNOWN=$TMP/known SSH_OTHER_KNOWN=$TMP/other_known
clients client_ssh
finish
