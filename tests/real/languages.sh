#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# languages.sh - what C++20, OpenMP and Perl have for threads, alike bare and
# hooked, with one worker and with two.
. "$(dirname "$0")/lib.sh"

samples=$REAL/samples
export BIN=$TMP
${CXX:-g++} -std=c++20 -O2 -pthread -o "$TMP/cpp20" "$samples/cpp20.cc" \
	2>"$TMP/err" || echo "no C++20: $(grep -m 1 error "$TMP/err")"
${CC:-cc} -fopenmp -O2 -o "$TMP/openmp" "$samples/openmp.c" \
	2>"$TMP/err" || echo "no OpenMP: $(grep -m 1 error "$TMP/err")"
for COHOOK_WORKERS in 1 2; do
	export COHOOK_WORKERS
	with="with $COHOOK_WORKERS"
	if [ -x "$TMP/cpp20" ]; then
		alike "C++20, $with" 'for i in 1 2 3 4 5; do $BIN/cpp20; done'
	else
		skip "C++20, $with" "it cannot be built here"
	fi
	if [ -x "$TMP/openmp" ]; then
		alike "OpenMP, $with" '
			$BIN/openmp; OMP_NUM_THREADS=16 $BIN/openmp
			OMP_WAIT_POLICY=active $BIN/openmp
			OMP_WAIT_POLICY=passive $BIN/openmp'
	else
		skip "OpenMP, $with" "it cannot be built here"
	fi
	if /usr/bin/perl -Mthreads -e 1 2>/dev/null; then
		export PERL_SAMPLE=$samples/threads.pl
		alike "Perl, $with" '/usr/bin/perl $PERL_SAMPLE'
	else
		skip "Perl, $with" "it has no threads here"
	fi
done

# A team waits by futexes that nobody sees.  Were its threads coroutines, each
# would hold up the others once until it is taken for stuck.
teams_are_native()
{
	local n

	n=$(LD_PRELOAD=$LIB OMP_NUM_THREADS=16 "$TMP/openmp_threads")
	[ "$n" = 16 ] || {
		echo "$n kernel threads, not 16"
		return 1
	}
}
if [ -x "$TMP/openmp" ]; then
	${CC:-cc} -fopenmp -O2 -x c -o "$TMP/openmp_threads" - <<'END'
#include <dirent.h>
#include <stdio.h>

int
main(void)
{
	int n = 0;
	DIR *d;

#pragma omp parallel
#pragma omp single
	{
		d = opendir("/proc/self/task");
		while (readdir(d) != NULL)
			n++;
		printf("%d\n", n - 2); /* . and .. */
	}
	return 0;
}
END
	check "a program of OpenMP's alone is as it was" teams_are_native
fi
finish
