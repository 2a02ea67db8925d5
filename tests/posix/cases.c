/* SPDX-License-Identifier: MIT */
/* cases.c - what the table of coverage (tests/coverage) showed to be left open
 * by the programs that are about something: a handler that interrupts, a time
 * that is over, an argument that is none, call by call. */
#define _GNU_SOURCE 1

#include <aio.h>
#include <mqueue.h>
#include <netdb.h>
#include <stdatomic.h>
#include <sched.h>
#include <setjmp.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <threads.h>
#include <ucontext.h>

#include "party.h"

int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int capget(void *header, void *data);
int capset(void *header, const void *data);
ssize_t __pread_chk(int fd, void *buf, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t n, off_t at, size_t room);
mqd_t __mq_open_2(const char *name, int flags);

/* Somebody who always has something to do soon: who waits alone has nobody to
 * give way to. */
static atomic_bool alone;

static void *
keeps_company(void *arg)
{
	while (!alone)
		usleep(1000);
	return arg;
}

static pthread_t
company(void)
{
	alone = false;
	return party(keeps_company, NULL);
}

static void
no_company(pthread_t th)
{
	alone = true;
	leaves(th);
}

#define CHECK_EINTR(call)               \
	do {                            \
		start_ticking(0);       \
		CHECK_ERR(call, EINTR); \
		stop_ticking();         \
	} while (0)

/* --- writing where there is no room --- */

TEST(a_full_socket_is_written_to_until_a_handler_runs)
{
	char buf[100] = "";
	struct iovec v = { buf, sizeof buf };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = m };
	int s[2];

	unix_pair(SOCK_STREAM, s);
	stuff(s[0]);
	CHECK_EINTR(writev(s[0], &v, 1));
	CHECK_EINTR(send(s[0], buf, sizeof buf, 0));
	CHECK_EINTR(sendto(s[0], buf, sizeof buf, 0, NULL, 0));
	CHECK_EINTR(sendmsg(s[0], &m, 0));
	CHECK_EINTR(sendmmsg(s[0], &mm, 1, 0));
	CHECK_EINTR(pwritev2(s[0], &v, 1, -1, 0));
	shut_both(s);
}

TEST(a_full_socket_is_written_to_until_its_time_is_over)
{
	struct timeval soon = { 0, 30000 };
	char buf[100] = "";
	struct iovec v = { buf, sizeof buf };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = m };
	int64_t t;
	int s[2];

	unix_pair(SOCK_STREAM, s);
	stuff(s[0]);
	CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon),
		  0);
	t = t_now();
	CHECK_ERR(sendmmsg(s[0], &mm, 1, 0), EAGAIN);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK_ERR(writev(s[0], &v, 1), EAGAIN);
	CHECK_ERR(sendmsg(s[0], &m, 0), EAGAIN);
	CHECK_ERR(sendmmsg(s[0], &mm, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERR(pwritev2(-1, &v, 1, -1, 0), EBADF);
	CHECK_ERR(pwritev(s[0], &v, 1, 0), ESPIPE);
	CHECK_ERR(pwritev(-1, &v, 1, 0), EBADF);
	set_nonblocking(s[0], true);
	CHECK_ERR(pwritev2(s[0], &v, 1, -1, 0), EAGAIN);
	shut_both(s);
}

TEST(what_is_full_is_written_to_until_a_handler_runs)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	int e = eventfd(0, 0), fds[2];
	struct timespec late;
	char buf[4096] = "", name[40];
	struct iovec v = { buf, sizeof buf };
	mqd_t q;

	CHECK(e != -1);
	CHECK_INT(eventfd_write(e, UINT64_MAX - 1), 0);
	CHECK_EINTR(eventfd_write(e, 1));
	set_nonblocking(e, true);
	CHECK_ERR(eventfd_write(e, 1), EAGAIN);
	shut(e);
	CHECK_INT(pipe(fds), 0);
	stuff(fds[1]);
	CHECK_EINTR(vmsplice(fds[1], &v, 1, 0));
	take(fds[0], 10, 0);
	shut_both(fds);
	CHECK_INT(pipe(fds), 0);
	CHECK_EINTR(preadv2(fds[0], &v, 1, -1, 0));
	shut_both(fds);

	snprintf(name, sizeof name, "/t-cases-%d", (int)getpid());
	CHECK_ERR(mq_open("no-slash", O_RDWR), EINVAL);
	CHECK_ERR(mq_open("/no-such-queue-here", O_RDWR), ENOENT);
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == (mqd_t)-1)
		SKIP("no POSIX queues");
	CHECK_ERR(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr),
		  EEXIST);
	CHECK_INT(mq_close(q), 0);
	q = __mq_open_2(name, O_RDWR);
	CHECK(q != (mqd_t)-1);
	CHECK_INT(mq_unlink(name), 0);
	CHECK_ERR(__mq_open_2(name, O_RDWR), ENOENT);
	CHECK_INT(mq_send(q, buf, 8, 0), 0);
	clock_gettime(CLOCK_REALTIME, &late);
	late.tv_sec += 100;
	CHECK_EINTR(mq_timedsend(q, buf, 8, 0, &late));
	CHECK_ERR(mq_timedsend(q, buf, 9, 0, &late), EMSGSIZE);
	CHECK_INT(mq_close(q), 0);
}

