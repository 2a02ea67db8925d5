/* SPDX-License-Identifier: MIT */
/* stat.c - `cohook stat': run a program, and sum up at the end.
 *
 * Its counters are read when it ends, however it does: ptrace(2) stops its
 * first thread on the way out, when its memory is still there.  Nothing else
 * stops it but its own signals, which are handed on. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hook/tool/live.h"

static pid_t child;
static bool json;
static const char *output;
static FILE *out;

struct summary {
	struct live_counts counts;
	bool counted;
	struct watched watched;
};

/* Its exit status, as wait(2) has it. */
static int
follow(struct summary *sum, struct rusage *ru)
{
	struct live *l;
	char *why;
	int status, sig, event;

	for (;;) {
		if (wait4(child, &status, __WALL, ru) < 0) {
			if (errno == EINTR)
				continue;
			die(EXIT_OURS, "wait: %s", strerror(errno));
		}
		if (!WIFSTOPPED(status))
			return status;
		sig = WSTOPSIG(status);
		event = status >> 16;
		if (event == PTRACE_EVENT_EXIT) {
			sig = 0;
			l = live_open(child, &why);
			if (l != NULL) {
				sum->counted = live_counts(l, &sum->counts);
				if (sum->counted)
					watched_read(l, &sum->watched);
				live_close(l);
			}
		} else if (event == PTRACE_EVENT_STOP) {
			/* Stopped as by ^Z: it stays so until SIGCONT. */
			if (sig == SIGSTOP || sig == SIGTSTP ||
			    sig == SIGTTIN || sig == SIGTTOU) {
				ptrace(PTRACE_LISTEN, child, NULL, NULL);
				continue;
			}
			sig = 0;
		}
		ptrace(PTRACE_CONT, child, NULL, (void *)(intptr_t)sig);
	}
}

static double
seconds(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

static void
line(const char *value, const char *text)
{
	fprintf(out, "%14s  %s\n", value, text);
}

static void
count_line(long n, const char *text)
{
	char digits[32], grouped[48];
	size_t len, i, k = 0;

	len = (size_t)snprintf(digits, sizeof(digits), "%ld", n);
	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			grouped[k++] = ',';
		grouped[k++] = digits[i];
	}
	grouped[k] = '\0';
	line(grouped, text);
}

static void
say(const char *name, const struct summary *sum, const struct rusage *ru,
    double wall)
{
	const struct live_counts *c = &sum->counts;
	char text[64];

	fprintf(out, "\ncohook stat: %s\n\n", name);
	if (sum->counted) {
		count_line(c->started, "coroutines, main() among them");
		count_line(c->switches, "switches to a coroutine");
		count_line(c->kernel_threads,
			   "kernel threads that ran them at some time");
	} else {
		line("-", "no coroutines: it started no thread, or runs "
			  "without cohook");
	}
	count_line(ru->ru_nvcsw, "times a kernel thread went to sleep");
	count_line(ru->ru_nivcsw, "times one lost its CPU");
	snprintf(text, sizeof(text), "%.1f MiB", (double)ru->ru_maxrss / 1024);
	line(text, "memory at most");
	snprintf(text, sizeof(text), "%.3f s", wall);
	line(text, "from start to end");
	snprintf(text, sizeof(text), "%.3f s", seconds(&ru->ru_utime));
	line(text, "of CPU in the program");
	snprintf(text, sizeof(text), "%.3f s", seconds(&ru->ru_stime));
	line(text, "of CPU in the kernel");
	if (sum->counted)
		watched_print(out, &sum->watched);
}

static void
say_json(const char *name, const struct summary *sum, const struct rusage *ru,
	 double wall, int status)
{
	const struct live_counts *c = &sum->counts;

	fprintf(out, "{\"program\": ");
	json_string_to(out, name);
	if (WIFEXITED(status))
		fprintf(out, ", \"status\": %d, \"signal\": null",
			WEXITSTATUS(status));
	else
		fprintf(out, ", \"status\": null, \"signal\": %d",
			WTERMSIG(status));
	fprintf(out, ", \"counted\": %s,\n ", sum->counted ? "true" : "false");
	if (sum->counted)
		fprintf(out, "\"coroutines\": %ld, \"switches\": %ld, "
			     "\"workers\": %ld, \"kernel_threads\": %ld,\n ",
			(long)c->started, (long)c->switches, (long)c->workers,
			(long)c->kernel_threads);
	fprintf(out, "\"sleeps\": %ld, \"preemptions\": %ld, "
		     "\"memory_kib\": %ld, \"seconds\": %.6f,\n "
		     "\"user_seconds\": %.6f, \"system_seconds\": %.6f",
		ru->ru_nvcsw, ru->ru_nivcsw, ru->ru_maxrss, wall,
		seconds(&ru->ru_utime), seconds(&ru->ru_stime));
	if (sum->counted)
		watched_json(out, &sum->watched);
	fprintf(out, "}\n");
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

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

int
cmd_stat(int argc, char **argv)
{
	static const struct launch_more more_options[] = {
		{ "output", 'o', "FILE", take_output, "not to stderr" },
		{ "json", 'j', NULL, take_json, "for machines" },
		{ NULL, 0, NULL, NULL, NULL },
	};
	int first = launch_options(argc, argv, more_options), status;
	struct summary sum;
	struct rusage ru;
	double begin;

	memset(&sum, 0, sizeof(sum));
	out = open_output(output);
	setenv("COHOOK_STATS", "count", 0);
	child = child_fork(argv + first);
	/* Refused, it runs all the same, uncounted. */
	if (ptrace(PTRACE_SEIZE, child, NULL,
		   (void *)(intptr_t)PTRACE_O_TRACEEXIT) != 0)
		complain("its counters cannot be read: ptrace: %s",
			 strerror(errno));
	begin = now();
	child_go();
	status = follow(&sum, &ru);
	if (json)
		say_json(argv[first], &sum, &ru, now() - begin, status);
	else if (!(WIFEXITED(status) && WEXITSTATUS(status) >= EXIT_CANNOT &&
		   !sum.counted))
		say(argv[first], &sum, &ru, now() - begin);
	fflush(out);
	return child_end_as(status);
}
