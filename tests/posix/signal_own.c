/* SPDX-License-Identifier: MIT */
/* signal_own.c - signals that a thread brings upon itself by what it writes; and
 * threads that are made and end in a hail of signals. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "signals.h"

static __thread volatile int mine;
static __thread int innocent;
static atomic_int wrong;

static void
counts(int sig)
{
	(void)sig;
	mine++;
	if (innocent)
		atomic_fetch_add(&wrong, 1);
}

/* A pipe or a socket that nobody reads any more. */
static void
broken(int fd[2], int kind)
{
	if (kind == 0)
		OK(pipe(fd));
	else
		OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	OK(close(fd[0]));
}

static ssize_t
writes(int fd, int how)
{
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	switch (how) {
	case 0:
		return write(fd, "x", 1);
	case 1:
		return writev(fd, &v, 1);
	case 2:
		return send(fd, "x", 1, 0);
	default:
		return sendmsg(fd, &m, 0);
	}
}

static void *
breaks_pipes(void *arg)
{
	int fd[2], i, how, n = 0;

	for (i = 0; i < 2; i++) {
		broken(fd, i);
		for (how = 0; how < (i ? 4 : 2); how++) {
			CHECK_ERR(writes(fd[1], how), EPIPE);
			CHECK_INT(mine, ++n);
			thr_ms(1);
		}
		OK(close(fd[1]));
	}
	CHECK_INT(mine, n);
	return arg;
}

static atomic_int stop;

static void *
is_innocent(void *arg)
{
	innocent = 1;
	while (!stop)
		thr_ms(1);
	return arg;
}

TEST(SIGPIPE_is_the_writers)
{
	pthread_t th[20], other = thr_start(is_innocent, NULL);
	int i;

	on(SIGPIPE, counts, 0);
	for (i = 0; i < 20; i++)
		th[i] = thr_start(breaks_pipes, NULL);
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	stop = 1;
	thr_join(other);
	CHECK_INT(wrong, 0);
}

/* As libraries do that may not have the program die: block it, write, see
 * whether there is one now, take it, and unblock it. */
static void *
takes_it_back(void *arg)
{
	const struct timespec zero = { 0, 0 };
	sigset_t set = set_of(SIGPIPE), pending, old;
	siginfo_t info;
	int fd[2], i, how;

	OK(pthread_sigmask(SIG_BLOCK, &set, &old));
	for (i = 0; i < 2; i++) {
		broken(fd, i);
		for (how = 0; how < (i ? 4 : 2); how++) {
			CHECK_ERR(writes(fd[1], how), EPIPE);
			thr_ms(1);
			OK(sigpending(&pending));
			CHECK(sigismember(&pending, SIGPIPE));
			CHECK_INT(sigtimedwait(&set, &info, &zero), SIGPIPE);
			CHECK_INT(info.si_signo, SIGPIPE);
			OK(sigpending(&pending));
			CHECK(!sigismember(&pending, SIGPIPE));
			CHECK_ERR(sigtimedwait(&set, NULL, &zero), EAGAIN);
		}
		CHECK_ERR(send(fd[1], "x", 1, MSG_NOSIGNAL),
			  i ? EPIPE : ENOTSOCK);
		CHECK_ERR(sigtimedwait(&set, NULL, &zero), EAGAIN);
		OK(close(fd[1]));
	}
	OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
	CHECK_INT(mine, 0);
	return arg;
}

TEST(SIGPIPE_that_is_blocked_waits_for_the_writer)
{
	pthread_t th[10], other = thr_start(is_innocent, NULL);
	int i;

	on(SIGPIPE, counts, 0);
	for (i = 0; i < 10; i++)
		th[i] = thr_start(takes_it_back, NULL);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	stop = 1;
	thr_join(other);
	CHECK_INT(wrong, 0);
}

/* The same by stdio, whose write nobody but libc sees; others have the kernel
 * thread meanwhile, and let it in. */
static void *
takes_it_back_from_stdio(void *arg)
{
	const struct timespec zero = { 0, 0 };
	sigset_t set = set_of(SIGPIPE), pending, old;
	int fd[2], i;
	FILE *f;

	OK(pthread_sigmask(SIG_BLOCK, &set, &old));
	for (i = 0; i < 4; i++) {
		broken(fd, i % 2);
		f = fdopen(fd[1], "w");
		CHECK(f != NULL);
		CHECK_INT(fputs("x", f), 1);
		CHECK_ERR(fflush(f), EPIPE);
		fclose(f); /* it has nothing more, or it has again */
		thr_ms(2);
		OK(sigpending(&pending));
		CHECK(sigismember(&pending, SIGPIPE));
		if (i < 2) {
			CHECK_INT(sigtimedwait(&set, NULL, &zero), SIGPIPE);
			CHECK_ERR(sigtimedwait(&set, NULL, &zero), EAGAIN);
		} else {
			CHECK_INT(mine, i - 2);
			OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
			CHECK_INT(mine, i - 1);
			OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
		}
	}
	OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
	CHECK_INT(mine, 2);
	return arg;
}