/* --- the checked twins --- */

TEST(the_checked_twins_read_until_a_handler_runs_or_time_is_over)
{
	struct timeval soon = { 0, 30000 };
	struct sockaddr_un from;
	socklen_t len = sizeof from;
	char buf[8];
	int s[2];

	unix_pair(SOCK_DGRAM, s);
	CHECK_EINTR(__read_chk(s[0], buf, 8, 8));
	CHECK_EINTR(__recv_chk(s[0], buf, 8, 8, 0));
	CHECK_EINTR(__recvfrom_chk(s[0], buf, 8, 8, 0, (void *)&from, &len));
	CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon),
		  0);
	CHECK_ERR(__read_chk(s[0], buf, 8, 8), EAGAIN);
	CHECK_ERR(__recv_chk(s[0], buf, 8, 8, 0), EAGAIN);
	CHECK_ERR(__recvfrom_chk(s[0], buf, 8, 8, 0, (void *)&from, &len),
		  EAGAIN);
	set_nonblocking(s[0], true);
	CHECK_ERR(__read_chk(s[0], buf, 8, 8), EAGAIN);
	CHECK_ERR(__recv_chk(s[0], buf, 8, 8, 0), EAGAIN);
	CHECK_ERR(__recvfrom_chk(s[0], buf, 8, 8, 0, NULL, NULL), EAGAIN);
	CHECK_ERR(__read_chk(-1, buf, 8, 8), EBADF);
	CHECK_ERR(__recv_chk(-1, buf, 8, 8, 0), EBADF);
	CHECK_ERR(__recvfrom_chk(-1, buf, 8, 8, 0, NULL, NULL), EBADF);
	shut_both(s);
}

TEST(the_checked_twins_poll_until_time_is_over)
{
	struct timespec soon = { 0, 30 * T_MS }, bad = { 0, -1 };
	struct pollfd p = { .events = POLLIN };
	int64_t t = t_now();
	int s[2];

	unix_pair(SOCK_DGRAM, s);
	p.fd = s[0];
	CHECK_RET(__poll_chk(&p, 1, 30, sizeof p), 0);
	CHECK_RET(__ppoll_chk(&p, 1, &soon, NULL, sizeof p), 0);
	CHECK(t_now() - t >= 60 * T_MS);
	CHECK_ERR(__poll_chk(nowhere(), 1, 30, sizeof p), EFAULT);
	CHECK_ERR(__ppoll_chk(&p, 1, &bad, NULL, sizeof p), EINVAL);
	shut_both(s);
}

/* --- connections --- */

TEST(accept4_waits_until_a_handler_runs_or_time_is_over)
{
	struct timeval soon = { 0, 30000 };
	struct sockaddr_in addr;
	int l = listener(&addr);

	CHECK_EINTR(accept4(l, NULL, NULL, 0));
	CHECK_INT(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon),
		  0);
	CHECK_ERR(accept4(l, NULL, NULL, 0), EAGAIN);
	shut(l);
}

/* --- files --- */

static char dir[] = "/tmp/t-cases-XXXXXX", fifo[64], file[64];

static void
a_folder(void)
{
	CHECK(mkdtemp(dir) != NULL);
	snprintf(fifo, sizeof fifo, "%s/fifo", dir);
	snprintf(file, sizeof file, "%s/file", dir);
	CHECK_INT(mkfifo(fifo, 0600), 0);
	shut(open(file, O_WRONLY | O_CREAT, 0600));
}

static void
no_folder(void)
{
	CHECK_INT(unlink(fifo), 0);
	CHECK_INT(unlink(file), 0);
	CHECK_INT(rmdir(dir), 0);
}

static void *
opens_the_other_end(void *arg)
{
	int fd;

	most_likely();
	fd = open(fifo, (int)(intptr_t)arg);
	CHECK(fd != -1);
	shut(fd);
	return NULL;
}

