#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# coreutils.sh - the tools that every script is made of, bare and hooked.
. "$(dirname "$0")/lib.sh"

FIXTURE=$TMP/fixture
mkdir -p "$FIXTURE/dir/deep" && cd "$FIXTURE" || exit 1
seq 1 20000 >numbers
awk 'BEGIN { srand(7); for (i = 0; i < 20000; i++)
	print int(rand() * 1e9), "word" i % 97, i }' >words
head -c 3000000 /dev/zero | tr '\0' 'x' >big
head -c 100000 words | gzip -n >packed.gz
printf 'a\tb\tc\n1\t2\t3\n' >'tabs'
: >empty
ln -s numbers link
echo deep >dir/deep/file
chmod 640 tabs
touch -d '2020-02-02 02:02:02' numbers words big packed.gz tabs empty \
	dir/deep/file dir/deep dir
touch -h -d '2020-02-02 02:02:02' link
cd "$TMP" || exit 1

# Looking at files.
alike ls 'ls -lR --time-style=full-iso . | sed 1d; ls -1 numbers nosuch'
alike stat 'stat -c "%n %s %a %Y %F" *; stat nosuch'
alike 'cat of files' 'cat numbers words tabs empty; cat nosuch numbers | wc'
alike 'cat of a pipe' 'cat numbers | cat | cat - tabs | md5sum'
alike 'cat of a closed stdin' 'cat <&-; echo $?'
alike head 'head -n 5 words; head -c 100000 big | wc -c; head -n -19990 numbers'
alike tail 'tail -n 5 words; cat words | tail -n 3; tail -c 11 numbers'
alike 'tail -f until its writer ends' '
	(for i in 1 2 3 4 5; do echo $i; done >>log; sleep 0.3) & p=$!
	touch log; tail -n +1 -s 0.05 --pid=$p -f log; wait'
alike wc 'wc numbers words big empty; wc -l <numbers; cat big | wc -c'
alike od 'od -A d -t x1z -N 64 words; head -c 40 big | od -c'
alike md5sum 'md5sum numbers words big; md5sum * 2>/dev/null | md5sum -c 2>&1'
alike 'sums' 'sha256sum big; sha1sum <words; cksum numbers; sum words; b2sum tabs'
alike du-df 'du -b big numbers; df --output=target / | tail -n 1'

# Text.
alike sort 'sort -n words | md5sum; sort -k2,2 -k3,3n words | md5sum'
alike 'sort --parallel' '
	sort --parallel=4 -S 2M -n words words words | md5sum
	sort -R --parallel=4 --random-source=big numbers | md5sum
	sort -R --parallel=4 numbers | sort -n | cmp - numbers && echo all'
alike 'sort through temporary files and gzip' '
	for i in 1 2 3 4 5 6 7 8; do cat words; done |
	sort --parallel=2 -S 300K --batch-size=4 -T . --compress-program=gzip |
	md5sum'
alike 'sort -m' 'sort words >s; sort numbers >n; sort -m s n | md5sum; sort -c words'
alike uniq 'cut -d" " -f2 words | sort | uniq -c | sort -k2'
alike tr 'tr a-z A-Z <words | md5sum; tr -d "\n" <numbers | wc -c; tr'
alike cut 'cut -f2- tabs; cut -c1-3 numbers | tail -n 2; cut -d" " -f1,3 words | md5sum'
alike paste 'paste numbers numbers | tail -n 3; seq 9 | paste -sd+; paste -d, - - <numbers | md5sum'
alike comm 'sort numbers >a; seq 5 20005 | sort >b; comm -3 a b; comm -12 a b | wc -l'
alike join 'sort numbers >a; seq 1 3 20000 | sed "s/\$/ x/" | sort >b; join a b | md5sum'
alike seq 'seq 1 0.25 5; seq -w 8 12; seq 100000 | tail -n 1; seq x'
alike factor 'seq 1 2000 | factor | md5sum; factor 18446744073709551615; factor x'
alike fold-fmt-nl-pr 'fold -w 20 words | md5sum; fmt words | md5sum; nl numbers | tail -n 1; pr -t -3 tabs; expand tabs'
alike tac-rev-shuf 'tac numbers | head -n 2; shuf --random-source=big numbers | md5sum; tsort <tabs'
alike sed-grep-awk 'sed -n "s/word9/W/p" words | md5sum; grep -c word1 words; grep nosuch words; awk "{ s += \$1 } END { print s }" words'
alike 'printf, echo, expr, test' '/usr/bin/printf "%05d %s\n" 7 x; /bin/echo -e "a\tb"; expr 6 \* 7; /usr/bin/test 1 -gt 2'
alike base64 'base64 words | md5sum; base64 words | base64 -d | cmp - words; base32 tabs'
alike 'numfmt and date' 'numfmt --to=iec 1048576; date -u -d @86400; date -d nosuch'
alike 'diff and cmp' 'diff numbers words | md5sum; cmp numbers words; diff -r dir dir'

