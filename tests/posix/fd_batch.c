/* SPDX-License-Identifier: MIT */
/* fd_batch.c - recvmmsg and sendmmsg, vectors at an offset, and eventfds by
 * libc's names for them. */
#define _GNU_SOURCE 1

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "tasks.h"

enum { N = 8, SIZE = 64 };

struct batch {
	struct mmsghdr m[N];
	struct iovec v[N];
	char buf[N][SIZE];
};

static void
prepare(struct batch *b)
{
	int i;

	memset(b, 0, sizeof *b);
	for (i = 0; i < N; i++) {
		b->v[i].iov_base = b->buf[i];
		b->v[i].iov_len = SIZE;
		b->m[i].msg_hdr.msg_iov = &b->v[i];
		b->m[i].msg_hdr.msg_iovlen = 1;
	}
}

/* From place first on: messages i long, of the letter 'a' + i. */
static void
check_batch(const struct batch *b, int n, int first)
{
	int i, k;

	for (i = 0; i < n; i++) {
		CHECK_INT(b->m[i].msg_len, first + i + 1);
		for (k = 0; k <= first + i; k++)
			CHECK_INT(b->buf[i][k], 'a' + first + i);
	}
}

static void
fill_batch(struct batch *b, int n)
{
	int i;

	prepare(b);
	for (i = 0; i < n; i++) {
		memset(b->buf[i], 'a' + i, (size_t)i + 1);
		b->v[i].iov_len = (size_t)i + 1;
	}
}

struct sender {
	int fd, from, to;
	int more_ms; /* a longer while */
};

/* Each message by itself, with a while between. */
static void *
sends_slowly(void *arg)
{
	struct sender *s = arg;
	char buf[SIZE];
	int i;

	for (i = s->from; i < s->to; i++) {
		most_likely();
		usleep((useconds_t)s->more_ms * 1000);
		memset(buf, 'a' + i, sizeof buf);
		CHECK_INT(send(s->fd, buf, (size_t)i + 1, 0), i + 1);
	}
	return NULL;
}

TEST(recvmmsg_waits_until_all_are_there)
{
	struct sender s = { 0, 0, 4, 0 };
	struct batch b;
	pthread_t th;
	int p[2];

	unix_pair(SOCK_DGRAM, p);
	prepare(&b);
	s.fd = p[1];
	th = party(sends_slowly, &s);
	CHECK_RET(recvmmsg(p[0], b.m, 4, 0, NULL), 4);
	check_batch(&b, 4, 0);
	CHECK_INT(b.m[4].msg_len, 0);
	leaves(th);
	shut_both(p);
}

TEST(recvmmsg_takes_what_is_there_without_a_wait)
{
	struct batch b, out;
	int p[2];

	unix_pair(SOCK_SEQPACKET, p);
	fill_batch(&out, 5);
	CHECK_RET(sendmmsg(p[1], out.m, 5, 0), 5);
	check_batch(&out, 5, 0);
	prepare(&b);
	CHECK_RET(recvmmsg(p[0], b.m, N, MSG_DONTWAIT, NULL), 5);
	check_batch(&b, 5, 0);
	CHECK_ERR(recvmmsg(p[0], b.m, N, MSG_DONTWAIT, NULL), EAGAIN);
	set_nonblocking(p[0], true);
	CHECK_ERR(recvmmsg(p[0], b.m, N, 0, NULL), EAGAIN);
	CHECK_RET(sendmmsg(p[1], out.m, 2, 0), 2);
	prepare(&b);
	CHECK_RET(recvmmsg(p[0], b.m, N, 0, NULL), 2);
	check_batch(&b, 2, 0);
	CHECK_RET(recvmmsg(p[0], b.m, 0, 0, NULL), 0);
	shut_both(p);
}

TEST(MSG_WAITFORONE_waits_for_one)
{
	struct sender s = { 0, 0, 1, 0 };
	struct batch b;
	pthread_t th;
	int p[2];

	unix_pair(SOCK_DGRAM, p);
	prepare(&b);
	s.fd = p[1];
	th = party(sends_slowly, &s);
	CHECK_RET(recvmmsg(p[0], b.m, N, MSG_WAITFORONE, NULL), 1);
	check_batch(&b, 1, 0);
	leaves(th);
	shut_both(p);
}

