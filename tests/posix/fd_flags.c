/* SPDX-License-Identifier: MIT */
/* fd_flags.c - what receiving and sending calls are asked for besides: all of
 * it, a look, urgent data, a connection that opens with the first data. */
#define _GNU_SOURCE 1

#include <netinet/tcp.h>
#include <sys/uio.h>

#include "party.h"

enum { PIECE = 100 };

struct sender {
	int fd;
	int pieces;
	int end; /* then shut down */
};

static void *
sends_pieces(void *arg)
{
	struct sender *s = arg;
	unsigned char buf[PIECE];
	int i;

	for (i = 0; i < s->pieces; i++) {
		most_likely();
		pattern(buf, sizeof buf, (size_t)(i * PIECE));
		CHECK_RET(send(s->fd, buf, sizeof buf, 0), sizeof buf);
	}
	most_likely();
	if (s->end)
		CHECK_INT(shutdown(s->fd, SHUT_WR), 0);
	return NULL;
}

/* recv(2) and recvmsg(2) alike. */
static ssize_t
gets(int fd, void *buf, size_t n, int flags, bool by_msg)
{
	struct iovec v = { buf, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return by_msg ? recvmsg(fd, &m, flags) : recv(fd, buf, n, flags);
}

static void
all_is_looked_at(bool by_msg)
{
	struct sender j = { .pieces = 3 };
	unsigned char buf[3 * PIECE];
	pthread_t th;
	int s[2];

	tcp_pair(s);
	j.fd = s[1];
	th = party(sends_pieces, &j);
	CHECK_RET(gets(s[0], buf, sizeof buf, MSG_PEEK | MSG_WAITALL, by_msg),
		  sizeof buf);
	check_pattern(buf, sizeof buf, 0);
	leaves(th);
	take(s[0], sizeof buf, 0);
	shut_both(s);
}

TEST(recv_looks_at_all_with_MSG_PEEK_and_MSG_WAITALL)
{
	all_is_looked_at(false);
}

TEST(recvmsg_looks_at_all_with_MSG_PEEK_and_MSG_WAITALL)
{
	all_is_looked_at(true);
}

static void
a_look_at_all_ends_with_the_data(bool by_msg)
{
	struct sender j = { .pieces = 2, .end = 1 };
	unsigned char buf[3 * PIECE];
	pthread_t th;
	int s[2];

	tcp_pair(s);
	j.fd = s[1];
	th = party(sends_pieces, &j);
	CHECK_RET(gets(s[0], buf, sizeof buf, MSG_PEEK | MSG_WAITALL, by_msg),
		  2 * PIECE);
	check_pattern(buf, 2 * PIECE, 0);
	CHECK_RET(gets(s[0], buf, sizeof buf, MSG_WAITALL, by_msg), 2 * PIECE);
	check_pattern(buf, 2 * PIECE, 0);
	CHECK_RET(gets(s[0], buf, sizeof buf, MSG_PEEK | MSG_WAITALL, by_msg),
		  0);
	leaves(th);
	shut_both(s);
}

TEST(recv_looks_no_further_than_the_end)
{
	a_look_at_all_ends_with_the_data(false);
}

TEST(recvmsg_looks_no_further_than_the_end)
{
	a_look_at_all_ends_with_the_data(true);
}

TEST(a_look_at_all_is_given_up_at_the_timeout)
{
	struct timeval tv = { .tv_usec = 50000 };
	unsigned char buf[3 * PIECE];
	struct sender j = { .pieces = 1 };
	int64_t began;
	int s[2];

	tcp_pair(s);
	j.fd = s[1];
	sends_pieces(&j);
	CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	began = t_now();
	CHECK_RET(recv(s[0], buf, sizeof buf, MSG_PEEK | MSG_WAITALL), PIECE);
	CHECK(t_now() - began >= 50 * T_MS);
	take(s[0], PIECE, 0);
	shut_both(s);
}

TEST(a_look_at_all_that_must_not_wait_does_not)
{
	unsigned char buf[3 * PIECE];
	struct sender j = { .pieces = 1 };
	int s[2];

	tcp_pair(s);
	j.fd = s[1];
	sends_pieces(&j);
	CHECK_RET(recv(s[0], buf, sizeof buf,
		       MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT),
		  PIECE);
	set_nonblocking(s[0], true);
	CHECK_RET(recv(s[0], buf, sizeof buf, MSG_PEEK | MSG_WAITALL), PIECE);
	shut_both(s);
}

/* Linux: of a Unix stream a look is at what is there. */
TEST(a_look_at_all_of_a_unix_stream_is_at_what_is_there)
{
	unsigned char buf[3 * PIECE];
	struct sender j = { .pieces = 1 };
	int s[2];

	unix_pair(SOCK_STREAM, s);
	j.fd = s[1];
	sends_pieces(&j);
	CHECK_RET(recv(s[0], buf, sizeof buf, MSG_PEEK | MSG_WAITALL), PIECE);
	shut_both(s);
}

/* MSG_WAITALL is for streams; a message is a message. */
TEST(MSG_WAITALL_takes_one_message)
{
	unsigned char buf[3 * PIECE];
	int s[2];

	unix_pair(SOCK_SEQPACKET, s);
	CHECK_RET(send(s[1], "one", 3, 0), 3);
	CHECK_RET(send(s[1], "two", 3, 0), 3);
	CHECK_RET(recv(s[0], buf, sizeof buf, MSG_WAITALL), 3);
	CHECK_RET(gets(s[0], buf, sizeof buf, MSG_WAITALL, true), 3);
	shut_both(s);
}

static void
waits_for_a_low_water_mark(const int s[2], ssize_t (*fn)(int, void *, size_t))
{
	struct sender j = { .fd = s[1], .pieces = 1 };
	unsigned char buf[10 * PIECE];
	int low = 3 * PIECE;
	pthread_t th;
	ssize_t n;

	CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low),
		  0);
	/* Some of it is there already. */
	sends_pieces(&j);
	j.pieces = 4;
	j.end = 1;
	th = party(sends_pieces, &j);
	n = fn(s[0], buf, sizeof buf);
	CHECK(n >= low);
	/* What is asked for is enough, and what is left at the end. */
	while (n < 5 * PIECE)
		n += fn(s[0], buf, PIECE);
	leaves(th);
	shut_both(s);
}

