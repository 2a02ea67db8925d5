/* SPDX-License-Identifier: MIT */
/* rw.c - reading and writing: read, write, readv and writev.
 *
 * Nothing here changes what others can see of a descriptor: sockets are tried
 * with MSG_DONTWAIT, pipes and their like with RWF_NOWAIT; what knows neither
 * (ttys) is asked by poll(2) first.
 */
#include <fcntl.h>
#include <limits.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/iov.h"
#include "hook/region.h"
#include "hook/sigfd.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

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
