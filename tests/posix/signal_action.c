/* SPDX-License-Identifier: MIT */
/* signal_action.c - what a signal does: its handler, what that is told and may
 * do, on which stack; and whom it kills where there is none. */
#define _GNU_SOURCE 1
#include <poll.h>
#include <setjmp.h>
#include <sys/resource.h>

#include "pest.h"

/* Signals for the process. */
static void
until_handled(int n)
{
	while (handled < n) /* not pause(): it may come just before that */
		poll(NULL, 0, 10);
}

static sigjmp_buf away;

static void
jumps(int sig)
{
	siglongjmp(away, sig);
}

TEST(siglongjmp_out_of_a_handler_restores_the_mask)
{
	sigset_t s;
	volatile int times = 0;
	int sig;
	struct pest p;

	world_begin();
	on(SIGUSR1, jumps, 0);
	hold_back(SIGUSR1);
	while (times < 20) {
		sig = sigsetjmp(away, 1);
		if (sig != 0) {
			CHECK_INT(sig, SIGUSR1);
			OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
			CHECK_INT(sigismember(&s, SIGUSR1), 1);
			times++;
			continue;
		}
		OK(raise(SIGUSR1));
		let_through(SIGUSR1);
		CHECK(0);
	}
	/* Out of a wait. */
	times = 0;
	on(SIGUSR2, jumps, SA_RESTART);
	pest_start(&p, SIGUSR2);
	if (sigsetjmp(away, 1) != 0)
		times++;
	if (times < 10) {
		let_through(SIGUSR2);
		w_read();
		CHECK(0);
	}
	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, SIGUSR2), 1);
	pest_end(&p);
	world_end();
}

static int self_pipe[2];

static void
writes_to_pipe(int sig)
{
	char c = (char)sig;
	int e = errno;

	CHECK_INT(write(self_pipe[1], &c, 1), 1);
	errno = e;
}

TEST(a_handler_may_wake_poll_and_read_by_a_pipe)
{
	struct pollfd p;
	int i, n = 0;
	pid_t pid;
	char c;

	OK(pipe(self_pipe));
	on(SIGUSR2, writes_to_pipe, SA_RESTART);
	pid = child_pest(SIGUSR2);
	let_through(SIGUSR2);
	for (i = 0; i < 10; i++) {
		p = (struct pollfd){ self_pipe[0], POLLIN, 0 };
		if (poll(&p, 1, -1) == -1)
			CHECK_INT(errno, EINTR);
		CHECK_INT(read(self_pipe[0], &c, 1), 1);
		CHECK_INT(c, SIGUSR2);
		n++;
	}
	hold_back(SIGUSR2);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	CHECK_INT(n, 10);
	close(self_pipe[0]);
	close(self_pipe[1]);
}

static atomic_int naps;

/* Shorter than the pest's: else the next signal is there when the handler ends,
 * each time, and nothing but the handler ever runs. */
static void
takes_a_nap(int sig)
{
	struct timespec ts = { 0, T_MS / 10 };
	int e = errno;

	(void)sig;
	nanosleep(&ts, NULL);
	naps++;
	errno = e;
}

/* While it waits its signal is blocked; after it, no more. */
TEST(a_handler_that_waits_comes_again)
{
	int i;
	pid_t pid;

	on(SIGUSR2, takes_a_nap, 0);
	pid = child_pest(SIGUSR2);
	let_through(SIGUSR2);
	for (i = 0; i < 5; i++)
		CHECK_ERR(poll(NULL, 0, -1), EINTR);
	hold_back(SIGUSR2);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	CHECK(naps >= 5);
}

static atomic_int reaped;

static void
reaps(int sig)
{
	int e = errno, status;
	pid_t pid;

	(void)sig;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
		reaped++;
	}
	errno = e;
}

TEST(a_SIGCHLD_handler_reaps_every_child)
{
	int i;
	pid_t pid;

	on(SIGCHLD, reaps, SA_RESTART | SA_NOCLDSTOP);
	let_through(SIGCHLD);
	for (i = 0; i < 50; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0)
			_exit(3);
	}
	while (reaped < 50)
		poll(NULL, 0, 10);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
}

