/* SPDX-License-Identifier: MIT */
/* launch.c - `cohook PROGRAM': the environment set up, and the program run in
 * our place. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hook/setting.h"
#include "hook/tool/tool.h"

extern char **environ;

/* --- the environment --- */

struct option_of {
	const char *name;      /* --name */
	int letter;            /* -l, or 0 */
	const char *meta;      /* its argument; NULL: none */
	const char *variable;
	const char *value;     /* of the variable where there is no argument */
	const char *help;
};

static const struct option_of options[] = {
	{ "workers", 'w', "N", "COHOOK_WORKERS", NULL,
	  "kernel threads that run coroutines" },
	{ "stack", 's', "SIZE", "COHOOK_STACK", NULL,
	  "of a coroutine: 64K, 1M" },
	{ "now", 'n', NULL, "COHOOK_START", "now",
	  "main() is a coroutine from the start" },
	{ "native", 0, NULL, "COHOOK_THREADS", "native",
	  "threads are the kernel's, as ever" },
	{ "convert", 0, NULL, "COHOOK_THREADS", "convert",
	  "coroutines, whatever runtime is there" },
	{ "off", 0, NULL, "COHOOK", "0", "every hook is just the real call" },
	{ "exclude", 'x', "LIST", "COHOOK_EXCLUDE", NULL,
	  "libfoo.so*,sleep: left to libc" },
	{ "log", 'l', "LEVEL", "COHOOK_LOG", NULL,
	  "warn, info, trace; or LEVEL:FILE" },
	{ "stats", 0, NULL, "COHOOK_STATS", "1",
	  "a summary in the log, at exit" },
	{ "dump", 0, "SIGNAL", "COHOOK_DUMP", NULL,
	  "SIGUSR2: list all coroutines then" },
	{ "tcb", 0, "WAY", "COHOOK_TCB", NULL,
	  "how thread control blocks are had" },
	{ "guard", 0, "KIND", "COHOOK_GUARD", NULL,
	  "how stacks are guarded" },
};
enum { OPTIONS = sizeof(options) / sizeof(*options) };

/* Can it be written to?  As the library opens it (sched/log.c). */
static const char *
bad_log(const char *value)
{
	const char *colon = strchr(value, ':');
	int fd;

	if (colon == NULL)
		return NULL;
	fd = open(colon + 1, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return strerror(errno);
	close(fd);
	return NULL;
}

/* What the library would ignore is refused: it would do nothing, unsaid. */
static void
refuse(const char *variable, const char *name, const char *value)
{
	const struct co_setting *s = co_setting_of(variable);
	const char *why;

	if (s != NULL && !s->valid(value))
		die(EXIT_OURS, "%s is %s, not \"%s\"", name, s->may_be, value);
	if (strcmp(variable, "COHOOK_LOG") != 0)
		return;
	why = bad_log(value);
	if (why != NULL)
		die(EXIT_OURS, "%s: %s: %s", name, strchr(value, ':') + 1, why);
}

/* One letter too many, too few, or wrong. */
static bool
misspelt(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b)
		a++, b++;
	return strcmp(a + (*a != '\0'), b) == 0 ||
	       strcmp(a, b + (*b != '\0')) == 0 ||
	       (*a != '\0' && *b != '\0' && strcmp(a + 1, b + 1) == 0);
}

/* A misspelt variable would do nothing either; but it may be somebody else's. */
static void
look_at_environment(void)
{
	const struct co_setting *s;
	char **e, *equals, *name;

	for (e = environ; *e != NULL; e++) {
		equals = strchr(*e, '=');
		if (equals == NULL || (strncmp(*e, "COHOOK_", 7) != 0 &&
				       strncmp(*e, "COHOOK=", 7) != 0))
			continue;
		name = format("%.*s", (int)(equals - *e), *e);
		if (co_setting_of(name) == NULL) {
			for (s = co_settings; s->name != NULL; s++)
				if (misspelt(s->name, name))
					complain("%s: is %s meant?", name,
						 s->name);
		} else if (equals[1] != '\0') {
			refuse(name, name, equals + 1);
		}
		free(name);
	}
}

static void
launch_option_line(FILE *to, int letter, const char *name, const char *meta,
		   const char *variable, const char *help)
{
	char left[40];

	snprintf(left, sizeof(left), "%c%c%s--%s%s%s", letter ? '-' : ' ',
		 letter ? letter : ' ', letter ? ", " : "  ", name,
		 meta ? " " : "", meta ? meta : "");
	fprintf(to, "  %-19s %-15s %s\n", left, variable, help);
}

void
launch_usage(FILE *to)
{
	size_t i;

	fprintf(to, "Options, and the variables that they set:\n");
	for (i = 0; i < OPTIONS; i++)
		launch_option_line(to, options[i].letter, options[i].name,
				   options[i].meta, options[i].variable,
				   options[i].help);
	launch_option_line(to, 'q', "quiet", NULL, "",
			   "no word on why it cannot be hooked");
}

/* --- our other files --- */

static const char *
own_dir(void)
{
	static char dir[PATH_MAX];
	ssize_t n;

	if (dir[0] != '\0')
		return dir;
	n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	if (n <= 0)
		die(EXIT_OURS, "/proc/self/exe: %s", strerror(errno));
	dir[n] = '\0';
	*strrchr(dir, '/') = '\0';
	return dir;
}

