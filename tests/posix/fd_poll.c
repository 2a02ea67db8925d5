/* SPDX-License-Identifier: MIT */
/* fd_poll.c - poll, ppoll and select. */
#define _GNU_SOURCE 1

#include "jobs.h"

#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

/* In revents before the call, to see that it is overwritten. */
#define JUNK 0x5a5a

static void *
writes_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	CHECK_RET(write(j->fd, "abc", 3), 3);
	return NULL;
}

static void *
reads_all_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	take(j->fd, j->n, 0);
	return NULL;
}

/* One descriptor for ever, by poll() or by ppoll(), and the checked twins. */
typedef int wait_for_one(struct pollfd *p);

static int
by_poll(struct pollfd *p)
{
	return poll(p, 1, -1);
}

static int
by_ppoll(struct pollfd *p)
{
	return ppoll(p, 1, NULL, NULL);
}

static int
by_checked_poll(struct pollfd *p)
{
	struct pollfd copy[1] = { *p };
	int r = __poll_chk(copy, 1, INT_MAX, sizeof copy);

	*p = copy[0];
	return r;
}

static int
by_checked_ppoll(struct pollfd *p)
{
	struct timespec long_time = { 100000, 999999999 };
	struct pollfd copy[1] = { *p };
	int r = __ppoll_chk(copy, 1, &long_time, NULL, sizeof copy);

	/* Unlike the system call, the function leaves it alone. */
	CHECK_INT(long_time.tv_sec, 100000);
	CHECK_INT(long_time.tv_nsec, 999999999);
	*p = copy[0];
	return r;
}

/* select() put as poll(): what it can tell apart. */
static int
by_select(struct pollfd *p)
{
	fd_set r, w, x;
	int n, bits;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&x);
	if (p->events & POLLIN)
		FD_SET(p->fd, &r);
	if (p->events & POLLOUT)
		FD_SET(p->fd, &w);
	if (p->events & POLLPRI)
		FD_SET(p->fd, &x);
	n = select(p->fd + 1, &r, &w, &x, NULL);
	if (n == -1)
		return n;
	p->revents = (short)((FD_ISSET(p->fd, &r) ? POLLIN : 0) |
			     (FD_ISSET(p->fd, &w) ? POLLOUT : 0) |
			     (FD_ISSET(p->fd, &x) ? POLLPRI : 0));
	bits = !!(p->revents & POLLIN) + !!(p->revents & POLLOUT) +
	       !!(p->revents & POLLPRI);
	CHECK_INT(n, bits);
	return 1;
}

