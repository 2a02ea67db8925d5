/* SPDX-License-Identifier: MIT */
/* signal_fd.c - signalfds, and sigwaitinfo(2) beside them: what is pending for a
 * thread is that thread's to read, what is pending for the process anybody's.
 *
 * main() starts with the signals used here blocked, and so has every thread. */
#define _GNU_SOURCE 1

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "signals.h"

typedef struct signalfd_siginfo info;

static sigset_t used;

__attribute__((constructor)) static void
block_all(void)
{
	sigemptyset(&used);
	sigaddset(&used, SIGUSR1);
	sigaddset(&used, SIGUSR2);
	sigaddset(&used, SIGALRM);
	sigaddset(&used, SIGPIPE);
	sigaddset(&used, SIGRTMIN);
	sigaddset(&used, SIGRTMIN + 1);
	sigaddset(&used, SIGRTMIN + 2);
	OK(pthread_sigmask(SIG_BLOCK, &used, NULL));
}

static int
fd_of(const sigset_t *set, int flags)
{
	int fd = signalfd(-1, set, flags);

	CHECK(fd != -1);
	return fd;
}

static pid_t
my_tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static void
one(int fd, int sig, int code)
{
	info si;

	memset(&si, 0xff, sizeof si);
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_signo, sig);
	CHECK_INT(si.ssi_code, code);
	CHECK_INT(si.ssi_pid, getpid());
	CHECK_INT(si.ssi_uid, getuid());
}

static int
queue_to_tid(pid_t tid, int sig, int value)
{
	siginfo_t si;

	memset(&si, 0, sizeof si);
	si.si_signo = sig;
	si.si_code = SI_QUEUE;
	si.si_pid = getpid();
	si.si_uid = getuid();
	si.si_value.sival_int = value;
	return (int)syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, sig, &si);
}

/* --- read --- */

TEST(what_a_thread_sends_itself_is_read)
{
	int fd = fd_of(&used, 0);

	OK(raise(SIGUSR1));
	one(fd, SIGUSR1, SI_TKILL);
	OK(pthread_kill(pthread_self(), SIGUSR2));
	one(fd, SIGUSR2, SI_TKILL);
	OK(tgkill(getpid(), gettid(), SIGRTMIN));
	one(fd, SIGRTMIN, SI_TKILL);
	OK(syscall(SYS_tgkill, getpid(), my_tid(), SIGUSR1));
	one(fd, SIGUSR1, SI_TKILL);
	OK(syscall(SYS_tkill, my_tid(), SIGUSR1));
	one(fd, SIGUSR1, SI_TKILL);
	OK(kill(getpid(), SIGUSR1));
	one(fd, SIGUSR1, SI_USER);
	close(fd);
}

TEST(a_value_goes_with_it)
{
	union sigval v = { .sival_ptr = &used };
	int fd = fd_of(&used, 0);
	info si;

	OK(pthread_sigqueue(pthread_self(), SIGRTMIN, v));
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_signo, SIGRTMIN);
	CHECK_INT(si.ssi_code, SI_QUEUE);
	CHECK_INT(si.ssi_ptr, (uintptr_t)&used);
	CHECK_INT(si.ssi_int, v.sival_int);
	CHECK_INT(si.ssi_pid, getpid());
	CHECK_INT(si.ssi_uid, getuid());
	OK(queue_to_tid(my_tid(), SIGUSR1, 17));
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_signo, SIGUSR1);
	CHECK_INT(si.ssi_int, 17);
	v.sival_int = 4;
	OK(sigqueue(getpid(), SIGRTMIN, v));
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_code, SI_QUEUE);
	CHECK_INT(si.ssi_int, 4);
	close(fd);
}

static atomic_int step;

static void *
raises_and_waits(void *arg)
{
	sigset_t s = set_of(SIGUSR1);
	int sig;

	OK(raise(SIGUSR1));
	step = 1;
	thr_until(&step, 2);
	OK(sigwait(&s, &sig));
	return arg;
}

