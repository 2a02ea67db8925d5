/* SPDX-License-Identifier: MIT */
/* fd_connect.c - sockets: who connects and who accepts, by port and by name. */
#define _GNU_SOURCE 1

#include "sockets.h"

#include <sys/resource.h>

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
