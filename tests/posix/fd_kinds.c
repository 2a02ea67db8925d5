/* SPDX-License-Identifier: MIT */
/* fd_kinds.c - whatever can be read from waits the same way: each kind of
 * descriptor by read, poll, select and epoll, and does not wait where the
 * program wants it so. */
#define _GNU_SOURCE 1

#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/userfaultfd.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "party.h"

/* make: a descriptor in which nothing is; -1 and it cannot be had here.
 * happen: now there is something.  undo: what make has made besides. */
struct kind {
	int (*make)(void);
	void (*happen)(void);
	void (*undo)(void);
};

static int fd, others[3] = { -1, -1, -1 };
static char path[64];
static struct sockaddr_in addr;

static void
nothing(void)
{
}

static void
shut_others(void)
{
	size_t i;

	for (i = 0; i < COUNT(others); i++)
		if (others[i] != -1)
			shut(others[i]);
}

/* --- counters, timers, signals --- */

static int
make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static void
happen_eventfd(void)
{
	CHECK_INT(eventfd_write(fd, 1), 0);
}

static int
make_timerfd(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static void
happen_timerfd(void)
{
	struct itimerspec soon = { { 0, 0 }, { 0, 1 } };

	CHECK_INT(timerfd_settime(fd, 0, &soon, NULL), 0);
}

__attribute__((constructor)) static void
block_the_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int
make_signalfd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void
happen_signalfd(void)
{
	CHECK_INT(kill(getpid(), SIGUSR1), 0);
}

/* --- files watched --- */

static void
make_path(void)
{
	int f;

	strcpy(path, "/tmp/t-kinds-XXXXXX");
	f = mkstemp(path);
	CHECK(f != -1);
	shut(f);
}

static void
undo_path(void)
{
	CHECK_INT(unlink(path), 0);
}

static void
happen_path(void)
{
	CHECK_INT(chmod(path, 0600), 0);
	CHECK_INT(truncate(path, 1), 0);
}

static void
happen_write(void)
{
	int f = open(path, O_WRONLY);

	CHECK(f != -1);
	CHECK_INT(write(f, "x", 1), 1);
	shut(f);
}

static int
make_inotify(void)
{
	int in = inotify_init1(IN_CLOEXEC);

	make_path();
	CHECK(in != -1);
	CHECK(inotify_add_watch(in, path, IN_ATTRIB) != -1);
	return in;
}

static int
make_fanotify(void)
{
	int fan = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY);

	if (fan == -1)
		return -1;
	make_path();
	if (fanotify_mark(fan, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, path) ==
	    -1) {
		undo_path();
		shut(fan);
		return -1;
	}
	return fan;
}

/* --- pipes and terminals --- */

static int
make_pipe(void)
{
	int p[2];

	CHECK_INT(pipe(p), 0);
	others[0] = p[1];
	return p[0];
}

static void
happen_other(void)
{
	CHECK_INT(write(others[0], "x\n", 2), 2);
}

static int
make_fifo(void)
{
	int f;

	make_path();
	undo_path();
	CHECK_INT(mkfifo(path, 0600), 0);
	f = open(path, O_RDONLY | O_NONBLOCK);
	CHECK(f != -1);
	others[0] = open(path, O_WRONLY);
	CHECK(others[0] != -1);
	set_nonblocking(f, false);
	return f;
}

static void
undo_fifo(void)
{
	undo_path();
	shut_others();
}

static int
make_terminal(bool master)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY), s;

	if (m == -1 || grantpt(m) != 0 || unlockpt(m) != 0)
		return -1;
	s = open(ptsname(m), O_RDWR | O_NOCTTY);
	CHECK(s != -1);
	others[0] = master ? s : m;
	return master ? m : s;
}

static int
make_master(void)
{
	return make_terminal(true);
}

static int
make_slave(void)
{
	return make_terminal(false);
}

/* --- sockets --- */

