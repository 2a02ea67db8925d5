/* SPDX-License-Identifier: MIT */
/* fd_close.c - close, dup and fcntl: what a descriptor's number stands for,
 * and what becomes of who waits for it.
 *
 * Linux leaves it open what a read does whose descriptor another thread
 * closes: in the kernel it goes on with the old file, under cohook it fails
 * with EBADF.  What both promise is claimed here: close() does not wait, and
 * the old waiter never gets what is meant for the number's next owner.
 */
#define _GNU_SOURCE 1

#include "party.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct waiter {
	int fd;
	volatile pid_t tid;
	ssize_t result;
	int err;
	char got[16];
	pthread_t th;
};

static void *
reads(void *arg)
{
	struct waiter *w = arg;

	w->tid = (pid_t)syscall(SYS_gettid);
	w->result = read(w->fd, w->got, sizeof w->got);
	w->err = errno;
	return NULL;
}

static void *
fills_up(void *arg)
{
	struct waiter *w = arg;

	w->tid = (pid_t)syscall(SYS_gettid);
	w->result = write(w->fd, "x", 1);
	w->err = errno;
	return NULL;
}

static void *
polls(void *arg)
{
	struct waiter *w = arg;
	struct pollfd p = { .fd = w->fd, .events = POLLIN };

	w->tid = (pid_t)syscall(SYS_gettid);
	w->result = poll(&p, 1, 300);
	w->err = errno;
	return NULL;
}

static void *
accepts(void *arg)
{
	struct waiter *w = arg;

	w->tid = (pid_t)syscall(SYS_gettid);
	w->result = accept(w->fd, NULL, NULL);
	w->err = errno;
	if (w->result != -1)
		shut((int)w->result);
	return NULL;
}

/* Starts fn(w) and waits until it waits, in the system call nr.
 *
 * Here the order matters: a reader that came only after the close would find
 * the next owner, and rightly.  A kernel thread can be seen to wait; of a
 * coroutine it is as good as sure once the others have run. */
static void
start_waiting(struct waiter *w, void *(*fn)(void *), int fd, long nr)
{
	const char *expect = getenv("T_EXPECT");
	char path[64], line[64];
	int i, in;

	memset(w, 0, sizeof *w);
	w->fd = fd;
	w->th = party(fn, w);
	while (w->tid == 0)
		sched_yield();
	if (expect != NULL && strcmp(expect, "co") == 0) {
		most_likely();
		for (i = 0; i < 100; i++)
			sched_yield();
		return;
	}
	snprintf(path, sizeof path, "/proc/self/task/%d/syscall", w->tid);
	for (;;) {
		FILE *f = fopen(path, "r");

		CHECK(f != NULL);
		in = fscanf(f, "%63s", line) == 1 && atol(line) == nr &&
		     (nr != 0 || line[0] == '0');
		fclose(f);
		if (in)
			return;
		usleep(1000);
	}
}

static void
a_pipe(int p[2])
{
	CHECK_INT(pipe(p), 0);
}

/* What a waiter may report whose descriptor went: that, or the old file's
 * end, or (of the old file's data) some letters o. */
static void
check_old(const struct waiter *w)
{
	ssize_t i;

	if (w->result == -1)
		CHECK_INT(w->err, EBADF);
	for (i = 0; i < w->result; i++)
		CHECK_INT(w->got[i], 'o');
}

TEST(close_does_not_wait_for_who_reads)
{
	struct waiter w;
	int s[2], i;

	for (i = 0; i < 3; i++) {
		if (i == 0)
			a_pipe(s);
		else if (i == 1)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		start_waiting(&w, reads, s[0], SYS_read);
		CHECK_RET(close(s[0]), 0);
		CHECK_ERR(close(s[0]), EBADF);
		CHECK_ERR(read(s[0], w.got, 0), EBADF);
		shut(s[1]);
		leaves(w.th);
		check_old(&w);
	}
}

