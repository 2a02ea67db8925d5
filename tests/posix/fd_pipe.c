/* SPDX-License-Identifier: MIT */
/* fd_pipe.c - read, readv, write and writev, on pipes. */
#define _GNU_SOURCE 1

#include "jobs.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define BIG (8u << 20)

static void *
writes_later(void *arg)
{
	struct job *j = arg;
	unsigned char buf[4096];

	CHECK(j->n <= sizeof buf);
	most_likely();
	pattern(buf, j->n, j->at);
	CHECK_RET(write(j->fd, buf, j->n), j->n);
	return NULL;
}

TEST(read_waits_for_data)
{
	struct job j = { .n = 5, .at = 7 };
	unsigned char buf[64];
	pthread_t th;
	int p[2];

	a_pipe(p);
	j.fd = p[1];
	th = party(writes_later, &j);
	CHECK_RET(read(p[0], buf, sizeof buf), 5);
	check_pattern(buf, 5, 7);
	leaves(th);
	shut_both(p);
}

TEST(the_checked_twin_of_read_waits_too)
{
	struct job j = { .n = 5 };
	unsigned char buf[64];
	pthread_t th;
	int p[2];

	a_pipe(p);
	j.fd = p[1];
	th = party(writes_later, &j);
	CHECK_RET(__read_chk(p[0], buf, sizeof buf, sizeof buf), 5);
	check_pattern(buf, 5, 0);
	leaves(th);
	shut_both(p);
}

TEST(read_past_its_buffer_is_still_caught)
{
	struct rlimit none = { 0, 0 };
	int p[2], status;
	char buf[16];
	pid_t pid;

	a_pipe(p);
	CHECK_INT(write(p[1], "x", 1), 1);
	pid = fork();
	CHECK(pid != -1);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		shut(STDERR_FILENO);
		if (__read_chk(p[0], buf, some(17), sizeof buf) == 1)
			_exit(0);
		_exit(1);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_INT(WTERMSIG(status), SIGABRT);
	shut_both(p);
}

TEST(read_gets_what_is_there_and_no_more)
{
	unsigned char buf[64];
	int p[2];

	a_pipe(p);
	pattern(buf, 10, 0);
	CHECK_RET(write(p[1], buf, 10), 10);
	memset(buf, 0, sizeof buf);
	CHECK_RET(read(p[0], buf, 4), 4);
	check_pattern(buf, 4, 0);
	CHECK_INT(buf[4], 0);
	CHECK_RET(read(p[0], buf, sizeof buf), 6);
	check_pattern(buf, 6, 4);
	shut_both(p);
}

TEST(read_takes_a_length_far_beyond_the_data)
{
	void *volatile buf = malloc(16);
	int p[2];

	a_pipe(p);
	CHECK_RET(write(p[1], "abc", 3), 3);
	CHECK_RET(read(p[0], buf, some(INT_MAX)), 3);
	CHECK_INT(memcmp(buf, "abc", 3), 0);
	CHECK_RET(write(p[1], "def", 3), 3);
	CHECK_RET(read(p[0], buf, some((size_t)1 << 32)), 3);
	CHECK_INT(memcmp(buf, "def", 3), 0);
	free(buf);
	shut_both(p);
}

TEST(read_returns_0_once_the_writers_are_gone)
{
	char buf[8];
	int p[2];

	a_pipe(p);
	CHECK_RET(write(p[1], "ab", 2), 2);
	shut(p[1]);
	CHECK_RET(read(p[0], buf, sizeof buf), 2);
	CHECK_RET(read(p[0], buf, sizeof buf), 0);
	CHECK_RET(read(p[0], buf, sizeof buf), 0);
	shut(p[0]);
}

TEST(a_waiting_read_returns_0_when_the_last_writer_goes)
{
	struct job j = { 0 };
	pthread_t th;
	int p[2];
	char c;

	a_pipe(p);
	j.fd = p[1];
	th = party(closes_later, &j);
	CHECK_RET(read(p[0], &c, 1), 0);
	leaves(th);
	shut(p[0]);
}

