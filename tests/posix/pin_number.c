/* SPDX-License-Identifier: MIT */
/* pin_number.c - what is one thread's alone, asked for by syscall(2); and what
 * only a kernel thread has: a tracee, a clock of its CPU time. */
#define _GNU_SOURCE 1

#include <gnu/libc-version.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

/* --- the rest of what syscall(2) changes for the caller alone --- */

struct caps {
	uint32_t effective, permitted, inheritable;
};

static void
get_caps(struct caps c[2])
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };

	OK(syscall(SYS_capget, &h, c));
}

static void *
has_lost_rights(void *arg)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct caps c[2], now[2];
	int i;

	get_caps(c);
	c[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	OK(syscall(SYS_capset, &h, c));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		get_caps(now);
		CHECK(memcmp(now, c, sizeof(c)) == 0);
	}
	return arg;
}

TEST(rights_given_up_by_number_are_the_threads_own)
{
	struct caps before[2], after[2];

	if (getuid() != 0)
		SKIP("takes root");
	get_caps(before);
	among_others(has_lost_rights, NULL);
	get_caps(after);
	CHECK(memcmp(before, after, sizeof(before)) == 0);
}

static void *
is_in_groups(void *arg)
{
	gid_t want[2] = { 1234, 1235 }, now[32];
	int i;

	OK(syscall(SYS_setgroups, 2, want));
	OK(syscall(SYS_setregid, -1, 1236));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		CHECK_INT(syscall(SYS_getgroups, 32, now), 2);
		CHECK_INT(now[0], 1234);
		CHECK_INT(syscall(SYS_getegid), 1236);
	}
	return arg;
}

static void *
writes_as_another(void *arg)
{
	int i;

	CHECK_INT(syscall(SYS_setfsgid, 1237), getegid());
	CHECK_INT(syscall(SYS_setfsuid, 1000), geteuid());
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		CHECK_INT(syscall(SYS_setfsuid, -1), 1000);
		CHECK_INT(syscall(SYS_setfsgid, -1), 1237);
	}
	return arg;
}

TEST(groups_set_by_number_are_the_threads_own)
{
	gid_t before[64], after[64];
	int n;

	if (getuid() != 0)
		SKIP("takes root");
	n = getgroups(64, before);
	among_others(is_in_groups, NULL);
	CHECK_INT(getgroups(64, after), n);
	CHECK(memcmp(before, after, (size_t)n * sizeof(*after)) == 0);
	among_others(writes_as_another, NULL);
	CHECK_INT(syscall(SYS_setfsuid, -1), geteuid());
}

static void *
is_elsewhere(void *arg)
{
	char name[64], was[64];
	int i, ns;

	OK(gethostname(was, sizeof(was)));
	ns = open("/proc/thread-self/ns/uts", O_RDONLY);
	CHECK(ns != -1);
	if (syscall(SYS_unshare, CLONE_NEWUTS) != 0)
		SKIP("no namespaces to be had");
	OK(sethostname("elsewhere", 9));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		OK(gethostname(name, sizeof(name)));
		CHECK(strcmp(name, "elsewhere") == 0);
	}
	OK(syscall(SYS_setns, ns, CLONE_NEWUTS));
	OK(gethostname(name, sizeof(name)));
	CHECK(strcmp(name, was) == 0);
	OK(close(ns));
	return arg;
}

TEST(a_namespace_entered_by_number_is_the_threads_own)
{
	char before[64], after[64];

	if (getuid() != 0)
		SKIP("takes root");
	OK(gethostname(before, sizeof(before)));
	among_others(is_elsewhere, NULL);
	OK(gethostname(after, sizeof(after)));
	CHECK(strcmp(before, after) == 0);
}

static void *
has_a_will(void *arg)
{
	int i, sig;

	/* No thread begins with one. */
	OK(syscall(SYS_prctl, PR_GET_PDEATHSIG, &sig));
	CHECK_INT(sig, 0);
	OK(syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGUSR1));
	OK(syscall(SYS_prctl, PR_SET_TIMERSLACK, 123456));
	OK(syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		OK(syscall(SYS_prctl, PR_GET_PDEATHSIG, &sig));
		CHECK_INT(sig, SIGUSR1);
		CHECK_INT(syscall(SYS_prctl, PR_GET_TIMERSLACK), 123456);
		CHECK_INT(syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
			  1);
	}
	return arg;
}

