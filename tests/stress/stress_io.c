/* SPDX-License-Identifier: MIT */
/* stress_io.c - frames of random sizes through random graphs of pipes and
 * sockets, by all the calls that read and write.
 *
 * The nodes of a graph are threads, its edges pipes, socketpairs and TCP
 * connections, which lead from lower nodes to higher ones, so that whoever
 * waits to write waits for a node that reads.  The first nodes are sources;
 * a node with edges out hands each frame on along one of them, one without
 * keeps account of it.  Every frame must come to exactly one end, whole, and
 * on each edge in order.
 */
#define _GNU_SOURCE 1
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "stress.h"

#define NODES 60
#define SOURCES 12
#define FRAMES 100      /* of each source, in a graph */
#define EDGES (NODES * 3)
#define LARGEST 150000

struct header {
	uint32_t magic, source, n, size;
	uint32_t edge, seq;     /* set anew on each edge */
	uint32_t sum;           /* of what follows */
	uint32_t check;         /* of the above */
};

#define MAGIC 0x5f10e5u

static struct edge {
	int in, out;            /* read from in, write to out */
	int from, to;
	int is_socket;
	int nonblocking;        /* the program made it so itself */
	uint32_t seq_out, seq_in;
} edges[EDGES];

static int n_edges;
static atomic_uchar arrived[SOURCES][FRAMES];
static atomic_ulong n_frames, n_bytes;
static uint64_t graph;

static void
wait_for(int fd, short events, uint64_t *r)
{
	struct pollfd p = { fd, events, 0 };
	fd_set set;

	doing("wait until ready", fd);
	if (below(r, 3) || fd >= FD_SETSIZE) {
		CHECK(poll(&p, 1, below(r, 2) ? -1 : 1000000) == 1);
		return;
	}
	FD_ZERO(&set);
	FD_SET(fd, &set);
	CHECK(select(fd + 1, events == POLLIN ? &set : NULL,
		     events == POLLOUT ? &set : NULL, NULL, NULL) == 1);
}

/* One call of some kind: at least a byte, or the end. */
static ssize_t
read_some(struct edge *e, char *p, size_t n, uint64_t *r)
{
	size_t half = n > 1 ? 1 + below(r, (uint32_t)n - 1) : 1;
	struct iovec v[2] = { { p, half }, { p + half, n - half } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	ssize_t got;

	doing("read", e->in);
	switch (below(r, e->is_socket ? 7 : 3)) {
	case 0:
		got = readv(e->in, v, 2);
		break;
	case 1:
		got = read(e->in, p, half);
		break;
	case 2:
		got = read(e->in, p, n);
		break;
	case 3:
		got = recv(e->in, p, n, 0);
		break;
	case 4:
		got = recv(e->in, p, n, MSG_WAITALL);
		/* A short count is right only at the end or where we said
		 * ourselves not to wait. */
		CHECK(got == (ssize_t)n || got <= 0 || e->nonblocking);
		break;
	case 5:
		got = recvmsg(e->in, &h, 0);
		break;
	default:
		got = recv(e->in, p, n, MSG_DONTWAIT);
		if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			wait_for(e->in, POLLIN, r);
			return read_some(e, p, n, r);
		}
	}
	if (got == -1 && e->nonblocking) {
		CHECK(errno == EAGAIN);
		wait_for(e->in, POLLIN, r);
		return read_some(e, p, n, r);
	}
	CHECK(got >= 0);
	return got;
}

/* All of it; or 0 at an end where that may be. */
static int
read_all(struct edge *e, void *buf, size_t n, uint64_t *r)
{
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		got = read_some(e, (char *)buf + have, n - have, r);
		if (got == 0) {
			CHECK(have == 0);
			return 0;
		}
		CHECK((size_t)got <= n - have);
		have += (size_t)got;
	}
	return 1;
}