static int
make_unix(void)
{
	int s[2];

	unix_pair(SOCK_STREAM, s);
	others[0] = s[1];
	return s[0];
}

static int
make_unix_dgram(void)
{
	int s[2];

	unix_pair(SOCK_DGRAM, s);
	others[0] = s[1];
	return s[0];
}

static int
make_seqpacket(void)
{
	int s[2];

	unix_pair(SOCK_SEQPACKET, s);
	others[0] = s[1];
	return s[0];
}

static int
make_tcp(void)
{
	int s[2];

	tcp_pair(s);
	others[0] = s[1];
	return s[0];
}

static int
make_udp(void)
{
	int s = bound(SOCK_DGRAM, &addr);

	others[0] = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_INT(connect(others[0], (struct sockaddr *)&addr, sizeof addr), 0);
	return s;
}

static int
make_udp6(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t len = sizeof a;
	int s = socket(AF_INET6, SOCK_DGRAM, 0);

	if (s == -1 || bind(s, (struct sockaddr *)&a, sizeof a) != 0) {
		if (s != -1)
			shut(s);
		return -1;
	}
	CHECK_INT(getsockname(s, (struct sockaddr *)&a, &len), 0);
	others[0] = socket(AF_INET6, SOCK_DGRAM, 0);
	CHECK_INT(connect(others[0], (struct sockaddr *)&a, sizeof a), 0);
	return s;
}

static int
make_netlink(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof a;
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);

	if (s == -1)
		return -1;
	CHECK_INT(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	CHECK_INT(getsockname(s, (struct sockaddr *)&a, &len), 0);
	others[0] =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_USERSOCK);
	CHECK(others[0] != -1);
	CHECK_INT(connect(others[0], (struct sockaddr *)&a, sizeof a), 0);
	return s;
}

static void
happen_netlink(void)
{
	struct nlmsghdr h = { .nlmsg_len = sizeof h, .nlmsg_type = NLMSG_DONE };

	CHECK_INT(send(others[0], &h, sizeof h, 0), sizeof h);
}

/* Frames that come in by the loopback interface, of a protocol of our own: cases
 * that run at the same time have others. */
static uint16_t
protocol(void)
{
	return htons((uint16_t)(0x9000 + getpid() % 0x6000));
}

static int
make_packet(void)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = protocol(),
				  .sll_ifindex = (int)if_nametoindex("lo") };
	int s = socket(AF_PACKET, SOCK_DGRAM, 0);

	if (s == -1)
		return -1;
	CHECK_INT(bind(s, (struct sockaddr *)&ll, sizeof ll), 0);
	return s;
}

static void
happen_packet(void)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = protocol(),
				  .sll_ifindex = (int)if_nametoindex("lo"),
				  .sll_halen = 6 };
	int s = socket(AF_PACKET, SOCK_DGRAM, 0);

	CHECK(s != -1);
	CHECK_INT(sendto(s, "x", 1, 0, (struct sockaddr *)&ll, sizeof ll), 1);
	shut(s);
}

/* This machine to itself. */
static int
make_vsock(void)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK,
				 .svm_cid = VMADDR_CID_LOCAL,
				 .svm_port = VMADDR_PORT_ANY };
	socklen_t len = sizeof a;
	int l = socket(AF_VSOCK, SOCK_STREAM, 0), s;

	if (l == -1)
		return -1;
	if (bind(l, (struct sockaddr *)&a, sizeof a) != 0 ||
	    listen(l, 1) != 0 ||
	    getsockname(l, (struct sockaddr *)&a, &len) != 0) {
		shut(l);
		return -1;
	}
	a.svm_cid = VMADDR_CID_LOCAL;
	others[0] = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (connect(others[0], (struct sockaddr *)&a, sizeof a) != 0) {
		shut(others[0]);
		shut(l);
		return -1;
	}
	s = accept(l, NULL, NULL);
	CHECK(s != -1);
	shut(l);
	return s;
}

