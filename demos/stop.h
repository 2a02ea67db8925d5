/* SPDX-License-Identifier: MIT */
/* stop.h - how the servers here end: when SIGTERM comes.  One that accepts in
 * main() has its listener shut down; one with many listeners waits for it. */
#ifndef STOP_H
#define STOP_H

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

static volatile sig_atomic_t stopping;
static int stop_fd = -1;

/* Whichever thread the signal hits, shutting the listener down is what wakes
 * the one that waits in accept(). */
static inline void
stop(int sig)
{
	int e = errno;

	(void)sig;
	stopping = 1;
	shutdown(stop_fd, SHUT_RDWR);
	errno = e;
}

static inline void
stop_at_sigterm(int fd)
{
	struct sigaction sa = { .sa_handler = stop, .sa_flags = SA_RESTART };

	stop_fd = fd;
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &sa, NULL);
}

/* SIG_BLOCK before the first thread, for the others inherit it; then
 * wait_for_sigterm(). */
static inline sigset_t
mask_sigterm(int how)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(how, &term, NULL);
	return term;
}

static inline void
wait_for_sigterm(void)
{
	sigset_t term = mask_sigterm(SIG_BLOCK);
	int sig;

	sigwait(&term, &sig);
}

#endif
