/* SPDX-License-Identifier: MIT */
/* multi_server.c - an echo server of several processes: each has a listener of
 * its own on the one port (SO_REUSEPORT), a CPU of its own, and a thread for
 * each of its connections.
 *
 *     multi_server PROCESSES [MICROSECONDS]
 *
 * MICROSECONDS   of computing before each answer; 0 if not said
 *
 * Prints "port N".  SIGTERM ends it; each process then says how many requests
 * it has answered, on which CPU.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "compute.h"
#include "listen.h"
#include "thread_each.h"

static double busy; /* seconds */
static atomic_long requests;

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0) {
		compute(busy);
		atomic_fetch_add(&requests, 1);
		if (write(fd, buf, (size_t)n) != n)
			break;
	}
	close(fd);
	return NULL;
}

/* The CPU is chosen before the first thread is started: all threads, kernel's
 * and coroutines, then inherit it. */
static int
process(int number, int of, int listener)
{
	int cpu = number % (int)sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (of > 1 && sched_setaffinity(0, sizeof one, &one) != 0)
		fail("sched_setaffinity");
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	stop_at_sigterm(listener);
	mask_sigterm(SIG_UNBLOCK);
	thread_each(listener, serve);
	printf("process %d cpu %d requests %ld\n", number, of > 1 ? cpu : -1,
	       requests);
	return fflush(stdout) != 0;
}

int
main(int argc, char **argv)
{
	int of = argc > 1 ? atoi(argv[1]) : 1, port = 0, status, bad = 0;
	pid_t pid[64];

	if (of < 1 || of > 64)
		return 2;
	busy = argc > 2 ? atof(argv[2]) / 1e6 : 0;
	mask_sigterm(SIG_BLOCK);
	for (int i = 0; i < of; i++) {
		int listener = listen_at(port, SO_REUSEPORT);

		if (listener < 0)
			fail("listen");
		port = port_of(listener);
		pid[i] = fork();
		if (pid[i] < 0)
			fail("fork");
		if (pid[i] == 0)
			exit(process(i, of, listener));
		close(listener);
	}
	/* All of them listen before anybody can know where. */
	say_port(port);
	wait_for_sigterm();
	for (int i = 0; i < of; i++) {
		kill(pid[i], SIGTERM);
		waitpid(pid[i], &status, 0);
		bad |= status;
	}
	return bad != 0;
}