#define CASE(call, fact)         \
	TEST(call##_##fact)      \
	{                        \
		fact(by_##call); \
	}
#define EACH(fact)        \
	CASE(poll, fact)  \
	CASE(ppoll, fact) \
	CASE(checked_poll, fact) CASE(checked_ppoll, fact) CASE(select, fact)

static void
check_one(wait_for_one *w, int fd, int events, int revents)
{
	struct pollfd p = { fd, (short)events, JUNK };

	CHECK_RET(w(&p), 1);
	CHECK_INT(p.fd, fd);
	CHECK_INT(p.events, events);
	CHECK_INT(p.revents, revents);
}

static void
waits_for_data(wait_for_one *w)
{
	struct job j;
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 3; i++) {
		if (i == 0)
			a_pipe(s);
		else if (i == 1)
			tcp_pair(s);
		else
			unix_pair(SOCK_DGRAM, s);
		j.fd = s[1];
		th = party(writes_later, &j);
		check_one(w, s[0], POLLIN, POLLIN);
		leaves(th);
		/* Level, not edge: it is still there. */
		check_one(w, s[0], POLLIN, POLLIN);
		CHECK_INT(poll_now(s[0], POLLIN), POLLIN);
		shut_both(s);
	}
}
EACH(waits_for_data)

static void
waits_for_room(wait_for_one *w)
{
	struct job j;
	pthread_t th;
	int s[2], i;

	for (i = 0; i < 3; i++) {
		if (i == 0)
			a_pipe(s);
		else if (i == 1)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		j.n = stuff(s[1]);
		CHECK_INT(poll_now(s[1], POLLOUT), 0);
		j.fd = s[0];
		th = party(reads_all_later, &j);
		check_one(w, s[1], POLLOUT, POLLOUT);
		leaves(th);
		shut_both(s);
	}
}
EACH(waits_for_room)

static void
says_in_and_out_of_one_descriptor(wait_for_one *w)
{
	int s[2];

	unix_pair(SOCK_STREAM, s);
	check_one(w, s[0], POLLIN | POLLOUT, POLLOUT);
	CHECK_INT(write(s[1], "x", 1), 1);
	check_one(w, s[0], POLLIN | POLLOUT, POLLIN | POLLOUT);
	shut_both(s);
}
EACH(says_in_and_out_of_one_descriptor)

static void
sees_what_is_left_after_each_read(wait_for_one *w)
{
	pthread_t th = 0;
	struct job j;
	int p[2], i;
	char c;

	/* Three bytes come at a time and one is taken at a time. */
	a_pipe(p);
	j.fd = p[1];
	for (i = 0; i < 12; i++) {
		if (i % 3 == 0)
			th = party(writes_later, &j);
		check_one(w, p[0], POLLIN, POLLIN);
		CHECK_RET(read(p[0], &c, 1), 1);
		CHECK_INT(c, "abc"[i % 3]);
		if (i % 3 == 2)
			leaves(th);
	}
	CHECK_INT(poll_now(p[0], POLLIN), 0);
	shut_both(p);
}
EACH(sees_what_is_left_after_each_read)

static void
takes_regular_files_for_ready(wait_for_one *w)
{
	FILE *f = tmpfile();
	int fd;

	CHECK(f != NULL);
	check_one(w, fileno(f), POLLIN, POLLIN);
	check_one(w, fileno(f), POLLIN | POLLOUT, POLLIN | POLLOUT);
	fclose(f);
	fd = open("/dev/null", O_RDWR);
	CHECK(fd != -1);
	check_one(w, fd, POLLIN | POLLOUT, POLLIN | POLLOUT);
	shut(fd);
}
EACH(takes_regular_files_for_ready)

static void
waits_for_a_connection(wait_for_one *w)
{
	struct sockaddr_in addr;
	int l = listener(&addr), s = socket(AF_INET, SOCK_STREAM, 0), a;

	CHECK_INT(poll_now(l, POLLIN | POLLOUT), 0);
	CHECK_RET(connect(s, (struct sockaddr *)&addr, sizeof addr), 0);
	check_one(w, l, POLLIN, POLLIN);
	a = accept(l, NULL, NULL);
	CHECK(a != -1);
	CHECK_INT(poll_now(l, POLLIN), 0);
	shut(a);
	shut(s);
	shut(l);
}
EACH(waits_for_a_connection)

static void *
sends_urgently_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	CHECK_RET(send(j->fd, "!", 1, MSG_OOB), 1);
	return NULL;
}

static void
waits_for_urgent_data(wait_for_one *w)
{
	struct job j;
	pthread_t th;
	int s[2];

	tcp_pair(s);
	j.fd = s[1];
	th = party(sends_urgently_later, &j);
	check_one(w, s[0], POLLPRI, POLLPRI);
	leaves(th);
	shut_both(s);
}
EACH(waits_for_urgent_data)

static void
is_interrupted_even_with_SA_RESTART(wait_for_one *w)
{
	struct pollfd p = { .events = POLLIN };
	int fds[2], i;

	a_pipe(fds);
	p.fd = fds[0];
	for (i = 0; i < 2; i++) {
		start_ticking(i == 0 ? SA_RESTART : 0);
		CHECK_ERR(w(&p), EINTR);
		stop_ticking();
		CHECK(ticks > i);
	}
	shut_both(fds);
}
EACH(is_interrupted_even_with_SA_RESTART)

#define CROWD 20

struct member {
	wait_for_one *wait;
	int fd, events;
	pthread_t th;
};

static void *
one_of_the_crowd(void *arg)
{
	struct member *m = arg;

	check_one(m->wait, m->fd, m->events, m->events);
	return NULL;
}

static void
wakes_all_who_wait_for_one_descriptor(wait_for_one *w)
{
	struct member m[2 * CROWD];
	int s[2], i;
	size_t n;

	unix_pair(SOCK_STREAM, s);
	n = stuff(s[0]);
	for (i = 0; i < 2 * CROWD; i++) {
		m[i].wait = w;
		m[i].fd = s[0];
		m[i].events = i < CROWD ? POLLIN : POLLOUT;
		m[i].th = party(one_of_the_crowd, &m[i]);
	}
	most_likely();
	CHECK_RET(write(s[1], "x", 1), 1);
	for (i = 0; i < CROWD; i++)
		leaves(m[i].th);
	take(s[1], n, 0);
	for (; i < 2 * CROWD; i++)
		leaves(m[i].th);
	shut_both(s);
}
EACH(wakes_all_who_wait_for_one_descriptor)

/*
 * poll and ppoll
 */

