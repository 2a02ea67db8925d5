/* SPDX-License-Identifier: MIT */
/* cancel_fds.c - pthread_cancel in each call that waits for a descriptor. */
#define _GNU_SOURCE 1
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "cancel.h"

/*
 * Pipes and sockets
 */

static int listening;
static size_t stuffed;

CALL(read, open_pipe, waits_in_read, comes, shut_pair);
ALL(read)

static void
waits_in_readv(void)
{
	char a[2], b[2];
	struct iovec v[2] = { { a, 2 }, { b, 2 } };

	CHECK_INT(readv(p[0], v, 2), 1);
}

CALL(readv, open_pipe, waits_in_readv, comes, shut_pair);
ALL(readv)

CALL(fgets, open_stdin, waits_in_fgets, comes, shut_pair);
ALL(fgets)

static void
open_full_pipe(void)
{
	OK(pipe(p));
	stuffed = stuff(p[1]);
}

static void
drains(void)
{
	take(p[0], stuffed, 0);
}

static void
waits_in_write(void)
{
	CHECK_INT(write(p[1], "x", 1), 1);
}

CALL(write, open_full_pipe, waits_in_write, drains, shut_pair);
ALL(write)

static void
open_tcp(void)
{
	tcp_pair(p);
}

static void
open_unix(void)
{
	unix_pair(SOCK_STREAM, p);
}

static void
open_datagrams(void)
{
	unix_pair(SOCK_DGRAM, p);
}

CALL(read_tcp, open_tcp, waits_in_read, comes, shut_pair);
ALL(read_tcp)

static void
waits_in_recv(void)
{
	char c;

	CHECK_INT(recv(p[0], &c, 1, 0), 1);
}

CALL(recv, open_tcp, waits_in_recv, comes, shut_pair);
ALL(recv)

static void
waits_in_recvfrom(void)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	char c[4];

	CHECK_INT(recvfrom(p[0], c, 4, 0, (struct sockaddr *)&from, &len), 1);
}

CALL(recvfrom, open_datagrams, waits_in_recvfrom, comes, shut_pair);
ALL(recvfrom)

