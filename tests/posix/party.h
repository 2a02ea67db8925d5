/* SPDX-License-Identifier: MIT */
/* party.h - what cases need where two parties share a descriptor: the other
 * party, connected sockets, and bytes that tell where they belong.
 *
 * A case cannot see whether the other party already waits: a coroutine leaves
 * no trace in /proc.  So each case holds in both orders; most_likely() only
 * makes the order likely that is worth testing.
 */
#ifndef PARTY_H
#define PARTY_H

#include "t.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* A call that succeeds with this result and leaves errno as it was. */
#define CHECK_RET(call, want)           \
	do {                            \
		errno = EDOM;           \
		CHECK_INT(call, want);  \
		CHECK_INT(errno, EDOM); \
	} while (0)

/* The elements of an array. */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A number that the compiler cannot know. */
static inline size_t
some(size_t n)
{
	volatile size_t hidden = n;

	return hidden;
}

/* The checked twins, which _FORTIFY_SOURCE puts in the place of read() and
 * others where it knows the room but not the length.  Not every compiler does
 * so, hence the cases that are about them call them by name. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
		       struct sockaddr *from, socklen_t *len);
int __poll_chk(struct pollfd *p, nfds_t n, int timeout, size_t room);
int __ppoll_chk(struct pollfd *p, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask, size_t room);

/* A pointer to nowhere that compiler and sanitizers know nothing of. */
static inline void *
nowhere(void)
{
	void *volatile p = (void *)1;

	return p;
}

static inline pthread_t
party(void *(*fn)(void *), void *arg)
{
	pthread_t th;

	errno = pthread_create(&th, NULL, fn, arg);
	CHECK(errno == 0);
	return th;
}

static inline void *
leaves(pthread_t th)
{
	void *r;

	errno = pthread_join(th, &r);
	CHECK(errno == 0);
	return r;
}

/* By the end of this the other party most likely waits. */
static inline void
most_likely(void)
{
	usleep(20000);
}

static inline uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The byte that belongs at a place of a stream. */
static inline unsigned char
byte_at(size_t i)
{
	return (unsigned char)(i ^ i >> 8 ^ i >> 16);
}

static inline void
pattern(unsigned char *buf, size_t n, size_t at)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf[i] = byte_at(at + i);
}

static inline void
check_pattern(const unsigned char *buf, size_t n, size_t at)
{
	size_t i;

	for (i = 0; i < n; i++)
		CHECK_INT(buf[i], byte_at(at + i));
}

/* What poll() reports at once for one descriptor. */
static inline int
poll_now(int fd, int events)
{
	struct pollfd p = { .fd = fd, .events = (short)events };

	CHECK(poll(&p, 1, 0) != -1);
	return p.revents;
}

/* True if O_NONBLOCK is on, as the program sees it. */
static inline bool
nonblocking(int fd)
{
	int fl = fcntl(fd, F_GETFL);

	CHECK(fl != -1);
	return (fl & O_NONBLOCK) != 0;
}

static inline void
set_nonblocking(int fd, bool on)
{
	int fl = fcntl(fd, F_GETFL);

	CHECK(fl != -1);
	fl = on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK;
	CHECK_INT(fcntl(fd, F_SETFL, fl), 0);
}

/* Writes the pattern until no more goes in, nor a moment later, for TCP passes
 * on what it has when it comes to it; returns how much went. */
static inline size_t
stuff(int fd)
{
	unsigned char buf[4096];
	int protocol = 0;
	socklen_t len = sizeof protocol;
	bool tcp = getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) ==
			   0 &&
		   protocol == IPPROTO_TCP;
	bool full = !tcp;
	size_t all = 0;
	ssize_t n;

	set_nonblocking(fd, true);
	for (;;) {
		pattern(buf, sizeof buf, all);
		n = write(fd, buf, sizeof buf);
		if (n == -1) {
			CHECK_INT(errno, EAGAIN);
			if (full)
				break;
			most_likely();
		}
		full = n == -1 || !tcp;
		all += n == -1 ? 0 : (size_t)n;
	}
	set_nonblocking(fd, false);
	return all;
}

/* Reads just that many bytes of the pattern, which start at a place. */
static inline void
take(int fd, size_t n, size_t at)
{
	unsigned char buf[16384];
	ssize_t r;

	while (n > 0) {
		r = read(fd, buf, n < sizeof buf ? n : sizeof buf);
		CHECK(r > 0);
		check_pattern(buf, (size_t)r, at);
		at += (size_t)r;
		n -= (size_t)r;
	}
}

static inline void
shut(int fd)
{
	CHECK_INT(close(fd), 0);
}

static inline void
shut_both(const int fd[2])
{
	shut(fd[0]);
	shut(fd[1]);
}

/* 127.0.0.1, and a port or 0. */
static inline struct sockaddr_in
loopback(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };

	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

/* A bound socket of that type; its address comes back. */
static inline int
bound(int type, struct sockaddr_in *addr)
{
	socklen_t len = sizeof *addr;
	int s = socket(AF_INET, type, 0);

	CHECK(s != -1);
	*addr = loopback(0);
	CHECK_INT(bind(s, (struct sockaddr *)addr, sizeof *addr), 0);
	CHECK_INT(getsockname(s, (struct sockaddr *)addr, &len), 0);
	return s;
}

static inline int
listener(struct sockaddr_in *addr)
{
	int s = bound(SOCK_STREAM, addr);

	CHECK_INT(listen(s, 1000), 0);
	return s;
}

/* Connected TCP: [0] is the client's end. */
static inline void
tcp_pair(int s[2])
{
	struct sockaddr_in addr;
	int l = listener(&addr);

	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(s[0] != -1);
	CHECK_INT(connect(s[0], (struct sockaddr *)&addr, sizeof addr), 0);
	s[1] = accept(l, NULL, NULL);
	CHECK(s[1] != -1);
	shut(l);
}

static inline void
unix_pair(int type, int s[2])
{
	CHECK_INT(socketpair(AF_UNIX, type, 0, s), 0);
}

/* An abstract address that no other process uses; returns its length. */
static inline socklen_t
unix_name(struct sockaddr_un *a, const char *what)
{
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	snprintf(a->sun_path + 1, sizeof a->sun_path - 1, "t-%s-%d", what,
		 (int)getpid());
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(a->sun_path + 1));
}

/*
 * Signals.  A case that wants EINTR must be the one thread that can take the
 * signal, so SIGALRM is blocked before main() starts a thread, in every thread
 * that is started, and let through by the case alone.  The timer ticks on: a
 * tick that comes before the wait does not leave the case waiting for ever.
 */
static volatile sig_atomic_t ticks;

__attribute__((constructor)) static inline void
block_the_tick(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static inline void
on_tick(int sig)
{
	(void)sig;
	ticks++;
}

/* flags: 0 or SA_RESTART. */
static inline void
start_ticking(int flags)
{
	struct itimerval every = { { 0, 30000 }, { 0, 30000 } };
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = flags };
	sigset_t set;

	CHECK_INT(sigaction(SIGALRM, &sa, NULL), 0);
	CHECK_INT(setitimer(ITIMER_REAL, &every, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
}

static inline void
stop_ticking(void)
{
	struct itimerval never = { { 0, 0 }, { 0, 0 } };

	CHECK_INT(setitimer(ITIMER_REAL, &never, NULL), 0);
	block_the_tick();
}

#endif
