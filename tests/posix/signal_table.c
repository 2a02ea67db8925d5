/* SPDX-License-Identifier: MIT */
/* signal_table.c - the table of signal(7), call by call: which waits a handler
 * interrupts, and which go on where it says SA_RESTART.
 *
 * Those that signal_eintr.c has not.  Nobody can know when a wait has begun:
 * signals are sent until it ends, or until the handler has run so often that it
 * goes on for sure, and what it waits for is done then.
 */
#define _GNU_SOURCE 1
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "thr.h"

static int alive[2]; /* closed where we die */
static int never[2]; /* a pipe: nothing comes */
static int full[2];  /* and one that takes no more */
static int pair[2];  /* sockets; what pair[1] sends is not taken */
static int listener, evt, timer, ino, ep, lock, mine;
static int msg, msg_full, sems;
static int busy, in_busy[4]; /* TCP: who has no time for one more */
static struct sockaddr_in at_busy;
static aio_context_t aio;
static mqd_t mq, mq_full;
static sem_t sem;
static int crowd, in_crowd;
static struct sockaddr_un at_crowd;
static _Atomic uint32_t word;
static pid_t child;
static char dir[] = "/tmp/cohook.XXXXXX", path[4][64];
static char buf[65536];

static void
fills(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	OK(fcntl(fd, F_SETFL, fl | O_NONBLOCK));
	while (write(fd, buf, sizeof buf) > 0 || write(fd, buf, 1) > 0)
		;
	OK(fcntl(fd, F_SETFL, fl));
}

static mqd_t
queue(const char *what)
{
	struct mq_attr a = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];
	mqd_t q;

	snprintf(name, sizeof name, "/cohook.%s.%d", what, (int)getpid());
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
	if (q != (mqd_t)-1)
		mq_unlink(name);
	return q;
}

struct message {
	long type;
	char c;
};

/* Whatever outlives a process that dies in the middle of it. */
static void
removes(void)
{
	int i;

	msgctl(msg, IPC_RMID, NULL);
	msgctl(msg_full, IPC_RMID, NULL);
	semctl(sems, 0, IPC_RMID);
	for (i = 0; i < 4; i++)
		unlink(path[i]);
	rmdir(dir);
}

/* A listener whose queue is full drops who comes: he tries again after a
 * second. */
