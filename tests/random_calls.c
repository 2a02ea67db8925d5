/* SPDX-License-Identifier: MIT */
/* random_calls.c - calls on descriptors, drawn from a seed, and what each of
 * them says: real/random_calls.sh compares bare with hooked.
 *
 *     random_calls SEED CALLS [KIND...]
 *
 * A call that would wait for ever is interrupted by a timer; what goes through
 * TCP is little, so that it is there at once.  A second thread makes the calls,
 * so that it is a coroutine where there are any.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { SLOTS = 8, MOST = 3000 };

static uint64_t state;
static int calls;
static int fds[SLOTS][2]; /* two ends, or one twice */
static int kinds[SLOTS];
static int set; /* an epoll set of some of them */

static unsigned
draw(unsigned n)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (unsigned)((z ^ (z >> 31)) >> 33) % n;
}

static void
on_alarm(int sig)
{
	(void)sig;
}

static volatile sig_atomic_t pipes;

static void
on_pipe(int sig)
{
	(void)sig;
	pipes++;
}

static void
tick(int ms)
{
	struct itimerval t = { { 0, ms * 1000 }, { 0, ms * 1000 } };

	setitimer(ITIMER_REAL, &t, NULL);
}

static unsigned
sum(const void *buf, ssize_t n)
{
	const unsigned char *p = buf;
	unsigned s = 1;

	while (n-- > 0)
		s = s * 31 + *p++;
	return s;
}

/* --- what there is --- */