TEST(what_is_another_threads_is_not_there)
{
	int fd = fd_of(&used, SFD_NONBLOCK);
	struct pollfd p = { fd, POLLIN, 0 };
	pthread_t th = thr_start(raises_and_waits, NULL);
	info si;

	thr_until(&step, 1);
	CHECK_ERR(read(fd, &si, sizeof si), EAGAIN);
	CHECK_INT(poll(&p, 1, 0), 0);
	CHECK_INT(poll(&p, 1, 10), 0);
	step = 2;
	thr_join(th);
	CHECK_ERR(read(fd, &si, sizeof si), EAGAIN);
	OK(raise(SIGUSR1));
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_ERR(read(fd, &si, sizeof si), EAGAIN);
	close(fd);
}

/* Standard ones do not queue; real-time ones do, and stay in their order. */
TEST(several_come_at_once_lowest_first_and_the_threads_before_the_processs)
{
	const int want[] = { 0, SIGUSR1,  1, SIGUSR2,      0, SIGRTMIN,
			     1, SIGRTMIN, 2, SIGRTMIN + 1, 7, SIGUSR1 };
	int fd = fd_of(&used, SFD_NONBLOCK), i;
	pid_t tid = my_tid();
	info si[20];

	OK(queue_to_tid(tid, SIGRTMIN + 1, 2));
	OK(queue_to_tid(tid, SIGRTMIN, 0));
	OK(queue_to_tid(tid, SIGUSR2, 1));
	OK(queue_to_tid(tid, SIGRTMIN, 1));
	OK(queue_to_tid(tid, SIGUSR1, 0));
	OK(queue_to_tid(tid, SIGUSR1, 1));
	OK(queue_to_tid(tid, SIGUSR2, 5));
	OK(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 7 }));
	CHECK_INT(read(fd, si, sizeof si), 6 * sizeof *si);
	for (i = 0; i < 6; i++) {
		CHECK_INT(si[i].ssi_int, want[2 * i]);
		CHECK_INT(si[i].ssi_signo, want[2 * i + 1]);
	}
	CHECK_ERR(read(fd, si, sizeof si), EAGAIN);
	close(fd);
}

TEST(only_whole_ones_are_given_and_the_rest_stays)
{
	int fd = fd_of(&used, SFD_NONBLOCK), i, k = 0;
	char buf[3 * sizeof(info)], more[300], *volatile bad = (char *)16;
	struct iovec v[3] = { { buf, 100 }, { more, 29 }, { buf + 100, 130 } };
	pid_t tid = my_tid();
	info si[64];

	CHECK_ERR(read(fd, buf, sizeof(info) - 1), EINVAL);
	CHECK_ERR(read(fd, buf, 0), EINVAL);
	for (i = 0; i < 30; i++)
		OK(queue_to_tid(tid, SIGRTMIN, i));
	CHECK_ERR(read(fd, buf, sizeof(info) - 1), EINVAL);
	CHECK_INT(read(fd, buf, 2 * sizeof(info) - 1), sizeof(info));
	CHECK_INT(((info *)buf)->ssi_int, k++);
	CHECK_INT(readv(fd, v, 3), 2 * sizeof(info));
	memcpy(si, buf, 100);
	memcpy((char *)si + 100, more, 29);
	memcpy((char *)si + 129, buf + 100, 127);
	CHECK_INT(si[0].ssi_int, k++);
	CHECK_INT(si[1].ssi_int, k++);
	CHECK_INT(si[1].ssi_signo, SIGRTMIN);
	CHECK_INT(read(fd, si, sizeof si), 27 * sizeof *si);
	for (i = 0; i < 27; i++)
		CHECK_INT(si[i].ssi_int, k++);
	CHECK_ERR(read(fd, bad, sizeof *si), EAGAIN);
	OK(raise(SIGUSR1));
	CHECK_ERR(read(fd, bad, sizeof *si), EFAULT);
	CHECK_ERR(read(fd, si, sizeof *si), EAGAIN); /* and it is gone */
	close(fd);
}

TEST(what_it_is_not_for_stays_pending)
{
	sigset_t s = set_of(SIGUSR2), pending;
	int fd = fd_of(&s, SFD_NONBLOCK), fd2, sig;
	info si;

	OK(raise(SIGUSR1));
	CHECK_ERR(read(fd, &si, sizeof si), EAGAIN);
	OK(raise(SIGUSR2));
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_signo, SIGUSR2);
	OK(sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR1));
	CHECK(!sigismember(&pending, SIGUSR2));
	/* The mask is the open description's. */
	fd2 = dup(fd);
	s = set_of(SIGUSR1);
	CHECK_INT(signalfd(fd2, &s, 0), fd2);
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_signo, SIGUSR1);
	OK(raise(SIGUSR1));
	OK(sigwait(&s, &sig));
	CHECK_ERR(read(fd2, &si, sizeof si), EAGAIN);
	CHECK_ERR(signalfd(0x7fff0000, &s, 0), EBADF);
	CHECK_ERR(signalfd(-1, &s, 1), EINVAL);
	close(fd);
	close(fd2);
}

