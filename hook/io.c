/* SPDX-License-Identifier: MIT */
/* io.c - the waiting loop, and reading and writing by it.
 *
 * Try, else wait, try again.  Nothing here changes what others can see of a
 * descriptor: sockets are tried with MSG_DONTWAIT, pipes and their like with
 * RWF_NOWAIT; what knows neither (ttys) is asked by poll(2) first.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/iov.h"
#include "hook/sigfd.h"
#include "sched/log.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

static int
real_clock(clockid_t clock, struct timespec *ts)
{
	return real.clock_gettime(clock, ts);
}

int (*co_clock_seen)(clockid_t clock, struct timespec *ts) = real_clock;
bool co_clock_differs;

int64_t
co_deadline_after(int64_t ns)
{
	int64_t now = co_now();

	return ns > INT64_MAX - now ? CO_FOREVER : now + ns;
}

int64_t
co_deadline_abs(clockid_t clock, const struct timespec *ts)
{
	struct timespec now;
	int64_t t;

	if (ts->tv_sec < 0)
		return 1;
	if (ts->tv_sec > INT64_MAX / 1000000000 - 1)
		return CO_FOREVER;
	t = ts->tv_sec * INT64_C(1000000000) + ts->tv_nsec;
	if (clock == CLOCK_MONOTONIC && likely(!co_clock_differs))
		return t > 0 ? t : 1;
	co_clock_seen(clock, &now);
	t -= now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	t = t > 0 ? co_deadline_after(t) : 1;
	return t;
}

static int
lowat_of(int fd)
{
	int low = 1, saved = errno;
	socklen_t len = sizeof(low);

	if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, &len) != 0)
		errno = saved;
	return low;
}

enum co_fd_kind
co_fd_kind_of(int fd, struct co_fd *slot)
{
	uint8_t kind = slot->kind;
	int saved = errno;
	struct stat st;

	if (kind != CO_FD_UNKNOWN)
		return kind;
	if (fstat(fd, &st) != 0) {
		errno = saved;
		return CO_FD_FILE; /* the real call knows the errno */
	}
	if (S_ISSOCK(st.st_mode)) {
		kind = CO_FD_SOCKET;
		if (lowat_of(fd) != 1)
			atomic_fetch_or(&slot->flags, CO_FDF_LOWAT);
	}
	else if (S_ISFIFO(st.st_mode))
		kind = CO_FD_PIPE;
	else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ||
		 S_ISBLK(st.st_mode))
		kind = CO_FD_FILE;
	else if (unlikely(co_sigfds) && !(st.st_mode & S_IFMT))
		kind = (uint8_t)co_sigfd_kind(fd);
	else
		kind = CO_FD_OTHER;
	/* Asked not to wait, /dev/zero and its like may stop halfway. */
	if (S_ISCHR(st.st_mode))
		slot->nowait[CO_IN] = slot->nowait[CO_OUT] = 2;
	slot->kind = kind;
	return kind;
}

bool
co_fd_nonblock(int fd, struct co_fd *slot)
{
	uint8_t flags = slot->flags;
	int fl, saved = errno;

	if (flags & CO_FDF_BORROWED)
		return false;
	if (flags & CO_FDF_OURS && slot->shared_at == co_fd_shares)
		return flags & CO_FDF_NONBLOCK;
	fl = real.fcntl(fd, F_GETFL, 0);
	errno = saved;
	return fl >= 0 && fl & O_NONBLOCK;
}

void
co_io_begin(struct co_io *io, int fd, int dir, const char *why)
{
	io->self = co_here();
	io->slot = NULL;
	if (io->self == NULL)
		return;
	co_cancel_point(io->self);
	io->slot = co_fd(fd);
	if (io->slot == NULL)
		return;
	io->fd = fd;
	io->dir = dir;
	io->why = why;
	io->gen = io->slot->gen;
	io->seq = io->slot->seq[dir];
	io->sigseq = io->self->sigseq;
	io->deadline = -1;
	io->handled = io->self->handled;
	io->interrupted = io->self->interrupted;
	io->saved_errno = errno;
	io->timed = io->in_turn = false;
	io->dontwait = io->sent = false;
	io->nowait = MSG_DONTWAIT;
}