static void
tcp(int s[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(l, (struct sockaddr *)&a, sizeof a);
	listen(l, 1);
	getsockname(l, (struct sockaddr *)&a, &len);
	s[0] = socket(AF_INET, SOCK_STREAM, 0);
	connect(s[0], (struct sockaddr *)&a, sizeof a);
	s[1] = accept(l, NULL, NULL);
	close(l);
	setsockopt(s[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(s[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void
udp(int s[2])
{
	struct sockaddr_in a[2];
	socklen_t len = sizeof a[0];
	int i;

	for (i = 0; i < 2; i++) {
		s[i] = socket(AF_INET, SOCK_DGRAM, 0);
		memset(&a[i], 0, sizeof a[i]);
		a[i].sin_family = AF_INET;
		a[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		bind(s[i], (struct sockaddr *)&a[i], sizeof a[i]);
		getsockname(s[i], (struct sockaddr *)&a[i], &len);
	}
	for (i = 0; i < 2; i++)
		connect(s[i], (struct sockaddr *)&a[!i], sizeof a[0]);
}

static const char *const names[] = { "pipe",   "stream", "dgram",   "seqpacket",
				     "tcp",    "udp",    "event",   "file",
				     "null",   "zero",   "packets", "listener",
				     "socket", "full" };
enum { KINDS = COUNT(names) };
static unsigned wanted = (1U << KINDS) - 1;

static void
make(int i)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	char path[] = "/tmp/t-random-XXXXXX";
	static char much[70000];
	int k, *s = fds[i];

	do
		k = (int)draw(KINDS);
	while (!(wanted >> k & 1));
	s[0] = s[1] = -1;
	kinds[i] = k;
	switch (k) {
	case 0:
		pipe(s);
		break;
	case 1:
		socketpair(AF_UNIX, SOCK_STREAM, 0, s);
		break;
	case 2:
		socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
		break;
	case 3:
		socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s);
		break;
	case 4:
		tcp(s);
		break;
	case 5:
		udp(s);
		break;
	case 6:
		s[0] = s[1] = eventfd(draw(2), draw(2) ? EFD_SEMAPHORE : 0);
		break;
	case 7:
		s[0] = s[1] = mkstemp(path);
		unlink(path);
		break;
	case 8:
		s[0] = s[1] = open("/dev/null", O_RDWR);
		break;
	case 9:
		s[0] = s[1] = open("/dev/zero", O_RDWR);
		break;
	case 10:
		pipe2(s, O_DIRECT);
		break;
	case 11:
		s[0] = s[1] = socket(AF_INET, SOCK_STREAM, 0);
		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		bind(s[0], (struct sockaddr *)&a, sizeof a);
		listen(s[0], 2);
		break;
	case 12:
		s[0] = s[1] = socket(draw(2) ? AF_INET : AF_UNIX,
				     draw(2) ? SOCK_STREAM : SOCK_DGRAM, 0);
		break;
	case 13: /* a pipe without room */
		pipe2(s, O_NONBLOCK);
		write(s[1], much, sizeof much);
		fcntl(s[0], F_SETFL, 0);
		fcntl(s[1], F_SETFL, 0);
		break;
	}
	printf("make %d %s %d %d\n", i, names[k], s[0], s[1]);
}

static void
unmake(int i)
{
	int r = close(fds[i][0]);

	if (fds[i][1] != fds[i][0])
		r += close(fds[i][1]);
	printf("close %d: %d\n", i, r);
	make(i);
}

/* --- calls --- */

static char buf[MOST];
static int slot, end_, fd;

static void say(ssize_t r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void
say(ssize_t r, const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	tick(0);
	printf("%d %s.%d ", calls, names[kinds[slot]], end_);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %zd", r);
	if (r < 0)
		printf(" %s (%d)", strerrorname_np(err), err);
	else if (err != EDOM)
		printf(" errno changed to %d", err);
	if (pipes > 0)
		printf(" SIGPIPE");
	pipes = 0;
	putchar('\n');
	fflush(stdout);
}

static int
some_flags(int out)
{
	static const int on_in[] = { MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL,
				     MSG_TRUNC,    MSG_OOB,  MSG_ERRQUEUE };
	static const int on_out[] = { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_OOB,
				      MSG_EOR };
	int f = 0;

	while (draw(2))
		f |= out ? on_out[draw(COUNT(on_out))] :
			   on_in[draw(COUNT(on_in))];
	return f;
}

/* Little for TCP, all else may be filled. */
static size_t
some_bytes(void)
{
	return draw(4) == 0 ? draw(MOST) : draw(30);
}

/* A vector over buf, of n bytes in some pieces. */
static int
pieces(struct iovec *v, size_t n)
{
	size_t at = 0, part;
	int i;

	for (i = 0; i < 4; i++) {
		part = i == 3 ? n - at : draw((unsigned)(n - at) + 1);
		v[i].iov_base = buf + at;
		v[i].iov_len = part;
		at += part;
	}
	return 4;
}

static void
reads(void)
{
	/* One of nothing that is interrupted is 0 on TCP, bare. */
	size_t n = some_bytes() + 3;
	struct iovec v[4];
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	char control[256];
	struct msghdr m = { .msg_iov = v,
			    .msg_name = &from,
			    .msg_namelen = sizeof from,
			    .msg_control = control,
			    .msg_controllen = sizeof control };
	struct mmsghdr mm[3];
	int flags = some_flags(0), i;
	ssize_t r;

	n = n < MOST ? n : MOST;
	memset(buf, 0, n);
	memset(&from, 0, sizeof from);
	switch (draw(7)) {
	case 0:
		r = read(fd, buf, n);
		say(r, "read %zu %x", n, r > 0 ? sum(buf, r) : 0);
		break;
	case 1:
		pieces(v, n);
		r = readv(fd, v, 4);
		say(r, "readv %zu %x", n, r > 0 ? sum(buf, r) : 0);
		break;
	case 2:
		r = recv(fd, buf, n, flags);
		say(r, "recv %zu %#x %x", n, flags,
		    r > 0 ? sum(buf, r < (ssize_t)n ? r : (ssize_t)n) : 0);
		break;
	case 3:
		r = recvfrom(fd, buf, n, flags, (struct sockaddr *)&from, &len);
		say(r, "recvfrom %zu %#x %x, %d of %d", n, flags,
		    r > 0 ? sum(buf, r < (ssize_t)n ? r : (ssize_t)n) : 0,
		    r < 0 ? 0 : (int)len, from.ss_family);
		break;
	case 4:
		m.msg_iovlen = (size_t)pieces(v, n);
		r = recvmsg(fd, &m, flags);
		say(r, "recvmsg %zu %#x %x, %d, %zu, %#x", n, flags,
		    r > 0 ? sum(buf, r < (ssize_t)n ? r : (ssize_t)n) : 0,
		    r < 0 ? 0 : (int)m.msg_namelen,
		    r < 0 ? 0 : m.msg_controllen, r < 0 ? 0 : m.msg_flags);
		break;
	case 5:
		memset(mm, 0, sizeof mm);
		for (i = 0; i < 3; i++) {
			v[i].iov_base = buf + i * 1000;
			v[i].iov_len = n / 3;
			mm[i].msg_hdr.msg_iov = &v[i];
			mm[i].msg_hdr.msg_iovlen = 1;
		}
		/* One that is interrupted after the first leaves the kernel's
		 * ERESTARTSYS behind for the next call to find. */
		flags |= MSG_WAITFORONE;
		r = recvmmsg(fd, mm, 3, flags, NULL);
		say(r, "recvmmsg %#x %u %u %u", flags,
		    r > 0 ? mm[0].msg_len : 0, r > 1 ? mm[1].msg_len : 0,
		    r > 2 ? mm[2].msg_len : 0);
		break;
	default:
		r = pread(fd, buf, n, draw(100));
		say(r, "pread %zu %x", n, r > 0 ? sum(buf, r) : 0);
	}
}

static void
writes(void)
{
	size_t n = some_bytes(), i;
	struct iovec v[4];
	struct msghdr m = { .msg_iov = v };
	struct mmsghdr mm[3];
	int flags = some_flags(1);
	ssize_t r;

	for (i = 0; i < n; i++)
		buf[i] = (char)draw(256);
	switch (draw(7)) {
	case 0:
		say(write(fd, buf, n), "write %zu", n);
		break;
	case 1:
		pieces(v, n);
		say(writev(fd, v, 4), "writev %zu", n);
		break;
	case 2:
		say(send(fd, buf, n, flags), "send %zu %#x", n, flags);
		break;
	case 3:
		say(sendto(fd, buf, n, flags, NULL, 0), "sendto %zu %#x", n,
		    flags);
		break;
	case 4:
		m.msg_iovlen = (size_t)pieces(v, n);
		say(sendmsg(fd, &m, flags), "sendmsg %zu %#x", n, flags);
		break;
	case 5:
		memset(mm, 0, sizeof mm);
		for (i = 0; i < 3; i++) {
			v[i].iov_base = buf + i * 1000;
			v[i].iov_len = n / 3;
			mm[i].msg_hdr.msg_iov = &v[i];
			mm[i].msg_hdr.msg_iovlen = 1;
		}
		r = sendmmsg(fd, mm, 3, flags);
		say(r, "sendmmsg %zu %#x %u %u %u", n, flags,
		    r > 0 ? mm[0].msg_len : 0, r > 1 ? mm[1].msg_len : 0,
		    r > 2 ? mm[2].msg_len : 0);
		break;
	default:
		say(pwrite(fd, buf, n, draw(100)), "pwrite %zu", n);
	}
}

static void
asks(void)
{
	static const short events[] = { POLLIN,     POLLOUT,    POLLPRI,
					POLLRDHUP,  POLLRDNORM, POLLWRNORM,
					POLLWRBAND, 0 };
	struct timeval tv = { 0, 1000 }, *tp = &tv;
	struct timespec ts = { 0, 1000000 };
	int n = (int)draw(6) + 1, i, r, ms = draw(2) ? 0 : 1, most = 0;
	struct pollfd p[6];
	fd_set in, out, ex;

	if (draw(8) == 0) {
		ms = -1;
		tp = NULL;
	} else {
		tick(0); /* else it may come first */
	}
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&ex);
	for (i = 0; i < n; i++) {
		p[i].fd = draw(12) == 0 ? (draw(2) ? -1 : 900) :
					  fds[draw(SLOTS)][draw(2)];
		p[i].events = (short)(events[draw(COUNT(events))] |
				      events[draw(COUNT(events))]);
		p[i].revents = 0x1234;
		/* select(2) of a number that the kernel's table has no room
		 * for depends on how large that is. */
		if (p[i].fd < 0 || p[i].fd == 900)
			continue;
		if (draw(2))
			FD_SET(p[i].fd, &in);
		if (draw(3) == 0)
			FD_SET(p[i].fd, &out);
		if (draw(3) == 0)
			FD_SET(p[i].fd, &ex);
		most = p[i].fd > most ? p[i].fd : most;
	}
	switch (draw(4)) {
	case 0:
		r = poll(p, (nfds_t)n, ms);
		say(r, "poll %d %d", n, ms);
		break;
	case 1:
		r = ppoll(p, (nfds_t)n, ms < 0 ? NULL : &ts, NULL);
		say(r, "ppoll %d %d", n, ms);
		break;
	case 2:
		r = select(most + 1, &in, &out, &ex, tp);
		say(r, "select %d", ms);
		n = r < 0 ? 0 : most + 1;
		for (i = 0; i < n; i++)
			if (FD_ISSET(i, &in) || FD_ISSET(i, &out) ||
			    FD_ISSET(i, &ex))
				printf("  %d: %d%d%d\n", i, FD_ISSET(i, &in),
				       FD_ISSET(i, &out), FD_ISSET(i, &ex));
		return;
	default:
		r = pselect(most + 1, &in, &out, NULL, ms < 0 ? NULL : &ts,
			    NULL);
		say(r, "pselect %d", ms);
		n = r < 0 ? 0 : most + 1;
		for (i = 0; i < n; i++)
			if (FD_ISSET(i, &in) || FD_ISSET(i, &out))
				printf("  %d: %d%d\n", i, FD_ISSET(i, &in),
				       FD_ISSET(i, &out));
		return;
	}
	for (i = 0; r >= 0 && i < n; i++)
		printf("  %d: %#x gives %#x\n", p[i].fd, p[i].events,
		       p[i].revents);
}

static int
by_number(const void *a, const void *b)
{
	const struct epoll_event *x = a, *y = b;

	return (x->data.u32 > y->data.u32) - (x->data.u32 < y->data.u32);
}

static void
asks_set(void)
{
	/* No EPOLLET: a pipe has edges that mean nothing. */
	static const uint32_t events[] = { EPOLLIN, EPOLLOUT, EPOLLRDHUP,
					   EPOLLPRI, EPOLLONESHOT };
	struct epoll_event ev[SLOTS * 2], one = { 0 };
	int i, r, max = (int)draw(SLOTS) + 1, ms = draw(2) ? 0 : 1;

	for (i = 0; i < 3; i++)
		one.events |= events[draw(COUNT(events))];
	one.data.u32 = (uint32_t)fd;
	switch (draw(4)) {
	case 0:
		say(epoll_ctl(set, EPOLL_CTL_ADD, fd, &one), "add %#x",
		    one.events);
		return;
	case 1:
		say(epoll_ctl(set, EPOLL_CTL_MOD, fd, &one), "mod %#x",
		    one.events);
		return;
	case 2:
		say(epoll_ctl(set, EPOLL_CTL_DEL, fd, &one), "del");
		return;
	}
	if (draw(6) == 0)
		ms = -1;
	else
		tick(0);
	r = epoll_wait(set, ev, max, ms);
	say(r, "epoll_wait %d %d", max, ms);
	if (r > 1) /* in any order */
		qsort(ev, (size_t)r, sizeof *ev, by_number);
	for (i = 0; i < r; i++)
		printf("  %u: %#x\n", ev[i].data.u32, ev[i].events);
}

static void
changes(void)
{
	static const int opts[] = { SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT,
				    SO_OOBINLINE };
	struct timeval tv = { 0, draw(3) ? 0 : 1000 };
	int on = (int)draw(2), low = (int)draw(20), fl, r, err = 0;
	socklen_t len = sizeof err;

	switch (draw(14)) {
	case 0:
		fl = fcntl(fd, F_GETFL);
		r = fcntl(fd, F_SETFL, on ? fl | O_NONBLOCK : fl & ~O_NONBLOCK);
		say(r, "F_SETFL %d", on);
		break;
	case 1:
		say(ioctl(fd, FIONBIO, &on), "FIONBIO %d", on);
		break;
	case 2:
		say(fcntl(fd, F_GETFL), "F_GETFL");
		break;
	case 3:
		say(setsockopt(fd, SOL_SOCKET, opts[draw(2)], &tv, sizeof tv),
		    "timeout %ld", (long)tv.tv_usec);
		break;
	case 4:
		say(setsockopt(fd, SOL_SOCKET, opts[2 + draw(2)], &low,
			       draw(5) ? sizeof low : 1),
		    "option %d", low);
		break;
	case 5:
		r = (int)draw(3);
		if (draw(6) == 0)
			say(shutdown(fd, r), "shutdown %d", r);
		break;
	case 6:
		r = getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
		say(r, "SO_ERROR %d", r == 0 ? err : 0);
		break;
	case 7:
		err = 0;
		r = ioctl(fd, FIONREAD, &err);
		say(r, "FIONREAD %d", err);
		break;
	case 8:
		r = dup(fd);
		say(r, "dup");
		if (r >= 0) {
			/* The other number stays in its place. */
			if (draw(2)) {
				close(fd);
				dup(r);
			}
			say(close(r), "close one of two");
		}
		break;
	case 9:
		r = dup2(fd, fds[draw(SLOTS)][draw(2)]);
		say(r, "dup2");
		break;
	case 10:
		say(lseek(fd, draw(200), draw(2) ? SEEK_SET : SEEK_CUR),
		    "lseek");
		break;
	case 11:
		r = accept4(fd, NULL, NULL, draw(2) ? SOCK_NONBLOCK : 0);
		say(r, "accept");
		if (r >= 0)
			close(r);
		break;
	case 12:
		if (draw(4) == 0)
			unmake(slot);
		break;
	default:
		say(fcntl(fd, F_GETPIPE_SZ), "F_GETPIPE_SZ");
	}
}

static void
moves(void)
{
	int to = fds[draw(SLOTS)][draw(2)], i = (int)draw(SLOTS);
	unsigned flags = draw(2) ? SPLICE_F_NONBLOCK : 0;
	size_t n = some_bytes();
	off_t at = draw(50);
	off64_t at64 = draw(50);
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	switch (draw(6)) {
	case 0:
		say(splice(fd, NULL, to, NULL, n, flags), "splice to %d %zu %u",
		    to, n, flags);
		break;
	case 1:
		say(splice(fd, &at64, to, NULL, n, flags),
		    "splice at to %d %zu %u", to, n, flags);
		break;
	case 2:
		say(tee(fd, to, n, flags), "tee to %d %zu %u", to, n, flags);
		break;
	case 3:
		say(sendfile(to, fd, draw(2) ? &at : NULL, n),
		    "sendfile to %d %zu", to, n);
		break;
	case 4:
		say(copy_file_range(fd, NULL, to, NULL, n, 0),
		    "copy_file_range to %d %zu", to, n);
		break;
	default:
		if (getsockname(fds[i][0], (struct sockaddr *)&a, &len) == 0) {
			errno = EDOM;
			say(connect(fd, (struct sockaddr *)&a, len),
			    "connect to %d", i);
		}
	}
}

/* Descriptors in messages, and out of them again. */
static void
passes(void)
{
	struct iovec v = { buf, 5 };
	union {
		char room[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} u;
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &u,
			    .msg_controllen = sizeof u.room };
	int two[2] = { fds[draw(SLOTS)][draw(2)], fds[draw(SLOTS)][draw(2)] };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int i, n = (int)draw(2) + 1, flags = some_flags(1) & ~MSG_OOB;
	ssize_t r;

	memset(&u, 0, sizeof u);
	if (draw(2)) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(CMSG_DATA(c), two, (size_t)n * sizeof(int));
		m.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		r = sendmsg(fd, &m, flags);
		say(r, "pass %d %d of %d %#x", two[0], two[1], n, flags);
		return;
	}
	m.msg_controllen = draw(3) ? sizeof u.room : draw(sizeof u.room);
	flags = draw(2) ? MSG_CMSG_CLOEXEC : 0;
	if (draw(2))
		flags |= MSG_DONTWAIT;
	r = recvmsg(fd, &m, flags);
	say(r, "get passed %#x, %zu, %#x", flags, r < 0 ? 0 : m.msg_controllen,
	    r < 0 ? 0 : m.msg_flags);
	if (r < 0)
		return;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(two, CMSG_DATA(c), (size_t)n * sizeof(int));
		for (i = 0; i < n; i++) {
			printf("  %d: %d", two[i], fcntl(two[i], F_GETFL));
			/* It is another number of something. */
			r = draw(2) ? write(two[i], "passed", 6) :
				      read(two[i], buf, 100);
			printf(" %zd", r);
			printf(" %d\n", close(two[i]));
		}
	}
}

/* The same calls by less common names. */
static void
less_common(void)
{
	size_t n = some_bytes() + 3;
	struct sockaddr_storage a;
	socklen_t len = sizeof a;
	struct epoll_event ev;
	struct iovec v[4];
	sigset_t none;
	uint64_t value = draw(3);
	int r, i = (int)draw(SLOTS), at = draw(2) ? -1 : (int)draw(100);
	int flags = draw(3) ? 0 : 0x8 /* RWF_NOWAIT */;

	n = n < MOST ? n : MOST;
	sigemptyset(&none);
	switch (draw(10)) {
	case 0:
		pieces(v, n);
		say(preadv2(fd, v, 4, at, flags), "preadv2 %zu %d %d", n, at,
		    flags);
		break;
	case 1:
		pieces(v, n);
		say(pwritev2(fd, v, 4, at, flags), "pwritev2 %zu %d %d", n, at,
		    flags);
		break;
	case 2:
		if (getsockname(fds[i][0], (struct sockaddr *)&a, &len) != 0)
			break;
		errno = EDOM;
		say(sendto(fd, buf, n, 0, (struct sockaddr *)&a, len),
		    "sendto %zu to %d", n, i);
		break;
	case 3:
		r = fcntl(fd, draw(2) ? F_DUPFD : F_DUPFD_CLOEXEC, 30);
		say(r, "F_DUPFD");
		if (r >= 0)
			close(r);
		break;
	case 4:
		r = dup3(fd, fds[i][0], draw(2) ? O_CLOEXEC : 0);
		say(r, "dup3");
		break;
	case 5:
		say(eventfd_read(fd, &value), "eventfd_read %d", (int)value);
		break;
	case 6:
		say(eventfd_write(fd, value), "eventfd_write %d", (int)value);
		break;
	case 7:
		tick(0);
		r = epoll_pwait(set, &ev, 1, (int)draw(2), &none);
		say(r, "epoll_pwait %d", r > 0 ? (int)ev.data.u32 : 0);
		break;
	case 8:
		pieces(v, n);
		say(vmsplice(fd, v, 4, draw(2) ? SPLICE_F_NONBLOCK : 0),
		    "vmsplice %zu", n);
		break;
	default:
		say(fcntl(fd, F_GETFD), "F_GETFD");
	}
}

static void *
run(void *arg)
{
	int i;

	set = epoll_create1(0);
	for (i = 0; i < SLOTS; i++)
		make(i);
	for (; calls > 0; calls--) {
		slot = (int)draw(SLOTS);
		end_ = (int)draw(2);
		fd = fds[slot][end_];
		tick(15);
		errno = EDOM;
		switch (draw(10)) {
		case 0:
		case 1:
			reads();
			break;
		case 2:
		case 3:
			writes();
			break;
		case 4:
			asks();
			break;
		case 5:
			asks_set();
			break;
		case 6:
			changes();
			break;
		case 7:
			passes();
			break;
		case 8:
			less_common();
			break;
		default:
			moves();
		}
		tick(0);
	}
	for (i = 0; i < 64; i++)
		printf("%d: %d\n", i, fcntl(i, F_GETFL));
	return arg;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	sigset_t block;
	pthread_t th;
	int i;
	size_t k;

	if (argc < 3) {
		fprintf(stderr, "usage: random_calls SEED CALLS [KIND...]\n");
		return 2;
	}
	state = strtoull(argv[1], NULL, 0);
	calls = atoi(argv[2]);
	for (i = 3; i < argc; i++)
		for (k = 0; k < KINDS; k++)
			if (strcmp(argv[i], names[k]) == 0)
				wanted = (i == 3 ? 0 : wanted) | 1U << k;
	sigaction(SIGALRM, &sa, NULL);
	sa.sa_handler = on_pipe;
	sigaction(SIGPIPE, &sa, NULL);
	/* The timer is for the thread that calls. */
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	if (pthread_create(&th, NULL, run, NULL) != 0)
		return 1;
	pthread_sigmask(SIG_BLOCK, &block, NULL);
	pthread_join(th, NULL);
	return 0;
}