/* --- a read that waits --- */

struct reader {
	atomic_int here, got;
	int fd, own;
	int (*waits)(struct reader *);
};

static int
by_read(struct reader *r)
{
	info si;

	CHECK_INT(read(r->fd, &si, sizeof si), sizeof si);
	return (int)si.ssi_signo;
}

static int
by_readv(struct reader *r)
{
	info si[2];
	struct iovec v[2] = { { si, 50 }, { (char *)si + 50, sizeof si - 50 } };

	CHECK_INT(readv(r->fd, v, 2), sizeof *si);
	return (int)si->ssi_signo;
}

static int
by_number(struct reader *r)
{
	info si;

	CHECK_INT(syscall(SYS_read, r->fd, &si, sizeof si), sizeof si);
	return (int)si.ssi_signo;
}

static int
by_poll(struct reader *r)
{
	struct pollfd p[2] = { { -1, POLLIN, 0 }, { r->fd, POLLIN, 0 } };

	CHECK_INT(poll(p, 2, 60000), 1);
	CHECK_INT(p[1].revents, POLLIN);
	return by_read(r);
}

static int
by_poll_of_many(struct reader *r)
{
	struct pollfd p[40];
	int i;

	for (i = 0; i < 40; i++)
		p[i] = (struct pollfd){ i == 30 ? r->fd : -1, POLLIN, 0 };
	CHECK_INT(ppoll(p, 40, NULL, NULL), 1);
	CHECK_INT(p[30].revents, POLLIN);
	return by_read(r);
}

static int
by_select(struct reader *r)
{
	fd_set s;

	FD_ZERO(&s);
	FD_SET(r->fd, &s);
	CHECK_INT(select(r->fd + 1, &s, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(r->fd, &s));
	return by_read(r);
}

static int
by_pselect(struct reader *r)
{
	struct timespec ts = { 60, 0 };
	fd_set s;

	FD_ZERO(&s);
	FD_SET(r->fd, &s);
	CHECK_INT(pselect(r->fd + 1, &s, NULL, NULL, &ts, NULL), 1);
	return by_read(r);
}

static int
by_epoll(struct reader *r)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 99 };
	int ep = epoll_create1(0);

	OK(epoll_ctl(ep, EPOLL_CTL_ADD, r->fd, &ev));
	CHECK_INT(epoll_wait(ep, &ev, 1, 60000), 1);
	CHECK_INT(ev.events, EPOLLIN);
	CHECK_INT(ev.data.u64, 99);
	close(ep);
	return by_read(r);
}

static int
by_epoll_edge(struct reader *r)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int ep = epoll_create1(0);

	OK(epoll_ctl(ep, EPOLL_CTL_ADD, r->fd, &ev));
	CHECK_INT(epoll_pwait(ep, &ev, 1, -1, NULL), 1);
	close(ep);
	return by_read(r);
}

static int
by_epoll_in_epoll(struct reader *r)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int in = epoll_create1(0), out = epoll_create1(0);

	OK(epoll_ctl(in, EPOLL_CTL_ADD, r->fd, &ev));
	OK(epoll_ctl(out, EPOLL_CTL_ADD, in, &ev));
	CHECK_INT(epoll_wait(out, &ev, 1, -1), 1);
	CHECK_INT(epoll_wait(in, &ev, 1, 0), 1);
	close(in);
	close(out);
	return by_read(r);
}

static int
by_poll_of_epoll(struct reader *r)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0);
	struct pollfd p = { ep, POLLIN, 0 };

	OK(epoll_ctl(ep, EPOLL_CTL_ADD, r->fd, &ev));
	CHECK_INT(poll(&p, 1, 60000), 1);
	CHECK_INT(epoll_wait(ep, &ev, 1, 0), 1);
	close(ep);
	return by_read(r);
}

static int
by_sigwait(struct reader *r)
{
	sigset_t s = set_of(SIGUSR1);
	int sig;

	(void)r;
	OK(sigwait(&s, &sig));
	return sig;
}