/* SO_RCVTIMEO, SO_SNDTIMEO: kept by us, asked of the kernel once. */
static int64_t
timeout_of(struct co_io *io)
{
	int64_t t = io->slot->timeout[io->dir];
	struct timeval tv;
	socklen_t len = sizeof(tv);

	if (io->slot->kind != CO_FD_SOCKET)
		return 0;
	/* Another number of the same socket may have set it. */
	if (t >= 0 && !(io->slot->flags & CO_FDF_DUPPED) &&
	    io->slot->shared_at == co_fd_shares)
		return t;
	if (getsockopt(io->fd, SOL_SOCKET,
		       io->dir == CO_IN ? SO_RCVTIMEO : SO_SNDTIMEO, &tv,
		       &len) != 0)
		return 0;
	t = tv.tv_sec > INT64_MAX / 1000000000 - 1
		    ? 0
		    : tv.tv_sec * INT64_C(1000000000) + tv.tv_usec * 1000;
	io->slot->timeout[io->dir] = t;
	return t;
}

/* A Unix socket whose peer shuts its reading side down wakes a writer that
 * waits in the kernel, to EPIPE, but says nothing to epoll(7): so such a
 * writer tries again now and then. */
enum { AGAIN_FIRST = 20 * 1000 * 1000, AGAIN_MOST = 640 * 1000 * 1000 };

static bool
is_unix(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       domain == AF_UNIX;
}

static void
begin_wait(struct co_io *io)
{
	int64_t t = timeout_of(io);

	io->timed = t != 0;
	io->deadline = t == 0 ? CO_FOREVER : co_deadline_after(t);
	io->again = io->dir == CO_OUT && io->slot->kind == CO_FD_SOCKET &&
				    !(io->slot->flags & CO_FDF_TCP) &&
				    is_unix(io->fd)
			    ? AGAIN_FIRST
			    : 0;
}

/* How long to wait at most now. */
static int64_t
this_time(struct co_io *io)
{
	int64_t t;

	if (likely(io->again == 0))
		return io->deadline;
	t = co_deadline_after(io->again);
	if (io->again < AGAIN_MOST)
		io->again *= 2;
	return t < io->deadline ? t : io->deadline;
}

/* Without epoll's help: the kernel thread waits, and others take over.  Nobody
 * tells it that the descriptor is closed meanwhile, so it looks now and then;
 * and epoll may have room again. */
static int
wait_in_region(struct co_io *io)
{
	struct pollfd p = { io->fd, io->dir == CO_IN ? POLLIN : POLLOUT, 0 };
	int64_t until, left;
	int r;

	if (io->again == 0)
		io->again = AGAIN_FIRST;
	until = this_time(io);
	left = (until - co_now() + 999999) / 1000000;
	co_region_begin(io->why, true);
	if (likely(!co_sigfds) || !co_sig_watch(io->self, io->sigseq))
		r = real.poll(&p, 1, left < 0 ? 0 : (int)left);
	else
		r = 1;
	co_sig_watch_end(io->self);
	co_region_end();
	io->sigseq = io->self->sigseq;
	if (io->slot->gen != io->gen) {
		errno = EBADF;
		return -1;
	}
	/* Somebody else's handler, or one with SA_RESTART: try again. */
	if (r < 0 && errno == EINTR &&
	    io->self->interrupted == io->interrupted &&
	    !(io->timed && io->self->handled != io->handled))
		return 0;
	if (r < 0)
		return -1;
	if (r == 0 && until == io->deadline) {
		errno = EAGAIN;
		return -1;
	}
	return 0;
}