/* --- what all of them do --- */

static const struct kind *kind;

static void *
happens(void *arg)
{
	most_likely();
	kind->happen();
	return arg;
}

static void
begin(const struct kind *k)
{
	kind = k;
	fd = k->make();
	if (fd == -1)
		SKIP("there is no such thing here");
}

static void
end(void)
{
	shut(fd);
	kind->undo();
}

/* All that is there is taken; fanotify comes with a descriptor. */
static void
drain(void)
{
	char buf[4096] __attribute__((aligned(8)));
	struct fanotify_event_metadata *m = (void *)buf;
	ssize_t n;

	do {
		n = read(fd, buf, sizeof buf);
		CHECK(n > 0 || errno == EAGAIN);
		if (n > 0 && kind->make == make_fanotify)
			shut(m->fd);
	} while (n > 0 && nonblocking(fd));
}

static void
read_waits(void)
{
	pthread_t th = party(happens, NULL);

	drain();
	leaves(th);
	end();
}

static void
read_does_not_wait(void)
{
	char buf[4096];
	pthread_t th;

	set_nonblocking(fd, true);
	CHECK_ERR(read(fd, buf, sizeof buf), EAGAIN);
	th = party(happens, NULL);
	CHECK(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1) == 1);
	leaves(th);
	drain();
	CHECK_ERR(read(fd, buf, sizeof buf), EAGAIN);
	set_nonblocking(fd, false);
	end();
}

static void
poll_waits(void)
{
	struct pollfd p = { fd, POLLIN, 0 };
	pthread_t th;

	CHECK_RET(poll(&p, 1, 0), 0);
	CHECK_RET(poll(&p, 1, 1), 0);
	th = party(happens, NULL);
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_INT(p.revents, POLLIN);
	leaves(th);
	CHECK_RET(poll(&p, 1, -1), 1);
	drain();
	end();
}

static void
select_waits(void)
{
	struct timeval tv = { .tv_usec = 1000 };
	pthread_t th;
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	CHECK_RET(select(fd + 1, &set, NULL, NULL, &tv), 0);
	CHECK(!FD_ISSET(fd, &set));
	FD_SET(fd, &set);
	th = party(happens, NULL);
	CHECK_RET(select(fd + 1, &set, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(fd, &set));
	leaves(th);
	drain();
	end();
}

static void
epoll_waits(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int e = epoll_create1(0);
	pthread_t th;

	CHECK_INT(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), 0);
	CHECK_RET(epoll_wait(e, &ev, 1, 1), 0);
	th = party(happens, NULL);
	CHECK_RET(epoll_wait(e, &ev, 1, -1), 1);
	CHECK_INT(ev.events, EPOLLIN);
	leaves(th);
	drain();
	shut(e);
	end();
}