TEST(what_prctl_sets_by_number_is_the_threads_own)
{
	int sig, was;

	OK(prctl(PR_GET_PDEATHSIG, &was));
	CHECK_ERR(prctl(PR_GET_PDEATHSIG, NULL), EFAULT);
	among_others(has_a_will, NULL);
	OK(prctl(PR_GET_PDEATHSIG, &sig));
	CHECK_INT(sig, was);
	CHECK(prctl(PR_GET_TIMERSLACK) != 123456);
	CHECK_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}

static void *
is_of_another_kind(void *arg)
{
	int i, by_number = thr_num(arg);

	if (by_number)
		CHECK_INT(syscall(SYS_personality, ADDR_NO_RANDOMIZE), 0);
	else
		CHECK_INT(personality(ADDR_NO_RANDOMIZE), 0);
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		CHECK_INT(syscall(SYS_personality, 0xffffffffu),
			  ADDR_NO_RANDOMIZE);
		CHECK_INT(personality(0xffffffff), ADDR_NO_RANDOMIZE);
	}
	return arg;
}

static void *
is_of_the_usual_kind(void *arg)
{
	while (!stop) {
		CHECK_INT(syscall(SYS_personality, 0xffffffffu), 0);
		thr_ms(1);
	}
	return arg;
}

TEST(a_personality_is_the_threads_own)
{
	pthread_t th;
	int i;

	if (personality(0xffffffff) != 0)
		SKIP("it is not the usual one");
	for (i = 0; i < 2; i++) {
		stop = 0;
		th = thr_start(is_of_the_usual_kind, NULL);
		thr_join(thr_start(is_of_another_kind, thr_ptr(i)));
		stop = 1;
		thr_join(th);
	}
	CHECK_INT(personality(0xffffffff), 0);
}

#ifdef SYS_arch_prctl
enum { SET_GS = 0x1001, GET_GS = 0x1004 };

static void *
has_a_gs(void *arg)
{
	static char area[64];
	unsigned long at;
	int i;

	OK(syscall(SYS_arch_prctl, SET_GS, area));
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		OK(syscall(SYS_arch_prctl, GET_GS, &at));
		CHECK(at == (unsigned long)area);
	}
	return arg;
}

static void *
has_no_gs(void *arg)
{
	unsigned long at;

	while (!stop) {
		OK(syscall(SYS_arch_prctl, GET_GS, &at));
		CHECK(at == 0);
		thr_ms(1);
	}
	return arg;
}

TEST(a_segment_set_by_number_is_the_threads_own)
{
	pthread_t th[4];
	int i;

	for (i = 0; i < 4; i++)
		th[i] = thr_start(has_no_gs, NULL);
	thr_join(thr_start(has_a_gs, NULL));
	stop = 1;
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
}
#endif

/* A key that only the thread has. */
static void *
has_a_key(void *arg)
{
	long key, ring;
	char text[4];
	int i;

	key = syscall(SYS_add_key, "user", "t-key", "abc", 3,
		      KEY_SPEC_THREAD_KEYRING);
	if (key == -1 && (errno == ENOSYS || errno == EPERM))
		SKIP("no keys to be had");
	CHECK(key != -1);
	ring = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,
		       KEY_SPEC_THREAD_KEYRING, 0);
	CHECK(ring != -1);
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		CHECK_INT(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,
				  KEY_SPEC_THREAD_KEYRING, 0),
			  ring);
		CHECK_INT(syscall(SYS_keyctl, KEYCTL_SEARCH,
				  KEY_SPEC_THREAD_KEYRING, "user", "t-key", 0),
			  key);
		CHECK_INT(syscall(SYS_keyctl, KEYCTL_READ, key, text, 4), 3);
	}
	return arg;
}

