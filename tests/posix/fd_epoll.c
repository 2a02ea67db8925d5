/* SPDX-License-Identifier: MIT */
/* fd_epoll.c - epoll sets: epoll_wait, epoll_pwait, epoll_pwait2; edges,
 * one-shots, sets in sets, several threads at one set; and pselect. */
#define _GNU_SOURCE 1

#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "tasks.h"

static int
a_set(void)
{
	int e = epoll_create1(EPOLL_CLOEXEC);

	CHECK(e != -1);
	return e;
}

static void
a_pipe(int fds[2])
{
	CHECK_INT(pipe(fds), 0);
}

static void
control(int e, int op, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = (uint64_t)fd };

	CHECK_INT(epoll_ctl(e, op, fd, &ev), 0);
}

static void
add(int e, int fd, uint32_t events)
{
	control(e, EPOLL_CTL_ADD, fd, events);
}

/* One event, of this descriptor, within this time. */
static void
expect(int e, int fd, uint32_t events, int timeout)
{
	struct epoll_event ev = { 0 };

	CHECK_RET(epoll_wait(e, &ev, 1, timeout), 1);
	CHECK_INT(ev.data.u64, fd);
	CHECK_INT(ev.events, events);
}

static void
expect_none(int e, int timeout)
{
	struct epoll_event ev;

	CHECK_RET(epoll_wait(e, &ev, 1, timeout), 0);
}

/* --- another thread that does something after a while --- */

struct deed {
	int fd, e;
	uint32_t events;
	void (*what)(struct deed *);
};

static void *
does_it_later(void *arg)
{
	struct deed *d = arg;

	most_likely();
	d->what(d);
	return NULL;
}

static void
writes(struct deed *d)
{
	CHECK_INT(write(d->fd, "x", 1), 1);
}

static void
closes(struct deed *d)
{
	shut(d->fd);
}

static void
adds(struct deed *d)
{
	add(d->e, d->fd, d->events);
}

static void
arms_again(struct deed *d)
{
	control(d->e, EPOLL_CTL_MOD, d->fd, d->events);
}

TEST(epoll_wait_waits_for_a_writer)
{
	int e = a_set(), fds[2];
	struct deed d = { .what = writes };
	pthread_t th;
	char c;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	d.fd = fds[1];
	th = party(does_it_later, &d);
	expect(e, fds[0], EPOLLIN, -1);
	/* Level: it is said until it is read. */
	expect(e, fds[0], EPOLLIN, -1);
	expect(e, fds[0], EPOLLIN, 0);
	CHECK_INT(read(fds[0], &c, 1), 1);
	expect_none(e, 0);
	leaves(th);
	shut_both(fds);
	shut(e);
}

