/* SPDX-License-Identifier: MIT */
/* fd_socket.c - sockets: making them, connecting, sending and receiving. */
#define _GNU_SOURCE 1

#include "party.h"

#include <limits.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define BIG (8u << 20)

/* The timeouts here are multiples of 20 ms: the kernel counts them in its own
 * ticks (of 1, 10/3, 4 or 10 ms), which these survive unrounded. */
#define SHORT_US 60000
#define SHORT (60 * T_MS)
/* What has waited so long has: the kernel counts these in ticks of 1 to 10 ms,
 * from the last one on. */
#define SHORT_AT_LEAST (SHORT - 10 * T_MS)

/*
 * One claim, each call that it holds for
 */

typedef ssize_t receive(int fd, void *buf, size_t n, int flags);
typedef ssize_t transmit(int fd, const void *buf, size_t n, int flags);

static ssize_t
by_recv(int fd, void *buf, size_t n, int flags)
{
	return recv(fd, buf, n, flags);
}

static ssize_t
by_recvfrom(int fd, void *buf, size_t n, int flags)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;

	return recvfrom(fd, buf, n, flags, (struct sockaddr *)&from, &len);
}

/* In two pieces, where there is room for two. */
static ssize_t
by_recvmsg(int fd, void *buf, size_t n, int flags)
{
	struct iovec v[2] = { { buf, n / 2 },
			      { (char *)buf + n / 2, n - n / 2 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };

	return recvmsg(fd, &m, flags);
}

static ssize_t
by_read(int fd, void *buf, size_t n, int flags)
{
	CHECK_INT(flags, 0);
	return read(fd, buf, n);
}

static ssize_t
by_readv(int fd, void *buf, size_t n, int flags)
{
	struct iovec v[2] = { { buf, n / 2 },
			      { (char *)buf + n / 2, n - n / 2 } };

	CHECK_INT(flags, 0);
	return readv(fd, v, 2);
}

static ssize_t
by_send(int fd, const void *buf, size_t n, int flags)
{
	return send(fd, buf, n, flags);
}

static ssize_t
by_sendto(int fd, const void *buf, size_t n, int flags)
{
	return sendto(fd, buf, n, flags, NULL, 0);
}

static ssize_t
by_sendmsg(int fd, const void *buf, size_t n, int flags)
{
	struct iovec v[3] = { { (char *)(uintptr_t)buf, n / 3 },
			      { NULL, 0 },
			      { (char *)(uintptr_t)buf + n / 3, n - n / 3 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 3 };
	ssize_t r = sendmsg(fd, &m, flags);

	/* The caller's array is the caller's. */
	CHECK(v[0].iov_base == (char *)(uintptr_t)buf);
	CHECK_INT(v[0].iov_len, n / 3);
	CHECK_INT(v[2].iov_len, n - n / 3);
	CHECK_INT(m.msg_iovlen, 3);
	return r;
}

static ssize_t
by_write(int fd, const void *buf, size_t n, int flags)
{
	CHECK_INT(flags, 0);
	return write(fd, buf, n);
}

static ssize_t
by_writev(int fd, const void *buf, size_t n, int flags)
{
	struct iovec v[2] = { { (char *)(uintptr_t)buf, n / 3 },
			      { (char *)(uintptr_t)buf + n / 3, n - n / 3 } };

	CHECK_INT(flags, 0);
	return writev(fd, v, 2);
}

#define CASE(call, fact)         \
	TEST(call##_##fact)      \
	{                        \
		fact(by_##call); \
	}

/* Those that take flags, and all. */
#define EACH_RECV(fact) \
	CASE(recv, fact) CASE(recvfrom, fact) CASE(recvmsg, fact)
#define EACH_READ(fact) EACH_RECV(fact) CASE(read, fact) CASE(readv, fact)
#define EACH_SEND(fact) CASE(send, fact) CASE(sendto, fact) CASE(sendmsg, fact)
#define EACH_WRITE(fact) EACH_SEND(fact) CASE(write, fact) CASE(writev, fact)

/*
 * Other parties
 */

struct job {
	int fd;
	size_t n, at;
	struct sockaddr_in addr;
	int made; /* a descriptor, for the case to close */
};

static void *
sends_later(void *arg)
{
	struct job *j = arg;
	unsigned char buf[4096];

	CHECK(j->n <= sizeof buf);
	most_likely();
	pattern(buf, j->n, j->at);
	CHECK_RET(send(j->fd, buf, j->n, 0), j->n);
	return NULL;
}

static void *
takes_all(void *arg)
{
	struct job *j = arg;
	size_t at = 0, piece = 1;

	most_likely();
	while (at < j->n) {
		size_t n = j->n - at < piece ? j->n - at : piece;

		take(j->fd, n, j->at + at);
		at += n;
		piece = piece * 3 % 40961 + 1;
	}
	return NULL;
}

static void *
connects_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	j->made = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(j->made != -1);
	CHECK_RET(connect(j->made, (struct sockaddr *)&j->addr, sizeof j->addr),
		  0);
	return NULL;
}

static void *
shuts_down_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	CHECK_RET(shutdown(j->fd, (int)j->n), 0);
	return NULL;
}

static void *
closes_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	shut(j->fd);
	return NULL;
}

/* close() of such a socket sends a reset. */
static void
abortive(int fd)
{
	struct linger l = { 1, 0 };

	CHECK_RET(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
}

static void
timeout(int fd, int opt, long sec, long usec)
{
	struct timeval tv = { sec, usec };

	CHECK_RET(setsockopt(fd, SOL_SOCKET, opt, &tv, sizeof tv), 0);
}

static void
check_timeout(int fd, int opt, long sec, long usec)
{
	struct timeval tv = { -1, -1 };
	socklen_t len = sizeof tv;

	CHECK_RET(getsockopt(fd, SOL_SOCKET, opt, &tv, &len), 0);
	CHECK_INT(len, sizeof tv);
	CHECK_INT(tv.tv_sec, sec);
	CHECK_INT(tv.tv_usec, usec);
}

static int
so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	CHECK_RET(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	return err;
}

/*
 * Making sockets
 */

TEST(socket_honours_its_type_bits)
{
	struct sockaddr_in addr;
	int s, l;

	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!nonblocking(s));
	CHECK_INT(fcntl(s, F_GETFD), 0);
	shut(s);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	CHECK(nonblocking(s));
	CHECK_INT(fcntl(s, F_GETFD), 0);
	CHECK_ERR(recv(s, &addr, 1, 0), EAGAIN);
	CHECK_ERR(read(s, &addr, 1), EAGAIN);
	shut(s);
	l = listener(&addr);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERR(connect(s, (struct sockaddr *)&addr, sizeof addr),
		  EINPROGRESS);
	shut(s);
	shut(l);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(!nonblocking(s));
	CHECK_INT(fcntl(s, F_GETFD), FD_CLOEXEC);
	shut(s);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM | 1 << 20, 0), EINVAL);
	CHECK_ERR(socket(12345, SOCK_STREAM, 0), EAFNOSUPPORT);
}

TEST(socketpair_honours_its_type_bits)
{
	int s[2];
	char c;

	CHECK_RET(socketpair(AF_UNIX,
			     SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s),
		  0);
	CHECK(nonblocking(s[0]) && nonblocking(s[1]));
	CHECK_INT(fcntl(s[1], F_GETFD), FD_CLOEXEC);
	CHECK_ERR(recv(s[0], &c, 1, 0), EAGAIN);
	shut_both(s);
	CHECK_ERR(socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
	CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, nowhere()), EFAULT);
}

TEST(a_socket_has_no_option_that_nobody_set)
{
	socklen_t len = sizeof(int);
	struct sockaddr_in addr;
	int l, s[2], on = -1, i;

	l = listener(&addr);
	tcp_pair(s);
	for (i = 0; i < 2; i++) {
		CHECK_INT(getsockopt(s[i], IPPROTO_TCP, TCP_NODELAY, &on, &len),
			  0);
		CHECK_INT(on, 0);
		CHECK_INT(getsockopt(i ? l : s[0], SOL_SOCKET, SO_REUSEADDR,
				     &on, &len),
			  0);
		CHECK_INT(on, 0);
		CHECK_INT(getsockopt(s[i], SOL_SOCKET, SO_KEEPALIVE, &on, &len),
			  0);
		CHECK_INT(on, 0);
	}
	shut_both(s);
	shut(l);
}

/*
 * accept
 */

TEST(accept_waits_and_tells_who_came)
{
	struct sockaddr_in who, peer;
	socklen_t wholen = sizeof who, peerlen = sizeof peer;
	struct job j;
	pthread_t th;
	int l, s;

	l = listener(&j.addr);
	th = party(connects_later, &j);
	errno = EDOM;
	s = accept(l, (struct sockaddr *)&who, &wholen);
	CHECK(s != -1);
	CHECK_INT(errno, EDOM);
	leaves(th);
	CHECK_INT(wholen, sizeof who);
	CHECK_INT(getsockname(j.made, (struct sockaddr *)&peer, &peerlen), 0);
	CHECK_INT(who.sin_family, AF_INET);
	CHECK_INT(who.sin_port, peer.sin_port);
	CHECK_INT(who.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	CHECK_INT(getpeername(s, (struct sockaddr *)&peer, &peerlen), 0);
	CHECK_INT(who.sin_port, peer.sin_port);
	shut(s);
	shut(j.made);
	shut(l);
}

TEST(accept_waits_where_the_highest_number_is_taken)
{
	struct rlimit rl, less;
	struct job j;
	pthread_t th;
	int l = listener(&j.addr), s;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	less = rl;
	less.rlim_cur = 200;
	CHECK_RET(dup2(l, 199), 199);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &less), 0);
	th = party(connects_later, &j);
	s = accept(l, NULL, NULL);
	CHECK(s != -1 && s < 199);
	leaves(th);
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &rl), 0);
	shut(199);
	shut(s);
	shut(j.made);
	shut(l);
}

