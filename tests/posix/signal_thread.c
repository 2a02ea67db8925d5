/* SPDX-License-Identifier: MIT */
/* signal_thread.c - a signal is for the thread that it is sent to, which may hold
 * it back, wait for it, or be stopped meanwhile. */
#define _GNU_SOURCE 1
#include <poll.h>

#include "pest.h"

/* Threads and signals. */
struct target {
	atomic_int here, stop, hits;
	pthread_t self;
	sem_t never;
	int kind, fd;
};

static __thread struct target *mine;
static atomic_int strays;

static void
hits(int sig)
{
	(void)sig;
	if (mine == NULL || !pthread_equal(mine->self, pthread_self()))
		strays++;
	else
		mine->hits++;
}

static void *
is_hit(void *arg)
{
	struct target *t = arg;
	char c;

	t->self = pthread_self();
	mine = t;
	let_through(SIGUSR1);
	t->here = 1;
	while (!t->stop) {
		switch (t->kind % 4) {
		case 0:
			CHECK_ERR(read(t->fd, &c, 1), EINTR);
			break;
		case 1:
			CHECK_ERR(sem_wait(&t->never), EINTR);
			break;
		case 2:
			CHECK_ERR(poll(NULL, 0, -1), EINTR);
			break;
		default:
			CHECK(sleep(1000) > 0);
		}
	}
	return NULL;
}

TEST(pthread_kill_reaches_just_the_waiting_thread_it_names)
{
	static struct target t[40];
	pthread_t th[40];
	int i, before[40], k;

	world_begin();
	on(SIGUSR1, hits, 0);
	for (i = 0; i < 40; i++) {
		t[i].kind = i;
		t[i].fd = w.pipe[0];
		OK(sem_init(&t[i].never, 0, 0));
		th[i] = thr_start(is_hit, &t[i]);
		thr_until(&t[i].here, 1);
	}
	for (i = 0; i < 40; i++) {
		for (k = 0; k < 40; k++)
			before[k] = t[k].hits;
		OK(pthread_kill(th[i], SIGUSR1));
		thr_until(&t[i].hits, before[i] + 1);
		for (k = 0; k < 40; k++)
			CHECK_INT(t[k].hits, before[k] + (k == i));
	}
	for (i = 0; i < 40; i++) {
		t[i].stop = 1;
		while (pthread_tryjoin_np(th[i], NULL) == EBUSY) {
			OK(pthread_kill(th[i], SIGUSR1));
			thr_ms(1);
		}
	}
	CHECK_INT(strays, 0);
	world_end();
}

/* It waits for nothing, and asks nobody. */
static void *
spins_until_handled(void *arg)
{
	int want = thr_num(arg);

	while (handled < want)
		;
	return NULL;
}

TEST(a_signal_is_handled_that_came_before_the_threads_first_line)
{
	pthread_t th;
	int i;

	world_begin();
	on(SIGUSR1, counts, 0);
	let_through(SIGUSR1);
	for (i = 1; i <= 10; i++) {
		th = thr_start(spins_until_handled, thr_ptr(i));
		OK(pthread_kill(th, SIGUSR1));
		thr_join(th);
		CHECK_INT(handled, i);
		CHECK(pthread_equal(handled_in, th));
	}
	world_end();
}

TEST(pthread_kill_with_0_only_asks_and_bad_signals_are_EINVAL)
{
	OK(pthread_kill(pthread_self(), 0));
	CHECK_INT(pthread_kill(pthread_self(), 65), EINVAL);
	CHECK_INT(pthread_kill(pthread_self(), -1), EINVAL);
	CHECK_ERR(raise(65), EINVAL);
}

static void *
has_mask(void *arg)
{
	sigset_t s, want = *(sigset_t *)arg;
	int sig;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	for (sig = 1; sig < 32; sig++)
		CHECK_INT(sigismember(&s, sig), sigismember(&want, sig));
	/* One's own: the creator's stays as it is. */
	sigemptyset(&s);
	sigaddset(&s, SIGURG);
	OK(pthread_sigmask(SIG_SETMASK, &s, NULL));
	thr_ms(1);
	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	CHECK_INT(sigismember(&s, SIGURG), 1);
	CHECK_INT(sigismember(&s, SIGWINCH), 0);
	return NULL;
}

TEST(the_mask_is_a_threads_own_and_inherited)
{
	sigset_t s, got;
	pthread_t th[20];
	int i, sig;

	OK(pthread_sigmask(SIG_SETMASK, NULL, &s));
	sigaddset(&s, SIGWINCH);
	sigaddset(&s, SIGTERM);
	OK(pthread_sigmask(SIG_SETMASK, &s, NULL));
	for (i = 0; i < 20; i++)
		th[i] = thr_start(has_mask, &s);
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	OK(pthread_sigmask(SIG_SETMASK, NULL, &got));
	for (sig = 1; sig < 32; sig++)
		CHECK_INT(sigismember(&got, sig), sigismember(&s, sig));
	CHECK_INT(pthread_sigmask(99, &s, NULL), EINVAL);
}

TEST(pending_signals_wait_for_their_thread)
{
	sigset_t s;

	on(SIGUSR1, counts, 0);
	OK(pthread_kill(pthread_self(), SIGUSR1));
	thr_ms(2);
	OK(sigpending(&s));
	CHECK_INT(sigismember(&s, SIGUSR1), 1);
	CHECK_INT(handled, 0);
	let_through(SIGUSR1);
	CHECK_INT(handled, 1);
	CHECK(pthread_equal(handled_in, pthread_self()));
	OK(sigpending(&s));
	CHECK_INT(sigismember(&s, SIGUSR1), 0);
}

