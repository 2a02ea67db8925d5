/* SPDX-License-Identifier: MIT */
/* fork_held.c - what others held, waited for or were in when a thread forked is
 * not so in the child: it does the same as if they had never been. */
#define _GNU_SOURCE 1
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "thr.h"

enum { CHILDREN = 40, AT_ONCE = 10, LARGE = 2000 * 1024 * 1024 };

static atomic_int stop, busy, forks;

/* A kernel thread of its own, where they are coroutines: what it is in the
 * middle of, it is in while another forks. */
static void
alone(void)
{
	int nice = getpriority(PRIO_PROCESS, 0);

	OK(setpriority(PRIO_PROCESS, 0, nice));
}

/* Many children do act, while another thread does fn; one that hangs in it is
 * killed, and fails. */
static void
check_children(void *(*fn)(void *), void (*act)(void))
{
	pthread_t th = thr_start(fn, NULL);
	pid_t pid;
	int i;

	thr_until(&busy, 1);
	for (i = 0; i < CHILDREN; i++) {
		forks++;
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			alarm(10);
			act();
			_exit(5);
		}
		CHECK_INT(thr_reap(pid), 5);
	}
	stop = 1;
	thr_join(th);
}

static void
is_who_it_is(void)
{
	OK(setuid(getuid()));
	OK(setgid(getgid()));
}

static void *
becomes_itself(void *arg)
{
	int last = 0;

	alone();
	busy = 1;
	while (!stop) {
		/* Not all the time: a fork starts again for each signal. */
		if (forks == last)
			continue;
		last = forks;
		is_who_it_is();
		is_who_it_is();
	}
	return arg;
}

TEST(a_child_may_change_its_user_while_its_parent_does)
{
	check_children(becomes_itself, is_who_it_is);
}

static void *
does_nothing(void *arg)
{
	return arg;
}

static void
has_threads(void)
{
	pthread_t th[4];
	int i;

	for (i = 0; i < 4; i++)
		th[i] = thr_start(does_nothing, thr_ptr(i));
	for (i = 0; i < 4; i++)
		CHECK_INT(thr_num(thr_join(th[i])), i);
}

static void *
stays(void *arg)
{
	while (!stop)
		thr_ms(5);
	return arg;
}

/* Stacks so large that there is seldom memory for one more: that is asked for
 * while another forks, and the one waits for the other within. */
static void *
has_more_each_time(void *arg)
{
	static pthread_t th[AT_ONCE * CHILDREN];
	pthread_attr_t attr;
	int last = 0, i, n = 0;

	alone();
	OK(pthread_attr_init(&attr));
	OK(pthread_attr_setstacksize(&attr, LARGE));
	busy = 1;
	while (!stop) {
		if (forks == last)
			continue;
		last = forks;
		for (i = 0; i < AT_ONCE && n < AT_ONCE * CHILDREN; i++)
			OK(pthread_create(&th[n++], &attr, stays, NULL));
	}
	for (i = 0; i < n; i++)
		thr_join(th[i]);
	OK(pthread_attr_destroy(&attr));
	return arg;
}

TEST(a_child_may_have_threads_while_its_parent_makes_some)
{
	check_children(has_more_each_time, has_threads);
}

/* Nobody is told that it waits, and nobody but the kernel knows for what. */
static char fifo[64];

static void *
opens_to_read(void *arg)
{
	int fd = open(fifo, O_RDONLY);

	CHECK(fd != -1);
	return thr_ptr(fd + 0 * thr_num(arg));
}

static void
opens_both_ends(void)
{
	pthread_t th = thr_start(opens_to_read, NULL);
	int in, out;
	char c;

	thr_ms(1);
	out = open(fifo, O_WRONLY);
	CHECK(out != -1);
	in = thr_num(thr_join(th));
	thr_tell(out);
	CHECK_INT(read(in, &c, 1), 1);
	close(in);
	close(out);
}