TEST(accept_does_without_an_address)
{
	struct job j;
	pthread_t th;
	int l, s, i;

	l = listener(&j.addr);
	for (i = 0; i < 2; i++) {
		th = party(connects_later, &j);
		s = i == 0 ? accept(l, NULL, NULL) : accept4(l, NULL, NULL, 0);
		CHECK(s != -1);
		leaves(th);
		shut(s);
		shut(j.made);
	}
	shut(l);
}

TEST(accept_cuts_an_address_to_the_room_there_is)
{
	unsigned char room[sizeof(struct sockaddr_in)];
	socklen_t len = 4;
	struct job j;
	pthread_t th;
	int l, s;
	size_t i;

	memset(room, 0xee, sizeof room);
	l = listener(&j.addr);
	th = party(connects_later, &j);
	s = accept(l, (struct sockaddr *)(void *)room, &len);
	CHECK(s != -1);
	leaves(th);
	CHECK_INT(len, sizeof(struct sockaddr_in));
	CHECK(room[0] != 0xee || room[1] != 0xee);
	for (i = 4; i < sizeof room; i++)
		CHECK_INT(room[i], 0xee);
	shut(s);
	shut(j.made);
	shut(l);
}

static void *
sends_one_byte_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	CHECK_RET(send(j->made, "x", 1, 0), 1);
	return NULL;
}