static ssize_t
by_recv(int fd, void *buf, size_t n)
{
	return recv(fd, buf, n, 0);
}

static ssize_t
by_recvmsg(int fd, void *buf, size_t n)
{
	return gets(fd, buf, n, 0, true);
}

TEST(read_waits_for_SO_RCVLOWAT_where_some_is_there)
{
	int s[2];

	tcp_pair(s);
	waits_for_a_low_water_mark(s, read);
	unix_pair(SOCK_STREAM, s);
	waits_for_a_low_water_mark(s, read);
}

TEST(recv_waits_for_SO_RCVLOWAT_where_some_is_there)
{
	int s[2];

	tcp_pair(s);
	waits_for_a_low_water_mark(s, by_recv);
	unix_pair(SOCK_STREAM, s);
	waits_for_a_low_water_mark(s, by_recv);
}

TEST(recvmsg_waits_for_SO_RCVLOWAT_where_some_is_there)
{
	int s[2];

	tcp_pair(s);
	waits_for_a_low_water_mark(s, by_recvmsg);
}

TEST(less_than_SO_RCVLOWAT_comes_at_the_end)
{
	struct sender j = { .pieces = 2, .end = 1 };
	unsigned char buf[10 * PIECE];
	int s[2], low = 5 * PIECE;
	pthread_t th;

	tcp_pair(s);
	j.fd = s[1];
	CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low),
		  0);
	th = party(sends_pieces, &j);
	CHECK_RET(read(s[0], buf, sizeof buf), 2 * PIECE);
	CHECK_RET(read(s[0], buf, sizeof buf), 0);
	leaves(th);
	shut_both(s);
}

