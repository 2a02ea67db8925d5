/* SPDX-License-Identifier: MIT */
/* pin_number.c - what is one thread's alone, asked for by syscall(2); and what
 * only a kernel thread has: a tracee, a clock of its CPU time. */
#define _GNU_SOURCE 1

#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "thr.h"

/* Others run meanwhile, so that who is not on a kernel thread of its own goes on
 * on another, or lets others on its own. */
static atomic_int stop;

static void *
runs_about(void *arg)
{
	uid_t uid = (uid_t)syscall(SYS_getuid);
	int nice_ = getpriority(PRIO_PROCESS, 0);

	while (!stop) {
		CHECK_INT(syscall(SYS_getuid), uid);
		CHECK_INT(getpriority(PRIO_PROCESS, 0), nice_);
		thr_ms(1);
		sched_yield();
	}
	return arg;
}

static void
among_others(void *(*fn)(void *), void *arg)
{
	pthread_t th[8];
	int i;

	stop = 0;
	for (i = 0; i < 8; i++)
		th[i] = thr_start(runs_about, NULL);
	thr_join(thr_start(fn, arg));
	stop = 1;
	for (i = 0; i < 8; i++)
		thr_join(th[i]);
}

static void *
is_somebody(void *arg)
{
	int i;

	OK(syscall(SYS_setresgid, -1, 1001, -1));
	OK(syscall(SYS_setresuid, 1000, 1000, 1000));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		CHECK_INT(syscall(SYS_getuid), 1000);
		CHECK_INT(syscall(SYS_getegid), 1001);
		CHECK_ERR(open("/etc/shadow", O_RDONLY), EACCES);
	}
	return arg;
}

TEST(ids_set_by_number_are_the_threads_own)
{
	int fd;

	if (getuid() != 0)
		SKIP("takes root");
	among_others(is_somebody, NULL);
	CHECK_INT(getuid(), 0);
	CHECK_INT(syscall(SYS_getegid), getegid());
	fd = open("/etc/shadow", O_RDONLY);
	CHECK(fd != -1 || errno == ENOENT);
	if (fd != -1)
		OK(close(fd));
}

static void *
is_nice(void *arg)
{
	long tid = syscall(SYS_gettid);
	int i;

	CHECK_INT(syscall(SYS_getpriority, PRIO_PROCESS, tid), 20);
	OK(syscall(SYS_setpriority, PRIO_PROCESS, tid, 7));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		CHECK_INT(syscall(SYS_getpriority, PRIO_PROCESS, tid), 13);
		CHECK_INT(syscall(SYS_getpriority, PRIO_PROCESS, 0), 13);
		CHECK_INT(getpriority(PRIO_PROCESS, (id_t)tid), 7);
	}
	return arg;
}

TEST(a_priority_set_by_number_is_the_threads_own)
{
	among_others(is_nice, NULL);
}

static void *
is_scheduled(void *arg)
{
	enum { CLASS_BE = 2 << 13, BE_6 = CLASS_BE | 6 };
	long tid = syscall(SYS_gettid);
	struct sched_param p = { .sched_priority = 0 };
	cpu_set_t cpus, now;
	int i, cpu;

	CHECK(syscall(SYS_sched_getaffinity, tid, sizeof(cpus), &cpus) > 0);
	for (cpu = 0; !CPU_ISSET(cpu, &cpus); cpu++)
		;
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	OK(syscall(SYS_sched_setaffinity, tid, sizeof(cpus), &cpus));
	OK(syscall(SYS_sched_setscheduler, tid, SCHED_BATCH, &p));
	OK(syscall(SYS_ioprio_set, 1, 0, BE_6));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		CPU_ZERO(&now);
		CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(now), &now) > 0);
		CHECK(CPU_EQUAL(&now, &cpus));
		CHECK_INT(syscall(SYS_sched_getscheduler, tid), SCHED_BATCH);
		OK(syscall(SYS_sched_getparam, tid, &p));
		CHECK_INT(syscall(SYS_ioprio_get, 1, tid), BE_6);
	}
	return arg;
}

TEST(cpus_and_policies_set_by_number_are_the_threads_own)
{
	among_others(is_scheduled, NULL);
	CHECK_INT(sched_getscheduler(0), SCHED_OTHER);
}

static void *
has_a_name(void *arg)
{
	char name[16], want[16];
	int i;

	snprintf(want, sizeof(want), "name-%d", thr_num(arg));
	OK(syscall(SYS_prctl, PR_SET_NAME, want));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		OK(syscall(SYS_prctl, PR_GET_NAME, name));
		CHECK(strcmp(name, want) == 0);
		OK(pthread_getname_np(pthread_self(), name, sizeof(name)));
		CHECK(strcmp(name, want) == 0);
	}
	return arg;
}

TEST(names_set_by_number_are_the_threads_own)
{
	pthread_t th[10];
	int i;

	for (i = 0; i < 10; i++)
		th[i] = thr_start(has_a_name, thr_ptr(i));
	for (i = 0; i < 10; i++)
		thr_join(th[i]);
}