TEST(readv_waits_and_scatters)
{
	unsigned char a[3], b[4], c[64];
	struct iovec v[] = { { a, 3 }, { b, 0 }, { b, 4 }, { c, 64 } };
	struct job j = { .n = 10 };
	pthread_t th;
	int p[2];

	a_pipe(p);
	j.fd = p[1];
	th = party(writes_later, &j);
	CHECK_RET(readv(p[0], v, 4), 10);
	check_pattern(a, 3, 0);
	check_pattern(b, 4, 3);
	check_pattern(c, 3, 7);
	leaves(th);
	shut_both(p);
}

TEST(write_waits_for_room)
{
	struct job j = { 0 };
	unsigned char c;
	pthread_t th;
	int p[2];

	a_pipe(p);
	j.n = stuff(p[1]);
	CHECK(j.n > 0);
	j.fd = p[0];
	th = party(takes_all, &j);
	c = byte_at(j.n);
	CHECK_RET(write(p[1], &c, 1), 1);
	leaves(th);
	take(p[0], 1, j.n);
	shut_both(p);
}

TEST(a_huge_write_is_completed)
{
	struct job j = { .n = BIG };
	unsigned char *buf = malloc(BIG);
	pthread_t th;
	int p[2];

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	a_pipe(p);
	j.fd = p[0];
	th = party(takes_all, &j);
	CHECK_RET(write(p[1], buf, BIG), BIG);
	leaves(th);
	CHECK_INT(poll_now(p[0], POLLIN), 0);
	free(buf);
	shut_both(p);
}

TEST(a_huge_writev_is_completed)
{
	static const size_t sizes[] = { 1, 0, 70000, 4096, 3, 1000000, 65536 };
	struct iovec v[COUNT(sizes)];
	unsigned char *buf;
	struct job j = { 0 };
	pthread_t th;
	size_t i;
	int p[2];

	for (i = 0; i < COUNT(sizes); i++)
		j.n += sizes[i];
	buf = malloc(j.n);
	CHECK(buf != NULL);
	pattern(buf, j.n, 0);
	for (i = 0; i < COUNT(sizes); i++) {
		v[i].iov_base = buf + j.at;
		v[i].iov_len = sizes[i];
		j.at += sizes[i];
	}
	j.at = 0;
	a_pipe(p);
	j.fd = p[0];
	th = party(takes_all, &j);
	CHECK_RET(writev(p[1], v, COUNT(v)), j.n);
	/* The caller's array is the caller's. */
	for (i = 0; i < COUNT(sizes); i++)
		CHECK_INT(v[i].iov_len, sizes[i]);
	leaves(th);
	free(buf);
	shut_both(p);
}

TEST(as_many_pieces_as_linux_allows_and_not_one_more)
{
	struct iovec *v = calloc(IOV_MAX + 1, sizeof *v);
	unsigned char out[IOV_MAX], in[IOV_MAX];
	int p[2], i;

	CHECK(v != NULL);
	a_pipe(p);
	pattern(out, sizeof out, 0);
	for (i = 0; i <= IOV_MAX; i++) {
		v[i].iov_base = &out[i % IOV_MAX];
		v[i].iov_len = 1;
	}
	CHECK_ERR(writev(p[1], v, IOV_MAX + 1), EINVAL);
	CHECK_RET(writev(p[1], v, IOV_MAX), IOV_MAX);
	for (i = 0; i <= IOV_MAX; i++)
		v[i].iov_base = &in[i % IOV_MAX];
	CHECK_ERR(readv(p[0], v, IOV_MAX + 1), EINVAL);
	CHECK_ERR(readv(p[0], v, (int)some((size_t)-1)), EINVAL);
	CHECK_RET(readv(p[0], v, IOV_MAX), IOV_MAX);
	check_pattern(in, sizeof in, 0);
	free(v);
	shut_both(p);
}

TEST(lengths_that_add_up_beyond_ssize_are_refused)
{
	char c[2] = "x";
	struct iovec v[] = { { c, (size_t)SSIZE_MAX + 1 }, { c, 1 } };
	int p[2];

	a_pipe(p);
	CHECK_ERR(writev(p[1], v, 2), EINVAL);
	CHECK_INT(write(p[1], c, 1), 1);
	CHECK_ERR(readv(p[0], v, 2), EINVAL);
	CHECK_RET(read(p[0], c, 1), 1);
	shut_both(p);
}

