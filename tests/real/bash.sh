#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# bash.sh - what shell scripts lean on: pipes, children, signals, descriptors.
. "$(dirname "$0")/lib.sh"

alike pipelines '
	seq 1000 | while read -r n; do echo $((n * 2)); done | tail -n 3
	echo abc | { read -r x; echo "got $x"; }
	false | true; echo "$? ${PIPESTATUS[@]}"
	set -o pipefail; exit 3 | true; echo $?
	shopt -s lastpipe; seq 5 | mapfile -t a; echo "${a[@]}"
	! true; echo $?; true |& cat; ls nosuch |& wc -l'
alike subshells '
	x=1; (x=2; echo $x; exit 4); echo $? $x
	y=$(echo in; exit 5); echo "$y $?"
	echo $(echo $(echo $(echo deep)))
	for i in 1 2 3; do (exit $i) || echo "left $?"; done
	( (sleep 0.01; echo grandchild) & wait ); echo $BASH_SUBSHELL'
alike 'a thousand forks' '
	for ((i = 0; i < 1000; i++)); do (exit $((i % 7))); s=$((s + $?)); done
	echo $s'
alike traps '
	trap "echo term" TERM; trap "echo usr1" USR1; trap "echo exit" EXIT
	kill -USR1 $$; kill -TERM $$; kill -USR1 $BASHPID
	trap - TERM; trap -p | sort; (trap "echo sub" EXIT; exit 1)
	trap "echo err \$?" ERR; false; echo done'
alike 'a trap interrupts wait' '
	trap "hup=1" HUP; sleep 30 & p=$!
	while kill -0 $p 2>/dev/null; do kill -HUP $$; sleep 0.02; done &
	wait $p; echo $?; trap "" HUP; kill $p; wait $p; echo $?
	wait; echo $hup'
alike 'a trap waits for a builtin read' '
	mkfifo f; exec 3<>f; trap "echo alarm; echo line >&3" ALRM
	(sleep 0.1; kill -ALRM $$) & read -r -u 3 x; echo "read $x"; wait'
alike 'killed children' '
	sleep 30 & kill -9 $!; wait $!; echo $?
	bash -c "kill -SEGV \$\$"; echo $?
	(kill -TERM $BASHPID); echo $?; timeout 0.1 sleep 9; echo $?'
alike 'jobs and wait' '
	for i in 3 1 2; do (sleep 0.0$i; exit $i) & p[i]=$!; done
	for i in 1 2 3; do wait ${p[i]}; echo "$i: $?"; done
	(exit 9) & wait -n; echo $?
	sleep 0.01 & sleep 0.02 & wait; echo $?; jobs >/dev/null; wait %1; echo $?
	wait 1; echo $?'
alike 'job control' '
	set -m; sleep 30 & echo "$(jobs -r | wc -l) runs"
	kill -STOP %1; wait %1; echo $?; jobs -s | wc -l
	kill -CONT %1; kill %1; wait %1; echo $?
	(sleep 0.05; exit 6) & fg %% >/dev/null; echo $?
	cat | cat & wait; echo $?; set +m'
alike 'a group that is killed' '
	set -m; (sleep 30 & sleep 30 & wait) & p=$!
	kill -TERM -- -$p; wait $p; echo $?'
alike here-documents '
	cat <<-END
		a $((1 + 1))
	END
	cat <<"END"
$HOME
END
	tr a-z A-Z <<<"here"; read -r a b <<<"1 2 3"; echo "$b"
	cat <<END | md5sum
$(seq 40000)
END
	f() { cat; }; f <<END
in a function
END'
alike 'process substitution' '
	diff <(seq 5) <(seq 2 6); cat <(echo a) <(echo b)
	exec 5> >(sort -rn >r); p=$!; seq 10 >&5; exec 5>&-; wait $p; cat r
	while read -r x; do n=$((n + x)); done < <(seq 100); echo $n
	paste <(seq 3) <(seq 4 6) <(cat <(seq 7 9))'
