/* SPDX-License-Identifier: MIT */
/* pin.c - what a thread asks the kernel for itself it has, and it alone. */
#define _GNU_SOURCE 1
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "thr.h"

#define AS_ROOT()                              \
	do {                                   \
		if (syscall(SYS_geteuid) != 0) \
			SKIP("only root may"); \
	} while (0)

/* The lowest CPU that we may use. */
static cpu_set_t
one_cpu(void)
{
	cpu_set_t all, one;
	int i;

	OK(sched_getaffinity(0, sizeof all, &all));
	CPU_ZERO(&one);
	for (i = 0; !CPU_ISSET(i, &all); i++)
		;
	CPU_SET(i, &one);
	return one;
}

static int
cpus(void)
{
	cpu_set_t set;

	OK(sched_getaffinity(0, sizeof set, &set));
	return CPU_COUNT(&set);
}

#define NEED_TWO_CPUS()                         \
	do {                                    \
		if (cpus() < 2)                 \
			SKIP("needs two CPUs"); \
	} while (0)

/* The tests themselves may run at any priority but the lowest. */
static void
gets_nicer(int by)
{
	int was = getpriority(PRIO_PROCESS, 0);

	CHECK_INT(nice(by), was + by);
}

/* Ways to let others run. */
static sem_t never;

static void
rests(void)
{
	struct timespec soon = thr_after(CLOCK_REALTIME, 2 * T_MS);
	int p[2];

	thr_ms(1);
	sched_yield();
	CHECK_ERR(sem_timedwait(&never, &soon), ETIMEDOUT);
	OK(pipe(p));
	thr_tell(p[1]);
	thr_hear(p[0]);
	OK(close(p[0]));
	OK(close(p[1]));
}

/* Others that must not be touched by what one of us does: each looks, rests
 * and looks again. */
enum { OTHERS = 12 };

static struct {
	atomic_int stop, rounds;
	void (*look)(void);
	pthread_t th[OTHERS];
} others;

static void *
looks(void *arg)
{
	while (!others.stop) {
		others.look();
		others.rounds++;
		if (thr_num(arg) % 2)
			thr_ms(1);
		else
			sched_yield();
	}
	others.look();
	return arg;
}

static void
others_begin(void (*look)(void))
{
	int i;

	others.look = look;
	for (i = 0; i < OTHERS; i++)
		others.th[i] = thr_start(looks, thr_ptr(i));
	thr_until(&others.rounds, 3 * OTHERS);
}

static void
others_end(void)
{
	int i;

	thr_until(&others.rounds, others.rounds + 3 * OTHERS);
	others.stop = 1;
	for (i = 0; i < OTHERS; i++)
		CHECK_INT(thr_num(thr_join(others.th[i])), i);
	others.look();
}

static int all_cpus;

static void
has_all_cpus(void)
{
	cpu_set_t set;

	CHECK_INT(cpus(), all_cpus);
	OK(pthread_getaffinity_np(pthread_self(), sizeof set, &set));
	CHECK_INT(CPU_COUNT(&set), all_cpus);
}

static void *
on_one_cpu(void *arg)
{
	cpu_set_t one = one_cpu(), set;
	pid_t tid = gettid();
	int i;

	OK(sched_setaffinity(0, sizeof one, &one));
	for (i = 0; i < 20; i++) {
		CHECK_INT(cpus(), 1);
		CHECK(CPU_ISSET(sched_getcpu(), &one));
		CHECK_INT(gettid(), tid);
		OK(sched_getaffinity(tid, sizeof set, &set));
		CHECK(CPU_EQUAL(&set, &one));
		OK(pthread_getaffinity_np(pthread_self(), sizeof set, &set));
		CHECK(CPU_EQUAL(&set, &one));
		rests();
	}
	return arg;
}

TEST(a_thread_has_the_cpus_that_it_asked_for_and_no_other_has)
{
	pthread_t th[5];
	int i;

	NEED_TWO_CPUS();
	all_cpus = cpus();
	others_begin(has_all_cpus);
	for (i = 0; i < 5; i++)
		th[i] = thr_start(on_one_cpu, &th[i]);
	for (i = 0; i < 5; i++)
		CHECK(thr_join(th[i]) == &th[i]);
	others_end();
}