static ssize_t
write_some(struct edge *e, const char *p, size_t n, uint64_t *r)
{
	size_t half = n > 1 ? 1 + below(r, (uint32_t)n - 1) : 1, all = n;
	struct iovec v[2] = { { (char *)p, half },
			      { (char *)p + half, n - half } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	int may_be_short = e->nonblocking;
	ssize_t put;

	doing("write", e->out);
	switch (below(r, e->is_socket ? 6 : 3)) {
	case 0:
		put = writev(e->out, v, 2);
		break;
	case 1:
		all = half;
		put = write(e->out, p, half);
		break;
	case 2:
		put = write(e->out, p, n);
		break;
	case 3:
		put = send(e->out, p, n, MSG_NOSIGNAL);
		break;
	case 4:
		put = sendmsg(e->out, &h, 0);
		break;
	default:
		may_be_short = 1;
		put = send(e->out, p, n, MSG_DONTWAIT);
		if (put == -1 && errno == EAGAIN) {
			wait_for(e->out, POLLOUT, r);
			return 0;
		}
	}
	if (put == -1 && e->nonblocking) {
		CHECK(errno == EAGAIN);
		wait_for(e->out, POLLOUT, r);
		return 0;
	}
	/* What blocks writes everything. */
	CHECK(put == (ssize_t)all || (may_be_short && put > 0));
	return put;
}

static void
write_all(struct edge *e, const void *buf, size_t n, uint64_t *r)
{
	size_t done = 0;

	while (done < n)
		done += (size_t)write_some(e, (const char *)buf + done,
					   n - done, r);
}

/* A frame is a header and what follows, in one piece or in two. */
static void
write_frame(struct edge *e, char *frame, uint64_t *r)
{
	struct header *h = (struct header *)frame;

	h->edge = (uint32_t)(e - edges);
	h->seq = e->seq_out++;
	h->check = checksum(h, offsetof(struct header, check));
	if (below(r, 2)) {
		write_all(e, frame, sizeof *h + h->size, r);
	} else {
		write_all(e, frame, sizeof *h, r);
		write_all(e, frame + sizeof *h, h->size, r);
	}
}

static int
read_frame(struct edge *e, char *frame, uint64_t *r)
{
	struct header *h = (struct header *)frame;

	if (!read_all(e, h, sizeof *h, r))
		return 0;
	CHECK(h->magic == MAGIC);
	CHECK(h->check == checksum(h, offsetof(struct header, check)));
	CHECK(h->source < SOURCES && h->n < FRAMES && h->size <= LARGEST);
	CHECK(h->edge == (uint32_t)(e - edges));
	CHECK(h->seq == e->seq_in++);
	if (h->size > 0)
		CHECK(read_all(e, frame + sizeof *h, h->size, r));
	CHECK(h->sum == checksum(frame + sizeof *h, h->size));
	return 1;
}

static void
keep(const char *frame)
{
	const struct header *h = (const struct header *)frame;

	CHECK(atomic_exchange(&arrived[h->source][h->n], 1) == 0);
	atomic_fetch_add(&n_frames, 1);
	atomic_fetch_add(&n_bytes, h->size);
}

static void
hand_on(char *frame, struct edge **out, int n_out, uint64_t *r)
{
	if (n_out == 0)
		keep(frame);
	else
		write_frame(out[below(r, (uint32_t)n_out)], frame, r);
}

static uint32_t
some_size(uint64_t *r)
{
	switch (below(r, 10)) {
	case 0:
		return 0;
	case 1:
		return below(r, LARGEST + 1);
	case 2:
	case 3:
		return below(r, 20000);
	default:
		return below(r, 300);
	}
}

static void
makes_frames(uint32_t source, char *frame, struct edge **out, int n_out,
	     uint64_t *r)
{
	struct header *h = (struct header *)frame;
	uint32_t n, i, x;

	for (n = 0; n < FRAMES; n++) {
		memset(h, 0, sizeof *h);
		h->magic = MAGIC;
		h->source = source;
		h->n = n;
		h->size = some_size(r);
		x = rnd(r);
		for (i = 0; i < h->size; i++)
			frame[sizeof *h + i] = (char)(x += i * 17 + 3);
		h->sum = checksum(frame + sizeof *h, h->size);
		hand_on(frame, out, n_out, r);
		dawdle(r);
	}
}

/* Reads whichever of its edges has something, until all have ended. */
static void
merges(char *frame, struct edge **in, int n_in, struct edge **out, int n_out,
       uint64_t *r)
{
	struct pollfd p[EDGES];
	int i, ready;

	while (n_in > 0) {
		if (n_in > 1) {
			for (i = 0; i < n_in; i++)
				p[i] = (struct pollfd){ in[i]->in, POLLIN, 0 };
			doing("poll the edges", n_in);
			ready = poll(p, (nfds_t)n_in, -1);
			CHECK(ready > 0 && ready <= n_in);
			do
				i = (int)below(r, (uint32_t)n_in);
			while (p[i].revents == 0);
			CHECK((p[i].revents & POLLNVAL) == 0);
		} else {
			i = 0;
		}
		if (read_frame(in[i], frame, r)) {
			hand_on(frame, out, n_out, r);
		} else {
			OK(close(in[i]->in));
			in[i] = in[--n_in];
		}
	}
}

static void *
is_a_node(void *arg)
{
	int node = (int)(intptr_t)arg, n_in = 0, n_out = 0, i;
	uint64_t r = stream(graph * NODES + (uint64_t)node);
	struct edge *in[EDGES], *out[EDGES];
	char *frame = malloc(sizeof(struct header) + LARGEST);

	be(node);
	CHECK(frame != NULL);
	for (i = 0; i < n_edges; i++) {
		if (edges[i].to == node)
			in[n_in++] = &edges[i];
		if (edges[i].from == node)
			out[n_out++] = &edges[i];
	}
	if (node < SOURCES)
		makes_frames((uint32_t)node, frame, out, n_out, &r);
	merges(frame, in, n_in, out, n_out, &r);
	for (i = 0; i < n_out; i++)
		OK(close(out[i]->out));
	free(frame);
	be_gone();
	return arg;
}

static void
tcp_pair(int *fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(l != -1);
	a.sin_addr.s_addr = htonl(own_loopback());
	OK(bind(l, (struct sockaddr *)&a, sizeof a));
	OK(listen(l, 1));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(fd[1] != -1);
	OK(connect(fd[1], (struct sockaddr *)&a, len));
	fd[0] = accept(l, NULL, NULL);
	CHECK(fd[0] != -1);
	OK(close(l));
}

static void
make_edge(struct edge *e, int from, int to, uint64_t *r)
{
	int fd[2], size;

	memset(e, 0, sizeof *e);
	e->from = from;
	e->to = to;
	e->is_socket = below(r, 3) > 0;
	if (!e->is_socket) {
		OK(pipe(fd));
		if (below(r, 2))
			CHECK(fcntl(fd[0], F_SETPIPE_SZ,
				    4096 << below(r, 5)) > 0);
	} else {
		if (below(r, 2))
			tcp_pair(fd);
		else
			OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
		if (below(r, 2)) {
			size = 2048 << below(r, 6);
			OK(setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &size,
				      sizeof size));
		}
	}
	if (below(r, 4) == 0) {
		e->nonblocking = 1;
		OK(fcntl(fd[0], F_SETFL, O_NONBLOCK));
		OK(fcntl(fd[1], F_SETFL, O_NONBLOCK));
	}
	e->in = fd[0];
	e->out = fd[1];
}

