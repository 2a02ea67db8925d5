/* SPDX-License-Identifier: MIT */
/* fd_misc.c - what else can be read and written, and many parties at once on
 * one descriptor. */
#define _GNU_SOURCE 1

#include "party.h"

#include <limits.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>

struct job {
	int fd;
	const void *data;
	size_t n, at;
	const char *path;
};

static void *
writes_later(void *arg)
{
	struct job *j = arg;

	most_likely();
	CHECK_RET(write(j->fd, j->data, j->n), j->n);
	return NULL;
}

/*
 * eventfd, timerfd, signalfd, inotify
 */

TEST(an_eventfd_is_waited_for)
{
	uint64_t three = 3, got = 0;
	struct job j = { .data = &three, .n = sizeof three };
	pthread_t th;
	int e = eventfd(0, 0), i;

	CHECK(e != -1);
	j.fd = e;
	for (i = 0; i < 3; i++) {
		th = party(writes_later, &j);
		CHECK_RET(read(e, &got, sizeof got), sizeof got);
		CHECK_INT(got, 3);
		leaves(th);
	}
	CHECK_ERR(read(e, &got, 7), EINVAL);
	CHECK_RET(write(e, &three, sizeof three), sizeof three);
	CHECK_RET(write(e, &three, sizeof three), sizeof three);
	CHECK_RET(read(e, &got, sizeof got), sizeof got);
	CHECK_INT(got, 6);
	shut(e);
}

static void *
takes_the_count_later(void *arg)
{
	uint64_t got = 0;

	most_likely();
	CHECK_RET(read(*(int *)arg, &got, sizeof got), sizeof got);
	CHECK_INT(got, UINT64_MAX - 1);
	return NULL;
}

TEST(an_eventfd_that_is_full_makes_its_writer_wait)
{
	uint64_t most = UINT64_MAX - 1, one = 1, got = 0;
	pthread_t th;
	int e = eventfd(0, 0);

	CHECK(e != -1);
	CHECK_RET(write(e, &most, sizeof most), sizeof most);
	CHECK_INT(poll_now(e, POLLIN | POLLOUT), POLLIN);
	th = party(takes_the_count_later, &e);
	CHECK_RET(write(e, &one, sizeof one), sizeof one);
	leaves(th);
	CHECK_RET(read(e, &got, sizeof got), sizeof got);
	CHECK_INT(got, 1);
	most = UINT64_MAX;
	CHECK_ERR(write(e, &most, sizeof most), EINVAL);
	shut(e);
}

static int semaphore;

static void *
takes_one(void *arg)
{
	uint64_t got = 0;

	(void)arg;
	CHECK_RET(read(semaphore, &got, sizeof got), sizeof got);
	CHECK_INT(got, 1);
	return NULL;
}

TEST(an_eventfd_semaphore_lets_as_many_through_as_it_counts)
{
	uint64_t n = 20;
	pthread_t th[20];
	size_t i;

	semaphore = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	CHECK(semaphore != -1);
	for (i = 0; i < COUNT(th); i++)
		th[i] = party(takes_one, NULL);
	most_likely();
	CHECK_RET(write(semaphore, &n, sizeof n), sizeof n);
	for (i = 0; i < COUNT(th); i++)
		leaves(th[i]);
	CHECK_INT(poll_now(semaphore, POLLIN), 0);
	shut(semaphore);
}

TEST(a_non_blocking_eventfd_does_not_wait)
{
	uint64_t got;
	int e = eventfd(0, EFD_NONBLOCK);

	CHECK(e != -1 && nonblocking(e));
	CHECK_ERR(read(e, &got, sizeof got), EAGAIN);
	shut(e);
}

/* libc's own calls, which never pass through any read() of ours. */
TEST(eventfd_read_waits_for_eventfd_write)
{
	eventfd_t one = 1, got = 0;
	struct job j = { .data = &one, .n = sizeof one };
	pthread_t th;
	int e = eventfd(0, 0);

	CHECK(e != -1);
	j.fd = e;
	th = party(writes_later, &j);
	CHECK_RET(eventfd_read(e, &got), 0);
	CHECK_INT(got, 1);
	leaves(th);
	CHECK_RET(eventfd_write(e, 5), 0);
	CHECK_RET(read(e, &got, sizeof got), sizeof got);
	CHECK_INT(got, 5);
	shut(e);
}

