/* SPDX-License-Identifier: MIT */
/* mysql_connect_go.c - mysql_connect again, but it asks for coroutines by
 * name: linked with -lcohook, no threads in sight.
 */
#include <stdio.h>
#include <string.h>

#include "cohook.h"
#include "mysql_work.h"

static void
visit(void *arg)
{
	work_visit(arg);
}

int
main(int argc, char **argv)
{
	int seen;

	if (argc < 2 || strcmp(argv[1], "go") != 0) {
		fprintf(stderr, "usage: %s go OPTIONS\n", argv[0]);
		return 2;
	}
	work_begin(argc, argv);
	for (int i = 0; i < work.n; i++)
		if (cohook_go(visit, &work.visits[i], 0) < 0) {
			perror("cohook_go");
			break;
		}
	seen = work_threads();
	if (cohook_run() != 0)
		perror("cohook_run");
	return work_end("go", seen);
}