/* Announced, but not there yet: EAGAIN, and no wait. */
TEST(urgent_data_is_never_waited_for)
{
	struct pollfd p = { .events = POLLPRI };
	int s[2], mark;
	char c;

	tcp_pair(s);
	CHECK_ERR(recv(s[0], &c, 1, MSG_OOB), EINVAL);
	CHECK_RET(send(s[1], "abc", 3, MSG_OOB), 3);
	p.fd = s[0];
	CHECK_RET(poll(&p, 1, -1), 1);
	/* A read stops before the mark, and does not wait at it. */
	CHECK_RET(read(s[0], (char[8]){ 0 }, 8), 2);
	CHECK_INT(sockatmark(s[0]), 1);
	CHECK_RET(recv(s[0], &c, 1, MSG_OOB), 1);
	CHECK_INT(c, 'c');
	CHECK_ERR(recv(s[0], &c, 1, MSG_OOB), EINVAL);
	CHECK_RET(send(s[1], "d", 1, 0), 1);
	CHECK_RET(read(s[0], &c, 1), 1);
	CHECK_INT(c, 'd');
	mark = sockatmark(s[0]);
	CHECK_INT(mark, 0);
	shut_both(s);
}

TEST(urgent_data_in_line_is_read_in_its_place)
{
	int s[2], on = 1;
	char buf[8];

	tcp_pair(s);
	CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof on),
		  0);
	CHECK_RET(send(s[1], "ab", 2, MSG_OOB), 2);
	CHECK_RET(send(s[1], "cd", 2, 0), 2);
	CHECK_RET(recv(s[0], buf, 1, MSG_WAITALL), 1);
	CHECK_RET(recv(s[0], buf, 1, MSG_WAITALL), 1);
	CHECK_INT(buf[0], 'b');
	CHECK_RET(recv(s[0], buf, 2, MSG_WAITALL), 2);
	CHECK(memcmp(buf, "cd", 2) == 0);
	shut_both(s);
}

static void *
accepts_and_reads(void *arg)
{
	int *l = arg, s;

	most_likely();
	s = accept(*l, NULL, NULL);
	CHECK(s != -1);
	take(s, 3 * PIECE, 0);
	shut(s);
	return NULL;
}

#ifdef TCP_FASTOPEN_CONNECT
TEST(a_connection_may_open_with_the_first_write)
{
	unsigned char buf[3 * PIECE];
	struct sockaddr_in addr;
	int l = listener(&addr), s, on = 1;
	pthread_t th;

	pattern(buf, sizeof buf, 0);
	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s != -1);
	if (setsockopt(s, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on) !=
	    0)
		SKIP("no TCP_FASTOPEN_CONNECT");
	th = party(accepts_and_reads, &l);
	CHECK_RET(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	CHECK_RET(write(s, buf, sizeof buf), sizeof buf);
	leaves(th);
	shut(s);
	shut(l);
}
#endif

#ifdef MSG_FASTOPEN
TEST(sendto_connects_with_MSG_FASTOPEN)
{
	unsigned char buf[3 * PIECE];
	struct sockaddr_in addr;
	int l = listener(&addr), s;
	pthread_t th;

	pattern(buf, sizeof buf, 0);
	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s != -1);
	th = party(accepts_and_reads, &l);
	CHECK_RET(sendto(s, buf, sizeof buf, MSG_FASTOPEN,
			 (struct sockaddr *)&addr, sizeof addr),
		  sizeof buf);
	leaves(th);
	shut(s);
	shut(l);
}

TEST(sendto_with_MSG_FASTOPEN_to_nobody_is_ECONNREFUSED)
{
	struct sockaddr_in addr;
	int l = bound(SOCK_STREAM, &addr), s; /* and not listening */

	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s != -1);
	CHECK_ERR(sendto(s, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&addr,
			 sizeof addr),
		  ECONNREFUSED);
	shut(s);
	shut(l);
}
#endif