TEST(close_does_not_wait_for_who_writes)
{
	struct waiter w;
	size_t n;
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	a_pipe(p);
	n = stuff(p[1]);
	start_waiting(&w, fills_up, p[1], SYS_write);
	CHECK_RET(close(p[1]), 0);
	take(p[0], n, 0);
	leaves(w.th);
	if (w.result == -1)
		CHECK_INT(w.err, EBADF);
	else
		CHECK_INT(w.result, 1);
	CHECK_RET(read(p[0], w.got, sizeof w.got), w.result == 1);
	CHECK_RET(read(p[0], w.got, sizeof w.got), 0);
	shut(p[0]);
}

TEST(close_does_not_wait_for_who_polls)
{
	struct waiter w;
	int p[2];

	a_pipe(p);
	start_waiting(&w, polls, p[0], SYS_poll);
	CHECK_RET(close(p[0]), 0);
	leaves(w.th);
	CHECK(w.result == 0 || w.result == 1);
	shut(p[1]);
}

TEST(close_does_not_wait_for_who_accepts)
{
	struct sockaddr_in addr;
	struct waiter w;
	int l, s;

	l = listener(&addr);
	start_waiting(&w, accepts, l, SYS_accept);
	CHECK_RET(close(l), 0);
	s = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s != -1);
	/* The kernel's waiter still holds the listener. */
	if (connect(s, (struct sockaddr *)&addr, sizeof addr) == -1)
		CHECK_INT(errno, ECONNREFUSED);
	leaves(w.th);
	if (w.result == -1)
		CHECK_INT(w.err, EBADF);
	shut(s);
}

TEST(close_after_shutdown_leaves_nobody_waiting)
{
	struct waiter w[10];
	size_t i;
	int s[2];

	tcp_pair(s);
	for (i = 0; i < COUNT(w); i++)
		start_waiting(&w[i], reads, s[0], SYS_read);
	CHECK_RET(shutdown(s[0], SHUT_RDWR), 0);
	CHECK_RET(close(s[0]), 0);
	for (i = 0; i < COUNT(w); i++) {
		leaves(w[i].th);
		CHECK(w[i].result == 0 ||
		      (w[i].result == -1 && w[i].err == EBADF));
	}
	shut(s[1]);
}

static int contended;

static void *
closes(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)(close(contended) == 0);
}

TEST(of_many_who_close_a_descriptor_one_succeeds)
{
	pthread_t th[20];
	size_t i;
	int round, sum, p[2];

	for (round = 0; round < 20; round++) {
		a_pipe(p);
		contended = p[0];
		sum = 0;
		for (i = 0; i < COUNT(th); i++)
			th[i] = party(closes, NULL);
		for (i = 0; i < COUNT(th); i++)
			sum += (int)(intptr_t)leaves(th[i]);
		CHECK_INT(sum, 1);
		shut(p[1]);
	}
}

/*
 * The next owner of a number
 */

/* How a number may become free. */
enum { BY_CLOSE, BY_FCLOSE, BY_CLOSE_RANGE, BY_DUP2, BY_DUP3, WAYS };

/* Makes the number at stand for fd's file, and closes fd.  What the number
 * stood for goes by the way given. */
static void
replace(int at, int fd, int way)
{
	FILE *f;

	switch (way) {
	case BY_CLOSE:
		CHECK_RET(close(at), 0);
		break;
	case BY_FCLOSE:
		f = fdopen(at, "r");
		CHECK(f != NULL);
		CHECK_INT(fclose(f), 0);
		break;
	case BY_CLOSE_RANGE:
		CHECK_RET(close_range((unsigned)at, (unsigned)at, 0), 0);
		break;
	case BY_DUP3:
		CHECK_RET(dup3(fd, at, O_CLOEXEC), at);
		shut(fd);
		return;
	case BY_DUP2:
		break;
	}
	/* Here the number is free, but BY_DUP2. */
	CHECK_RET(dup2(fd, at), at);
	shut(fd);
}