TEST(epoll_wait_goes_round_with_its_writer)
{
	int e = a_set(), fds[2], back[2], i;
	struct epoll_event ev;
	uint64_t sum = 0;
	char c;
	pid_t pid;

	a_pipe(fds);
	a_pipe(back);
	add(e, fds[0], EPOLLIN);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		for (i = 0; i < 200; i++)
			if (write(fds[1], "x", 1) != 1 ||
			    read(back[0], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < 200; i++) {
		CHECK_INT(epoll_wait(e, &ev, 1, -1), 1);
		sum += ev.data.u64;
		CHECK_INT(read(fds[0], &c, 1), 1);
		CHECK_INT(write(back[1], "y", 1), 1);
	}
	CHECK_INT(sum, (uint64_t)fds[0] * 200);
	shut_both(fds);
	shut_both(back);
	shut(e);
}

TEST(epoll_wait_for_no_time_does_not_wait)
{
	struct timespec zero = { 0, 0 };
	struct epoll_event ev;
	int e = a_set(), fds[2];
	int64_t t;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	t = t_now();
	CHECK_RET(epoll_wait(e, &ev, 1, 0), 0);
	CHECK_RET(epoll_pwait(e, &ev, 1, 0, NULL), 0);
	CHECK_RET(epoll_pwait2(e, &ev, 1, &zero, NULL), 0);
	CHECK(t_now() - t < 1000 * T_MS);
	shut_both(fds);
	shut(e);
}

TEST(epoll_wait_never_gives_up_early)
{
	struct timespec ts = { 0, 30 * T_MS };
	struct epoll_event ev;
	int e = a_set(), fds[2];
	int64_t t;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	t = t_now();
	CHECK_RET(epoll_wait(e, &ev, 1, 30), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	t = t_now();
	CHECK_RET(epoll_pwait(e, &ev, 1, 30, NULL), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	t = t_now();
	CHECK_RET(epoll_pwait2(e, &ev, 1, &ts, NULL), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK(t_now() - t < 5000 * T_MS);
	CHECK_INT(ts.tv_nsec, 30 * T_MS);
	shut_both(fds);
	shut(e);
}

/* An empty set is a sleep. */
TEST(epoll_wait_on_an_empty_set_is_a_sleep)
{
	int e = a_set();
	int64_t t = t_now();

	expect_none(e, 20);
	CHECK(t_now() - t >= 20 * T_MS);
	shut(e);
}

TEST(epoll_wait_in_time_is_no_timeout)
{
	struct timespec ts = { 1000000000000, 0 };
	struct epoll_event ev;
	struct deed d = { .what = writes };
	int e = a_set(), fds[2], i;
	pthread_t th;
	char c;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	d.fd = fds[1];
	for (i = 0; i < 4; i++) {
		th = party(does_it_later, &d);
		errno = EDOM;
		CHECK_INT(i == 0   ? epoll_wait(e, &ev, 1, 100000)
			  : i == 1 ? epoll_wait(e, &ev, 1, 0x7fffffff)
			  : i == 2 ? epoll_pwait(e, &ev, 1, -5, NULL)
				   : epoll_pwait2(e, &ev, 1, &ts, NULL),
			  1);
		CHECK_INT(errno, EDOM);
		CHECK_INT(read(fds[0], &c, 1), 1);
		leaves(th);
	}
	shut_both(fds);
	shut(e);
}

TEST(epoll_wait_says_what_it_cannot_do)
{
	struct timespec bad = { 0, 1000000000 }, neg = { -1, 0 };
	volatile int minus = -3;
	struct epoll_event ev;
	int e = a_set(), fds[2];

	a_pipe(fds);
	add(e, fds[1], EPOLLOUT);
	CHECK_ERR(epoll_wait(-1, &ev, 1, -1), EBADF);
	CHECK_ERR(epoll_wait(e, &ev, 0, -1), EINVAL);
	CHECK_ERR(epoll_wait(e, &ev, minus, 100), EINVAL);
	CHECK_ERR(epoll_wait(fds[0], &ev, 1, -1), EINVAL);
	CHECK_ERR(epoll_wait(e, nowhere(), 1, -1), EFAULT);
	CHECK_ERR(epoll_pwait(e, nowhere(), 1, -1, NULL), EFAULT);
	CHECK_ERR(epoll_pwait2(e, nowhere(), 1, NULL, NULL), EFAULT);
	CHECK_ERR(epoll_pwait(e, &ev, 1, -1, nowhere()), EFAULT);
	CHECK_ERR(epoll_pwait2(e, &ev, 1, nowhere(), NULL), EFAULT);
	CHECK_ERR(epoll_pwait2(e, &ev, 1, NULL, nowhere()), EFAULT);
	CHECK_ERR(epoll_pwait2(e, &ev, 1, &bad, NULL), EINVAL);
	CHECK_ERR(epoll_pwait2(e, &ev, 1, &neg, NULL), EINVAL);
	CHECK_ERR(epoll_pwait2(-1, &ev, 1, NULL, NULL), EBADF);
	/* Nothing of that took the event. */
	expect(e, fds[1], EPOLLOUT, -1);
	shut(e);
	CHECK_ERR(epoll_wait(e, &ev, 1, -1), EBADF);
	shut_both(fds);
}

TEST(a_bad_pointer_is_found_out_after_a_wait)
{
	int e = a_set(), fds[2];
	struct deed d = { .what = writes };
	pthread_t th;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	d.fd = fds[1];
	th = party(does_it_later, &d);
	CHECK_ERR(epoll_wait(e, nowhere(), 1, -1), EFAULT);
	leaves(th);
	shut_both(fds);
	shut(e);
}

TEST(a_file_is_no_business_of_epoll)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int e = a_set(), fd = memfd_create("f", 0);

	CHECK(fd != -1);
	CHECK_ERR(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), EPERM);
	expect_none(e, 10);
	shut(fd);
	shut(e);
}

/* --- edges and one-shots --- */

TEST(an_edge_is_told_once)
{
	int e = a_set(), fds[2], i;
	struct deed d = { .what = writes };
	pthread_t th;
	char c;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN | EPOLLET);
	d.fd = fds[1];
	for (i = 0; i < 3; i++) {
		th = party(does_it_later, &d);
		expect(e, fds[0], EPOLLIN, -1);
		/* Not read, and yet nothing more to tell. */
		expect_none(e, 10);
		leaves(th);
	}
	for (i = 0; i < 3; i++)
		CHECK_INT(read(fds[0], &c, 1), 1);
	expect_none(e, 0);
	shut_both(fds);
	shut(e);
}

/* Who polls the set itself, as we do, takes no edge from it. */
TEST(polling_a_set_takes_nothing_out_of_it)
{
	int e = a_set(), fds[2];
	struct pollfd p = { .events = POLLIN };
	struct timeval tv = { 10, 0 };
	struct deed d = { .what = writes };
	pthread_t th;
	fd_set r;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN | EPOLLET | EPOLLONESHOT);
	p.fd = e;
	d.fd = fds[1];
	th = party(does_it_later, &d);
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_INT(p.revents, POLLIN);
	FD_ZERO(&r);
	FD_SET(e, &r);
	CHECK_INT(select(e + 1, &r, NULL, NULL, &tv), 1);
	expect(e, fds[0], EPOLLIN, -1);
	p.revents = 0;
	CHECK_RET(poll(&p, 1, 10), 0);
	leaves(th);
	shut_both(fds);
	shut(e);
}

