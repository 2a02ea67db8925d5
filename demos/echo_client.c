/* SPDX-License-Identifier: MIT */
/* echo_client.c - the load for the echo servers, and not a demo itself: many
 * connections from one thread, each sending a request, waiting until all of it
 * has come back, and sending the next.  Every byte is checked.
 *
 * Once each connection has had its first answer, all are known to be served:
 * that is when the server's kernel threads are counted (-s) and the clock
 * starts.  The result is one line on stdout.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

#define SIZE_MAX_BYTES 1048576
#define STUCK_MS 30000 /* nothing moves for so long: give up */

struct conn {
	int fd;
	int number;
	int round;          /* of the request now under way; 0 warms up */
	int sent, received; /* bytes of it */
	int dead;
};

static int n = 1000, rounds = 100, size = 64, server_pid;
static int ep, errors;
static int in_round; /* connections not yet through with it */
static char *out, *in;
static struct conn *conns;

static void
fail(const char *what)
{
	perror(what);
	exit(2);
}

static double
now(void)
{
	return (double)now_ns() / 1e9;
}

/* Differs by connection, round and place, so that nobody else's bytes, nor
 * our own old ones, can pass for right. */
static char
byte_at(const struct conn *c, int at)
{
	uint32_t x = (uint32_t)c->number * 2654435761u +
		     (uint32_t)c->round * 40503u + (uint32_t)at * 69069u;

	x ^= x >> 15;
	return (char)(x * 2246822519u >> 24);
}

static void
give_up(struct conn *c, const char *why)
{
	if (errors++ < 5)
		fprintf(stderr, "connection %d, round %d: %s\n", c->number,
			c->round, why);
	c->dead = 1;
	close(c->fd);
	in_round--;
}

/* Send what is left of the request; the socket buffer may take it in parts. */
static void
push(struct conn *c)
{
	while (c->sent < size) {
		ssize_t m;

		for (int i = c->sent; i < size; i++)
			out[i] = byte_at(c, i);
		m = send(c->fd, out + c->sent, (size_t)(size - c->sent),
			 MSG_NOSIGNAL);
		if (m < 0) {
			if (errno != EAGAIN)
				give_up(c, strerror(errno));
			return;
		}
		c->sent += (int)m;
	}
}

/* Take what has come.  last: the round after which this connection rests. */
static void
pull(struct conn *c, int last)
{
	/* One byte too many is asked for, to notice an answer that is longer
	 * than its question. */
	while (!c->dead && c->round <= last) {
		ssize_t m =
			recv(c->fd, in, (size_t)(size - c->received + 1), 0);

		if (m < 0 && errno == EAGAIN)
			return;
		if (m <= 0 || m > size - c->received) {
			give_up(c, m < 0  ? strerror(errno) :
				   m == 0 ? "closed by server" :
					    "too many bytes");
			return;
		}
		for (int i = 0; i < m; i++)
			if (in[i] != byte_at(c, c->received + i)) {
				give_up(c, "wrong bytes");
				return;
			}
		c->received += (int)m;
		if (c->received < size)
			continue;
		c->round++;
		c->sent = c->received = 0;
		if (c->round > last)
			in_round--;
		else
			push(c);
	}
}

/* Let every connection go on until it has finished round `last'. */
static void
run_to(int last)
{
	struct epoll_event ev[256];

	in_round = 0;
	for (int i = 0; i < n; i++)
		in_round += !conns[i].dead;
	for (int i = 0; i < n; i++)
		if (!conns[i].dead)
			push(&conns[i]);
	while (in_round > 0) {
		int k = epoll_wait(ep, ev, 256, STUCK_MS);

		if (k < 0 && errno != EINTR)
			fail("epoll_wait");
		if (k == 0) {
			fprintf(stderr, "%d connections without an answer\n",
				in_round);
			errors += in_round;
			return;
		}
		for (int i = 0; i < k; i++) {
			struct conn *c = ev[i].data.ptr;

			if (!c->dead && ev[i].events & EPOLLOUT &&
			    c->round <= last)
				push(c);
			if (!c->dead)
				pull(c, last);
		}
	}
}

static void
connect_all(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(port);
	for (int i = 0; i < n; i++) {
		struct conn *c = &conns[i];
		struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT };

		ev.events |= EPOLLET;
		ev.data.ptr = c;
		c->number = i;
		c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd < 0)
			fail("socket");
		if (connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0)
			fail("connect");
		if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
		    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) != 0)
			fail("epoll_ctl");
	}
}

static void
usage(const char *name)
{
	fprintf(stderr,
		"usage: %s -p PORT [-k CONNECTIONS] [-r ROUNDS] "
		"[-b BYTES] [-s SERVER_PID]\n",
		name);
	exit(2);
}

int
main(int argc, char **argv)
{
	int port = 0, threads, kib, c;
	double start, seconds;
	long requests = 0;

	while ((c = getopt(argc, argv, "p:k:r:b:s:")) != -1) {
		switch (c) {
		case 'p':
			port = atoi(optarg);
			break;
		case 'k':
			n = atoi(optarg);
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'b':
			size = atoi(optarg);
			break;
		case 's':
			server_pid = atoi(optarg);
			break;
		default:
			usage(argv[0]);
		}
	}
	if (port < 1 || port > 65535 || n < 1 || rounds < 1 || size < 1 ||
	    size > SIZE_MAX_BYTES || optind != argc)
		usage(argv[0]);
	conns = calloc((size_t)n, sizeof *conns);
	out = malloc((size_t)size);
	in = malloc((size_t)size + 1);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || !out || !in || ep < 0)
		fail("setting up");

	connect_all((uint16_t)port);
	run_to(0);
	threads = status_of(server_pid, "Threads:");
	start = now();
	if (!errors)
		run_to(rounds);
	seconds = now() - start;
	c = status_of(server_pid, "Threads:");
	if (c > threads)
		threads = c;
	kib = status_of(server_pid, "VmHWM:");
	for (int i = 0; i < n; i++)
		requests += conns[i].round > 0 ? conns[i].round - 1 : 0;
	printf("connections=%d requests=%ld per_second=%.0f threads=%d "
	       "peak_kib=%d errors=%d\n",
	       n, requests, (double)requests / seconds, threads, kib, errors);
	free(conns);
	free(out);
	free(in);
	return errors || fflush(stdout) ? 1 : 0;
}