TEST(a_fifo_is_opened_by_any_name_when_both_ends_are)
{
	pthread_t th, others;
	FILE *f;
	int d, fd = -1, i;

	a_folder();
	d = open(dir, O_RDONLY);
	CHECK(d != -1);
	others = company();
	for (i = 0; i < 5; i++) {
		th = party(opens_the_other_end,
			   (void *)(intptr_t)(i == 4 ? O_WRONLY : O_RDONLY));
		fd = i == 0 ? openat(d, "fifo", O_WRONLY) :
		     i == 1 ? __open_2(fifo, O_WRONLY) :
		     i == 2 ? __openat_2(d, "fifo", O_WRONLY) :
		     i == 3 ? creat(fifo, 0600) :
			      -1;
		if (i == 4) {
			f = freopen(fifo, "r", fopen("/dev/null", "r"));
			CHECK(f != NULL);
			CHECK_INT(fclose(f), 0);
		} else {
			CHECK(fd != -1);
			shut(fd);
		}
		leaves(th);
	}
	CHECK_EINTR(openat(d, "fifo", O_WRONLY));
	CHECK_EINTR(__open_2(fifo, O_WRONLY));
	CHECK_EINTR(__openat_2(d, "fifo", O_WRONLY));
	CHECK_EINTR(creat(fifo, 0600));
	start_ticking(0);
	CHECK(freopen(fifo, "r", fopen("/dev/null", "r")) == NULL);
	CHECK_INT(errno, EINTR);
	stop_ticking();
	no_company(others);
	CHECK(freopen("/no/such", "r", fopen("/dev/null", "r")) == NULL);
	CHECK_INT(errno, ENOENT);
	CHECK_ERR(creat("/no/such/file", 0600), ENOENT);
	CHECK(fopen(dir, "w") == NULL);
	CHECK_INT(errno, EISDIR);
	shut(d);
	no_folder();
}

/* Another process has the lock, for a moment or until it is killed. */
static pid_t
locks_it(int *fd, useconds_t us)
{
	int told[2];
	pid_t pid;
	char c;

	CHECK_INT(pipe(told), 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		int mine = open(file, O_RDWR);

		if (mine == -1 || lockf(mine, F_TLOCK, 0) != 0 ||
		    write(told[1], "x", 1) != 1)
			_exit(1);
		usleep(us);
		_exit(0);
	}
	CHECK_INT(read(told[0], &c, 1), 1);
	shut_both(told);
	*fd = open(file, O_RDWR);
	CHECK(*fd != -1);
	return pid;
}

TEST(a_file_that_another_process_has_locked_is_waited_for)
{
	struct flock fl = { .l_type = F_WRLCK };
	pthread_t others = company();
	int fd, status, i;
	pid_t pid;

	a_folder();
	for (i = 0; i < 2; i++) {
		pid = locks_it(&fd, 50000);
		CHECK_RET(i == 0 ? lockf(fd, F_LOCK, 0) :
				   fcntl64(fd, F_SETLKW, &fl),
			  0);
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK_INT(status, 0);
		shut(fd);
	}
	pid = locks_it(&fd, 100000000);
	CHECK_EINTR(fcntl64(fd, F_SETLKW, &fl));
	CHECK_EINTR(lockf(fd, F_LOCK, 0));
	CHECK_INT(kill(pid, SIGKILL), 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	shut(fd);
	no_company(others);
	no_folder();
}

TEST(a_terminal_that_stands_still_is_waited_for)
{
	pthread_t others = company();
	int master, slave;

	master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master == -1 || grantpt(master) != 0 || unlockpt(master) != 0)
		SKIP("no pseudo terminals");
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	CHECK(slave != -1);
	CHECK_RET(tcdrain(slave), 0);
	CHECK_ERR(tcdrain(-1), EBADF);
	shut(slave);
	shut(master);
	no_company(others);
}

/* --- requests that libc's own threads carry out --- */

static int
suspends(int i, struct aiocb *a, const struct timespec *ts)
{
	const struct aiocb *one[1] = { a };

	return i == 0 ?
		       aio_suspend(one, 1, ts) :
		       aio_suspend64((const struct aiocb64 *const *)one, 1, ts);
}

static int
lists(int i, int mode, struct aiocb *a)
{
	struct aiocb *all[1] = { a };

	return i == 0 ? lio_listio(mode, all, 1, NULL) :
			lio_listio64(mode, (struct aiocb64 *const *)all, 1,
				     NULL);
}