TEST(a_one_shot_is_armed_again_while_somebody_waits)
{
	int e = a_set(), fds[2];
	struct deed d = { .what = arms_again,
			  .events = EPOLLIN | EPOLLONESHOT };
	pthread_t th;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN | EPOLLONESHOT);
	CHECK_INT(write(fds[1], "x", 1), 1);
	expect(e, fds[0], EPOLLIN, -1);
	CHECK_INT(write(fds[1], "y", 1), 1);
	expect_none(e, 10);
	d.fd = fds[0];
	d.e = e;
	th = party(does_it_later, &d);
	expect(e, fds[0], EPOLLIN, -1);
	leaves(th);
	expect_none(e, 0);
	shut_both(fds);
	shut(e);
}

TEST(what_is_added_while_somebody_waits_wakes_it)
{
	int e = a_set(), fds[2];
	struct deed d = { .what = adds, .events = EPOLLOUT };
	pthread_t th;

	a_pipe(fds);
	d.fd = fds[1];
	d.e = e;
	th = party(does_it_later, &d);
	expect(e, fds[1], EPOLLOUT, -1);
	leaves(th);
	control(e, EPOLL_CTL_DEL, fds[1], 0);
	expect_none(e, 10);
	shut_both(fds);
	shut(e);
}

TEST(a_hang_up_is_told_unasked)
{
	int e = a_set(), fds[2], s[2];
	struct deed d = { .what = closes };
	pthread_t th;

	a_pipe(fds);
	add(e, fds[0], 0);
	d.fd = fds[1];
	th = party(does_it_later, &d);
	expect(e, fds[0], EPOLLHUP, -1);
	leaves(th);
	shut(fds[0]);
	expect_none(e, 0);

	tcp_pair(s);
	add(e, s[0], EPOLLIN | EPOLLRDHUP);
	d.fd = s[1];
	th = party(does_it_later, &d);
	expect(e, s[0], EPOLLIN | EPOLLRDHUP, -1);
	leaves(th);
	shut(s[0]);
	shut(e);
}

TEST(a_writer_waits_for_room)
{
	int e = a_set(), fds[2];
	size_t n;

	a_pipe(fds);
	n = stuff(fds[1]);
	add(e, fds[1], EPOLLOUT);
	expect_none(e, 10);
	take(fds[0], n, 0);
	expect(e, fds[1], EPOLLOUT, -1);
	shut_both(fds);
	shut(e);
}

/* A closed descriptor leaves the set, and its number may come back. */
TEST(a_number_that_comes_back_is_another_descriptor)
{
	int e = a_set(), fds[2], again[2];
	struct deed d = { .what = writes };
	pthread_t th;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	expect_none(e, 10);
	shut_both(fds);
	a_pipe(again);
	CHECK_INT(again[0], fds[0]);
	expect_none(e, 10);
	add(e, again[0], EPOLLIN);
	d.fd = again[1];
	th = party(does_it_later, &d);
	expect(e, again[0], EPOLLIN, -1);
	leaves(th);
	shut_both(again);
	shut(e);
}