TEST(nothing_is_read_at_once)
{
	struct iovec none = { NULL, 0 };
	int p[2];
	char c;

	/* Each of these would wait if it asked for a byte. */
	a_pipe(p);
	CHECK_RET(read(p[0], &c, 0), 0);
	CHECK_RET(readv(p[0], &none, 0), 0);
	CHECK_RET(readv(p[0], &none, 1), 0);
	stuff(p[1]);
	CHECK_RET(write(p[1], &c, 0), 0);
	CHECK_RET(writev(p[1], &none, 0), 0);
	CHECK_RET(writev(p[1], &none, 1), 0);
	shut_both(p);
}

static volatile sig_atomic_t pipes_broken;

static void
on_sigpipe(int sig)
{
	(void)sig;
	pipes_broken++;
}

TEST(a_write_without_readers_raises_SIGPIPE_and_fails)
{
	struct iovec v = { (void *)"x", 1 };
	int p[2];

	signal(SIGPIPE, on_sigpipe);
	a_pipe(p);
	shut(p[0]);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	CHECK_INT(pipes_broken, 1);
	CHECK_ERR(writev(p[1], &v, 1), EPIPE);
	CHECK_INT(pipes_broken, 2);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	CHECK_INT(pipes_broken, 2);
	shut(p[1]);
}

TEST(a_waiting_write_gets_EPIPE_when_the_last_reader_goes)
{
	struct job j = { 0 };
	pthread_t th;
	int p[2];

	signal(SIGPIPE, on_sigpipe);
	a_pipe(p);
	stuff(p[1]);
	j.fd = p[0];
	th = party(closes_later, &j);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	leaves(th);
	CHECK_INT(pipes_broken, 1);
	shut(p[1]);
}

static void *
takes_then_closes(void *arg)
{
	struct job *j = arg;

	take(j->fd, j->n, 0);
	shut(j->fd);
	return NULL;
}

TEST(a_huge_write_tells_how_much_went_before_the_reader_left)
{
	unsigned char *buf = malloc(BIG);
	struct job j = { .n = 100000 };
	pthread_t th;
	ssize_t n;
	int p[2];

	CHECK(buf != NULL);
	signal(SIGPIPE, SIG_IGN);
	pattern(buf, BIG, 0);
	a_pipe(p);
	j.fd = p[0];
	th = party(takes_then_closes, &j);
	n = write(p[1], buf, BIG);
	CHECK(n >= (ssize_t)j.n);
	CHECK(n < (ssize_t)BIG);
	CHECK_ERR(write(p[1], buf, BIG), EPIPE);
	leaves(th);
	free(buf);
	shut(p[1]);
}

/* p is non-blocking on both ends. */
static void
nothing_waits(int p[2])
{
	unsigned char *buf = malloc(BIG);
	struct iovec v = { buf, BIG };
	ssize_t n, m;

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	CHECK_ERR(read(p[0], buf, 10), EAGAIN);
	CHECK_ERR(readv(p[0], &v, 1), EAGAIN);
	errno = EDOM;
	n = write(p[1], buf, BIG);
	CHECK(n > 0 && n < (ssize_t)BIG);
	CHECK_INT(errno, EDOM);
	CHECK_ERR(write(p[1], buf, BIG), EAGAIN);
	CHECK_ERR(writev(p[1], &v, 1), EAGAIN);
	for (m = 0; m < n;) {
		ssize_t r = read(p[0], buf, BIG);

		CHECK(r > 0);
		check_pattern(buf, (size_t)r, (size_t)m);
		m += r;
	}
	CHECK_INT(m, n);
	CHECK_ERR(read(p[0], buf, 10), EAGAIN);
	free(buf);
}

TEST(O_NONBLOCK_set_by_fcntl_counts)
{
	int p[2];

	a_pipe(p);
	set_nonblocking(p[0], true);
	set_nonblocking(p[1], true);
	nothing_waits(p);
	shut_both(p);
}

TEST(O_NONBLOCK_set_by_pipe2_counts)
{
	int p[2];

	CHECK_RET(pipe2(p, O_NONBLOCK), 0);
	CHECK(nonblocking(p[0]) && nonblocking(p[1]));
	CHECK_INT(fcntl(p[0], F_GETFD), 0);
	nothing_waits(p);
	shut_both(p);
}