TEST(accept4_honours_its_flags_and_accept_inherits_none)
{
	struct job j;
	pthread_t th;
	int l, s;

	l = listener(&j.addr);
	th = party(connects_later, &j);
	s = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(s != -1);
	leaves(th);
	CHECK(nonblocking(s));
	CHECK_INT(fcntl(s, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(recv(s, &(char){ 0 }, 1, 0), EAGAIN);
	shut(s);
	shut(j.made);

	set_nonblocking(l, true);
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	CHECK_ERR(accept4(l, NULL, NULL, 0), EAGAIN);
	th = party(connects_later, &j);
	CHECK_INT(poll(&(struct pollfd){ l, POLLIN, 0 }, 1, -1), 1);
	s = accept(l, NULL, NULL);
	CHECK(s != -1);
	leaves(th);
	CHECK(!nonblocking(s));
	CHECK_INT(fcntl(s, F_GETFD), 0);
	CHECK_ERR(accept4(l, NULL, NULL, 1), EINVAL);
	th = party(sends_one_byte_later, &j);
	CHECK_RET(recv(s, &(char){ 0 }, 1, 0), 1);
	leaves(th);
	shut(s);
	shut(j.made);
	shut(l);
}

TEST(accept_says_what_cannot_be_accepted)
{
	struct sockaddr_in addr;
	int p[2], s;

	CHECK_INT(pipe(p), 0);
	CHECK_ERR(accept(p[0], NULL, NULL), ENOTSOCK);
	shut_both(p);
	CHECK_ERR(accept(p[0], NULL, NULL), EBADF);
	CHECK_ERR(accept(-1, NULL, NULL), EBADF);
	s = bound(SOCK_STREAM, &addr);
	CHECK_ERR(accept(s, NULL, NULL), EINVAL);
	shut(s);
	s = bound(SOCK_DGRAM, &addr);
	CHECK_ERR(accept(s, NULL, NULL), EOPNOTSUPP);
	CHECK_ERR(listen(s, 1), EOPNOTSUPP);
	shut(s);
}

TEST(accept_gives_up_when_SO_RCVTIMEO_says_so)
{
	struct sockaddr_in addr;
	int l = listener(&addr);
	int64_t t;

	timeout(l, SO_RCVTIMEO, 0, SHORT_US);
	t = t_now();
	CHECK_ERR(accept(l, NULL, NULL), EAGAIN);
	CHECK(t_now() - t >= SHORT_AT_LEAST);
	shut(l);
}

TEST(accepted_sockets_inherit_the_timeouts_of_the_listener)
{
	struct job j;
	pthread_t th;
	int64_t t;
	char c;
	int l, s;

	l = listener(&j.addr);
	timeout(l, SO_RCVTIMEO, 0, SHORT_US);
	timeout(l, SO_SNDTIMEO, 7, 0);
	th = party(connects_later, &j);
	do
		s = accept(l, NULL, NULL);
	while (s == -1 && errno == EAGAIN);
	CHECK(s != -1);
	leaves(th);
	check_timeout(s, SO_RCVTIMEO, 0, SHORT_US);
	check_timeout(s, SO_SNDTIMEO, 7, 0);
	t = t_now();
	CHECK_ERR(recv(s, &c, 1, 0), EAGAIN);
	CHECK(t_now() - t >= SHORT_AT_LEAST);
	shut(s);
	shut(j.made);
	shut(l);
}

TEST(shutdown_of_a_listener_wakes_accept)
{
	struct job j = { .n = SHUT_RDWR };
	pthread_t th;

	j.fd = listener(&j.addr);
	th = party(shuts_down_later, &j);
	CHECK_ERR(accept(j.fd, NULL, NULL), EINVAL);
	leaves(th);
	shut(j.fd);
}

#define CROWD 20

static int crowd_listener;

static void *
accepts_one(void *arg)
{
	int s = accept(crowd_listener, NULL, NULL);

	(void)arg;
	CHECK(s != -1);
	CHECK_RET(send(s, "x", 1, 0), 1);
	shut(s);
	return NULL;
}

TEST(many_wait_in_accept_and_each_gets_one)
{
	struct sockaddr_in addr;
	pthread_t th[CROWD];
	int i, s[CROWD];
	char c;

	crowd_listener = listener(&addr);
	for (i = 0; i < CROWD; i++)
		th[i] = party(accepts_one, NULL);
	most_likely();
	for (i = 0; i < CROWD; i++) {
		s[i] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK_RET(connect(s[i], (struct sockaddr *)&addr, sizeof addr),
			  0);
	}
	for (i = 0; i < CROWD; i++) {
		CHECK_RET(recv(s[i], &c, 1, 0), 1);
		CHECK_RET(recv(s[i], &c, 1, 0), 0);
		leaves(th[i]);
		shut(s[i]);
	}
	shut(crowd_listener);
}

/*
 * connect
 */

TEST(connect_to_nobody_is_ECONNREFUSED)
{
	struct sockaddr_in addr;
	int nobody, s, i;

	nobody = bound(SOCK_STREAM, &addr);
	s = socket(AF_INET, SOCK_STREAM, 0);
	for (i = 0; i < 2; i++)
		CHECK_ERR(connect(s, (struct sockaddr *)&addr, sizeof addr),
			  ECONNREFUSED);
	/* It may try again elsewhere. */
	CHECK_INT(listen(nobody, 1), 0);
	CHECK_RET(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	shut(s);
	shut(nobody);
}

TEST(connect_leaves_no_flag_behind)
{
	struct sockaddr_in addr;
	int l = listener(&addr), s = socket(AF_INET, SOCK_STREAM, 0), fl;

	fl = fcntl(s, F_GETFL);
	CHECK_RET(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	CHECK_INT(fcntl(s, F_GETFL), fl);
	CHECK_INT(so_error(s), 0);
	CHECK_ERR(connect(s, (struct sockaddr *)&addr, sizeof addr), EISCONN);
	/* Nor is any forgotten that is set now. */
	set_nonblocking(s, true);
	CHECK_ERR(recv(s, &(char){ 0 }, 1, 0), EAGAIN);
	shut(s);
	shut(l);
}

TEST(connect_says_what_cannot_be_connected)
{
	struct sockaddr_in addr;
	struct sockaddr *a = (struct sockaddr *)&addr;
	int l = listener(&addr), s = socket(AF_INET, SOCK_STREAM, 0), p[2];

	CHECK_ERR(connect(-1, a, sizeof addr), EBADF);
	CHECK_INT(pipe(p), 0);
	CHECK_ERR(connect(p[0], a, sizeof addr), ENOTSOCK);
	shut_both(p);
	CHECK_ERR(connect(s, nowhere(), sizeof addr), EFAULT);
	CHECK_ERR(connect(s, a, 1), EINVAL);
	CHECK_ERR(connect(s, a, (socklen_t)-1), EINVAL);
	CHECK_ERR(connect(s, a, 100000), EINVAL);
	addr.sin_family = AF_INET6;
	CHECK_ERR(connect(s, a, sizeof addr), EAFNOSUPPORT);
	addr.sin_family = AF_INET;
	CHECK_RET(connect(s, a, sizeof addr), 0);
	shut(s);
	shut(l);
}

/* A listener whose queue is full: a further connect stays in progress until
 * somebody accepts.  *filler is who fills it. */
static void
full_listener(int *l, struct sockaddr_in *addr, int *filler)
{
	struct tcp_info info;
	socklen_t len = sizeof info;

	*l = bound(SOCK_STREAM, addr);
	CHECK_INT(listen(*l, 0), 0);
	*filler = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_RET(connect(*filler, (struct sockaddr *)addr, sizeof *addr), 0);
	/* The client is through before its connection is in the queue, whose
	 * length and limit a listener gives as these two. */
	for (;;) {
		CHECK_INT(getsockopt(*l, IPPROTO_TCP, TCP_INFO, &info, &len),
			  0);
		if (info.tcpi_unacked > info.tcpi_sacked)
			break;
		usleep(1000);
	}
}

#define BACKLOG_MAX 16

/* Accepts that many, then closes them and ends. */
struct acceptor {
	int l, n;
	pthread_t th;
};

static void *
accepts_many(void *arg)
{
	struct acceptor *a = arg;
	int i, s[BACKLOG_MAX];

	most_likely();
	for (i = 0; i < a->n; i++) {
		s[i] = accept(a->l, NULL, NULL);
		CHECK(s[i] != -1);
	}
	while (i-- > 0)
		shut(s[i]);
	return NULL;
}

TEST(connect_waits_while_the_queue_of_the_listener_is_full)
{
	struct sockaddr_in addr;
	struct acceptor a;
	int filler, s;

	full_listener(&a.l, &addr, &filler);
	s = socket(AF_INET, SOCK_STREAM, 0);
	a.n = 2;
	a.th = party(accepts_many, &a);
	CHECK_RET(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	leaves(a.th);
	shut(s);
	shut(filler);
	shut(a.l);
}

static void *
shuts_a_listener_later(void *arg)
{
	most_likely();
	shut(*(int *)arg);
	return NULL;
}

/* The one whose queue was full is gone when it is asked again. */
TEST(connect_that_waits_for_a_listener_that_goes_is_ECONNREFUSED)
{
	struct sockaddr_in addr;
	int l, filler, s;
	pthread_t th;

	full_listener(&l, &addr, &filler);
	s = socket(AF_INET, SOCK_STREAM, 0);
	th = party(shuts_a_listener_later, &l);
	CHECK_ERR(connect(s, (struct sockaddr *)&addr, sizeof addr),
		  ECONNREFUSED);
	leaves(th);
	CHECK_INT(so_error(s), 0);
	shut(s);
	shut(filler);
}

TEST(a_non_blocking_connect_goes_by_the_book)
{
	struct sockaddr_in addr;
	struct sockaddr *to = (struct sockaddr *)&addr;
	struct acceptor a;
	struct pollfd p;
	int filler, s;

	full_listener(&a.l, &addr, &filler);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERR(connect(s, to, sizeof addr), EINPROGRESS);
	CHECK_ERR(connect(s, to, sizeof addr), EALREADY);
	CHECK_INT(poll_now(s, POLLOUT), 0);
	CHECK_INT(so_error(s), 0);
	a.n = 2;
	a.th = party(accepts_many, &a);
	p = (struct pollfd){ .fd = s, .events = POLLOUT };
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_INT(p.revents & (POLLOUT | POLLERR), POLLOUT);
	CHECK_INT(so_error(s), 0);
	CHECK_RET(connect(s, to, sizeof addr), 0);
	CHECK_ERR(connect(s, to, sizeof addr), EISCONN);
	leaves(a.th);
	shut(s);
	shut(filler);
	shut(a.l);
}

TEST(connect_again_waits_for_the_one_in_progress)
{
	struct sockaddr_in addr;
	struct sockaddr *to = (struct sockaddr *)&addr;
	struct acceptor a;
	int filler, s;

	full_listener(&a.l, &addr, &filler);
	s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK_ERR(connect(s, to, sizeof addr), EINPROGRESS);
	set_nonblocking(s, false);
	a.n = 2;
	a.th = party(accepts_many, &a);
	CHECK_RET(connect(s, to, sizeof addr), 0);
	CHECK_ERR(connect(s, to, sizeof addr), EISCONN);
	leaves(a.th);
	shut(s);
	shut(filler);
	shut(a.l);
}

TEST(connect_gives_up_when_SO_SNDTIMEO_says_so)
{
	struct sockaddr_in addr;
	struct sockaddr *to = (struct sockaddr *)&addr;
	int filler, l, s;
	int64_t t;

	full_listener(&l, &addr, &filler);
	s = socket(AF_INET, SOCK_STREAM, 0);
	timeout(s, SO_SNDTIMEO, 0, SHORT_US);
	t = t_now();
	CHECK_ERR(connect(s, to, sizeof addr), EINPROGRESS);
	CHECK(t_now() - t >= SHORT_AT_LEAST);
	CHECK_ERR(connect(s, to, sizeof addr), EALREADY);
	shut(s);
	shut(filler);
	shut(l);
}

TEST(an_interrupted_connect_goes_on_by_itself)
{
	struct sockaddr_in addr;
	struct sockaddr *to = (struct sockaddr *)&addr;
	struct acceptor a;
	struct pollfd p;
	int filler, s;

	full_listener(&a.l, &addr, &filler);
	s = socket(AF_INET, SOCK_STREAM, 0);
	start_ticking(0);
	CHECK_ERR(connect(s, to, sizeof addr), EINTR);
	stop_ticking();
	a.n = 2;
	a.th = party(accepts_many, &a);
	p = (struct pollfd){ .fd = s, .events = POLLOUT };
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_INT(so_error(s), 0);
	leaves(a.th);
	shut(s);
	shut(filler);
	shut(a.l);
}

TEST(a_non_blocking_connect_to_nobody_ends_with_SO_ERROR)
{
	struct pollfd p = { .events = POLLOUT };
	struct sockaddr_in addr;
	int nobody = bound(SOCK_STREAM, &addr);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	CHECK_ERR(connect(s, (struct sockaddr *)&addr, sizeof addr),
		  EINPROGRESS);
	p.fd = s;
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK(p.revents & POLLERR);
	CHECK_INT(so_error(s), ECONNREFUSED);
	CHECK_INT(so_error(s), 0);
	shut(s);
	shut(nobody);
}

TEST(a_listener_that_goes_away_resets_who_waits_for_it)
{
	struct sockaddr_in addr;
	struct job j;
	int l = listener(&addr), s = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t th;
	char c;

	CHECK_RET(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	j.fd = l;
	th = party(closes_later, &j);
	CHECK_ERR(recv(s, &c, 1, 0), ECONNRESET);
	leaves(th);
	shut(s);
}

/*
 * Unix addresses
 */

static void *
connects_by_name_later(void *arg)
{
	struct job *j = arg;
	struct sockaddr_un a;
	socklen_t len = unix_name(&a, "name");

	most_likely();
	j->made = socket(AF_UNIX, (int)j->n, 0);
	CHECK(j->made != -1);
	CHECK_RET(connect(j->made, (struct sockaddr *)&a, len), 0);
	CHECK_RET(send(j->made, "hello", 5, 0), 5);
	return NULL;
}

static void
unix_accept(int type)
{
	struct job j = { .n = (size_t)type };
	struct sockaddr_un a;
	socklen_t len = unix_name(&a, "name");
	char buf[16];
	pthread_t th;
	int l, s;

	l = socket(AF_UNIX, type, 0);
	CHECK(l != -1);
	CHECK_INT(bind(l, (struct sockaddr *)&a, len), 0);
	CHECK_INT(listen(l, 5), 0);
	th = party(connects_by_name_later, &j);
	len = sizeof a;
	errno = EDOM;
	s = accept(l, (struct sockaddr *)&a, &len);
	CHECK(s != -1);
	CHECK_INT(errno, EDOM);
	/* The client has no name: the family is all there is. */
	CHECK_INT(len, sizeof a.sun_family);
	CHECK_INT(a.sun_family, AF_UNIX);
	CHECK_RET(recv(s, buf, sizeof buf, 0), 5);
	leaves(th);
	shut(s);
	shut(j.made);
	shut(l);
}

TEST(unix_streams_connect_by_name)
{
	unix_accept(SOCK_STREAM);
}

TEST(unix_seqpackets_connect_by_name)
{
	unix_accept(SOCK_SEQPACKET);
}

TEST(unix_connect_says_what_cannot_be_connected)
{
	struct sockaddr_un a, none;
	socklen_t len = unix_name(&a, "type"), nonelen;
	int l, s;

	l = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_INT(bind(l, (struct sockaddr *)&a, len), 0);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERR(connect(s, (struct sockaddr *)&a, len), ECONNREFUSED);
	nonelen = unix_name(&none, "none");
	CHECK_ERR(connect(s, (struct sockaddr *)&none, nonelen), ECONNREFUSED);
	strcpy(none.sun_path, "/proc/no/such/socket");
	CHECK_ERR(connect(s, (struct sockaddr *)&none, sizeof none), ENOENT);
	CHECK_INT(listen(l, 1), 0);
	CHECK_RET(connect(s, (struct sockaddr *)&a, len), 0);
	shut(s);
	shut(l);
}

static void *
accepts_and_closes(void *arg)
{
	struct acceptor *a = arg;
	int i, s;

	most_likely();
	for (i = 0; i < a->n; i++) {
		s = accept(a->l, NULL, NULL);
		CHECK(s != -1);
		shut(s);
	}
	return NULL;
}

TEST(unix_connect_waits_while_the_queue_of_the_listener_is_full)
{
	struct sockaddr_un name;
	socklen_t len = unix_name(&name, "full");
	int s[BACKLOG_MAX], n;
	struct acceptor a;

	a.l = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_INT(bind(a.l, (struct sockaddr *)&name, len), 0);
	CHECK_INT(listen(a.l, 1), 0);
	for (n = 0; n < BACKLOG_MAX - 1; n++) {
		s[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		CHECK(s[n] != -1);
		if (connect(s[n], (struct sockaddr *)&name, len) == -1)
			break;
	}
	CHECK(n < BACKLOG_MAX - 1);
	CHECK_INT(errno, EAGAIN);
	set_nonblocking(s[n], false);
	timeout(s[n], SO_SNDTIMEO, 0, SHORT_US);
	CHECK_ERR(connect(s[n], (struct sockaddr *)&name, len), EAGAIN);
	timeout(s[n], SO_SNDTIMEO, 0, 0);
	a.n = n + 1;
	a.th = party(accepts_and_closes, &a);
	CHECK_RET(connect(s[n], (struct sockaddr *)&name, len), 0);
	leaves(a.th);
	for (; n >= 0; n--)
		shut(s[n]);
	shut(a.l);
}

/*
 * Receiving
 */

static void
waits_for_data(receive *get)
{
	struct job j = { .n = 100 };
	unsigned char buf[4096];
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		j.fd = s[1];
		th = party(sends_later, &j);
		CHECK_RET(get(s[0], buf, sizeof buf, 0), 100);
		check_pattern(buf, 100, 0);
		leaves(th);
		shut_both(s);
	}
}
EACH_READ(waits_for_data)

TEST(the_checked_twins_of_recv_and_recvfrom_wait_too)
{
	struct job j = { .n = 100 };
	unsigned char buf[200];
	pthread_t th;
	int s[2];

	tcp_pair(s);
	j.fd = s[1];
	th = party(sends_later, &j);
	CHECK_RET(__recv_chk(s[0], buf, 200, sizeof buf, 0), 100);
	leaves(th);
	j.at = 100;
	th = party(sends_later, &j);
	CHECK_RET(__recvfrom_chk(s[0], buf, 200, sizeof buf, 0, NULL, NULL),
		  100);
	check_pattern(buf, 100, 100);
	leaves(th);
	j.at = 200;
	th = party(sends_later, &j);
	CHECK_RET(__read_chk(s[0], buf, 200, sizeof buf), 100);
	check_pattern(buf, 100, 200);
	leaves(th);
	shut_both(s);
}

static void
obeys_MSG_DONTWAIT(receive *get)
{
	unsigned char buf[64];
	int s[2];

	tcp_pair(s);
	CHECK_ERR(get(s[0], buf, 64, MSG_DONTWAIT), EAGAIN);
	CHECK_INT(send(s[1], "abc", 3, 0), 3);
	CHECK_INT(poll(&(struct pollfd){ s[0], POLLIN, 0 }, 1, -1), 1);
	CHECK_RET(get(s[0], buf, 64, MSG_DONTWAIT), 3);
	CHECK_ERR(get(s[0], buf, 64, MSG_DONTWAIT), EAGAIN);
	CHECK(!nonblocking(s[0]));
	shut_both(s);
}
EACH_RECV(obeys_MSG_DONTWAIT)

static void
returns_EAGAIN_if_the_program_wants_it(receive *get)
{
	unsigned char buf[64];
	int s[2], on = 1;

	tcp_pair(s);
	set_nonblocking(s[0], true);
	CHECK_ERR(get(s[0], buf, 64, 0), EAGAIN);
	set_nonblocking(s[0], false);
	CHECK_INT(ioctl(s[0], FIONBIO, &on), 0);
	CHECK_ERR(get(s[0], buf, 64, 0), EAGAIN);
	shut_both(s);
}
EACH_READ(returns_EAGAIN_if_the_program_wants_it)

static void
waits_with_MSG_PEEK_and_takes_nothing(receive *get)
{
	struct job j = { .n = 10 };
	unsigned char buf[64];
	pthread_t th;
	int s[2], i;

	tcp_pair(s);
	j.fd = s[1];
	th = party(sends_later, &j);
	for (i = 0; i < 3; i++) {
		memset(buf, 0, sizeof buf);
		CHECK_RET(get(s[0], buf, 64, MSG_PEEK), 10);
		check_pattern(buf, 10, 0);
	}
	CHECK_RET(get(s[0], buf, 64, 0), 10);
	CHECK_ERR(get(s[0], buf, 64, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
	leaves(th);
	shut_both(s);
}
EACH_RECV(waits_with_MSG_PEEK_and_takes_nothing)

static void *
sends_in_pieces(void *arg)
{
	struct job *j = arg;
	unsigned char buf[10];
	size_t i;

	for (i = 0; i < j->n; i += sizeof buf) {
		if (i < 50)
			most_likely();
		pattern(buf, sizeof buf, i);
		CHECK_INT(send(j->fd, buf, sizeof buf, 0), sizeof buf);
	}
	shut(j->fd);
	return NULL;
}

static void
waits_for_all_with_MSG_WAITALL(receive *get)
{
	struct job j = { .n = 1000 };
	unsigned char buf[700];
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		j.fd = s[1];
		th = party(sends_in_pieces, &j);
		CHECK_RET(get(s[0], buf, 700, MSG_WAITALL), 700);
		check_pattern(buf, 700, 0);
		/* The end comes first: what there is. */
		CHECK_RET(get(s[0], buf, 700, MSG_WAITALL), 300);
		check_pattern(buf, 300, 700);
		CHECK_RET(get(s[0], buf, 700, MSG_WAITALL), 0);
		leaves(th);
		shut(s[0]);
	}
}
EACH_RECV(waits_for_all_with_MSG_WAITALL)

static void
takes_MSG_DONTWAIT_before_MSG_WAITALL(receive *get)
{
	unsigned char buf[64];
	int s[2];

	unix_pair(SOCK_STREAM, s);
	CHECK_INT(send(s[1], "abc", 3, 0), 3);
	CHECK_RET(get(s[0], buf, 64, MSG_WAITALL | MSG_DONTWAIT), 3);
	CHECK_ERR(get(s[0], buf, 64, MSG_WAITALL | MSG_DONTWAIT), EAGAIN);
	shut_both(s);
}
EACH_RECV(takes_MSG_DONTWAIT_before_MSG_WAITALL)

static void
gives_MSG_WAITALL_up_at_the_timeout_with_what_there_is(receive *get)
{
	unsigned char buf[64];
	int64_t t;
	int s[2];

	tcp_pair(s);
	timeout(s[0], SO_RCVTIMEO, 0, SHORT_US);
	CHECK_INT(send(s[1], "abc", 3, 0), 3);
	t = t_now();
	CHECK_RET(get(s[0], buf, 64, MSG_WAITALL), 3);
	CHECK(t_now() - t >= SHORT_AT_LEAST);
	CHECK_ERR(get(s[0], buf, 64, MSG_WAITALL), EAGAIN);
	shut_both(s);
}
EACH_RECV(gives_MSG_WAITALL_up_at_the_timeout_with_what_there_is)

TEST(read_of_nothing_is_0_at_once_and_so_is_send)
{
	struct iovec v = { NULL, 0 };
	int s[2], i;
	char c = 0;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		CHECK_RET(read(s[0], &c, 0), 0);
		CHECK_RET(readv(s[0], &v, 1), 0);
		CHECK_RET(write(s[0], &c, 0), 0);
		CHECK_RET(send(s[0], &c, 0, 0), 0);
		CHECK_INT(poll_now(s[1], POLLIN), 0);
		shut_both(s);
	}
}

TEST(recv_of_nothing_from_a_tcp_socket_waits_for_something)
{
	struct job j = { .n = 4 };
	unsigned char buf[8];
	pthread_t th;
	int s[2];

	tcp_pair(s);
	CHECK_ERR(recv(s[0], buf, 0, MSG_DONTWAIT), EAGAIN);
	j.fd = s[1];
	th = party(sends_later, &j);
	CHECK_RET(recv(s[0], buf, 0, 0), 0);
	CHECK_RET(recv(s[0], buf, sizeof buf, MSG_DONTWAIT), 4);
	leaves(th);
	shut_both(s);
}

TEST(MSG_OOB_and_MSG_ERRQUEUE_never_wait)
{
	struct msghdr m = { 0 };
	struct pollfd p;
	int s[2];
	char c;

	tcp_pair(s);
	CHECK_ERR(recv(s[0], &c, 1, MSG_OOB), EINVAL);
	CHECK_ERR(recvmsg(s[0], &m, MSG_ERRQUEUE), EAGAIN);
	CHECK_RET(send(s[1], "!", 1, MSG_OOB), 1);
	p = (struct pollfd){ .fd = s[0], .events = POLLPRI };
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_INT(p.revents, POLLPRI);
	CHECK_RET(recv(s[0], &c, 1, MSG_OOB), 1);
	CHECK_INT(c, '!');
	shut_both(s);
}

/* The window is closed, so what comes through is that there will be one. */
TEST(an_urgent_byte_that_is_only_announced_is_not_waited_for)
{
	static char buf[40000];
	int small = 4096, large = 1 << 20, err, l, s[2];
	struct sockaddr_in addr;
	size_t taken = 0;
	ssize_t n;
	char c;

	l = listener(&addr);
	CHECK_INT(setsockopt(l, SOL_SOCKET, SO_RCVBUF, &small, sizeof small),
		  0);
	s[1] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s[1] != -1);
	CHECK_INT(setsockopt(s[1], SOL_SOCKET, SO_SNDBUF, &large, sizeof large),
		  0);
	CHECK_INT(connect(s[1], (struct sockaddr *)&addr, sizeof addr), 0);
	s[0] = accept(l, NULL, NULL);
	CHECK(s[0] != -1);
	shut(l);
	CHECK_INT(send(s[1], buf, sizeof buf, MSG_DONTWAIT), sizeof buf);
	CHECK_INT(send(s[1], "!", 1, MSG_OOB | MSG_DONTWAIT), 1);
	do {
		usleep(1000);
		errno = 0;
		n = recv(s[0], &c, 1, MSG_OOB);
		err = errno;
	} while (n == -1 && err == EINVAL);
	CHECK_INT(n, -1);
	CHECK_INT(err, EAGAIN);
	while (taken < sizeof buf) {
		n = recv(s[0], buf, sizeof buf, 0);
		CHECK(n > 0);
		taken += (size_t)n;
	}
	while ((n = recv(s[0], &c, 1, MSG_OOB)) == -1 && errno == EAGAIN)
		usleep(1000);
	CHECK_INT(n, 1);
	CHECK_INT(c, '!');
	shut_both(s);
}

/*
 * Datagrams
 */

static void *
sends_one_later(void *arg)
{
	struct job *j = arg;
	unsigned char buf[100];

	most_likely();
	pattern(buf, j->n, 0);
	CHECK_RET(sendto(j->fd, buf, j->n, 0, (struct sockaddr *)&j->addr,
			 sizeof j->addr),
		  j->n);
	return NULL;
}

TEST(recvfrom_waits_and_tells_who_sent)
{
	struct sockaddr_in me, from;
	socklen_t len = sizeof from;
	struct job j = { .n = 50 };
	unsigned char buf[100];
	pthread_t th;
	int r;

	r = bound(SOCK_DGRAM, &j.addr);
	j.fd = bound(SOCK_DGRAM, &me);
	th = party(sends_one_later, &j);
	CHECK_RET(recvfrom(r, buf, some(sizeof buf), 0,
			   (struct sockaddr *)&from, &len),
		  50);
	check_pattern(buf, 50, 0);
	CHECK_INT(len, sizeof from);
	CHECK_INT(from.sin_port, me.sin_port);
	CHECK_INT(from.sin_addr.s_addr, me.sin_addr.s_addr);
	leaves(th);
	shut(r);
	shut(j.fd);
}

TEST(recvmsg_waits_and_tells_who_sent)
{
	unsigned char a[20], b[100];
	struct iovec v[2] = { { a, sizeof a }, { b, sizeof b } };
	struct sockaddr_in me, from;
	struct msghdr m = { .msg_name = &from,
			    .msg_namelen = sizeof from,
			    .msg_iov = v,
			    .msg_iovlen = 2,
			    .msg_flags = -1 };
	struct job j = { .n = 50 };
	pthread_t th;
	int r;

	r = bound(SOCK_DGRAM, &j.addr);
	j.fd = bound(SOCK_DGRAM, &me);
	th = party(sends_one_later, &j);
	CHECK_RET(recvmsg(r, &m, 0), 50);
	check_pattern(a, 20, 0);
	check_pattern(b, 30, 20);
	CHECK_INT(m.msg_namelen, sizeof from);
	CHECK_INT(m.msg_controllen, 0);
	CHECK_INT(m.msg_flags, 0);
	CHECK_INT(from.sin_port, me.sin_port);
	leaves(th);
	shut(r);
	shut(j.fd);
}

/* Connected both ways. */
static void
udp_pair(int s[2])
{
	struct sockaddr_in a[2];

	s[0] = bound(SOCK_DGRAM, &a[0]);
	s[1] = bound(SOCK_DGRAM, &a[1]);
	CHECK_RET(connect(s[0], (struct sockaddr *)&a[1], sizeof a[1]), 0);
	CHECK_RET(connect(s[1], (struct sockaddr *)&a[0], sizeof a[0]), 0);
}

static void
keeps_messages_apart(receive *get)
{
	unsigned char buf[100];
	int s[2], i;

	for (i = 0; i < 3; i++) {
		if (i == 0)
			udp_pair(s);
		else
			unix_pair(i == 1 ? SOCK_DGRAM : SOCK_SEQPACKET, s);
		pattern(buf, sizeof buf, 0);
		CHECK_RET(send(s[0], buf, 10, 0), 10);
		CHECK_RET(send(s[0], buf, 20, 0), 20);
		CHECK_RET(send(s[0], buf, 30, 0), 30);
		memset(buf, 0, sizeof buf);
		CHECK_RET(get(s[1], buf, 100, 0), 10);
		check_pattern(buf, 10, 0);
		/* What has no room is lost. */
		CHECK_RET(get(s[1], buf, 4, 0), 4);
		CHECK_RET(get(s[1], buf, 100, 0), 30);
		check_pattern(buf, 30, 0);
		shut_both(s);
	}
}
EACH_READ(keeps_messages_apart)

static void
tells_the_whole_length_with_MSG_TRUNC(receive *get)
{
	struct job j = { .n = 100 };
	unsigned char buf[4096];
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 3; i++) {
		if (i == 0)
			udp_pair(s);
		else
			unix_pair(i == 1 ? SOCK_DGRAM : SOCK_SEQPACKET, s);
		memset(buf, 0xee, sizeof buf);
		j.fd = s[0];
		th = party(sends_later, &j);
		CHECK_RET(get(s[1], buf, 10, MSG_TRUNC | MSG_PEEK), 100);
		CHECK_RET(get(s[1], buf, 10, MSG_TRUNC), 100);
		check_pattern(buf, 10, 0);
		CHECK_INT(buf[10], 0xee);
		leaves(th);
		shut_both(s);
	}
}
EACH_RECV(tells_the_whole_length_with_MSG_TRUNC)

TEST(recvmsg_marks_what_is_cut_off)
{
	struct job j = { .n = 100 };
	unsigned char buf[10];
	struct iovec v = { buf, sizeof buf };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	pthread_t th;
	int s[2];

	udp_pair(s);
	j.fd = s[0];
	th = party(sends_later, &j);
	CHECK_RET(recvmsg(s[1], &m, 0), 10);
	CHECK_INT(m.msg_flags, MSG_TRUNC);
	leaves(th);
	shut_both(s);
}

static void
takes_an_empty_datagram_for_a_datagram(receive *get)
{
	struct job j = { .n = 0 };
	unsigned char buf[10];
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			udp_pair(s);
		else
			unix_pair(SOCK_DGRAM, s);
		j.fd = s[0];
		th = party(sends_later, &j);
		CHECK_RET(get(s[1], buf, 10, 0), 0);
		CHECK_RET(send(s[0], "ab", 2, 0), 2);
		CHECK_RET(get(s[1], buf, 10, 0), 2);
		leaves(th);
		shut_both(s);
	}
}
EACH_READ(takes_an_empty_datagram_for_a_datagram)

TEST(a_refused_datagram_is_an_error_once_and_not_the_end)
{
	struct sockaddr_in gone, me;
	struct job j = { .n = 3 };
	unsigned char buf[8];
	pthread_t th;
	int s, r;

	r = bound(SOCK_DGRAM, &gone);
	s = bound(SOCK_DGRAM, &me);
	CHECK_RET(connect(s, (struct sockaddr *)&gone, sizeof gone), 0);
	shut(r);
	CHECK_RET(send(s, "x", 1, 0), 1);
	CHECK_ERR(recv(s, buf, sizeof buf, 0), ECONNREFUSED);
	CHECK_ERR(recv(s, buf, sizeof buf, MSG_DONTWAIT), EAGAIN);
	CHECK_RET(send(s, "x", 1, 0), 1);
	CHECK_ERR(send(s, "x", 1, 0), ECONNREFUSED);
	CHECK_RET(send(s, "x", 1, 0), 1);
	CHECK_INT(so_error(s), ECONNREFUSED);

	/* The port has an owner again: all is well. */
	r = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_INT(bind(r, (struct sockaddr *)&gone, sizeof gone), 0);
	CHECK_RET(connect(r, (struct sockaddr *)&me, sizeof me), 0);
	j.fd = r;
	th = party(sends_later, &j);
	CHECK_RET(recv(s, buf, sizeof buf, 0), 3);
	leaves(th);
	shut(r);
	shut(s);
}

static void *
provokes_a_refusal(void *arg)
{
	struct job *j = arg;

	most_likely();
	CHECK_RET(send(j->fd, "x", 1, 0), 1);
	return NULL;
}

TEST(a_refusal_wakes_who_waits_for_a_datagram)
{
	struct sockaddr_in gone, me;
	struct job j;
	pthread_t th;
	char c;
	int s, r;

	r = bound(SOCK_DGRAM, &gone);
	s = bound(SOCK_DGRAM, &me);
	CHECK_RET(connect(s, (struct sockaddr *)&gone, sizeof gone), 0);
	shut(r);
	j.fd = s;
	th = party(provokes_a_refusal, &j);
	CHECK_ERR(recv(s, &c, 1, 0), ECONNREFUSED);
	leaves(th);
	shut(s);
}

TEST(a_datagram_needs_somewhere_to_go)
{
	char *big = calloc(1, 70000);
	struct sockaddr_in a;
	int s = bound(SOCK_DGRAM, &a);

	CHECK(big != NULL);
	CHECK_ERR(send(s, "x", 1, 0), EDESTADDRREQ);
	CHECK_ERR(sendto(s, big, 70000, 0, (struct sockaddr *)&a, sizeof a),
		  EMSGSIZE);
	CHECK_RET(sendto(s, "x", 1, 0, (struct sockaddr *)&a, sizeof a), 1);
	CHECK_ERR(sendto(s, "x", 1, 0, (struct sockaddr *)&a, 3), EINVAL);
	CHECK_ERR(sendto(s, "x", 1, 0, nowhere(), sizeof a), EFAULT);
	CHECK_RET(recv(s, big, 70000, 0), 1);
	free(big);
	shut(s);
}

static void *
takes_messages(void *arg)
{
	struct job *j = arg;
	unsigned char buf[100];
	size_t i;

	most_likely();
	for (i = 0; i < j->n; i++) {
		CHECK_RET(recv(j->fd, buf, sizeof buf, 0), sizeof buf);
		check_pattern(buf, sizeof buf, i);
	}
	return NULL;
}

static void
waits_for_room_for_a_message(transmit *put)
{
	struct job j = { 0 };
	unsigned char buf[100];
	pthread_t th;
	size_t i;
	int s[2], t;

	for (t = 0; t < 2; t++) {
		unix_pair(t == 0 ? SOCK_DGRAM : SOCK_SEQPACKET, s);
		for (i = 0;; i++) {
			pattern(buf, sizeof buf, i);
			if (send(s[0], buf, sizeof buf, MSG_DONTWAIT) == -1)
				break;
		}
		CHECK_INT(errno, EAGAIN);
		j.fd = s[1];
		j.n = i + 1;
		th = party(takes_messages, &j);
		CHECK_RET(put(s[0], buf, sizeof buf, 0), sizeof buf);
		leaves(th);
		shut_both(s);
	}
}
EACH_WRITE(waits_for_room_for_a_message)

/*
 * Sending
 */

static void
waits_for_room(transmit *put)
{
	struct job j;
	unsigned char c;
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		j = (struct job){ .fd = s[1], .n = stuff(s[0]) };
		c = byte_at(j.n++);
		th = party(takes_all, &j);
		CHECK_RET(put(s[0], &c, 1, 0), 1);
		leaves(th);
		shut_both(s);
	}
}
EACH_WRITE(waits_for_room)

static void
completes_what_is_huge(transmit *put)
{
	unsigned char *buf = malloc(BIG);
	struct job j = { .n = BIG };
	pthread_t th;
	int s[2], i;

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	for (i = 0; i < 2; i++) {
		if (i == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		j.fd = s[1];
		th = party(takes_all, &j);
		CHECK_RET(put(s[0], buf, BIG, 0), BIG);
		leaves(th);
		shut_both(s);
	}
	free(buf);
}
EACH_WRITE(completes_what_is_huge)

static void
sends_what_fits_with_MSG_DONTWAIT(transmit *put)
{
	unsigned char *buf = malloc(BIG);
	ssize_t n;
	int s[2];

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	tcp_pair(s);
	errno = EDOM;
	n = put(s[0], buf, BIG, MSG_DONTWAIT);
	CHECK(n > 0 && n < (ssize_t)BIG);
	CHECK_INT(errno, EDOM);
	stuff(s[0]);
	CHECK_ERR(put(s[0], buf, BIG, MSG_DONTWAIT), EAGAIN);
	CHECK(!nonblocking(s[0]));
	take(s[1], (size_t)n, 0);
	free(buf);
	shut_both(s);
}
EACH_SEND(sends_what_fits_with_MSG_DONTWAIT)

static void
sends_what_fits_if_the_program_wants_it(transmit *put)
{
	unsigned char *buf = malloc(BIG);
	ssize_t n;
	int s[2];

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	unix_pair(SOCK_STREAM, s);
	set_nonblocking(s[0], true);
	errno = EDOM;
	n = put(s[0], buf, BIG, 0);
	CHECK(n > 0 && n < (ssize_t)BIG);
	CHECK_INT(errno, EDOM);
	CHECK_ERR(put(s[0], buf, BIG, 0), EAGAIN);
	take(s[1], (size_t)n, 0);
	free(buf);
	shut_both(s);
}
EACH_WRITE(sends_what_fits_if_the_program_wants_it)

static void
gives_up_when_SO_SNDTIMEO_says_so(transmit *put)
{
	unsigned char *buf = malloc(BIG);
	ssize_t n;
	int64_t t;
	int s[2];

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	unix_pair(SOCK_STREAM, s);
	timeout(s[0], SO_SNDTIMEO, 0, SHORT_US);
	t = t_now();
	errno = EDOM;
	n = put(s[0], buf, BIG, 0);
	CHECK(n > 0 && n < (ssize_t)BIG);
	CHECK_INT(errno, EDOM);
	CHECK(t_now() - t >= SHORT_AT_LEAST);
	t = t_now();
	CHECK_ERR(put(s[0], buf, BIG, 0), EAGAIN);
	CHECK(t_now() - t >= SHORT_AT_LEAST);
	take(s[1], (size_t)n, 0);
	CHECK_INT(poll_now(s[1], POLLIN), 0);
	free(buf);
	shut_both(s);
}
EACH_WRITE(gives_up_when_SO_SNDTIMEO_says_so)

static volatile sig_atomic_t pipes_broken;

static void
on_sigpipe(int sig)
{
	(void)sig;
	pipes_broken++;
}

static void
raises_SIGPIPE_once_the_peer_is_gone(transmit *put)
{
	int s[2];

	signal(SIGPIPE, on_sigpipe);
	unix_pair(SOCK_STREAM, s);
	shut(s[1]);
	CHECK_ERR(put(s[0], "x", 1, 0), EPIPE);
	CHECK_INT(pipes_broken, 1);
	shut(s[0]);
}
EACH_WRITE(raises_SIGPIPE_once_the_peer_is_gone)

static void
raises_nothing_with_MSG_NOSIGNAL(transmit *put)
{
	int s[2];

	signal(SIGPIPE, on_sigpipe);
	unix_pair(SOCK_STREAM, s);
	shut(s[1]);
	CHECK_ERR(put(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_INT(pipes_broken, 0);
	shut(s[0]);
}
EACH_SEND(raises_nothing_with_MSG_NOSIGNAL)

static void
waiting_for_room_gets_EPIPE_when_the_peer_reads_no_more(transmit *put)
{
	struct job j = { .n = SHUT_RD };
	pthread_t th;
	int s[2];

	/* Who was waiting already is spared the signal. */
	signal(SIGPIPE, SIG_IGN);
	unix_pair(SOCK_STREAM, s);
	stuff(s[0]);
	j.fd = s[1];
	th = party(shuts_down_later, &j);
	CHECK_ERR(put(s[0], "x", 1, 0), EPIPE);
	leaves(th);
	shut_both(s);
}
EACH_WRITE(waiting_for_room_gets_EPIPE_when_the_peer_reads_no_more)

static void
waiting_for_room_fails_when_the_peer_goes(transmit *put)
{
	struct job j = { 0 };
	pthread_t th;
	int s[2];

	signal(SIGPIPE, SIG_IGN);
	unix_pair(SOCK_STREAM, s);
	stuff(s[0]);
	j.fd = s[1];
	th = party(closes_later, &j);
	errno = 0;
	CHECK_INT(put(s[0], "x", 1, 0), -1);
	/* A reset, as data was lost, for who was waiting already. */
	CHECK(errno == ECONNRESET || errno == EPIPE);
	leaves(th);
	shut(s[0]);
}
EACH_WRITE(waiting_for_room_fails_when_the_peer_goes)

static void *
takes_then_closes(void *arg)
{
	struct job *j = arg;

	take(j->fd, j->n, 0);
	shut(j->fd);
	return NULL;
}

static void
tells_how_much_of_the_huge_went(transmit *put)
{
	unsigned char *buf = malloc(BIG);
	struct job j = { .n = 100000 };
	pthread_t th;
	ssize_t n;
	int s[2];

	CHECK(buf != NULL);
	signal(SIGPIPE, SIG_IGN);
	pattern(buf, BIG, 0);
	unix_pair(SOCK_STREAM, s);
	j.fd = s[1];
	th = party(takes_then_closes, &j);
	n = put(s[0], buf, BIG, 0);
	CHECK(n >= (ssize_t)j.n && n < (ssize_t)BIG);
	CHECK_ERR(put(s[0], buf, BIG, 0), EPIPE);
	leaves(th);
	free(buf);
	shut(s[0]);
}
EACH_WRITE(tells_how_much_of_the_huge_went)

TEST(sendmsg_takes_many_small_pieces_and_waits_between)
{
	struct iovec *v = calloc(IOV_MAX, sizeof *v);
	size_t each = 5003, all = each * IOV_MAX, i;
	unsigned char *buf = malloc(all);
	struct msghdr m = { .msg_iov = v, .msg_iovlen = IOV_MAX };
	struct job j = { .n = all };
	pthread_t th;
	int s[2];

	CHECK(v != NULL && buf != NULL);
	pattern(buf, all, 0);
	for (i = 0; i < IOV_MAX; i++) {
		v[i].iov_base = buf + i * each;
		v[i].iov_len = each;
	}
	tcp_pair(s);
	j.fd = s[1];
	th = party(takes_all, &j);
	CHECK_RET(sendmsg(s[0], &m, 0), all);
	leaves(th);
	m.msg_iovlen = IOV_MAX + 1;
	CHECK_ERR(sendmsg(s[0], &m, 0), EMSGSIZE);
	CHECK_ERR(recvmsg(s[0], &m, 0), EMSGSIZE);
	free(buf);
	free(v);
	shut_both(s);
}

/*
 * Ends
 */

static void
returns_0_when_the_peer_shuts_down(receive *get)
{
	struct job j = { .n = SHUT_WR };
	unsigned char buf[8];
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		j.fd = s[1];
		th = party(shuts_down_later, &j);
		CHECK_RET(get(s[0], buf, 8, 0), 0);
		CHECK_RET(get(s[0], buf, 8, 0), 0);
		leaves(th);
		/* The other direction lives on. */
		CHECK_RET(send(s[0], "ab", 2, 0), 2);
		CHECK_RET(get(s[1], buf, 8, 0), 2);
		CHECK_ERR(send(s[1], "ab", 2, MSG_NOSIGNAL), EPIPE);
		shut_both(s);
	}
}
EACH_READ(returns_0_when_the_peer_shuts_down)

static void
returns_0_when_its_own_side_is_shut_down(receive *get)
{
	struct job j;
	unsigned char buf[8];
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 4; i++) {
		if (i < 2)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		j.fd = s[0];
		j.n = i & 1 ? SHUT_RD : SHUT_RDWR;
		th = party(shuts_down_later, &j);
		CHECK_RET(get(s[0], buf, 8, 0), 0);
		leaves(th);
		shut_both(s);
	}
}
EACH_READ(returns_0_when_its_own_side_is_shut_down)

static void *
reads_the_end(void *arg)
{
	char c;

	CHECK_RET(recv(*(int *)arg, &c, 1, 0), 0);
	return NULL;
}

TEST(shutdown_wakes_all_readers_of_a_socket)
{
	pthread_t th[CROWD];
	int s[2], i;

	tcp_pair(s);
	for (i = 0; i < CROWD; i++)
		th[i] = party(reads_the_end, &s[0]);
	most_likely();
	CHECK_RET(shutdown(s[0], SHUT_RD), 0);
	for (i = 0; i < CROWD; i++)
		leaves(th[i]);
	shut_both(s);
}

TEST(shutdown_says_what_cannot_be_shut_down)
{
	int s = socket(AF_INET, SOCK_STREAM, 0), p[2], u[2];

	CHECK_ERR(shutdown(s, SHUT_RDWR), ENOTCONN);
	shut(s);
	CHECK_ERR(shutdown(s, SHUT_RDWR), EBADF);
	CHECK_INT(pipe(p), 0);
	CHECK_ERR(shutdown(p[0], SHUT_RD), ENOTSOCK);
	shut_both(p);
	unix_pair(SOCK_STREAM, u);
	CHECK_ERR(shutdown(u[0], 7), EINVAL);
	shut_both(u);
}

static void
gets_ECONNRESET_not_an_end(receive *get)
{
	unsigned char buf[8];
	struct job j;
	pthread_t th;
	int s[2];

	tcp_pair(s);
	abortive(s[1]);
	j.fd = s[1];
	th = party(closes_later, &j);
	CHECK_ERR(get(s[0], buf, 8, 0), ECONNRESET);
	/* That was told; now it is over. */
	CHECK_RET(get(s[0], buf, 8, 0), 0);
	leaves(th);
	CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	shut(s[0]);
}
EACH_READ(gets_ECONNRESET_not_an_end)

TEST(a_waiting_send_is_woken_by_a_reset)
{
	struct job j;
	pthread_t th;
	int s[2];

	tcp_pair(s);
	stuff(s[0]);
	abortive(s[1]);
	j.fd = s[1];
	th = party(closes_later, &j);
	CHECK_ERR(send(s[0], "x", 1, MSG_NOSIGNAL), ECONNRESET);
	leaves(th);
	shut(s[0]);
}

TEST(what_is_no_connection_says_so)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);
	char c = 0;

	CHECK_ERR(recv(s, &c, 1, 0), ENOTCONN);
	CHECK_ERR(read(s, &c, 1), ENOTCONN);
	CHECK_ERR(send(s, &c, 1, MSG_NOSIGNAL), EPIPE);
	shut(s);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERR(recv(s, &c, 1, 0), EINVAL);
	CHECK_ERR(send(s, &c, 1, MSG_NOSIGNAL), ENOTCONN);
	shut(s);
}

static void
refuses_what_is_no_socket(receive *get)
{
	char buf[8];
	int p[2];

	CHECK_INT(pipe(p), 0);
	CHECK_ERR(get(p[0], buf, 8, 0), ENOTSOCK);
	CHECK_ERR(get(p[1], buf, 8, MSG_DONTWAIT), ENOTSOCK);
	shut_both(p);
	CHECK_ERR(get(p[0], buf, 8, 0), EBADF);
	CHECK_ERR(get(-1, buf, 8, 0), EBADF);
	CHECK_ERR(get(INT_MAX, buf, 8, 0), EBADF);
}
EACH_RECV(refuses_what_is_no_socket)

static void
does_not_send_to_what_is_no_socket(transmit *put)
{
	int p[2];

	CHECK_INT(pipe(p), 0);
	CHECK_ERR(put(p[1], "x", 1, 0), ENOTSOCK);
	shut_both(p);
	CHECK_ERR(put(p[1], "x", 1, 0), EBADF);
	CHECK_ERR(put(-1, "x", 1, 0), EBADF);
	CHECK_ERR(put(INT_MIN, "x", 1, 0), EBADF);
}
EACH_SEND(does_not_send_to_what_is_no_socket)

TEST(a_bad_pointer_is_EFAULT_and_the_data_stays)
{
	unsigned char buf[8];
	struct iovec v = { nowhere(), 4 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	int s[2], i;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		CHECK_ERR(send(s[0], nowhere(), some(4), 0), EFAULT);
		CHECK_ERR(sendmsg(s[0], &m, 0), EFAULT);
		CHECK_ERR(sendmsg(s[0], nowhere(), 0), EFAULT);
		CHECK_RET(send(s[0], "abcd", 4, 0), 4);
		CHECK_INT(poll(&(struct pollfd){ s[1], POLLIN, 0 }, 1, -1), 1);
		CHECK_ERR(recv(s[1], nowhere(), some(4), 0), EFAULT);
		CHECK_ERR(recvmsg(s[1], &m, 0), EFAULT);
		CHECK_ERR(recvmsg(s[1], nowhere(), 0), EFAULT);
		CHECK_RET(recv(s[1], buf, sizeof buf, 0), 4);
		CHECK_INT(memcmp(buf, "abcd", 4), 0);
		shut_both(s);
	}
}

/*
 * Timeouts
 */

static void
gives_up_when_SO_RCVTIMEO_says_so(receive *get)
{
	unsigned char buf[8];
	int s[2], i, k;
	int64_t t;

	for (i = 0; i < 3; i++) {
		if (i == 0)
			tcp_pair(s);
		else if (i == 1)
			udp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		timeout(s[0], SO_RCVTIMEO, 0, SHORT_US);
		for (k = 0; k < 2; k++) {
			t = t_now();
			CHECK_ERR(get(s[0], buf, 8, 0), EAGAIN);
			CHECK(t_now() - t >= SHORT_AT_LEAST);
		}
		CHECK(!nonblocking(s[0]));
		CHECK_INT(send(s[1], "abc", 3, 0), 3);
		CHECK_RET(get(s[0], buf, 8, 0), 3);
		shut_both(s);
	}
}
EACH_READ(gives_up_when_SO_RCVTIMEO_says_so)

TEST(data_in_time_is_no_timeout)
{
	struct job j = { .n = 3 };
	unsigned char buf[8];
	pthread_t th;
	int s[2];

	tcp_pair(s);
	timeout(s[0], SO_RCVTIMEO, 15, 500000);
	j.fd = s[1];
	th = party(sends_later, &j);
	CHECK_RET(recv(s[0], buf, sizeof buf, 0), 3);
	leaves(th);
	shut_both(s);
}

static void *
sends_after_a_while(void *arg)
{
	struct job *j = arg;

	usleep(2 * SHORT_US);
	CHECK_INT(send(j->fd, "abc", 3, 0), 3);
	return NULL;
}

TEST(a_timeout_of_0_means_for_ever)
{
	unsigned char buf[8];
	struct job j;
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 2; i++) {
		tcp_pair(s);
		if (i == 1) {
			timeout(s[0], SO_RCVTIMEO, 0, 1000);
			CHECK_ERR(recv(s[0], buf, 1, 0), EAGAIN);
			timeout(s[0], SO_RCVTIMEO, 0, SHORT_US);
			CHECK_ERR(recv(s[0], buf, 1, 0), EAGAIN);
		}
		timeout(s[0], SO_RCVTIMEO, 0, 0);
		timeout(s[0], SO_SNDTIMEO, 0, 0);
		check_timeout(s[0], SO_RCVTIMEO, 0, 0);
		j.fd = s[1];
		th = party(sends_after_a_while, &j);
		CHECK_RET(recv(s[0], buf, sizeof buf, 0), 3);
		leaves(th);
		shut_both(s);
	}
}