static int (*const ways[])(struct reader *) = {
	by_read,         by_readv,          by_number,        by_poll,
	by_poll_of_many, by_select,         by_pselect,       by_epoll,
	by_epoll_edge,   by_epoll_in_epoll, by_poll_of_epoll, by_sigwait,
};

static void *
reads(void *arg)
{
	struct reader *r = arg;

	r->here = 1;
	CHECK_INT(r->waits(r), SIGUSR1);
	r->got++;
	return NULL;
}

TEST(a_wait_ends_by_a_signal_for_its_thread)
{
	struct reader r = { .fd = fd_of(&used, 0) };
	pthread_t th;
	size_t i;
	int k;

	for (k = 0; k < 24; k++)
		for (i = 0; i < LEN(ways); i++) {
			r.waits = ways[i];
			r.here = 0;
			th = thr_start(reads, &r);
			thr_until(&r.here, 1);
			if (k % 3 == 1)
				sched_yield();
			else if (k % 3 == 2)
				thr_ms(1);
			OK(pthread_kill(th, SIGUSR1));
			thr_join(th);
		}
	CHECK_INT(r.got, 24 * LEN(ways));
	close(r.fd);
}

/* All on one descriptor: each is sent one, in turn, and nobody else gets it. */
TEST(of_many_readers_it_is_the_one_that_it_was_sent_to)
{
	static struct reader r[40];
	int fd = fd_of(&used, 0), i, k, n = 40;
	pthread_t th[40];

	for (i = 0; i < n; i++) {
		r[i].fd = fd;
		r[i].waits = ways[(size_t)i % LEN(ways)];
		th[i] = thr_start(reads, &r[i]);
		thr_until(&r[i].here, 1);
	}
	for (i = n - 1; i >= 0; i--) {
		OK(pthread_kill(th[i], SIGUSR1));
		thr_join(th[i]);
		for (k = 0; k < n; k++)
			CHECK_INT(r[k].got, k >= i);
	}
	close(fd);
}

TEST(what_is_for_the_process_is_for_any_of_them)
{
	static struct reader r[24];
	int fd = fd_of(&used, 0), i;
	pthread_t th[24];

	for (i = 0; i < 24; i++) {
		r[i].fd = fd;
		r[i].waits = i % 2 ? by_read : by_readv;
		th[i] = thr_start(reads, &r[i]);
	}
	/* Standard signals do not queue: one at a time. */
	for (i = 1; i <= 24; i++) {
		int k, n;

		OK(kill(getpid(), SIGUSR1));
		do {
			thr_ms(1);
			for (k = n = 0; k < 24; k++)
				n += r[k].got;
		} while (n < i);
		CHECK_INT(n, i);
	}
	for (i = 0; i < 24; i++)
		thr_join(th[i]);
	close(fd);
}

/* --- readiness --- */

static void *
asks_epoll(void *arg)
{
	struct epoll_event ev;

	CHECK_INT(epoll_wait(thr_num(arg), &ev, 1, 0), 0);
	CHECK_INT(epoll_wait(thr_num(arg), &ev, 1, 5), 0);
	return NULL;
}

TEST(readiness_is_the_askers)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = 5 }, out;
	int fd = fd_of(&used, SFD_NONBLOCK), ep = epoll_create1(0), i;
	struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
	struct timespec zero = { 0, 0 };
	struct timeval none = { 0, 0 };
	fd_set s;
	info si;

	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	CHECK_INT(epoll_wait(ep, &out, 1, 0), 0);
	OK(raise(SIGUSR1));
	for (i = 0; i < 3; i++) { /* it stays so */
		CHECK_INT(poll(&p, 1, 0), 1);
		CHECK_INT(p.revents, POLLIN);
		CHECK_INT(poll(&p, 1, -1), 1);
		CHECK_INT(ppoll(&p, 1, &zero, NULL), 1);
		FD_ZERO(&s);
		FD_SET(fd, &s);
		CHECK_INT(select(fd + 1, &s, NULL, NULL, &none), 1);
		FD_ZERO(&s);
		FD_SET(fd, &s);
		CHECK_INT(pselect(fd + 1, &s, NULL, NULL, &zero, NULL), 1);
		memset(&out, 0, sizeof out);
		CHECK_INT(epoll_wait(ep, &out, 1, 0), 1);
		CHECK_INT(out.events, EPOLLIN);
		CHECK_INT(out.data.fd, 5);
		CHECK_INT(epoll_wait(ep, &out, 1, -1), 1);
		CHECK_INT(epoll_pwait(ep, &out, 1, 0, NULL), 1);
		CHECK_INT(epoll_pwait2(ep, &out, 1, &zero, NULL), 1);
	}
	thr_join(thr_start(asks_epoll, thr_ptr(ep)));
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(poll(&p, 1, 0), 0);
	CHECK_INT(epoll_wait(ep, &out, 1, 0), 0);
	CHECK_INT(epoll_wait(ep, &out, 1, 5), 0);
	close(ep);
	close(fd);
}