static void
run_graph(void)
{
	uint64_t r = stream(UINT64_C(1) << 60 | graph);
	pthread_t th[NODES];
	int i, k, n, to;
	void *got;

	n_edges = 0;
	memset((void *)arrived, 0, sizeof arrived);
	for (i = 0; i < NODES - 1; i++) {
		/* Ends are rare before the last nodes. */
		n = i < NODES - 5 ? 1 + (int)below(&r, 3)
				  : (int)below(&r, 2);
		for (k = 0; k < n; k++) {
			to = i + 1 + (int)below(&r, (uint32_t)(NODES - 1 - i));
			if (below(&r, 2) && to - i > 8)
				to = i + 1 + (to - i) % 8;
			make_edge(&edges[n_edges++], i, to, &r);
		}
	}
	for (i = 0; i < NODES; i++)
		OK(pthread_create(&th[i], NULL, is_a_node,
				  (void *)(intptr_t)i));
	for (i = 0; i < NODES; i++) {
		OK(pthread_join(th[i], &got));
		CHECK(got == (void *)(intptr_t)i);
	}
	for (i = 0; i < SOURCES; i++)
		for (k = 0; k < FRAMES; k++)
			CHECK(arrived[i][k] == 1);
	for (i = 0; i < n_edges; i++)
		CHECK(edges[i].seq_in == edges[i].seq_out);
}

int
main(int argc, char **argv)
{
	int fds;

	begin(argc, argv, "stress_io");
	be((int)LEN(at) - 1);
	doing("main", 0);
	fds = open_fds();
	do {
		graph++;
		run_graph();
		CHECK(open_fds() == fds);
	} while (!is_over());
	printf("stress_io: %llu graphs, %lu frames, %lu bytes\n",
	       (unsigned long long)graph, n_frames, n_bytes);
	return 0;
}