TEST(a_set_that_comes_back_is_another_set)
{
	int e, was = -1, fds[2], i;
	struct deed d = { .what = writes };
	pthread_t th;
	char c;

	a_pipe(fds);
	d.fd = fds[1];
	for (i = 0; i < 3; i++) {
		e = a_set();
		CHECK(was == -1 || was == e);
		was = e;
		add(e, fds[0], EPOLLIN);
		th = party(does_it_later, &d);
		expect(e, fds[0], EPOLLIN, -1);
		CHECK_INT(read(fds[0], &c, 1), 1);
		leaves(th);
		shut(e);
	}
	shut_both(fds);
}

/* --- sets in sets --- */

TEST(a_set_in_a_set_in_a_set)
{
	int in = a_set(), mid = a_set(), out = a_set(), fds[2];
	struct deed d = { .what = writes };
	pthread_t th;
	char c;

	a_pipe(fds);
	add(in, fds[0], EPOLLIN | EPOLLET);
	add(mid, in, EPOLLIN);
	add(out, mid, EPOLLIN | EPOLLET);
	d.fd = fds[1];
	th = party(does_it_later, &d);
	expect(out, mid, EPOLLIN, -1);
	expect_none(out, 10);
	expect(mid, in, EPOLLIN, -1);
	expect(in, fds[0], EPOLLIN, -1);
	expect_none(in, 10);
	expect_none(mid, 10);
	CHECK_INT(read(fds[0], &c, 1), 1);
	leaves(th);
	th = party(does_it_later, &d);
	expect(out, mid, EPOLLIN, -1);
	expect(in, fds[0], EPOLLIN, 0);
	leaves(th);
	shut_both(fds);
	shut(in);
	shut(mid);
	shut(out);
}

/* As deep as Linux lets them be: deeper than ours could hold them. */
TEST(sets_as_deep_as_they_go)
{
	enum { DEEP = 5 };
	struct epoll_event ev = { .events = EPOLLIN };
	int e[DEEP + 1], fds[2], i, n = 0;
	struct deed d = { .what = writes };
	pthread_t th;

	a_pipe(fds);
	for (i = 0; i <= DEEP; i++)
		e[i] = a_set();
	add(e[0], fds[0], EPOLLIN);
	while (n < DEEP && epoll_ctl(e[n + 1], EPOLL_CTL_ADD, e[n], &ev) == 0)
		n++;
	CHECK(n >= 3);
	d.fd = fds[1];
	th = party(does_it_later, &d);
	CHECK_INT(epoll_wait(e[n], &ev, 1, -1), 1);
	leaves(th);
	expect(e[0], fds[0], EPOLLIN, 0);
	for (i = 0; i <= DEEP; i++)
		shut(e[i]);
	shut_both(fds);
}

/* --- several threads at one set --- */

struct crowd {
	int e, quit;
	atomic_int got, bad, left;
	atomic_int count[64];
	int fds[64][2];
};

/* Takes what is there until it is told to leave by a byte in quit. */
static void *
one_of_the_crowd(void *arg)
{
	struct crowd *c = arg;
	struct epoll_event ev;
	char byte;
	int i;

	for (;;) {
		if (epoll_wait(c->e, &ev, 1, -1) != 1) {
			c->bad++;
			return NULL;
		}
		if (ev.data.u64 == 1000)
			break;
		i = (int)ev.data.u64;
		if (read(c->fds[i][0], &byte, 1) != 1)
			c->bad++;
		c->count[i]++;
		ev.events = EPOLLIN | EPOLLET | EPOLLONESHOT;
		if (epoll_ctl(c->e, EPOLL_CTL_MOD, c->fds[i][0], &ev) != 0)
			c->bad++;
		c->got++;
	}
	c->left++;
	return NULL;
}