TEST(the_next_owner_of_a_number_keeps_its_data)
{
	struct waiter w;
	int old[2], new[2], way;
	char c;

	for (way = 0; way < WAYS; way++) {
		a_pipe(old);
		a_pipe(new);
		start_waiting(&w, reads, old[0], SYS_read);
		replace(old[0], new[0], way);
		CHECK_RET(write(new[1], "n", 1), 1);
		most_likely();
		shut(old[1]);
		leaves(w.th);
		check_old(&w);
		CHECK_RET(read(old[0], &c, 1), 1);
		CHECK_INT(c, 'n');
		shut(new[1]);
		shut(old[0]);
	}
}

TEST(old_and_new_waiters_of_a_number_do_not_mix)
{
	struct waiter o, n;
	int old[2], new[2], way;

	signal(SIGPIPE, SIG_IGN);
	for (way = 0; way < WAYS; way++) {
		unix_pair(SOCK_STREAM, old);
		a_pipe(new);
		start_waiting(&o, reads, old[0], SYS_read);
		replace(old[0], new[0], way);
		start_waiting(&n, reads, old[0], SYS_read);
		/* Nobody may be there to hear it. */
		if (write(old[1], "ooo", 3) == -1)
			CHECK_INT(errno, EPIPE);
		shut(old[1]);
		leaves(o.th);
		check_old(&o);
		CHECK_RET(write(new[1], "nn", 2), 2);
		leaves(n.th);
		CHECK_INT(n.result, 2);
		CHECK_INT(memcmp(n.got, "nn", 2), 0);
		shut(new[1]);
		shut(old[0]);
	}
}

/* Both ends of something that can be waited for, of a kind. */
static void
something(int kind, int s[2])
{
	switch (kind % 4) {
	case 0:
		a_pipe(s);
		break;
	case 1:
		unix_pair(SOCK_STREAM, s);
		break;
	case 2:
		tcp_pair(s);
		break;
	default:
		unix_pair(SOCK_DGRAM, s);
		break;
	}
}

static void *
writes_soon(void *arg)
{
	usleep(2000);
	CHECK_RET(write(*(int *)arg, "abc", 3), 3);
	return NULL;
}

/* A read that waits: it works, whatever the number was before. */
static void
check_that_it_waits(int from, int to)
{
	char buf[8] = "";
	pthread_t th = party(writes_soon, &to);

	CHECK_RET(read(from, buf, sizeof buf), 3);
	CHECK_INT(memcmp(buf, "abc", 3), 0);
	leaves(th);
}

TEST(a_number_used_again_and_again_can_be_waited_for)
{
	int s[2], i;

	for (i = 0; i < 40; i++) {
		something(i * 7 / 3, s);
		check_that_it_waits(s[0], s[1]);
		shut_both(s);
	}
}

TEST(a_number_freed_by_any_way_can_be_waited_for)
{
	int old[2], new[2], i;

	for (i = 0; i < 4 * WAYS; i++) {
		something(i, old);
		something(i / 3, new);
		check_that_it_waits(old[0], old[1]);
		shut(old[1]);
		replace(old[0], new[0], i % WAYS);
		check_that_it_waits(old[0], new[1]);
		shut(old[0]);
		shut(new[1]);
	}
}

TEST(a_number_inherits_nothing_from_its_last_owner)
{
	struct timeval tv = { 0, 60000 };
	struct waiter w;
	int s[2], p[2], i;
	char c;

	for (i = 0; i < 2; i++) {
		unix_pair(SOCK_STREAM, s);
		if (i == 0)
			set_nonblocking(s[0], true);
		CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv,
				     sizeof tv),
			  0);
		CHECK_ERR(read(s[0], &c, 1), EAGAIN);
		shut_both(s);
		unix_pair(SOCK_STREAM, p);
		CHECK_INT(p[0], s[0]);
		CHECK(!nonblocking(p[0]));
		/* Longer than the old timeout. */
		start_waiting(&w, reads, p[0], SYS_read);
		usleep(120000);
		CHECK_RET(write(p[1], "abc", 3), 3);
		leaves(w.th);
		CHECK_INT(w.result, 3);
		shut_both(p);
	}
}