TEST(a_timerfd_is_waited_for_and_not_early)
{
	struct itimerspec once = { { 0, 0 }, { 0, 40 * T_MS } };
	struct itimerspec often = { { 0, 5 * T_MS }, { 0, 5 * T_MS } };
	uint64_t got = 0, all = 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	int64_t t = t_now();

	CHECK(fd != -1);
	CHECK_INT(timerfd_settime(fd, 0, &once, NULL), 0);
	CHECK_RET(read(fd, &got, sizeof got), sizeof got);
	CHECK_INT(got, 1);
	CHECK(t_now() - t >= 40 * T_MS);
	t = t_now();
	CHECK_INT(timerfd_settime(fd, 0, &often, NULL), 0);
	while (all < 10) {
		CHECK_RET(read(fd, &got, sizeof got), sizeof got);
		CHECK(got > 0);
		all += got;
	}
	CHECK(t_now() - t >= 50 * T_MS);
	shut(fd);
}

static void *
kills_later(void *arg)
{
	(void)arg;
	most_likely();
	CHECK_INT(kill(getpid(), SIGALRM), 0);
	return NULL;
}

/* SIGALRM is blocked in all threads of the program (see party.h). */
TEST(a_signalfd_is_waited_for)
{
	struct signalfd_siginfo info = { 0 };
	sigset_t set;
	pthread_t th;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	fd = signalfd(-1, &set, 0);
	CHECK(fd != -1);
	th = party(kills_later, NULL);
	CHECK_RET(read(fd, &info, sizeof info), sizeof info);
	CHECK_INT(info.ssi_signo, SIGALRM);
	CHECK_INT(info.ssi_pid, getpid());
	leaves(th);
	shut(fd);
}

static void
in_a_folder(void (*fn)(const char *folder))
{
	char folder[] = "/tmp/t-misc-XXXXXX";

	CHECK(mkdtemp(folder) != NULL);
	fn(folder);
	CHECK_INT(rmdir(folder), 0);
}

static void *
makes_a_file_later(void *arg)
{
	struct job *j = arg;
	int fd;

	most_likely();
	fd = open(j->path, O_CREAT | O_WRONLY, 0600);
	CHECK(fd != -1);
	shut(fd);
	return NULL;
}

static void
watch_a_folder(const char *folder)
{
	union {
		struct inotify_event ev;
		char room[sizeof(struct inotify_event) + NAME_MAX + 1];
	} u;
	char path[64];
	struct job j = { .path = path };
	int fd = inotify_init1(0);
	pthread_t th;

	CHECK(fd != -1);
	CHECK(inotify_add_watch(fd, folder, IN_CREATE) != -1);
	snprintf(path, sizeof path, "%s/new", folder);
	th = party(makes_a_file_later, &j);
	errno = EDOM;
	CHECK(read(fd, &u, sizeof u) > 0);
	CHECK_INT(errno, EDOM);
	CHECK_INT(u.ev.mask, IN_CREATE);
	CHECK_INT(strcmp(u.ev.name, "new"), 0);
	leaves(th);
	CHECK_INT(unlink(path), 0);
	shut(fd);
}

TEST(inotify_is_waited_for)
{
	in_a_folder(watch_a_folder);
}

/*
 * Terminals and named pipes
 */

static void
a_terminal(int *master, int *slave, bool raw)
{
	struct termios tio;
	char name[64];

	*master = posix_openpt(O_RDWR | O_NOCTTY);
	if (*master == -1)
		SKIP("no pseudo terminals");
	CHECK_INT(grantpt(*master), 0);
	CHECK_INT(unlockpt(*master), 0);
	CHECK_INT(ptsname_r(*master, name, sizeof name), 0);
	*slave = open(name, O_RDWR | O_NOCTTY);
	if (*slave == -1)
		SKIP("no pseudo terminals");
	CHECK_INT(tcgetattr(*slave, &tio), 0);
	if (raw)
		cfmakeraw(&tio);
	else
		tio.c_lflag &= ~(tcflag_t)ECHO;
	CHECK_INT(tcsetattr(*slave, TCSANOW, &tio), 0);
}

