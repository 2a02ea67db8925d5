/* SPDX-License-Identifier: MIT */
/* fd_splice.c - data that never leaves the kernel: splice, tee, vmsplice,
 * sendfile, copy_file_range. */
#define _GNU_SOURCE 1

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "tasks.h"

static void
a_pipe(int fds[2])
{
	CHECK_INT(pipe(fds), 0);
}

/* A file that holds so many bytes of the pattern; its position is 0. */
static int
a_file(size_t n)
{
	int fd = memfd_create("f", 0);
	unsigned char *p;

	CHECK(fd != -1);
	CHECK_INT(ftruncate(fd, (off_t)n), 0);
	if (n == 0)
		return fd;
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	pattern(p, n, 0);
	CHECK_INT(munmap(p, n), 0);
	return fd;
}

struct other {
	int fd;
	size_t n, at;
};

static void *
takes_later(void *arg)
{
	struct other *o = arg;

	most_likely();
	take(o->fd, o->n, o->at);
	return NULL;
}

static void *
gives_later(void *arg)
{
	struct other *o = arg;
	unsigned char buf[1000];
	size_t part;

	while (o->n > 0) {
		most_likely();
		part = o->n < sizeof buf ? o->n : sizeof buf;
		pattern(buf, part, o->at);
		CHECK_INT(write(o->fd, buf, part), part);
		o->at += part;
		o->n -= part;
	}
	return NULL;
}

static void *
closes_later(void *arg)
{
	most_likely();
	shut(*(int *)arg);
	return NULL;
}

/* --- splice --- */

TEST(splice_waits_for_an_empty_pipe)
{
	struct other o = { .n = 1000 };
	int in[2], out[2];
	pthread_t th;

	a_pipe(in);
	a_pipe(out);
	o.fd = in[1];
	th = party(gives_later, &o);
	CHECK_RET(splice(in[0], NULL, out[1], NULL, 5000, 0), 1000);
	take(out[0], 1000, 0);
	leaves(th);
	th = party(closes_later, &in[1]);
	CHECK_RET(splice(in[0], NULL, out[1], NULL, 5000, 0), 0);
	leaves(th);
	shut(in[0]);
	shut_both(out);
}

TEST(splice_waits_for_a_full_pipe)
{
	struct other o = { 0 };
	int in[2], out[2];
	pthread_t th;
	ssize_t r;

	a_pipe(in);
	a_pipe(out);
	o.n = stuff(out[1]);
	o.fd = out[0];
	CHECK_INT(write(in[1], "abc", 3), 3);
	CHECK_ERR(splice(in[0], NULL, out[1], NULL, 10, SPLICE_F_NONBLOCK),
		  EAGAIN);
	th = party(takes_later, &o);
	errno = EDOM;
	r = splice(in[0], NULL, out[1], NULL, 10, 0);
	CHECK_INT(r, 3);
	CHECK_INT(errno, EDOM);
	leaves(th);
	shut_both(in);
	shut_both(out);
}

TEST(splice_goes_by_the_flags_of_the_descriptors)
{
	int in[2], out[2], f;

	a_pipe(in);
	a_pipe(out);
	set_nonblocking(in[0], true);
	CHECK_ERR(splice(in[0], NULL, out[1], NULL, 10, 0), EAGAIN);
	CHECK_INT(write(in[1], "abc", 3), 3);
	CHECK_RET(splice(in[0], NULL, out[1], NULL, 10, 0), 3);
	take(out[0], 0, 0);
	CHECK_INT(write(in[1], "abc", 3), 3);
	stuff(out[1]);
	/* Of two pipes one speaks for both. */
	CHECK_ERR(splice(in[0], NULL, out[1], NULL, 10, 0), EAGAIN);
	f = a_file(100);
	set_nonblocking(out[1], true);
	CHECK_ERR(splice(f, NULL, out[1], NULL, 10, 0), EAGAIN);
	CHECK(nonblocking(in[0]));
	CHECK(!nonblocking(in[1]));
	shut(f);
	shut_both(in);
	shut_both(out);
}

