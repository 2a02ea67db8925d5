/* SPDX-License-Identifier: MIT */
/* fd_recv.c - sockets: receiving, what waits for it, and how it ends. */
#define _GNU_SOURCE 1

#include "sockets.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

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
		stream_pair(i, s);
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
		stream_pair(i, s);
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

TEST(read_of_nothing_is_0_at_once_and_so_is_send)
{
	struct iovec v = { NULL, 0 };
	int s[2], i;
	char c = 0;

	for (i = 0; i < 2; i++) {
		stream_pair(i, s);
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
		stream_pair(i, s);
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

/*
 * Signals
 */

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