static void *
blocks_by_number(void *arg)
{
	uint64_t set = UINT64_C(1) << (SIGUSR1 - 1), old;
	sigset_t now;
	int i;

	OK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, &old, 8));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		OK(pthread_sigmask(SIG_BLOCK, NULL, &now));
		CHECK(sigismember(&now, SIGUSR1));
	}
	OK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, 8));
	thr_ms(2);
	OK(pthread_sigmask(SIG_BLOCK, NULL, &now));
	CHECK(!sigismember(&now, SIGUSR1));
	return arg;
}

static void *
blocks_nothing(void *arg)
{
	sigset_t now;

	while (!stop) {
		OK(pthread_sigmask(SIG_BLOCK, NULL, &now));
		CHECK(!sigismember(&now, SIGUSR1));
		thr_ms(1);
	}
	return arg;
}

TEST(a_mask_set_by_number_is_the_threads_own)
{
	pthread_t th = thr_start(blocks_nothing, NULL);

	thr_join(thr_start(blocks_by_number, NULL));
	stop = 1;
	thr_join(th);
}

/* --- a tracee --- */

static void *
traces(void *arg)
{
	int status, i;
	pid_t pid;

	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_INT(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
		for (i = 0; i < 5; i++)
			raise(SIGSTOP);
		_exit(42);
	}
	for (i = 0; i < 5; i++) {
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFSTOPPED(status));
		CHECK_INT(WSTOPSIG(status), SIGSTOP);
		CHECK_INT(ptrace(PTRACE_SETOPTIONS, pid, NULL,
				 (void *)PTRACE_O_EXITKILL),
			  0);
		thr_ms(2);
		CHECK_INT(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 42);
	return arg;
}

TEST(a_thread_traces_a_child_and_waits_in_between)
{
	among_others(traces, NULL);
}

static void *
seizes(void *arg)
{
	int status;
	pid_t pid;

	pid = fork();
	CHECK(pid != -1);
	if (pid == 0)
		for (;;)
			pause();
	thr_ms(2);
	CHECK_INT(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
	thr_ms(2);
	CHECK_INT(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
	CHECK_INT(waitpid(pid, &status, __WALL), pid);
	CHECK(WIFSTOPPED(status));
	thr_ms(2);
	CHECK_INT(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	OK(kill(pid, SIGKILL));
	CHECK_INT(thr_reap(pid), -SIGKILL);
	return arg;
}

TEST(a_thread_seizes_a_child_and_lets_it_go)
{
	among_others(seizes, NULL);
}

/* --- CPU time --- */

static int64_t
ns(clockid_t clock)
{
	struct timespec ts;

	OK(clock_gettime(clock, &ts));
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void
compute(int64_t time, clockid_t by)
{
	int64_t begin = ns(by);

	while (ns(by) - begin < time)
		;
}

static atomic_int asked;

static void *
is_asked(void *arg)
{
	while (asked == 0)
		thr_ms(1);
	compute(20 * T_MS, CLOCK_THREAD_CPUTIME_ID);
	asked = 2;
	while (asked == 2)
		thr_ms(1);
	return arg;
}

TEST(the_cpu_time_of_a_thread_is_its_own)
{
	pthread_t th = thr_start(is_asked, NULL);
	clockid_t its, mine;
	int64_t was, own;

	OK(pthread_getcpuclockid(th, &its));
	OK(pthread_getcpuclockid(pthread_self(), &mine));
	was = ns(its);
	own = ns(mine);
	asked = 1;
	while (asked == 1)
		thr_ms(1);
	CHECK(ns(its) - was >= 20 * T_MS);
	CHECK(ns(mine) - own < 20 * T_MS);
	/* The clock by its id, and the calling thread's, are one. */
	was = ns(CLOCK_THREAD_CPUTIME_ID);
	own = ns(mine);
	CHECK(own >= was && ns(CLOCK_THREAD_CPUTIME_ID) >= own);
	was = ns(its);
	compute(20 * T_MS, mine);
	CHECK(ns(its) - was < 20 * T_MS);
	asked = 3;
	thr_join(th);
}

static atomic_int fired;

static void
fires(int sig)
{
	(void)sig;
	fired++;
}

static void *
has_a_timer(void *arg)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGUSR2 };
	struct itimerspec its = { .it_value.tv_nsec = 20 * T_MS };
	timer_t t;

	OK(timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &t));
	OK(timer_settime(t, 0, &its, NULL));
	thr_ms(60);
	CHECK_INT(fired, 0);
	while (!fired)
		;
	OK(timer_delete(t));
	return arg;
}

static void *
computes(void *arg)
{
	while (!stop)
		compute(T_MS, CLOCK_MONOTONIC);
	return arg;
}

TEST(a_timer_of_cpu_time_counts_the_threads_own)
{
	struct sigaction sa = { .sa_handler = fires, .sa_flags = SA_RESTART };
	pthread_t th;

	OK(sigaction(SIGUSR2, &sa, NULL));
	th = thr_start(computes, NULL);
	thr_join(thr_start(has_a_timer, NULL));
	stop = 1;
	thr_join(th);
	CHECK_INT(fired, 1);
}
