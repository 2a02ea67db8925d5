/* SPDX-License-Identifier: MIT */
/* report.c - the table hook x case, of what was measured; and its gaps.
 *
 *     report FILE new              makes FILE, empty, for record.c
 *     report FILE EXCEPTIONS       prints the table; 1 if there is a gap
 *
 * A gap is a case that no call of a hook was seen in, and for which there is
 * no reason in EXCEPTIONS; see the top of that.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/coverage/coverage.h"

static const char *const names[] = {
#define HOOK(ret, name, params, args) #name,
#define ALIAS(alias, name)
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS
};

static const char *const cases[COV_CASES] = { "ok",    "waited", "timeout",
					      "eintr", "bad",    "error" };

static struct coverage *seen;
static char *excepted[COV_ROWS][COV_CASES]; /* the reason */

static void
die(const char *what, const char *of)
{
	fprintf(stderr, "coverage: %s: %s\n", of, what);
	exit(2);
}

static int
row_of(const char *name)
{
	int i;

	for (i = 0; i < COV_ROWS; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static unsigned
cases_of(char *line)
{
	unsigned set = 0;
	char *save, *s;
	int i;

	for (s = strtok_r(line, " ", &save); s != NULL;
	     s = strtok_r(NULL, " ", &save)) {
		for (i = 0; i < COV_CASES && strcmp(s, cases[i]) != 0; i++)
			;
		if (i == COV_CASES)
			die("is no case", s);
		set |= 1u << i;
	}
	return set;
}

static void
except(char *line, unsigned set, char *reason)
{
	char *save, *s;
	int row, i;

	for (s = strtok_r(line, " \t", &save); s != NULL;
	     s = strtok_r(NULL, " \t", &save)) {
		row = row_of(s);
		if (row < 0)
			die("is no hook", s);
		for (i = 0; i < COV_CASES; i++)
			if (set >> i & 1)
				excepted[row][i] = reason;
	}
}

static void
read_exceptions(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[400], *colon, *reason = NULL;
	unsigned set = 0;

	if (f == NULL)
		die("cannot be read", path);
	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (line[0] == '\t') {
			if (reason == NULL)
				die("names come after a reason", path);
			except(line, set, reason);
			continue;
		}
		colon = strchr(line, ':');
		if (colon == NULL)
			die("CASES: REASON", line);
		*colon = '\0';
		set = cases_of(line);
		reason = strdup(colon + 1 + strspn(colon + 1, " "));
	}
	fclose(f);
}

static void
open_file(const char *path, int new)
{
	int fd = open(path, new ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY, 0666);

	if (fd == -1 || (new &&ftruncate(fd, sizeof *seen) != 0))
		die("cannot be opened", path);
	if (new)
		return;
	seen = mmap(NULL, sizeof *seen, PROT_READ, MAP_SHARED, fd, 0);
	if (seen == MAP_FAILED)
		die("cannot be mapped", path);
}

int
main(int argc, char **argv)
{
	int row, i, gaps = 0, cells = 0, excused = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: %s FILE new | FILE EXCEPTIONS\n",
			argv[0]);
		return 2;
	}
	open_file(argv[1], strcmp(argv[2], "new") == 0);
	if (seen == NULL)
		return 0;
	read_exceptions(argv[2]);
	printf("%-24s", "");
	for (i = 0; i < COV_CASES; i++)
		printf("%9s", cases[i]);
	printf("\n");
	for (row = 0; row < COV_ROWS; row++) {
		printf("%-24s", names[row]);
		for (i = 0; i < COV_CASES; i++) {
			if (seen->count[row][i] > 0) {
				printf("%9llu",
				       (unsigned long long)seen->count[row][i]);
				cells++;
			} else if (excepted[row][i] != NULL) {
				printf("%9s", "-");
				excused++;
			} else {
				printf("%9s", "GAP");
				gaps++;
			}
		}
		printf("\n");
	}
	printf("%d cases seen, %d of which %s says why not, %d gaps\n", cells,
	       excused, argv[2], gaps);
	return gaps > 0;
}