TEST(poll_for_no_time_does_not_wait)
{
	struct timespec none = { 0, 0 };
	struct pollfd p = { .events = POLLIN, .revents = JUNK };
	int fds[2];

	a_pipe(fds);
	p.fd = fds[0];
	CHECK_RET(poll(&p, 1, 0), 0);
	CHECK_INT(p.revents, 0);
	p.revents = JUNK;
	CHECK_RET(ppoll(&p, 1, &none, NULL), 0);
	CHECK_INT(p.revents, 0);
	CHECK_RET(poll(NULL, 0, 0), 0);
	CHECK_INT(write(fds[1], "x", 1), 1);
	CHECK_RET(poll(&p, 1, 0), 1);
	CHECK_RET(ppoll(&p, 1, &none, NULL), 1);
	CHECK_INT(p.revents, POLLIN);
	shut_both(fds);
}

TEST(poll_never_gives_up_early)
{
	static const int ms[] = { 1, 2, 5, 17, 60 };
	struct pollfd p = { .events = POLLIN };
	struct timespec ts = { 0, 0 };
	int fds[2];
	int64_t t;
	size_t i;

	a_pipe(fds);
	p.fd = fds[0];
	for (i = 0; i < COUNT(ms); i++) {
		p.revents = JUNK;
		t = t_now();
		CHECK_RET(poll(&p, 1, ms[i]), 0);
		CHECK(t_now() - t >= ms[i] * T_MS);
		CHECK_INT(p.revents, 0);
		t = t_now();
		CHECK_RET(poll(NULL, 0, ms[i]), 0);
		CHECK(t_now() - t >= ms[i] * T_MS);
		ts.tv_nsec = ms[i] * 1000001L;
		t = t_now();
		CHECK_RET(ppoll(&p, 1, &ts, NULL), 0);
		CHECK(t_now() - t >= ts.tv_nsec);
		CHECK_INT(ts.tv_nsec, ms[i] * 1000001L);
	}
	/* Less than a millisecond is not nothing. */
	ts.tv_nsec = 300000;
	t = t_now();
	CHECK_RET(ppoll(NULL, 0, &ts, NULL), 0);
	CHECK(t_now() - t >= ts.tv_nsec);
	shut_both(fds);
}

TEST(poll_of_several_never_gives_up_early)
{
	struct timespec ts = { 0, 20 * T_MS };
	struct pollfd p[20];
	int fds[2];
	int64_t t;
	nfds_t n;

	a_pipe(fds);
	for (n = 0; n < COUNT(p); n++)
		p[n] = (struct pollfd){ fds[0], POLLIN, JUNK };
	for (n = 2; n <= COUNT(p); n += 6) {
		t = t_now();
		CHECK_RET(poll(p, n, 20), 0);
		CHECK(t_now() - t >= 20 * T_MS);
		CHECK_INT(p[n - 1].revents, 0);
		t = t_now();
		CHECK_RET(ppoll(p, n, &ts, NULL), 0);
		CHECK(t_now() - t >= 20 * T_MS);
	}
	shut_both(fds);
}

static void *
reads_one(void *arg)
{
	CHECK_RET(read(*(int *)arg, &(char){ 0 }, 1), 1);
	return NULL;
}

/* Whoever gives up takes only itself away. */
TEST(poll_that_gives_up_leaves_the_others_waiting)
{
	struct timeval tv = { 0, 1000 };
	struct pollfd p[20];
	int fds[2], i;
	pthread_t th;
	fd_set set;

	a_pipe(fds);
	for (i = 0; i < (int)COUNT(p); i++)
		p[i] = (struct pollfd){ fds[0], POLLIN, JUNK };
	for (i = 0; i < 3; i++) {
		th = party(reads_one, &fds[0]);
		most_likely();
		if (i == 0)
			CHECK_RET(poll(p, 1, 1), 0);
		if (i == 1)
			CHECK_RET(poll(p, COUNT(p), 1), 0);
		FD_ZERO(&set);
		FD_SET(fds[0], &set);
		if (i == 2)
			CHECK_RET(select(fds[0] + 1, &set, NULL, NULL, &tv), 0);
		CHECK_RET(write(fds[1], "x", 1), 1);
		leaves(th);
	}
	shut_both(fds);
}

TEST(poll_of_any_negative_time_waits_for_ever)
{
	struct pollfd p = { .events = POLLIN };
	struct job j;
	pthread_t th;
	int fds[2];

	a_pipe(fds);
	p.fd = fds[0];
	j.fd = fds[1];
	th = party(writes_later, &j);
	CHECK_RET(poll(&p, 1, -1000), 1);
	leaves(th);
	shut_both(fds);
}