static void
waits_in_recvmsg(void)
{
	char c[4];
	struct iovec v = { c, 4 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	CHECK_INT(recvmsg(p[0], &m, 0), 1);
}

CALL(recvmsg, open_unix, waits_in_recvmsg, comes, shut_pair);
ALL(recvmsg)

static void
open_full_unix(void)
{
	open_unix();
	stuffed = stuff(p[1]);
}

static void
waits_in_send(void)
{
	CHECK_INT(send(p[1], "x", 1, 0), 1);
}

CALL(send, open_full_unix, waits_in_send, drains, shut_pair);
ALL(send)

static void
waits_in_sendmsg(void)
{
	char x[] = "x";
	struct iovec v = { x, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	CHECK_INT(sendmsg(p[1], &m, 0), 1);
}

CALL(sendmsg, open_full_unix, waits_in_sendmsg, drains, shut_pair);
ALL(sendmsg)

static struct sockaddr_in listens_at;
static int clients[2];

static void
open_listener(void)
{
	listening = listener(&listens_at);
}

static void
calls(void)
{
	clients[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(clients[0] != -1);
	OK(connect(clients[0], (struct sockaddr *)&listens_at,
		   sizeof listens_at));
}

static void
waits_in_accept(void)
{
	int s = accept(listening, NULL, NULL);

	CHECK(s != -1);
	shut(s);
}

static void
shut_listener(void)
{
	shut(clients[0]);
	shut(listening);
}

CALL(accept, open_listener, waits_in_accept, calls, shut_listener);
ALL(accept)

/* A Unix listener whose queue is full: the next to connect waits. */
static struct sockaddr_un full;
static socklen_t full_len;

static void
open_full_listener(void)
{
	int i;

	full_len = unix_name(&full, "full");
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(listening != -1);
	OK(bind(listening, (struct sockaddr *)&full, full_len));
	OK(listen(listening, 0));
	for (i = 0; i < 2; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		CHECK(clients[i] != -1);
	}
	OK(connect(clients[0], (struct sockaddr *)&full, full_len));
}

static void
waits_in_connect(void)
{
	OK(connect(clients[1], (struct sockaddr *)&full, full_len));
}

static void
shut_full_listener(void)
{
	shut_both(clients);
	shut(listening);
}

CALL(connect, open_full_listener, waits_in_connect, waits_in_accept,
     shut_full_listener);
ALL(connect)

/*
 * Several at once
 */

CALL(poll, open_pipe, waits_in_poll, comes, shut_pair);
ALL(poll)

/* More than fit where few are kept. */
static void
waits_in_ppoll(void)
{
	struct timespec ts = { THR_LONG / 1000000000, 0 };
	struct pollfd f[100];
	size_t i;

	for (i = 0; i < LEN(f); i++)
		f[i] = (struct pollfd){ .fd = p[0], .events = POLLIN };
	CHECK_INT(ppoll(f, LEN(f), &ts, NULL), LEN(f));
}

CALL(ppoll, open_pipe, waits_in_ppoll, comes, shut_pair);
ALL(ppoll)

static void
waits_in_select(void)
{
	struct timeval tv = { THR_LONG / 1000000000, 0 };
	fd_set r;

	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_INT(select(p[0] + 1, &r, NULL, NULL, &tv), 1);
}

CALL(select, open_pipe, waits_in_select, comes, shut_pair);
ALL(select)

static void
waits_in_pselect(void)
{
	fd_set r;

	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_INT(pselect(p[0] + 1, &r, NULL, NULL, NULL, NULL), 1);
}

CALL(pselect, open_pipe, waits_in_pselect, comes, shut_pair);
ALL(pselect)

static void
open_epoll(void)
{
	struct epoll_event e = { .events = EPOLLIN };

	open_pipe();
	listening = epoll_create1(0);
	CHECK(listening != -1);
	OK(epoll_ctl(listening, EPOLL_CTL_ADD, p[0], &e));
}

static void
waits_in_epoll(void)
{
	struct epoll_event e;

	CHECK_INT(epoll_wait(listening, &e, 1, -1), 1);
}

static void
shut_epoll(void)
{
	shut_pair();
	shut(listening);
}

CALL(epoll_wait, open_epoll, waits_in_epoll, comes, shut_epoll);
ALL(epoll_wait)

/*
 * Files
 */

/* A file's lock that another description holds. */
static int
set_lock(int fd, int cmd, int type)
{
	struct flock l = { .l_type = (short)type, .l_whence = SEEK_SET };

	return fcntl(fd, cmd, &l);
}

static void
open_locked(void)
{
	char name[] = "/tmp/cancel-XXXXXX";

	p[0] = mkstemp(name);
	CHECK(p[0] != -1);
	p[1] = open(name, O_RDWR);
	CHECK(p[1] != -1);
	OK(unlink(name));
	OK(set_lock(p[0], F_OFD_SETLK, F_WRLCK));
}

static void
unlocks_file(void)
{
	OK(set_lock(p[0], F_OFD_SETLK, F_UNLCK));
}

static void
waits_in_fcntl(void)
{
	OK(set_lock(p[1], F_OFD_SETLKW, F_WRLCK));
}

CALL(fcntl, open_locked, waits_in_fcntl, unlocks_file, shut_pair);
ALL(fcntl)

/* Not a wait at all, but a cancellation point. */
static int to_close;

static void
open_one(void)
{
	to_close = open("/dev/null", O_RDONLY);
	CHECK(to_close != -1);
}

static void
closes(void)
{
	OK(close(to_close));
}

CALL(close, open_one, closes, nothing, nothing);
SEES(close)