static void *
writes_later(void *arg)
{
	most_likely();
	CHECK_INT(write(*(int *)arg, "hello", 5), 5);
	return NULL;
}

TEST(requests_by_either_name_are_waited_for)
{
	struct timespec soon = { 0, 30 * T_MS };
	pthread_t others = company(), th;
	struct aiocb a = { 0 };
	char buf[8];
	int fds[2], i;

	CHECK_INT(pipe(fds), 0);
	a.aio_fildes = fds[0];
	a.aio_buf = buf;
	a.aio_nbytes = sizeof buf;
	a.aio_sigevent.sigev_notify = SIGEV_NONE;
	a.aio_lio_opcode = LIO_READ;
	for (i = 0; i < 2; i++) {
		CHECK_INT(aio_read(&a), 0);
		CHECK_ERR(suspends(i, &a, &soon), EAGAIN);
		CHECK_EINTR(suspends(i, &a, NULL));
		th = party(writes_later, &fds[1]);
		CHECK_INT(suspends(i, &a, NULL), 0);
		leaves(th);
		CHECK_INT(aio_return(&a), 5);
		th = party(writes_later, &fds[1]);
		CHECK_INT(lists(i, LIO_WAIT, &a), 0);
		leaves(th);
		CHECK_INT(aio_return(&a), 5);
		CHECK_ERR(lists(i, 77, &a), EINVAL);
	}
	no_company(others);
	shut_both(fds);
}

TEST(a_semaphore_is_waited_for_until_its_time_is_over)
{
	struct timespec soon = { 0, 30 * T_MS };
	struct sembuf op = { .sem_op = -1 };
	pthread_t others = company();
	int64_t t = t_now();
	int id = semget(IPC_PRIVATE, 1, 0600);

	if (id == -1)
		SKIP("no System V semaphores");
	CHECK_ERR(semtimedop(id, &op, 1, &soon), EAGAIN);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK_INT(semctl(id, 0, IPC_RMID), 0);
	no_company(others);
}

/* --- children --- */

TEST(a_child_is_waited_for_until_a_handler_runs)
{
	pthread_t others = company();
	struct rusage ru;
	siginfo_t info;
	int status;
	pid_t pid = fork();

	CHECK(pid != -1);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	CHECK_EINTR(wait(&status));
	CHECK_EINTR(wait3(&status, 0, &ru));
	CHECK_EINTR(wait4(pid, &status, 0, &ru));
	CHECK_EINTR(waitid(P_PID, (id_t)pid, &info, WEXITED));
	CHECK_INT(kill(pid, SIGKILL), 0);
	CHECK_INT(wait4(pid, &status, 0, &ru), pid);
	CHECK_ERR(wait4(pid, &status, 0, &ru), ECHILD);
	CHECK_ERR(waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);
	no_company(others);
}

TEST(pclose_waits_for_its_child)
{
	pthread_t others = company();
	FILE *f = popen("sleep 0.1", "r");

	CHECK(f != NULL);
	CHECK_INT(pclose(f), 0);
	no_company(others);
}

/* --- signals --- */

TEST(a_signal_is_waited_for_until_a_handler_of_another_runs)
{
	struct timespec late = { 100, 0 }, rem;
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EINTR(sigwaitinfo(&set, &info));
	CHECK_EINTR(sigtimedwait(&set, &info, &late));
	CHECK_ERR(sigwaitinfo(nowhere(), &info), EFAULT);
	start_ticking(0);
	CHECK_INT(thrd_sleep(&late, &rem), -1);
	CHECK(rem.tv_sec < 100);
	stop_ticking();
}

/* --- what does not wait, and arguments that are none --- */