/* Linux looks at the clock after each message, and only then. */
TEST(recvmmsg_looks_at_the_clock_after_each_message)
{
	struct timespec zero = { 0, 0 }, ts = { 0, 10 * T_MS }, much = { 50, 0 };
	struct sender s = { 0, 0, 3, 0 };
	struct batch b, out;
	pthread_t th;
	int p[2];

	unix_pair(SOCK_DGRAM, p);
	fill_batch(&out, 3);
	CHECK_INT(sendmmsg(p[1], out.m, 3, 0), 3);
	prepare(&b);
	CHECK_RET(recvmmsg(p[0], b.m, N, 0, &zero), 1);
	CHECK_INT(zero.tv_sec, 0);
	CHECK_INT(zero.tv_nsec, 0);
	check_batch(&b, 1, 0);
	CHECK_RET(recvmmsg(p[0], b.m, 2, 0, &much), 2);
	check_batch(&b, 2, 1);
	CHECK(much.tv_sec == 49);

	/* The first comes after the time is up. */
	prepare(&b);
	s.fd = p[1];
	th = party(sends_slowly, &s);
	CHECK_RET(recvmmsg(p[0], b.m, N, 0, &ts), 1);
	CHECK_INT(ts.tv_sec, 0);
	CHECK_INT(ts.tv_nsec, 0);
	check_batch(&b, 1, 0);
	leaves(th);
	shut_both(p);
}

TEST(each_message_has_its_own_SO_RCVTIMEO)
{
	struct timeval tv = { 0, 300000 };
	struct sender s = { 0, 0, 8, 40 }; /* of all, more than that */
	struct batch b;
	pthread_t th;
	int p[2];

	unix_pair(SOCK_DGRAM, p);
	CHECK_INT(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	prepare(&b);
	CHECK_ERR(recvmmsg(p[0], b.m, N, 0, NULL), EAGAIN);
	s.fd = p[1];
	th = party(sends_slowly, &s);
	CHECK_RET(recvmmsg(p[0], b.m, N, 0, NULL), N);
	check_batch(&b, N, 0);
	leaves(th);
	/* Some, then nobody: what came is the answer. */
	s.to = 2;
	prepare(&b);
	th = party(sends_slowly, &s);
	CHECK_RET(recvmmsg(p[0], b.m, N, 0, NULL), 2);
	check_batch(&b, 2, 0);
	leaves(th);
	shut_both(p);
}

TEST(recvmmsg_is_interrupted_with_nothing_lost)
{
	struct batch b, out;
	int p[2];

	unix_pair(SOCK_DGRAM, p);
	prepare(&b);
	start_ticking(0);
	CHECK_ERR(recvmmsg(p[0], b.m, N, 0, NULL), EINTR);
	stop_ticking();
	fill_batch(&out, 3);
	CHECK_INT(sendmmsg(p[1], out.m, 3, 0), 3);
	CHECK_RET(recvmmsg(p[0], b.m, N, MSG_WAITFORONE, NULL), 3);
	check_batch(&b, 3, 0);
	shut_both(p);
}

TEST(addresses_and_control_data_come_with_each_message)
{
	struct sockaddr_in at, from[2];
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} c;
	struct batch b, out;
	struct cmsghdr *h;
	int r = bound(SOCK_DGRAM, &at), s, p[2], i, got;
	char byte;

	s = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(s != -1);
	fill_batch(&out, 2);
	for (i = 0; i < 2; i++) {
		out.m[i].msg_hdr.msg_name = &at;
		out.m[i].msg_hdr.msg_namelen = sizeof at;
	}
	CHECK_RET(sendmmsg(s, out.m, 2, 0), 2);
	prepare(&b);
	for (i = 0; i < 2; i++) {
		b.m[i].msg_hdr.msg_name = &from[i];
		b.m[i].msg_hdr.msg_namelen = sizeof from[i];
	}
	CHECK_RET(recvmmsg(r, b.m, 2, 0, NULL), 2);
	check_batch(&b, 2, 0);
	for (i = 0; i < 2; i++) {
		CHECK_INT(b.m[i].msg_hdr.msg_namelen, sizeof from[i]);
		CHECK_INT(from[i].sin_family, AF_INET);
	}
	CHECK(from[0].sin_port == from[1].sin_port);
	shut(r);
	shut(s);

	/* A descriptor, with the second of two. */
	unix_pair(SOCK_DGRAM, p);
	fill_batch(&out, 2);
	memset(&c, 0, sizeof c);
	out.m[1].msg_hdr.msg_control = c.buf;
	out.m[1].msg_hdr.msg_controllen = sizeof c.buf;
	h = CMSG_FIRSTHDR(&out.m[1].msg_hdr);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &p[1], sizeof(int));
	CHECK_RET(sendmmsg(p[1], out.m, 2, 0), 2);
	prepare(&b);
	memset(&c, 0, sizeof c);
	b.m[1].msg_hdr.msg_control = c.buf;
	b.m[1].msg_hdr.msg_controllen = sizeof c.buf;
	CHECK_RET(recvmmsg(p[0], b.m, 2, 0, NULL), 2);
	check_batch(&b, 2, 0);
	h = CMSG_FIRSTHDR(&b.m[1].msg_hdr);
	CHECK(h != NULL);
	CHECK_INT(h->cmsg_type, SCM_RIGHTS);
	memcpy(&got, CMSG_DATA(h), sizeof got);
	CHECK_INT(send(got, "x", 1, 0), 1);
	CHECK_INT(recv(p[0], &byte, 1, 0), 1);
	shut(got);
	shut_both(p);
}

