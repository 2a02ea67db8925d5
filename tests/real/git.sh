#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# git.sh - git with itself: its threads, its children, and its daemon.
. "$(dirname "$0")/lib.sh"

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
export GIT_TERMINAL_PROMPT=0 GIT_CONFIG_COUNT=3
export GIT_CONFIG_KEY_0=init.defaultBranch GIT_CONFIG_VALUE_0=main
export GIT_CONFIG_KEY_1=pack.threads GIT_CONFIG_VALUE_1=4
# What is packed must not depend on which thread was the first.
export GIT_CONFIG_KEY_2=gc.auto GIT_CONFIG_VALUE_2=0
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@localhost
export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@localhost
export GIT_AUTHOR_DATE='2020-02-02T02:02:02Z'
export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

# A repository to start from: 40 commits on two branches.
mkdir -p "$TMP/fixture/repo" && cd "$TMP/fixture/repo" || exit 1
git init -q
for i in $(seq 40); do
	mkdir -p "d$((i % 5))"
	seq "$i" $((i * 50)) >"d$((i % 5))/f$i"
	echo "line $i" >>log
	git add -A && git commit -q -m "commit $i"
	[ "$i" != 20 ] || git branch side
done
cd "$TMP" || exit 1

FIXTURE=
alike 'init, add, commit' '
	git init; for i in $(seq 5); do seq $i >f$i; done; git add .
	git commit -m first; git rm -q f1; git mv f2 g2; git status --short
	git commit -q -a -m second; git rev-parse HEAD; git commit -m none
	echo $?'
FIXTURE=$TMP/fixture
alike 'log, show, diff, blame' '
	cd repo; git log --format="%H %s" | head -n 50; git show --stat HEAD
	git diff HEAD~9 | md5sum; git blame log | md5sum; git log -p -S"line 7"'
alike 'checkout, merge, rebase' '
	cd repo; git checkout -q side; echo s >side; git add side
	git commit -q -m side; git merge -q -m merged main; git rev-parse HEAD^{tree}
	git checkout -q -b r HEAD~1; git rebase -q main; git rev-parse HEAD^{tree}
	git stash list; git cherry-pick nosuch; echo $?; git status -s'
alike 'grep with threads' 'cd repo; git grep --threads=4 -c 100 | md5sum; git grep --threads=4 nosuch; echo $?'
alike 'status with a threaded preload of the index' '
	cd repo; git -c core.preloadIndex=true -c index.threads=4 status -s
	git update-index --refresh; echo $?; git -c index.threads=4 ls-files | md5sum'
alike 'gc, repack and fsck' '
	cd repo; git gc -q --prune=now; git count-objects -v | grep -E "^(count|in-pack|packs)"
	git repack -adfq --threads=4; git fsck --full --no-progress; echo $?
	git log --format=%H | md5sum; rm -rf .git/objects/pack; git log; echo $?'
alike 'clone by path and by file://' '
	git clone -q repo a; git clone -q "file://$PWD/repo" b
	git clone -q --depth 3 "file://$PWD/repo" c
	for r in a b c; do git -C $r rev-parse HEAD; git -C $r log --oneline | wc -l; git -C $r fsck --no-progress; done
	git clone -q nosuch d; echo $?'
alike 'fetch and push' '
	git clone -q --bare repo bare.git; git clone -q bare.git w; cd w
	echo more >>log; git commit -q -a -m more; git push -q; git fetch -q --all
	git -C ../bare.git rev-parse main; git push -q origin :side; git branch -r
	cd ..; rm -rf bare.git w'
alike 'hooks, aliases, filters and archives' '
	cd repo; printf "#!/bin/sh\ncat >&2; echo hook ran >&2; exit 1\n" >.git/hooks/pre-commit
	chmod +x .git/hooks/pre-commit; echo x >>log; git commit -q -a -m x 2>&1; echo $?
	git -c alias.hi="!echo hi; seq 3" hi; git archive HEAD | tar -t | md5sum
	git bundle create -q ../b HEAD; git bundle verify -q ../b; echo $?; rm ../b
	git fast-export main | md5sum; git cat-file --batch-check --batch-all-objects | md5sum'

# The daemon, hooked as its client is: it forks for each connection.
alike 'clone from git daemon' '
	for try in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000)); rm -f log; mkfifo log
		git daemon --verbose --export-all --base-path="$PWD" --listen=127.0.0.1 \
			--port=$port --reuseaddr --init-timeout=30 2>log & daemon=$!
		exec 3<log; ready=
		while read -r -t 30 line <&3; do
			case $line in *"Ready to rumble"*) ready=1; break ;; esac
		done
		[ -z "$ready" ] || break
		wait $daemon
	done
	# Somebody has to read what it goes on to say.
	cat <&3 >/dev/null & reader=$!; exec 3<&-
	u=git://127.0.0.1:$port
	git clone -q $u/repo a; git -C a rev-parse HEAD; git -C a fsck --no-progress
	for i in 1 2 3 4; do git clone -q $u/repo c$i & p[i]=$!; done
	for i in 1 2 3 4; do wait ${p[i]}; echo $?; git -C c$i rev-parse HEAD; done
	git ls-remote $u/repo; git clone -q $u/nosuch; echo $?
	kill $daemon; wait $daemon; echo $?; wait $reader; rm log'
finish