TEST(many_at_one_set_get_each_event_once)
{
	enum { FDS = 16, CROWD = 8, ROUNDS = 60 };
	struct crowd c = { .e = a_set() };
	struct epoll_event ev;
	pthread_t th[CROWD];
	int i, r;

	c.quit = eventfd(0, 0);
	CHECK(c.quit != -1);
	for (i = 0; i < FDS; i++) {
		a_pipe(c.fds[i]);
		ev.events = EPOLLIN | EPOLLET | EPOLLONESHOT;
		ev.data.u64 = (uint64_t)i;
		CHECK_INT(epoll_ctl(c.e, EPOLL_CTL_ADD, c.fds[i][0], &ev), 0);
	}
	for (i = 0; i < CROWD; i++)
		th[i] = party(one_of_the_crowd, &c);
	for (r = 0; r < ROUNDS; r++) {
		for (i = 0; i < FDS; i++)
			CHECK_INT(write(c.fds[i][1], "x", 1), 1);
		if (r % 7 == 0)
			usleep(1000);
	}
	while (c.got < FDS * ROUNDS && c.bad == 0)
		usleep(1000);
	CHECK_INT(c.bad, 0);
	CHECK_INT(c.got, FDS * ROUNDS);
	for (i = 0; i < FDS; i++)
		CHECK_INT(c.count[i], ROUNDS);
	/* Level, and never read: all of them see it. */
	ev.events = EPOLLIN;
	ev.data.u64 = 1000;
	CHECK_INT(epoll_ctl(c.e, EPOLL_CTL_ADD, c.quit, &ev), 0);
	usleep(5000);
	CHECK_INT(c.left, 0);
	CHECK_INT(eventfd_write(c.quit, 1), 0);
	for (i = 0; i < CROWD; i++)
		leaves(th[i]);
	CHECK_INT(c.left, CROWD);
	for (i = 0; i < FDS; i++)
		shut_both(c.fds[i]);
	shut(c.quit);
	shut(c.e);
}

/* Each waits for a set of its own, all of the same descriptor. */
struct own_set {
	int fd;
	pthread_barrier_t *all;
};

static void *
waits_at_its_own(void *arg)
{
	struct own_set *o = arg;
	int e = a_set();

	add(e, o->fd, EPOLLIN);
	pthread_barrier_wait(o->all);
	expect(e, o->fd, EPOLLIN, -1);
	shut(e);
	return NULL;
}

TEST(many_sets_of_one_descriptor_all_hear_of_it)
{
	enum { N = WAITERS };
	pthread_barrier_t all;
	struct own_set o = { .all = &all };
	pthread_t th[N];
	int fds[2], i;

	a_pipe(fds);
	o.fd = fds[0];
	CHECK_INT(pthread_barrier_init(&all, NULL, N + 1), 0);
	for (i = 0; i < N; i++)
		th[i] = party(waits_at_its_own, &o);
	pthread_barrier_wait(&all);
	most_likely();
	check_tasks();
	CHECK_INT(write(fds[1], "x", 1), 1);
	for (i = 0; i < N; i++)
		leaves(th[i]);
	CHECK_INT(pthread_barrier_destroy(&all), 0);
	shut_both(fds);
}

/* --- signals --- */

TEST(epoll_wait_is_interrupted_whatever_SA_RESTART_says)
{
	struct timespec ts = { 100, 0 };
	struct epoll_event ev;
	int e = a_set(), fds[2];

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	start_ticking(SA_RESTART);
	CHECK_ERR(epoll_wait(e, &ev, 1, -1), EINTR);
	CHECK_ERR(epoll_wait(e, &ev, 1, 100000), EINTR);
	CHECK_ERR(epoll_pwait(e, &ev, 1, -1, NULL), EINTR);
	CHECK_ERR(epoll_pwait2(e, &ev, 1, &ts, NULL), EINTR);
	CHECK(ticks >= 4);
	stop_ticking();
	shut_both(fds);
	shut(e);
}

static void
without_the_tick(sigset_t *set)
{
	sigfillset(set);
	sigdelset(set, SIGALRM);
}

/* Pending and blocked; the call lets it in. */
static void
a_tick_is_pending(void)
{
	struct sigaction sa = { .sa_handler = on_tick };

	CHECK_INT(sigaction(SIGALRM, &sa, NULL), 0);
	CHECK_INT(pthread_kill(pthread_self(), SIGALRM), 0);
	ticks = 0;
}

static void
check_mask(void)
{
	sigset_t now;

	CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
	CHECK_INT(sigismember(&now, SIGALRM), 1);
	CHECK_INT(sigismember(&now, SIGUSR1), 0);
}