static int
enter(struct co_io *io, struct co_fd_wait *w)
{
	if (io->in_turn)
		return co_fd_enter_turn(w, io->fd, io->slot, io->gen, io->seq);
	return co_fd_enter(w, io->fd, io->slot, io->dir, io->gen, io->seq);
}

/* It has entered, and may wait for a signalfd: has one come since it tried? */
static bool
signal_came(struct co_io *io, struct co_fd_wait *w)
{
	enum co_why why;

	if (likely(!co_sigfds) || io->slot->kind == CO_FD_SOCKET ||
	    !co_sig_watch(io->self, io->sigseq))
		return false;
	why = co_disarm(w->parker);
	co_fd_leave(w);
	if (why == CO_WOKEN && io->in_turn)
		co_fd_has_turn(io->self, io->slot, io->gen);
	return true;
}

int
co_io_wait(struct co_io *io)
{
	struct co_fd_wait *w = &io->self->fd_wait;
	enum co_why why;
	int64_t until = 0;
	int err;

	if (io->deadline < 0)
		begin_wait(io);
	/* It has found nothing. */
	if (io->in_turn)
		io->self->turn = NULL;
	for (;;) {
		co_cancel_point(io->self);
		/* From the look at the handlers that have run to the end of
		 * the wait none runs: it would not wake us, and one that
		 * leaves by longjmp(3) would leave w in the queue. */
		co_critical_begin();
		if (io->self->interrupted != io->interrupted ||
		    (io->timed && io->self->handled != io->handled)) {
			co_critical_end();
			errno = EINTR;
			return -1;
		}
		err = enter(io, w);
		why = CO_NONE;
		if (err == 0 && unlikely(signal_came(io, w)))
			err = 1;
		if (err == 0) {
			until = this_time(io);
			why = co_park(w->parker, until, io->why,
				      (uintptr_t)io->fd, true);
			/* For these it was taken off the list. */
			if (why != CO_WOKEN && why != CO_CLOSED)
				co_fd_leave(w);
			else if (io->in_turn)
				co_fd_has_turn(io->self, io->slot, io->gen);
		}
		co_sig_watch_end(io->self);
		co_critical_end();
		if (err == 1)
			break;
		if (err == -EBADF) {
			errno = EBADF;
			return -1;
		}
		if (err != 0)
			return wait_in_region(io);
		co_sig_handle();
		if (why == CO_CLOSED || io->slot->gen != io->gen) {
			errno = EBADF;
			return -1;
		}
		if (why == CO_TIMEOUT && until == io->deadline) {
			errno = EAGAIN;
			return -1;
		}
		/* A signal may be what it waits for. */
		if (why == CO_WOKEN || why == CO_TIMEOUT ||
		    unlikely(co_sigfds))
			break;
	}
	io->seq = io->slot->seq[io->dir];
	io->sigseq = io->self->sigseq;
	return 0;
}

int
co_turn_unwound(int version, int actions, uint64_t class, void *what,
		void *context)
{
	enum { CLEANUP_PHASE = 2, CONTINUE_UNWIND = 8 };

	(void)version, (void)class, (void)what, (void)context;
	if (actions & CLEANUP_PHASE)
		co_pass_turn(co_tls.self);
	return CONTINUE_UNWIND;
}

/* Datagrams of a socket that is shut down for reading: a recv(2) that waits
 * says 0 at once, one that does not says EAGAIN.  So the next try is one that
 * waits.  Epoll has told of the end. */