static void
nobody_more(void)
{
	socklen_t len = sizeof at_busy;
	size_t i;

	at_busy.sin_family = AF_INET;
	at_busy.sin_port = 0;
	at_busy.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	busy = socket(AF_INET, SOCK_STREAM, 0);
	OK(bind(busy, (struct sockaddr *)&at_busy, len));
	OK(listen(busy, 0));
	OK(getsockname(busy, (struct sockaddr *)&at_busy, &len));
	for (i = 0; i < LEN(in_busy); i++) {
		in_busy[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK_ERR(connect(in_busy[i], (struct sockaddr *)&at_busy, len),
			  EINPROGRESS);
	}
}

static void
world_begin(void)
{
	struct message m = { 1, 'x' };
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN };
	int i, status[2];

	word = 0;
	strcpy(strrchr(dir, '.'), ".XXXXXX");
	CHECK(mkdtemp(dir) != NULL);
	for (i = 0; i < 4; i++)
		snprintf(path[i], sizeof path[i], "%s/%d", dir, i);
	OK(mkfifo(path[0], 0600));
	OK(pipe(never));
	OK(pipe(full));
	fills(full[1]);
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fills(pair[1]);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	OK(bind(listener, (struct sockaddr *)&a, sizeof a));
	OK(listen(listener, 5));
	crowd = socket(AF_UNIX, SOCK_STREAM, 0);
	at_crowd.sun_family = AF_UNIX;
	strcpy(at_crowd.sun_path, path[3]);
	OK(bind(crowd, (struct sockaddr *)&at_crowd, sizeof at_crowd));
	OK(listen(crowd, 0));
	in_crowd = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(connect(in_crowd, (struct sockaddr *)&at_crowd, sizeof at_crowd));
	evt = eventfd(0, 0);
	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	ino = inotify_init();
	ep = epoll_create1(0);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, never[0], &ev));
	OK(sem_init(&sem, 0, 0));
	msg = msgget(IPC_PRIVATE, 0600);
	sems = semget(IPC_PRIVATE, 1, 0600);
	msg_full = msgget(IPC_PRIVATE, 0600);
	CHECK(msg != -1 && msg_full != -1 && sems != -1);
	while (msgsnd(msg_full, &m, 1, IPC_NOWAIT) == 0)
		;
	CHECK_INT(errno, EAGAIN);
	nobody_more();
	aio = 0;
	if (syscall(SYS_io_setup, 1, &aio) != 0)
		aio = 0;
	mq = queue("empty");
	mq_full = queue("full");
	if (mq != (mqd_t)-1)
		OK(mq_send(mq_full, "x", 1, 0));
	/* It has what is to be locked, and ends when told. */
	lock = open(path[1], O_RDWR | O_CREAT, 0600);
	mine = open(path[1], O_RDWR);
	CHECK(lock != -1 && mine != -1);
	CHECK_INT(write(lock, "x", 1), 1);
	CHECK(inotify_add_watch(ino, dir, IN_CREATE) != -1);
	OK(pipe(status));
	OK(pipe(alive));
	child = fork();
	CHECK(child != -1);
	if (child == 0) {
		struct flock l = { .l_type = F_WRLCK };

		/* Not among those that are killed together where one hangs. */
		OK(setpgid(0, 0));
		OK(close(lock));
		lock = open(path[1], O_RDWR);
		OK(flock(lock, LOCK_EX));
		OK(fcntl(lock, F_SETLK, &l));
		thr_tell(status[1]);
		/* The parent's end may not be what somebody waits for. */
		OK(close(alive[1]));
		CHECK_INT(read(alive[0], buf, 1), 0);
		removes();
		_exit(0);
	}
	thr_hear(status[0]);
	close(status[0]);
	close(status[1]);
}

static void
world_end(void)
{
	int *all[] = { &crowd,    &in_crowd, &alive[0], &alive[1], &never[0],
		       &never[1], &full[0],  &full[1],  &pair[0],  &pair[1],
		       &listener, &evt,      &timer,    &ino,      &ep,
		       &lock,     &mine,     &busy };
	size_t i;

	if (child != -1) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	removes();
	for (i = 0; i < LEN(all); i++)
		if (*all[i] != -1)
			OK(close(*all[i]));
	OK(sem_destroy(&sem));
	for (i = 0; i < LEN(in_busy); i++)
		OK(close(in_busy[i]));
	if (aio != 0)
		OK(syscall(SYS_io_destroy, aio));
	if (mq != (mqd_t)-1) {
		OK(mq_close(mq));
		OK(mq_close(mq_full));
	}
}

/* --- the calls; each brings its result, -1 and errno --- */

static long
w_preadv2(void)
{
	char c;
	struct iovec v = { &c, 1 };

	return preadv2(never[0], &v, 1, -1, 0);
}

static long
w_eventfd(void)
{
	uint64_t n;

	return read(evt, &n, sizeof n);
}

static long
w_timerfd(void)
{
	uint64_t n;

	return read(timer, &n, sizeof n);
}

static long
w_inotify(void)
{
	return read(ino, buf, sizeof buf);
}

static long
w_write(void)
{
	return write(full[1], "x", 1);
}

static long
w_writev(void)
{
	struct iovec v = { "x", 1 };

	return writev(full[1], &v, 1);
}

static long
w_splice(void)
{
	return splice(never[0], NULL, pair[1], NULL, 10, 0);
}

static long
w_tee(void)
{
	return tee(never[0], full[1], 10, 0);
}

static long
w_send(void)
{
	return send(pair[1], "x", 1, 0);
}

static long
w_sendto(void)
{
	return sendto(pair[1], "x", 1, 0, NULL, 0);
}

static long
w_sendmsg(void)
{
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return sendmsg(pair[1], &m, 0);
}

static long
w_sendmmsg(void)
{
	struct iovec v = { "x", 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };

	return sendmmsg(pair[1], &m, 1, 0);
}