alike 'read -t and read -n' '
	mkfifo f; exec 3<>f
	read -r -t 0.05 -u 3 x; echo "$(($? > 128))"
	echo hello >&3; read -r -t 10 -u 3 x; echo "$? $x"
	printf abc >&3; read -r -n 2 -u 3 x; echo "$x"
	read -r -N 1 -u 3 x; echo "$x"; read -r -t 0 -u 3; echo $?
	printf "x:y" | { read -r -d : x; echo $x; }; read -r x </dev/null; echo $?'
alike coproc '
	coproc up { while read -r l; do echo "${l^^}"; done; }
	for w in one two three; do echo $w >&"${up[1]}"; read -r x <&"${up[0]}"; echo $x; done
	p=$up_PID; exec {up[1]}>&-; wait $p; echo $?
	coproc { cat; echo end; }; echo through >&"${COPROC[1]}"
	exec {COPROC[1]}>&-; cat <&"${COPROC[0]}"; wait'
alike descriptors '
	exec 3>a 4<>b; echo three >&3; echo four >&4; exec 3>&- 4>&-
	cat a b; echo x 3>&1 >&3 | cat; { echo err >&2; } 2>&1 | tr a-z A-Z
	exec 5<a; read -r x <&5; echo $x; exec 6<&5 5<&-; read -r x <&6; echo $?
	echo no >&9; echo $?; exec {fd}>c; [ $fd -ge 10 ] && echo high; echo y >&$fd; cat c
	ls /proc/self/fd | head -n 3; (exec 1>&-; echo z); echo $?'
alike 'low numbers stay free' '
	exec 3</dev/null; for i in 4 5 6 7 8 9; do
		[ -e /proc/self/fd/$i ] && echo "$i is open"; done
	bash -c "cd /proc/self/fd; echo [0-9] [0-9][0-9] [0-9][0-9][0-9]"; cat /proc/self/status | grep -c Threads'
alike 'close everything' '
	for ((i = 3; i < 256; i++)); do eval "exec $i>&-"; done
	echo still | cat; (sleep 0.01) & wait $!; echo $?; sleep 0.01; echo $(echo here)'
alike 'exec' '
	(exec echo replaced); (exec nosuch) ; echo $?; exec -a name bash -c "echo \$0"'
alike 'background readers of one pipe' '
	seq 500 | { for i in 1 2 3; do (while read -r n; do echo $n; done) & done; wait; } | wc -l'
alike 'select on a FIFO, both ends' '
	mkfifo f; (for i in 1 2 3; do echo $i; done >f) & while read -r x; do echo "<$x>"; done <f; wait $!; echo $?'
alike 'a server on /dev/tcp' '
	'"$PYTHON"' -c "
import socket
s = socket.create_server((\"127.0.0.1\", 0))
print(s.getsockname()[1], flush=True)
for i in range(3):
    c = s.accept()[0]
    c.sendall(c.recv(100).upper())
    c.close()" >port &
	until [ -s port ]; do sleep 0.02; done
	for i in 1 2 3; do
		exec 3<>/dev/tcp/127.0.0.1/$(cat port)
		echo "line $i" >&3; read -r x <&3; echo "$x"; exec 3>&-
	done
	wait; rm port; (: <>/dev/tcp/127.0.0.1/1); echo $?'
alike arithmetic-strings-globs '
	a=(one two "three four"); echo "${#a[@]} ${a[2]^} ${a[@]/o/0}"
	declare -A m=([x]=1 [y]=2); echo "${!m[@]}" | tr " " "\n" | sort
	touch f1 f2 g1; echo f* [!f]*; shopt -s extglob; echo !(g*)
	printf "%q %s\n" "a b" $((16#ff)); [[ abc =~ b(.) ]]; echo "${BASH_REMATCH[1]}"
	n=0; while ((n < 20000)); do ((n++)); done; echo $n'
alike 'ulimit, umask, cd' '
	ulimit -n 64; ulimit -n; umask 027; touch t; stat -c %a t
	mkdir -p a/b; cd a/b; echo "${PWD##*/}"; cd nosuch; pushd .. >/dev/null; dirs | wc -w'
finish