TEST(the_kernel_thread_of_one_that_has_ended_is_for_nobody_else)
{
	int i;

	NEED_TWO_CPUS();
	all_cpus = cpus();
	others_begin(has_all_cpus);
	for (i = 0; i < 50; i++) {
		thr_join(thr_start(on_one_cpu, NULL));
		i += 4;
	}
	others_end();
}

static sem_t go_on;

static void *
finds_itself_moved(void *arg)
{
	cpu_set_t *one = arg;

	OK(sem_wait(&go_on));
	CHECK_INT(cpus(), 1);
	rests();
	CHECK_INT(cpus(), 1);
	CHECK(CPU_ISSET(sched_getcpu(), one));
	return NULL;
}

TEST(cpus_can_be_set_for_another_thread)
{
	cpu_set_t one = one_cpu(), set;
	pthread_t th;

	NEED_TWO_CPUS();
	all_cpus = cpus();
	others_begin(has_all_cpus);
	th = thr_start(finds_itself_moved, &one);
	thr_ms(2);
	OK(pthread_setaffinity_np(th, sizeof one, &one));
	OK(pthread_getaffinity_np(th, sizeof set, &set));
	CHECK(CPU_EQUAL(&one, &set));
	OK(sem_post(&go_on));
	thr_join(th);
	others_end();
}

static void *
is_on_one_cpu(void *arg)
{
	(void)arg;
	CHECK_INT(cpus(), 1);
	rests();
	CHECK_INT(cpus(), 1);
	return NULL;
}

static void *
creates_one(void *arg)
{
	cpu_set_t one = one_cpu();

	OK(pthread_setaffinity_np(pthread_self(), sizeof one, &one));
	thr_join(thr_start(is_on_one_cpu, NULL));
	return arg;
}

TEST(a_thread_takes_after_its_creator)
{
	cpu_set_t one = one_cpu();
	pthread_attr_t a;
	pthread_t th;

	NEED_TWO_CPUS();
	all_cpus = cpus();
	others_begin(has_all_cpus);
	thr_join(thr_start(creates_one, NULL));
	OK(pthread_attr_init(&a));
	OK(pthread_attr_setaffinity_np(&a, sizeof one, &one));
	OK(pthread_create(&th, &a, is_on_one_cpu, NULL));
	OK(pthread_attr_destroy(&a));
	thr_join(th);
	others_end();
}

TEST(cpus_that_are_not_there_are_EINVAL)
{
	cpu_set_t none;

	CPU_ZERO(&none);
	CHECK_ERR(sched_setaffinity(0, sizeof none, &none), EINVAL);
	CHECK_INT(pthread_setaffinity_np(pthread_self(), sizeof none, &none),
		  EINVAL);
	CHECK_ERR(sched_setaffinity(0, sizeof none, (cpu_set_t *)8), EFAULT);
	CHECK_ERR(sched_setaffinity(-1, sizeof none, &none), ESRCH);
}

static void
is_as_nice_as_before(void)
{
	struct sched_param p;
	int policy;

	CHECK_INT(getpriority(PRIO_PROCESS, 0), 0);
	CHECK_INT(sched_getscheduler(0), SCHED_OTHER);
	OK(pthread_getschedparam(pthread_self(), &policy, &p));
	CHECK_INT(policy, SCHED_OTHER);
	CHECK_INT(p.sched_priority, 0);
}

static void *
is_nicer(void *arg)
{
	int i;

	gets_nicer(3);
	for (i = 0; i < 10; i++) {
		CHECK_INT(getpriority(PRIO_PROCESS, 0), 3);
		CHECK_INT(getpriority(PRIO_PROCESS, gettid()), 3);
		rests();
	}
	OK(setpriority(PRIO_PROCESS, gettid(), 7));
	rests();
	CHECK_INT(getpriority(PRIO_PROCESS, 0), 7);
	return arg;
}

static void *
is_in_the_background(void *arg)
{
	struct sched_param p = { 0 };
	int policy, i;

	OK(pthread_setschedparam(pthread_self(), SCHED_BATCH, &p));
	for (i = 0; i < 10; i++) {
		CHECK_INT(sched_getscheduler(gettid()), SCHED_BATCH);
		OK(pthread_getschedparam(pthread_self(), &policy, &p));
		CHECK_INT(policy, SCHED_BATCH);
		rests();
	}
	CHECK_INT(pthread_setschedprio(pthread_self(), 50), EINVAL);
	OK(sched_setscheduler(0, SCHED_OTHER, &p));
	CHECK_INT(sched_getscheduler(0), SCHED_OTHER);
	return arg;
}