static bool
is_at_end(struct co_io *io)
{
	struct pollfd p = { io->fd, POLLRDHUP, 0 };
	int type = SOCK_STREAM;
	socklen_t len = sizeof(type);

	if (likely(!(io->slot->flags & CO_FDF_HUP)) || io->nowait == 0 ||
	    io->dir != CO_IN ||
	    io->slot->kind != CO_FD_SOCKET ||
	    getsockopt(io->fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    type == SOCK_STREAM || type == SOCK_SEQPACKET ||
	    real.poll(&p, 1, 0) <= 0 || !(p.revents & POLLRDHUP))
		return false;
	io->nowait = 0;
	return true;
}

bool
co_io_again(struct co_io *io, ssize_t r)
{
	if (likely(r >= 0)) {
		if (io->slot != NULL)
			errno = io->saved_errno;
		return false;
	}
	if (unlikely(errno == EPIPE || errno == EFBIG) && io->self != NULL)
		co_sig_own(io->self, errno == EPIPE ? SIGPIPE : SIGXFSZ);
	if (errno != EAGAIN || io->slot == NULL || io->dontwait)
		return false;
	if (co_fd_nonblock(io->fd, io->slot)) {
		/* What a poll(2) after this will be glad to know. */
		errno = EAGAIN;
		return false;
	}
	if (unlikely(is_at_end(io)))
		return true;
	return co_io_wait(io) == 0;
}

/* --- what is read or written without waiting --- */

int
co_io_look(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };
	int saved = errno, r;

	do
		r = real.poll(&p, 1, 0);
	while (r < 0 && errno == EINTR);
	errno = saved;
	return r;
}

static bool
ready_now(int fd, int dir)
{
	return co_io_look(fd, dir == CO_IN ? POLLIN : POLLOUT) != 0;
}

static ssize_t
preadv2_(int fd, const struct iovec *iov, int n, int dir)
{
	long r = sys6(dir == CO_IN ? SYS_preadv2 : SYS_pwritev2, fd, iov, n, -1,
		      -1, RWF_NOWAIT);

	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

/* A blocking pipe takes a page at a time for sure once it polls writable. */
enum { SURE = 4096 };

/* Not open for that: EBADF, for which nobody waits. */
static bool
wrong_end(struct co_io *io)
{
	int fl = real.fcntl(io->fd, F_GETFL, 0) & O_ACCMODE;

	return fl == (io->dir == CO_IN ? O_WRONLY : O_RDONLY);
}

/* One try that does not wait: -1/EAGAIN if it would. */
static ssize_t
try_vec(struct co_io *io, const struct iovec *iov, int n)
{
	struct co_fd *s = io->slot;
	struct iovec one;
	ssize_t r;

	/* Of a file it would be only what is in memory now. */
	if (s->kind == CO_FD_FILE)
		goto real_;
	if (s->nowait[io->dir] != 2) {
		r = preadv2_(io->fd, iov, n, io->dir);
		/* EINVAL may be the descriptor's own answer, or an old
		 * kernel's to the flag: the plain call says which. */
		if (r < 0 && errno == EINVAL)
			goto real_;
		if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
			return r;
		s->nowait[io->dir] = 2;
	}
	if (!ready_now(io->fd, io->dir)) {
		/* A FIFO that never had a writer is at its end, but poll(2)
		 * does not say so: what cannot wait is asked directly. */
		if (co_fd_nonblock(io->fd, s) || wrong_end(io))
			goto real_;
		errno = EAGAIN;
		return -1;
	}
	if (io->dir == CO_OUT && n == 1 && iov->iov_len > SURE &&
	    s->kind == CO_FD_PIPE && !co_fd_nonblock(io->fd, s)) {
		one.iov_base = iov->iov_base;
		one.iov_len = SURE;
		iov = &one;
	}
real_:
	co_region_begin(io->why, false);
	r = io->dir == CO_IN ? real.readv(io->fd, iov, n)
			     : real.writev(io->fd, iov, n);
	co_region_end();
	return r;
}

bool
co_in_error(int fd)
{
	struct pollfd p = { fd, 0, 0 };

	return real.poll(&p, 1, 0) > 0 && p.revents & POLLERR;
}

static ssize_t
try_socket(struct co_io *io, struct iovec *iov, int n)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	/* The answer will be a count: no SIGPIPE with that. */
	int out = io->sent ? MSG_DONTWAIT | MSG_NOSIGNAL : MSG_DONTWAIT;

	if (io->sent && co_in_error(io->fd)) {
		errno = EPIPE; /* nobody sees this */
		return -1;
	}
	if (io->dir == CO_IN)
		return n == 1 ? real.recv(io->fd, iov->iov_base, iov->iov_len,
					  io->nowait)
			      : real.recvmsg(io->fd, &m, io->nowait);
	return n == 1 ? real.send(io->fd, iov->iov_base, iov->iov_len, out)
		      : real.sendmsg(io->fd, &m, out);
}