TEST(who_blocks_in_a_child_holds_up_nobody)
{
	char dir[] = "/tmp/t-fork-held-XXXXXX";
	pid_t pid;

	CHECK(mkdtemp(dir) != NULL);
	snprintf(fifo, sizeof fifo, "%s/f", dir);
	OK(mkfifo(fifo, 0600));
	opens_both_ends();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		alarm(10);
		opens_both_ends();
		_exit(5);
	}
	CHECK_INT(thr_reap(pid), 5);
	opens_both_ends();
	OK(unlink(fifo));
	OK(rmdir(dir));
}

/* Signals. */
static volatile sig_atomic_t handled;
static pthread_t handler_of;

static void
on_usr1(int sig)
{
	(void)sig;
	handler_of = pthread_self();
	handled++;
}

static sigset_t
usr1(int how)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	OK(pthread_sigmask(how, &set, &old));
	return set;
}

static void
has_none(const sigset_t *set)
{
	struct timespec none = { 0, 0 };
	sigset_t pending;

	OK(sigpending(&pending));
	CHECK_INT(sigismember(&pending, SIGUSR1), 0);
	CHECK_ERR(sigtimedwait(set, NULL, &none), EAGAIN);
}

static void *
forks_with_one_pending(void *arg)
{
	sigset_t set = usr1(SIG_BLOCK), pending;
	int sig;
	pid_t pid;

	OK(pthread_kill(pthread_self(), SIGUSR1));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		has_none(&set);
		/* And none comes out of nowhere. */
		usr1(SIG_UNBLOCK);
		thr_ms(1);
		CHECK_INT(handled, 0);
		/* What is sent here comes here. */
		OK(kill(getpid(), SIGUSR1));
		thr_ms(1);
		CHECK_INT(handled, 1);
		CHECK(pthread_equal(handler_of, pthread_self()));
		usr1(SIG_BLOCK);
		OK(pthread_kill(pthread_self(), SIGUSR1));
		OK(sigwait(&set, &sig));
		CHECK_INT(sig, SIGUSR1);
		has_none(&set);
		_exit(5);
	}
	CHECK_INT(thr_reap(pid), 5);
	OK(sigpending(&pending));
	CHECK_INT(sigismember(&pending, SIGUSR1), 1);
	OK(sigwait(&set, &sig));
	CHECK_INT(sig, SIGUSR1);
	has_none(&set);
	return arg;
}

TEST(what_is_pending_for_a_thread_is_not_so_for_its_child)
{
	struct sigaction sa = { .sa_handler = on_usr1 };

	OK(sigaction(SIGUSR1, &sa, NULL));
	forks_with_one_pending(NULL);
	thr_join(thr_start(forks_with_one_pending, NULL));
}

/* The only one who lets it in waits in the child, as it did not in the parent,
 * where others do. */
static void *
lets_it_in(void *arg)
{
	usr1(SIG_UNBLOCK);
	busy++;
	while (!stop)
		thr_ms(5);
	return arg;
}

static void *
takes_its_own(void *arg)
{
	usr1(SIG_UNBLOCK);
	while (!handled)
		thr_ms(5);
	CHECK(pthread_equal(handler_of, pthread_self()));
	return arg;
}

TEST(a_signal_to_a_child_is_its_own_threads)
{
	struct sigaction sa = { .sa_handler = on_usr1 };
	pthread_t th[5];
	sigset_t set;
	pid_t pid;
	int i, sig;

	OK(sigaction(SIGUSR1, &sa, NULL));
	set = usr1(SIG_BLOCK);
	for (i = 0; i < 5; i++)
		th[i] = thr_start(lets_it_in, NULL);
	thr_until(&busy, 5);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		pthread_t one;

		alarm(10);
		/* All block it. */
		OK(kill(getpid(), SIGUSR1));
		thr_ms(2);
		CHECK_INT(handled, 0);
		OK(sigwait(&set, &sig));
		one = thr_start(takes_its_own, NULL);
		thr_ms(1);
		OK(kill(getpid(), SIGUSR1));
		thr_join(one);
		CHECK_INT(handled, 1);
		_exit(5);
	}
	CHECK_INT(thr_reap(pid), 5);
	CHECK_INT(handled, 0);
	stop = 1;
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
}
