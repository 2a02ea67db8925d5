/* SPDX-License-Identifier: MIT */
/* fd_amounts.c - how much a call moves, at the ends of what there may be: files
 * at their limit, lengths above two gigabytes, times that never come. */
#define _GNU_SOURCE 1

#include <limits.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "party.h"

/* --- a file that may not grow --- */

static volatile sig_atomic_t told;

static void
on_limit(int sig)
{
	(void)sig;
	told++;
}

static int
limited_file(rlim_t most)
{
	struct sigaction sa = { .sa_handler = on_limit };
	struct rlimit rl;
	char path[] = "/tmp/t-amounts-XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd != -1);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(sigaction(SIGXFSZ, &sa, NULL), 0);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &rl), 0);
	rl.rlim_cur = most;
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &rl), 0);
	return fd;
}

/* The part that fits is an answer; only who asks for more is told. */
TEST(a_write_at_the_limit_of_a_file_is_short_and_raises_nothing)
{
	char buf[200] = { 0 };
	struct iovec v[2] = { { buf, 100 }, { buf, 100 } };
	int fd = limited_file(150);

	CHECK_RET(write(fd, buf, 200), 150);
	CHECK_INT(told, 0);
	CHECK_ERR(write(fd, buf, 1), EFBIG);
	CHECK_INT(told, 1);
	CHECK_INT(ftruncate(fd, 0), 0);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	CHECK_RET(writev(fd, v, 2), 150);
	CHECK_INT(told, 1);
	CHECK_ERR(writev(fd, v, 2), EFBIG);
	CHECK_INT(told, 2);
	CHECK_RET(pwrite(fd, buf, 200, 100), 50);
	CHECK_RET(pwritev(fd, v, 2, 100), 50);
	CHECK_INT(told, 2);
	shut(fd);
}

/* --- more than the kernel takes at once --- */

enum { MOST = 0x7ffff000 };
#define MUCH (UINT64_C(3) << 30)

TEST(no_write_is_of_more_than_two_gigabytes)
{
	int fd = open("/dev/null", O_WRONLY);
	struct iovec v[2];
	char *much;

	CHECK(fd != -1);
	much = mmap(NULL, MUCH, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (much == MAP_FAILED)
		SKIP("no address space for that");
	v[0].iov_base = much;
	v[0].iov_len = 1U << 31;
	v[1].iov_base = much;
	v[1].iov_len = 1U << 30;
	CHECK_RET(write(fd, much, MUCH), MOST);
	CHECK_RET(writev(fd, v, 2), MOST);
	CHECK_RET(pwrite(fd, much, MUCH, 0), MOST);
	CHECK_INT(munmap(much, MUCH), 0);
	shut(fd);
}

/* A vector of it all to a pipe whose reader goes after some of it. */
static void *
takes_some_and_goes(void *arg)
{
	int *fd = arg;

	most_likely();
	CHECK(read(*fd, (char[1000]){ 0 }, 1000) > 0);
	shut(*fd);
	return NULL;
}

TEST(a_write_of_two_gigabytes_ends_with_its_reader)
{
	char *much = mmap(NULL, MUCH, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_t th;
	ssize_t n;
	int p[2];

	if (much == MAP_FAILED)
		SKIP("no address space for that");
	signal(SIGPIPE, SIG_IGN);
	CHECK_INT(pipe(p), 0);
	th = party(takes_some_and_goes, &p[0]);
	n = write(p[1], much, MUCH);
	CHECK(n > 0 && n < 1 << 20);
	CHECK_ERR(write(p[1], much, MUCH), EPIPE);
	leaves(th);
	signal(SIGPIPE, SIG_DFL);
	CHECK_INT(munmap(much, MUCH), 0);
	shut(p[1]);
}

/* --- times that never come --- */

static int ready_fd;

static void *
writes_later(void *arg)
{
	most_likely();
	CHECK_RET(write(ready_fd, "x", 1), 1);
	return arg;
}

static int
by_poll(int fd)
{
	return poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, INT_MAX);
}

static int
by_poll_of_many(int fd)
{
	struct pollfd p[20];
	size_t i;

	for (i = 0; i < COUNT(p); i++)
		p[i] = (struct pollfd){ i == 7 ? fd : -1, POLLIN, 0 };
	return poll(p, COUNT(p), INT_MAX);
}

static int
by_ppoll(int fd)
{
	struct timespec ts = { LONG_MAX, 999999999 };

	return ppoll(&(struct pollfd){ fd, POLLIN, 0 }, 1, &ts, NULL);
}

static int
by_select(int fd)
{
	struct timeval tv = { LONG_MAX, 999999 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &tv);
}

static int
by_pselect(int fd)
{
	/* The last that is not for ever by itself. */
	struct timespec ts = { LONG_MAX / 1000000000 - 1, 999999999 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return pselect(fd + 1, &set, NULL, NULL, &ts, NULL);
}

static int
by_epoll_wait(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int e = epoll_create1(0), r;

	CHECK_INT(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), 0);
	r = epoll_wait(e, &ev, 1, INT_MAX);
	shut(e);
	return r;
}

static int
by_recv(int fd)
{
	struct timeval tv = { LONG_MAX, 999999 };
	char c;

	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	return (int)recv(fd, &c, 1, MSG_PEEK);
}

static int
by_recv_of_weeks(int fd)
{
	struct timeval tv = { 100L * 24 * 3600, 0 };
	char c;

	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	return (int)recv(fd, &c, 1, MSG_PEEK);
}

static int
by_recv_of_decades(int fd)
{
	struct timeval tv = { INT64_C(1) << 31, 0 };
	char c;

	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	return (int)recv(fd, &c, 1, MSG_PEEK);
}

TEST(times_that_never_come_are_for_ever)
{
	static int (*const by[])(int) = {
		by_poll,   by_poll_of_many,  by_ppoll,
		by_select, by_pselect,       by_epoll_wait,
		by_recv,   by_recv_of_weeks, by_recv_of_decades,
	};
	pthread_t th;
	int s[2];
	size_t i;
	char c;

	unix_pair(SOCK_STREAM, s);
	ready_fd = s[1];
	for (i = 0; i < COUNT(by); i++) {
		th = party(writes_later, NULL);
		CHECK_INT(by[i](s[0]), 1);
		leaves(th);
		CHECK_INT(read(s[0], &c, 1), 1);
	}
	shut_both(s);
}

/* --- times of which 16 or 32 bits hold too little --- */

/* Milliseconds: 16 bits of them, and 32 bits of microseconds. */
static const int long_ms[] = { 65536, 2 * 65536 + 1, 4294968 };
static int ms;

static int
by_poll_in_ms(int fd)
{
	return poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, ms);
}

