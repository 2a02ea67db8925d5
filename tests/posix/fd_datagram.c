/* SPDX-License-Identifier: MIT */
/* fd_datagram.c - sockets: messages, which come whole, cut off, empty or not at all. */
#define _GNU_SOURCE 1

#include "sockets.h"

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

static void
keeps_messages_apart(receive *get)
{
	unsigned char buf[100];
	int s[2], i;

	for (i = 0; i < 3; i++) {
		message_pair(i, s);
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
		message_pair(i, s);
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
		message_pair(i, s);
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
