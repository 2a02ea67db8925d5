#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# make.sh - make -j4 with its jobserver, and the compiler behind it.
. "$(dirname "$0")/lib.sh"

FIXTURE=$TMP/fixture
mkdir -p "$FIXTURE/sub" && cd "$FIXTURE" || exit 1
cat >Makefile <<'END'
N := $(shell seq 1 30)
all: program sums sub
	@echo built

# A stage of small sources, each made by a recipe.
src%.c:
	@printf 'int f%d(int);\nint f%d(int x) { return x * %d + 1; }\n' \
		$* $* $* >$@
src%.o: src%.c
	@$(CC) -O1 -c -o $@ $<
main.c:
	@(printf '#include <stdio.h>\n'; \
	for i in $(N); do printf 'int f%d(int);\n' $$i; done; \
	printf 'int main(void) { long s = 0;\n'; \
	for i in $(N); do printf 's += f%d(3);\n' $$i; done; \
	printf 'printf("%%ld\\n", s); return 0; }\n') >$@
program: main.o $(N:%=src%.o)
	@$(CC) -pipe -o $@ $^
	@./program

sums: $(N:%=sum%)
	@cat $^ | sort -n | md5sum
sum%:
	@seq $* | awk '{ s += $$1 } END { print s }' >$@

sub:
	@$(MAKE) --no-print-directory -C sub

slow: $(N:%=slow%)
slow%:
	@sleep 0.02; echo $*

bad: bad1 $(N:%=slow%)
bad1:
	@exit 7
.PHONY: all sub slow bad bad1
.SECONDARY:
END
cat >sub/Makefile <<'END'
all: $(shell seq -f part%.0f 1 12)
	@echo sub is built
part%:
	@$(MAKE) --no-print-directory -f ../sub/leaf OUT=$@
END
cat >sub/leaf <<'END'
all: $(OUT).a $(OUT).b
	@cat $^ >$(OUT)
$(OUT).%:
	@echo $@ >$@
END
cd "$TMP" || exit 1
# Absolute dates and debug paths aside, a compiler makes the same of the same.
alike 'make -j4' 'make -j4 2>&1 | sort; echo "${PIPESTATUS[0]}"'
alike 'make -j4, with the output of each target in one piece' '
	make -j4 -Otarget sums slow 2>&1 | sort; make -q sums; echo $?'
alike 'make without -j' 'make -s sums sub; make -n all | md5sum'
alike 'make -j4 of what fails' '
	make -j4 bad >log 2>&1; echo $?; rm log
	make -k -j4 bad >log 2>&1; echo $?; grep -c "^[0-9]*$" log; rm log
	make nosuch; echo $?'
alike 'make -j4 made twice' 'make -j4 sums >/dev/null; make -j4 sums; make -j4 -B sums'
# By its own death or after its child's, 130 or 2: whichever it sees first.
alike 'make is interrupted' '
	set -m; printf "all: ; @touch began; sleep 30\n" >M; make -j2 -f M & p=$!
	until [ -e began ]; do sleep 0.02; done
	kill -INT -- -$p; wait $p; echo $(($? != 0))'
alike 'a compiler that reads a pipe' '
	echo "int main(void) { return 42; }" | cc -x c -pipe -o p - && ./p; echo $?
	echo "int main(void) { oops }" | cc -x c -c -o q.o - ; echo $?'
finish