TEST(splice_says_what_it_cannot_do)
{
	int in[2], out[2], f = a_file(10), g = a_file(0);
	off64_t at = 0;

	a_pipe(in);
	a_pipe(out);
	CHECK_INT(write(in[1], "abc", 3), 3);
	CHECK_ERR(splice(-1, NULL, out[1], NULL, 10, 0), EBADF);
	CHECK_ERR(splice(in[0], NULL, -1, NULL, 10, 0), EBADF);
	CHECK_ERR(splice(f, NULL, g, NULL, 10, 0), EINVAL);
	CHECK_ERR(splice(in[0], &at, out[1], NULL, 10, 0), ESPIPE);
	CHECK_ERR(splice(in[0], NULL, in[1], NULL, 10, 0), EINVAL);
	CHECK_ERR(splice(in[0], NULL, out[1], NULL, 10, 0x8000), EINVAL);
	CHECK_ERR(splice(out[1], NULL, in[0], NULL, 10, 0), EBADF);
	CHECK_ERR(splice(f, nowhere(), out[1], NULL, 10, 0), EFAULT);
	CHECK_RET(splice(in[0], NULL, out[1], NULL, 0, 0), 0);
	CHECK_RET(splice(in[0], NULL, out[1], NULL, 10, 0), 3);
	shut(f);
	shut(g);
	shut_both(in);
	shut_both(out);
}

TEST(a_file_goes_through_a_pipe_into_a_file)
{
	enum { SIZE = 200000 };
	int from = a_file(SIZE), to = a_file(0), p[2];
	off64_t at = 0;
	size_t n = 0;
	ssize_t r;

	a_pipe(p);
	while (n < SIZE) {
		r = splice(from, &at, p[1], NULL, SIZE, 0);
		CHECK(r > 0);
		n += (size_t)r;
		CHECK_INT(at, n);
		CHECK_INT(splice(p[0], NULL, to, NULL, (size_t)r, 0), r);
	}
	CHECK_RET(splice(from, &at, p[1], NULL, SIZE, 0), 0);
	CHECK_INT(lseek(from, 0, SEEK_CUR), 0);
	CHECK_INT(lseek(to, 0, SEEK_CUR), SIZE);
	CHECK_INT(lseek(to, 0, SEEK_SET), 0);
	take(to, SIZE, 0);
	shut(from);
	shut(to);
	shut_both(p);
}

TEST(splice_comes_out_of_a_socket)
{
	struct other o = { 0 };
	int p[2], s[2], kind, other, *end;
	pthread_t th;
	size_t n;
	ssize_t r;

	for (kind = 0; kind < 3; kind++) {
		a_pipe(p);
		if (kind == 0)
			unix_pair(SOCK_STREAM, s);
		else
			tcp_pair(s);
		/* One that others share, too: it keeps its flags. */
		end = &s[0];
		other = dup(s[0]);
		if (kind == 2)
			end = &other;
		o = (struct other){ .fd = s[1], .n = 3000 };
		th = party(gives_later, &o);
		for (n = 0; n < 3000; n += (size_t)r) {
			r = splice(*end, NULL, p[1], NULL, 5000, 0);
			CHECK(r > 0);
			CHECK(!nonblocking(*end));
			take(p[0], (size_t)r, n);
		}
		leaves(th);
		shut(s[1]);
		CHECK_RET(splice(*end, NULL, p[1], NULL, 5000, 0), 0);
		shut(other);
		shut(s[0]);
		shut_both(p);
	}
}

TEST(splice_goes_into_a_socket_until_all_has_gone)
{
	struct other o = { 0 };
	int p[2], s[2], kind, small = 60000;
	pthread_t th;
	size_t n;

	for (kind = 0; kind < 2; kind++) {
		a_pipe(p);
		if (kind == 0)
			unix_pair(SOCK_STREAM, s);
		else
			tcp_pair(s);
		CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small,
				     sizeof small),
			  0);
		CHECK_INT(setsockopt(s[1], SOL_SOCKET, SO_RCVBUF, &small,
				     sizeof small),
			  0);
		/* More than goes in at once. */
		CHECK(fcntl(p[1], F_SETPIPE_SZ, 1 << 20) != -1);
		n = stuff(p[1]);
		o = (struct other){ .fd = s[1], .n = n };
		th = party(takes_later, &o);
		CHECK_RET(splice(p[0], NULL, s[0], NULL, n + 5, 0), n);
		CHECK(!nonblocking(s[0]));
		leaves(th);
		shut_both(s);
		shut_both(p);
	}
}