/* The build tree has it beside us.  Installed, it is where we were told, from
 * where we are: so a tree that was moved as a whole works. */
const char *
launch_library(void)
{
	static char *found;
	char *tried[3];
	size_t i;

	if (found != NULL)
		return found;
	tried[0] = format("%s/libcohook.so", own_dir());
	tried[1] = format("%s/%s/libcohook.so.%s", own_dir(),
			  COHOOK_LIB_FROM_BIN, COHOOK_SOVERSION);
	tried[2] = format("%s/libcohook.so.%s", COHOOK_LIBDIR,
			  COHOOK_SOVERSION);
	for (i = 0; i < 3; i++) {
		found = realpath(tried[i], NULL);
		if (found != NULL)
			return found;
	}
	die(EXIT_OURS, "no libcohook.so: neither %s,\nnor %s, nor %s",
	    tried[0], tried[1], tried[2]);
}

/* --- running it --- */

bool launch_set;
static bool quiet;

/* In front of what is preloaded already, and once. */
static void
preload(void)
{
	const char *lib = launch_library(), *old = getenv("LD_PRELOAD");
	size_t n = strlen(lib);
	const char *at;

	if (strpbrk(lib, " :") != NULL)
		die(EXIT_OURS, "%s: LD_PRELOAD has no way to name a file with "
			       "a blank or colon in its path", lib);
	if (old == NULL || old[0] == '\0') {
		setenv("LD_PRELOAD", lib, 1);
		return;
	}
	for (at = old; (at = strstr(at, lib)) != NULL; at += n)
		if ((at == old || strchr(" :", at[-1]) != NULL) &&
		    (at[n] == '\0' || strchr(" :", at[n]) != NULL))
			return;
	setenv("LD_PRELOAD", format("%s:%s", lib, old), 1);
}

static void
set(const struct option_of *o, const char *argument)
{
	char *name = format("--%s", o->name);

	if (argument != NULL)
		refuse(o->variable, name, argument);
	free(name);
	setenv(o->variable, argument != NULL ? argument : o->value, 1);
	launch_set = true;
}

/* getopt_long(3)'s tables: ours, and a command's own. */
struct tables {
	struct option longs[OPTIONS + LAUNCH_MORE + 3];
	char letters[2 * (OPTIONS + LAUNCH_MORE) + 8];
};

static void
add_option(struct tables *t, size_t *n, const char *name, int letter,
	   bool argument, int val)
{
	size_t len = strlen(t->letters);

	t->longs[*n].name = name;
	t->longs[*n].has_arg = argument;
	t->longs[(*n)++].val = val;
	if (letter == 0)
		return;
	t->letters[len++] = (char)letter;
	if (argument)
		t->letters[len] = ':';
}

int
launch_options(int argc, char **argv, const struct launch_more *more_options)
{
	const struct launch_more *m;
	struct tables t;
	size_t i, n = 0;
	int c;

	memset(&t, 0, sizeof(t));
	t.letters[0] = '+'; /* stop at the program */
	for (i = 0; i < OPTIONS; i++)
		add_option(&t, &n, options[i].name, options[i].letter,
			   options[i].meta != NULL, 256 + (int)i);
	add_option(&t, &n, "quiet", 'q', false, 'q');
	add_option(&t, &n, "help", 'h', false, 'h');
	for (m = more_options; m != NULL && m->name != NULL; m++)
		add_option(&t, &n, m->name, m->letter, m->meta != NULL,
			   m->letter);
	while ((c = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		if (c == 'q') {
			quiet = true;
			continue;
		}
		if (c == 'h') {
			bool ours = more_options != NULL;

			printf("usage: cohook %s%s[options] PROGRAM "
			       "[ARG...]\n", ours ? argv[0] : "",
			       ours ? " " : "");
			if (strcmp(argv[0], "trace") == 0)
				printf("       cohook trace [options] PID\n");
			printf("\n");
			for (m = more_options; ours && m->name != NULL; m++)
				launch_option_line(stdout, m->letter, m->name,
						   m->meta, "", m->help);
			printf("%s", ours ? "\n" : "");
			launch_usage(stdout);
			exit(0);
		}
		for (m = more_options; m != NULL && m->name != NULL; m++)
			if (c == m->letter)
				break;
		if (m != NULL && m->name != NULL) {
			m->take(optarg);
			continue;
		}
		for (i = 0; i < OPTIONS; i++)
			if (c == 256 + (int)i || c == options[i].letter)
				break;
		if (i == OPTIONS)
			die(EXIT_OURS, "cohook --help lists the options");
		set(&options[i], options[i].meta != NULL ? optarg : NULL);
	}
	if (optind == argc)
		die(EXIT_OURS, "which program?  cohook --help tells more");
	look_at_environment();
	preload();
	return optind;
}

void
launch_exec(char **argv)
{
	const char *why = quiet ? NULL : check_reason(argv[0]);
	int err;

	if (why != NULL)
		complain("%s runs without cohook: %s", argv[0], why);
	fflush(stdout);
	execvp(argv[0], argv);
	err = errno;
	complain("%s: %s", argv[0], strerror(err));
	_exit(err == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT);
}

int
cmd_run(int argc, char **argv)
{
	int first = launch_options(argc, argv, NULL);

	launch_exec(argv + first);
}