struct taker {
	int fd;
	size_t n;
};

static void *
takes_slowly(void *arg)
{
	struct taker *t = arg;

	most_likely();
	take(t->fd, t->n, 0);
	return NULL;
}

/* More than a stream takes at once: sendmmsg returns when all has gone. */
TEST(sendmmsg_sends_all_on_a_stream)
{
	enum { BIG = 1 << 20 };
	unsigned char *buf = malloc(3 * BIG);
	struct iovec v[3];
	struct mmsghdr m[3];
	struct taker t = { 0, 3 * BIG };
	pthread_t th;
	int p[2], i, kind;

	CHECK(buf != NULL);
	pattern(buf, 3 * BIG, 0);
	for (kind = 0; kind < 2; kind++) {
		memset(m, 0, sizeof m);
		for (i = 0; i < 3; i++) {
			v[i].iov_base = buf + i * BIG;
			v[i].iov_len = BIG;
			m[i].msg_hdr.msg_iov = &v[i];
			m[i].msg_hdr.msg_iovlen = 1;
		}
		if (kind == 0)
			unix_pair(SOCK_STREAM, p);
		else
			tcp_pair(p);
		t.fd = p[0];
		th = party(takes_slowly, &t);
		CHECK_RET(sendmmsg(p[1], m, 3, 0), 3);
		for (i = 0; i < 3; i++) {
			CHECK_INT(m[i].msg_len, BIG);
			CHECK_INT(v[i].iov_len, BIG);
		}
		leaves(th);
		shut_both(p);
	}
	free(buf);
}

static void *
receives_later(void *arg)
{
	struct taker *t = arg;
	char buf[4096];
	size_t i;

	most_likely();
	for (i = 0; i < t->n; i++)
		CHECK_INT(recv(t->fd, buf, sizeof buf, 0), 4000);
	return NULL;
}

