/* SPDX-License-Identifier: MIT */
/* child.c - a program run as our child, for `cohook stat' and `cohook trace':
 * signals are handed on, and we end as it does. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook/tool/tool.h"

static pid_t child;
static int gate[2];

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
	static const int which[] = { SIGINT, SIGQUIT, SIGTERM,
				     SIGHUP, SIGUSR1, SIGUSR2 };
	struct sigaction sa;
	size_t i;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = hand_on;
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	for (i = 0; i < sizeof(which) / sizeof(*which); i++)
		sigaction(which[i], &sa, NULL);
}

pid_t
child_fork(char **argv)
{
	char go;

	if (pipe2(gate, O_CLOEXEC) != 0)
		die(EXIT_OURS, "pipe: %s", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		die(EXIT_OURS, "fork: %s", strerror(errno));
	if (child == 0) {
		close(gate[1]);
		while (read(gate[0], &go, 1) < 0 && errno == EINTR)
			;
		close(gate[0]);
		launch_exec(argv);
	}
	close(gate[0]);
	take_signals();
	return child;
}

void
child_go(void)
{
	close(gate[1]);
}

int
child_end_as(int status)
{
	struct rlimit none = { 0, 0 };

	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fflush(NULL);
	setrlimit(RLIMIT_CORE, &none); /* the core is its own */
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}