/* The next read need not try before it waits. */
static bool
known_empty(struct co_io *io)
{
	return co_fd_known_empty(io->slot, io->seq) &&
	       !(io->slot->flags & (CO_FDF_NONBLOCK | CO_FDF_BORROWED));
}

/* Less has come than SO_RCVLOWAT asks for. */
static ssize_t
read_rest(struct co_io *io, struct iovec *iov, int n, size_t want, ssize_t r)
{
	struct co_iov t = { .v = iov, .n = (size_t)n, .total = want };

	return co_msg_rest(io, &t, (size_t)r, co_recv_least(io, want, 0), 0);
}

bool
co_is_memory(struct co *self, const struct iovec *v, int n)
{
	enum { PAGE = 4096, MOST = 1 << 20 };
	uintptr_t at, lo, hi;
	char byte;
	int i;

	for (i = 0; i < n; i++) {
		lo = (uintptr_t)v[i].iov_base;
		hi = lo + v[i].iov_len;
		if (lo >= self->memory[0] && hi <= self->memory[1])
			continue;
		if (v[i].iov_len > MOST)
			return false;
		for (at = lo; at < hi; at = (at | (PAGE - 1)) + 1)
			if (!co_get(&byte, (void *)at, 1))
				return false;
		self->memory[0] = lo;
		self->memory[1] = hi;
	}
	return true;
}

static ssize_t
read_vec(struct co_io *io, struct iovec *iov, int n, size_t want)
{
	enum co_fd_kind kind = co_fd_kind_of(io->fd, io->slot);
	bool sock = kind == CO_FD_SOCKET;
	ssize_t r;

	if (sock && known_empty(io) && co_io_wait(io) != 0)
		return -1;
	do
		r = sock ? try_socket(io, iov, n)
		    : unlikely(kind == CO_FD_SIGNAL)
			    ? co_sigfd_try(io, iov, n, want)
			    : try_vec(io, iov, n);
	while (co_io_again(io, r));
	if (sock)
		co_fd_note_empty(io, r, want, iov, n);
	if (unlikely(io->slot->flags & CO_FDF_LOWAT) && sock && r > 0)
		r = read_rest(io, iov, n, want, r);
	return r;
}

/* A short write is the answer: the kernel has waited where it had to. */
static bool
is_whole(const struct co_fd *s)
{
	return s->kind == CO_FD_FILE ||
	       (s->kind == CO_FD_OTHER && s->nowait[CO_OUT] == 2);
}

/* All of it, as the kernel does for a blocking stream; what got through counts
 * before an error or a signal. */
static ssize_t
write_vec(struct co_io *io, struct co_iov *t)
{
	bool sock = co_fd_kind_of(io->fd, io->slot) == CO_FD_SOCKET;
	size_t done = 0;
	ssize_t r;

	for (;;) {
		do
			r = sock ? try_socket(io, t->v, (int)t->n)
				 : try_vec(io, t->v, (int)t->n);
		while (co_io_again(io, r));
		if (r < 0)
			break;
		done += (size_t)r;
		io->sent = true;
		if (done >= t->total || r == 0 || is_whole(io->slot) ||
		    co_fd_nonblock(io->fd, io->slot))
			break;
		co_iov_advance(t, (size_t)r);
	}
	if (done > 0) {
		errno = io->saved_errno;
		return (ssize_t)done;
	}
	return r;
}

