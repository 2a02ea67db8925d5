/* SPDX-License-Identifier: MIT */
/* trace_show.c - an event, for people and for machines. */
#include <stdlib.h>
#include <string.h>

#include "hook/tool/trace.h"

struct trace_options trace_options;

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
	/* Whatever was asked for may be among them. */
	if (strcmp(e->what, "log") == 0 && strncmp(e->text, "lost ", 5) == 0)
		return true;
	if (trace_options.calls != NULL &&
	    !in_list(trace_options.calls, e->call))
		return false;
	if (trace_options.fds != NULL &&
	    !number_in(trace_options.fds, fd_of(e)))
		return false;
	return trace_options.ids == NULL ||
	       number_in(trace_options.ids, e->id) ||
	       (e->other != 0 && number_in(trace_options.ids, e->other));
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
print_text(FILE *out, const char *text)
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
	FILE *out = trace_options.out;
	int fd = fd_of(e);
	char took[32], *name;

	if (strcmp(e->what, "log") == 0) {
		print_text(out, e->text);
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
	FILE *out = trace_options.out;
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

void
trace_show(const struct event *e)
{
	static double since;

	if (since == 0)
		since = e->time;
	if (!wanted(e))
		return;
	if (trace_options.json)
		print_json(e);
	else
		print(e, since);
}
