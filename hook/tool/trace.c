/* SPDX-License-Identifier: MIT */
/* trace.c - `cohook trace': run a program, and print each wait.
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

#include "hook/tool/live.h"

static bool json;
static const char *output;
static const char *calls, *fds, *ids;
static FILE *out;

/* One line of the log. */
struct event {
	long pid, tid, id; /* id 0: none */
	double time;       /* CLOCK_MONOTONIC, s */
	char what[16];     /* park, wake, ...; "log": text is all */
	char call[64], by[16];
	uint64_t object, fn;
	long us;    /* -1: none */
	long other; /* the coroutine that it is about; 0 */
	const char *text;
};

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

/* Its descriptor; -1: none.  As in ps.c. */
static int
fd_of(const struct event *e)
{
	static const uint64_t FIRST_ADDRESS = 1 << 22;
	const struct call *call = call_of(e->call);

	if (e->object >= FIRST_ADDRESS || e->call[0] == '\0' ||
	    (strcmp(e->what, "park") != 0 && strcmp(e->what, "wake") != 0))
		return -1;
	if ((call != NULL && call->on_fd) ||
	    (e->object != 0 && strstr(e->call, "poll") != NULL))
		return (int)e->object;
	return -1;
}

/* --- choosing --- */

static bool
in_list(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p = list;

	for (; p != NULL; p = strchr(p, ',')) {
		p += *p == ',';
		if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
			return true;
	}
	return false;
}

static bool
number_in(const char *list, long n)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", n);
	return n >= 0 && in_list(list, text);
}

static bool
wanted(const struct event *e)
{
	if (calls != NULL && !in_list(calls, e->call))
		return false;
	if (fds != NULL && !number_in(fds, fd_of(e)))
		return false;
	return ids == NULL || number_in(ids, e->id) ||
	       (e->other != 0 && number_in(ids, e->other));
}

/* --- printing --- */

static const char *
time_text(char *buf, size_t size, long us)
{
	if (us < 10000)
		snprintf(buf, size, "%ld us", us);
	else if (us < 10000000)
		snprintf(buf, size, "%ld ms", us / 1000);
	else
		snprintf(buf, size, "%.1f s", (double)us / 1e6);
	return buf;
}

/* The function that a thread begins with, by what is mapped now. */
static char *
function(const struct event *e)
{
	static struct live *l;
	static long of;
	struct module *m;
	char *why = NULL, *name;

	if (e->fn == 0)
		return NULL;
	if (l == NULL || of != e->pid) {
		if (l != NULL)
			live_close(l);
		l = live_open((pid_t)e->pid, &why);
		free(why);
		of = e->pid;
	}
	name = l != NULL ? live_symbol(l, e->fn, &m) : NULL;
	return name;
}

/* A line of the log that is no event, broken at column 80. */
static void
print_text(const char *text)
{
	enum { INDENT = 13, WIDTH = 79 };
	size_t n;

	while (strlen(text) > WIDTH - INDENT) {
		for (n = WIDTH - INDENT; n > 0 && text[n] != ' '; n--)
			;
		if (n == 0)
			break;
		fprintf(out, "%*s%.*s\n", INDENT, "", (int)n, text);
		text += n + 1;
	}
	fprintf(out, "%*s%s\n", INDENT, "", text);
}

static void
print(const struct event *e, double since)
{
	int fd = fd_of(e);
	char took[32], *name;

	if (strcmp(e->what, "log") == 0) {
		print_text(e->text);
		return;
	}
	fprintf(out, "%12.6f ", e->time - since);
	/* Whoever sees to the end of another is of no interest. */
	if (strcmp(e->what, "exit") == 0)
		name = format("#%ld", e->other);
	else
		name = e->id != 0 ? format("#%ld", e->id) : format("-");
	fprintf(out, strcmp(e->what, "exit") == 0 ? "%-6s %s" : "%-6s %-8s",
		name, e->what);
	free(name);
	if (e->call[0] != '\0')
		fprintf(out, " %s", e->call);
	if (strcmp(e->what, "takeover") == 0)
		fprintf(out, " of #%ld%s", e->other,
			e->call[0] != '\0' ? "" : ", in no call of ours");
	if (fd >= 0)
		fprintf(out, " fd %d", fd);
	else if (e->object != 0)
		fprintf(out, " 0x%lx", (unsigned long)e->object);
	if (e->us >= 0)
		fprintf(out,
			strcmp(e->what, "park") == 0 ? ", %s at most" :
						       ", after %s",
			time_text(took, sizeof(took), e->us));
	if (e->by[0] != '\0')
		fprintf(out, ": %s", e->by);
	if (strcmp(e->what, "spawn") == 0) {
		name = function(e);
		if (name != NULL)
			fprintf(out, " #%ld in %s", e->other, name);
		else
			fprintf(out, " #%ld in 0x%lx", e->other,
				(unsigned long)e->fn);
		free(name);
	}
	fprintf(out, "\n");
}

