/* SPDX-License-Identifier: MIT */
/* fd_shared.c - a description that another process has as well: it never shows
 * there that somebody waits here, not even after SIGKILL; and what is set there
 * counts here. */
#define _GNU_SOURCE 1

#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "party.h"

enum { THINGS = 8, WATCHES = 300 };

static int thing[THINGS], partner[THINGS];
static int full; /* a pipe's writing end, with no room */
static int accepts, connects;
static struct sockaddr_in its;

static void
make_things(void)
{
	struct sockaddr_in addr;
	int p[2], i = 0;

	/* A shell's terminal, its pipe, and sockets of a server's. */
	thing[i] = posix_openpt(O_RDWR | O_NOCTTY);
	if (thing[i] == -1)
		SKIP("no terminals");
	CHECK_INT(grantpt(thing[i]), 0);
	CHECK_INT(unlockpt(thing[i]), 0);
	partner[i] = thing[i];
	thing[i] = open(ptsname(partner[i]), O_RDWR | O_NOCTTY);
	CHECK(thing[i++] != -1);
	CHECK_INT(pipe(p), 0);
	thing[i] = p[0];
	partner[i++] = p[1];
	CHECK_INT(pipe(p), 0);
	full = i;
	thing[i] = p[1];
	partner[i++] = p[0];
	stuff(p[1]);
	unix_pair(SOCK_STREAM, p);
	thing[i] = p[0];
	partner[i++] = p[1];
	tcp_pair(p);
	thing[i] = p[0];
	partner[i++] = p[1];
	thing[i] = bound(SOCK_DGRAM, &addr);
	partner[i] = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK_INT(connect(partner[i++], (struct sockaddr *)&addr, sizeof addr),
		  0);
	accepts = i;
	thing[i] = listener(&addr);
	partner[i++] = socket(AF_INET, SOCK_DGRAM, 0); /* nobody */
	connects = i;
	thing[i] = socket(AF_INET, SOCK_STREAM, 0);
	partner[i++] = listener(&its);
	CHECK_INT(i, THINGS);
}

static void
shut_things(void)
{
	int i;

	for (i = 0; i < THINGS; i++) {
		shut(thing[i]);
		shut(partner[i]);
	}
}

static void
comes_and_goes(int s, int listens)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };

	if (connect(s, (struct sockaddr *)&its, sizeof its) == 0)
		close(accept(listens, NULL, NULL));
	connect(s, &nobody, sizeof nobody);
}

/* Each thing is waited for, for ever. */
static void *
waits(void *arg)
{
	int i = (int)(intptr_t)arg;
	char c = 'x';

	for (;;) {
		if (i == full)
			(void)!write(thing[i], &c, 1);
		else if (i == accepts)
			accept(thing[i], NULL, NULL);
		else if (i == connects)
			comes_and_goes(thing[i], partner[i]);
		else if (i % 2 == 0)
			(void)!read(thing[i], &c, 1);
		else
			poll(&(struct pollfd){ thing[i], POLLIN, 0 }, 1, -1);
	}
	return NULL;
}

static _Noreturn void
be_the_child(void)
{
	int i;

	for (i = 1; i < THINGS; i++)
		party(waits, (void *)(intptr_t)i);
	waits((void *)(intptr_t)0);
	_exit(1);
}

static void
check_flags(const int *was)
{
	int i;

	for (i = 0; i < THINGS; i++)
		CHECK_INT(fcntl(thing[i], F_GETFL), was[i]);
}

TEST(others_see_no_flag_of_ours_even_after_SIGKILL)
{
	struct termios was_tty = { 0 }, tty = { 0 };
	int was[THINGS], i, status;
	pid_t pid;

	make_things();
	for (i = 0; i < THINGS; i++)
		was[i] = fcntl(thing[i], F_GETFL);
	CHECK_INT(tcgetattr(thing[0], &was_tty), 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0)
		be_the_child();
	for (i = 0; i < WATCHES; i++) {
		check_flags(was);
		if (i % 20 == 0)
			usleep(2000);
	}
	CHECK_INT(kill(pid, SIGKILL), 0);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	check_flags(was);
	CHECK_INT(tcgetattr(thing[0], &tty), 0);
	CHECK(memcmp(&tty, &was_tty, sizeof tty) == 0);
	shut_things();
}

/* Works, then is killed in the middle of it: data go to and fro. */
static _Noreturn void
be_a_busy_child(int s, int listens)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof addr;
	int c, a;
	char b[512];

	CHECK_INT(getsockname(listens, (struct sockaddr *)&addr, &len), 0);
	for (;;) {
		c = socket(AF_INET, SOCK_STREAM, 0);
		CHECK_INT(connect(c, (struct sockaddr *)&addr, sizeof addr), 0);
		a = accept(listens, NULL, NULL);
		CHECK(a != -1);
		CHECK_INT(read(s, b, sizeof b) > 0, 1);
		close(a);
		close(c);
	}
}