/* The kernel's epoll knows a file by number and description: the old entry
 * lives on, in the dup, when the number already stands for another file. */
TEST(a_dup_that_outlives_its_number_does_not_mix_with_the_next_owner)
{
	struct waiter o, n;
	int old[2], new[2], d, i;

	for (i = 0; i < 4; i++) {
		something(i, old);
		check_that_it_waits(old[0], old[1]);
		d = dup(old[0]);
		CHECK(d != -1);
		something(i + 1, new);
		replace(old[0], new[0], i);
		new[0] = old[0];
		start_waiting(&n, reads, new[0], SYS_read);
		start_waiting(&o, reads, d, SYS_read);
		CHECK_RET(write(old[1], "oo", 2), 2);
		leaves(o.th);
		CHECK_INT(o.result, 2);
		check_old(&o);
		most_likely();
		CHECK_RET(write(new[1], "nnn", 3), 3);
		leaves(n.th);
		CHECK_INT(n.result, 3);
		CHECK_INT(memcmp(n.got, "nnn", 3), 0);
		check_that_it_waits(d, old[1]);
		check_that_it_waits(new[0], new[1]);
		shut(d);
		shut(old[1]);
		shut_both(new);
	}
}

TEST(a_waiting_dup_does_not_mind_the_close_of_the_other)
{
	struct waiter w;
	int s[2], d, i;

	for (i = 0; i < 4; i++) {
		something(i, s);
		d = dup(s[0]);
		CHECK(d != -1);
		start_waiting(&w, reads, d, SYS_read);
		shut(s[0]);
		most_likely();
		CHECK_RET(write(s[1], "oo", 2), 2);
		leaves(w.th);
		CHECK_INT(w.result, 2);
		shut(d);
		shut(s[1]);
	}
}

/*
 * dup and its kin
 */

static void
shares(int from, int to, int d)
{
	char c;

	CHECK(d != -1);
	check_that_it_waits(d, to);
	CHECK_RET(write(to, "x", 1), 1);
	CHECK_RET(read(from, &c, 1), 1);
	set_nonblocking(from, true);
	CHECK(nonblocking(d));
	CHECK_ERR(read(d, &c, 1), EAGAIN);
	set_nonblocking(d, false);
	CHECK(!nonblocking(from));
	check_that_it_waits(from, to);
	shut(d);
	check_that_it_waits(from, to);
}

/* The kernel's epoll has had that number of that file before. */
TEST(a_number_that_comes_back_for_the_same_can_be_waited_for)
{
	int s[2], d, i, k;

	for (i = 0; i < 4; i++) {
		something(i, s);
		for (k = 0; k < 3; k++) {
			check_that_it_waits(s[0], s[1]);
			d = dup(s[0]);
			CHECK(d != -1);
			shut(s[0]);
			check_that_it_waits(d, s[1]);
			CHECK_RET(dup2(d, s[0]), s[0]);
			shut(d);
		}
		check_that_it_waits(s[0], s[1]);
		shut_both(s);
	}
}

TEST(every_kind_of_dup_shares_the_description)
{
	int s[2], d, i;

	for (i = 0; i < 4; i++) {
		something(i, s);

		d = dup(s[0]);
		CHECK_INT(fcntl(d, F_GETFD), 0);
		shares(s[0], s[1], d);

		CHECK_RET(dup2(s[0], 200), 200);
		CHECK_INT(fcntl(200, F_GETFD), 0);
		shares(s[0], s[1], 200);

		CHECK_RET(dup3(s[0], 201, O_CLOEXEC), 201);
		CHECK_INT(fcntl(201, F_GETFD), FD_CLOEXEC);
		shares(s[0], s[1], 201);

		d = fcntl(s[0], F_DUPFD, 300);
		CHECK_INT(d, 300);
		CHECK_INT(fcntl(d, F_GETFD), 0);
		shares(s[0], s[1], d);

		d = fcntl(s[0], F_DUPFD_CLOEXEC, 300);
		CHECK_INT(d, 300);
		CHECK_INT(fcntl(d, F_GETFD), FD_CLOEXEC);
		shares(s[0], s[1], d);
		shut_both(s);
	}
}

