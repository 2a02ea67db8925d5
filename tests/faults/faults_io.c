/* SPDX-License-Identifier: MIT */
/* faults_io.c - pipes and TCP while real calls fail and do less than asked.
 *
 *     faults_io [SEED [SECONDS]]
 *
 * Byte for byte each stream says whose it is and where it belongs, so that
 * what is lost, doubled or out of order is seen where it is read.  Writers and
 * readers cope with what the manuals say that may come; connections that die
 * of it are begun anew, under another number.  Every transfer is over in the
 * end: where nothing moves for a while, all are shown, and it is a failure.
 *
 * Bare, it is an ordinary program and nothing fails.
 */
#define _GNU_SOURCE 1
#include <netinet/in.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "../stress/stress.h"
#include "faults.h"

#define PIPES 16
#define CLIENTS 24
#define TRANSFERS 3 /* of each client, in a round */
#define LARGEST 120000
#define CHUNK 20000
#define STILL 20 /* seconds without a step: a wait was lost */

static const char rules[] =
	"hidden=30,retry=40,visible=20,deadly=1,sys_epoll_ctl=10,"
	"sys_malloc=3,sys_mmap=30,pthread_create=20,connect=60,accept=60";

static atomic_ulong round_no, n_bytes, n_streams, n_died;

/* --- what may come --- */

/* Try again: nothing has happened. */
static int
is_nothing(int err)
{
	return err == EINTR || err == ENOMEM || err == ENOBUFS;
}

static int
is_death(int err)
{
	return err == ECONNRESET || err == EPIPE;
}

static int
is_want(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM ||
	       err == ENOBUFS || err == EINTR || err == EAGAIN;
}

static void
wait_for(int fd, short events, uint64_t *r)
{
	struct pollfd p = { fd, events, 0 };
	fd_set set;
	int n;

	doing("wait until ready", fd);
	do {
		if (below(r, 2) || fd >= FD_SETSIZE) {
			n = poll(&p, 1, below(r, 2) ? -1 : 1000000);
		} else {
			FD_ZERO(&set);
			FD_SET(fd, &set);
			n = select(fd + 1, events == POLLIN ? &set : NULL,
				   events == POLLOUT ? &set : NULL, NULL, NULL);
		}
		CHECK(n == 1 || (n == -1 && is_nothing(errno)));
	} while (n != 1);
}

/* --- streams: the byte at a place of a number's --- */

static unsigned char
byte_of(uint32_t id, size_t pos)
{
	return (unsigned char)((id * 2654435761u >> 11) + pos + (pos >> 7) * 3 +
			       (pos >> 13));
}

static void
fill(unsigned char *p, size_t n, uint32_t id, size_t pos)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = byte_of(id, pos + i);
}

static void
look_at(const unsigned char *p, size_t n, uint32_t id, size_t pos)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != byte_of(id, pos + i)) {
			fprintf(stderr, "stream %u at %zu: %d, not %d\n", id,
				pos + i, p[i], byte_of(id, pos + i));
			CHECK(!"the bytes are those that were written");
		}
	atomic_fetch_add(&n_bytes, n);
}

