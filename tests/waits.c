/* SPDX-License-Identifier: MIT */
/* waits.c - two threads hand a byte to and fro over TCP, each waiting for it in
 * one way: real/wait_syscalls.sh counts what that costs.
 *
 *     waits WAY ROUNDS
 *
 *     read     read(2), which waits
 *     poll     poll(2) of one descriptor, then recv(2) that does not wait: as
 *              libpq does
 *     again    such a recv(2) first, and poll(2) when there is nothing: as
 *              libmysqlclient does
 *     two      poll(2) of two descriptors, of which one is silent: libcurl
 *     epoll    epoll_wait(2) on a set of the thread's own
 *     crowd    the second of them is CROWD, who wait for one set
 *     accept   the second of them is CROWD, who wait in accept(2); a byte is a
 *              connection and an answer
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CROWD = 50 };

static const char *way;
static int rounds;

static void
must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void
wait_for(int fd, int silent, int set)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { silent, POLLIN, 0 } };
	struct epoll_event ev;

	if (strcmp(way, "poll") == 0 || strcmp(way, "again") == 0)
		must(poll(p, 1, 60000) == 1, "poll");
	else if (strcmp(way, "two") == 0)
		must(poll(p, 2, 60000) == 1, "poll");
	else if (strcmp(way, "epoll") == 0)
		must(epoll_wait(set, &ev, 1, 60000) == 1, "epoll_wait");
}

static void
take(int fd, int silent, int set)
{
	char c[64];
	ssize_t n;

	if (strcmp(way, "read") == 0 || strcmp(way, "crowd") == 0) {
		must(read(fd, c, sizeof c) == 1, "read");
		return;
	}
	n = -1;
	errno = EAGAIN;
	if (strcmp(way, "again") == 0)
		n = recv(fd, c, sizeof c, MSG_DONTWAIT);
	while (n < 0 && errno == EAGAIN) {
		wait_for(fd, silent, set);
		n = recv(fd, c, sizeof c, MSG_DONTWAIT);
	}
	must(n == 1, "recv");
}

static void
play(int fd, int first)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int i, set = epoll_create1(0), silent[2];

	must(pipe(silent) == 0, "pipe");
	must(epoll_ctl(set, EPOLL_CTL_ADD, fd, &ev) == 0, "epoll_ctl");
	for (i = 0; i < rounds; i++) {
		if (!first)
			take(fd, silent[0], set);
		must(send(fd, "x", 1, 0) == 1, "send");
		if (first)
			take(fd, silent[0], set);
	}
}

static int
connected(const struct sockaddr_in *a)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	must(connect(s, (const struct sockaddr *)a, sizeof *a) == 0, "connect");
	return s;
}

static void *
other(void *arg)
{
	char c;
	int i, s;

	if (strcmp(way, "accept") != 0) {
		play(connected(arg), 1);
		return NULL;
	}
	for (i = 0; i < rounds; i++) {
		s = connected(arg);
		must(read(s, &c, 1) == 1, "read");
		close(s);
	}
	return NULL;
}

static int shared;

static void *
accepts(void *arg)
{
	int s;

	while ((s = accept(shared, NULL, NULL)) >= 0) {
		must(send(s, "x", 1, 0) == 1, "send");
		close(s);
	}
	return arg;
}

static void *
waits(void *arg)
{
	struct epoll_event ev;
	char c;

	while (epoll_wait(shared, &ev, 1, -1) == 1) {
		ssize_t n = recv(ev.data.fd, &c, 1, MSG_DONTWAIT);

		if (n == 0)
			break;
		if (n == 1)
			must(send(ev.data.fd, "x", 1, 0) == 1, "send");
	}
	return arg;
}

static void
crowd(int l, void *(*member)(void *), const pthread_t *until)
{
	pthread_t th[CROWD];
	int i;

	for (i = 0; i < CROWD; i++)
		must(pthread_create(&th[i], NULL, member, NULL) == 0,
		     "pthread_create");
	pthread_join(*until, NULL);
	shutdown(l, SHUT_RDWR);
	for (i = 0; i < CROWD; i++)
		pthread_join(th[i], NULL);
}

static void *
one(void *arg)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int l = socket(AF_INET, SOCK_STREAM, 0), s;
	socklen_t len = sizeof a;
	pthread_t th;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(l, (struct sockaddr *)&a, sizeof a) == 0, "bind");
	must(listen(l, 1) == 0, "listen");
	must(getsockname(l, (struct sockaddr *)&a, &len) == 0, "getsockname");
	must(pthread_create(&th, NULL, other, &a) == 0, "pthread_create");
	if (strcmp(way, "accept") == 0) {
		shared = l;
		crowd(l, accepts, &th);
		return arg;
	}
	s = accept(l, NULL, NULL);
	must(s >= 0, "accept");
	if (strcmp(way, "crowd") == 0) {
		struct epoll_event ev = { .events = EPOLLIN, .data.fd = s };

		shared = epoll_create1(0);
		must(epoll_ctl(shared, EPOLL_CTL_ADD, s, &ev) == 0,
		     "epoll_ctl");
		crowd(s, waits, &th);
		return arg;
	}
	play(s, 0);
	pthread_join(th, NULL);
	return arg;
}

int
main(int argc, char **argv)
{
	pthread_t th;

	if (argc != 3) {
		fprintf(stderr, "usage: waits WAY ROUNDS\n");
		return 2;
	}
	way = argv[1];
	rounds = atoi(argv[2]);
	must(pthread_create(&th, NULL, one, NULL) == 0, "pthread_create");
	must(pthread_join(th, NULL) == 0, "pthread_join");
	return 0;
}