TEST(a_mask_that_lets_it_in_goes_before)
{
	int fd = fd_of(&used, SFD_NONBLOCK);
	struct timespec zero = { 0, 0 };
	struct pollfd p = { fd, POLLIN, 0 };
	sigset_t s = set_of(SIGUSR1);
	info si;

	/* Linux looks first, and lets nothing in where it finds something. */
	OK(raise(SIGUSR2));
	OK(sigprocmask(SIG_BLOCK, NULL, &s));
	sigdelset(&s, SIGUSR1);
	CHECK_INT(ppoll(&p, 1, &zero, &s), 1);
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_signo, SIGUSR2);
	close(fd);
}

/* --- EINTR --- */

static atomic_int handled;

static void
counts(int sig)
{
	(void)sig;
	handled++;
}

static void *
is_interrupted(void *arg)
{
	struct reader *r = arg;
	sigset_t s = set_of(SIGUSR2);
	info si;

	OK(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
	r->here = 1;
	if (r->own) {
		CHECK_ERR(read(r->fd, &si, sizeof si), EINTR);
		r->here = 2;
	}
	CHECK_INT(by_read(r), SIGUSR1);
	r->got = 1;
	return NULL;
}

TEST(a_handler_interrupts_a_read_or_it_goes_on)
{
	struct sigaction sa = { .sa_handler = counts };
	sigset_t s = set_of(SIGUSR1);
	struct reader r = { .fd = fd_of(&s, 0) };
	pthread_t th;
	int i;

	for (i = 0; i < 2; i++) {
		sa.sa_flags = i ? SA_RESTART : 0;
		OK(sigaction(SIGUSR2, &sa, NULL));
		r.own = i == 0;
		r.here = r.got = handled = 0;
		th = thr_start(is_interrupted, &r);
		thr_until(&r.here, 1);
		while (i ? handled < 5 : r.here < 2) {
			OK(pthread_kill(th, SIGUSR2));
			thr_ms(1);
		}
		CHECK_INT(r.got, 0);
		OK(pthread_kill(th, SIGUSR1));
		thr_join(th);
		CHECK_INT(r.got, 1);
	}
	close(r.fd);
}

/* --- where they come from --- */

static int
passed(int fd)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &c,
			    .msg_controllen = sizeof c };
	char byte;
	int sv[2];

	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	memset(&c, 0, sizeof c);
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&c.h), &fd, sizeof fd);
	CHECK_INT(sendmsg(sv[0], &m, 0), 1);
	v.iov_base = &byte;
	CHECK_INT(recvmsg(sv[1], &m, 0), 1);
	memcpy(&fd, CMSG_DATA(&c.h), sizeof fd);
	close(sv[0]);
	close(sv[1]);
	return fd;
}

TEST(another_number_is_as_good)
{
	int fd[6], i;
	sigset_t set = used;

	fd[0] = fd_of(&used, 0);
	fd[1] = dup(fd[0]);
	fd[2] = fcntl(fd[0], F_DUPFD, 50);
	fd[3] = dup2(fd[0], 60);
	fd[4] = passed(fd[0]);
	fd[5] = (int)syscall(SYS_signalfd4, -1, &set, 8, SFD_CLOEXEC);
	for (i = 0; i < 6; i++) {
		CHECK(fd[i] != -1);
		OK(raise(SIGUSR1));
		one(fd[i], SIGUSR1, SI_TKILL);
	}
	for (i = 0; i < 6; i++)
		close(fd[i]);
}

static int before_all;

/* For that one alone, for then the process has a signalfd from the start. */
__attribute__((constructor)) static void
open_before_all(int argc, char **argv)
{
	if (argc == 2 && strstr(argv[1], "before_the_first_thread") != NULL)
		before_all = fd_of(&used, 0);
}

