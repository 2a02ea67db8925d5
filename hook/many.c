/* SPDX-License-Identifier: MIT */
/* many.c - many messages or vectors in one call. */
#include <sys/eventfd.h>

#include "hook/calls.h"
#include "hook/iov.h"
#include "hook/region.h"
#include "hook/sigfd.h"

/* --- many messages --- */

/* Between two messages: each waits by itself, SO_*TIMEO included. */
static void
next(struct co_io *io)
{
	io->seq = io->slot->seq[io->dir];
	io->deadline = -1;
}

/* Fewer have gone than were given, and there is room: for want of it, and it has
 * come since; or for an error.  Most errors are met again; that of a datagram on
 * its way is told once, so it has been told, and the count is the answer. */
static bool
tells_once(int fd)
{
	int domain = AF_UNIX, type = SOCK_STREAM;
	socklen_t n = sizeof(int);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n);
	n = sizeof(int);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n);
	return domain != AF_UNIX && type != SOCK_STREAM;
}

static bool
has_room(int fd)
{
	struct pollfd p = { fd, POLLOUT, 0 };

	return real.poll(&p, 1, 0) > 0;
}

static bool
is_oob(const struct mmsghdr *last)
{
	int flags;

	return co_get(&flags, &last->msg_hdr.msg_flags, sizeof(flags)) &&
	       flags & MSG_OOB;
}

/* time is up: looked at after each message, and only then, as the kernel does
 * (recvmmsg(2), BUGS). */
static int
recv_many(struct co_io *io, struct mmsghdr *vec, unsigned n, unsigned flags,
	  int64_t until, bool no_time)
{
	unsigned done = 0;
	int r;

	while (done < n) {
		/* A wait that ends in an error does not eat it up if there is
		 * something to return: the next call gets it. */
		do {
			if (done > 0 && co_in_error(io->fd))
				return (int)done;
			r = real.recvmmsg(io->fd, vec + done,
					  no_time ? 1 : n - done,
					  (int)flags | io->nowait, NULL);
		} while (co_io_again(io, r));
		if (r <= 0)
			return done > 0 ? (int)done : r;
		done += (unsigned)r;
		if (flags & MSG_WAITFORONE || co_now() >= until ||
		    is_oob(vec + done - 1) || io->dontwait ||
		    co_fd_nonblock(io->fd, io->slot))
			break;
		next(io);
	}
	return (int)done;
}

COHOOK_EXPORT int
recvmmsg(int fd, struct mmsghdr *vec, unsigned n, int flags,
	 struct timespec *timeout)
{
	int64_t until = CO_FOREVER, left;
	struct timespec ts = { 1, 0 };
	bool no_time = false;
	struct co_io io;
	int r, i;

	co_socket_begin(&io, fd, CO_IN, flags, "recvmmsg");
	if (likely(io.slot == NULL) || n == 0 ||
	    (timeout != NULL && !co_get(&ts, timeout, sizeof(ts))) ||
	    !co_ts_valid(&ts) || ts.tv_sec < 0)
		return real.recvmmsg(fd, vec, n, flags, timeout);
	if (timeout != NULL && ts.tv_sec < INT64_MAX / 1000000000 - 1) {
		until = co_deadline_after(ts.tv_sec * INT64_C(1000000000) +
					  ts.tv_nsec);
		no_time = ts.tv_sec == 0 && ts.tv_nsec == 0;
	}
	r = recv_many(&io, vec, n, (unsigned)flags, until, no_time);
	if (r <= 0)
		return r;
	for (i = 0; i < r; i++)
		if (unlikely(vec[i].msg_hdr.msg_controllen > 0))
			co_sigfd_came(&vec[i].msg_hdr);
	if (until != CO_FOREVER) {
		left = until - co_now();
		left = left > 0 && !no_time ? left : 0;
		ts.tv_sec = left / 1000000000;
		ts.tv_nsec = left % 1000000000;
		if (!co_put(timeout, &ts, sizeof(ts))) {
			errno = EFAULT;
			return -1;
		}
	}
	errno = io.saved_errno;
	return r;
}
CO_CALL(recvmmsg);

/* A message that went in part goes on by itself: there was no room, then.
 * False: it still has not all gone, and that is the end. */
static bool
finish(struct co_io *io, struct mmsghdr *last, int flags, bool *stopped)
{
	struct mmsghdr m;
	struct co_iov t;
	size_t done;
	unsigned len;

	if (!co_get(&m, last, sizeof(m)) ||
	    co_iov_take(&t, m.msg_hdr.msg_iov, m.msg_hdr.msg_iovlen) != 0)
		return true;
	done = m.msg_len;
	if (done < t.total) {
		*stopped = false;
		done = co_msg_rest(io, &t, done, t.total, flags);
		len = (unsigned)done;
		(void)co_put(&last->msg_len, &len, sizeof(len));
	}
	co_iov_free(&t);
	return done >= t.total;
}

