/* SPDX-License-Identifier: MIT */
/* mysql_options.c - what the MySQL demo is asked for. */
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mysql_rows.h"
#include "mysql_work.h"

struct work work = {
	.n = 100,
	.host = "127.0.0.1",
	.port = 3306,
	.pause_s = 0.05,
};

static void
usage(const char *name)
{
	fprintf(stderr,
		"usage: %s MODE -u USER -d DATABASE -r ROWS_FILE\n"
		"\t[-n CONNECTIONS] [-h HOST] [-P PORT] [-s PAUSE_SECONDS]\n"
		"\t[-t TIMES_FILE]\n"
		"The password is taken from $MYSQL_PWD.\n",
		name);
	exit(2);
}

void
work_begin(int argc, char **argv)
{
	const char *rows = NULL;
	int c;

	optind = 2;
	while ((c = getopt(argc, argv, "n:h:P:u:d:r:s:t:")) != -1) {
		switch (c) {
		case 'n':
			work.n = atoi(optarg);
			break;
		case 'h':
			work.host = optarg;
			break;
		case 'P':
			work.port = (unsigned)atoi(optarg);
			break;
		case 'u':
			work.user = optarg;
			break;
		case 'd':
			work.database = optarg;
			break;
		case 'r':
			rows = optarg;
			break;
		case 's':
			work.pause_s = atof(optarg);
			break;
		case 't':
			work.times_path = optarg;
			break;
		default:
			usage(argv[0]);
		}
	}
	if (!work.user || !work.database || !rows || work.n < 1 ||
	    optind != argc)
		usage(argv[0]);
	rows_read(rows);
	work.visits = calloc((size_t)work.n, sizeof *work.visits);
	if (!work.visits) {
		perror("calloc");
		exit(2);
	}
	for (int i = 0; i < work.n; i++)
		work.visits[i].number = i;
	/* Before any thread: mysql_init() would do it, but not safely. */
	if (mysql_library_init(0, NULL, NULL) != 0) {
		fprintf(stderr, "mysql_library_init failed\n");
		exit(2);
	}
	work.start = now_ns();
}