TEST(a_dup_is_nothing_like_the_number_that_it_has_to_be_above)
{
	int s[2], p[2], d, i;

	for (i = 0; i < 4; i++) {
		something(i, s);
		unix_pair(i % 2 ? SOCK_STREAM : SOCK_DGRAM, p);
		set_nonblocking(p[0], true);
		d = fcntl(s[0], i < 2 ? F_DUPFD : F_DUPFD_CLOEXEC, p[0]);
		CHECK(d > p[0]);
		CHECK(!nonblocking(d));
		check_that_it_waits(d, s[1]);
		set_nonblocking(s[0], true);
		CHECK_ERR(read(d, &(char){ 0 }, 1), EAGAIN);
		shut(d);
		shut_both(p);
		shut_both(s);
	}
}

TEST(dup_takes_the_lowest_free_number)
{
	int p[2], a, b, low;

	for (low = 0; fcntl(low, F_GETFD) != -1; low++)
		;
	a_pipe(p);
	CHECK_INT(p[0], low);
	CHECK_INT(p[1], low + 1);
	a = dup(p[0]);
	CHECK_INT(a, low + 2);
	b = fcntl(p[0], F_DUPFD, 0);
	CHECK_INT(b, low + 3);
	shut(a);
	CHECK_RET(dup(p[1]), a);
	shut(a);
	shut(b);
	shut_both(p);
}