TEST(a_timeout_that_was_set_is_the_timeout_got)
{
	static const long sec[] = { 0, 0, 1, 86400, 1000000 };
	static const long usec[] = { 20000, 980000, 500000, 0, 0 };
	int s = socket(AF_INET, SOCK_STREAM, 0);
	size_t i;

	check_timeout(s, SO_RCVTIMEO, 0, 0);
	check_timeout(s, SO_SNDTIMEO, 0, 0);
	for (i = 0; i < COUNT(sec); i++) {
		timeout(s, SO_RCVTIMEO, sec[i], usec[i]);
		check_timeout(s, SO_RCVTIMEO, sec[i], usec[i]);
		timeout(s, SO_SNDTIMEO, usec[i] / 20000, 0);
		check_timeout(s, SO_SNDTIMEO, usec[i] / 20000, 0);
		check_timeout(s, SO_RCVTIMEO, sec[i], usec[i]);
	}
	shut(s);
}

TEST(a_timeout_that_makes_no_sense_is_refused_and_changes_nothing)
{
	struct timeval tv = { 1, 1000000 };
	int s = socket(AF_INET, SOCK_STREAM, 0), p[2];
	struct job j;
	pthread_t th;
	char buf[8];

	timeout(s, SO_RCVTIMEO, 3, 0);
	CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), EDOM);
	tv.tv_usec = -1;
	CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), EDOM);
	tv.tv_usec = 0;
	CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, 4), EINVAL);
	CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, nowhere(), sizeof tv),
		  EFAULT);
	CHECK_ERR(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, NULL, sizeof tv),
		  EFAULT);
	check_timeout(s, SO_RCVTIMEO, 3, 0);
	CHECK_ERR(setsockopt(-1, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv),
		  EBADF);
	CHECK_INT(pipe(p), 0);
	CHECK_ERR(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv),
		  ENOTSOCK);
	shut_both(p);
	shut(s);

	/* None it is, and nothing else. */
	tcp_pair(p);
	tv = (struct timeval){ 0, -1 };
	CHECK_ERR(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv),
		  EDOM);
	tv = (struct timeval){ 0, 1 };
	CHECK_ERR(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, 7), EINVAL);
	j.fd = p[1];
	th = party(sends_after_a_while, &j);
	CHECK_RET(recv(p[0], buf, sizeof buf, 0), 3);
	leaves(th);
	shut_both(p);
}