/* Control data that passes no descriptors changes nothing for others. */
TEST(a_socket_that_sends_control_data_stays_what_it_is)
{
	struct sockaddr_in addr;
	int from = socket(AF_INET, SOCK_DGRAM, 0),
	    to = bound(SOCK_DGRAM, &addr);
	struct iovec v = { (char *)"x", 1 };
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u;
	struct msghdr m = { .msg_name = &addr,
			    .msg_namelen = sizeof addr,
			    .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &u,
			    .msg_controllen = sizeof u.room };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	char buf[4];
	int ttl = 7;

	memset(&u, 0, sizeof u);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_TTL;
	c->cmsg_len = CMSG_LEN(sizeof ttl);
	memcpy(CMSG_DATA(c), &ttl, sizeof ttl);
	CHECK_RET(sendmsg(from, &m, 0), 1);
	CHECK_RET(recv(to, buf, sizeof buf, 0), 1);
	/* A length that is no header's: the kernel says what it thinks. */
	c->cmsg_len = 3;
	CHECK_ERR(sendmsg(from, &m, 0), EINVAL);
	m.msg_control = nowhere();
	CHECK_ERR(sendmsg(from, &m, 0), EFAULT);
	shut(from);
	shut(to);
}

/* --- an error that comes after some of it --- */

/* What is left unread when it is closed resets the connection. */
static void
reset(int fd)
{
	CHECK_INT(poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1), 1);
	shut(fd);
}

static void
an_error_is_left_for_the_next(bool by_msg)
{
	unsigned char buf[3 * PIECE];
	struct sender j = { .pieces = 1 };
	int s[2];

	tcp_pair(s);
	CHECK_RET(write(s[0], "x", 1), 1);
	j.fd = s[1];
	sends_pieces(&j);
	reset(s[1]);
	CHECK_RET(gets(s[0], buf, sizeof buf, MSG_WAITALL, by_msg), PIECE);
	CHECK_ERR(gets(s[0], buf, sizeof buf, MSG_WAITALL, by_msg), ECONNRESET);
	CHECK_RET(read(s[0], buf, sizeof buf), 0);
	shut(s[0]);
}

TEST(recv_of_all_leaves_an_error_for_the_next)
{
	an_error_is_left_for_the_next(false);
}

TEST(recvmsg_of_all_leaves_an_error_for_the_next)
{
	an_error_is_left_for_the_next(true);
}

static void *
resets_later(void *arg)
{
	int *fd = arg;
	char c;

	most_likely();
	CHECK_RET(read(*fd, &c, 1), 1);
	shut(*fd);
	return NULL;
}

static ssize_t
by_send(int fd, const void *buf, size_t n)
{
	return send(fd, buf, n, 0);
}

static ssize_t
by_sendmsg(int fd, const void *buf, size_t n)
{
	struct iovec v = { (void *)(uintptr_t)buf, n };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	return sendmsg(fd, &m, 0);
}

TEST(a_write_that_is_cut_short_leaves_the_error_for_the_next)
{
	static ssize_t (*const by[])(int, const void *,
				     size_t) = { write, by_send, by_sendmsg };
	enum { MUCH = 64 << 20 };
	char *much = calloc(1, MUCH);
	pthread_t th;
	size_t i;
	int s[2];

	CHECK(much != NULL);
	for (i = 0; i < COUNT(by); i++) {
		tcp_pair(s);
		th = party(resets_later, &s[1]);
		CHECK(by[i](s[0], much, MUCH) < MUCH);
		CHECK_ERR(by[i](s[0], much, MUCH), ECONNRESET);
		leaves(th);
		shut(s[0]);
	}
	free(much);
}

/* --- datagrams of a socket that is shut down --- */

static void *
shuts_down_later(void *arg)
{
	int *fd = arg;

	most_likely();
	/* Of a socket that is not connected it says so, and wakes. */
	CHECK(shutdown(*fd, SHUT_RD) == 0 || errno == ENOTCONN);
	return NULL;
}

static ssize_t
by_readv(int fd, void *buf, size_t n)
{
	struct iovec v[2] = { { buf, n / 2 }, { (char *)buf + n / 2, n / 2 } };

	return readv(fd, v, 2);
}

static ssize_t
by_recvfrom(int fd, void *buf, size_t n)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	return recvfrom(fd, buf, n, 0, (struct sockaddr *)&a, &len);
}