TEST(a_raw_terminal_is_waited_for)
{
	struct job j = { .data = "abc", .n = 3 };
	int master, slave, fl;
	pthread_t th;
	char buf[8];

	a_terminal(&master, &slave, true);
	fl = fcntl(slave, F_GETFL);
	j.fd = master;
	th = party(writes_later, &j);
	CHECK_RET(read(slave, buf, 1), 1);
	leaves(th);
	CHECK_RET(read(slave, buf, sizeof buf), 2);
	j.fd = slave;
	th = party(writes_later, &j);
	CHECK_RET(read(master, buf, sizeof buf), 3);
	leaves(th);
	CHECK_INT(fcntl(slave, F_GETFL), fl);
	shut(slave);
	CHECK_ERR(read(master, buf, sizeof buf), EIO);
	shut(master);
}

TEST(a_terminal_open_for_writing_alone_is_not_read_from)
{
	int master, slave, out;
	char buf[8];

	a_terminal(&master, &slave, true);
	out = open(ttyname(slave), O_WRONLY | O_NOCTTY);
	CHECK(out != -1);
	CHECK_ERR(read(out, buf, sizeof buf), EBADF);
	CHECK_RET(write(out, "abc", 3), 3);
	shut(out);
	out = open("/dev/null", O_RDONLY);
	CHECK(out != -1);
	CHECK_ERR(write(out, buf, sizeof buf), EBADF);
	shut(out);
	shut(slave);
	shut(master);
}

static void *
types_a_line_in_pieces(void *arg)
{
	static const char *const pieces[] = { "he", "llo\nwor", "ld\n\4" };
	size_t i;

	for (i = 0; i < COUNT(pieces); i++) {
		most_likely();
		CHECK_RET(write(*(int *)arg, pieces[i], strlen(pieces[i])),
			  strlen(pieces[i]));
	}
	return NULL;
}

TEST(a_terminal_gives_a_line_at_a_time)
{
	int master, slave;
	pthread_t th;
	char buf[64];

	a_terminal(&master, &slave, false);
	th = party(types_a_line_in_pieces, &master);
	CHECK_RET(read(slave, buf, sizeof buf), 6);
	CHECK_INT(memcmp(buf, "hello\n", 6), 0);
	CHECK_RET(read(slave, buf, sizeof buf), 6);
	CHECK_INT(memcmp(buf, "world\n", 6), 0);
	CHECK_RET(read(slave, buf, sizeof buf), 0);
	leaves(th);
	shut(slave);
	shut(master);
}

static void *
opens_and_writes_later(void *arg)
{
	struct job *j = arg;
	int fd;

	most_likely();
	fd = open(j->path, O_WRONLY);
	CHECK(fd != -1);
	most_likely();
	CHECK_RET(write(fd, "hello", 5), 5);
	shut(fd);
	return NULL;
}