/* Where the kernel's 64-bit times have option numbers of their own. */
#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#endif
#define SO_RCVTIMEO_PLAIN 20

TEST(both_numbers_of_SO_RCVTIMEO_are_known)
{
	unsigned char c;
	int64_t t;
	int s[2], i;

	if (sizeof(time_t) != 8 || SO_RCVTIMEO != SO_RCVTIMEO_PLAIN)
		SKIP("this machine numbers its options otherwise");
	for (i = 0; i < 2; i++) {
		tcp_pair(s);
		timeout(s[0], i ? SO_RCVTIMEO_NEW : SO_RCVTIMEO_PLAIN, 0,
			SHORT_US);
		check_timeout(s[0], i ? SO_RCVTIMEO_PLAIN : SO_RCVTIMEO_NEW, 0,
			      SHORT_US);
		t = t_now();
		CHECK_ERR(recv(s[0], &c, 1, 0), EAGAIN);
		CHECK(t_now() - t >= SHORT_AT_LEAST);
		shut_both(s);
	}
}

TEST(a_dup_shares_the_timeouts)
{
	unsigned char c;
	int64_t t;
	int s[2], d;

	tcp_pair(s);
	d = dup(s[0]);
	CHECK(d != -1);
	timeout(d, SO_RCVTIMEO, 0, SHORT_US);
	check_timeout(s[0], SO_RCVTIMEO, 0, SHORT_US);
	shut(d);
	t = t_now();
	CHECK_ERR(recv(s[0], &c, 1, 0), EAGAIN);
	CHECK(t_now() - t >= SHORT_AT_LEAST);
	shut_both(s);
}