TEST(sigaction_gives_back_what_was_set)
{
	struct sigaction sa = { .sa_handler = counts, .sa_flags = SA_RESTART },
			 old, now;

	OK(sigaction(SIGUSR1, NULL, &old));
	CHECK(old.sa_handler == SIG_DFL);
	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGTERM);
	OK(sigaction(SIGUSR1, &sa, &old));
	CHECK(old.sa_handler == SIG_DFL);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_handler == counts);
	CHECK_INT(now.sa_flags & (SA_RESTART | SA_SIGINFO | SA_NODEFER |
				  (int)SA_RESETHAND),
		  SA_RESTART);
	CHECK_INT(sigismember(&now.sa_mask, SIGTERM), 1);
	CHECK_INT(sigismember(&now.sa_mask, SIGUSR1), 0);

	sa.sa_sigaction = notes_info;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | (int)SA_RESETHAND;
	OK(sigaction(SIGUSR1, &sa, &old));
	CHECK(old.sa_handler == counts);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_sigaction == notes_info);
	CHECK_INT(now.sa_flags & (SA_RESTART | SA_SIGINFO | SA_NODEFER |
				  (int)SA_RESETHAND),
		  SA_SIGINFO | SA_NODEFER | (int)SA_RESETHAND);

	CHECK(signal(SIGUSR1, SIG_IGN) == (void (*)(int))(void *)notes_info);
	CHECK(signal(SIGUSR1, counts) == SIG_IGN);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK_INT(now.sa_flags & SA_RESTART, SA_RESTART);
	CHECK(signal(SIGUSR1, SIG_DFL) == counts);
	errno = 0;
	CHECK(signal(SIGKILL, counts) == SIG_ERR);
	CHECK_INT(errno, EINVAL);
	CHECK_ERR(sigaction(SIGKILL, &sa, NULL), EINVAL);
	CHECK_ERR(sigaction(65, &sa, NULL), EINVAL);
	CHECK_ERR(sigaction(0, &sa, NULL), EINVAL);
}

TEST(every_signal_starts_with_its_default_action)
{
	struct sigaction sa;
	int sig;

	for (sig = 1; sig < 32; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP)
			continue;
		OK(sigaction(sig, NULL, &sa));
		if (sa.sa_handler == SIG_IGN)
			continue; /* whoever started us ignores it */
		CHECK(sa.sa_handler == SIG_DFL ||
		      (fprintf(stderr, "signal %d\n", sig), 0));
	}
}

static int depth, deepest;

static void
raises_twice_more(int sig)
{
	if (++depth > deepest)
		deepest = depth;
	if (++handled < 3)
		raise(sig);
	depth--;
}

TEST(SA_NODEFER_lets_a_signal_in_within_its_handler)
{
	on(SIGUSR1, raises_twice_more, SA_NODEFER);
	let_through(SIGUSR1);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 3);
	CHECK_INT(deepest, 3);
	handled = deepest = 0;
	on(SIGUSR1, raises_twice_more, 0);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 3);
	CHECK_INT(deepest, 1);
}

TEST(SA_RESETHAND_handles_one_signal)
{
	struct sigaction now;

	on(SIGUSR1, counts, (int)SA_RESETHAND);
	let_through(SIGUSR1);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 1);
	OK(sigaction(SIGUSR1, NULL, &now));
	CHECK(now.sa_handler == SIG_DFL);
}

static void
notes_mask(int sig)
{
	sigset_t s;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, sig), 1);
	CHECK_INT(sigismember(&s, SIGTERM), 1);
	CHECK_INT(sigismember(&s, SIGWINCH), 0);
	handled++;
}

TEST(a_handler_runs_with_its_mask_and_leaves_it)
{
	struct sigaction sa = { .sa_handler = notes_mask };
	sigset_t s;

	sigemptyset(&sa.sa_mask);
	sigaddset(&sa.sa_mask, SIGTERM);
	OK(sigaction(SIGUSR1, &sa, NULL));
	let_through(SIGUSR1);
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 1);
	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, SIGUSR1), 0);
	CHECK_INT(sigismember(&s, SIGTERM), 0);
}

static volatile siginfo_t info;

static void
keeps_info(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	CHECK_INT(si->si_signo, sig);
	memcpy((void *)&info, si, sizeof *si);
	handled++;
}