TEST(O_NONBLOCK_set_by_ioctl_counts)
{
	int p[2], on = 1, off = 0;

	a_pipe(p);
	CHECK_RET(ioctl(p[0], FIONBIO, &on), 0);
	CHECK_RET(ioctl(p[1], FIONBIO, &on), 0);
	CHECK(nonblocking(p[0]) && nonblocking(p[1]));
	nothing_waits(p);
	CHECK_RET(ioctl(p[0], FIONBIO, &off), 0);
	CHECK(!nonblocking(p[0]) && nonblocking(p[1]));
	CHECK_ERR(ioctl(p[0], FIONBIO, nowhere()), EFAULT);
	CHECK_ERR(ioctl(-1, FIONBIO, &on), EBADF);
	shut_both(p);
}

TEST(O_NONBLOCK_taken_away_makes_read_wait_again)
{
	struct job j = { .n = 3 };
	int p[2], i, off = 0;
	unsigned char buf[8];
	pthread_t th;

	for (i = 0; i < 2; i++) {
		CHECK_RET(pipe2(p, O_NONBLOCK), 0);
		CHECK_ERR(read(p[0], buf, 1), EAGAIN);
		if (i == 0)
			set_nonblocking(p[0], false);
		else
			CHECK_RET(ioctl(p[0], FIONBIO, &off), 0);
		j.fd = p[1];
		th = party(writes_later, &j);
		CHECK_RET(read(p[0], buf, sizeof buf), 3);
		leaves(th);
		shut_both(p);
	}
}

TEST(a_dup_shares_O_NONBLOCK)
{
	int p[2], d;
	char c;

	a_pipe(p);
	d = dup(p[0]);
	CHECK(d != -1);
	set_nonblocking(d, true);
	CHECK(nonblocking(p[0]));
	CHECK_ERR(read(p[0], &c, 1), EAGAIN);
	shut(d);
	CHECK_ERR(read(p[0], &c, 1), EAGAIN);
	shut_both(p);
}

TEST(one_end_of_a_pipe_has_its_own_O_NONBLOCK)
{
	struct job j = { .n = 1 };
	pthread_t th;
	int p[2];
	char c;

	a_pipe(p);
	set_nonblocking(p[1], true);
	CHECK(!nonblocking(p[0]));
	j.fd = p[1];
	th = party(writes_later, &j);
	CHECK_RET(read(p[0], &c, 1), 1);
	leaves(th);
	shut_both(p);
}

