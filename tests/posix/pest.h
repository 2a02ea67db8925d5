/* SPDX-License-Identifier: MIT */
/* pest.h - signals that come until a wait has ended, and something to wait for.
 *
 * A signal for the process goes to a thread that does not block it.  So that
 * this is the one that runs the case, also where that is not main's, main()
 * starts with the signals used here blocked, and a case lets through what it
 * wants.  Nobody can know when a wait has begun: what is to interrupt one is
 * sent again and again until it did.
 */
#ifndef PEST_H
#define PEST_H

#include <netinet/in.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "signals.h"

__attribute__((constructor)) static void
block_in_main(void)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigaddset(&s, SIGUSR2);
	sigaddset(&s, SIGALRM);
	sigaddset(&s, SIGVTALRM);
	sigaddset(&s, SIGCHLD);
	sigaddset(&s, SIGIO);
	sigaddset(&s, SIGRTMIN);
	sigaddset(&s, SIGRTMIN + 1);
	OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
}

static atomic_int handled;
static _Atomic pthread_t handled_in;

static inline void
counts(int sig)
{
	(void)sig;
	handled_in = pthread_self();
	handled++;
}

/* A thread that sends a signal to another until told to stop. */
struct pest {
	pthread_t whom, self;
	atomic_int stop;
	int sig;
};

static inline void *
pesters(void *arg)
{
	struct pest *p = arg;

	while (!p->stop) {
		OK(pthread_kill(p->whom, p->sig));
		thr_ms(1);
	}
	return NULL;
}

/* The pest itself has the signal blocked, which it inherits; so have we
 * then. */
static inline void
pest_start(struct pest *p, int sig)
{
	p->whom = pthread_self();
	p->sig = sig;
	p->stop = 0;
	hold_back(sig);
	p->self = thr_start(pesters, p);
}

static inline void
pest_begin(struct pest *p, int sig)
{
	pest_start(p, sig);
	let_through(sig);
}

static inline void
pest_end(struct pest *p)
{
	p->stop = 1;
	thr_join(p->self);
	hold_back(p->sig);
}

/* The ways to wait. */
static struct {
	int pipe[2], pair[2], listener, ep;
	sem_t sem;
} w;

static inline void
world_begin(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	OK(pipe(w.pipe));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, w.pair));
	w.listener = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(w.listener != -1);
	OK(bind(w.listener, (struct sockaddr *)&a, sizeof a));
	OK(listen(w.listener, 5));
	w.ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(w.ep != -1);
	OK(epoll_ctl(w.ep, EPOLL_CTL_ADD, w.pipe[0], &ev));
	OK(sem_init(&w.sem, 0, 0));
}

static inline void
world_end(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		close(w.pipe[i]);
		close(w.pair[i]);
	}
	close(w.listener);
	close(w.ep);
	OK(sem_destroy(&w.sem));
}

static inline ssize_t
w_read(void)
{
	char c;

	return read(w.pipe[0], &c, 1);
}

static atomic_int value_seen, code_seen;

static inline void
notes_info(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	value_seen = si->si_value.sival_int;
	code_seen = si->si_code;
	handled++;
}

/* A child that sends its parent a signal until it is killed. */
static inline pid_t
child_pest(int sig)
{
	pid_t parent = getpid(), pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		while (kill(parent, sig) == 0 && getppid() == parent)
			thr_ms(1);
		_exit(0);
	}
	return pid;
}

#endif
