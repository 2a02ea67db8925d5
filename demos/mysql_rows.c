/* SPDX-License-Identifier: MIT */
/* mysql_rows.c - the rows that the MySQL demo must get, read from the file that
 * the table was made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mysql_rows.h"

#define COLUMNS 4 /* number, symbol, name, weight */
#define ROWS_MAX 1000

int rows_wanted;
static char *expected[ROWS_MAX][COLUMNS];

static void
fail(const char *path)
{
	perror(path);
	exit(2);
}

/* Tab-separated, like elements.tsv; lines that begin with # are comments. */
void
rows_read(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (!f)
		fail(path);
	while (rows_wanted < ROWS_MAX && fgets(line, sizeof line, f)) {
		char *rest = line, **row = expected[rows_wanted];

		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		for (int c = 0; c < COLUMNS; c++) {
			char *field = strsep(&rest, "\t");

			row[c] = strdup(field ? field : "");
			if (!row[c])
				fail(path);
		}
		if (atoi(row[0]) != ++rows_wanted) {
			fprintf(stderr, "%s: rows are not numbered 1, 2, 3\n",
				path);
			exit(2);
		}
	}
	fclose(f);
	if (rows_wanted == 0) {
		fprintf(stderr, "%s: there are no rows\n", path);
		exit(2);
	}
}

int
rows_right(int number, int at, char **row)
{
	int i = ((at - number) % rows_wanted + rows_wanted) % rows_wanted;
	char **want = expected[(i + rows_wanted - 1) % rows_wanted];

	if (!row[0] || atoi(row[0]) != number)
		return 0;
	for (int c = 0; c < COLUMNS; c++) {
		const char *got = row[c + 1];

		if (!got || strcmp(want[c], "\\N") == 0) {
			if (got || strcmp(want[c], "\\N") != 0)
				return 0;
		} else if (strcmp(got, want[c]) != 0) {
			return 0;
		}
	}
	return 1;
}

void
rows_free(void)
{
	for (int i = 0; i < rows_wanted; i++)
		for (int c = 0; c < COLUMNS; c++)
			free(expected[i][c]);
}