TEST(poll_in_time_is_no_timeout)
{
	struct timespec ts = { 15, 0 };
	struct pollfd p = { .events = POLLIN };
	struct job j;
	pthread_t th;
	int fds[2], i;
	char buf[4];

	a_pipe(fds);
	p.fd = fds[0];
	j.fd = fds[1];
	for (i = 0; i < 2; i++) {
		th = party(writes_later, &j);
		CHECK_RET(i == 0 ? poll(&p, 1, 15000) : ppoll(&p, 1, &ts, NULL),
			  1);
		CHECK_INT(p.revents, POLLIN);
		CHECK_INT(read(fds[0], buf, sizeof buf), 3);
		leaves(th);
	}
	shut_both(fds);
}

#define MANY 400

TEST(poll_finds_one_ready_among_many)
{
	static struct pollfd p[MANY];
	static int fds[MANY][2];
	struct job j;
	pthread_t th;
	int i, k;
	char buf[4];

	for (i = 0; i < MANY; i++) {
		a_pipe(fds[i]);
		p[i] = (struct pollfd){ fds[i][0], POLLIN, JUNK };
	}
	for (k = 0; k < 5; k++) {
		int ready = (int[]){ 0, 1, 17, MANY / 2, MANY - 1 }[k];

		j.fd = fds[ready][1];
		th = party(writes_later, &j);
		CHECK_RET(poll(p, some(MANY), -1), 1);
		for (i = 0; i < MANY; i++)
			CHECK_INT(p[i].revents, i == ready ? POLLIN : 0);
		CHECK_INT(read(fds[ready][0], buf, sizeof buf), 3);
		leaves(th);
	}
	for (i = 0; i < MANY; i += 2)
		CHECK_INT(write(fds[i][1], "x", 1), 1);
	CHECK_RET(poll(p, MANY, -1), MANY / 2);
	for (i = 0; i < MANY; i++) {
		CHECK_INT(p[i].revents, i % 2 == 0 ? POLLIN : 0);
		shut_both(fds[i]);
	}
}

TEST(poll_takes_all_kinds_together)
{
	struct itimerspec never = { { 0, 0 }, { 1000, 0 } };
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p[6];
	int a[2], s[2], t[2], e, tm, ep, i;
	struct job j;
	pthread_t th;
	char buf[8];

	a_pipe(a);
	unix_pair(SOCK_STREAM, s);
	tcp_pair(t);
	e = eventfd(0, 0);
	tm = timerfd_create(CLOCK_MONOTONIC, 0);
	CHECK_INT(timerfd_settime(tm, 0, &never, NULL), 0);
	ep = epoll_create1(0);
	CHECK_INT(epoll_ctl(ep, EPOLL_CTL_ADD, a[0], &ev), 0);
	CHECK(e != -1 && tm != -1 && ep != -1);
	p[0].fd = a[0];
	p[1].fd = s[0];
	p[2].fd = t[0];
	p[3].fd = e;
	p[4].fd = tm;
	p[5].fd = ep;
	for (i = 0; i < 6; i++)
		p[i].events = POLLIN;
	CHECK_RET(poll(p, 6, 0), 0);

	j.fd = t[1];
	th = party(writes_later, &j);
	CHECK_RET(poll(p, 6, -1), 1);
	CHECK_INT(p[2].revents, POLLIN);
	leaves(th);
	CHECK_INT(read(t[0], buf, sizeof buf), 3);

	/* What the epoll set watches makes the set itself readable. */
	j.fd = a[1];
	th = party(writes_later, &j);
	CHECK_RET(poll(p + 1, 5, -1), 1);
	CHECK_INT(p[5].revents, POLLIN);
	CHECK_RET(poll(p, 6, -1), 2);
	leaves(th);

	shut(ep);
	shut(tm);
	shut(e);
	shut_both(t);
	shut_both(s);
	shut_both(a);
}

TEST(poll_counts_a_descriptor_as_often_as_it_is_named)
{
	struct pollfd p[3];
	struct job j;
	pthread_t th;
	int fds[2], i;

	a_pipe(fds);
	for (i = 0; i < 3; i++)
		p[i] = (struct pollfd){ fds[0], POLLIN, JUNK };
	j.fd = fds[1];
	th = party(writes_later, &j);
	CHECK_RET(poll(p, some(3), -1), 3);
	for (i = 0; i < 3; i++)
		CHECK_INT(p[i].revents, POLLIN);
	leaves(th);
	p[1].events = POLLPRI;
	CHECK_RET(poll(p, 3, -1), 2);
	CHECK_INT(p[1].revents, 0);
	shut_both(fds);
}