TEST(who_is_killed_at_work_leaves_no_flag_behind)
{
	struct sockaddr_in addr;
	char b[512] = { 0 };
	int round, s[2], l, i;
	pid_t pid;

	for (round = 0; round < 5; round++) {
		unix_pair(SOCK_STREAM, s);
		l = listener(&addr);
		pid = fork();
		CHECK(pid != -1);
		if (pid == 0)
			be_a_busy_child(s[1], l);
		for (i = 0; i < 50; i++) {
			CHECK_INT(write(s[0], b, sizeof b), sizeof b);
			CHECK(!nonblocking(s[1]));
			CHECK(!nonblocking(l));
		}
		CHECK_INT(kill(pid, SIGKILL), 0);
		CHECK_INT(waitpid(pid, NULL, 0), pid);
		CHECK(!nonblocking(s[1]));
		CHECK(!nonblocking(l));
		shut_both(s);
		shut(l);
	}
}

/* The child sets O_NONBLOCK on what it shares, and takes it away again. */
static void
another_process_decides(int ours, int theirs)
{
	int ask[2], tell[2], status;
	char c;
	pid_t pid;

	CHECK_INT(pipe(ask), 0);
	CHECK_INT(pipe(tell), 0);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		set_nonblocking(ours, true);
		CHECK_INT(write(tell[1], "x", 1), 1);
		CHECK_INT(read(ask[0], &c, 1), 1);
		set_nonblocking(ours, false);
		CHECK_INT(write(tell[1], "x", 1), 1);
		CHECK_INT(read(ask[0], &c, 1), 1);
		usleep(20000);
		CHECK_INT(write(theirs, "y\n", 2), 2);
		_exit(0);
	}
	CHECK_INT(read(tell[0], &c, 1), 1);
	CHECK(nonblocking(ours));
	CHECK_ERR(read(ours, &c, 1), EAGAIN);
	CHECK_INT(write(ask[1], "x", 1), 1);
	CHECK_INT(read(tell[0], &c, 1), 1);
	CHECK(!nonblocking(ours));
	CHECK_INT(write(ask[1], "x", 1), 1);
	CHECK_RET(read(ours, &c, 1), 1);
	CHECK_INT(c, 'y');
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	shut_both(ask);
	shut_both(tell);
}

TEST(another_process_may_change_what_it_shares)
{
	int i;

	make_things();
	for (i = 0; i < THINGS; i++)
		if (i != full && i != accepts && i != connects)
			another_process_decides(thing[i], partner[i]);
	shut_things();
}

/* Processes read from one pipe, each with threads that do: a byte comes to one
 * of them, and all see the end. */
static int shared_pipe[2];

static void *
counts(void *arg)
{
	long *got = arg;
	char c;

	while (read(shared_pipe[0], &c, 1) == 1)
		++*got;
	return NULL;
}

TEST(processes_take_turns_at_one_pipe)
{
	enum { CHILDREN = 3, THREADS = 4, BYTES = 3000 };
	long got[THREADS] = { 0 }, sum = 0;
	int count[2], i, j, status;
	pthread_t th[THREADS];
	pid_t pid[CHILDREN];

	CHECK_INT(pipe(shared_pipe), 0);
	CHECK_INT(pipe(count), 0);
	for (i = 0; i < CHILDREN; i++) {
		pid[i] = fork();
		CHECK(pid[i] != -1);
		if (pid[i] != 0)
			continue;
		close(shared_pipe[1]);
		for (j = 0; j < THREADS; j++)
			th[j] = party(counts, &got[j]);
		for (j = 0; j < THREADS; j++) {
			leaves(th[j]);
			sum += got[j];
		}
		CHECK_INT(write(count[1], &sum, sizeof sum), sizeof sum);
		_exit(0);
	}
	for (i = 0; i < BYTES; i++) {
		CHECK_INT(write(shared_pipe[1], "x", 1), 1);
		if (i % 100 == 0)
			usleep(100);
	}
	shut_both(shared_pipe);
	for (i = 0; i < CHILDREN; i++) {
		CHECK_INT(read(count[0], &got[0], sizeof got[0]),
			  sizeof got[0]);
		sum += got[0];
		CHECK_INT(waitpid(pid[i], &status, 0), pid[i]);
		CHECK_INT(status, 0);
	}
	CHECK_INT(sum, BYTES);
	shut_both(count);
}