static int
udp_alone(void)
{
	struct sockaddr_in addr;

	return bound(SOCK_DGRAM, &addr);
}

static int
udp_connected(void)
{
	struct sockaddr_in addr;
	int s = bound(SOCK_DGRAM, &addr);

	CHECK_INT(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	return s;
}

static int
unix_dgram(void)
{
	int s[2];

	unix_pair(SOCK_DGRAM, s);
	shut(s[1]);
	return s[0];
}

TEST(shutdown_wakes_who_waits_for_a_datagram)
{
	static ssize_t (*const by[])(int, void *,
				     size_t) = { read, by_readv, by_recv,
						 by_recvfrom, by_recvmsg };
	static int (*const make[])(void) = { udp_alone, udp_connected,
					     unix_dgram };
	char buf[100];
	pthread_t th;
	size_t i, k;
	int s;

	for (i = 0; i < COUNT(by); i++)
		for (k = 0; k < COUNT(make); k++) {
			s = make[k]();
			th = party(shuts_down_later, &s);
			CHECK_RET(by[i](s, buf, sizeof buf), 0);
			CHECK_RET(by[i](s, buf, sizeof buf), 0);
			CHECK_ERR(recv(s, buf, sizeof buf, MSG_DONTWAIT),
				  EAGAIN);
			set_nonblocking(s, true);
			CHECK_ERR(by[i](s, buf, sizeof buf), EAGAIN);
			leaves(th);
			shut(s);
		}
}

/* What came before is there, and then the end. */
TEST(datagrams_before_a_shutdown_are_read)
{
	struct sockaddr_in addr;
	int s = bound(SOCK_DGRAM, &addr);
	char buf[10];

	CHECK_INT(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	CHECK_RET(send(s, "one", 3, 0), 3);
	CHECK_RET(send(s, "two", 3, 0), 3);
	CHECK_INT(shutdown(s, SHUT_RD), 0);
	CHECK_RET(read(s, buf, sizeof buf), 3);
	CHECK_RET(read(s, buf, sizeof buf), 3);
	CHECK_RET(read(s, buf, sizeof buf), 0);
	shut(s);
}

/* --- flags that mean nothing to a Unix socket --- */

TEST(a_unix_socket_has_no_error_queue_and_waits)
{
	struct sender j = { .pieces = 1 };
	unsigned char buf[PIECE];
	pthread_t th;
	int s[2];

	unix_pair(SOCK_STREAM, s);
	j.fd = s[1];
	th = party(sends_pieces, &j);
	CHECK_RET(recv(s[0], buf, sizeof buf, MSG_ERRQUEUE), PIECE);
	leaves(th);
	shut_both(s);
}

TEST(all_of_it_ends_at_urgent_data)
{
	unsigned char buf[3 * PIECE];
	int s[2];

	tcp_pair(s);
	CHECK_RET(send(s[1], "ab", 2, 0), 2);
	CHECK_RET(send(s[1], "!", 1, MSG_OOB), 1);
	CHECK_RET(send(s[1], "cd", 2, 0), 2);
	CHECK_INT(poll(&(struct pollfd){ s[0], POLLPRI, 0 }, 1, -1), 1);
	CHECK_RET(recv(s[0], buf, sizeof buf, MSG_WAITALL), 2);
	CHECK_RET(recv(s[0], buf, 2, MSG_WAITALL), 2);
	CHECK_INT(buf[0], 'c');
	shut_both(s);
}

/* The first that fails ends it, and the count is the answer. */
TEST(sendmmsg_ends_with_the_first_that_fails)
{
	struct sockaddr_in addr;
	int nobody = bound(SOCK_DGRAM, &addr), s, i;
	struct iovec v = { (char *)"x", 1 };
	struct mmsghdr m[3] = { 0 };

	shut(nobody);
	s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s != -1);
	CHECK_INT(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	for (i = 0; i < 3; i++) {
		m[i].msg_hdr.msg_iov = &v;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	/* The first is refused at once, which the second says. */
	CHECK_RET(sendmmsg(s, m, 3, 0), 1);
	shut(s);
}