TEST(dup2_onto_itself_changes_nothing)
{
	int p[2];

	a_pipe(p);
	CHECK_INT(fcntl(p[0], F_SETFD, FD_CLOEXEC), 0);
	CHECK_RET(dup2(p[0], p[0]), p[0]);
	CHECK_INT(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	CHECK_ERR(dup3(p[0], p[0], 0), EINVAL);
	check_that_it_waits(p[0], p[1]);
	shut_both(p);
}

TEST(a_dup_that_fails_closes_nothing)
{
	int p[2];

	a_pipe(p);
	CHECK_ERR(dup(-1), EBADF);
	CHECK_ERR(dup(900), EBADF);
	CHECK_ERR(dup2(-1, p[0]), EBADF);
	CHECK_ERR(dup2(900, p[0]), EBADF);
	CHECK_ERR(dup2(900, 900), EBADF);
	CHECK_ERR(dup2(p[0], -1), EBADF);
	CHECK_ERR(dup3(900, p[0], 0), EBADF);
	CHECK_ERR(dup3(p[1], p[0], O_APPEND), EINVAL);
	CHECK_ERR(fcntl(p[0], F_DUPFD, -1), EINVAL);
	CHECK_ERR(fcntl(900, F_DUPFD, 0), EBADF);
	check_that_it_waits(p[0], p[1]);
	shut_both(p);
}

/*
 * fcntl
 */

TEST(fcntl_of_no_descriptor_is_EBADF)
{
	static const int cmds[] = { F_GETFD,      F_SETFD,     F_GETFL,
				    F_SETFL,      F_DUPFD,     F_DUPFD_CLOEXEC,
				    F_GETPIPE_SZ, F_GET_SEALS, F_GETOWN };
	size_t i;

	for (i = 0; i < COUNT(cmds); i++) {
		CHECK_ERR(fcntl(-1, cmds[i], 0), EBADF);
		CHECK_ERR(fcntl(900, cmds[i], 0), EBADF);
		CHECK_ERR(fcntl(INT32_MAX, cmds[i], 0), EBADF);
	}
}

TEST(fcntl_passes_what_is_rare)
{
	struct f_owner_ex own = { -1, -1 };
	int p[2], n;

	a_pipe(p);
	n = fcntl(p[1], F_SETPIPE_SZ, 16384);
	CHECK(n >= 16384);
	CHECK_RET(fcntl(p[0], F_GETPIPE_SZ), n);
	CHECK_RET(fcntl(p[0], F_GETOWN), 0);
	CHECK_RET(fcntl(p[0], F_SETOWN, getpid()), 0);
	CHECK_RET(fcntl(p[0], F_GETOWN), getpid());
	CHECK_RET(fcntl(p[0], F_GETOWN_EX, &own), 0);
	CHECK_INT(own.type, F_OWNER_PID);
	CHECK_INT(own.pid, getpid());
	CHECK_RET(fcntl(p[0], F_SETSIG, SIGUSR1), 0);
	CHECK_RET(fcntl(p[0], F_GETSIG), SIGUSR1);
	CHECK_ERR(fcntl(p[0], 9999, 0), EINVAL);
	CHECK_ERR(fcntl(p[0], F_GETOWN_EX, nowhere()), EFAULT);
	check_that_it_waits(p[0], p[1]);
	shut_both(p);
}

/* The one command whose result may be less than -1. */
TEST(fcntl_tells_a_process_group_as_a_negative_owner)
{
	int p[2];

	a_pipe(p);
	CHECK_RET(fcntl(p[0], F_SETOWN, -getpgrp()), 0);
	CHECK_RET(fcntl(p[0], F_GETOWN), -getpgrp());
	shut_both(p);
}

TEST(fcntl_seals_a_memfd)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);

	if (fd == -1)
		SKIP("no memfd");
	CHECK_RET(write(fd, "abc", 3), 3);
	CHECK_RET(fcntl(fd, F_GET_SEALS), 0);
	CHECK_RET(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW), 0);
	CHECK_RET(fcntl(fd, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_GROW);
	CHECK_ERR(write(fd, "d", 1), EPERM);
	shut(fd);
}

TEST(fcntl_keeps_locks)
{
	struct flock fl = { .l_type = F_WRLCK,
			    .l_whence = SEEK_SET,
			    .l_start = 10,
			    .l_len = 5 };
	int fd = memfd_create("locked", 0), other;
	char path[64];

	if (fd == -1)
		SKIP("no memfd");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR);
	CHECK(other != -1);
	CHECK_RET(fcntl(fd, F_OFD_SETLK, &fl), 0);
	CHECK_ERR(fcntl(other, F_OFD_SETLK, &fl), EAGAIN);
	CHECK_RET(fcntl(other, F_OFD_GETLK, &fl), 0);
	CHECK_INT(fl.l_type, F_WRLCK);
	CHECK_INT(fl.l_start, 10);
	CHECK_INT(fl.l_len, 5);
	CHECK_INT(fl.l_pid, -1);
	shut(fd);
	shut(other);
}

static void *
unlocks_later(void *arg)
{
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	most_likely();
	CHECK_RET(fcntl(*(int *)arg, F_OFD_SETLK, &fl), 0);
	return NULL;
}

TEST(fcntl_waits_for_a_lock)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = memfd_create("locked", 0), other;
	char path[64];
	pthread_t th;

	if (fd == -1)
		SKIP("no memfd");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	other = open(path, O_RDWR);
	CHECK(other != -1);
	CHECK_RET(fcntl(fd, F_OFD_SETLK, &fl), 0);
	th = party(unlocks_later, &fd);
	CHECK_RET(fcntl(other, F_OFD_SETLKW, &fl), 0);
	leaves(th);
	shut(fd);
	shut(other);
}

/*
 * Programs that close everything, and programs that run out
 */