TEST(poll_passes_over_negative_descriptors)
{
	struct pollfd p[3] = { { -1, POLLIN, JUNK },
			       { -1, POLLIN, JUNK },
			       { INT_MIN, POLLIN | POLLOUT, JUNK } };
	struct job j;
	pthread_t th;
	int fds[2];
	int64_t t;

	t = t_now();
	CHECK_RET(poll(p, 3, 20), 0);
	CHECK(t_now() - t >= 20 * T_MS);
	CHECK_INT(p[0].revents, 0);
	CHECK_INT(p[2].revents, 0);

	a_pipe(fds);
	p[1].fd = fds[0];
	p[0].revents = JUNK;
	j.fd = fds[1];
	th = party(writes_later, &j);
	CHECK_RET(poll(p, 3, -1), 1);
	CHECK_INT(p[0].revents, 0);
	CHECK_INT(p[1].revents, POLLIN);
	leaves(th);
	shut_both(fds);
}

TEST(poll_says_POLLNVAL_of_what_is_not_open)
{
	struct pollfd p[3];
	int fds[2], gone[2];

	a_pipe(fds);
	a_pipe(gone);
	shut_both(gone);
	p[0] = (struct pollfd){ fds[0], POLLIN, JUNK };
	p[1] = (struct pollfd){ gone[0], POLLIN, JUNK };
	p[2] = (struct pollfd){ INT_MAX, 0, JUNK };
	CHECK_RET(poll(p, 3, -1), 2);
	CHECK_INT(p[0].revents, 0);
	CHECK_INT(p[1].revents, POLLNVAL);
	CHECK_INT(p[2].revents, POLLNVAL);
	CHECK_RET(poll(&p[1], 1, -1), 1);
	CHECK_INT(p[1].revents, POLLNVAL);
	CHECK_RET(ppoll(&p[1], 1, NULL, NULL), 1);
	CHECK_RET(poll(p, 2, 0), 1);
	shut_both(fds);
}

TEST(poll_tells_ends_and_errors_unasked)
{
	struct job j;
	pthread_t th;
	int fds[2], i;

	for (i = 0; i < 2; i++) {
		a_pipe(fds);
		j.fd = fds[1];
		th = party(closes_later, &j);
		check_one(by_poll, fds[0], i == 0 ? 0 : POLLIN, POLLHUP);
		leaves(th);
		shut(fds[0]);

		a_pipe(fds);
		stuff(fds[1]);
		j.fd = fds[0];
		th = party(closes_later, &j);
		check_one(by_poll, fds[1], 0, POLLERR);
		leaves(th);
		shut(fds[1]);
	}
	a_pipe(fds);
	shut(fds[0]);
	check_one(by_poll, fds[1], POLLOUT, POLLOUT | POLLERR);
	shut(fds[1]);

	/* Data before the end: both. */
	a_pipe(fds);
	CHECK_INT(write(fds[1], "x", 1), 1);
	shut(fds[1]);
	check_one(by_poll, fds[0], POLLIN, POLLIN | POLLHUP);
	check_one(by_ppoll, fds[0], 0, POLLHUP);
	shut(fds[0]);
}

TEST(poll_tells_how_a_connection_ends)
{
	struct job j;
	pthread_t th;
	int s[2];

	tcp_pair(s);
	j.fd = s[1];
	j.n = SHUT_WR;
	th = party(shuts_down_later, &j);
	check_one(by_poll, s[0], POLLRDHUP, POLLRDHUP);
	leaves(th);
	check_one(by_poll, s[0], POLLIN, POLLIN);
	check_one(by_poll, s[0], POLLIN | POLLRDHUP, POLLIN | POLLRDHUP);
	j.fd = s[0];
	th = party(shuts_down_later, &j);
	check_one(by_poll, s[0], 0, POLLHUP);
	leaves(th);
	shut_both(s);

	/* Who waits for room as well. */
	tcp_pair(s);
	stuff(s[0]);
	j.fd = s[1];
	j.n = SHUT_WR;
	th = party(shuts_down_later, &j);
	check_one(by_poll, s[0], POLLOUT | POLLRDHUP, POLLRDHUP);
	leaves(th);
	shut_both(s);
}