static long
w_recvmmsg(void)
{
	char c;
	struct iovec v = { &c, 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };

	return recvmmsg(pair[1], &m, 1, 0, NULL);
}

static long
w_accept4(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd != -1)
		close(fd);
	return fd;
}

static long
connects(int family, const void *at, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM, 0), e;
	long r;

	CHECK(fd != -1);
	r = connect(fd, at, len);
	e = errno;
	OK(close(fd));
	errno = e;
	return r;
}

/* Who listens has as many as it wants. */
static long
w_connect(void)
{
	return connects(AF_UNIX, &at_crowd, sizeof at_crowd);
}

static long
w_connect_tcp(void)
{
	return connects(AF_INET, &at_busy, sizeof at_busy);
}

static long
w_sendfile(void)
{
	off_t at = 0;

	return sendfile(pair[1], lock, &at, 1);
}

static long
w_open(void)
{
	int fd = open(path[0], O_RDONLY);

	if (fd != -1)
		close(fd);
	return fd;
}

static long
reaped(long r)
{
	if (r != -1)
		child = -1;
	return r;
}

static long
w_wait(void)
{
	return reaped(wait(NULL));
}

static long
w_wait4(void)
{
	return reaped(wait4(child, NULL, 0, NULL));
}

static long
w_waitid(void)
{
	siginfo_t si;

	return reaped(waitid(P_PID, (id_t)child, &si, WEXITED));
}

static long
w_flock(void)
{
	return flock(mine, LOCK_EX);
}

static long
w_setlkw(void)
{
	struct flock l = { .l_type = F_WRLCK };

	return fcntl(mine, F_SETLKW, &l);
}

static long
w_ofd_setlkw(void)
{
	struct flock l = { .l_type = F_WRLCK };

	return fcntl(mine, F_OFD_SETLKW, &l);
}

static long
w_lockf(void)
{
	return lockf(mine, F_LOCK, 0);
}

static long
w_mq_receive(void)
{
	return mq_receive(mq, buf, sizeof buf, NULL);
}

static long
w_mq_timedreceive(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	return mq_timedreceive(mq, buf, sizeof buf, NULL, &at);
}

static long
w_mq_send(void)
{
	return mq_send(mq_full, "x", 1, 0);
}

static long
w_mq_timedsend(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	return mq_timedsend(mq_full, "x", 1, 0, &at);
}

static long
w_futex(void)
{
	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
}

static long
w_futex_shared(void)
{
	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL);
}

static long
w_futex_timed(void)
{
	struct timespec ts = { 100, 0 };

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &ts);
}

static long
w_sem_timedwait(void)
{
	struct timespec at = thr_after(CLOCK_REALTIME, THR_LONG);

	return sem_timedwait(&sem, &at);
}

static long
w_sem_clockwait(void)
{
	struct timespec at = thr_after(CLOCK_MONOTONIC, THR_LONG);

	return sem_clockwait(&sem, CLOCK_MONOTONIC, &at);
}

static long
with_time(long (*call)(void), int fd, int what)
{
	struct timeval tv = { 100, 0 }, none = { 0, 0 };
	long r;
	int e;

	OK(setsockopt(fd, SOL_SOCKET, what, &tv, sizeof tv));
	r = call();
	e = errno;
	OK(setsockopt(fd, SOL_SOCKET, what, &none, sizeof none));
	errno = e;
	return r;
}

static long
w_accept_timed(void)
{
	return with_time(w_accept4, listener, SO_RCVTIMEO);
}

static long
w_send_timed(void)
{
	return with_time(w_send, pair[1], SO_SNDTIMEO);
}

static long
w_recvmmsg_timed(void)
{
	return with_time(w_recvmmsg, pair[1], SO_RCVTIMEO);
}

static long
w_msgrcv(void)
{
	struct message m;

	return msgrcv(msg, &m, 1, 0, 0);
}

static long
w_msgsnd(void)
{
	struct message m = { 1, 'x' };

	return msgsnd(msg_full, &m, 1, 0);
}