TEST(priority_and_policy_are_the_threads_own)
{
	pthread_t a, b;

	if (getpriority(PRIO_PROCESS, 0) != 0)
		SKIP("is nice already");
	others_begin(is_as_nice_as_before);
	a = thr_start(is_nicer, NULL);
	b = thr_start(is_in_the_background, NULL);
	thr_join(a);
	thr_join(b);
	others_end();
}

/* What a pinned thread can still do. */
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn, sum;

static void *
takes_turns(void *arg)
{
	int i, mine = thr_num(arg);

	if (mine == 1)
		gets_nicer(1);
	for (i = 0; i < 200; i++) {
		OK(pthread_mutex_lock(&m));
		while (turn != mine)
			OK(pthread_cond_wait(&cond, &m));
		turn = (turn + 1) % 3;
		sum++;
		OK(pthread_cond_broadcast(&cond));
		OK(pthread_mutex_unlock(&m));
	}
	return NULL;
}

TEST(it_waits_for_others_and_they_for_it)
{
	pthread_t th[3];
	int i;

	for (i = 0; i < 3; i++)
		th[i] = thr_start(takes_turns, thr_ptr(i));
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
	CHECK_INT(sum, 600);
}

static atomic_int handled;
static _Atomic pthread_t handled_in;

static void
counts(int sig)
{
	(void)sig;
	handled_in = pthread_self();
	handled++;
}

static atomic_int ready;

static void *
is_signalled(void *arg)
{
	struct sigaction sa = { .sa_handler = counts };
	sigset_t set;
	char ch;
	int p[2], sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	OK(sigaction(SIGUSR1, &sa, NULL));
	/* What was for it before is for it still. */
	OK(raise(SIGUSR2));
	gets_nicer(1);
	OK(sigpending(&set));
	CHECK(sigismember(&set, SIGUSR2));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	OK(sigwait(&set, &sig));
	CHECK_INT(sig, SIGUSR2);
	OK(pipe(p));
	ready = 1;
	CHECK_ERR(read(p[0], &ch, 1), EINTR);
	CHECK(handled > 0);
	CHECK(pthread_equal(handled_in, pthread_self()));
	OK(sigwait(&set, &sig));
	CHECK_INT(sig, SIGUSR2);
	handled = 0;
	OK(raise(SIGUSR1));
	CHECK_INT(handled, 1);
	OK(tgkill(getpid(), gettid(), SIGUSR1));
	CHECK_INT(handled, 2);
	ready = 2;
	CHECK_ERR(sem_wait(&never), EINTR);
	ready = 3;
	OK(close(p[0]));
	OK(close(p[1]));
	return arg;
}

TEST(it_gets_its_signals)
{
	pthread_t th = thr_start(is_signalled, NULL);

	thr_until(&ready, 1);
	while (!handled) {
		OK(pthread_kill(th, SIGUSR1));
		thr_ms(1);
	}
	OK(pthread_kill(th, SIGUSR2));
	thr_until(&ready, 2);
	while (ready != 3) {
		OK(pthread_kill(th, SIGUSR1));
		thr_ms(1);
	}
	thr_join(th);
}

static void
cleans(void *n)
{
	(*(atomic_int *)n)++;
}

static void
unlocks(void *mutex)
{
	OK(pthread_mutex_unlock(mutex));
}

static atomic_int cleaned;
static int in_read;

static void *
is_cancelled(void *arg)
{
	int p[2];
	char ch;

	pthread_cleanup_push(cleans, &cleaned);
	gets_nicer(1);
	OK(pipe2(p, O_CLOEXEC));
	ready = 1;
	if (in_read) {
		read(p[0], &ch, 1);
	} else {
		OK(pthread_mutex_lock(&m));
		pthread_cleanup_push(unlocks, &m);
		for (;;)
			pthread_cond_wait(&cond, &m);
		pthread_cleanup_pop(0);
	}
	pthread_cleanup_pop(0);
	return arg;
}

TEST(it_can_be_cancelled)
{
	pthread_t th;
	int i, fds = 0;

	for (i = 0; i < 6; i++) {
		in_read = i % 2;
		ready = 0;
		th = thr_start(is_cancelled, NULL);
		thr_until(&ready, 1);
		if (i > 1)
			thr_ms(3);
		OK(pthread_cancel(th));
		CHECK(thr_join(th) == PTHREAD_CANCELED);
		CHECK_INT(cleaned, i + 1);
	}
	for (i = 3; i < 100; i++)
		fds += close(i) == 0;
	CHECK(fds >= 12);
}

