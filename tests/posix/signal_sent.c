/* SPDX-License-Identifier: MIT */
/* signal_sent.c - signals sent to one thread of many, whatever it does then;
 * each with a stack of its own for them; and stop and continue. */
#define _GNU_SOURCE 1

#include <setjmp.h>

#include "signals.h"

static __thread volatile int mine;
static atomic_int here, handled, go_on;

static void
counts(int sig)
{
	(void)sig;
	mine++;
	handled++;
}

/* It waits for nothing, and asks nobody. */
static void *
spins(void *arg)
{
	int i;

	for (i = 1; i <= 5; i++) {
		here++;
		while (mine < i)
			;
	}
	return arg;
}

TEST(pthread_kill_interrupts_a_thread_that_runs)
{
	pthread_t th;
	int i;

	on(SIGUSR1, counts, 0);
	th = thr_start(spins, NULL);
	for (i = 1; i <= 5; i++) {
		thr_until(&here, i);
		CHECK_INT(handled, i - 1);
		OK(pthread_kill(th, SIGUSR1));
	}
	thr_join(th);
	CHECK_INT(handled, 5);
	CHECK_INT(mine, 0);
}

static void *
has_it_pending(void *arg)
{
	int i = thr_num(arg);
	sigset_t set = set_of(SIGUSR1), s;

	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	here++;
	thr_until(&go_on, 1);
	OK(sigpending(&s));
	CHECK_INT(sigismember(&s, SIGUSR1), i % 2);
	OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	CHECK_INT(mine, i % 2);
	OK(sigpending(&s));
	CHECK_INT(sigismember(&s, SIGUSR1), 0);
	return arg;
}

TEST(what_one_thread_has_pending_no_other_sees)
{
	pthread_t th[10];
	int i;

	on(SIGUSR1, counts, 0);
	for (i = 0; i < 10; i++)
		th[i] = thr_start(has_it_pending, thr_ptr(i));
	thr_until(&here, 10);
	for (i = 1; i < 10; i += 2)
		OK(pthread_kill(th[i], SIGUSR1));
	go_on = 1;
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
	CHECK_INT(handled, 5);
}

static __thread int order[20];

static void
keeps_order(int sig, siginfo_t *si, void *uc)
{
	(void)uc;
	if (mine < 20)
		order[mine++] = sig == SIGUSR1 ? -1 : si->si_value.sival_int;
}

static void *
gets_them_in_order(void *arg)
{
	sigset_t set = set_of(SIGRTMIN);
	int i;

	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 1);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	here++;
	thr_until(&go_on, 1);
	OK(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	CHECK_INT(mine, 1 + 10);
	for (i = 0; i < 11; i++)
		CHECK_INT(order[i], i == 0 ? -1 : i - 1);
	return arg;
}

/* What is standard comes once, what is of real time as often as it was sent;
 * the lower first, and of one kind the older. */
TEST(what_is_queued_for_a_thread_comes_in_order)
{
	sigset_t all = set_of(SIGUSR1);
	struct sigaction sa = { .sa_sigaction = keeps_order,
				.sa_flags = SA_SIGINFO };
	union sigval v;
	pthread_t th;
	int i;

	/* One at a time. */
	sigaddset(&all, SIGRTMIN);
	sigaddset(&all, SIGRTMIN + 1);
	sa.sa_mask = all;
	OK(sigaction(SIGUSR1, &sa, NULL));
	OK(sigaction(SIGRTMIN, &sa, NULL));
	OK(sigaction(SIGRTMIN + 1, &sa, NULL));
	th = thr_start(gets_them_in_order, NULL);
	thr_until(&here, 1);
	for (i = 0; i < 10; i++) {
		v.sival_int = (i + 5) % 10;
		OK(pthread_sigqueue(th, i < 5 ? SIGRTMIN + 1 : SIGRTMIN, v));
		OK(pthread_kill(th, SIGUSR1));
	}
	go_on = 1;
	thr_join(th);
}

/* --- stacks of their own --- */

static __thread char *alt;
static __thread sigjmp_buf out;
static __thread volatile int on_alt;
enum { ALT = 64 * 1024 };

static void
on_segv(int sig)
{
	char at;

	on_alt = &at > alt && &at < alt + ALT;
	siglongjmp(out, sig);
}

static void *
faults_on_its_own(void *arg)
{
	volatile int *volatile nowhere = (volatile int *)16;
	volatile int i;
	stack_t ss = { .ss_size = ALT }, old;

	alt = malloc(ALT);
	CHECK(alt != NULL);
	ss.ss_sp = alt;
	OK(sigaltstack(&ss, NULL));
	for (i = 0; i < 5; i++) {
		thr_ms(1); /* the others' turn */
		OK(sigaltstack(NULL, &old));
		CHECK(old.ss_sp == alt);
		on_alt = 0;
		if (sigsetjmp(out, 1) == 0) {
			(void)*nowhere;
			CHECK(0);
		}
		CHECK_INT(on_alt, 1);
	}
	ss.ss_flags = SS_DISABLE;
	OK(sigaltstack(&ss, NULL));
	free(alt);
	return arg;
}

TEST(each_thread_handles_its_faults_on_its_own_stack)
{
	struct sigaction sa = { .sa_handler = on_segv, .sa_flags = SA_ONSTACK };
	pthread_t th[10];
	int i;

	OK(sigaction(SIGSEGV, &sa, NULL));
	for (i = 0; i < 10; i++)
		th[i] = thr_start(faults_on_its_own, NULL);
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
}

/* --- job control --- */

static void *
waits(void *arg)
{
	here++;
	thr_until(&go_on, 1);
	return arg;
}

static void
has_threads_stopped(int by_raise)
{
	pthread_t th[5];
	int i;

	on(SIGCONT, counts, 0);
	for (i = 0; i < 5; i++)
		th[i] = thr_start(waits, NULL);
	thr_until(&here, 5);
	if (by_raise)
		OK(raise(SIGTSTP));
	else
		OK(pthread_kill(th[2], SIGTSTP));
	/* Of us all, and by nobody but who continues us. */
	thr_until(&handled, 1);
	go_on = 1;
	for (i = 0; i < 5; i++)
		thr_join(th[i]);
	_exit(7);
}

/* In a group of its own with a parent in another, else the kernel does not stop
 * it: there would be nobody to continue it. */
TEST(a_stop_for_a_thread_stops_all_and_SIGCONT_is_handled)
{
	int how, status;
	pid_t pid;

	for (how = 0; how < 2; how++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			setpgid(0, 0);
			signal(SIGTSTP, SIG_DFL);
			has_threads_stopped(how);
		}
		CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
		thr_ms(5);
		CHECK_INT(waitpid(pid, &status, WNOHANG), 0);
		OK(kill(pid, SIGCONT));
		CHECK_INT(waitpid(pid, &status, WCONTINUED), pid);
		CHECK(WIFCONTINUED(status) || WIFEXITED(status));
		if (WIFEXITED(status))
			CHECK_INT(WEXITSTATUS(status), 7);
		else
			CHECK_INT(thr_reap(pid), 7);
	}
}