static void
use_a_fifo(const char *folder)
{
	char path[64], buf[16];
	struct job j = { .path = path };
	pthread_t th;
	int fd, wr;

	snprintf(path, sizeof path, "%s/fifo", folder);
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK_ERR(open(path, O_WRONLY | O_NONBLOCK), ENXIO);

	/* Opening waits for the other side, then reading does. */
	th = party(opens_and_writes_later, &j);
	errno = EDOM;
	fd = open(path, O_RDONLY);
	CHECK(fd != -1);
	CHECK_INT(errno, EDOM);
	CHECK_RET(read(fd, buf, sizeof buf), 5);
	CHECK_RET(read(fd, buf, sizeof buf), 0);
	leaves(th);
	/* After the end a new writer may come. */
	wr = open(path, O_WRONLY | O_NONBLOCK);
	CHECK(wr != -1);
	j = (struct job){ .fd = wr, .data = "again", .n = 5, .path = path };
	set_nonblocking(wr, false);
	th = party(writes_later, &j);
	CHECK_RET(read(fd, buf, sizeof buf), 5);
	leaves(th);
	shut(wr);
	shut(fd);

	fd = open(path, O_RDONLY | O_NONBLOCK);
	CHECK(fd != -1 && nonblocking(fd));
	CHECK_RET(read(fd, buf, sizeof buf), 0);
	wr = open(path, O_RDWR);
	CHECK(wr != -1);
	CHECK_ERR(read(fd, buf, sizeof buf), EAGAIN);
	shut(wr);
	shut(fd);
	CHECK_INT(unlink(path), 0);
}

TEST(a_fifo_is_waited_for)
{
	in_a_folder(use_a_fifo);
}

/*
 * Files
 */

#define FILE_SIZE (6u << 20)

TEST(a_regular_file_takes_and_gives_megabytes)
{
	unsigned char *buf = malloc(FILE_SIZE);
	struct iovec v[3];
	FILE *f = tmpfile();
	size_t i;
	int fd;

	CHECK(buf != NULL && f != NULL);
	fd = fileno(f);
	pattern(buf, FILE_SIZE, 0);
	CHECK_RET(write(fd, buf, FILE_SIZE / 2), FILE_SIZE / 2);
	for (i = 0; i < 3; i++) {
		v[i].iov_base = buf + FILE_SIZE / 2 + i * FILE_SIZE / 6;
		v[i].iov_len = FILE_SIZE / 6;
	}
	CHECK_RET(writev(fd, v, 3), FILE_SIZE / 2);
	CHECK_INT(lseek(fd, 0, SEEK_CUR), FILE_SIZE);
	CHECK_RET(read(fd, buf, 1), 0);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	memset(buf, 0, FILE_SIZE);
	CHECK_RET(read(fd, buf, FILE_SIZE), FILE_SIZE);
	check_pattern(buf, FILE_SIZE, 0);
	CHECK_INT(lseek(fd, FILE_SIZE / 2, SEEK_SET), FILE_SIZE / 2);
	memset(buf, 0, FILE_SIZE);
	CHECK_RET(readv(fd, v, 3), FILE_SIZE / 2);
	check_pattern(buf + FILE_SIZE / 2, FILE_SIZE / 2, FILE_SIZE / 2);
	/* What O_NONBLOCK says means nothing to a file. */
	set_nonblocking(fd, true);
	CHECK_RET(pread(fd, buf, 10, FILE_SIZE - 5), 5);
	CHECK_RET(write(fd, buf, 10), 10);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	free(buf);
	fclose(f);
}

#define RECORD 100
#define RECORDS 500

static void *
appends(void *arg)
{
	struct job *j = arg;
	char record[RECORD];
	int fd, i;

	fd = open(j->path, O_WRONLY | O_APPEND);
	CHECK(fd != -1);
	memset(record, 'a' + (int)j->at, sizeof record);
	for (i = 0; i < RECORDS; i++) {
		CHECK_RET(write(fd, record, sizeof record), sizeof record);
		if (i % 50 == 0)
			usleep(1);
	}
	shut(fd);
	return NULL;
}

static void
append_together(const char *folder)
{
	int count[8] = { 0 }, fd, k;
	char path[64], record[RECORD];
	struct job j[8];
	pthread_t th[8];
	size_t i;

	snprintf(path, sizeof path, "%s/log", folder);
	fd = open(path, O_CREAT | O_RDONLY, 0600);
	CHECK(fd != -1);
	for (i = 0; i < COUNT(th); i++) {
		j[i] = (struct job){ .path = path, .at = i };
		th[i] = party(appends, &j[i]);
	}
	for (i = 0; i < COUNT(th); i++)
		leaves(th[i]);
	while (read(fd, record, sizeof record) == sizeof record) {
		for (k = 1; k < RECORD; k++)
			CHECK_INT(record[k], record[0]);
		CHECK(record[0] >= 'a' && record[0] < 'a' + 8);
		count[record[0] - 'a']++;
	}
	for (i = 0; i < COUNT(th); i++)
		CHECK_INT(count[i], RECORDS);
	shut(fd);
	CHECK_INT(unlink(path), 0);
}