static pthread_key_t key;
static atomic_int destroyed;

static void
destroys(void *arg)
{
	(void)arg;
	destroyed++;
}

static void *
ends_by_exit(void *arg)
{
	OK(pthread_setspecific(key, arg));
	gets_nicer(1);
	rests();
	pthread_exit(arg);
}

static void *
ends_by_return(void *arg)
{
	OK(pthread_setspecific(key, arg));
	gets_nicer(1);
	rests();
	return arg;
}

TEST(its_end_is_as_any)
{
	pthread_attr_t a;
	pthread_t th;
	int i;

	OK(pthread_key_create(&key, destroys));
	for (i = 1; i <= 40; i++)
		CHECK_INT(thr_num(thr_join(thr_start(i % 2 ? ends_by_exit :
							     ends_by_return,
						     thr_ptr(i)))),
			  i);
	CHECK_INT(destroyed, 40);
	OK(pthread_attr_init(&a));
	OK(pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED));
	for (i = 0; i < 20; i++) {
		OK(pthread_create(&th, &a, ends_by_return, &i));
		thr_until(&destroyed, 41 + i);
	}
	OK(pthread_attr_destroy(&a));
	OK(pthread_key_delete(key));
}

static void *
returns_it(void *arg)
{
	thr_ms(1);
	return arg;
}

static void *
forks(void *arg)
{
	pid_t pid;
	int i, was;

	was = getpriority(PRIO_PROCESS, 0);
	gets_nicer(2);
	rests();
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_INT(getpriority(PRIO_PROCESS, 0), was + 2);
		for (i = 0; i < 20; i++)
			CHECK_INT(thr_num(thr_join(
					  thr_start(returns_it, thr_ptr(i)))),
				  i);
		rests();
		_exit(7);
	}
	CHECK_INT(thr_reap(pid), 7);
	return arg;
}

TEST(it_can_fork)
{
	int i;

	for (i = 0; i < 3; i++)
		thr_join(thr_start(forks, NULL));
}

static char cwd[100];

static void
is_where_it_was(void)
{
	char buf[100];

	CHECK(getcwd(buf, sizeof buf) != NULL);
	CHECK(strcmp(buf, cwd) == 0);
}

static void *
goes_its_own_way(void *arg)
{
	char buf[100];
	int i;

	OK(unshare(CLONE_FS));
	OK(chdir("/proc"));
	for (i = 0; i < 10; i++) {
		CHECK(getcwd(buf, sizeof buf) != NULL);
		CHECK(strcmp(buf, "/proc") == 0);
		rests();
	}
	return arg;
}

TEST(unshare_gives_a_thread_a_working_directory_of_its_own)
{
	CHECK(getcwd(cwd, sizeof cwd) != NULL);
	others_begin(is_where_it_was);
	thr_join(thr_start(goes_its_own_way, NULL));
	others_end();
}

static char host[65];

static void
is_at_home(void)
{
	char buf[65];

	OK(gethostname(buf, sizeof buf));
	CHECK(strcmp(buf, host) == 0);
}

static sem_t seen;

static void *
founds_a_namespace(void *fd)
{
	if (unshare(CLONE_NEWUTS) != 0)
		SKIP("no namespaces to be had");
	OK(sethostname("elsewhere", 9));
	*(int *)fd = open("/proc/thread-self/ns/uts", O_RDONLY | O_CLOEXEC);
	CHECK(*(int *)fd != -1);
	OK(sem_post(&go_on));
	OK(sem_wait(&seen));
	return NULL;
}

static void *
enters_a_namespace(void *fd)
{
	char buf[65];
	int i;

	is_at_home();
	OK(setns(*(int *)fd, CLONE_NEWUTS));
	for (i = 0; i < 10; i++) {
		OK(gethostname(buf, sizeof buf));
		CHECK(strcmp(buf, "elsewhere") == 0);
		rests();
	}
	return NULL;
}

TEST(a_thread_enters_a_namespace_of_another)
{
	pthread_t th;
	int fd;

	AS_ROOT();
	OK(gethostname(host, sizeof host));
	others_begin(is_at_home);
	th = thr_start(founds_a_namespace, &fd);
	OK(sem_wait(&go_on));
	thr_join(thr_start(enters_a_namespace, &fd));
	OK(sem_post(&seen));
	thr_join(th);
	others_end();
	OK(close(fd));
}

