/* SPDX-License-Identifier: MIT */
/* fd_timeout.c - sockets: SO_RCVTIMEO and SO_SNDTIMEO, and who gives up by them. */
#define _GNU_SOURCE 1

#include "sockets.h"

#include <arpa/inet.h>
#include <net/if.h>

/*
 * Who gives up
 */

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

/*
 * What may be set, and what it is taken for
 */

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