static void *
has_no_key(void *arg)
{
	while (!stop) {
		CHECK_INT(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID,
				  KEY_SPEC_THREAD_KEYRING, 0),
			  -1);
		thr_ms(1);
	}
	return arg;
}

TEST(a_keyring_asked_for_by_number_is_the_threads_own)
{
	pthread_t th[4];
	int i;

	for (i = 0; i < 4; i++)
		th[i] = thr_start(has_no_key, NULL);
	thr_join(thr_start(has_a_key, NULL));
	stop = 1;
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
}

/* --- a thread by its id, as gettid(2) gave it --- */

static volatile sig_atomic_t told_value, told_code;

static void
is_told(int sig, siginfo_t *info, void *uc)
{
	(void)sig;
	(void)uc;
	told_value = info->si_value.sival_int;
	told_code = info->si_code;
}

static void
catch_usr1(void)
{
	struct sigaction sa = { .sa_sigaction = is_told,
				.sa_flags = SA_SIGINFO };

	OK(sigaction(SIGUSR1, &sa, NULL));
}

static void *
has_a_timer_by_number(void *arg)
{
	struct sigevent ev = { .sigev_notify = 4, /* SIGEV_THREAD_ID */
			       .sigev_signo = SIGUSR1,
			       .sigev_value.sival_int = 43 };
	struct itimerspec its = { .it_value.tv_nsec = 20 * T_MS };
	int t = -1;

	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &t));
	OK(syscall(SYS_timer_settime, t, 0, &its, NULL));
	while (told_value == 0)
		thr_ms(1);
	CHECK_INT(told_value, 43);
	CHECK_INT(told_code, SI_TIMER);
	OK(syscall(SYS_timer_delete, t));
	CHECK_ERR(syscall(SYS_timer_create, 12345, &ev, &t), EINVAL);
	return arg;
}

TEST(a_timer_made_by_number_is_the_threads_own)
{
	catch_usr1();
	among_others(has_a_timer_by_number, NULL);
}

static void *
counts_its_time(void *arg)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_TASK_CLOCK,
					.exclude_kernel = 1 };
	long tid = syscall(SYS_gettid);
	uint64_t ns_ = 0;
	int64_t end = t_now() + 20 * T_MS;
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, 0);

	if (fd == -1 && errno != ESRCH)
		SKIP("no counters to be had");
	CHECK(fd != -1);
	thr_ms(2);
	while (t_now() < end)
		;
	CHECK_INT(read(fd, &ns_, sizeof(ns_)), sizeof(ns_));
	CHECK(ns_ > 0);
	OK(close(fd));
	return arg;
}

TEST(a_counter_of_a_thread_is_opened_by_its_id)
{
	thr_join(thr_start(counts_its_time, NULL));
}

/* libc has registered one of its own, or the kernel takes this one: then it is
 * this thread's, as it was. */
static void *
asks_for_rseq(void *arg)
{
	static __thread char area[32] __attribute__((aligned(32)));
	long r = syscall(SYS_rseq, area, sizeof(area), 0, 0x53053053);

	if (r == -1 && errno == ENOSYS)
		return NULL;
	*(int *)arg = r == 0 ? 0 : errno;
	if (r == 0)
		OK(syscall(SYS_rseq, area, sizeof(area), 1, 0x53053053));
	return NULL;
}

TEST(a_second_area_for_restarts_is_refused)
{
	int err = -1;

	thr_join(thr_start(asks_for_rseq, &err));
	if (err == -1)
		SKIP("the kernel has none");
	CHECK(err == 0 || err == EINVAL);
	if (gnu_get_libc_version()[2] != '3' ||
	    atoi(gnu_get_libc_version() + 2) < 35)
		SKIP("libc has none");
	CHECK_INT(err, EINVAL);
}

static void *
asks_of_itself(void *arg)
{
	struct rlimit64 {
		uint64_t cur, max;
	} r;
	long tid = syscall(SYS_gettid);

	OK(syscall(SYS_prlimit64, tid, RLIMIT_NOFILE, NULL, &r));
	CHECK_INT(syscall(SYS_getsid, tid), getsid(0));
	CHECK_INT(syscall(SYS_getpgid, tid), getpgid(0));
	return arg;
}

