/* SPDX-License-Identifier: MIT */
/* fd_high.c - descriptors beyond a thousand, and a million where the machine
 * lets us: waited for, duplicated, closed and used again. */
#define _GNU_SOURCE 1

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "party.h"

enum { MILLION = 1000001 };

/* The limit is for this process alone.  The highest number that there may be,
 * if not more than was asked for. */
static int
allow(int number)
{
	struct rlimit rl, more;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &rl), 0);
	more.rlim_cur = more.rlim_max = (rlim_t)number + 1;
	if (rl.rlim_max > more.rlim_max)
		more.rlim_max = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &more) == 0)
		return number;
	rl.rlim_cur = rl.rlim_max;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &rl), 0);
	if (rl.rlim_cur < 2000)
		SKIP("not enough descriptors for us here");
	return (int)rl.rlim_cur - 1;
}

static int
to_number(int fd, int number)
{
	CHECK_RET(dup2(fd, number), number);
	shut(fd);
	return number;
}

static void *
writes_later(void *arg)
{
	int *fd = arg;

	most_likely();
	CHECK_RET(write(*fd, "x", 1), 1);
	return NULL;
}

/* select(2) beyond FD_SETSIZE: sets of the program's own size. */
static int
select_one(int fd, struct timeval *tv)
{
	size_t words = (size_t)fd / 64 + 1;
	unsigned long *set = calloc(words, sizeof *set);
	int r;

	CHECK(set != NULL);
	set[fd / 64] |= 1UL << (fd % 64);
	r = select(fd + 1, (fd_set *)set, NULL, NULL, tv);
	CHECK(r < 1 || set[fd / 64] == 1UL << (fd % 64));
	free(set);
	return r;
}

static void
is_waited_for(int number)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct timeval tv = { .tv_usec = 1000 };
	struct pollfd p = { .fd = number, .events = POLLIN };
	int fds[2], e = epoll_create1(EPOLL_CLOEXEC);
	pthread_t th;
	char c;

	CHECK_INT(pipe(fds), 0);
	to_number(fds[0], number);
	CHECK_INT(epoll_ctl(e, EPOLL_CTL_ADD, number, &ev), 0);

	th = party(writes_later, &fds[1]);
	CHECK_RET(read(number, &c, 1), 1);
	leaves(th);
	CHECK_RET(poll(&p, 1, 1), 0);
	th = party(writes_later, &fds[1]);
	CHECK_RET(poll(&p, 1, -1), 1);
	CHECK_RET(read(number, &c, 1), 1);
	leaves(th);
	CHECK_RET(select_one(number, &tv), 0);
	th = party(writes_later, &fds[1]);
	CHECK_RET(select_one(number, NULL), 1);
	CHECK_RET(read(number, &c, 1), 1);
	leaves(th);
	CHECK_RET(epoll_wait(e, &ev, 1, 1), 0);
	th = party(writes_later, &fds[1]);
	CHECK_RET(epoll_wait(e, &ev, 1, -1), 1);
	leaves(th);
	CHECK_RET(read(number, &c, 1), 1);

	shut(e);
	shut(number);
	CHECK_ERR(read(number, &c, 1), EBADF);
	shut(fds[1]);
}

TEST(high_numbers_are_waited_for)
{
	int most = allow(200000), number;

	for (number = 1024; number <= most; number *= 3)
		is_waited_for(number);
	is_waited_for(most);
}

TEST(a_number_above_a_million_is_waited_for)
{
	if (allow(MILLION) != MILLION)
		SKIP("no million descriptors for us here");
	is_waited_for(MILLION);
}

static void *
reads_until_the_end(void *arg)
{
	int *fd = arg;
	char c;

	CHECK_ERR(read(*fd, &c, 1), EBADF);
	return NULL;
}

/* Bare, a close does not wake who waits; that it does is documented of us. */
TEST(a_high_number_that_is_closed_can_be_used_again)
{
	int number = allow(MILLION), other = number - 1000, p[2], i;
	pthread_t th;
	char c;

	for (i = 0; i < 20; i++) {
		CHECK_INT(pipe(p), 0);
		to_number(p[0], number);
		to_number(p[1], other);
		th = party(writes_later, &other);
		CHECK_RET(read(number, &c, 1), 1);
		leaves(th);
		if (i % 2 == 0) {
			shut(number);
			shut(other);
		} else {
			CHECK_INT(close_range((unsigned)other, ~0U, 0), 0);
		}
		CHECK_ERR(read(number, &c, 1), EBADF);
		th = party(reads_until_the_end, &number);
		leaves(th);
	}
}

/* Each number that there may be; ours are none of the program's business. */
TEST(who_closes_every_number_there_may_be_goes_on)
{
	struct pollfd p = { .events = POLLIN };
	int i, fds[2], most = allow(MILLION);
	pthread_t th;

	for (i = 3; i <= most; i++)
		CHECK(close(i) == 0 || errno == EBADF);
	closefrom(3);
	CHECK_INT(pipe(fds), 0);
	CHECK_INT(fds[0], 3);
	CHECK_INT(fds[1], 4);
	th = party(writes_later, &fds[1]);
	p.fd = fds[0];
	CHECK_RET(poll(&p, 1, -1), 1);
	leaves(th);
	shut_both(fds);
}

/* What a child inherits by exec: the program's, and nothing of ours. */
TEST(a_program_that_is_started_finds_the_numbers_it_was_left)
{
	int status, high, p[2];
	pid_t pid;

	CHECK_INT(pipe(p), 0);
	high = fcntl(p[0], F_DUPFD, 700);
	CHECK_INT(high, 700);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		unsetenv("LD_PRELOAD");
		execl("/bin/sh", "sh", "-c",
		      "for f in /proc/self/fd/*; do echo ${f##*/}; done | "
		      "sort -n | tr '\\n' ' ' | grep -Eqx "
		      "'0 1 2 3 4 ([0-9]+ )?700 '",
		      (char *)NULL);
		_exit(127);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(WEXITSTATUS(status), 0);
	shut(high);
	shut_both(p);
}

/* Hundreds of descriptors over the whole range, all waited for at once. */
TEST(many_numbers_far_apart_are_waited_for_at_once)
{
	enum { MANY = 200 };
	int w[MANY], fds[2], i, apart = (allow(MILLION) - 1000) / MANY;
	struct pollfd p[MANY];
	char c;

	for (i = 0; i < MANY; i++) {
		CHECK_INT(pipe(fds), 0);
		p[i].fd = to_number(fds[0], 1000 + (i + 1) * apart);
		p[i].events = POLLIN;
		w[i] = fds[1];
	}
	for (i = 0; i < MANY; i += 37) {
		pthread_t th = party(writes_later, &w[i]);

		CHECK_RET(poll(p, MANY, -1), 1);
		CHECK_INT(p[i].revents, POLLIN);
		CHECK_RET(read(p[i].fd, &c, 1), 1);
		leaves(th);
	}
	for (i = 0; i < MANY; i++) {
		shut(p[i].fd);
		shut(w[i]);
	}
}