static void
still_works(void)
{
	int s[2], i;

	for (i = 0; i < 4; i++) {
		something(i, s);
		check_that_it_waits(s[0], s[1]);
		check_that_it_waits(s[0], s[1]);
		shut_both(s);
	}
	CHECK_RET(usleep(1000), 0);
	CHECK_RET(poll(NULL, 0, 1), 0);
}

TEST(a_program_that_closes_all_numbers_goes_on)
{
	int s[2], i, closed = 0;

	/* Somebody has waited before, so whatever that needs is there. */
	still_works();
	a_pipe(s);
	check_that_it_waits(s[0], s[1]);
	for (i = 3; i < 1024; i++) {
		errno = 0;
		if (close(i) == 0)
			closed++;
		else
			CHECK_INT(errno, EBADF);
	}
	/* Two of ours; one we were born with would show as well, but a case
	 * is given none. */
	CHECK_INT(closed, 2);
	still_works();
}

TEST(a_program_that_calls_close_range_goes_on)
{
	int s[2];

	still_works();
	a_pipe(s);
	check_that_it_waits(s[0], s[1]);
	CHECK_RET(close_range(3, ~0U, 0), 0);
	CHECK_ERR(close(s[0]), EBADF);
	CHECK_ERR(close(s[1]), EBADF);
	still_works();
	a_pipe(s);
	closefrom(3);
	CHECK_ERR(close(s[0]), EBADF);
	still_works();
	CHECK_ERR(close_range(5, 4, 0), EINVAL);
}

static void
limit(rlim_t n)
{
	struct rlimit rl;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	rl.rlim_cur = n;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

TEST(a_program_out_of_descriptors_is_told_and_can_still_wait)
{
	struct rlimit rl;
	struct sockaddr_in addr;
	int p[2], q[2], s[2], l, c, a;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	a_pipe(p);
	l = listener(&addr);
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_RET(connect(c, (struct sockaddr *)&addr, sizeof addr), 0);
	limit((rlim_t)c + 1);

	CHECK_ERR(pipe(q), EMFILE);
	CHECK_ERR(pipe2(q, O_NONBLOCK), EMFILE);
	CHECK_ERR(socket(AF_INET, SOCK_STREAM, 0), EMFILE);
	CHECK_ERR(socketpair(AF_UNIX, SOCK_STREAM, 0, s), EMFILE);
	CHECK_ERR(dup(p[0]), EMFILE);
	CHECK_ERR(fcntl(p[0], F_DUPFD, 0), EMFILE);
	CHECK_ERR(fcntl(p[0], F_DUPFD, c + 1), EINVAL);
	CHECK_ERR(dup2(p[0], c + 1), EBADF);
	CHECK_ERR(dup3(p[0], c + 1, 0), EBADF);
	CHECK_ERR(accept(l, NULL, NULL), EMFILE);
	CHECK_ERR(accept4(l, NULL, NULL, 0), EMFILE);
	CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
	check_that_it_waits(p[0], p[1]);
	CHECK_RET(usleep(1000), 0);

	limit(rl.rlim_cur);
	/* The connection is still there. */
	a = accept(l, NULL, NULL);
	CHECK(a != -1);
	check_that_it_waits(c, a);
	shut(a);
	shut(c);
	shut(l);
	shut_both(p);
}

TEST(descriptors_beyond_1024_can_be_waited_for)
{
	struct rlimit rl;
	int p[2], d, e;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	if (rl.rlim_max < 4000)
		SKIP("RLIMIT_NOFILE is too low");
	if (rl.rlim_cur < 4000)
		limit(4000);
	a_pipe(p);
	d = fcntl(p[0], F_DUPFD, 3000);
	e = fcntl(p[1], F_DUPFD, 3000);
	CHECK(d >= 3000 && e >= 3000);
	shut_both(p);
	check_that_it_waits(d, e);
	shut(d);
	shut(e);
	CHECK_ERR(read(d, &e, 1), EBADF);
}