static int shared_pipe[2];

static void
is_open(void)
{
	CHECK(fcntl(shared_pipe[0], F_GETFD) != -1);
}

static void *
closes_for_itself(void *arg)
{
	unsigned fd = (unsigned)shared_pipe[0];
	int i;

	CHECK_ERR(close_range(fd, fd, 1 << 30 | CLOSE_RANGE_UNSHARE), EINVAL);
	OK(close_range(fd, fd, CLOSE_RANGE_UNSHARE));
	for (i = 0; i < 10; i++) {
		CHECK_ERR(fcntl((int)fd, F_GETFD), EBADF);
		rests();
	}
	return arg;
}

TEST(close_range_may_give_a_thread_descriptors_of_its_own)
{
	OK(pipe(shared_pipe));
	others_begin(is_open);
	thr_join(thr_start(closes_for_itself, NULL));
	others_end();
	close(shared_pipe[0]);
	close(shared_pipe[1]);
}

static void
may_all(void)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	OK(syscall(SYS_capget, &h, d));
	CHECK(d[0].effective & 1U << CAP_CHOWN);
	CHECK_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	CHECK_INT(setfsuid(-1), 0);
}

int capset(void *, const void *);
int capget(void *, void *);

static void *
may_less(void *arg)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	int i;

	OK(capget(&h, d));
	d[0].effective &= ~(1U << CAP_CHOWN);
	h.pid = gettid();
	OK(capset(&h, d));
	for (i = 0; i < 10; i++) {
		h.pid = gettid();
		OK(capget(&h, d));
		CHECK(!(d[0].effective & 1U << CAP_CHOWN));
		CHECK_ERR(chown("/proc/self/oom_score_adj", 1, 1), EPERM);
		rests();
	}
	return arg;
}

static void *
is_another_on_files(void *arg)
{
	int i;

	CHECK_INT(setfsuid(1234), 0);
	for (i = 0; i < 10; i++) {
		CHECK_INT(setfsuid(-1), 1234);
		rests();
	}
	return arg;
}

static void *
wants_no_new_rights(void *arg)
{
	int i;

	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(prctl(PR_SET_TIMERSLACK, 12345, 0, 0, 0));
	for (i = 0; i < 10; i++) {
		CHECK_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
		CHECK_INT(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), 12345);
		rests();
	}
	return arg;
}

TEST(rights_are_the_threads_own)
{
	pthread_t th[3];
	int i;

	AS_ROOT();
	others_begin(may_all);
	th[0] = thr_start(may_less, NULL);
	th[1] = thr_start(is_another_on_files, NULL);
	th[2] = thr_start(wants_no_new_rights, NULL);
	for (i = 0; i < 3; i++)
		thr_join(th[i]);
	others_end();
}

static void
may_ask_for_its_parent(void)
{
	CHECK(syscall(SYS_getppid) > 0);
}

static void *
may_not(void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { LEN(code), code };
	int i;

	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0));
	for (i = 0; i < 10; i++) {
		CHECK_ERR(syscall(SYS_getppid), EDOM);
		rests();
	}
	return arg;
}

TEST(seccomp_is_the_threads_own)
{
	others_begin(may_ask_for_its_parent);
	thr_join(thr_start(may_not, NULL));
	others_end();
}

static void *
has_a_name(void *arg)
{
	char name[16], mine[16];
	int i;

	snprintf(mine, sizeof mine, "name %d", thr_num(arg));
	OK(prctl(PR_SET_NAME, mine));
	for (i = 0; i < 10; i++) {
		OK(prctl(PR_GET_NAME, name));
		CHECK(strcmp(name, mine) == 0);
		OK(pthread_getname_np(pthread_self(), name, sizeof name));
		CHECK(strcmp(name, mine) == 0);
		rests();
	}
	OK(prctl(PR_SET_NAME, "longer than fifteen bytes"));
	OK(prctl(PR_GET_NAME, name));
	CHECK(strcmp(name, "longer than fif") == 0);
	CHECK_ERR(prctl(PR_SET_NAME, (char *)8), EFAULT);
	CHECK_ERR(prctl(PR_GET_NAME, (char *)8), EFAULT);
	return arg;
}

TEST(names_by_prctl_are_the_threads_own)
{
	pthread_t th[4];
	int i;

	for (i = 0; i < 4; i++)
		th[i] = thr_start(has_a_name, thr_ptr(i));
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
}