# Making files.
alike cp 'cp -a dir copy; cp numbers words copy; find copy | sort; cp nosuch x; cp --sparse=always big b2; cmp big b2'
alike mv-ln-rm 'mv numbers n; ln n n2; ln -s n2 n3; cat n3 | wc -l; rm -r dir n3; rmdir nosuch; ls'
alike dd 'dd if=words bs=512 skip=3 count=7 status=none | md5sum; dd if=/dev/zero of=z bs=64K count=16 status=none; cat big | dd bs=1000 iflag=fullblock count=100 status=none | wc -c'
alike 'dd says what it did' 'dd if=numbers of=/dev/null bs=1000 2>&1 | head -n 2'
alike tee 'seq 1000 | tee a b | md5sum; seq 3 | tee -a a >/dev/null; md5sum a b; tee <numbers /dev/full | wc -l'
alike split 'split -n 4 big p.; split -l 5000 words w.; cat p.* | cmp - big; split --filter="wc -l" -l 7000 numbers f. | sort'
alike csplit 'csplit -s -n 3 numbers 100 /^5000$/ {0}; wc -l xx*'
alike mktemp 'f=$(mktemp ./t.XXXXXX) && test -f $f && rm $f; d=$(mktemp -d -p .) && rmdir $d; mktemp nosuch; echo $?'
alike truncate-touch-chmod 'truncate -s 1M t; chmod 600 t; touch -d @1 t; stat -c "%s %a %Y" t; chmod 0 nosuch'
alike install-mkdir 'mkdir -p a/b/c; install -m 755 tabs a/b/c/prog; stat -c %a a/b/c/prog; mkdir a'
alike mkfifo '
	mkfifo f; seq 5000 >f & md5sum <f; wait
	mkfifo g h; (cat g >h) & (cat words >g) & md5sum h; wait'
alike sync 'seq 10 >s; sync s; sync -f s; cat s'

# Pipes and processes.
alike 'yes | head' 'yes | head -n 100000 | md5sum; yes no | head -c 1000000 | wc; echo "${PIPESTATUS[@]}"'
alike 'a long pipeline' '
	c="cat words"; for i in $(seq 30); do c="$c | cat"; done
	eval "$c" | md5sum'
alike 'xargs -P' 'seq 200 | xargs -P 8 -n 1 echo | sort -n | md5sum; seq 40 | xargs -P 4 -n 5 sh -c "exit 3"; echo $?'
alike 'xargs -P with output in lines' 'seq 60 | xargs -P 6 -I{} sh -c "echo {} \$(({} * 2))" | sort -n'
alike timeout 'timeout 0.2 sleep 20; echo $?; timeout 20 seq 3; timeout -s KILL 0.2 sleep 20; echo $?; timeout 0.2 cat <(sleep 20); echo $?'
alike 'env and printenv' 'env -i A=1 /usr/bin/printenv; env -u HOME printenv HOME; env nosuch-command'
alike nice-nohup-stdbuf 'nice -n 5 nice; nohup seq 2; seq 1000 | stdbuf -oL tail -n 1; id -u; nproc --all >/dev/null'
alike sleep 'sleep 0.01 0.02; sleep x; sleep 20 & kill $!; wait $!; echo $?'
alike 'SIGPIPE and full devices' 'seq 1000000 | head -n 1; echo "${PIPESTATUS[@]}"; echo x >/dev/full; echo $?; seq 9 >&-; echo $?'

# Archives.
alike tar '
	o="--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner"
	tar $o -cf a.tar dir numbers link; md5sum <a.tar; tar -tf a.tar
	tar $o -czf a.tgz dir words; mkdir x; tar -xzf a.tgz -C x
	cmp x/words words; tar -cf - dir words | tar -xf - -C x; tar xf nosuch
	rm -f a.tgz; tar $o -cf - big | gzip -n | tar -tzf -'
alike gzip 'gzip -dc packed.gz | md5sum; gzip -n -k words; gzip -t words.gz; cat words.gz packed.gz | zcat | wc; gzip -t big; echo x | gunzip'
if command -v xz >/dev/null; then
	alike 'xz -T4' 'xz -T4 -k --block-size=300KiB big; xz -dT4 <big.xz | cmp - big; xz -l big.xz | wc -l'
else
	skip 'xz -T4' 'there is no xz'
fi
finish