TEST(poll_tells_a_reset)
{
	struct linger l = { 1, 0 };
	struct pollfd p = { 0 };
	struct job j;
	pthread_t th;
	int s[2];

	tcp_pair(s);
	CHECK_INT(setsockopt(s[1], SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
	j.fd = s[1];
	th = party(closes_later, &j);
	p.fd = s[0];
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_INT(p.revents, POLLERR | POLLHUP);
	leaves(th);
	shut(s[0]);
}

TEST(poll_knows_the_other_names_of_in_and_out)
{
	struct job j;
	pthread_t th;
	int s[2];

	unix_pair(SOCK_STREAM, s);
	check_one(by_poll, s[0], POLLWRNORM, POLLWRNORM);
	j.fd = s[1];
	th = party(writes_later, &j);
	check_one(by_poll, s[0], POLLRDNORM, POLLRDNORM);
	leaves(th);
	check_one(by_poll, s[0], POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
		  POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
	shut_both(s);
}

TEST(poll_tells_ready_and_silent_ones_apart_after_a_wait)
{
	struct pollfd p[2];
	struct job j;
	pthread_t th;
	int a[2], b[2];

	/* For reading nothing comes, for writing there is no room: until
	 * somebody reads. */
	a_pipe(a);
	a_pipe(b);
	j.n = stuff(b[1]);
	j.fd = b[0];
	p[0] = (struct pollfd){ a[0], POLLIN, JUNK };
	p[1] = (struct pollfd){ b[1], POLLOUT, JUNK };
	th = party(reads_all_later, &j);
	CHECK_RET(poll(p, 2, -1), 1);
	CHECK_INT(p[0].revents, 0);
	CHECK_INT(p[1].revents, POLLOUT);
	leaves(th);
	shut_both(a);
	shut_both(b);
}

TEST(poll_says_what_it_cannot_do)
{
	struct pollfd p = { .fd = -1 };
	struct timespec ts = { 0, 1000000000 };
	struct rlimit rl;

	CHECK_ERR(poll(nowhere(), some(1), 0), EFAULT);
	CHECK_ERR(poll(nowhere(), some(1), -1), EFAULT);
	CHECK_ERR(ppoll(nowhere(), some(1), NULL, NULL), EFAULT);
	CHECK_ERR(ppoll(&p, 1, &ts, NULL), EINVAL);
	ts.tv_nsec = -1;
	CHECK_ERR(ppoll(&p, 1, &ts, NULL), EINVAL);
	ts = (struct timespec){ -1, 0 };
	CHECK_ERR(ppoll(&p, 1, &ts, NULL), EINVAL);
	/* More than there can be descriptors. */
	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	if (rl.rlim_cur < UINT_MAX) {
		void *volatile any = &p;

		CHECK_ERR(poll(any, some(rl.rlim_cur + 1), 0), EINVAL);
	}
}

TEST(poll_past_its_array_is_still_caught)
{
	struct rlimit none = { 0, 0 };
	struct pollfd p[2] = { { -1, 0, 0 }, { -1, 0, 0 } };
	struct timespec now = { 0, 0 };
	int status, i;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0) {
			setrlimit(RLIMIT_CORE, &none);
			shut(STDERR_FILENO);
			if (i == 0)
				__poll_chk(p, some(3), 0, sizeof p);
			else
				__ppoll_chk(p, some(3), &now, NULL, sizeof p);
			_exit(0);
		}
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFSIGNALED(status));
		CHECK_INT(WTERMSIG(status), SIGABRT);
	}
}

TEST(ppoll_lets_signals_through_only_while_it_waits)
{
	struct sigaction sa = { .sa_handler = on_tick };
	sigset_t all_but, before, after;
	struct pollfd p = { .events = POLLIN };
	int fds[2];

	a_pipe(fds);
	p.fd = fds[0];
	CHECK_INT(sigaction(SIGALRM, &sa, NULL), 0);
	CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
	CHECK_INT(sigismember(&before, SIGALRM), 1);
	CHECK_INT(pthread_kill(pthread_self(), SIGALRM), 0);
	CHECK_INT(ticks, 0);
	sigfillset(&all_but);
	sigdelset(&all_but, SIGALRM);
	CHECK_ERR(ppoll(&p, 1, NULL, &all_but), EINTR);
	CHECK_INT(ticks, 1);
	CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
	CHECK_INT(sigismember(&after, SIGALRM), 1);
	CHECK_INT(sigismember(&after, SIGUSR1), 0);
	shut_both(fds);
}

struct killer {
	pthread_t victim;
	int over;
};

/* Again and again: a kill that comes before the wait interrupts nothing. */
static void *
kills_until_told(void *arg)
{
	struct killer *k = arg;

	while (!__atomic_load_n(&k->over, __ATOMIC_ACQUIRE)) {
		CHECK_INT(pthread_kill(k->victim, SIGUSR1), 0);
		usleep(10000);
	}
	return NULL;
}