TEST(many_append_to_one_file_and_nothing_is_lost)
{
	in_a_folder(append_together);
}

TEST(devices_do_what_they_do)
{
	unsigned char *buf = malloc(1 << 20);
	size_t i;
	int fd;

	CHECK(buf != NULL);
	fd = open("/dev/null", O_RDWR);
	CHECK(fd != -1);
	CHECK_RET(read(fd, buf, 10), 0);
	CHECK_RET(write(fd, buf, 1 << 20), 1 << 20);
	shut(fd);
	fd = open("/dev/zero", O_RDWR);
	CHECK(fd != -1);
	memset(buf, 1, 1 << 20);
	CHECK_RET(read(fd, buf, 1 << 20), 1 << 20);
	for (i = 0; i < 1 << 20; i++)
		CHECK_INT(buf[i], 0);
	CHECK_RET(write(fd, buf, 1 << 20), 1 << 20);
	shut(fd);
	fd = open("/dev/full", O_RDWR);
	CHECK(fd != -1);
	CHECK_ERR(write(fd, buf, 10), ENOSPC);
	shut(fd);
	fd = open("/dev/urandom", O_RDONLY);
	CHECK(fd != -1);
	CHECK_RET(read(fd, buf, 1 << 20), 1 << 20);
	shut(fd);
	free(buf);
}

/*
 * Many parties
 */

#define MESSAGES 2000

struct message {
	uint32_t number, writer;
	unsigned char rest[56];
};

static int stream[2];
static unsigned char seen[MESSAGES];

static void *
takes_messages(void *arg)
{
	struct message m;
	intptr_t n = 0;
	ssize_t r;

	(void)arg;
	for (;;) {
		r = read(stream[0], &m, sizeof m);
		if (r == 0)
			return (void *)n;
		CHECK_INT(r, sizeof m);
		CHECK(m.number < MESSAGES);
		check_pattern(m.rest, sizeof m.rest, m.number);
		/* A second copy is seen as well: each has its own place. */
		CHECK_INT(__atomic_fetch_add(&seen[m.number], 1,
					     __ATOMIC_RELAXED),
			  0);
		n++;
	}
}

static void
many_readers(int readers)
{
	pthread_t th[16];
	struct message m = { 0 };
	intptr_t all = 0;
	int i;

	for (i = 0; i < readers; i++)
		th[i] = party(takes_messages, NULL);
	for (i = 0; i < MESSAGES; i++) {
		m.number = (uint32_t)i;
		pattern(m.rest, sizeof m.rest, (size_t)i);
		CHECK_RET(write(stream[1], &m, sizeof m), sizeof m);
		if (i % 100 == 0)
			usleep(1);
	}
	shut(stream[1]);
	for (i = 0; i < readers; i++)
		all += (intptr_t)leaves(th[i]);
	CHECK_INT(all, MESSAGES);
	shut(stream[0]);
}

TEST(two_readers_of_a_pipe_get_each_message_once)
{
	CHECK_INT(pipe(stream), 0);
	many_readers(2);
}

TEST(many_readers_of_a_pipe_get_each_message_once)
{
	CHECK_INT(pipe(stream), 0);
	many_readers(16);
}

TEST(many_readers_of_a_seqpacket_socket_get_each_message_once)
{
	unix_pair(SOCK_SEQPACKET, stream);
	many_readers(16);
}

#define PIECES 100

/* As large as may be without being torn. */
static void *
writes_pieces(void *arg)
{
	unsigned char buf[PIPE_BUF];
	int i;

	memset(buf, (int)(intptr_t)arg, sizeof buf);
	for (i = 0; i < PIECES; i++)
		CHECK_RET(write(stream[1], buf, sizeof buf), sizeof buf);
	return NULL;
}

