/* SPDX-License-Identifier: MIT */
/* load.c - a load for an echo server: many connections from one loop over
 * epoll, each with one request under way.  Every byte that comes back is
 * checked.
 *
 *     load -p PORT [-k CONNECTIONS] [-b BYTES] [-t MILLISECONDS | -r ROUNDS]
 *          [-c] [-w] [-s SERVER_PID]
 *
 *   -t   for so long after each connection has had its first answer; 1000
 *   -r   instead: until each connection has had so many
 *   -c   a connection for each request: connect, ask, be answered, close
 *   -w   once each connection has had its first answer, say "ready" and wait
 *        for the end of stdin before the rest
 *   -s   whose CPU to count, over the same time
 *
 * latency: from just before a request is sent (with -c, before connecting)
 * until the last byte of its answer is there.  client_busy: how much of the
 * time we were not waiting; near 1, it is us who were measured.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench.h"

#define STUCK_MS 20000 /* nothing moves for so long: give up */
#define AT_ONCE 128    /* connections made before the first are served */
#define PATTERN 4096
#define FINE 32 /* steps of the histogram from one power of 2 to the next */

struct conn {
	int fd; /* -1: there is none */
	uint32_t number, round;
	size_t sent, received; /* bytes of this round */
	int64_t since;
};

static int n = 1, port, server, one_each, wait_for_word;
static size_t size = 64;
static long rounds, milliseconds = 1000;

static int ep;
static struct conn *conns;
static char *want, *in;
static char pattern[PATTERN];

static int running;   /* requests under way */
static int stopping;  /* no more are begun */
static long answered; /* since the clock started */
static long slow[64 * FINE];

static void
give_up(const struct conn *c, const char *why)
{
	fprintf(stderr, "connection %u, round %u, %zu of %zu bytes back: %s\n",
		c->number, c->round, c->received, size, why);
	exit(1);
}

/* The bytes of c's request from `from' to `to' into p: its number and round,
 * so that nobody else's and no old ones pass for right, then a text that
 * begins elsewhere each time. */
static void
fill(const struct conn *c, char *p, size_t from, size_t to)
{
	uint32_t head[2] = { c->number, c->round };
	size_t shift = c->number * 31 + c->round * 7;

	for (; from < to && from < sizeof head; from++)
		*p++ = ((char *)head)[from];
	while (from < to) {
		size_t at = (from + shift) % PATTERN, m = PATTERN - at;

		if (m > to - from)
			m = to - from;
		memcpy(p, pattern + at, m);
		p += m;
		from += m;
	}
}

static void
count(int64_t took)
{
	int power = 63 - __builtin_clzll((uint64_t)took | FINE);
	uint64_t fine = (uint64_t)took >> (power - 5) & (FINE - 1);

	slow[power * FINE + (int)fine]++;
	answered++;
}

/* The time that this share of all answers did not take, in microseconds. */
static double
percentile(double share)
{
	long left = (long)((double)answered * share);
	int i = 0;

	while (i < 64 * FINE - 1 && (left -= slow[i]) >= 0)
		i++;
	return (double)((uint64_t)(FINE + i % FINE) << (i / FINE - 5)) / 1e3;
}

static void
push(struct conn *c)
{
	while (c->sent < size) {
		ssize_t m;

		fill(c, want, c->sent, size);
		m = send(c->fd, want, size - c->sent, MSG_NOSIGNAL);
		if (m < 0) {
			if (errno != EAGAIN)
				give_up(c, strerror(errno));
			return;
		}
		c->sent += (size_t)m;
	}
}

static void
dial(struct conn *c)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	ev.data.ptr = c;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd < 0 ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0)
		bench_fail("socket");
	if (connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0 &&
	    errno != EINPROGRESS)
		bench_fail("connect");
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		bench_fail("epoll_ctl");
}

/* By RST: a port of ours in TIME_WAIT is one that we cannot use again, and
 * there are few. */