static long
w_io_getevents(void)
{
	struct io_event ev;

	return syscall(SYS_io_getevents, aio, 1, 1, &ev, NULL);
}

static long
w_semop(void)
{
	struct sembuf op = { 0, -1, 0 };

	return semop(sems, &op, 1);
}

static long
w_semtimedop(void)
{
	struct sembuf op = { 0, -1, 0 };
	struct timespec ts = { 100, 0 };

	return semtimedop(sems, &op, 1, &ts);
}

static sigset_t
others(void)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 3);
	return s;
}

static long
w_sigwaitinfo(void)
{
	sigset_t s = others();

	return sigwaitinfo(&s, NULL);
}

static long
w_sigtimedwait(void)
{
	struct timespec ts = { 100, 0 };
	sigset_t s = others();

	return sigtimedwait(&s, NULL, &ts);
}

static long
w_epoll_pwait(void)
{
	struct epoll_event ev;

	return epoll_pwait(ep, &ev, 1, -1, NULL);
}

static long
w_sleep(void)
{
	return sleep(100) > 0 ? (errno = EINTR, -1) : 0;
}

static const struct way {
	const char *name;
	long (*wait)(void);
	int restarts;
} ways[] = {
	{ "preadv2", w_preadv2, 1 },
	{ "read of an eventfd", w_eventfd, 1 },
	{ "read of a timerfd", w_timerfd, 1 },
	{ "read of inotify", w_inotify, 1 },
	{ "write", w_write, 1 },
	{ "writev", w_writev, 1 },
	{ "splice", w_splice, 1 },
	{ "tee", w_tee, 1 },
	{ "send", w_send, 1 },
	{ "sendto", w_sendto, 1 },
	{ "sendmsg", w_sendmsg, 1 },
	{ "sendmmsg", w_sendmmsg, 1 },
	{ "recvmmsg", w_recvmmsg, 1 },
	{ "accept4", w_accept4, 1 },
	{ "connect", w_connect, 1 },
	{ "connect by TCP", w_connect_tcp, 1 },
	{ "sendfile", w_sendfile, 1 },
	{ "open", w_open, 1 },
	{ "wait", w_wait, 1 },
	{ "wait4", w_wait4, 1 },
	{ "waitid", w_waitid, 1 },
	{ "flock", w_flock, 1 },
	{ "F_SETLKW", w_setlkw, 1 },
	{ "F_OFD_SETLKW", w_ofd_setlkw, 1 },
	{ "lockf", w_lockf, 1 },
	{ "mq_receive", w_mq_receive, 1 },
	{ "mq_timedreceive", w_mq_timedreceive, 1 },
	{ "mq_send", w_mq_send, 1 },
	{ "mq_timedsend", w_mq_timedsend, 1 },
	{ "futex", w_futex, 1 },
	{ "a shared futex", w_futex_shared, 1 },
	{ "futex with a time", w_futex_timed, 0 },
	{ "sem_timedwait", w_sem_timedwait, 0 },
	{ "sem_clockwait", w_sem_clockwait, 0 },
	{ "accept with SO_RCVTIMEO", w_accept_timed, 0 },
	{ "send with SO_SNDTIMEO", w_send_timed, 0 },
	{ "recvmmsg with SO_RCVTIMEO", w_recvmmsg_timed, 0 },
	{ "msgrcv", w_msgrcv, 0 },
	{ "msgsnd", w_msgsnd, 0 },
	{ "io_getevents", w_io_getevents, 0 },
	{ "semop", w_semop, 0 },
	{ "semtimedop", w_semtimedop, 0 },
	{ "sigwaitinfo", w_sigwaitinfo, 0 },
	{ "sigtimedwait", w_sigtimedwait, 0 },
	{ "epoll_pwait", w_epoll_pwait, 0 },
	{ "sleep", w_sleep, 0 },
};

static int
can(const struct way *way)
{
	if (way->wait == w_io_getevents)
		return aio != 0;
	return mq != (mqd_t)-1 || strncmp(way->name, "mq_", 3) != 0;
}

/* --- who disturbs it --- */

static atomic_int handled;
static atomic_int enough;

