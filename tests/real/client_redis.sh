#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# client_redis.sh - hiredis, by TCP and Unix socket, against a private Redis.
. "$(dirname "$0")/lib.sh"
. "$ROOT/demos/redis_server.sh"

need_client client_redis
[ -z "$(redis_server_missing)" ] || {
	echo "missing: $(redis_server_missing)"
	exit 77
}
at_exit=redis_stop
redis_start "$TMP/redis" || exit 1
export REDIS_PORT REDIS_SOCKET
clients client_redis
finish