static void
hang_up(struct conn *c)
{
	struct linger at_once = { .l_onoff = 1 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(c->fd);
	c->fd = -1;
}

static void
ask(struct conn *c)
{
	running++;
	c->since = bench_now();
	c->sent = c->received = 0;
	if (c->fd < 0)
		dial(c); /* epoll says when it can be written to */
	else
		push(c);
}

/* The answer is complete. */
static void
next(struct conn *c)
{
	count(bench_now() - c->since);
	running--;
	c->round++;
	if (one_each)
		hang_up(c);
	if (!stopping && (!rounds || c->round < (uint32_t)rounds))
		ask(c);
}

/* One byte more than is due is asked for: an answer that is too long shows,
 * and one that came short tells that there is no more to read for now. */
static void
pull(struct conn *c)
{
	while (c->fd >= 0) {
		size_t room = size - c->received + 1;
		ssize_t m = recv(c->fd, in, room, 0);

		if (m < 0 && errno == EAGAIN)
			return;
		if (m <= 0)
			give_up(c, m < 0 ? strerror(errno) : "hung up");
		if ((size_t)m == room || c->received + (size_t)m > c->sent)
			give_up(c, "more than was asked for");
		fill(c, want, c->received, c->received + (size_t)m);
		if (memcmp(in, want, (size_t)m) != 0)
			give_up(c, "wrong bytes");
		c->received += (size_t)m;
		if (c->received == size) {
			next(c);
			return;
		}
	}
}

/* Serve what has come, until nothing is under way or the time has come. */
static void
loop(int64_t until)
{
	struct epoll_event ev[256];

	while (running > 0 && bench_now() < until) {
		int k = epoll_wait(ep, ev, 256, STUCK_MS);

		if (k < 0 && errno != EINTR)
			bench_fail("epoll_wait");
		if (k == 0) {
			fprintf(stderr, "%d requests without an answer\n",
				running);
			exit(1);
		}
		for (int i = 0; i < k; i++) {
			struct conn *c = ev[i].data.ptr;

			if (c->fd >= 0 && ev[i].events & EPOLLOUT)
				push(c);
			if (c->fd >= 0)
				pull(c);
		}
	}
}

/* Everybody's first answer.  A few at a time: a server's queue of connections
 * that it has not accepted is short, and the kernel drops what is beyond. */
static void
warm_up(void)
{
	stopping = 1;
	for (int i = 0; i < n; i += AT_ONCE) {
		for (int j = i; j < n && j < i + AT_ONCE; j++) {
			conns[j].number = (uint32_t)j;
			conns[j].fd = -1;
			ask(&conns[j]);
		}
		loop(INT64_MAX);
	}
	stopping = 0;
	answered = 0;
	memset(slow, 0, sizeof slow);
	for (int i = 0; i < n; i++)
		conns[i].round = 0;
}

static void
wait_for_the_word(void)
{
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
}

static int64_t
server_cpu(void)
{
	clockid_t clock;

	if (!server)
		return 0;
	errno = clock_getcpuclockid(server, &clock);
	if (errno)
		bench_fail("the server's clock");
	return bench_clock(clock);
}

static void
options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "p:k:b:t:r:cws:")) != -1) {
		switch (c) {
		case 'p':
			port = (int)bench_number(optarg);
			break;
		case 'k':
			n = (int)bench_number(optarg);
			break;
		case 'b':
			size = (size_t)bench_number(optarg);
			break;
		case 't':
			milliseconds = bench_number(optarg);
			break;
		case 'r':
			rounds = bench_number(optarg);
			break;
		case 'c':
			one_each = 1;
			break;
		case 'w':
			wait_for_word = 1;
			break;
		case 's':
			server = (int)bench_number(optarg);
			break;
		default:
			exit(2);
		}
	}
	if (!port || optind != argc)
		exit(2);
}

int
main(int argc, char **argv)
{
	int64_t start, took, busy, cpu;

	options(argc, argv);
	for (int i = 0; i < PATTERN; i++)
		pattern[i] = (char)((uint32_t)(i + 1) * 2654435761u >> 24);
	conns = calloc((size_t)n, sizeof *conns);
	want = malloc(size);
	in = malloc(size + 1);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || !want || !in || ep < 0)
		bench_fail("setting up");
	warm_up();
	if (wait_for_word)
		wait_for_the_word();

	cpu = server_cpu();
	busy = bench_cpu();
	start = bench_now();
	for (int i = 0; i < n; i++)
		ask(&conns[i]);
	loop(rounds ? INT64_MAX : start + milliseconds * 1000000);
	took = bench_now() - start;
	busy = bench_cpu() - busy;
	cpu = server_cpu() - cpu;
	printf("requests=%ld per_second=%.1f p50_us=%.1f p99_us=%.1f "
	       "client_busy=%.2f",
	       answered, (double)answered / ((double)took / 1e9),
	       percentile(0.5), percentile(0.99), (double)busy / (double)took);
	if (server)
		printf(" cpu_us=%.3f",
		       (double)cpu / 1e3 / (double)(answered ? answered : 1));
	putchar('\n');
	fflush(stdout);

	/* What is still under way must be right, too. */
	stopping = 1;
	loop(INT64_MAX);
	return 0;
}