static void
counts(int sig)
{
	(void)sig;
	handled++;
}

static void
on(int flags)
{
	struct sigaction sa = { .sa_handler = counts, .sa_flags = flags };

	OK(sigaction(SIGUSR1, &sa, NULL));
}

static pthread_t whom;

/* All that the ways may wait for. */
static void
satisfy(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	struct itimerspec it = { { 0, 0 }, { 0, 1 } };
	uint64_t one = 1;
	int fd;

	kill(child, SIGKILL);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	OK(getsockname(listener, (struct sockaddr *)&a, &len));
	OK(connect(fd, (struct sockaddr *)&a, len));
	OK(close(fd));
	fd = accept(crowd, NULL, NULL);
	CHECK(fd != -1);
	OK(close(fd));
	OK(fcntl(busy, F_SETFL, O_NONBLOCK));
	OK(listen(busy, 100));
	while ((fd = accept(busy, NULL, NULL)) != -1)
		OK(close(fd));
	thr_tell(never[1]);
	thr_tell(pair[0]);
	CHECK(read(full[0], buf, sizeof buf) > 0);
	CHECK(recv(pair[0], buf, sizeof buf, 0) > 0);
	while (recv(pair[0], buf, sizeof buf, MSG_DONTWAIT) > 0)
		;
	CHECK_INT(write(evt, &one, sizeof one), sizeof one);
	OK(timerfd_settime(timer, 0, &it, NULL));
	fd = open(path[2], O_RDWR | O_CREAT, 0600);
	CHECK(fd != -1);
	OK(close(fd));
	if (mq != (mqd_t)-1) {
		struct timespec past = { 0, 0 };
		char m[8];

		OK(mq_send(mq, "x", 1, 0));
		mq_timedreceive(mq_full, m, sizeof m, NULL, &past);
	}
	word = 1;
	syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL);
	syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL);
}

static atomic_int stop;

static void *
disturbs(void *arg)
{
	int fifo = -1, satisfied = 0;

	while (!stop) {
		OK(pthread_kill(whom, SIGUSR1));
		thr_ms(1);
		if (arg != NULL && handled >= enough && !satisfied) {
			satisfy();
			satisfied = 1;
		}
		/* Who opens a fifo for writing needs a reader: retried. */
		if (satisfied && fifo == -1)
			fifo = open(path[0], O_WRONLY | O_NONBLOCK);
	}
	if (fifo != -1)
		OK(close(fifo));
	return arg;
}

static void
mask(int how)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	OK(pthread_sigmask(how, &s, NULL));
}

static void
try_it(const struct way *way, int flags)
{
	int goes_on = flags & SA_RESTART && way->restarts, e;
	pthread_t th;
	long r;

	on(flags);
	mask(SIG_BLOCK);
	world_begin();
	if (can(way)) {
		whom = pthread_self();
		stop = 0;
		enough = handled + 4;
		th = thr_start(disturbs, goes_on ? dir : NULL);
		mask(SIG_UNBLOCK);
		errno = 0;
		r = way->wait();
		e = errno;
		mask(SIG_BLOCK);
		stop = 1;
		thr_join(th);
		if (goes_on ? r == -1 || handled < enough :
			      r != -1 || e != EINTR) {
			fprintf(stderr,
				"%s gave %ld, errno %d, after %d of %d\n",
				way->name, r, r == -1 ? e : 0, handled, enough);
			removes();
			_exit(1);
		}
	}
	world_end();
}

static void
try_all(int flags, int restarts)
{
	size_t i;

	for (i = 0; i < LEN(ways); i++)
		if (ways[i].restarts == restarts)
			try_it(&ways[i], flags);
}

TEST(all_waits_are_EINTR_by_a_handler_without_SA_RESTART)
{
	try_all(0, 1);
	try_all(0, 0);
}

TEST(what_restarts_goes_on_with_SA_RESTART)
{
	try_all(SA_RESTART, 1);
}

TEST(what_never_restarts_is_EINTR_with_SA_RESTART_too)
{
	try_all(SA_RESTART, 0);
}
