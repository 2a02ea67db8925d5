/* SPDX-License-Identifier: MIT */
/* trace.c - `cohook trace': run a program, and print each wait.  (Of one that
 * runs already: trace_live.c.)
 *
 * The library writes lines for its log (sched/watch.c); that is a FIFO which we
 * read, so the program's own output is its own, and it never waits for us for
 * long: a line that finds the FIFO full is lost, and that is said. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook/tool/trace.h"

static const char *output;

/* --- reading --- */

static bool
value(const char *line, const char *key, char *buf, size_t size)
{
	const char *p = strstr(line, key);
	size_t n;

	if (p == NULL)
		return false;
	p += strlen(key);
	n = strcspn(p, " ");
	snprintf(buf, size, "%.*s", (int)(n < size ? n : size - 1), p);
	return true;
}

/* cohook[pid.tid#id] trace seconds.us what key=value... */
static void
parse(const char *line, struct event *e)
{
	char text[64];
	int at = 0;

	memset(e, 0, sizeof(*e));
	e->us = -1;
	e->text = line;
	strcpy(e->what, "log");
	if (sscanf(line, "cohook[%ld.%ld", &e->pid, &e->tid) < 1)
		return;
	sscanf(line, "cohook[%*d.%*d#%ld", &e->id);
	e->text = strstr(line, "] ");
	e->text = e->text != NULL ? e->text + 2 : line;
	if (sscanf(e->text, "trace %lf %15s %n", &e->time, e->what, &at) < 2) {
		strcpy(e->what, "log");
		return;
	}
	value(e->text, " call=", e->call, sizeof(e->call));
	value(e->text, " by=", e->by, sizeof(e->by));
	if (value(e->text, " what=", text, sizeof(text)))
		e->object = strtoull(text, NULL, 16);
	if (value(e->text, " fn=", text, sizeof(text)))
		e->fn = strtoull(text, NULL, 16);
	if (value(e->text, " us=", text, sizeof(text)))
		e->us = strtol(text, NULL, 10);
	if (value(e->text, " id=", text, sizeof(text)))
		e->other = strtol(text, NULL, 10);
}

static void
line(const char *text)
{
	struct event e;

	parse(text, &e);
	trace_show(&e);
}

/* --- the FIFO --- */

static char *folder, *fifo;

static void
take_away(void)
{
	if (fifo != NULL)
		unlink(fifo);
	if (folder != NULL)
		rmdir(folder);
	fifo = folder = NULL;
}

/* Whoever the program becomes may write to it, and only we read. */
static int
make_fifo(void)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	folder = format("%s/cohook-trace.XXXXXX",
			tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
	if (mkdtemp(folder) == NULL)
		die(EXIT_OURS, "%s: %s", folder, strerror(errno));
	fifo = format("%s/log", folder);
	atexit(take_away);
	if (mkfifo(fifo, 0600) != 0 || chmod(folder, 0711) != 0 ||
	    chmod(fifo, 0666) != 0)
		die(EXIT_OURS, "%s: %s", fifo, strerror(errno));
	fd = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die(EXIT_OURS, "%s: %s", fifo, strerror(errno));
	fcntl(fd, F_SETPIPE_SZ, 1 << 20);
	return fd;
}

/* False: there is nothing more for now. */
static bool
read_some(int fd)
{
	static char buf[1 << 16];
	static size_t have;
	char *at, *end;
	ssize_t n = read(fd, buf + have, sizeof(buf) - 1 - have);

	if (n <= 0)
		return false;
	have += (size_t)n;
	buf[have] = '\0';
	for (at = buf; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		line(at);
	}
	have -= (size_t)(at - buf);
	memmove(buf, at, have);
	if (have == sizeof(buf) - 1)
		have = 0;
	return true;
}

/* SIGCHLD ends a poll; its handler is for that alone. */
static void
wakes(int sig)
{
	(void)sig;
}

static int
follow(pid_t child, int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct sigaction sa;
	sigset_t chld, old;
	int status;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = wakes;
	sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &old);
	child_go();
	for (;;) {
		while (read_some(fd))
			;
		fflush(trace_options.out);
		if (ferror(trace_options.out))
			p.fd = -1; /* nobody reads us: it runs all the same */
		if (waitpid(child, &status, WNOHANG) == child)
			break;
		ppoll(&p, 1, NULL, &old);
	}
	while (read_some(fd))
		;
	fflush(trace_options.out);
	return status;
}

/* --- the command --- */

static void
take_json(const char *argument)
{
	(void)argument;
	trace_options.json = true;
}

static void
take_output(const char *argument)
{
	output = argument;
}

static void
take_calls(const char *argument)
{
	trace_options.calls = argument;
}

static void
take_fds(const char *argument)
{
	trace_options.fds = argument;
}

static void
take_ids(const char *argument)
{
	trace_options.ids = argument;
}

/* A process id and nothing else; 0: a program.  One of such a name is ./123. */
static pid_t
pid_alone(char **argv)
{
	size_t digits = strspn(argv[0], "0123456789");

	if (digits == 0 || argv[0][digits] != '\0' || argv[1] != NULL)
		return 0;
	if (launch_set)
		die(2, "a process that runs has its settings already");
	return pid_of(argv[0]);
}

int
cmd_trace(int argc, char **argv)
{
	static const struct launch_more more_options[] = {
		{ "calls", 'e', "CALLS", take_calls, "these alone: read,poll" },
		{ "fds", 'f', "FDS", take_fds, "waits for these: 5,7" },
		{ "coroutines", 'c', "IDS", take_ids, "of these alone: 1,3" },
		{ "output", 'o', "FILE", take_output, "there, not to stderr" },
		{ "json", 'j', NULL, take_json, "a line each, for machines" },
		{ NULL, 0, NULL, NULL, NULL },
	};
	int first = launch_options(argc, argv, more_options), fd, status;
	pid_t child = pid_alone(argv + first);

	if (child != 0 && output == NULL) {
		trace_options.out = stdout; /* nobody else writes there */
		return trace_live(child);
	}
	trace_options.out = open_output(output);
	if (child != 0)
		return trace_live(child);
	fd = make_fifo();
	setenv("COHOOK_LOG", format("trace:%s", fifo), 1);
	child = child_fork(argv + first);
	signal(SIGPIPE, SIG_IGN); /* ours, not the program's */
	status = follow(child, fd);
	take_away(); /* we may end by a signal */
	return child_end_as(status);
}