/* Waiting for signals. */
static void *
sends_blocked(void *arg)
{
	(void)arg;
	OK(kill(getpid(), SIGRTMIN));
	return NULL;
}

TEST(sigwait_takes_a_signal_that_all_threads_block)
{
	sigset_t s = set_of(SIGRTMIN);
	siginfo_t si;
	pthread_t th;
	int i, sig;

	on(SIGRTMIN, counts, 0);
	for (i = 0; i < 20; i++) {
		th = thr_start(sends_blocked, NULL);
		OK(sigwait(&s, &sig));
		CHECK_INT(sig, SIGRTMIN);
		thr_join(th);
		th = thr_start(sends_blocked, NULL);
		CHECK_INT(sigwaitinfo(&s, &si), SIGRTMIN);
		CHECK_INT(si.si_code, SI_USER);
		CHECK_INT(si.si_pid, getpid());
		thr_join(th);
	}
	CHECK_INT(handled, 0);
}

TEST(sigtimedwait_is_EAGAIN_and_never_early)
{
	struct timespec ts = { 0, 20 * 1000000 }, zero = { 0, 0 };
	struct timespec bad = { 0, 1000000000 };
	sigset_t s = set_of(SIGRTMIN);
	int64_t t0 = t_now();
	siginfo_t si;

	CHECK_ERR(sigtimedwait(&s, &si, &ts), EAGAIN);
	CHECK(t_now() - t0 >= 20 * T_MS);
	CHECK_ERR(sigtimedwait(&s, NULL, &zero), EAGAIN);
	CHECK_ERR(sigtimedwait(&s, NULL, &bad), EINVAL);
	OK(raise(SIGRTMIN));
	CHECK_INT(sigtimedwait(&s, &si, &zero), SIGRTMIN);
	CHECK_INT(si.si_code, SI_USER); /* glibc hides SI_TKILL here */
}

static atomic_int waiters_got;

static void *
sigwaits(void *arg)
{
	sigset_t s = set_of(SIGRTMIN);
	int sig;

	OK(sigwait(&s, &sig));
	CHECK_INT(sig, SIGRTMIN);
	waiters_got++;
	return arg;
}

TEST(each_of_many_sigwaits_takes_one_queued_signal)
{
	pthread_t th[20];
	union sigval v = { 0 };
	int i;

	for (i = 0; i < 20; i++)
		th[i] = thr_start(sigwaits, NULL);
	for (i = 0; i < 20; i++)
		OK(sigqueue(getpid(), SIGRTMIN, v));
	for (i = 0; i < 20; i++)
		thr_join(th[i]);
	CHECK_INT(waiters_got, 20);
}

static void *
waits_for_mine(void *arg)
{
	struct target *t = arg;
	sigset_t s = set_of(SIGUSR1);
	int sig;

	t->here = 1;
	OK(sigwait(&s, &sig));
	CHECK_INT(sig, SIGUSR1);
	t->hits++;
	return NULL;
}

TEST(a_thread_in_sigwait_takes_what_pthread_kill_sends_it)
{
	static struct target t[10];
	pthread_t th[10];
	int i, k;

	for (i = 0; i < 10; i++) {
		th[i] = thr_start(waits_for_mine, &t[i]);
		thr_until(&t[i].here, 1);
	}
	for (i = 9; i >= 0; i--) {
		OK(pthread_kill(th[i], SIGUSR1));
		thr_join(th[i]);
		for (k = 0; k < 10; k++)
			CHECK_INT(t[k].hits, k >= i);
	}
}

/* Stopped and continued while it waits. */
TEST(a_child_stopped_and_continued_goes_on_waiting)
{
	int to[2], from[2], status, i;
	pid_t pid;
	char c;

	OK(pipe(to));
	OK(pipe(from));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (i = 0; i < 3; i++) {
			thr_tell(from[1]);
			CHECK_INT(read(to[0], &c, 1), 1);
		}
		_exit(4);
	}
	for (i = 0; i < 3; i++) {
		thr_hear(from[0]);
		OK(kill(pid, SIGSTOP));
		CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
		OK(kill(pid, SIGCONT));
		CHECK_INT(waitpid(pid, &status, WCONTINUED), pid);
		CHECK(WIFCONTINUED(status));
		thr_tell(to[1]);
	}
	CHECK_INT(thr_reap(pid), 4);
	for (i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

TEST(a_stopped_childs_threads_all_go_on)
{
	static struct target t[20];
	pthread_t th[20];
	int from[2], status, i;
	sigset_t none;
	pid_t pid;

	OK(pipe(from));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		sigemptyset(&none);
		for (i = 0; i < 20; i++)
			th[i] = thr_start(waits_for_mine, &t[i]);
		thr_tell(from[1]);
		/* Stopped and continued somewhere in here. */
		for (i = 0; i < 20; i++)
			thr_ms(1);
		for (i = 0; i < 20; i++) {
			OK(pthread_kill(th[i], SIGUSR1));
			thr_join(th[i]);
		}
		_exit(4);
	}
	thr_hear(from[0]);
	OK(kill(pid, SIGSTOP));
	CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	OK(kill(pid, SIGCONT));
	CHECK_INT(thr_reap(pid), 4);
	close(from[0]);
	close(from[1]);
}