/* read(2) for those who have begun: also recv(2)'s without flags. */
ssize_t
co_read(struct co_io *io, void *buf, size_t n)
{
	struct iovec v = { buf, n };

	return read_vec(io, &v, 1, n);
}

/* Not part of its callers, so that a dormant one has no frame to make: that
 * was 4 ns of each call (tests/bench/run dormant). */
static __attribute__((noinline)) ssize_t
read_(int fd, void *buf, size_t n)
{
	struct co_io io;

	co_io_begin(&io, fd, CO_IN, "read");
	/* A size of 0 asks of errors alone, and a socket for nothing. */
	if (likely(io.slot == NULL) || n == 0 || n > SSIZE_MAX)
		return real.read(fd, buf, n);
	return co_read(&io, buf, n);
}

COHOOK_EXPORT ssize_t
read(int fd, void *buf, size_t n)
{
	if (likely(!co_active))
		return real.read(fd, buf, n);
	return read_(fd, buf, n);
}
COHOOK_ALIAS(__read, read);
CO_CALL(read);

COHOOK_EXPORT ssize_t
__read_chk(int fd, void *buf, size_t n, size_t size)
{
	if (n > size)
		return real.__read_chk(fd, buf, n, size);
	return read_(fd, buf, n);
}

ssize_t
co_write(struct co_io *io, const void *buf, size_t n)
{
	struct co_iov t = { .few = { { (void *)(uintptr_t)buf, n } } };

	if (n > CO_RW_MOST)
		n = t.few->iov_len = CO_RW_MOST;
	t.v = t.few;
	t.n = 1;
	t.total = n;
	return write_vec(io, &t);
}

static __attribute__((noinline)) ssize_t
write_(int fd, const void *buf, size_t n)
{
	struct co_io io;

	co_io_begin(&io, fd, CO_OUT, "write");
	if (likely(io.slot == NULL) || n == 0 || n > SSIZE_MAX)
		return real.write(fd, buf, n);
	return co_write(&io, buf, n);
}

COHOOK_EXPORT ssize_t
write(int fd, const void *buf, size_t n)
{
	if (likely(!co_active))
		return real.write(fd, buf, n);
	return write_(fd, buf, n);
}
COHOOK_ALIAS(__write, write);
CO_CALL(write);

ssize_t
co_readv(struct co_io *io, const struct iovec *iov, int n)
{
	struct co_iov t;
	ssize_t r;

	if (n <= 0 || co_iov_take(&t, iov, (size_t)n) != 0)
		return real.readv(io->fd, iov, n);
	r = t.total == 0 ? real.readv(io->fd, iov, n)
			 : read_vec(io, t.v, n, t.total);
	co_iov_free(&t);
	return r;
}

COHOOK_EXPORT ssize_t
readv(int fd, const struct iovec *iov, int n)
{
	struct co_io io;

	co_io_begin(&io, fd, CO_IN, "readv");
	if (likely(io.slot == NULL))
		return real.readv(fd, iov, n);
	return co_readv(&io, iov, n);
}
CO_CALL(readv);

ssize_t
co_writev(struct co_io *io, const struct iovec *iov, int n)
{
	struct co_iov t;
	ssize_t r;

	if (n <= 0 || co_iov_take(&t, iov, (size_t)n) != 0)
		return real.writev(io->fd, iov, n);
	r = t.total == 0 ? real.writev(io->fd, iov, n) : write_vec(io, &t);
	co_iov_free(&t);
	return r;
}

COHOOK_EXPORT ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	struct co_io io;

	co_io_begin(&io, fd, CO_OUT, "writev");
	if (likely(io.slot == NULL))
		return real.writev(fd, iov, n);
	return co_writev(&io, iov, n);
}
CO_CALL(writev);