/* What ps(1) and pgrep(1) go by. */
static bool
is_called(const char *name)
{
	char said[32] = "";
	int fd = open("/proc/thread-self/comm", O_RDONLY);
	ssize_t n = read(fd, said, sizeof said - 1);

	close(fd);
	return n > 0 && strncmp(said, name, strlen(name)) == 0 &&
	       said[strlen(name)] == '\n';
}

static void *
forks_by_name(void *arg)
{
	const char *name = arg;
	int status;
	pid_t pid;

	if (name != NULL)
		OK(pthread_setname_np(pthread_self(), name));
	rests(); /* on another kernel thread, perhaps */
	pid = fork();
	if (pid == 0)
		_exit(is_called(name != NULL ? name : "whole") ? 42 : 1);
	CHECK(pid > 0);
	OK(waitpid(pid, &status, 0) == pid ? 0 : -1);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	return arg;
}

TEST(a_child_is_called_as_the_thread_that_forked)
{
	char before[16];

	OK(prctl(PR_GET_NAME, before));
	OK(prctl(PR_SET_NAME, "whole"));
	thr_join(thr_start(forks_by_name, "forker"));
	thr_join(thr_start(forks_by_name, NULL));
	OK(prctl(PR_SET_NAME, before));
}

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

static void *
has_a_timer(void *arg)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID };
	struct itimerspec when = { { 0, 2000000 }, { 0, 2000000 } };
	struct timespec wait = { 60, 0 };
	sigset_t set;
	timer_t t;
	int i;

	ev.sigev_signo = SIGRTMIN + 2;
	ev._sigev_un._tid = gettid();
	sigemptyset(&set);
	sigaddset(&set, ev.sigev_signo);
	OK(pthread_sigmask(SIG_BLOCK, &set, NULL));
	OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	OK(timer_settime(t, 0, &when, NULL));
	for (i = 0; i < 5; i++) {
		CHECK_INT(sigtimedwait(&set, NULL, &wait), ev.sigev_signo);
		rests();
	}
	OK(timer_delete(t));
	ev.sigev_signo = SIGRTMIN + 3;
	signal(SIGRTMIN + 3, counts);
	handled = 0;
	OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	OK(timer_settime(t, 0, &when, NULL));
	while (handled < 5) {
		thr_ms(1);
		CHECK(handled == 0 ||
		      pthread_equal(handled_in, pthread_self()));
	}
	OK(timer_delete(t));
	return arg;
}

TEST(a_timer_signals_the_thread_that_it_is_for)
{
	pthread_t a = thr_start(has_a_timer, NULL);

	thr_join(a);
}

static atomic_int its_tid, timer_over;

static void *
is_given_a_timer(void *arg)
{
	signal(SIGRTMIN + 3, counts);
	its_tid = gettid();
	while (!timer_over)
		thr_ms(1);
	return arg;
}

TEST(a_timer_may_be_for_another_thread)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID };
	struct itimerspec when = { { 0, 2000000 }, { 0, 2000000 } };
	pthread_t th = thr_start(is_given_a_timer, NULL);
	timer_t t;

	thr_until(&its_tid, 1);
	ev.sigev_signo = SIGRTMIN + 3;
	ev._sigev_un._tid = its_tid;
	OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	OK(timer_settime(t, 0, &when, NULL));
	while (handled < 5) {
		thr_ms(1);
		CHECK(handled == 0 || pthread_equal(handled_in, th));
	}
	OK(timer_delete(t));
	timer_over = 1;
	thr_join(th);
}

/* --- /proc --- */

/* A line of a file of /proc; false: there is no such file. */
static int
line_of(char line[256], const char *fmt, int a, const char *rest)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), fmt, a, rest);
	f = fopen(path, "r");
	if (f == NULL) {
		CHECK_INT(errno, ENOENT);
		return 0;
	}
	CHECK(fgets(line, 256, f) != NULL);
	fclose(f);
	line[strcspn(line, "\n")] = '\0';
	return 1;
}

static void
write_to(const char *text, const char *fmt, int a)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), fmt, a);
	fd = open(path, O_WRONLY);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, text, strlen(text)), strlen(text));
	OK(close(fd));
}

