/* SPDX-License-Identifier: MIT */
/* fd_socket.c - sockets: making them, what they are asked, and what is none. */
#define _GNU_SOURCE 1

#include "sockets.h"

#include <limits.h>
#include <sys/ioctl.h>

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
 * What is no socket, and what none can do
 */

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
		stream_pair(i, s);
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