/* One call: what it returned, or -1 and errno, of a kind that may be. */
static ssize_t
put_some(int fd, const unsigned char *p, size_t n, int is_socket, uint64_t *r)
{
	size_t half = n > 1 ? 1 + below(r, (uint32_t)n - 1) : 1;
	struct iovec v[2] = { { (void *)p, half },
			      { (void *)(p + half), n - half } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	ssize_t put;

	doing("put", fd);
	switch (below(r, is_socket ? 6 : 3)) {
	case 0:
		put = writev(fd, v, 2);
		break;
	case 1:
		put = write(fd, p, half);
		break;
	case 2:
		put = write(fd, p, n);
		break;
	case 3:
		put = send(fd, p, n, MSG_NOSIGNAL);
		break;
	case 4:
		put = sendmsg(fd, &h, 0);
		break;
	default:
		put = send(fd, p, n, MSG_DONTWAIT);
		if (put == -1 && errno == EAGAIN) {
			wait_for(fd, POLLOUT, r);
			errno = EINTR;
		}
	}
	CHECK(put == -1 || (put > 0 && (size_t)put <= n));
	CHECK(put != -1 || is_nothing(errno) || (is_socket && is_death(errno)));
	return put;
}

static ssize_t
get_some(int fd, unsigned char *p, size_t n, int is_socket, uint64_t *r)
{
	size_t half = n > 1 ? 1 + below(r, (uint32_t)n - 1) : 1;
	struct iovec v[2] = { { p, half }, { p + half, n - half } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	ssize_t got;

	doing("get", fd);
	switch (below(r, is_socket ? 8 : 4)) {
	case 0:
		got = readv(fd, v, 2);
		break;
	case 1:
		got = read(fd, p, half);
		break;
	case 2:
		got = read(fd, p, n);
		break;
	case 3:
		wait_for(fd, POLLIN, r);
		got = read(fd, p, n);
		break;
	case 4:
		got = recv(fd, p, n, 0);
		break;
	case 5:
		got = recv(fd, p, n, MSG_WAITALL);
		break;
	case 6:
		got = recvmsg(fd, &h, 0);
		break;
	default:
		got = recv(fd, p, n, MSG_DONTWAIT);
		if (got == -1 && errno == EAGAIN) {
			wait_for(fd, POLLIN, r);
			errno = EINTR;
		}
	}
	CHECK(got <= (ssize_t)n);
	CHECK(got != -1 || is_nothing(errno) || (is_socket && is_death(errno)));
	return got;
}

/* All of it: 0, or -1 where the connection has died. */
static int
put_all(int fd, const void *buf, size_t n, int is_socket, uint64_t *r)
{
	const unsigned char *p = buf;
	ssize_t put;

	while (n > 0) {
		put = put_some(fd, p, n, is_socket, r);
		if (put == -1) {
			if (is_death(errno))
				return -1;
			continue;
		}
		p += put;
		n -= (size_t)put;
	}
	return 0;
}

static int
get_all(int fd, void *buf, size_t n, int is_socket, uint64_t *r)
{
	unsigned char *p = buf;
	ssize_t got;

	while (n > 0) {
		got = get_some(fd, p, n, is_socket, r);
		if (got == 0)
			return -1;
		if (got == -1) {
			if (is_death(errno))
				return -1;
			continue;
		}
		p += got;
		n -= (size_t)got;
	}
	return 0;
}

/* Linux has closed it whatever it says. */
static void
shut(int fd)
{
	CHECK(close(fd) == 0 || errno == EINTR);
}

static pthread_t
start(void *(*fn)(void *), void *arg)
{
	pthread_t th;
	int err;

	while ((err = pthread_create(&th, NULL, fn, arg)) == EAGAIN)
		sched_yield();
	CHECK(err == 0);
	return th;
}

/* --- pipes --- */

static struct duct {
	int fd[2];
	uint32_t id;
	size_t size;
} ducts[PIPES];

static void *
writes_a_pipe(void *arg)
{
	struct duct *d = arg;
	uint64_t r = stream(d->id * 2ull);
	unsigned char *buf = malloc(CHUNK);
	size_t pos = 0, n;

	be((int)(d - ducts));
	CHECK(buf != NULL);
	while (pos < d->size) {
		n = 1 + below(&r, CHUNK);
		n = n < d->size - pos ? n : d->size - pos;
		fill(buf, n, d->id, pos);
		CHECK(put_all(d->fd[1], buf, n, 0, &r) == 0);
		pos += n;
		dawdle(&r);
	}
	shut(d->fd[1]);
	free(buf);
	be_gone();
	return NULL;
}

static void *
reads_a_pipe(void *arg)
{
	struct duct *d = arg;
	uint64_t r = stream(d->id * 2ull + 1);
	unsigned char *buf = malloc(CHUNK);
	size_t pos = 0;
	ssize_t n;

	be(PIPES + (int)(d - ducts));
	CHECK(buf != NULL);
	for (;;) {
		n = get_some(d->fd[0], buf, 1 + below(&r, CHUNK), 0, &r);
		if (n == 0)
			break;
		if (n > 0) {
			look_at(buf, (size_t)n, d->id, pos);
			pos += (size_t)n;
		}
		dawdle(&r);
	}
	CHECK(pos == d->size);
	atomic_fetch_add(&n_streams, 1);
	shut(d->fd[0]);
	free(buf);
	be_gone();
	return NULL;
}

/* --- connections --- */

struct head {
	uint32_t id, size;
};

enum { IDS = 1 << 16 };
static atomic_uchar whole[IDS]; /* the server has seen all of it, once */
static atomic_uint next_id;
static struct sockaddr_in address;
static int listener;
static atomic_int in_line; /* slots of the watchdog's for servers */

static void *
serves(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint64_t r = stream((uint64_t)fd << 32 | round_no);
	unsigned char *buf = malloc(CHUNK);
	struct head h;
	size_t pos = 0;
	ssize_t n = -1;

	be(200 + atomic_fetch_add(&in_line, 1) % 1800);
	CHECK(buf != NULL);
	if (get_all(fd, &h, sizeof h, 1, &r) == 0) {
		CHECK(h.id < IDS && h.size <= LARGEST);
		for (;;) {
			n = get_some(fd, buf, 1 + below(&r, CHUNK), 1, &r);
			if (n == 0 || (n == -1 && is_death(errno)))
				break;
			if (n > 0) {
				look_at(buf, (size_t)n, h.id, pos);
				pos += (size_t)n;
			}
			dawdle(&r);
		}
		CHECK(pos <= h.size);
		if (n == 0 && pos == h.size) {
			CHECK(atomic_exchange(&whole[h.id], 1) == 0);
			put_all(fd, &h, sizeof h, 1, &r);
		}
	}
	shut(fd);
	free(buf);
	be_gone();
	return NULL;
}

static void *
takes_connections(void *arg)
{
	pthread_attr_t attr;
	pthread_t th;
	int fd, err;

	be(150);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (;;) {
		doing("accept", listener);
		fd = accept(listener, NULL, NULL);
		if (fd == -1 && errno == EINVAL)
			break; /* it was shut down: the round is over */
		CHECK(fd >= 0 || is_want(errno) || errno == ECONNABORTED);
		if (fd == -1)
			continue;
		while ((err = pthread_create(&th, &attr, serves,
					     (void *)(intptr_t)fd)) == EAGAIN)
			sched_yield();
		CHECK(err == 0);
	}
	pthread_attr_destroy(&attr);
	be_gone();
	return arg;
}

static int
connects(uint64_t *r)
{
	int fd, err;

	for (;;) {
		doing("connect", 0);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(fd >= 0 || is_want(errno));
		if (fd == -1)
			continue;
		if (connect(fd, (struct sockaddr *)&address, sizeof address) ==
		    0)
			return fd;
		err = errno;
		CHECK(err == ECONNREFUSED || err == ETIMEDOUT ||
		      err == EADDRNOTAVAIL || is_want(err));
		shut(fd);
		dawdle(r);
	}
}

static int
transfers(int fd, uint32_t id, size_t size, unsigned char *buf, uint64_t *r)
{
	struct head h = { id, (uint32_t)size }, back;
	size_t pos = 0, n;

	if (put_all(fd, &h, sizeof h, 1, r) != 0)
		return -1;
	while (pos < size) {
		n = 1 + below(r, CHUNK);
		n = n < size - pos ? n : size - pos;
		fill(buf, n, id, pos);
		if (put_all(fd, buf, n, 1, r) != 0)
			return -1;
		pos += n;
		dawdle(r);
	}
	CHECK(shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN);
	if (get_all(fd, &back, sizeof back, 1, r) != 0)
		return -1;
	CHECK(memcmp(&h, &back, sizeof h) == 0);
	CHECK(whole[id] == 1);
	return 0;
}

static void *
is_a_client(void *arg)
{
	int me_no = (int)(intptr_t)arg, done = 0, fd;
	uint64_t r = stream((uint64_t)me_no << 40 | round_no);
	unsigned char *buf = malloc(CHUNK);
	uint32_t id;

	be(50 + me_no);
	CHECK(buf != NULL);
	while (done < TRANSFERS) {
		id = atomic_fetch_add(&next_id, 1) % IDS;
		whole[id] = 0;
		fd = connects(&r);
		if (transfers(fd, id, below(&r, LARGEST), buf, &r) == 0) {
			done++;
			atomic_fetch_add(&n_streams, 1);
		} else {
			atomic_fetch_add(&n_died, 1);
		}
		shut(fd);
	}
	free(buf);
	be_gone();
	return NULL;
}

/* --- all of it --- */

static void
run_round(void)
{
	pthread_t th[PIPES * 2], client[CLIENTS], server;
	uint64_t r = stream(UINT64_C(1) << 60 | round_no);
	socklen_t len = sizeof address;
	int i;

	address = (struct sockaddr_in){ .sin_family = AF_INET };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	doing("begin a round", (long)round_no);
	while ((listener = socket(AF_INET, SOCK_STREAM, 0)) == -1)
		CHECK(is_want(errno));
	OK(bind(listener, (struct sockaddr *)&address, sizeof address));
	OK(listen(listener, 100));
	OK(getsockname(listener, (struct sockaddr *)&address, &len));
	for (i = 0; i < PIPES; i++) {
		ducts[i].id = (uint32_t)(round_no * PIPES) + (uint32_t)i;
		ducts[i].size = below(&r, LARGEST);
		while (pipe(ducts[i].fd) == -1)
			CHECK(is_want(errno));
	}
	server = start(takes_connections, NULL);
	for (i = 0; i < PIPES; i++) {
		th[i] = start(writes_a_pipe, &ducts[i]);
		th[PIPES + i] = start(reads_a_pipe, &ducts[i]);
	}
	for (i = 0; i < CLIENTS; i++)
		client[i] = start(is_a_client, (void *)(intptr_t)i);
	doing("wait for all", 0);
	for (i = 0; i < PIPES * 2; i++)
		OK(pthread_join(th[i], NULL));
	for (i = 0; i < CLIENTS; i++)
		OK(pthread_join(client[i], NULL));
	OK(shutdown(listener, SHUT_RDWR));
	OK(pthread_join(server, NULL));
	shut(listener);
}

/* Every second: has anybody done anything?  It ticks in SIGALRM's place. */
static void
look_whether_it_moves(int sig)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	static uint64_t last;
	static int still;
	uint64_t now = 0;
	size_t i;

	(void)sig;
	for (i = 0; i < LEN(at); i++)
		now += at[i].steps;
	still = now == last ? still + 1 : 0;
	last = now;
	if (still < STILL)
		return;
	OK(setitimer(ITIMER_REAL, &never, NULL));
	watchdog(0);
}

int
main(int argc, char **argv)
{
	struct itimerval second = { { 1, 0 }, { 1, 0 } };
	struct sigaction sa = { .sa_handler = look_whether_it_moves,
				.sa_flags = SA_RESTART };
	int fds, i;

	begin(argc, argv, "faults_io");
	OK(sigaction(SIGALRM, &sa, NULL));
	OK(setitimer(ITIMER_REAL, &second, NULL));
	be((int)LEN(at) - 1);
	fds = open_fds();
	if (cohook_faults != NULL)
		OK(cohook_faults(seed, rules));
	do {
		atomic_fetch_add(&round_no, 1);
		run_round();
		/* Servers of connections that died may be at their end. */
		for (i = 0; open_fds() != fds && i < 1000; i++) {
			doing("wait for servers", fds);
			usleep(10000);
		}
		CHECK(open_fds() == fds);
	} while (!is_over());
	printf("faults_io: %lu rounds, %lu streams, %lu bytes, %lu "
	       "connections died\n",
	       round_no, n_streams, n_bytes, n_died);
	if (cohook_faults != NULL) {
		OK(cohook_faults(seed, ""));
		printf("faults_io: %llu faults\n",
		       (unsigned long long)cohook_faults_count(NULL));
		fflush(stdout);
		cohook_faults_report(1);
		CHECK(cohook_faults_count("hidden") > 100);
		CHECK(cohook_faults_count("retry") > 100);
		CHECK(cohook_faults_count("visible") > 100);
	}
	return 0;
}