/* IPV6_JOIN_GROUP has SO_RCVTIMEO's number, IPV6_LEAVE_GROUP SO_SNDTIMEO's, in
 * another level; so have some of IP's own. */
TEST(options_of_other_levels_are_not_taken_for_timeouts)
{
	struct ipv6_mreq group = { .ipv6mr_interface = 0 };
	struct timeval tv = { 0, SHORT_US };
	struct job j;
	pthread_t th;
	char buf[8];
	int s[2], s6, one = 1;

	tcp_pair(s);
	CHECK_RET(setsockopt(s[0], IPPROTO_IP, 21, &one, sizeof one), 0);
	setsockopt(s[0], IPPROTO_IP, 20, &tv, sizeof tv);
	setsockopt(s[0], IPPROTO_TCP, 20, &tv, sizeof tv);
	check_timeout(s[0], SO_RCVTIMEO, 0, 0);
	check_timeout(s[0], SO_SNDTIMEO, 0, 0);
	j.fd = s[1];
	th = party(sends_after_a_while, &j);
	CHECK_RET(recv(s[0], buf, sizeof buf, 0), 3);
	leaves(th);
	shut_both(s);

	s6 = socket(AF_INET6, SOCK_DGRAM, 0);
	if (s6 == -1)
		return;
	/* A group's length is not a timeout's. */
	group.ipv6mr_interface = if_nametoindex("lo");
	CHECK_INT(inet_pton(AF_INET6, "ff02::4242", &group.ipv6mr_multiaddr),
		  1);
	if (setsockopt(s6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group,
		       sizeof group) == 0)
		CHECK_RET(setsockopt(s6, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &group,
				     sizeof group),
			  0);
	else
		CHECK(errno != EINVAL);
	CHECK_ERR(setsockopt(s6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &tv, sizeof tv),
		  EINVAL);
	CHECK_ERR(
		setsockopt(s6, IPPROTO_IPV6, IPV6_LEAVE_GROUP, &tv, sizeof tv),
		EINVAL);
	check_timeout(s6, SO_RCVTIMEO, 0, 0);
	check_timeout(s6, SO_SNDTIMEO, 0, 0);
	shut(s6);
}