static void *
reads_what_proc_has(void *arg)
{
	char name[16], line[256], want[16], path[64];
	FILE *f;
	int fd;

	snprintf(want, sizeof(want), "reads %d", thr_num(arg));
	OK(pthread_setname_np(pthread_self(), want));
	thr_ms(1);
	CHECK(line_of(line, "/proc/self/task/%d/%s", gettid(), "comm"));
	CHECK(strcmp(line, want) == 0);
	CHECK(line_of(line, "/proc/%d/%s", gettid(), "comm"));
	CHECK(strcmp(line, want) == 0);
	CHECK(line_of(line, "/proc/thread-self/%.0d%s", 0, "comm"));
	CHECK(strcmp(line, want) == 0);
	/* And by either way it may be changed. */
	snprintf(want, sizeof(want), "writes %d", thr_num(arg));
	write_to(want, "/proc/self/task/%d/comm", gettid());
	OK(pthread_getname_np(pthread_self(), name, sizeof(name)));
	CHECK(strcmp(name, want) == 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", gettid());
	fd = creat(path, 0600);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, "by creat", 8), 8);
	OK(close(fd));
	f = freopen(path, "r", fopen("/dev/null", "r"));
	CHECK(f != NULL);
	CHECK(fgets(line, sizeof(line), f) != NULL);
	CHECK(strcmp(line, "by creat\n") == 0);
	fclose(f);
	OK(prctl(PR_SET_NAME, "by prctl"));
	thr_ms(1);
	CHECK(line_of(line, "/proc/thread-self/%.0d%s", 0, "comm"));
	CHECK(strcmp(line, "by prctl") == 0);
	return arg;
}

TEST(a_thread_finds_itself_in_proc)
{
	char line[256], before[16], now[16];
	pthread_t th[4];
	int i;

	OK(pthread_getname_np(pthread_self(), before, sizeof(before)));
	for (i = 0; i < 4; i++)
		th[i] = thr_start(reads_what_proc_has, thr_ptr(i));
	for (i = 0; i < 4; i++)
		thr_join(th[i]);
	OK(pthread_getname_np(pthread_self(), now, sizeof(now)));
	CHECK(strcmp(before, now) == 0);
	CHECK(!line_of(line, "/proc/self/task/%d/%s", 1, "comm"));
	CHECK(!line_of(line, "/proc/self/task/%d/%s", 4999999, "comm"));
	CHECK_ERR(open((char *)8, O_RDONLY), EFAULT);
}

static void *
tells_its_number(void *arg)
{
	atomic_int *at = arg;

	OK(pthread_setname_np(pthread_self(), "tells"));
	at[0] = gettid();
	while (at[1] == 0)
		thr_ms(1);
	return arg;
}

TEST(a_thread_is_found_in_proc_by_others)
{
	char line[256], name[16];
	atomic_int at[2] = { 0, 0 };
	pthread_t th = thr_start(tells_its_number, at);
	int tid;

	thr_until(at, 1);
	tid = at[0];
	CHECK(line_of(line, "/proc/self/task/%d/%s", tid, "comm"));
	CHECK(strcmp(line, "tells") == 0);
	write_to("is told", "/proc/self/task/%d/comm", tid);
	OK(pthread_getname_np(th, name, sizeof(name)));
	CHECK(strcmp(name, "is told") == 0);
	OK(pthread_setname_np(th, "and again"));
	CHECK(line_of(line, "/proc/self/task/%d/%s", tid, "comm"));
	CHECK(strcmp(line, "and again") == 0);
	CHECK(line_of(line, "/proc/self/task/%d/%s", tid, "stat"));
	CHECK(strstr(line, "(and again)") != NULL);
	at[1] = 1;
	thr_join(th);
}

static void *
is_named(void *name)
{
	char line[256];

	CHECK(line_of(line, "/proc/thread-self/%.0d%s", 0, "comm"));
	CHECK(strcmp(line, name) == 0);
	return NULL;
}

static void *
has_a_name_and_creates(void *arg)
{
	char line[256];

	OK(pthread_setname_np(pthread_self(), "creator"));
	CHECK(line_of(line, "/proc/thread-self/%.0d%s", 0, "comm"));
	thr_join(thr_start(is_named, "creator"));
	CHECK(line_of(line, "/proc/thread-self/%.0d%s", 0, "comm"));
	CHECK(strcmp(line, "creator") == 0);
	return arg;
}

TEST(a_thread_of_its_own_keeps_its_name_when_it_creates)
{
	thr_join(thr_start(has_a_name_and_creates, NULL));
}