static int
by_ppoll_in_ms(int fd)
{
	struct timespec ts = { ms / 1000, ms % 1000 * T_MS };

	return ppoll(&(struct pollfd){ fd, POLLIN, 0 }, 1, &ts, NULL);
}

static int
by_select_in_ms(int fd)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &tv);
}

static int
by_epoll_wait_in_ms(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int e = epoll_create1(0), r;

	CHECK_INT(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), 0);
	r = epoll_wait(e, &ev, 1, ms);
	shut(e);
	return r;
}

static int
by_recv_in_ms(int fd)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	char c;

	CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	return (int)recv(fd, &c, 1, MSG_PEEK);
}

TEST(times_of_minutes_are_not_cut_short)
{
	static int (*const in_ms[])(int) = {
		by_poll_in_ms,       by_ppoll_in_ms, by_select_in_ms,
		by_epoll_wait_in_ms, by_recv_in_ms,
	};
	size_t i, k;
	pthread_t th;
	int s[2];
	char c;

	unix_pair(SOCK_STREAM, s);
	ready_fd = s[1];
	for (k = 0; k < COUNT(long_ms); k++)
		for (i = 0; i < COUNT(in_ms); i++) {
			ms = long_ms[k];
			th = party(writes_later, NULL);
			CHECK_INT(in_ms[i](s[0]), 1);
			leaves(th);
			CHECK_INT(read(s[0], &c, 1), 1);
		}
	shut_both(s);
}

/* As short as can be, and not at all. */
TEST(the_shortest_times_end)
{
	struct timespec ts = { 0, 1 };
	struct timeval tv = { 0, 1 };
	int s[2];
	char c;

	unix_pair(SOCK_STREAM, s);
	CHECK_RET(ppoll(&(struct pollfd){ s[0], POLLIN, 0 }, 1, &ts, NULL), 0);
	CHECK_RET(pselect(0, NULL, NULL, NULL, &ts, NULL), 0);
	CHECK_RET(select(0, NULL, NULL, NULL, &tv), 0);
	tv = (struct timeval){ 0, 1 };
	CHECK_INT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv), 0);
	CHECK_ERR(read(s[0], &c, 1), EAGAIN);
	shut_both(s);
}

/* --- the process's own --- */

TEST(limits_and_signals_are_what_they_were)
{
	static const int sigs[] = { SIGPIPE, SIGCHLD, SIGALRM, SIGURG,  SIGUSR1,
				    SIGUSR2, SIGIO,   SIGSYS,  SIGSEGV, SIGBUS,
				    SIGTERM, SIGINT,  SIGPROF };
	unsigned long ignored = ~0UL;
	struct sigaction sa;
	char line[200];
	sigset_t set;
	size_t i;
	FILE *f;

	for (i = 0; i < COUNT(sigs); i++) {
		CHECK_INT(sigaction(sigs[i], NULL, &sa), 0);
		CHECK(sa.sa_handler == SIG_DFL);
		CHECK_INT(sa.sa_flags & SA_SIGINFO, 0);
	}
	CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	for (i = 1; i < 32; i++)
		CHECK_INT(sigismember(&set, (int)i), i == SIGALRM);
	/* The kernel is of the same opinion. */
	f = fopen("/proc/self/status", "r");
	CHECK(f != NULL);
	while (fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "SigIgn: %lx", &ignored) == 1)
			break;
	fclose(f);
	for (i = 0; i < COUNT(sigs); i++)
		CHECK(!(ignored >> (sigs[i] - 1) & 1));
}