#define KIND(id, make_, happen_, undo_)                          \
	static const struct kind id = { make_, happen_, undo_ }; \
	TEST(id##_is_waited_for_by_read)                         \
	{                                                        \
		begin(&id);                                      \
		read_waits();                                    \
	}                                                        \
	TEST(id##_is_not_waited_for_if_the_program_wants_it)     \
	{                                                        \
		begin(&id);                                      \
		read_does_not_wait();                            \
	}                                                        \
	TEST(id##_is_waited_for_by_poll)                         \
	{                                                        \
		begin(&id);                                      \
		poll_waits();                                    \
	}                                                        \
	TEST(id##_is_waited_for_by_select)                       \
	{                                                        \
		begin(&id);                                      \
		select_waits();                                  \
	}                                                        \
	TEST(id##_is_waited_for_by_epoll)                        \
	{                                                        \
		begin(&id);                                      \
		epoll_waits();                                   \
	}

KIND(eventfd_, make_eventfd, happen_eventfd, nothing)
KIND(timerfd, make_timerfd, happen_timerfd, nothing)
KIND(signalfd_, make_signalfd, happen_signalfd, nothing)
KIND(inotify, make_inotify, happen_path, undo_path)
KIND(fanotify, make_fanotify, happen_write, undo_path)
KIND(pipe_, make_pipe, happen_other, shut_others)
KIND(fifo, make_fifo, happen_other, undo_fifo)
KIND(master, make_master, happen_other, shut_others)
KIND(slave, make_slave, happen_other, shut_others)
KIND(unix_stream, make_unix, happen_other, shut_others)
KIND(unix_dgram, make_unix_dgram, happen_other, shut_others)
KIND(seqpacket, make_seqpacket, happen_other, shut_others)
KIND(tcp, make_tcp, happen_other, shut_others)
KIND(udp, make_udp, happen_other, shut_others)
KIND(udp6, make_udp6, happen_other, shut_others)
KIND(netlink, make_netlink, happen_netlink, shut_others)
KIND(packet, make_packet, happen_packet, nothing)

/* Few machines have it: one case. */
static const struct kind vsock = { make_vsock, happen_other, shut_others };

TEST(vsock_is_waited_for)
{
	begin(&vsock);
	read_waits();
	begin(&vsock);
	read_does_not_wait();
	begin(&vsock);
	poll_waits();
	begin(&vsock);
	select_waits();
	begin(&vsock);
	epoll_waits();
}

/* --- a child --- */

static void *
tells_the_child(void *arg)
{
	most_likely();
	CHECK_INT(write(others[0], "x", 1), 1);
	return arg;
}

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

TEST(the_end_of_a_child_is_waited_for_by_its_descriptor)
{
	siginfo_t info = { 0 };
	struct pollfd p = { .events = POLLIN };
	pthread_t th;
	int tell[2];
	pid_t pid;
	char c;

	CHECK_INT(pipe(tell), 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		close(tell[1]);
		_exit(read(tell[0], &c, 1) == 1 ? 5 : 6);
	}
	others[0] = tell[1];
	p.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p.fd == -1 && errno == ENOSYS) {
		kill(pid, SIGKILL);
		SKIP("no pidfd_open");
	}
	CHECK(p.fd != -1);
	CHECK_RET(poll(&p, 1, 1), 0);
	th = party(tells_the_child, NULL);
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_INT(p.revents & POLLIN, POLLIN);
	CHECK_INT(waitid(P_PIDFD, (id_t)p.fd, &info, WEXITED), 0);
	CHECK_INT(info.si_pid, pid);
	CHECK_INT(info.si_status, 5);
	leaves(th);
	shut(p.fd);
	shut(tell[0]);
	shut(tell[1]);
}

/* --- a page fault that the program itself mends --- */

static char *page;

static void *
touches(void *arg)
{
	CHECK_INT(page[100], 'm');
	return arg;
}

TEST(a_page_fault_is_mended_by_another_thread)
{
	static char mended[4096];
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .len = sizeof mended };
	struct uffd_msg msg;
	pthread_t th;
	int u = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (u == -1)
		SKIP("no userfaultfd for us");
	CHECK_INT(ioctl(u, UFFDIO_API, &api), 0);
	page = mmap(NULL, sizeof mended, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED);
	reg.range.start = (uintptr_t)page;
	reg.range.len = sizeof mended;
	CHECK_INT(ioctl(u, UFFDIO_REGISTER, &reg), 0);
	th = party(touches, NULL);
	CHECK_INT(read(u, &msg, sizeof msg), sizeof msg);
	CHECK_INT(msg.event, UFFD_EVENT_PAGEFAULT);
	memset(mended, 'm', sizeof mended);
	copy.dst = (uintptr_t)page;
	copy.src = (uintptr_t)mended;
	CHECK_INT(ioctl(u, UFFDIO_COPY, &copy), 0);
	leaves(th);
	CHECK_INT(munmap(page, sizeof mended), 0);
	shut(u);
}