TEST(recv_is_interrupted_by_a_handler)
{
	int s[2];
	char c;

	tcp_pair(s);
	start_ticking(0);
	CHECK_ERR(recv(s[0], &c, 1, 0), EINTR);
	CHECK(ticks > 0);
	stop_ticking();
	shut_both(s);
}

static void *
sends_after_ticks(void *arg)
{
	struct job *j = arg;

	while (ticks < 3)
		usleep(1000);
	CHECK_INT(send(j->fd, "x", 1, 0), 1);
	return NULL;
}

TEST(recv_goes_on_after_a_handler_with_SA_RESTART)
{
	struct job j;
	pthread_t th;
	int s[2];
	char c;

	tcp_pair(s);
	j.fd = s[1];
	th = party(sends_after_ticks, &j);
	start_ticking(SA_RESTART);
	CHECK_RET(recv(s[0], &c, 1, 0), 1);
	stop_ticking();
	leaves(th);
	shut_both(s);
}

/* signal(7) has the list of calls that no flag restarts. */
TEST(recv_with_a_timeout_is_interrupted_even_with_SA_RESTART)
{
	int s[2];
	char c;

	tcp_pair(s);
	timeout(s[0], SO_RCVTIMEO, 15, 0);
	start_ticking(SA_RESTART);
	CHECK_ERR(recv(s[0], &c, 1, 0), EINTR);
	stop_ticking();
	shut_both(s);
}

