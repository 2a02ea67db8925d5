/* SPDX-License-Identifier: MIT */
/* main.c - the `cohook' command: which part is meant. */
#include <string.h>

#include "hook/tool/tool.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage, *help;
} commands[] = {
	{ "run", cmd_run, "[options] PROGRAM [ARG...]",
	  "the same, where PROGRAM has the name of a command" },
	{ "check", cmd_check, "[-v] [--json] FILE...",
	  "what becomes of a program's calls, and why some are not seen" },
	{ "stat", cmd_stat, "[-o FILE] [--json] PROGRAM [ARG...]",
	  "run it, and sum up at the end" },
	{ "trace", cmd_trace,
	  "[-e CALLS] [-f FDS] [--json] PROGRAM [ARG...] | PID",
	  "run it, and print each wait; or of a live process" },
	{ "ps", cmd_ps, "[--json] PID",
	  "the coroutines of a live process, and what each waits for" },
	{ "dump", cmd_dump, "[--json] PID", "the same, with their stacks" },
	{ "top", cmd_top, "[-d SECONDS] [-n TIMES] PID", "ps, again and again" },
};
enum { COMMANDS = sizeof(commands) / sizeof(*commands) };

static void
usage(FILE *to)
{
	size_t i;

	fprintf(to, "usage: cohook [options] PROGRAM [ARG...]\n");
	for (i = 0; i < COMMANDS; i++)
		fprintf(to, "       cohook %s %s\n", commands[i].name,
			commands[i].usage);
	fprintf(to, "\nRuns a program's threads as coroutines, on a few kernel "
		    "threads.  Its exit\nstatus and its signals are its own.\n\n");
	launch_usage(to);
	fprintf(to, "\nCommands:\n");
	for (i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s%s\n", commands[i].name, commands[i].help);
	fprintf(to, "\nThe whole story: man 1 cohook, and man 7 cohook.\n");
}

int
main(int argc, char **argv)
{
	size_t i;

	text_init();
	if (argc < 2) {
		usage(stderr);
		return EXIT_OURS;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		printf("cohook %s\n", COHOOK_VERSION);
		return 0;
	}
	for (i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return cmd_run(argc, argv);
}
