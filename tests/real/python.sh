#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# python.sh - the distribution's CPython: 200 threads at a time, and none.
. "$(dirname "$0")/lib.sh"

export PYTHON REAL PYTHONDONTWRITEBYTECODE=1
for case in $("$PYTHON" "$REAL/threads.py" --list); do
	alike "threads: $case" "\$PYTHON \$REAL/threads.py $case"
done
alike 'without a thread' '
	$PYTHON -c "print(sum(range(10**6)))"; $PYTHON -c "import sys; sys.exit(3)"
	echo "print(6 * 7)" | $PYTHON; $PYTHON -c "1/0"; echo $?
	$PYTHON -m json.tool <<<"{\"a\": [1, 2]}"; seq 9 | $PYTHON -c "print(input())"'
alike 'an interrupt' '
	mkfifo f; exec 3<>f
	$PYTHON -c "
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
e = threading.Event()
threading.Thread(target=e.wait).start()
try:
    print(\"up\", flush=True)
    threading.Event().wait()
except KeyboardInterrupt:
    print(\"interrupted\")
    e.set()" >f & p=$!
	read -r x <&3; echo $x; kill -INT $p; read -r -t 20 x <&3; echo $x; wait $p; echo $?'
finish