TEST(siginfo_says_who_sent_what)
{
	struct sigaction sa = { .sa_sigaction = keeps_info,
				.sa_flags = SA_SIGINFO };
	union sigval v;
	pid_t pid, me = getpid();

	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(sigaction(SIGRTMIN, &sa, NULL));
	OK(sigaction(SIGCHLD, &sa, NULL));
	let_through(SIGUSR1);
	let_through(SIGRTMIN);
	OK(kill(me, SIGUSR1));
	CHECK_INT(handled, 1);
	CHECK_INT(info.si_code, SI_USER);
	CHECK_INT(info.si_pid, me);
	CHECK_INT(info.si_uid, getuid());

	OK(raise(SIGUSR1));
	CHECK_INT(handled, 2);
	CHECK_INT(info.si_code, SI_TKILL);
	CHECK_INT(info.si_pid, me);

	v.sival_int = 99;
	OK(sigqueue(me, SIGRTMIN, v));
	CHECK_INT(handled, 3);
	CHECK_INT(info.si_code, SI_QUEUE);
	CHECK_INT(info.si_value.sival_int, 99);

	v.sival_int = 98;
	OK(pthread_sigqueue(pthread_self(), SIGRTMIN, v));
	CHECK_INT(handled, 4);
	CHECK_INT(info.si_code, SI_QUEUE);
	CHECK_INT(info.si_value.sival_int, 98);

	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		v.sival_int = 97;
		OK(sigqueue(me, SIGRTMIN, v));
		_exit(6);
	}
	until_handled(5);
	CHECK_INT(info.si_pid, pid);
	CHECK_INT(info.si_value.sival_int, 97);
	let_through(SIGCHLD);
	until_handled(6);
	CHECK_INT(info.si_code, CLD_EXITED);
	CHECK_INT(info.si_pid, pid);
	CHECK_INT(info.si_status, 6);
	hold_back(SIGCHLD);
	CHECK_INT(thr_reap(pid), 6);
}

static int queue_order[8];

static void
keeps_order(int sig, siginfo_t *si, void *uc)
{
	(void)sig;
	(void)uc;
	queue_order[handled++] = si->si_value.sival_int;
}

TEST(real_time_signals_queue_in_order)
{
	struct sigaction sa = { .sa_sigaction = keeps_order,
				.sa_flags = SA_SIGINFO };
	union sigval v;
	int i;

	OK(sigaction(SIGRTMIN, &sa, NULL));
	for (i = 0; i < 8; i++) {
		v.sival_int = i * 11;
		OK(sigqueue(getpid(), SIGRTMIN, v));
	}
	CHECK_INT(handled, 0);
	let_through(SIGRTMIN);
	CHECK_INT(handled, 8);
	for (i = 0; i < 8; i++)
		CHECK_INT(queue_order[i], i * 11);
}

/* How children die. */
static pid_t
child(void (*body)(void))
{
	struct rlimit none = { 0, 0 };
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		OK(setrlimit(RLIMIT_CORE, &none));
		signal(SIGPIPE, SIG_DFL); /* whatever we were started with */
		body();
		_exit(0);
	}
	return pid;
}

static void
aborts(void)
{
	abort();
}

static void *
aborts_in_thread(void *arg)
{
	(void)arg;
	abort();
}

static void
aborts_from_a_thread(void)
{
	thr_join(thr_start(aborts_in_thread, NULL));
}

static void
aborts_though_handled(void)
{
	on(SIGABRT, counts, 0);
	abort();
}

static void
writes_to_nobody(void)
{
	int fd[2];

	OK(pipe(fd));
	close(fd[0]);
	CHECK_INT(write(fd[1], "x", 1), -1);
	CHECK(0);
}

static void *
sends_to_nobody(void *arg)
{
	int fd[2];

	(void)arg;
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	close(fd[0]);
	CHECK_INT(send(fd[1], "x", 1, 0), -1);
	CHECK(0);
	return NULL;
}

static void
sends_to_nobody_from_a_thread(void)
{
	thr_join(thr_start(sends_to_nobody, NULL));
}

static void
reads_nowhere(void)
{
	volatile int *volatile nowhere = (volatile int *)16;

	CHECK_INT(*nowhere, 0);
}

static void
raises_term(void)
{
	OK(raise(SIGTERM));
}