TEST(a_threads_id_stands_for_its_process)
{
	thr_join(thr_start(asks_of_itself, NULL));
}

/* --- rings of requests, whose submitter the kernel remembers --- */

struct ring {
	int fd;
	unsigned *tail, *array, *done;
	struct io_uring_sqe *sqe;
	void *rings, *sqes;
	size_t size;
};

static void
make_ring(struct ring *r)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER };
	char *at;

	r->fd = (int)syscall(SYS_io_uring_setup, 4, &p);
	if (r->fd == -1)
		SKIP("no io_uring, or none for a single issuer");
	r->size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
	r->rings = at = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			     r->fd, IORING_OFF_SQ_RING);
	CHECK(at != MAP_FAILED);
	r->tail = (unsigned *)(at + p.sq_off.tail);
	r->array = (unsigned *)(at + p.sq_off.array);
	r->done = (unsigned *)(at + p.cq_off.tail);
	r->sqes = r->sqe = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
				r->fd, IORING_OFF_SQES);
	CHECK(r->sqe != MAP_FAILED);
}

static void *
submits(void *arg)
{
	struct ring r;
	int i;

	make_ring(&r);
	for (i = 0; i < 5; i++) {
		thr_ms(2);
		memset(&r.sqe[i % 4], 0, sizeof(*r.sqe));
		r.sqe[i % 4].opcode = IORING_OP_NOP;
		r.array[i % 4] = (unsigned)i % 4;
		__atomic_store_n(r.tail, (unsigned)i + 1, __ATOMIC_RELEASE);
		CHECK_INT(syscall(SYS_io_uring_enter, r.fd, 1, 1,
				  IORING_ENTER_GETEVENTS, NULL, 0),
			  1);
		CHECK_INT(__atomic_load_n(r.done, __ATOMIC_ACQUIRE), i + 1);
	}
	OK(munmap(r.sqes, 4096));
	OK(munmap(r.rings, r.size));
	OK(close(r.fd));
	return arg;
}

TEST(a_ring_has_a_single_issuer)
{
	among_others(submits, NULL);
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

static int64_t
at(timer_t t, int64_t when)
{
	struct itimerspec its = { .it_value = { when / 1000000000,
						when % 1000000000 } };

	fired = 0;
	OK(timer_settime(t, TIMER_ABSTIME, &its, NULL));
	while (!fired)
		if (ns(CLOCK_THREAD_CPUTIME_ID) > when + 5000 * T_MS)
			break;
	CHECK_INT(fired, 1);
	return ns(CLOCK_THREAD_CPUTIME_ID) - when;
}

static void *
has_one_at_a_time(void *arg)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGUSR2 };
	void *volatile nowhere = (void *)1;
	int64_t now, late;
	timer_t t;

	/* Who computes for long goes on by another kernel thread after that. */
	compute(150 * T_MS, CLOCK_THREAD_CPUTIME_ID);
	thr_ms(1);
	OK(timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &t));
	now = ns(CLOCK_THREAD_CPUTIME_ID);
	late = at(t, now + 20 * T_MS);
	CHECK(late >= 0 && late < 100 * T_MS);
	late = at(t, now);
	CHECK(late < 200 * T_MS);
	CHECK_ERR(timer_settime(t, TIMER_ABSTIME, nowhere, NULL), EFAULT);
	OK(timer_delete(t));
	/* Its id is free for one by another clock. */
	OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	now = ns(CLOCK_MONOTONIC);
	at(t, now + T_MS);
	CHECK(ns(CLOCK_MONOTONIC) >= now + T_MS);
	OK(timer_delete(t));
	CHECK_ERR(timer_settime(t, 0, &(struct itimerspec){ 0 }, NULL), EINVAL);
	return arg;
}

TEST(a_timer_of_cpu_time_may_be_for_a_time)
{
	struct sigaction sa = { .sa_handler = fires, .sa_flags = SA_RESTART };

	OK(sigaction(SIGUSR2, &sa, NULL));
	thr_join(thr_start(has_one_at_a_time, NULL));
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