TEST(epoll_pwait_lets_signals_in_only_while_it_waits)
{
	struct timespec ts = { 100, 0 };
	struct epoll_event ev;
	int e = a_set(), fds[2];
	sigset_t mask;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	without_the_tick(&mask);
	a_tick_is_pending();
	CHECK_ERR(epoll_pwait(e, &ev, 1, -1, &mask), EINTR);
	CHECK_INT(ticks, 1);
	check_mask();
	a_tick_is_pending();
	CHECK_ERR(epoll_pwait2(e, &ev, 1, &ts, &mask), EINTR);
	CHECK_INT(ticks, 1);
	check_mask();
	shut_both(fds);
	shut(e);
}

TEST(an_event_that_is_there_lets_no_signal_in)
{
	struct timespec ts = { 100, 0 }, zero = { 0, 0 };
	struct pollfd p = { .events = POLLIN };
	struct epoll_event ev;
	int e = a_set(), fds[2];
	sigset_t mask;
	fd_set r;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	CHECK_INT(write(fds[1], "x", 1), 1);
	without_the_tick(&mask);
	a_tick_is_pending();
	CHECK_RET(epoll_pwait(e, &ev, 1, -1, &mask), 1);
	CHECK_RET(epoll_pwait2(e, &ev, 1, &ts, &mask), 1);
	CHECK_INT(ticks, 0);
	p.fd = fds[0];
	CHECK_RET(ppoll(&p, 1, NULL, &mask), 1);
	CHECK_RET(ppoll(&p, 1, &zero, &mask), 1);
	CHECK_INT(ticks, 0);
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	CHECK_RET(pselect(fds[0] + 1, &r, NULL, NULL, &ts, &mask), 1);
	CHECK_RET(pselect(fds[0] + 1, &r, NULL, NULL, &zero, &mask), 1);
	CHECK_INT(ticks, 0);
	check_mask();
	shut_both(fds);
	shut(e);
}

/* poll and select let it in also where they do not wait; epoll does not. */
TEST(a_signal_gets_in_where_there_is_no_time)
{
	struct timespec zero = { 0, 0 };
	struct pollfd p = { .events = POLLIN };
	struct epoll_event ev;
	int e = a_set(), fds[2];
	sigset_t mask;
	fd_set r;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	without_the_tick(&mask);
	a_tick_is_pending();
	CHECK_RET(epoll_pwait(e, &ev, 1, 0, &mask), 0);
	CHECK_INT(ticks, 0);
	p.fd = fds[0];
	CHECK_ERR(ppoll(&p, 1, &zero, &mask), EINTR);
	CHECK_INT(ticks, 1);
	a_tick_is_pending();
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	CHECK_ERR(pselect(fds[0] + 1, &r, NULL, NULL, &zero, &mask), EINTR);
	CHECK_INT(ticks, 1);
	check_mask();
	shut_both(fds);
	shut(e);
}

struct killer {
	pthread_t victim;
	atomic_int over;
};

static void *
kills_until_told(void *arg)
{
	struct killer *k = arg;

	while (!k->over) {
		CHECK_INT(pthread_kill(k->victim, SIGUSR1), 0);
		usleep(10000);
	}
	return NULL;
}

TEST(epoll_wait_is_interrupted_by_pthread_kill)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct killer k = { .victim = pthread_self() };
	struct epoll_event ev;
	int e = a_set(), fds[2];
	pthread_t th;

	a_pipe(fds);
	add(e, fds[0], EPOLLIN);
	CHECK_INT(sigaction(SIGUSR1, &sa, NULL), 0);
	th = party(kills_until_told, &k);
	CHECK_ERR(epoll_wait(e, &ev, 1, -1), EINTR);
	CHECK(ticks > 0);
	k.over = 1;
	leaves(th);
	shut_both(fds);
	shut(e);
}

/* --- cancellation --- */

static atomic_int cleaned;

static void
clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void *
waits_to_be_cancelled(void *arg)
{
	struct epoll_event ev;
	struct timespec ts = { 1000, 0 };

	pthread_cleanup_push(clean, NULL);
	if (*(int *)arg % 2 == 0)
		epoll_wait(*(int *)arg, &ev, 1, -1);
	else
		pselect(0, NULL, NULL, NULL, &ts, NULL);
	CHECK(!"cancelled");
	pthread_cleanup_pop(0);
	return NULL;
}

