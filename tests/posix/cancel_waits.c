/* SPDX-License-Identifier: MIT */
/* cancel_waits.c - pthread_cancel in each call that waits for something else: a
 * time, a signal, a thread or a process. */
#define _GNU_SOURCE 1
#include "cancel.h"

/*
 * Sleeping
 */

CALL(nanosleep, nothing, waits_in_nanosleep, nothing, nothing);
ALL(nanosleep)

static void
waits_in_usleep(void)
{
	OK(usleep((useconds_t)(nap / 1000)));
}

CALL(usleep, nothing, waits_in_usleep, nothing, nothing);
ALL(usleep)

CALL(sleep, nothing, waits_in_sleep, nothing, nothing);
ALL(sleep)

static void
waits_in_clock_nanosleep(void)
{
	struct timespec ts = nap_spec();

	OK(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
}

CALL(clock_nanosleep, nothing, waits_in_clock_nanosleep, nothing, nothing);
ALL(clock_nanosleep)

static void
waits_until(void)
{
	struct timespec ts = thr_after(CLOCK_MONOTONIC, nap);

	OK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
}

CALL(clock_nanosleep_until, nothing, waits_until, nothing, nothing);
ALL(clock_nanosleep_until)

/*
 * Signals
 */

static void
on_usr1(int sig)
{
	(void)sig;
	ticks++;
}

static void
open_usr1(void)
{
	struct sigaction sa = { .sa_handler = on_usr1 };

	OK(sigaction(SIGUSR1, &sa, NULL));
}

static void
signals(void)
{
	OK(kill(getpid(), SIGUSR1));
}

/* One that ran before the pause would not end it, hence the loop. */
static void
waits_in_pause(void)
{
	sigset_t set = set_of(SIGUSR1), old;

	OK(pthread_sigmask(SIG_UNBLOCK, &set, &old));
	while (ticks == 0)
		CHECK_ERR(pause(), EINTR);
	OK(pthread_sigmask(SIG_SETMASK, &old, NULL));
}

CALL(pause, open_usr1, waits_in_pause, signals, nothing);
ENDS(pause)
GOES_ON(pause)

static void
waits_in_sigsuspend(void)
{
	sigset_t set;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &set));
	sigdelset(&set, SIGUSR1);
	CHECK_ERR(sigsuspend(&set), EINTR);
	CHECK_INT(ticks, 1);
}

CALL(sigsuspend, open_usr1, waits_in_sigsuspend, signals, nothing);
ALL(sigsuspend)

CALL(sigwait, nothing, waits_in_sigwait, signals, nothing);
ALL(sigwait)

static void
waits_in_sigwaitinfo(void)
{
	sigset_t set = set_of(SIGUSR1);

	CHECK_INT(sigwaitinfo(&set, NULL), SIGUSR1);
}

CALL(sigwaitinfo, nothing, waits_in_sigwaitinfo, signals, nothing);
ALL(sigwaitinfo)

static void
waits_in_sigtimedwait(void)
{
	struct timespec ts = { THR_LONG / 1000000000, 0 };
	sigset_t set = set_of(SIGUSR1);

	CHECK_INT(sigtimedwait(&set, NULL, &ts), SIGUSR1);
}

CALL(sigtimedwait, nothing, waits_in_sigtimedwait, signals, nothing);
ALL(sigtimedwait)

/*
 * Semaphores, conditions, threads
 */

CALL(sem_wait, open_sem, waits_in_sem_wait, posts, shut_sem);
ALL(sem_wait)

static void
waits_in_sem_timedwait(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	OK(sem_timedwait(&sem, &at));
}

CALL(sem_timedwait, open_sem, waits_in_sem_timedwait, posts, shut_sem);
ALL(sem_timedwait)

CALL(cond_wait, open_cond, waits_in_cond_wait, tells, shut_cond);
ENDS(cond_wait)
GOES_ON(cond_wait)

static void
waits_in_cond_timedwait(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	while (!told)
		OK(pthread_cond_timedwait(&cond, &mutex, &at));
	pthread_cleanup_pop(1);
}

CALL(cond_timedwait, open_cond, waits_in_cond_timedwait, tells, shut_cond);
ENDS(cond_timedwait)
GOES_ON(cond_timedwait)

static void
waits_for_nothing(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, 50 * T_MS);

	OK(pthread_mutex_lock(&mutex));
	pthread_cleanup_push(unlocks, &mutex);
	CHECK_INT(pthread_cond_timedwait(&cond, &mutex, &at), ETIMEDOUT);
	pthread_cleanup_pop(1);
}

CALL(cond_untold, open_cond, waits_for_nothing, nothing, shut_cond);
SEES(cond_untold)

static pthread_t joined;

static void *
waits_for_sem(void *arg)
{
	OK(sem_wait(&sem));
	return arg;
}

static void
open_thread(void)
{
	open_sem();
	joined = thr_start(waits_for_sem, &joined);
}

static void
waits_in_join(void)
{
	CHECK(thr_join(joined) == &joined);
}

CALL(join, open_thread, waits_in_join, posts, shut_sem);
ENDS(join)
GOES_ON(join)

/*
 * Processes
 */

static pid_t child;

static void
open_child(void)
{
	char c;

	open_pipe();
	child = fork();
	CHECK(child != -1);
	if (child != 0)
		return;
	close(p[1]);
	while (read(p[0], &c, 1) > 0)
		;
	_exit(3);
}

static void
child_ends(void)
{
	siginfo_t info;

	shut(p[1]);
	OK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
}

static void
child_may_end(void)
{
	shut(p[1]);
}

static void
shut_child(void)
{
	shut(p[0]);
}

static void
waits_in_waitpid(void)
{
	int status;

	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(WEXITSTATUS(status), 3);
}

CALL(waitpid, open_child, waits_in_waitpid, child_ends, shut_child);
ENDS(waitpid)
SEES(waitpid)

CALL(waitpid_, open_child, waits_in_waitpid, child_may_end, shut_child);
GOES_ON(waitpid_)

static void
waits_in_wait(void)
{
	int status;

	CHECK_INT(wait(&status), child);
	CHECK_INT(WEXITSTATUS(status), 3);
}

CALL(wait, open_child, waits_in_wait, child_ends, shut_child);
ENDS(wait)
SEES(wait)

/* libc ends the shell as well, and reaps it; nothing is left over. */
static void *
waits_in_system(void *arg)
{
	here++;
	OK(system("exec sleep 1000"));
	return arg;
}

TEST(system_ends_by_cancellation_and_so_does_its_child)
{
	pthread_t th = thr_start(waits_in_system, NULL);

	thr_until(&here, 1);
	most_likely();
	most_likely();
	OK(pthread_cancel(th));
	is_cancelled(th);
	CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
}