static void
many_writers(int writers)
{
	unsigned char buf[PIPE_BUF];
	int count[16] = { 0 }, i;
	pthread_t th[16];
	size_t at, k;
	ssize_t r;

	for (i = 0; i < writers; i++)
		th[i] = party(writes_pieces, (void *)(intptr_t)i);
	for (i = 0; i < writers * PIECES; i++) {
		for (at = 0; at < sizeof buf; at += (size_t)r) {
			r = read(stream[0], buf + at, sizeof buf - at);
			CHECK(r > 0);
		}
		for (k = 1; k < sizeof buf; k++)
			CHECK_INT(buf[k], buf[0]);
		CHECK(buf[0] < writers);
		count[buf[0]]++;
	}
	for (i = 0; i < writers; i++) {
		CHECK_INT(count[i], PIECES);
		leaves(th[i]);
	}
	shut_both(stream);
}

TEST(two_writers_of_a_pipe_do_not_tear_each_other)
{
	CHECK_INT(pipe(stream), 0);
	many_writers(2);
}

TEST(many_writers_of_a_pipe_do_not_tear_each_other)
{
	CHECK_INT(pipe(stream), 0);
	many_writers(16);
}

#define FLOW (4u << 20)

/* Writes the pattern, from a place of its own. */
static void *
pours(void *arg)
{
	struct job *j = arg;
	size_t done, n, step = 1;
	unsigned char *buf = malloc(FLOW);

	CHECK(buf != NULL);
	pattern(buf, FLOW, j->at);
	for (done = 0; done < FLOW; done += n) {
		n = FLOW - done < step ? FLOW - done : step;
		CHECK_RET(write(j->fd, buf + done, n), n);
		step = step * 5 % 300007 + 1;
	}
	free(buf);
	return NULL;
}

static void *
drinks(void *arg)
{
	struct job *j = arg;

	take(j->fd, FLOW, j->at);
	return NULL;
}

TEST(both_directions_of_a_socket_flow_at_once)
{
	struct job out[2], in[2];
	pthread_t th[4];
	int s[2], i, k;

	for (k = 0; k < 2; k++) {
		if (k == 0)
			tcp_pair(s);
		else
			unix_pair(SOCK_STREAM, s);
		for (i = 0; i < 2; i++) {
			out[i] = (struct job){ .fd = s[i],
					       .at = (size_t)i * 1000 };
			in[i] = (struct job){ .fd = s[!i],
					      .at = (size_t)i * 1000 };
			th[i] = party(drinks, &in[i]);
			th[2 + i] = party(pours, &out[i]);
		}
		for (i = 0; i < 4; i++)
			leaves(th[i]);
		shut_both(s);
	}
}

#define HOPS 2000

struct ring {
	int from, to;
};

static void *
hands_on(void *arg)
{
	struct ring *r = arg;
	uint32_t n;

	for (;;) {
		CHECK_RET(read(r->from, &n, sizeof n), sizeof n);
		n++;
		CHECK_RET(write(r->to, &n, sizeof n), sizeof n);
		if (n >= HOPS)
			return NULL;
	}
}

TEST(a_token_goes_round_a_ring_of_pipes)
{
	enum { SIZE = 10 };
	struct ring r[SIZE];
	pthread_t th[SIZE];
	int p[SIZE][2], i;
	uint32_t n = 0;

	for (i = 0; i < SIZE; i++)
		CHECK_INT(pipe(p[i]), 0);
	for (i = 0; i < SIZE; i++) {
		r[i] = (struct ring){ p[i][0], p[(i + 1) % SIZE][1] };
		th[i] = party(hands_on, &r[i]);
	}
	CHECK_RET(write(p[0][1], &n, sizeof n), sizeof n);
	/* Each who sees the last number hands one on, and leaves. */
	for (i = 0; i < SIZE; i++)
		leaves(th[i]);
	for (i = 0; i < SIZE; i++)
		shut_both(p[i]);
}
