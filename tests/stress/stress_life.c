/* SPDX-License-Identifier: MIT */
/* stress_life.c - threads are born, wait, are woken, signalled, cancelled,
 * joined and left alone, in random order; some have children, some ask for a
 * kernel thread of their own.
 *
 * Each has one who made it and sees to its end.  What must hold: it is woken or
 * cancelled, never neither; what it pushed and set is run just once; a signal
 * runs in the thread it was sent to; no process and no descriptor is left.
 */
#define _GNU_SOURCE 1

#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "stress.h"

enum { MAKERS = 12 };

enum wait {
	AT_SEM, IN_READ, IN_COND, IN_POLL, IN_SIGWAIT, ASLEEP, AT_JOIN, WAITS
};
static const char *const wait_name[WAITS] = {
	"sem_wait", "read", "cond_wait", "poll", "sigwait", "sleep", "join",
};

struct life {
	uint64_t r;
	enum wait wait;
	int forks, pins, exits;
	sem_t s;
	pthread_mutex_t m;
	pthread_cond_t c;
	int go, fd[2];
	_Atomic int waiting;    /* it has begun, and will wait */
	_Atomic int handled;    /* signals */
	_Atomic int cleaned, destroyed;
	_Atomic int holders;    /* who still looks at this */
};

static pthread_key_t key;
static __thread struct life *mine;
static _Atomic long born, cancelled, killed, forked, pinned, detached;

static void
drop(struct life *l)
{
	if (atomic_fetch_sub(&l->holders, 1) > 1)
		return;
	CHECK(l->destroyed == 1);
	CHECK(l->cleaned == 1);
	OK(sem_destroy(&l->s));
	OK(pthread_mutex_destroy(&l->m));
	OK(close(l->fd[0]));
	OK(close(l->fd[1]));
	free(l);
}

static void
on_usr1(int sig)
{
	(void)sig;
	if (mine != NULL)
		mine->handled++;
}

/* The key's, after all that was pushed. */
static void
destroys(void *arg)
{
	struct life *l = arg;

	CHECK(l == mine);
	CHECK(l->cleaned == 1);
	l->destroyed++;
	mine = NULL;
	drop(l);
}

static void
cleans(void *arg)
{
	((struct life *)arg)->cleaned++;
}

static void
unlocks(void *arg)
{
	OK(pthread_mutex_unlock(arg));
}

static void *
naps(void *arg)
{
	struct timespec ts = { 0, 200000 };

	nanosleep(&ts, NULL);
	return arg;
}

static void
waits_at_join(struct life *l)
{
	pthread_t th;
	int old;

	/* Whom it has made it must not lose. */
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	OK(pthread_create(&th, NULL, naps, NULL));
	OK(pthread_join(th, NULL));
	OK(pthread_setcancelstate(old, NULL));
	while (sem_wait(&l->s) != 0)
		CHECK(errno == EINTR);
}

static void
waits(struct life *l)
{
	struct pollfd p = { l->fd[0], POLLIN, 0 };
	sigset_t set;
	char c;
	int sig;

	switch (l->wait) {
	case AT_SEM:
		while (sem_wait(&l->s) != 0)
			CHECK(errno == EINTR);
		break;
	case IN_READ:
		while (read(l->fd[0], &c, 1) != 1)
			CHECK(errno == EINTR);
		break;
	case IN_COND:
		OK(pthread_mutex_lock(&l->m));
		pthread_cleanup_push(unlocks, &l->m);
		while (!l->go)
			OK(pthread_cond_wait(&l->c, &l->m));
		pthread_cleanup_pop(1);
		break;
	case IN_POLL:
		while (poll(&p, 1, -1) != 1)
			CHECK(errno == EINTR);
		break;
	case IN_SIGWAIT:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		OK(sigwait(&set, &sig));
		CHECK(sig == SIGUSR2);
		break;
	case ASLEEP:
		while (!*(_Atomic int *)&l->go)
			usleep(300);
		break;
	case AT_JOIN:
		waits_at_join(l);
		break;
	case WAITS:
		break;
	}
}

static void
wakes(struct life *l, pthread_t th)
{
	switch (l->wait) {
	case AT_SEM:
	case AT_JOIN:
		OK(sem_post(&l->s));
		break;
	case IN_READ:
	case IN_POLL:
		CHECK(write(l->fd[1], "x", 1) == 1);
		break;
	case IN_COND:
		OK(pthread_mutex_lock(&l->m));
		l->go = 1;
		OK(pthread_cond_signal(&l->c));
		OK(pthread_mutex_unlock(&l->m));
		break;
	case IN_SIGWAIT:
		OK(pthread_kill(th, SIGUSR2));
		break;
	case ASLEEP:
		*(_Atomic int *)&l->go = 1;
		break;
	case WAITS:
		break;
	}
}