static void
note_shares(const struct mmsghdr *vec, unsigned n)
{
	struct mmsghdr m;
	unsigned i;

	for (i = 0; i < n && co_get(&m, vec + i, sizeof(m)); i++)
		if (co_msg_passes_rights(&m.msg_hdr)) {
			atomic_fetch_add(&co_fd_shares, 1);
			return;
		}
}

enum { MOST = 1024 }; /* what the kernel sends in one call */

COHOOK_EXPORT int
sendmmsg(int fd, struct mmsghdr *vec, unsigned n, int flags)
{
	unsigned done = 0;
	struct co_io io;
	bool stopped;
	int r = 0, again = 0;

	co_socket_begin(&io, fd, CO_OUT, flags, "sendmmsg");
	if (likely(io.slot == NULL) || n == 0)
		return real.sendmmsg(fd, vec, n, flags);
	if (flags & MSG_FASTOPEN && !io.dontwait &&
	    !co_fd_nonblock(fd, io.slot)) {
		IN_REGION(r, -1, io.self, "sendmmsg", true,
			  real.sendmmsg(fd, vec, n, flags));
		return r;
	}
	if (n > MOST)
		n = MOST;
	note_shares(vec, n);
	while (done < n) {
		do {
			if (done > 0 && co_in_error(fd))
				goto out;
			r = real.sendmmsg(fd, vec + done, n - done,
					  flags | again | MSG_DONTWAIT);
			again = 0;
		} while (co_io_again(&io, r));
		if (r <= 0)
			break;
		done += (unsigned)r;
		if (io.dontwait || co_fd_nonblock(fd, io.slot))
			break;
		next(&io);
		stopped = done < n && has_room(fd);
		if (stopped && !tells_once(fd)) {
			/* SIGPIPE has come already, if that is it. */
			again = MSG_NOSIGNAL;
			stopped = false;
		}
		if (!finish(&io, vec + done - 1, flags, &stopped) || stopped)
			break;
		next(&io);
	}
out:
	if (done == 0)
		return r;
	errno = io.saved_errno;
	return (int)done;
}
CO_CALL(sendmmsg);

/* --- vectors at an offset --- */

/* Files: what is slow is taken over. */
MAY_BLOCK(ssize_t, preadv, (int fd, const struct iovec *iov, int n, off_t at),
	  (fd, iov, n, at))
COHOOK_ALIAS(preadv64, preadv);
CO_CALL(preadv);
MAY_BLOCK(ssize_t, pwritev, (int fd, const struct iovec *iov, int n, off_t at),
	  (fd, iov, n, at))
COHOOK_ALIAS(pwritev64, pwritev);
CO_CALL(pwritev);

/* At offset -1 it is readv(2), which waits. */
COHOOK_EXPORT ssize_t
preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct co_io io;
	ssize_t r;

	co_io_begin(&io, fd, CO_IN, "preadv2");
	if (io.slot != NULL && at == -1 && flags == 0)
		return co_readv(&io, iov, n);
	co_region_begin("preadv2", false);
	r = real.preadv2(fd, iov, n, at, flags);
	co_region_end();
	return r;
}
COHOOK_ALIAS(preadv64v2, preadv2);
CO_CALL(preadv2);

COHOOK_EXPORT ssize_t
pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	struct co_io io;
	ssize_t r;

	co_io_begin(&io, fd, CO_OUT, "pwritev2");
	if (io.slot != NULL && at == -1 && flags == 0)
		return co_writev(&io, iov, n);
	co_region_begin("pwritev2", false);
	r = real.pwritev2(fd, iov, n, at, flags);
	co_region_end();
	return r;
}
COHOOK_ALIAS(pwritev64v2, pwritev2);
CO_CALL(pwritev2);

/* --- eventfds, by libc's names --- */

COHOOK_EXPORT int
eventfd_read(int fd, eventfd_t *value)
{
	struct co_io io;

	co_io_begin(&io, fd, CO_IN, "eventfd_read");
	if (likely(io.slot == NULL))
		return real.eventfd_read(fd, value);
	return co_read(&io, value, sizeof(*value)) == sizeof(*value) ? 0 : -1;
}

COHOOK_EXPORT int
eventfd_write(int fd, eventfd_t value)
{
	struct co_io io;

	co_io_begin(&io, fd, CO_OUT, "eventfd_write");
	if (likely(io.slot == NULL))
		return real.eventfd_write(fd, value);
	return co_write(&io, &value, sizeof(value)) == sizeof(value) ? 0 : -1;
}