TEST(one_from_before_the_first_thread_is_as_good)
{
	struct reader r = { .fd = before_all, .waits = by_poll };
	pthread_t th;

	OK(raise(SIGUSR1));
	one(before_all, SIGUSR1, SI_TKILL);
	th = thr_start(reads, &r);
	thr_until(&r.here, 1);
	OK(pthread_kill(th, SIGUSR1));
	thr_join(th);
}

static int came;

static void *
waits_for_a_set(void *arg)
{
	struct epoll_event ev;

	step = 1;
	CHECK_INT(epoll_wait(thr_num(arg), &ev, 1, 60000), 1);
	CHECK_INT(ev.data.fd, came);
	one(came, SIGUSR1, SI_TKILL);
	return NULL;
}

TEST(the_first_one_comes_to_a_set_that_is_waited_for)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(0);
	pthread_t th = thr_start(waits_for_a_set, thr_ptr(ep));

	thr_until(&step, 1);
	thr_ms(5);
	came = ev.data.fd = fd_of(&used, SFD_NONBLOCK);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, came, &ev));
	OK(pthread_kill(th, SIGUSR1));
	thr_join(th);
	close(came);
	close(ep);
}

TEST(once_is_once)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLONESHOT }, out[2];
	int fd = fd_of(&used, SFD_NONBLOCK), ep = epoll_create1(0), p[2];

	OK(pipe(p));
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	OK(raise(SIGUSR1));
	CHECK_INT(epoll_wait(ep, out, 2, 0), 1);
	CHECK_INT(epoll_wait(ep, out, 2, 0), 0);
	CHECK_INT(epoll_wait(ep, out, 2, 5), 0);
	OK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	CHECK_INT(epoll_wait(ep, out, 2, -1), 1);
	/* Beside others, and once where it is for the process as well. */
	ev.events = EPOLLIN;
	ev.data.u64 = 1;
	OK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev));
	ev.data.u64 = 2;
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev));
	thr_tell(p[1]);
	CHECK_INT(epoll_wait(ep, out, 2, -1), 2);
	CHECK_INT(out[0].data.u64 + out[1].data.u64, 3);
	CHECK_INT(epoll_wait(ep, out, 1, -1), 1);
	thr_hear(p[0]);
	OK(kill(getpid(), SIGUSR2));
	CHECK_INT(epoll_wait(ep, out, 2, -1), 1);
	close(p[0]);
	close(p[1]);
	close(ep);
	close(fd);
}

TEST(a_child_of_fork_reads_its_own)
{
	int fd = fd_of(&used, SFD_NONBLOCK);
	info si;
	pid_t pid;

	OK(raise(SIGUSR1));
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		CHECK_ERR(read(fd, &si, sizeof si), EAGAIN);
		OK(raise(SIGUSR2));
		one(fd, SIGUSR2, SI_TKILL);
		_exit(5);
	}
	CHECK_INT(thr_reap(pid), 5);
	one(fd, SIGUSR1, SI_TKILL);
	close(fd);
}

/* A write to a broken pipe is the writer's signal, also where it is read. */
TEST(SIGPIPE_is_read_by_the_writer)
{
	int fd = fd_of(&used, SFD_NONBLOCK), p[2];
	info si;

	OK(pipe(p));
	close(p[0]);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	thr_ms(1);
	CHECK_INT(read(fd, &si, sizeof si), sizeof si);
	CHECK_INT(si.ssi_signo, SIGPIPE);
	CHECK_INT(si.ssi_code, SI_USER);
	close(p[1]);
	close(fd);
}

/* --- and nothing else is read --- */

static atomic_int stop;