/*
 * Descriptors in messages
 */

static void
send_fd(int s, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { { 0 } };
	struct iovec v = { (void *)"f", 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = u.buf,
			    .msg_controllen = sizeof u.buf };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	CHECK_RET(sendmsg(s, &m, 0), 1);
}

static int
recv_fd(int s, int flags)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { { 0 } };
	char byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = u.buf,
			    .msg_controllen = sizeof u.buf };
	struct cmsghdr *c;
	int fd = -1;

	CHECK_RET(recvmsg(s, &m, flags), 1);
	c = CMSG_FIRSTHDR(&m);
	CHECK(c != NULL);
	CHECK_INT(c->cmsg_type, SCM_RIGHTS);
	CHECK_INT(c->cmsg_len, CMSG_LEN(sizeof(int)));
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static void *
passes_a_pipe(void *arg)
{
	struct job *j = arg;
	int p[2];

	most_likely();
	CHECK_INT(pipe(p), 0);
	send_fd(j->fd, p[0]);
	shut(p[0]);
	most_likely();
	CHECK_RET(write(p[1], "hello", 5), 5);
	shut(p[1]);
	return NULL;
}

TEST(a_descriptor_out_of_a_message_can_be_waited_for)
{
	struct job j;
	pthread_t th;
	char buf[8];
	int s[2], fd;

	unix_pair(SOCK_STREAM, s);
	j.fd = s[1];
	th = party(passes_a_pipe, &j);
	fd = recv_fd(s[0], MSG_CMSG_CLOEXEC);
	CHECK(fd != -1);
	CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_RET(read(fd, buf, sizeof buf), 5);
	CHECK_RET(read(fd, buf, sizeof buf), 0);
	leaves(th);
	shut(fd);
	shut_both(s);
}

TEST(a_descriptor_out_of_a_message_shares_O_NONBLOCK_and_timeouts)
{
	int s[2], t[2], fd;
	int64_t before;
	char c;

	unix_pair(SOCK_DGRAM, s);
	tcp_pair(t);
	send_fd(s[0], t[0]);
	fd = recv_fd(s[1], 0);
	CHECK(fd != t[0]);
	set_nonblocking(t[0], true);
	CHECK(nonblocking(fd));
	CHECK_ERR(recv(fd, &c, 1, 0), EAGAIN);
	set_nonblocking(fd, false);
	timeout(t[0], SO_RCVTIMEO, 0, SHORT_US);
	before = t_now();
	CHECK_ERR(recv(fd, &c, 1, 0), EAGAIN);
	CHECK(t_now() - before >= SHORT_AT_LEAST);
	shut(fd);
	shut_both(t);
	shut_both(s);
}

TEST(a_descriptor_without_room_is_cut_off)
{
	char byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	int s[2];

	unix_pair(SOCK_STREAM, s);
	send_fd(s[0], s[1]);
	CHECK_RET(recvmsg(s[1], &m, 0), 1);
	CHECK_INT(m.msg_flags, MSG_CTRUNC);
	shut_both(s);
}

/*
 * What else sockets are asked
 */

TEST(poll_then_recv_without_waiting_is_how_database_clients_wait)
{
	struct job j = { .n = 3 };
	unsigned char buf[8];
	struct pollfd p;
	pthread_t th;
	int s[2], i;

	tcp_pair(s);
	set_nonblocking(s[0], true);
	for (i = 0; i < 5; i++) {
		CHECK_ERR(recv(s[0], buf, sizeof buf, 0), EAGAIN);
		j.fd = s[1];
		j.at = (size_t)i * 3;
		th = party(sends_later, &j);
		p = (struct pollfd){ .fd = s[0], .events = POLLIN };
		CHECK_RET(poll(&p, 1, 15000), 1);
		CHECK_INT(p.revents, POLLIN);
		CHECK_RET(recv(s[0], buf, sizeof buf, 0), 3);
		check_pattern(buf, 3, j.at);
		leaves(th);
	}
	shut_both(s);
}

TEST(FIONREAD_tells_what_is_there)
{
	struct job j = { .n = 100 };
	pthread_t th;
	int s[2], n = -1;
	char c;

	tcp_pair(s);
	j.fd = s[1];
	th = party(sends_later, &j);
	CHECK_RET(recv(s[0], &c, 1, MSG_PEEK), 1);
	CHECK_RET(ioctl(s[0], FIONREAD, &n), 0);
	CHECK_INT(n, 100);
	leaves(th);
	shut_both(s);
}

TEST(SO_RCVLOWAT_is_honoured)
{
	struct job j = { .n = 1000 };
	unsigned char buf[2000];
	int s[2], low = 300;
	pthread_t th;
	ssize_t n;

	tcp_pair(s);
	CHECK_RET(setsockopt(s[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low),
		  0);
	j.fd = s[1];
	th = party(sends_in_pieces, &j);
	n = recv(s[0], buf, sizeof buf, 0);
	CHECK(n >= low);
	check_pattern(buf, (size_t)n, 0);
	take(s[0], 1000 - (size_t)n, (size_t)n);
	leaves(th);
	shut(s[0]);
}

/* --- a short read, though there is more --- */

enum { ROOM = 64 << 10, SENT = 3 * ROOM };

static void *
sends_one(void *arg)
{
	most_likely();
	CHECK_INT(send(*(int *)arg, "x", 1, 0), 1);
	return NULL;
}

static void *
sends_it_all(void *arg)
{
	static unsigned char buf[SENT];

	pattern(buf, SENT, 0);
	CHECK_INT(send(*(int *)arg, buf, SENT, 0), SENT);
	return NULL;
}

/* The kernel gives what it could put there; the rest is still to be had. */
static void
short_of_memory(int by_poll)
{
	unsigned char *p = mmap(NULL, ROOM + SENT, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int s[2], there = 0, big = 4 * SENT;
	struct pollfd ready;
	pthread_t th;
	ssize_t r;
	char byte;

	CHECK(p != MAP_FAILED);
	CHECK_INT(mprotect(p + ROOM, SENT, PROT_NONE), 0);
	tcp_pair(s);
	CHECK_INT(setsockopt(s[1], SOL_SOCKET, SO_RCVBUF, &big, sizeof big), 0);
	/* It has been waited for. */
	th = party(sends_one, &s[0]);
	CHECK_INT(read(s[1], &byte, 1), 1);
	leaves(th);
	th = party(sends_it_all, &s[0]);
	leaves(th);
	while (there < SENT) {
		CHECK_INT(ioctl(s[1], FIONREAD, &there), 0);
		usleep(1000);
	}
	r = read(s[1], p, ROOM + SENT);
	CHECK(r > 0 && r <= ROOM);
	check_pattern(p, (size_t)r, 0);
	ready = (struct pollfd){ s[1], POLLIN, 0 };
	if (by_poll)
		CHECK_INT(poll(&ready, 1, -1), 1);
	take(s[1], SENT - (size_t)r, (size_t)r);
	munmap(p, ROOM + SENT);
	shut_both(s);
}

TEST(what_a_read_had_no_memory_for_is_read_after)
{
	short_of_memory(0);
	short_of_memory(1);
}
