/* SPDX-License-Identifier: MIT */
/* fd_send.c - sockets: sending, what waits for room, and how it ends. */
#define _GNU_SOURCE 1

#include "sockets.h"

#include <limits.h>

static void
waits_for_room(transmit *put)
{
	struct job j;
	unsigned char c;
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 2; i++) {
		stream_pair(i, s);
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
		stream_pair(i, s);
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