TEST(SIGPIPE_of_stdio_that_is_blocked_waits_for_the_writer)
{
	pthread_t other = thr_start(is_innocent, NULL);
	int i;

	on(SIGPIPE, counts, 0);
	for (i = 0; i < 10; i++)
		thr_join(thr_start(takes_it_back_from_stdio, NULL));
	stop = 1;
	thr_join(other);
	CHECK_INT(wrong, 0);
}

static atomic_int anybody;

static void
counts_all(int sig)
{
	counts(sig);
	anybody++;
}

/* Not the sender's: for the process, and so for whoever lets it in. */
static void *
sends_it_to_the_process(void *arg)
{
	sigset_t set = set_of(SIGPIPE), pending;

	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	OK(kill(getpid(), SIGPIPE));
	while (stop < 1)
		thr_ms(1);
	OK(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGPIPE));
	CHECK_INT(mine, 0);
	return arg;
}

TEST(SIGPIPE_for_the_process_is_for_who_lets_it_in)
{
	struct sigaction sa = { .sa_handler = counts_all };
	sigset_t set = set_of(SIGPIPE);
	pthread_t th;

	OK(sigaction(SIGPIPE, &sa, NULL));
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	th = thr_start(sends_it_to_the_process, NULL);
	thr_ms(5);
	OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	thr_until(&anybody, 1);
	stop = 1;
	thr_join(th);
	CHECK_INT(anybody, 1);
}

/* --- what is ignored --- */

static atomic_int blocked, ignored;

static void *
has_it_pending(void *arg)
{
	sigset_t set = set_of(SIGUSR2), pending;

	(void)arg;
	sigaddset(&set, SIGWINCH);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	blocked++;
	while (ignored == 0)
		thr_ms(1);
	OK(sigpending(&pending));
	CHECK(!sigismember(&pending, SIGUSR2));
	CHECK(!sigismember(&pending, SIGWINCH));
	CHECK(sigismember(&pending, SIGUSR1));
	OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	CHECK_INT(mine, 0);
	return NULL;
}

/* By the program or by itself, and it is gone, though it was pending. */
TEST(what_is_ignored_is_pending_no_more)
{
	sigset_t set = set_of(SIGUSR1);
	pthread_t th[5];
	int i;

	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	on(SIGUSR1, counts, 0);
	on(SIGUSR2, counts, 0);
	on(SIGWINCH, counts, 0);
	for (i = 0; i < 5; i++)
		th[i] = thr_start(has_it_pending, NULL);
	thr_until(&blocked, 5);
	for (i = 0; i < 5; i++) {
		OK(pthread_kill(th[i], SIGUSR2));
		OK(pthread_kill(th[i], SIGUSR1));
		OK(pthread_kill(th[i], SIGWINCH));
	}
	thr_ms(2);
	CHECK(signal(SIGUSR2, SIG_IGN) == counts);
	CHECK(signal(SIGWINCH, SIG_DFL) == counts);
	on(SIGUSR2, counts, 0);
	on(SIGWINCH, counts, 0);
	ignored = 1;
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
}

static void *
lets_it_in_later(void *arg)
{
	sigset_t set = set_of(SIGPIPE);
	int fd[2];

	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	broken(fd, 0);
	CHECK_ERR(writes(fd[1], 0), EPIPE);
	CHECK_ERR(writes(fd[1], 0), EPIPE); /* one is pending, not two */
	thr_ms(5);
	CHECK_INT(mine, 0);
	OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	CHECK_INT(mine, 1);
	OK(close(fd[1]));
	return arg;
}

TEST(SIGPIPE_that_was_blocked_is_handled_by_the_writer)
{
	pthread_t th[10], other = thr_start(is_innocent, NULL);
	int i;

	on(SIGPIPE, counts, 0);
	for (i = 0; i < 10; i++)
		th[i] = thr_start(lets_it_in_later, NULL);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	stop = 1;
	thr_join(other);
	CHECK_INT(wrong, 0);
}