TEST(arguments_that_are_none_are_refused)
{
	struct timespec ts = { 0, 1000000000 };
	struct aiocb a = { 0 };
	union sigval v = { .sival_int = 0 };
	struct sched_param sp = { .sched_priority = 0 };
	stack_t ss = { .ss_flags = 77 };
	sigset_t set;
	timer_t timer;
	pid_t pid;
	int ns;
	char *argv[] = { (char *)"none", NULL };
	cpu_set_t cpus;
	char c;

	CHECK_ERR(aio_suspend((const struct aiocb *[]){ &a }, -1, NULL),
		  EINVAL);
	CHECK_ERR(aio_suspend64((const struct aiocb64 *[]){ NULL }, -1, NULL),
		  EINVAL);
	CHECK_ERR(sigprocmask(77, &set, NULL), EINVAL);
	CHECK_ERR(sigpending(nowhere()), EFAULT);
	CHECK_ERR(sigaltstack(&ss, NULL), EINVAL);
	CHECK_ERR(tgkill(getpid(), gettid(), 99), EINVAL);
	CHECK_INT(pthread_sigqueue(pthread_self(), 99, v), EINVAL);
	CHECK_INT(posix_spawnp(&pid, "no-such-program-here", NULL, NULL, argv,
			       environ),
		  ENOENT);
	CHECK_ERR(timer_create(99, NULL, &timer), EINVAL);
	CHECK_ERR(sched_getparam(-1, &sp), EINVAL);
	CHECK_INT(sched_getparam(0, &sp), 0);
	CHECK_INT(sched_setparam(0, &sp), 0);
	CHECK_ERR(sched_setparam(0, NULL), EINVAL);
	CHECK_ERR(sched_getscheduler(-1), EINVAL);
	CHECK_ERR(sched_setscheduler(0, 77, &sp), EINVAL);
	CHECK_INT(sched_rr_get_interval(0, &ts), 0);
	CHECK_ERR(sched_rr_get_interval(-1, &ts), EINVAL);
	CHECK_ERR(sched_getaffinity(0, 1, NULL), EINVAL);
	CHECK_INT(sched_getaffinity(0, sizeof cpus, &cpus), 0);
	CHECK_INT(pthread_setschedparam(pthread_self(), 77, &sp), EINVAL);
	CHECK_INT(pthread_setschedprio(pthread_self(), 0), 0);
	errno = 0;
	CHECK_INT(getpriority((__priority_which_t)77, 0), -1);
	CHECK_INT(errno, EINVAL);
	CHECK_ERR(setpriority((__priority_which_t)77, 0, 0), EINVAL);
	CHECK_ERR(unshare(0x1), EINVAL);
	CHECK_ERR(setns(-1, 0), EBADF);
	ns = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(ns != -1);
	CHECK(setns(ns, 0) == 0 || errno == EPERM);
	shut(ns);
	CHECK_ERR(ptrace(PTRACE_CONT, getpid(), NULL, NULL), ESRCH);
	CHECK_ERR(sync_file_range(-1, 0, 0, 0), EBADF);
	CHECK_ERR(__pread_chk(-1, &c, 1, 0, 1), EBADF);
	CHECK_ERR(__pread64_chk(-1, &c, 1, 0, 1), EBADF);
	CHECK_ERR(capset(NULL, NULL), EFAULT);
	CHECK_ERR(capget(NULL, NULL), EFAULT);
	CHECK_INT(setfsgid((gid_t)-1), getegid());
}

static ucontext_t here, there;
static int been;

static void
is_there(void)
{
	been++;
	setcontext(&here);
}

TEST(jumps_land_by_any_name)
{
	static char stack[65536];
	jmp_buf env;
	volatile int n = 0;

	if (setjmp(env) == 0) {
		n++;
		longjmp(env, 1);
	}
	CHECK_INT(n, 1);
	if (_setjmp(env) == 0) {
		n++;
		_longjmp(env, 1);
	}
	CHECK_INT(n, 2);
	CHECK_INT(getcontext(&there), 0);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = sizeof stack;
	there.uc_link = &here;
	makecontext(&there, is_there, 0);
	CHECK_INT(swapcontext(&here, &there), 0);
	CHECK_INT(been, 1);
}

static void *
ends_soon(void *arg)
{
	most_likely();
	return arg;
}

TEST(who_ends_in_time_is_joined)
{
	struct timespec late;
	void *got;
	pthread_t th = party(ends_soon, &late);

	clock_gettime(CLOCK_REALTIME, &late);
	late.tv_sec += 100;
	CHECK_INT(pthread_timedjoin_np(th, &got, &late), 0);
	CHECK(got == &late);
}

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int told;

static void *
tells(void *arg)
{
	most_likely();
	CHECK_INT(pthread_mutex_lock(&m), 0);
	told = 1;
	CHECK_INT(pthread_cond_signal(&cond), 0);
	CHECK_INT(pthread_mutex_unlock(&m), 0);
	return arg;
}

TEST(a_condition_comes_true_by_any_clock)
{
	struct timespec late;
	pthread_t th = party(tells, NULL);

	clock_gettime(CLOCK_MONOTONIC, &late);
	late.tv_sec += 100;
	CHECK_INT(pthread_mutex_lock(&m), 0);
	while (!told)
		CHECK_INT(pthread_cond_clockwait(&cond, &m, CLOCK_MONOTONIC,
						 &late),
			  0);
	CHECK_INT(pthread_mutex_unlock(&m), 0);
	leaves(th);
}