TEST(epoll_wait_and_pselect_are_cancellation_points)
{
	int e = a_set(), odd = dup(e);
	int two[2] = { e % 2 == 0 ? e : odd, 1 }, i;
	pthread_t th;

	if (two[0] % 2 != 0) {
		shut(odd);
		odd = fcntl(e, F_DUPFD, odd + 1);
		two[0] = odd;
	}
	CHECK_INT(two[0] % 2, 0);
	for (i = 0; i < 2; i++) {
		th = party(waits_to_be_cancelled, &two[i]);
		most_likely();
		CHECK_INT(pthread_cancel(th), 0);
		CHECK(leaves(th) == PTHREAD_CANCELED);
	}
	CHECK_INT(cleaned, 2);
	shut(odd);
	shut(e);
}

/* --- pselect --- */

TEST(pselect_never_gives_up_early_and_keeps_its_time)
{
	struct timespec ts = { 0, 30 * T_MS };
	fd_set r;
	int fds[2];
	int64_t t;

	a_pipe(fds);
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	t = t_now();
	CHECK_RET(pselect(fds[0] + 1, &r, NULL, NULL, &ts, NULL), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	CHECK(!FD_ISSET(fds[0], &r));
	CHECK_INT(ts.tv_sec, 0);
	CHECK_INT(ts.tv_nsec, 30 * T_MS);
	t = t_now();
	CHECK_RET(pselect(0, NULL, NULL, NULL, &ts, NULL), 0);
	CHECK(t_now() - t >= 30 * T_MS);
	shut_both(fds);
}

TEST(pselect_waits_for_a_writer)
{
	struct deed d = { .what = writes };
	fd_set r, w, x;
	int fds[2];
	pthread_t th;

	a_pipe(fds);
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&x);
	FD_SET(fds[0], &r);
	d.fd = fds[1];
	th = party(does_it_later, &d);
	CHECK_RET(pselect(fds[1] + 1, &r, &w, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(fds[0], &r));
	FD_SET(fds[1], &w);
	FD_SET(fds[0], &x);
	CHECK_RET(pselect(fds[1] + 1, &r, &w, &x, NULL, NULL), 2);
	CHECK(FD_ISSET(fds[0], &r));
	leaves(th);
	shut_both(fds);
}

TEST(pselect_lets_signals_in_only_while_it_waits)
{
	sigset_t mask;
	fd_set r;
	int fds[2];

	a_pipe(fds);
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	without_the_tick(&mask);
	a_tick_is_pending();
	CHECK_ERR(pselect(fds[0] + 1, &r, NULL, NULL, NULL, &mask), EINTR);
	CHECK_INT(ticks, 1);
	CHECK(FD_ISSET(fds[0], &r));
	check_mask();
	shut_both(fds);
}

TEST(pselect_says_what_it_cannot_do)
{
	struct timespec bad = { 0, -1 }, neg = { -1, 0 }, ms = { 0, T_MS };
	fd_set r;
	int fds[2];

	a_pipe(fds);
	FD_ZERO(&r);
	FD_SET(fds[0], &r);
	CHECK_ERR(pselect(-1, &r, NULL, NULL, &ms, NULL), EINVAL);
	CHECK_ERR(pselect(64, &r, NULL, NULL, &bad, NULL), EINVAL);
	CHECK_ERR(pselect(64, &r, NULL, NULL, &neg, NULL), EINVAL);
	CHECK_ERR(pselect(64, nowhere(), NULL, NULL, &ms, NULL), EFAULT);
	CHECK_ERR(pselect(64, &r, NULL, NULL, &ms, nowhere()), EFAULT);
	shut_both(fds);
	CHECK_ERR(pselect(64, &r, NULL, NULL, NULL, NULL), EBADF);
}

TEST(select_finds_out_that_it_must_not_write)
{
	struct timeval tv = { 0, 20000 };
	fd_set *r;
	int fds[2];

	a_pipe(fds);
	r = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r != MAP_FAILED);
	FD_SET(fds[0], r);
	CHECK_INT(mprotect(r, 4096, PROT_READ), 0);
	CHECK_ERR(select(fds[0] + 1, r, NULL, NULL, &tv), EFAULT);
	CHECK_INT(write(fds[1], "x", 1), 1);
	tv.tv_sec = 1;
	CHECK_ERR(select(fds[0] + 1, r, NULL, NULL, &tv), EFAULT);
	CHECK_INT(munmap(r, 4096), 0);
	shut_both(fds);
}