TEST(waiting_changes_no_flag_that_F_GETFL_shows)
{
	struct job j = { .n = 1 };
	int p[2], r, w, dr, dw;
	pthread_t th;
	char c;

	a_pipe(p);
	r = fcntl(p[0], F_GETFL);
	w = fcntl(p[1], F_GETFL);
	CHECK_INT(r & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
	CHECK_INT(w & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
	dr = fcntl(p[0], F_GETFD);
	dw = fcntl(p[1], F_GETFD);
	j.fd = p[1];
	th = party(writes_later, &j);
	CHECK_RET(read(p[0], &c, 1), 1);
	leaves(th);
	j.n = stuff(p[1]);
	j.fd = p[0];
	th = party(takes_all, &j);
	CHECK_RET(write(p[1], &c, 1), 1);
	leaves(th);
	CHECK_INT(fcntl(p[0], F_GETFL), r);
	CHECK_INT(fcntl(p[1], F_GETFL), w);
	CHECK_INT(fcntl(p[0], F_GETFD), dr);
	CHECK_INT(fcntl(p[1], F_GETFD), dw);
	shut_both(p);
}

/* In /proc everyone sees what O_NONBLOCK really is: a pipe that comes from
 * elsewhere must not have it behind its owner's back. */
static void *
looks_then_writes(void *arg)
{
	struct job *j = arg;
	char path[64], line[64];
	unsigned flags = O_NONBLOCK;
	FILE *f;

	most_likely();
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", (int)j->n);
	f = fopen(path, "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "flags: %o", &flags) == 1)
			break;
	fclose(f);
	CHECK_INT(flags & O_NONBLOCK, 0);
	CHECK_INT(write(j->fd, "x", 1), 1);
	return NULL;
}

TEST(while_read_waits_the_description_stays_blocking)
{
	struct job j = { 0 };
	pthread_t th;
	int p[2];
	char c;

	a_pipe(p);
	j.fd = p[1];
	j.n = (size_t)p[0];
	th = party(looks_then_writes, &j);
	CHECK_RET(read(p[0], &c, 1), 1);
	leaves(th);
	shut_both(p);
}

TEST(flags_set_are_the_flags_got)
{
	int p[2], fl;

	CHECK_RET(pipe2(p, O_CLOEXEC), 0);
	CHECK_INT(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	CHECK_INT(fcntl(p[1], F_GETFD), FD_CLOEXEC);
	CHECK(!nonblocking(p[0]) && !nonblocking(p[1]));
	fl = fcntl(p[1], F_GETFL);
	CHECK_RET(fcntl(p[1], F_SETFL, fl | O_APPEND | O_NONBLOCK), 0);
	CHECK_INT(fcntl(p[1], F_GETFL), fl | O_APPEND | O_NONBLOCK);
	/* What is got may be set: it changes nothing. */
	CHECK_RET(fcntl(p[1], F_SETFL, fcntl(p[1], F_GETFL)), 0);
	CHECK_INT(fcntl(p[1], F_GETFL), fl | O_APPEND | O_NONBLOCK);
	CHECK_RET(fcntl(p[1], F_SETFL, fl), 0);
	CHECK_INT(fcntl(p[1], F_GETFL), fl);
	shut_both(p);
}

TEST(a_packet_pipe_keeps_its_packets)
{
	char buf[64];
	int p[2];

	CHECK_RET(pipe2(p, O_DIRECT), 0);
	CHECK_RET(write(p[1], "abc", 3), 3);
	CHECK_RET(write(p[1], "de", 2), 2);
	CHECK_RET(read(p[0], buf, 2), 2);
	CHECK_RET(read(p[0], buf, sizeof buf), 2);
	CHECK_INT(memcmp(buf, "de", 2), 0);
	shut_both(p);
}

TEST(pipe2_refuses_flags_that_it_does_not_know)
{
	int p[2] = { -7, -8 };

	CHECK_ERR(pipe2(p, O_APPEND), EINVAL);
	CHECK_INT(p[0], -7);
	CHECK_INT(p[1], -8);
	CHECK_ERR(pipe(nowhere()), EFAULT);
	CHECK_ERR(pipe2(nowhere(), O_NONBLOCK), EFAULT);
}

TEST(what_is_no_descriptor_is_EBADF)
{
	int p[2], i;
	char c = 0;
	struct iovec v = { &c, 1 };

	a_pipe(p);
	shut_both(p);
	for (i = 0; i < 4; i++) {
		const int bad[] = { -1, INT_MIN, INT_MAX, p[0] };

		CHECK_ERR(read(bad[i], &c, 1), EBADF);
		CHECK_ERR(read(bad[i], &c, 0), EBADF);
		CHECK_ERR(readv(bad[i], &v, 1), EBADF);
		CHECK_ERR(write(bad[i], &c, 1), EBADF);
		CHECK_ERR(write(bad[i], &c, 0), EBADF);
		CHECK_ERR(writev(bad[i], &v, 1), EBADF);
		CHECK_ERR(close(bad[i]), EBADF);
	}
}

TEST(the_wrong_end_is_EBADF)
{
	char c = 0;
	struct iovec v = { &c, 1 };
	int p[2];

	a_pipe(p);
	CHECK_ERR(read(p[1], &c, 1), EBADF);
	CHECK_ERR(readv(p[1], &v, 1), EBADF);
	CHECK_ERR(write(p[0], &c, 1), EBADF);
	CHECK_ERR(writev(p[0], &v, 1), EBADF);
	shut_both(p);
}

TEST(what_cannot_be_read_says_why)
{
	char c;
	int fd;

	fd = open("/", O_RDONLY);
	CHECK(fd != -1);
	CHECK_ERR(read(fd, &c, 1), EISDIR);
	shut(fd);
	fd = open("/", O_PATH);
	CHECK(fd != -1);
	CHECK_ERR(read(fd, &c, 1), EBADF);
	CHECK_ERR(write(fd, &c, 1), EBADF);
	shut(fd);
}

TEST(a_bad_pointer_is_EFAULT_and_loses_nothing)
{
	struct iovec v = { nowhere(), 5 };
	unsigned char buf[8];
	int p[2];

	a_pipe(p);
	pattern(buf, 5, 0);
	CHECK_ERR(write(p[1], nowhere(), some(5)), EFAULT);
	CHECK_ERR(writev(p[1], &v, 1), EFAULT);
	CHECK_ERR(writev(p[1], nowhere(), 1), EFAULT);
	CHECK_INT(poll_now(p[0], POLLIN), 0);
	CHECK_RET(write(p[1], buf, 5), 5);
	CHECK_ERR(read(p[0], nowhere(), some(5)), EFAULT);
	CHECK_ERR(readv(p[0], &v, 1), EFAULT);
	CHECK_ERR(readv(p[0], nowhere(), 1), EFAULT);
	CHECK_RET(read(p[0], buf, sizeof buf), 5);
	check_pattern(buf, 5, 0);
	shut_both(p);
}

TEST(a_bad_pointer_is_EFAULT_after_a_wait_too)
{
	struct job j = { .n = 5 };
	unsigned char buf[8];
	pthread_t th;
	int p[2];

	a_pipe(p);
	j.fd = p[1];
	th = party(writes_later, &j);
	CHECK_ERR(read(p[0], nowhere(), some(5)), EFAULT);
	CHECK_RET(read(p[0], buf, sizeof buf), 5);
	check_pattern(buf, 5, 0);
	leaves(th);
	shut_both(p);
}

TEST(read_is_interrupted_by_a_handler)
{
	int p[2];
	char c;

	a_pipe(p);
	start_ticking(0);
	CHECK_ERR(read(p[0], &c, 1), EINTR);
	CHECK(ticks > 0);
	stop_ticking();
	shut_both(p);
}

static void *
writes_after_ticks(void *arg)
{
	struct job *j = arg;

	while (ticks < 3)
		usleep(1000);
	CHECK_INT(write(j->fd, "x", 1), 1);
	return NULL;
}

TEST(read_goes_on_after_a_handler_with_SA_RESTART)
{
	struct job j = { 0 };
	pthread_t th;
	int p[2];
	char c;

	a_pipe(p);
	j.fd = p[1];
	th = party(writes_after_ticks, &j);
	start_ticking(SA_RESTART);
	CHECK_RET(read(p[0], &c, 1), 1);
	stop_ticking();
	CHECK(ticks >= 3);
	leaves(th);
	shut_both(p);
}

TEST(an_interrupted_write_tells_how_much_went)
{
	unsigned char *buf = malloc(BIG);
	ssize_t n, m;
	int p[2];

	CHECK(buf != NULL);
	pattern(buf, BIG, 0);
	a_pipe(p);
	start_ticking(0);
	/* A tick before the first byte is EINTR, as it is once none fits. */
	do
		n = write(p[1], buf, BIG);
	while (n == -1 && errno == EINTR);
	CHECK(n > 0 && n < (ssize_t)BIG);
	m = write(p[1], buf + n, BIG - (size_t)n);
	CHECK_INT(m, -1);
	CHECK_INT(errno, EINTR);
	stop_ticking();
	take(p[0], (size_t)n, 0);
	CHECK_INT(poll_now(p[0], POLLIN), 0);
	free(buf);
	shut_both(p);
}

#define HERD 20

static int herd_pipe[2];

static void *
one_of_the_herd(void *arg)
{
	char c = 0;

	(void)arg;
	CHECK_RET(read(herd_pipe[0], &c, 1), 1);
	return (void *)(intptr_t)c;
}

TEST(many_readers_of_a_pipe_get_a_byte_each)
{
	pthread_t th[HERD];
	int i, sum = 0;

	a_pipe(herd_pipe);
	for (i = 0; i < HERD; i++)
		th[i] = party(one_of_the_herd, NULL);
	most_likely();
	for (i = 0; i < HERD; i++) {
		char c = (char)(i + 1);

		CHECK_RET(write(herd_pipe[1], &c, 1), 1);
	}
	for (i = 0; i < HERD; i++)
		sum += (int)(intptr_t)leaves(th[i]);
	CHECK_INT(sum, HERD * (HERD + 1) / 2);
	shut_both(herd_pipe);
}

static void *
sees_the_end(void *arg)
{
	char c;

	(void)arg;
	CHECK_RET(read(herd_pipe[0], &c, 1), 0);
	return NULL;
}

TEST(all_readers_of_a_pipe_see_its_end)
{
	pthread_t th[HERD];
	int i;

	a_pipe(herd_pipe);
	for (i = 0; i < HERD; i++)
		th[i] = party(sees_the_end, NULL);
	most_likely();
	shut(herd_pipe[1]);
	for (i = 0; i < HERD; i++)
		leaves(th[i]);
	shut(herd_pipe[0]);
}
