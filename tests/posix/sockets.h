/* SPDX-License-Identifier: MIT */
/* sockets.h - what the programs about sockets share: the calls that one claim
 * holds for, other parties, and options. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "jobs.h"

#include <netinet/tcp.h>
#include <sys/uio.h>

/* More than any buffer of the kernel's takes. */
#define BIG (8u << 20)
/* Who waits where many wait. */
#define CROWD 20

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

static inline ssize_t
by_recv(int fd, void *buf, size_t n, int flags)
{
	return recv(fd, buf, n, flags);
}

static inline ssize_t
by_recvfrom(int fd, void *buf, size_t n, int flags)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;

	return recvfrom(fd, buf, n, flags, (struct sockaddr *)&from, &len);
}

/* In two pieces, where there is room for two. */
static inline ssize_t
by_recvmsg(int fd, void *buf, size_t n, int flags)
{
	struct iovec v[2] = { { buf, n / 2 },
			      { (char *)buf + n / 2, n - n / 2 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };

	return recvmsg(fd, &m, flags);
}

static inline ssize_t
by_read(int fd, void *buf, size_t n, int flags)
{
	CHECK_INT(flags, 0);
	return read(fd, buf, n);
}

static inline ssize_t
by_readv(int fd, void *buf, size_t n, int flags)
{
	struct iovec v[2] = { { buf, n / 2 },
			      { (char *)buf + n / 2, n - n / 2 } };

	CHECK_INT(flags, 0);
	return readv(fd, v, 2);
}

static inline ssize_t
by_send(int fd, const void *buf, size_t n, int flags)
{
	return send(fd, buf, n, flags);
}

static inline ssize_t
by_sendto(int fd, const void *buf, size_t n, int flags)
{
	return sendto(fd, buf, n, flags, NULL, 0);
}

static inline ssize_t
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

static inline ssize_t
by_write(int fd, const void *buf, size_t n, int flags)
{
	CHECK_INT(flags, 0);
	return write(fd, buf, n);
}

static inline ssize_t
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

static inline void *
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

static inline void *
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

/* close() of such a socket sends a reset. */
static inline void
abortive(int fd)
{
	struct linger l = { 1, 0 };

	CHECK_RET(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
}

static inline void
timeout(int fd, int opt, long sec, long usec)
{
	struct timeval tv = { sec, usec };

	CHECK_RET(setsockopt(fd, SOL_SOCKET, opt, &tv, sizeof tv), 0);
}

static inline void
check_timeout(int fd, int opt, long sec, long usec)
{
	struct timeval tv = { -1, -1 };
	socklen_t len = sizeof tv;

	CHECK_RET(getsockopt(fd, SOL_SOCKET, opt, &tv, &len), 0);
	CHECK_INT(len, sizeof tv);
	CHECK_INT(tv.tv_sec, sec);
	CHECK_INT(tv.tv_usec, usec);
}

static inline int
so_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	CHECK_RET(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	return err;
}

/*
 * Connections
 */

/* A listener whose queue is full: a further connect stays in progress until
 * somebody accepts.  *filler is who fills it. */
static inline void
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

/* Connected both ways. */
static inline void
udp_pair(int s[2])
{
	struct sockaddr_in a[2];

	s[0] = bound(SOCK_DGRAM, &a[0]);
	s[1] = bound(SOCK_DGRAM, &a[1]);
	CHECK_RET(connect(s[0], (struct sockaddr *)&a[1], sizeof a[1]), 0);
	CHECK_RET(connect(s[1], (struct sockaddr *)&a[0], sizeof a[0]), 0);
}

/* Connected streams: of TCP, or Unix ones. */
static inline void
stream_pair(int unix_, int s[2])
{
	if (unix_)
		unix_pair(SOCK_STREAM, s);
	else
		tcp_pair(s);
}

/* What keeps messages apart: UDP, and two kinds of Unix sockets. */
static inline void
message_pair(int kind, int s[2])
{
	if (kind == 0)
		udp_pair(s);
	else
		unix_pair(kind == 1 ? SOCK_DGRAM : SOCK_SEQPACKET, s);
}

#endif
