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
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "listen.h"

static long busy_ns;
static atomic_long requests;

static long
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *
serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0) {
		long until = busy_ns ? cpu_ns() + busy_ns : 0;

		while (busy_ns && cpu_ns() < until)
			;
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
	int cpu = number % (int)sysconf(_SC_NPROCESSORS_ONLN), fd;
	cpu_set_t one;
	pthread_t t;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (of > 1 && sched_setaffinity(0, sizeof one, &one) != 0)
		fail("sched_setaffinity");
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	while ((fd = accept_one(listener)) >= 0)
		if (pthread_create(&t, NULL, serve, (void *)(intptr_t)fd))
			close(fd);
		else
			pthread_detach(t);
	printf("process %d cpu %d requests %ld\n", number, of > 1 ? cpu : -1,
	       requests);
	return fflush(stdout) != 0;
}

int
main(int argc, char **argv)
{
	int of = argc > 1 ? atoi(argv[1]) : 1, sig, status, bad = 0;
	int listener[64], port = 0;
	pid_t pid[64];
	sigset_t term;

	if (of < 1 || of > 64)
		return 2;
	busy_ns = argc > 2 ? atol(argv[2]) * 1000 : 0;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	/* All of them listen before anybody can know the port. */
	for (int i = 0; i < of; i++) {
		listener[i] = listen_at(port, SO_REUSEPORT);
		if (listener[i] < 0)
			fail("listen");
		port = port_of(listener[i]);
	}
	for (int i = 0; i < of; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			for (int k = 0; k < of; k++)
				if (k != i)
					close(listener[k]);
			stop_at_sigterm(listener[i]);
			sigprocmask(SIG_UNBLOCK, &term, NULL);
			exit(process(i, of, listener[i]));
		}
	}
	for (int i = 0; i < of; i++)
		close(listener[i]);
	printf("port %d\n", port);
	fflush(stdout);
	sigwait(&term, &sig);
	for (int i = 0; i < of; i++) {
		kill(pid[i], SIGTERM);
		waitpid(pid[i], &status, 0);
		bad |= status;
	}
	return bad != 0;
}