TEST(children_die_of_what_kills_by_default)
{
	CHECK_INT(thr_reap(child(aborts)), -SIGABRT);
	CHECK_INT(thr_reap(child(aborts_from_a_thread)), -SIGABRT);
	CHECK_INT(thr_reap(child(aborts_though_handled)), -SIGABRT);
	CHECK_INT(thr_reap(child(writes_to_nobody)), -SIGPIPE);
	CHECK_INT(thr_reap(child(sends_to_nobody_from_a_thread)), -SIGPIPE);
	CHECK_INT(thr_reap(child(reads_nowhere)), -SIGSEGV);
	CHECK_INT(thr_reap(child(raises_term)), -SIGTERM);
}

TEST(EPIPE_and_the_signal_come_together)
{
	int fd[2];

	on(SIGPIPE, counts, 0);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	close(fd[0]);
	CHECK_ERR(write(fd[1], "x", 1), EPIPE);
	CHECK_INT(handled, 1);
	CHECK(pthread_equal(handled_in, pthread_self()));
	CHECK_ERR(send(fd[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_INT(handled, 1);
	on(SIGPIPE, SIG_IGN, 0);
	CHECK_ERR(send(fd[1], "x", 1, 0), EPIPE);
	CHECK_INT(handled, 1);
	close(fd[1]);
}

/* SIGSEGV on a stack of its own. */
static char alt[65536];
static volatile int on_alt;
static sigjmp_buf out_of_segv;

static void
on_segv(int sig)
{
	char here;

	on_alt = &here > alt && &here < alt + sizeof alt;
	siglongjmp(out_of_segv, sig);
}

static __attribute__((noinline)) unsigned
recurses(unsigned n)
{
	volatile char pad[4096];

	memset((char *)pad, (int)n, sizeof pad);
	if (n == 0)
		return (unsigned)pad[0];
	return recurses(n - 1) + (unsigned)pad[n % sizeof pad];
}

static void *
overflows_and_lives(void *arg)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt }, old, off;

	OK(sigaltstack(&ss, &old));
	CHECK(old.ss_flags & SS_DISABLE);
	thr_ms(1);
	OK(sigaltstack(NULL, &old));
	CHECK(old.ss_sp == alt);
	CHECK_INT(old.ss_size, sizeof alt);
	CHECK_INT(old.ss_flags, 0);
	on(SIGSEGV, on_segv, SA_ONSTACK);
	on_alt = 0;
	if (sigsetjmp(out_of_segv, 1) == 0) {
		if (arg != NULL)
			recurses(1u << 30);
		else
			reads_nowhere();
		CHECK(0);
	}
	CHECK_INT(on_alt, 1);
	thr_ms(1);
	memset(&off, 0, sizeof off);
	off.ss_flags = SS_DISABLE;
	OK(sigaltstack(&off, NULL));
	return NULL;
}

TEST(a_SIGSEGV_handler_runs_on_the_alternate_stack)
{
	int i;

	overflows_and_lives(NULL);
	for (i = 0; i < 3; i++)
		thr_join(thr_start(overflows_and_lives, NULL));
}

TEST(a_SIGSEGV_handler_outlives_a_stack_overflow_of_a_thread)
{
	int i;

	for (i = 0; i < 3; i++)
		thr_join(thr_start(overflows_and_lives, alt));
}

static void *
has_no_altstack(void *arg)
{
	stack_t old;

	OK(sigaltstack(NULL, &old));
	CHECK(old.ss_flags & SS_DISABLE);
	return arg;
}

TEST(the_alternate_stack_is_a_threads_own)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt }, off = { 0 };
	stack_t bad = { .ss_sp = alt, .ss_size = 16 };

	OK(sigaltstack(&ss, NULL));
	thr_join(thr_start(has_no_altstack, NULL));
	CHECK_ERR(sigaltstack(&bad, NULL), ENOMEM);
	off.ss_flags = SS_DISABLE;
	OK(sigaltstack(&off, NULL));
}

static void *
times(void *arg)
{
	(void)arg;
	handled++;
	return NULL;
}

static void
notified(union sigval v)
{
	CHECK_INT(v.sival_int, 12);
	times(NULL);
}

TEST(a_timer_with_SIGEV_THREAD_runs_its_function)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD };
	struct itimerspec it = { { 0, 2000000 }, { 0, 2000000 } };
	timer_t t;

	ev.sigev_value.sival_int = 12;
	ev.sigev_notify_function = notified;
	OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	OK(timer_settime(t, 0, &it, NULL));
	thr_until(&handled, 5);
	OK(timer_delete(t));
}