static void
has_child(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0)
		_exit(5);
	while (waitpid(pid, &status, 0) != pid)
		CHECK(errno == EINTR);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	forked++;
}

static void *
lives(void *arg)
{
	struct life *l = arg;
	int old;

	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old));
	CHECK(old == PTHREAD_CANCEL_ENABLE);
	CHECK(mine == NULL && pthread_getspecific(key) == NULL);
	mine = l;
	OK(pthread_setspecific(key, l));
	pthread_cleanup_push(cleans, l);
	if (l->forks)
		has_child();
	if (l->pins) {
		OK(prctl(PR_SET_TIMERSLACK, 60000UL));
		pinned++;
	}
	dawdle(&l->r);
	l->waiting = 1;
	OK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL));
	waits(l);
	OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL));
	dawdle(&l->r);
	if (l->exits)
		pthread_exit(l);
	pthread_cleanup_pop(1);
	return l;
}

static struct life *
conceive(uint64_t *r)
{
	struct life *l = calloc(1, sizeof(*l));

	CHECK(l != NULL);
	l->r = *r ^ 77;
	l->wait = (enum wait)below(r, WAITS);
	l->forks = below(r, 40) == 0;
	l->pins = below(r, 40) == 0;
	l->exits = below(r, 3) == 0;
	l->holders = 2;
	OK(sem_init(&l->s, 0, 0));
	OK(pthread_mutex_init(&l->m, NULL));
	OK(pthread_cond_init(&l->c, NULL));
	OK(pipe(l->fd));
	return l;
}

static void
one_life(uint64_t *r)
{
	static const size_t stacks[] = { 64 << 10, 256 << 10, 1 << 20 };
	struct life *l = conceive(r);
	int is_detached = below(r, 5) == 0, cancel = below(r, 3) == 0;
	struct timespec ts;
	pthread_attr_t a;
	int i, n, e;
	pthread_t th;
	void *got;

	doing(wait_name[l->wait], cancel);
	OK(pthread_attr_init(&a));
	OK(pthread_attr_setstacksize(&a, stacks[below(r, LEN(stacks))]));
	if (is_detached)
		OK(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED));
	OK(pthread_create(&th, &a, lives, l));
	OK(pthread_attr_destroy(&a));
	born++;
	if (below(r, 2) == 0)
		while (!l->waiting)
			sched_yield();
	dawdle(r);
	/* It lives until it is woken or cancelled. */
	n = below(r, 4) == 0 ? 1 + (int)below(r, 3) : 0;
	for (i = 0; i < n; i++) {
		OK(pthread_kill(th, SIGUSR1));
		dawdle(r);
	}
	killed += n;
	if (cancel) {
		OK(pthread_cancel(th));
		cancelled++;
	} else {
		wakes(l, th);
	}
	if (is_detached) {
		detached++;
	} else if (!cancel && below(r, 8) == 0) {
		OK(pthread_detach(th));
		is_detached = 1;
	} else if (below(r, 3) == 0) {
		do {
			ts = after(CLOCK_REALTIME, below(r, 500) * 1000);
			e = pthread_timedjoin_np(th, &got, &ts);
			CHECK(e == 0 || e == ETIMEDOUT);
		} while (e != 0);
	} else {
		OK(pthread_join(th, &got));
	}
	if (!is_detached) {
		/* One may be cancelled just before it waits, or after. */
		CHECK(got == l || (cancel && got == PTHREAD_CANCELED));
		CHECK(cancel ? got == PTHREAD_CANCELED : 1);
		CHECK(l->handled <= n);
	}
	drop(l);
}

static void *
makes(void *arg)
{
	uint64_t r = stream((uint64_t)(intptr_t)arg + 1);

	be((int)(intptr_t)arg);
	while (!is_over())
		one_life(&r);
	be_gone();
	return arg;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	struct timespec ts = { 0, 1000000 };
	pthread_t th[MAKERS];
	sigset_t set;
	int i, fds;

	begin(argc, argv, "stress_life");
	fds = open_fds();
	OK(pthread_key_create(&key, destroys));
	OK(sigaction(SIGUSR1, &sa, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	for (i = 0; i < MAKERS; i++)
		OK(pthread_create(&th[i], NULL, makes, (void *)(intptr_t)i));
	for (i = 0; i < MAKERS; i++)
		OK(pthread_join(th[i], NULL));
	/* The detached end when they do. */
	while (open_fds() != fds)
		nanosleep(&ts, NULL);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	printf("stress_life: %ld born, %ld cancelled, %ld signals, %ld left "
	       "alone, %ld forked, %ld pinned\n", born, cancelled, killed,
	       detached, forked, pinned);
	return 0;
}