TEST(sendmmsg_waits_for_room)
{
	enum { MANY = 600 };
	static char buf[4000];
	static struct mmsghdr m[MANY];
	struct iovec v = { buf, sizeof buf };
	struct taker t = { 0, MANY };
	pthread_t th;
	int p[2], i, small = 20000;

	unix_pair(SOCK_SEQPACKET, p);
	CHECK_INT(setsockopt(p[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small),
		  0);
	for (i = 0; i < MANY; i++) {
		m[i].msg_hdr.msg_iov = &v;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	i = sendmmsg(p[1], m, MANY, MSG_DONTWAIT);
	CHECK(i > 0 && i < MANY);
	t.n = (size_t)(MANY + i);
	t.fd = p[0];
	th = party(receives_later, &t);
	CHECK_RET(sendmmsg(p[1], m, MANY, 0), MANY);
	leaves(th);
	shut_both(p);
}

TEST(sendmmsg_says_how_many_went_before_an_error)
{
	struct batch out;
	int p[2];

	unix_pair(SOCK_DGRAM, p);
	fill_batch(&out, 4);
	out.v[2].iov_base = nowhere();
	CHECK_RET(sendmmsg(p[1], out.m, 4, 0), 2);
	CHECK_ERR(sendmmsg(p[1], out.m + 2, 2, 0), EFAULT);
	CHECK_RET(sendmmsg(p[1], out.m, 0, 0), 0);
	shut_both(p);
}

TEST(batches_that_cannot_be)
{
	struct timespec bad = { 0, -1 };
	struct batch b;
	int p[2], fds[2];

	prepare(&b);
	unix_pair(SOCK_DGRAM, p);
	CHECK_INT(pipe(fds), 0);
	CHECK_ERR(recvmmsg(-1, b.m, 1, 0, NULL), EBADF);
	CHECK_ERR(sendmmsg(-1, b.m, 1, 0), EBADF);
	CHECK_ERR(recvmmsg(fds[0], b.m, 1, 0, NULL), ENOTSOCK);
	CHECK_ERR(sendmmsg(fds[1], b.m, 1, 0), ENOTSOCK);
	CHECK_ERR(recvmmsg(p[0], b.m, 1, 0, &bad), EINVAL);
	CHECK_ERR(recvmmsg(p[0], b.m, 1, 0, nowhere()), EFAULT);
	CHECK_ERR(recvmmsg(p[0], nowhere(), 1, 0, NULL), EFAULT);
	CHECK_ERR(sendmmsg(p[0], nowhere(), 1, 0), EFAULT);
	shut_both(fds);
	shut_both(p);
}

/* --- vectors --- */

static void *
writes_later(void *arg)
{
	most_likely();
	CHECK_INT(write(*(int *)arg, "abcdef", 6), 6);
	return NULL;
}

TEST(preadv2_at_minus_one_is_readv)
{
	char a[3], b[8];
	struct iovec v[2] = { { a, 3 }, { b, 8 } };
	pthread_t th;
	int fds[2];

	CHECK_INT(pipe(fds), 0);
	th = party(writes_later, &fds[1]);
	CHECK_RET(preadv2(fds[0], v, 2, -1, 0), 6);
	CHECK_INT(memcmp(a, "abc", 3), 0);
	CHECK_INT(memcmp(b, "def", 3), 0);
	leaves(th);
	CHECK_ERR(preadv2(fds[0], v, 2, -1, RWF_NOWAIT), EAGAIN);
	CHECK_ERR(preadv(fds[0], v, 2, 0), ESPIPE);
	v[0].iov_len = 2;
	CHECK_RET(pwritev2(fds[1], v, 1, -1, 0), 2);
	CHECK_INT(read(fds[0], b, 8), 2);
	CHECK_ERR(preadv2(fds[0], v, (int)-some(1), -1, 0), EINVAL);
	CHECK_ERR(preadv2(fds[0], nowhere(), 1, -1, 0), EFAULT);
	CHECK_ERR(preadv2(-1, v, 1, -1, 0), EBADF);
	shut_both(fds);
}

TEST(pwritev2_at_minus_one_writes_all)
{
	enum { BIG = 300000 };
	unsigned char *buf = malloc(BIG);
	struct iovec v[2] = { { buf, 1000 }, { buf + 1000, BIG - 1000 } };
	struct taker t = { 0, BIG };
	pthread_t th;
	int fds[2];

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	CHECK_INT(pipe(fds), 0);
	t.fd = fds[0];
	th = party(takes_slowly, &t);
	CHECK_RET(pwritev2(fds[1], v, 2, -1, 0), BIG);
	leaves(th);
	shut_both(fds);
	free(buf);
}

TEST(vectors_at_an_offset_of_a_file)
{
	int fd = memfd_create("f", 0);
	char a[4], b[4];
	struct iovec w[2] = { { (char *)"hell", 4 }, { (char *)"o wo", 4 } };
	struct iovec r[2] = { { a, 4 }, { b, 4 } };

	CHECK(fd != -1);
	CHECK_RET(pwritev(fd, w, 2, 10), 8);
	CHECK_RET(pwritev2(fd, w, 2, 18, 0), 8);
	CHECK_RET(preadv(fd, r, 2, 10), 8);
	CHECK_INT(memcmp(a, "hell", 4), 0);
	CHECK_INT(memcmp(b, "o wo", 4), 0);
	CHECK_RET(preadv2(fd, r, 2, 14, 0), 8);
	CHECK_INT(memcmp(a, "o wo", 4), 0);
	CHECK_INT(memcmp(b, "hell", 4), 0);
	CHECK_INT(lseek(fd, 0, SEEK_CUR), 0);
	CHECK_RET(preadv64(fd, r, 1, 18), 4);
	CHECK_INT(memcmp(a, "hell", 4), 0);
	CHECK_ERR(preadv(fd, r, 1, -1), EINVAL);
	CHECK_RET(pwritev2(fd, w, 1, -1, 0), 4);
	CHECK_INT(lseek(fd, 0, SEEK_CUR), 4);
	shut(fd);
}

/* --- eventfds --- */

static void *
adds_seven(void *arg)
{
	most_likely();
	CHECK_RET(eventfd_write(*(int *)arg, 7), 0);
	return NULL;
}

static void *
empties(void *arg)
{
	eventfd_t v;

	most_likely();
	CHECK_RET(eventfd_read(*(int *)arg, &v), 0);
	CHECK(v == UINT64_MAX - 1);
	return NULL;
}

TEST(eventfd_calls_wait_for_each_other)
{
	int fd = eventfd(0, 0);
	eventfd_t v;
	pthread_t th;

	CHECK(fd != -1);
	th = party(adds_seven, &fd);
	CHECK_RET(eventfd_read(fd, &v), 0);
	CHECK_INT(v, 7);
	leaves(th);
	CHECK_RET(eventfd_write(fd, UINT64_MAX - 1), 0);
	th = party(empties, &fd);
	CHECK_RET(eventfd_write(fd, 3), 0);
	leaves(th);
	CHECK_RET(eventfd_read(fd, &v), 0);
	CHECK_INT(v, 3);
	set_nonblocking(fd, true);
	CHECK_ERR(eventfd_read(fd, &v), EAGAIN);
	CHECK_ERR(eventfd_write(fd, UINT64_MAX), EINVAL);
	CHECK_ERR(eventfd_read(-1, &v), EBADF);
	set_nonblocking(fd, false);
	start_ticking(0);
	CHECK_ERR(eventfd_read(fd, &v), EINTR);
	stop_ticking();
	shut(fd);
}

/* --- who waits --- */

static void *
waits_for_a_batch(void *arg)
{
	struct batch b;

	prepare(&b);
	CHECK_RET(recvmmsg(((int *)arg)[0], b.m, 1, 0, NULL), 1);
	return NULL;
}

static void
sends_batches(void *arg)
{
	int i;

	for (i = 0; i < WAITERS; i++)
		CHECK_INT(send(((int *)arg)[1], "x", 1, 0), 1);
}

static void *
waits_for_a_vector(void *arg)
{
	char c;
	struct iovec v = { &c, 1 };

	CHECK_RET(preadv2(((int *)arg)[0], &v, 1, -1, 0), 1);
	return NULL;
}

static void *
waits_for_an_eventfd(void *arg)
{
	eventfd_t v;

	CHECK_RET(eventfd_read(*(int *)arg, &v), 0);
	return NULL;
}

static void
adds_for_all(void *arg)
{
	CHECK_INT(eventfd_write(*(int *)arg, WAITERS), 0);
}

TEST(batches_wait_without_a_kernel_thread)
{
	int p[2], fd = eventfd(0, EFD_SEMAPHORE);

	CHECK(fd != -1);
	unix_pair(SOCK_DGRAM, p);
	check_waiting(waits_for_a_batch, p, sends_batches);
	check_waiting(waits_for_a_vector, p, sends_batches);
	check_waiting(waits_for_an_eventfd, &fd, adds_for_all);
	shut(fd);
	shut_both(p);
}