TEST(SIGPIPE_by_default_ends_the_process)
{
	pid_t pid = fork();
	int fd[2];

	CHECK(pid != -1);
	if (pid == 0) {
		signal(SIGPIPE, SIG_DFL);
		broken(fd, 0);
		writes(fd[1], 0);
		_exit(0);
	}
	CHECK_INT(thr_reap(pid), -SIGPIPE);
}

static void *
writes_too_much(void *arg)
{
	sigset_t set = set_of(SIGXFSZ);
	FILE *f = tmpfile();
	int fd;

	CHECK(f != NULL);
	fd = fileno(f);
	CHECK_INT(pwrite(fd, "x", 1, 4095), 1);
	CHECK_INT(lseek(fd, 4096, SEEK_SET), 4096);
	CHECK_ERR(write(fd, "x", 1), EFBIG);
	CHECK_INT(mine, 1);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	CHECK_ERR(write(fd, "x", 1), EFBIG);
	thr_ms(2);
	CHECK_INT(mine, 1);
	OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	CHECK_INT(mine, 2);
	fclose(f);
	return arg;
}

TEST(SIGXFSZ_is_the_writers)
{
	struct rlimit old, rl;
	pthread_t th[10], other;
	int i;

	OK(getrlimit(RLIMIT_FSIZE, &old));
	rl = old;
	rl.rlim_cur = 4096;
	on(SIGXFSZ, counts, 0);
	other = thr_start(is_innocent, NULL);
	OK(setrlimit(RLIMIT_FSIZE, &rl));
	for (i = 0; i < 10; i++)
		th[i] = thr_start(writes_too_much, NULL);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	OK(setrlimit(RLIMIT_FSIZE, &old));
	stop = 1;
	thr_join(other);
	CHECK_INT(wrong, 0);
}

static void *
exits(void *arg)
{
	pthread_exit(arg); /* its block is not used again */
}

static void *
makes_threads(void *arg)
{
	int i;

	for (i = 0; i < 1500; i++)
		CHECK(thr_join(thr_start(exits, arg)) == arg);
	return arg;
}

TEST(threads_are_made_and_end_in_a_hail_of_signals)
{
	struct itimerval often = { { 0, 50 }, { 0, 50 } }, off = { 0 };
	struct sigaction sa = { .sa_handler = counts, .sa_flags = SA_RESTART };
	pthread_t th[2];
	int i;

	OK(sigaction(SIGALRM, &sa, NULL));
	OK(setitimer(ITIMER_REAL, &often, NULL));
	for (i = 0; i < 2; i++)
		th[i] = thr_start(makes_threads, &sa);
	makes_threads(&sa);
	for (i = 0; i < 2; i++)
		thr_join(th[i]);
	OK(setitimer(ITIMER_REAL, &off, NULL));
}

/* --- what it sends itself --- */

static void *
sends_itself(void *arg)
{
	union sigval v = { .sival_int = 5 };
	int i;

	for (i = 1; i <= 20; i++) {
		mine = 0;
		OK(pthread_sigqueue(pthread_self(), SIGUSR1, v));
		CHECK_INT(mine, 1);
		OK(pthread_kill(pthread_self(), SIGUSR1));
		CHECK_INT(mine, 2);
		OK(raise(SIGUSR1));
		CHECK_INT(mine, 3);
		if (i % 5 == 0)
			thr_ms(1);
	}
	return arg;
}

/* Handled before the call returns, and by itself, not by main. */
TEST(what_a_thread_sends_itself_it_handles_at_once)
{
	pthread_t th[4];
	int i;

	on(SIGUSR1, counts, 0);
	innocent = 1;
	for (i = 0; i < 4; i++)
		th[i] = thr_start(sends_itself, NULL);
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
	CHECK_INT(wrong, 0);
}

static __thread volatile int deep, deepest;

static void
sends_again(int sig)
{
	union sigval v = { .sival_int = 6 };

	if (++deep > deepest)
		deepest = deep;
	if (++mine == 1) {
		OK(pthread_sigqueue(pthread_self(), sig, v));
		CHECK_INT(mine, 1);
	}
	deep--;
	if (innocent)
		atomic_fetch_add(&wrong, 1);
}

static void *
handles_again(void *arg)
{
	OK(raise(SIGUSR2));
	CHECK_INT(mine, 2);
	CHECK_INT(deepest, 1);
	return arg;
}

TEST(what_a_handler_sends_itself_comes_after_it)
{
	struct sigaction sa = { .sa_handler = sends_again };

	OK(sigaction(SIGUSR2, &sa, NULL));
	innocent = 1;
	thr_join(thr_start(handles_again, NULL));
	CHECK_INT(wrong, 0);
}