TEST(splice_is_interrupted_with_nothing_lost)
{
	int in[2], out[2];

	a_pipe(in);
	a_pipe(out);
	start_ticking(0);
	CHECK_ERR(splice(in[0], NULL, out[1], NULL, 10, 0), EINTR);
	CHECK_ERR(tee(in[0], out[1], 10, 0), EINTR);
	stop_ticking();
	CHECK_INT(write(in[1], "abc", 3), 3);
	CHECK_RET(splice(in[0], NULL, out[1], NULL, 10, 0), 3);
	shut_both(in);
	shut_both(out);
}

TEST(a_broken_pipe_is_told_to_splice)
{
	int in[2], out[2];

	signal(SIGPIPE, SIG_IGN);
	a_pipe(in);
	a_pipe(out);
	CHECK_INT(write(in[1], "abc", 3), 3);
	shut(out[0]);
	CHECK_ERR(splice(in[0], NULL, out[1], NULL, 10, 0), EPIPE);
	CHECK_ERR(tee(in[0], out[1], 10, 0), EPIPE);
	shut(out[1]);
	shut_both(in);
}

/* --- tee, vmsplice --- */

TEST(tee_waits_and_takes_nothing)
{
	struct other o = { .n = 1000 };
	int in[2], out[2];
	pthread_t th;

	a_pipe(in);
	a_pipe(out);
	CHECK_ERR(tee(in[0], out[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
	o.fd = in[1];
	th = party(gives_later, &o);
	CHECK_RET(tee(in[0], out[1], 5000, 0), 1000);
	take(out[0], 1000, 0);
	take(in[0], 1000, 0);
	leaves(th);
	CHECK_ERR(tee(in[0], in[1], 10, 0), EINVAL);
	CHECK_ERR(tee(-1, out[1], 10, 0), EBADF);
	set_nonblocking(in[0], true);
	CHECK_ERR(tee(in[0], out[1], 10, 0), EAGAIN);
	shut(in[1]);
	CHECK_RET(tee(in[0], out[1], 10, 0), 0);
	shut(in[0]);
	shut_both(out);
}

TEST(tee_waits_for_room)
{
	struct other o = { 0 };
	int in[2], out[2];
	pthread_t th;

	a_pipe(in);
	a_pipe(out);
	o.n = stuff(out[1]);
	o.fd = out[0];
	CHECK_INT(write(in[1], "abc", 3), 3);
	th = party(takes_later, &o);
	CHECK_RET(tee(in[0], out[1], 10, 0), 3);
	leaves(th);
	shut_both(in);
	shut_both(out);
}

TEST(vmsplice_waits_in_both_directions)
{
	static unsigned char buf[2000], got[2000];
	struct iovec v = { buf, sizeof buf }, w = { got, sizeof got };
	struct other o = { 0 };
	int p[2];
	pthread_t th;

	a_pipe(p);
	pattern(buf, sizeof buf, 0);
	CHECK_RET(vmsplice(p[1], &v, 1, 0), 2000);
	CHECK_RET(vmsplice(p[0], &w, 1, 0), 2000);
	check_pattern(got, sizeof got, 0);
	CHECK_ERR(vmsplice(p[0], &w, 1, SPLICE_F_NONBLOCK), EAGAIN);
	o = (struct other){ .fd = p[1], .n = 700 };
	th = party(gives_later, &o);
	CHECK_RET(vmsplice(p[0], &w, 1, 0), 700);
	check_pattern(got, 700, 0);
	leaves(th);
	o = (struct other){ .fd = p[0], .n = stuff(p[1]) };
	th = party(takes_later, &o);
	CHECK_RET(vmsplice(p[1], &v, 1, 0), 2000);
	leaves(th);
	CHECK_ERR(vmsplice(-1, &v, 1, 0), EBADF);
	shut_both(p);
}

/* It looks at its own flag, not at the pipe's. */
TEST(vmsplice_waits_also_at_a_non_blocking_pipe)
{
	static unsigned char got[100];
	struct iovec w = { got, sizeof got };
	struct other o = { 0 };
	int p[2];
	pthread_t th;

	a_pipe(p);
	set_nonblocking(p[0], true);
	o = (struct other){ .fd = p[1], .n = 100 };
	th = party(gives_later, &o);
	CHECK_RET(vmsplice(p[0], &w, 1, 0), 100);
	leaves(th);
	shut_both(p);
}

/* --- sendfile --- */

TEST(sendfile_sends_all_into_a_socket)
{
	enum { SIZE = 3 << 20 };
	int f = a_file(SIZE), s[2], kind, other;
	struct other o = { 0 };
	off_t at;
	pthread_t th;

	for (kind = 0; kind < 4; kind++) {
		if (kind % 2 == 0)
			unix_pair(SOCK_STREAM, s);
		else
			tcp_pair(s);
		/* Who has never been two may be lent a flag. */
		other = kind < 2 ? -1 : dup(s[1]);
		at = 100;
		o = (struct other){ .fd = s[0], .n = SIZE - 100, .at = 100 };
		th = party(takes_later, &o);
		CHECK_RET(sendfile(s[1], f, &at, SIZE), SIZE - 100);
		CHECK_INT(at, SIZE);
		CHECK_INT(lseek(f, 0, SEEK_CUR), 0);
		CHECK(!nonblocking(s[1]));
		leaves(th);
		/* By the file's own position. */
		o = (struct other){ .fd = s[0], .n = 500000 };
		th = party(takes_later, &o);
		CHECK_RET(sendfile(s[1], f, NULL, 500000), 500000);
		CHECK_INT(lseek(f, 0, SEEK_CUR), 500000);
		CHECK_INT(lseek(f, 0, SEEK_SET), 0);
		leaves(th);
		at = SIZE;
		CHECK_RET(sendfile(s[1], f, &at, 10), 0);
		if (kind >= 2)
			shut(other);
		shut_both(s);
	}
	shut(f);
}

TEST(sendfile_fills_a_pipe_and_returns)
{
	int f = a_file(1 << 20), p[2];
	struct other o = { 0 };
	off_t at = 0;
	pthread_t th;
	ssize_t r;

	a_pipe(p);
	r = sendfile(p[1], f, &at, 1 << 20);
	CHECK(r > 0 && r < 1 << 20);
	CHECK_INT(at, r);
	o = (struct other){ .fd = p[0], .n = (size_t)r };
	th = party(takes_later, &o);
	errno = EDOM;
	r = sendfile(p[1], f, &at, 1 << 20);
	CHECK(r > 0);
	CHECK_INT(errno, EDOM);
	leaves(th);
	shut_both(p);
	shut(f);
}

TEST(sendfile_between_files)
{
	int f = a_file(300000), g = a_file(0);

	CHECK_RET(sendfile(g, f, NULL, 1000000), 300000);
	CHECK_INT(lseek(g, 0, SEEK_SET), 0);
	take(g, 300000, 0);
	shut(f);
	shut(g);
}

TEST(sendfile_goes_by_the_socket_s_flags_and_times)
{
	struct timeval tv = { 0, 50000 };
	enum { SIZE = 8 << 20 };
	int f = a_file(SIZE), s[2];
	off_t at = 0;
	ssize_t r;

	unix_pair(SOCK_STREAM, s);
	CHECK_INT(setsockopt(s[1], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv), 0);
	r = sendfile(s[1], f, &at, SIZE);
	CHECK(r > 0 && r < SIZE);
	CHECK_INT(at, r);
	CHECK_ERR(sendfile(s[1], f, &at, SIZE), EAGAIN);
	CHECK_INT(at, r);
	set_nonblocking(s[1], true);
	CHECK_ERR(sendfile(s[1], f, &at, SIZE), EAGAIN);
	CHECK(nonblocking(s[1]));
	shut_both(s);
	shut(f);
}

TEST(sendfile_is_interrupted_with_nothing_lost)
{
	enum { SIZE = 8 << 20 };
	int f = a_file(SIZE), s[2];
	struct other o = { 0 };
	off_t at = 0;
	pthread_t th;
	ssize_t r;

	unix_pair(SOCK_STREAM, s);
	start_ticking(0);
	r = sendfile(s[1], f, &at, SIZE);
	CHECK(r > 0 && r < SIZE);
	CHECK_INT(at, r);
	CHECK_ERR(sendfile(s[1], f, &at, SIZE), EINTR);
	stop_ticking();
	o = (struct other){ .fd = s[0], .n = SIZE };
	th = party(takes_later, &o);
	CHECK_RET(sendfile(s[1], f, &at, SIZE), SIZE - r);
	leaves(th);
	shut_both(s);
	shut(f);
}

TEST(sendfile_says_what_it_cannot_do)
{
	int f = a_file(10), s[2], p[2];
	off_t at = -1;

	unix_pair(SOCK_STREAM, s);
	a_pipe(p);
	CHECK_ERR(sendfile(-1, f, NULL, 1), EBADF);
	CHECK_ERR(sendfile(s[0], -1, NULL, 1), EBADF);
	CHECK_ERR(sendfile(p[1], -1, NULL, 1), EBADF);
	CHECK_ERR(sendfile(s[0], f, &at, 1), EINVAL);
	CHECK_ERR(sendfile(p[1], f, &at, 1), EINVAL);
	CHECK_ERR(sendfile(s[0], f, nowhere(), 1), EFAULT);
	CHECK_ERR(sendfile(p[0], f, NULL, 1), EBADF);
	CHECK_RET(sendfile(s[0], f, NULL, 0), 0);
	signal(SIGPIPE, SIG_IGN);
	shut(s[1]);
	CHECK_ERR(sendfile(s[0], f, NULL, 10), EPIPE);
	shut(s[0]);
	shut_both(p);
	shut(f);
}

/* --- copy_file_range --- */

TEST(copy_file_range_copies_and_leaves_positions_alone)
{
	int f = a_file(100000), g = a_file(0), p[2];
	off64_t in = 1000, out = 0;

	CHECK_RET(copy_file_range(f, &in, g, &out, 50000, 0), 50000);
	CHECK_INT(in, 51000);
	CHECK_INT(out, 50000);
	take(g, 50000, 1000);
	CHECK_INT(lseek(f, 0, SEEK_CUR), 0);
	CHECK_ERR(copy_file_range(-1, NULL, g, NULL, 1, 0), EBADF);
	a_pipe(p);
	CHECK_ERR(copy_file_range(p[0], NULL, g, NULL, 1, 0), EINVAL);
	shut_both(p);
	shut(f);
	shut(g);
}

/* --- who waits --- */

static void *
waits_in_splice(void *arg)
{
	int out[2];

	a_pipe(out);
	CHECK_RET(splice(((int *)arg)[0], NULL, out[1], NULL, 10, 0), 0);
	shut_both(out);
	return NULL;
}

static void *
waits_in_tee(void *arg)
{
	int out[2];

	a_pipe(out);
	CHECK_RET(tee(((int *)arg)[0], out[1], 10, 0), 0);
	shut_both(out);
	return NULL;
}

static void *
waits_in_vmsplice(void *arg)
{
	char buf[10];
	struct iovec v = { buf, sizeof buf };

	CHECK_RET(vmsplice(((int *)arg)[0], &v, 1, 0), 0);
	return NULL;
}

static void *
waits_in_sendfile(void *arg)
{
	int f = a_file(10);

	CHECK_INT(sendfile(((int *)arg)[0], f, NULL, 10), -1);
	CHECK(errno == EPIPE || errno == ECONNRESET);
	shut(f);
	return NULL;
}

static void
closes_the_other_end(void *arg)
{
	shut(((int *)arg)[1]);
}

TEST(splices_wait_without_a_kernel_thread)
{
	void *(*const all[])(void *) = { waits_in_splice, waits_in_tee,
					 waits_in_vmsplice };
	int fds[2], i;

	for (i = 0; i < 3; i++) {
		a_pipe(fds);
		check_waiting(all[i], fds, closes_the_other_end);
		shut(fds[0]);
	}
	signal(SIGPIPE, SIG_IGN);
	tcp_pair(fds);
	/* What is on its way makes room when it arrives. */
	while (stuff(fds[0]) > 0)
		most_likely();
	check_waiting(waits_in_sendfile, fds, closes_the_other_end);
	shut(fds[0]);
}