TEST(poll_is_interrupted_by_pthread_kill)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct killer k = { pthread_self(), 0 };
	struct pollfd p = { .events = POLLIN };
	pthread_t th;
	int fds[2];

	a_pipe(fds);
	p.fd = fds[0];
	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	th = party(kills_until_told, &k);
	CHECK_ERR(poll(&p, 1, -1), EINTR);
	CHECK(ticks > 0);
	__atomic_store_n(&k.over, 1, __ATOMIC_RELEASE);
	leaves(th);
	shut_both(fds);
}

/*
 * select
 */

TEST(select_without_sets_is_a_sleep)
{
	struct timeval tv = { 0, 30000 };
	fd_set none;
	int64_t t;

	t = t_now();
	CHECK_RET(select(0, NULL, NULL, NULL, &tv), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK_INT(tv.tv_sec, 0);
	CHECK_INT(tv.tv_usec, 0);
	tv.tv_usec = 700;
	FD_ZERO(&none);
	t = t_now();
	CHECK_RET(select(FD_SETSIZE, NULL, &none, NULL, &tv), 0);
	CHECK(t_now() - t >= 700000);
}

TEST(without_descriptors_or_time_it_is_a_sleep_until_a_signal)
{
	start_ticking(0);
	CHECK_ERR(select(0, NULL, NULL, NULL, NULL), EINTR);
	CHECK_ERR(pselect(0, NULL, NULL, NULL, NULL, NULL), EINTR);
	CHECK_ERR(poll(NULL, 0, -1), EINTR);
	CHECK_ERR(ppoll(NULL, 0, NULL, NULL), EINTR);
	stop_ticking();
	CHECK(ticks >= 4);
}

TEST(select_for_no_time_does_not_wait)
{
	struct timeval tv = { 0, 0 };
	int p[2];
	fd_set r;

	a_pipe(p);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_RET(select(p[0] + 1, &r, NULL, NULL, &tv), 0);
	CHECK(!FD_ISSET(p[0], &r));
	CHECK_INT(write(p[1], "x", 1), 1);
	FD_SET(p[0], &r);
	CHECK_RET(select(p[0] + 1, &r, NULL, NULL, &tv), 1);
	CHECK(FD_ISSET(p[0], &r));
	CHECK_RET(select(0, NULL, NULL, NULL, &tv), 0);
	shut_both(p);
}

TEST(select_never_gives_up_early_and_clears_the_sets)
{
	static const int us[] = { 500, 1000, 1500, 20000, 60000 };
	struct timeval tv;
	fd_set r, x;
	int64_t t;
	size_t i;
	int p[2];

	a_pipe(p);
	for (i = 0; i < COUNT(us); i++) {
		FD_ZERO(&r);
		FD_SET(p[0], &r);
		x = r;
		tv = (struct timeval){ 0, us[i] };
		t = t_now();
		CHECK_RET(select(p[0] + 1, &r, NULL, &x, &tv), 0);
		CHECK(t_now() - t >= us[i] * INT64_C(1000));
		CHECK(!FD_ISSET(p[0], &r) && !FD_ISSET(p[0], &x));
		CHECK_INT(tv.tv_sec, 0);
		CHECK_INT(tv.tv_usec, 0);
	}
	shut_both(p);
}

TEST(select_writes_back_what_is_left_of_the_time)
{
	struct timeval tv = { 15, 0 };
	struct job j;
	pthread_t th;
	int64_t t, left;
	int p[2], i;
	fd_set r;

	a_pipe(p);
	for (i = 0; i < 2; i++) {
		tv = (struct timeval){ 15, 0 };
		FD_ZERO(&r);
		FD_SET(p[0], &r);
		if (i == 0) {
			j.fd = p[1];
			th = party(writes_later, &j);
			t = t_now();
			CHECK_RET(select(p[0] + 1, &r, NULL, NULL, &tv), 1);
			leaves(th);
			CHECK_INT(read(p[0], &(char[4]){ 0 }, 4), 3);
		} else {
			start_ticking(SA_RESTART);
			t = t_now();
			CHECK_ERR(select(p[0] + 1, &r, NULL, NULL, &tv), EINTR);
			stop_ticking();
		}
		t = t_now() - t;
		left = tv.tv_sec * INT64_C(1000000000) + tv.tv_usec * 1000;
		CHECK(left > 0 && left < 15000 * T_MS);
		/* A microsecond may fall to the rounding. */
		CHECK(left + t >= 15000 * T_MS - 1000);
	}
	shut_both(p);
}

TEST(select_takes_a_million_microseconds_for_a_second)
{
	struct timeval tv = { 0, 9000000 };
	struct job j;
	pthread_t th;
	int p[2];
	fd_set r;

	a_pipe(p);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	j.fd = p[1];
	th = party(writes_later, &j);
	CHECK_RET(select(p[0] + 1, &r, NULL, NULL, &tv), 1);
	leaves(th);
	shut_both(p);
}

TEST(select_sees_descriptors_with_gaps_between)
{
	static const int at[] = { 63, 64, 65, 127, 128, 500, 1023 };
	int p[COUNT(at)][2];
	struct rlimit rl;
	struct job j;
	pthread_t th;
	size_t i, k;
	fd_set r;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	if (rl.rlim_cur < 1024)
		SKIP("RLIMIT_NOFILE is too low");
	for (i = 0; i < COUNT(at); i++) {
		a_pipe(p[i]);
		CHECK_RET(dup2(p[i][0], at[i]), at[i]);
		shut(p[i][0]);
	}
	for (k = 0; k < COUNT(at); k++) {
		FD_ZERO(&r);
		for (i = 0; i < COUNT(at); i++)
			FD_SET(at[i], &r);
		j.fd = p[k][1];
		th = party(writes_later, &j);
		CHECK_RET(select(1024, &r, NULL, NULL, NULL), 1);
		for (i = 0; i < 1024; i++)
			CHECK_INT(!!FD_ISSET((int)i, &r), (int)i == at[k]);
		leaves(th);
		CHECK_INT(read(at[k], &(char[4]){ 0 }, 4), 3);
	}
	for (i = 0; i < COUNT(at); i++) {
		shut(at[i]);
		shut(p[i][1]);
	}
}

TEST(select_counts_each_bit)
{
	fd_set r, w, x;
	int s[2], n;

	unix_pair(SOCK_STREAM, s);
	n = (s[0] > s[1] ? s[0] : s[1]) + 1;
	CHECK_INT(write(s[1], "x", 1), 1);
	FD_ZERO(&r);
	FD_SET(s[0], &r);
	FD_SET(s[1], &r);
	w = x = r;
	CHECK_RET(select(n, &r, &w, &x, NULL), 3);
	CHECK(FD_ISSET(s[0], &r) && !FD_ISSET(s[1], &r));
	CHECK(FD_ISSET(s[0], &w) && FD_ISSET(s[1], &w));
	CHECK(!FD_ISSET(s[0], &x) && !FD_ISSET(s[1], &x));
	shut_both(s);
}

TEST(select_takes_ends_for_readable_and_errors_for_writable)
{
	struct job j;
	pthread_t th;
	fd_set r, w;
	int p[2];

	a_pipe(p);
	j.fd = p[1];
	th = party(closes_later, &j);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_RET(select(p[0] + 1, &r, NULL, NULL, NULL), 1);
	leaves(th);
	shut(p[0]);

	a_pipe(p);
	stuff(p[1]);
	j.fd = p[0];
	th = party(closes_later, &j);
	FD_ZERO(&w);
	FD_SET(p[1], &w);
	CHECK_RET(select(p[1] + 1, NULL, &w, NULL, NULL), 1);
	CHECK(FD_ISSET(p[1], &w));
	leaves(th);
	shut(p[1]);
}

TEST(select_looks_no_further_than_it_is_told)
{
	struct timeval tv = { 0, 0 };
	fd_set r;
	int p[2];

	a_pipe(p);
	CHECK_INT(write(p[1], "x", 1), 1);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_RET(select(p[0], &r, NULL, NULL, &tv), 0);
	shut_both(p);
	/* Nor does it mind there what is not open. */
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_RET(select(p[0], &r, NULL, NULL, &tv), 0);
}

TEST(select_says_what_it_cannot_do)
{
	struct timeval tv = { 0, 0 };
	fd_set r;
	int p[2];

	a_pipe(p);
	shut_both(p);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK_ERR(select(p[0] + 1, &r, NULL, NULL, NULL), EBADF);
	CHECK_ERR(select(p[0] + 1, NULL, NULL, &r, &tv), EBADF);
	CHECK_ERR(select(-1, NULL, NULL, NULL, &tv), EINVAL);
	tv.tv_sec = -1;
	CHECK_ERR(select(0, NULL, NULL, NULL, &tv), EINVAL);
	tv = (struct timeval){ 0, -1 };
	CHECK_ERR(select(0, NULL, NULL, NULL, &tv), EINVAL);
	CHECK_ERR(select(1, nowhere(), NULL, NULL, NULL), EFAULT);
}
