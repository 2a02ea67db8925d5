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

/* What is sent to us alone is for the program; what the terminal sends, it has
 * got by itself. */
static void
hand_on(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	if (info->si_code <= 0)
		kill(child, sig);
}

static void
take_signals(void)
{
	static const int which[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP,
				     SIGUSR1, SIGUSR2 };
	struct sigaction sa;
	size_t i;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = hand_on;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	for (i = 0; i < sizeof(which) / sizeof(*which); i++)
		sigaction(which[i], &sa, NULL);
}

/* Its exit status, as wait(2) has it. */
static int
follow(struct live_counts *counts, bool *counted, struct rusage *ru)
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
				*counted = live_counts(l, counts);
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
	fprintf(stderr, "%14s  %s\n", value, text);
}

static void
count_line(long n, const char *text)
{
	char digits[32], out[48];
	size_t len, i, k = 0;

	len = (size_t)snprintf(digits, sizeof(digits), "%ld", n);
	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[k++] = ',';
		out[k++] = digits[i];
	}
	out[k] = '\0';
	line(out, text);
}

static void
say(const char *name, const struct live_counts *c, bool counted,
    const struct rusage *ru, double wall)
{
	char text[64];

	fflush(stdout);
	fprintf(stderr, "\ncohook stat: %s\n\n", name);
	if (counted) {
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
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int
cmd_stat(int argc, char **argv)
{
	int first = launch_options(argc, argv), gate[2], status;
	struct live_counts counts;
	struct rlimit none = { 0, 0 };
	struct rusage ru;
	bool counted = false;
	double begin;
	char go;

	if (pipe(gate) != 0)
		die(EXIT_OURS, "pipe: %s", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		die(EXIT_OURS, "fork: %s", strerror(errno));
	if (child == 0) {
		close(gate[1]);
		/* Until we are seen. */
		while (read(gate[0], &go, 1) < 0 && errno == EINTR)
			;
		close(gate[0]);
		launch_exec(argv + first);
	}
	close(gate[0]);
	take_signals();
	/* Refused, it runs all the same, uncounted. */
	if (ptrace(PTRACE_SEIZE, child, NULL,
		   (void *)(intptr_t)PTRACE_O_TRACEEXIT) != 0)
		complain("its counters cannot be read: ptrace: %s",
			 strerror(errno));
	begin = now();
	close(gate[1]);
	status = follow(&counts, &counted, &ru);
	if (!(WIFEXITED(status) && WEXITSTATUS(status) >= EXIT_CANNOT &&
	      !counted))
		say(argv[first], &counts, counted, &ru, now() - begin);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	/* As it ended, so do we; the core is its own. */
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}