static void
print_json(const struct event *e)
{
	int fd = fd_of(e);
	char *name;

	fprintf(out, "{\"event\": ");
	json_string_to(out, e->what);
	fprintf(out, ", \"pid\": %ld, \"kernel_thread\": %ld", e->pid, e->tid);
	if (e->id != 0)
		fprintf(out, ", \"coroutine\": %ld", e->id);
	if (strcmp(e->what, "log") == 0) {
		fprintf(out, ", \"text\": ");
		json_string_to(out, e->text);
		fprintf(out, "}\n");
		return;
	}
	fprintf(out, ", \"time\": %.6f", e->time);
	if (e->call[0] != '\0') {
		fprintf(out, ", \"call\": ");
		json_string_to(out, e->call);
	}
	if (fd >= 0)
		fprintf(out, ", \"fd\": %d", fd);
	else if (e->object != 0)
		fprintf(out, ", \"address\": \"0x%lx\"",
			(unsigned long)e->object);
	if (e->us >= 0)
		fprintf(out, ", \"%s\": %ld",
			strcmp(e->what, "park") == 0 ? "timeout_us" : "us",
			e->us);
	if (e->by[0] != '\0') {
		fprintf(out, ", \"by\": ");
		json_string_to(out, e->by);
	}
	if (e->other != 0)
		fprintf(out, ", \"id\": %ld", e->other);
	name = function(e);
	if (name != NULL) {
		fprintf(out, ", \"function\": ");
		json_string_to(out, name);
		free(name);
	}
	fprintf(out, "}\n");
}

static void
line(const char *text)
{
	static double since;
	struct event e;

	parse(text, &e);
	if (since == 0)
		since = e.time;
	if (!wanted(&e))
		return;
	if (json)
		print_json(&e);
	else
		print(&e, since);
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
		fflush(out);
		if (ferror(out))
			p.fd = -1; /* nobody reads us: it runs all the same */
		if (waitpid(child, &status, WNOHANG) == child)
			break;
		ppoll(&p, 1, NULL, &old);
	}
	while (read_some(fd))
		;
	fflush(out);
	return status;
}

/* --- the command --- */

static void
take_json(const char *argument)
{
	(void)argument;
	json = true;
}

static void
take_output(const char *argument)
{
	output = argument;
}

static void
take_calls(const char *argument)
{
	calls = argument;
}

static void
take_fds(const char *argument)
{
	fds = argument;
}

static void
take_ids(const char *argument)
{
	ids = argument;
}

int
cmd_trace(int argc, char **argv)
{
	static const struct launch_more more_options[] = {
		{ "calls", 'e', "CALLS", take_calls, "these alone: read,poll" },
		{ "fds", 'f', "FDS", take_fds, "waits for these: 5,7" },
		{ "coroutines", 'c', "IDS", take_ids, "of these alone: 1,3" },
		{ "output", 'o', "FILE", take_output, "not to stderr" },
		{ "json", 'j', NULL, take_json, "a line each, for machines" },
		{ NULL, 0, NULL, NULL, NULL },
	};
	int first = launch_options(argc, argv, more_options), fd, status;
	pid_t child;

	out = open_output(output);
	fd = make_fifo();
	setenv("COHOOK_LOG", format("trace:%s", fifo), 1);
	child = child_fork(argv + first);
	signal(SIGPIPE, SIG_IGN); /* ours, not the program's */
	status = follow(child, fd);
	take_away(); /* we may end by a signal */
	return child_end_as(status);
}