static void *
computes_and_handles(void *arg)
{
	sigset_t s = set_of(SIGUSR2);
	volatile unsigned n = 0;

	OK(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
	step++;
	while (!stop)
		if (++n % 256 == 0)
			sched_yield();
	return arg;
}

static void *
blocks_and_reads(void *arg)
{
	struct pollfd p = { thr_num(arg), POLLIN, 0 };
	info si;
	int i;

	while (!stop) {
		for (i = 0; i < 20; i++) {
			CHECK_INT(poll(&p, 1, 0), 0);
			CHECK_ERR(read(p.fd, &si, sizeof si), EAGAIN);
		}
		sched_yield();
	}
	return NULL;
}

TEST(signals_that_others_handle_are_not_read)
{
	struct sigaction sa = { .sa_handler = counts, .sa_flags = SA_RESTART };
	int fd = fd_of(&used, SFD_NONBLOCK), i, k;
	pthread_t th[6];

	OK(sigaction(SIGUSR2, &sa, NULL));
	for (i = 0; i < 6; i++)
		th[i] = thr_start(i % 2 ? blocks_and_reads :
					  computes_and_handles,
				  thr_ptr(fd));
	thr_until(&step, 3);
	for (k = 0; k < 2000; k++) {
		for (i = 0; i < 6; i += 2)
			OK(pthread_kill(th[i], SIGUSR2));
		sched_yield();
	}
	thr_until(&handled, 3);
	stop = 1;
	for (i = 0; i < 6; i++)
		thr_join(th[i]);
	close(fd);
}

/* --- sigwaitinfo(2) --- */

TEST(sigwaitinfo_takes_them_in_the_kernels_order)
{
	const int want[] = { 0, SIGUSR1,  1, SIGUSR2,      0, SIGRTMIN,
			     1, SIGRTMIN, 2, SIGRTMIN + 1, 7, SIGUSR1 };
	struct timespec zero = { 0, 0 };
	pid_t tid = my_tid();
	siginfo_t si;
	int i;

	OK(queue_to_tid(tid, SIGRTMIN + 1, 2));
	OK(queue_to_tid(tid, SIGRTMIN, 0));
	OK(queue_to_tid(tid, SIGUSR2, 1));
	OK(queue_to_tid(tid, SIGRTMIN, 1));
	OK(queue_to_tid(tid, SIGUSR1, 0));
	OK(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 7 }));
	for (i = 0; i < 6; i++) {
		CHECK_INT(sigwaitinfo(&used, &si), want[2 * i + 1]);
		CHECK_INT(si.si_signo, want[2 * i + 1]);
		CHECK_INT(si.si_value.sival_int, want[2 * i]);
		CHECK_INT(si.si_code, SI_QUEUE);
		CHECK_INT(si.si_pid, getpid());
	}
	CHECK_ERR(sigtimedwait(&used, &si, &zero), EAGAIN);
}

TEST(what_was_sent_to_a_thread_says_so_by_the_raw_number_alone)
{
	struct timespec zero = { 0, 0 };
	siginfo_t si;

	OK(raise(SIGUSR1));
	CHECK_INT(sigtimedwait(&used, &si, &zero), SIGUSR1);
	CHECK_INT(si.si_code, SI_USER); /* glibc hides it */
	OK(raise(SIGUSR1));
	CHECK_INT(syscall(SYS_rt_sigtimedwait, &used, &si, &zero, 8), SIGUSR1);
	CHECK_INT(si.si_code, SI_TKILL);
	CHECK_INT(si.si_pid, getpid());
	CHECK_INT(si.si_uid, getuid());
	OK(kill(getpid(), SIGUSR1));
	CHECK_INT(syscall(SYS_rt_sigtimedwait, &used, &si, &zero, 8), SIGUSR1);
	CHECK_INT(si.si_code, SI_USER);
}

TEST(what_is_no_mask_or_no_signalfd_is_refused)
{
	sigset_t *volatile nowhere = (sigset_t *)1;
	int p[2];

	CHECK_ERR(signalfd(-1, nowhere, 0), EFAULT);
	CHECK_ERR(signalfd(-1, &used, 1), EINVAL);
	CHECK_ERR(signalfd(1000000, &used, 0), EBADF);
	OK(pipe(p));
	CHECK_ERR(signalfd(p[0], &used, 0), EINVAL);
	OK(close(p[0]));
	OK(close(p[1]));
}

TEST(where_no_descriptor_is_left_there_is_no_signalfd)
{
	struct rlimit rl, few;
	int lowest = dup(0);

	CHECK(lowest >= 0);
	OK(close(lowest));
	OK(getrlimit(RLIMIT_NOFILE, &rl));
	few = rl;
	few.rlim_cur = (rlim_t)lowest;
	OK(setrlimit(RLIMIT_NOFILE, &few));
	CHECK_ERR(signalfd(-1, &used, 0), EMFILE);
	OK(setrlimit(RLIMIT_NOFILE, &rl));
}
