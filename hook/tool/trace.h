/* SPDX-License-Identifier: MIT */
/* trace.h - what the two ways of tracing share: what is shown of an event. */
#ifndef COHOOK_TOOL_TRACE_H
#define COHOOK_TOOL_TRACE_H

#include "hook/tool/live.h"

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

/* What was asked for. */
extern struct trace_options {
	bool json;
	const char *calls, *fds, *ids; /* by commas; NULL: all */
	FILE *out;
} trace_options;

/* Prints it, if it was asked for.  Times are from the first one's. */
void trace_show(const struct event *e);

/* trace_live.c: of a process that runs already, until it ends or we are told
 * to.  Returns the exit status. */
int trace_live(pid_t pid);

#endif
