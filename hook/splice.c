/* SPDX-License-Identifier: MIT */
/* splice.c - data moved inside the kernel: sendfile, splice, tee, vmsplice,
 * copy_file_range.
 *
 * SPLICE_F_NONBLOCK is for the pipe alone.  A socket at the other end goes by
 * its own O_NONBLOCK: it lends us the flag where nobody else can see that;
 * else it is polled first, and where it waits nevertheless, the monitor takes
 * over.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hook/calls.h"
#include "hook/lend.h"
#include "hook/region.h"

enum { SPINS = 3 };

/* The flags with which splice(2) waits. */
#define MAY_WAIT ((unsigned)(SPLICE_F_MOVE | SPLICE_F_MORE | SPLICE_F_GIFT))

/* One end of it. */
struct end {
	struct co_io io;
	enum co_fd_kind kind;
	bool nonblock;        /* the program's own */
};

static void
begin(struct end *e, int fd, int dir, const char *why)
{
	co_io_begin(&e->io, fd, dir, why);
	e->kind = CO_FD_UNKNOWN;
	e->nonblock = false;
	if (e->io.slot == NULL)
		return;
	e->kind = co_fd_kind_of(fd, e->io.slot);
	if (e->kind != CO_FD_FILE)
		e->nonblock = co_fd_nonblock(fd, e->io.slot);
}

static bool
ready(const struct end *e)
{
	short events = e->io.dir == CO_IN ? POLLIN : POLLOUT;

	return e->kind == CO_FD_FILE || co_io_look(e->io.fd, events) != 0;
}

/* A stream that takes no more.  Nothing is sent by this, and no error that is
 * the program's to see is taken. */
static bool
is_shut(int fd)
{
	struct pollfd p = { fd, 0, 0 };
	int type = 0;
	socklen_t len = sizeof(type);

	if (real.poll(&p, 1, 0) > 0)
		return true;
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_STREAM &&
	       real.send(fd, NULL, 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	       errno != EAGAIN;
}

/* Nothing is in it, and nobody writes. */
static bool
is_over(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return real.poll(&p, 1, 0) > 0 && !(p.revents & POLLIN);
}

/* What cannot be is the kernel's to say before anything is waited for: a wrong
 * end, a position where there is none, a pipe that nobody reads or writes. */
static bool
is_odd(const struct end *in, const off64_t *off_in, const struct end *out,
       const off64_t *off_out)
{
	struct pollfd p = { out->io.fd, POLLOUT, 0 };
	int from = real.fcntl(in->io.fd, F_GETFL, 0);
	int to = real.fcntl(out->io.fd, F_GETFL, 0);
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (in->kind == CO_FD_SOCKET &&
	    getpeername(in->io.fd, (struct sockaddr *)&peer, &len) != 0)
		return true;
	if (out->kind == CO_FD_SOCKET && is_shut(out->io.fd))
		return true;
	if (in->kind == CO_FD_PIPE && is_over(in->io.fd))
		return true;
	return in->kind == CO_FD_OTHER || out->kind == CO_FD_OTHER ||
	       from < 0 || to < 0 || (from & O_ACCMODE) == O_WRONLY ||
	       (to & O_ACCMODE) == O_RDONLY || to & O_APPEND ||
	       (off_in != NULL && (in->kind == CO_FD_PIPE ||
				   in->kind == CO_FD_SOCKET)) ||
	       (off_out != NULL && (out->kind == CO_FD_PIPE ||
				    out->kind == CO_FD_SOCKET)) ||
	       (out->kind == CO_FD_PIPE && real.poll(&p, 1, 0) > 0 &&
		p.revents & POLLERR);
}

/* Some of it has gone: the next wait is a new one, SO_*TIMEO included. */
static void
next(struct end *e)
{
	e->io.seq = e->io.slot->seq[e->io.dir];
	e->io.deadline = -1;
}

/* Into a pipe the kernel waits for room first, and then for what there is to
 * read; else the other way about. */
static bool
room_first(const struct end *in, const struct end *out)
{
	return out->kind == CO_FD_PIPE && in->kind != CO_FD_PIPE;
}

/* A try said EAGAIN: wait for the end that is not ready.  0: both are, -1 the
 * wait has failed. */
static int
wait_for_either(struct end *in, struct end *out)
{
	struct end *first = room_first(in, out) ? out : in;
	struct end *second = first == in ? out : in;

	if (!ready(first))
		return co_io_wait(&first->io) == 0 ? 1 : -1;
	if (!ready(second))
		return co_io_wait(&second->io) == 0 ? 1 : -1;
	return 0;
}

/* --- splice --- */

struct splice {
	struct end in, out;
	off64_t *off_in, *off_out;
	unsigned flags;
};

/* Without waiting, as far as it can be had. */
static ssize_t
try_splice(struct splice *s, size_t n)
{
	struct end *sock = s->in.kind == CO_FD_SOCKET    ? &s->in
			   : s->out.kind == CO_FD_SOCKET ? &s->out
							 : NULL;
	bool lent = false;
	ssize_t r;

	/* What has no such flag: ttys, sockets that others see. */
	if (sock != NULL && !sock->nonblock)
		lent = co_fd_lend(sock->io.fd, sock->io.slot);
	if (((s->in.kind != CO_FD_PIPE && !s->in.nonblock && !lent &&
	      !ready(&s->in)) ||
	     (s->out.kind != CO_FD_PIPE && !s->out.nonblock && !lent &&
	      !ready(&s->out))) &&
	    !is_odd(&s->in, s->off_in, &s->out, s->off_out)) {
		errno = EAGAIN;
		return -1;
	}
	co_region_begin("splice", false);
	r = real.splice(s->in.io.fd, s->off_in, s->out.io.fd, s->off_out, n,
			s->flags | SPLICE_F_NONBLOCK);
	co_region_end();
	if (lent)
		co_fd_lend_end(sock->io.fd, sock->io.slot);
	return r;
}

static int
option(const struct end *e, int name)
{
	int value = 0;
	socklen_t len = sizeof(value);

	getsockopt(e->io.fd, SOL_SOCKET, name, &value, &len);
	return value;
}

/* EAGAIN is the program's, who has made this end non-blocking; of two pipes
 * either speaks for both. */
static bool
is_answer(const struct splice *s)
{
	const struct end *first = &s->in, *second = &s->out;

	if (s->in.kind == CO_FD_PIPE && s->out.kind == CO_FD_PIPE)
		return s->in.nonblock || s->out.nonblock;
	if (room_first(&s->in, &s->out)) {
		first = &s->out;
		second = &s->in;
	}
	if (!ready(first))
		return first->nonblock;
	if (ready(second))
		return false;
	/* From a Unix stream the kernel goes by the pipe's flag, too. */
	return second->nonblock ||
	       (first->nonblock && second->kind == CO_FD_SOCKET &&
		second == &s->in && option(second, SO_DOMAIN) == AF_UNIX &&
		option(second, SO_TYPE) == SOCK_STREAM);
}

static ssize_t
splice_waiting(struct splice *s, size_t n)
{
	int spins = 0, w;
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = try_splice(s, n - done);
		if (r > 0) {
			done += (size_t)r;
			/* Only into a socket does it go on, until the pipe is
			 * empty. */
			if (s->out.kind != CO_FD_SOCKET || s->out.nonblock ||
			    !ready(&s->in))
				break;
			next(&s->out);
			continue;
		}
		if (r == 0)
			break;
		if (errno != EAGAIN || is_answer(s) ||
		    (done > 0 && !ready(&s->in)))
			goto fail;
		if (done == 0 && is_odd(&s->in, s->off_in, &s->out,
					s->off_out)) {
			IN_REGION(r, -1, s->in.io.self, "splice", true,
				  real.splice(s->in.io.fd, s->off_in,
					      s->out.io.fd, s->off_out, n,
					      s->flags));
			if (r >= 0)
				errno = s->in.io.saved_errno;
			return r;
		}
		w = wait_for_either(&s->in, &s->out);
		if (w < 0)
			goto fail;
		if (w == 0 && ++spins > SPINS) {
			co_region_begin("splice", false);
			r = real.splice(s->in.io.fd, s->off_in, s->out.io.fd,
					s->off_out, n - done, s->flags);
			co_region_end();
			if (r < 0)
				goto fail;
			done += (size_t)r;
			break;
		}
	}
	errno = s->in.io.saved_errno;
	return (ssize_t)done;
fail:
	if (done == 0)
		return -1;
	errno = s->in.io.saved_errno;
	return (ssize_t)done;
}

COHOOK_EXPORT ssize_t
splice(int in, off64_t *off_in, int out, off64_t *off_out, size_t n,
       unsigned flags)
{
	struct splice s = { .off_in = off_in,
			    .off_out = off_out,
			    .flags = flags };
	ssize_t r;

	if (likely(co_here() == NULL))
		return real.splice(in, off_in, out, off_out, n, flags);
	begin(&s.in, in, CO_IN, "splice");
	begin(&s.out, out, CO_OUT, "splice");
	/* The kernel says what is wrong with it, and files do not wait. */
	if (flags & ~MAY_WAIT || s.in.io.slot == NULL ||
	    s.out.io.slot == NULL ||
	    (s.in.kind != CO_FD_PIPE && s.out.kind != CO_FD_PIPE)) {
		co_region_begin("splice", false);
		r = real.splice(in, off_in, out, off_out, n, flags);
		co_region_end();
		return r;
	}
	return splice_waiting(&s, n);
}
CO_CALL(splice);

COHOOK_EXPORT ssize_t
tee(int in, int out, size_t n, unsigned flags)
{
	struct end from, to;
	int spins = 0, w, saved = errno;
	ssize_t r;

	if (likely(co_here() == NULL) || flags & SPLICE_F_NONBLOCK)
		return real.tee(in, out, n, flags);
	begin(&from, in, CO_IN, "tee");
	begin(&to, out, CO_OUT, "tee");
	for (;;) {
		r = real.tee(in, out, n, flags | SPLICE_F_NONBLOCK);
		if (r >= 0)
			errno = saved;
		if (r >= 0 || errno != EAGAIN || from.io.slot == NULL ||
		    to.io.slot == NULL || from.nonblock || to.nonblock)
			return r;
		w = wait_for_either(&from, &to);
		if (w < 0)
			return -1;
		if (w == 0 && ++spins > SPINS)
			break;
	}
	co_region_begin("tee", false);
	r = real.tee(in, out, n, flags);
	co_region_end();
	if (r >= 0)
		errno = saved;
	return r;
}
CO_CALL(tee);

COHOOK_EXPORT ssize_t
vmsplice(int fd, const struct iovec *iov, size_t n, unsigned flags)
{
	struct end pipe;
	int fl, saved = errno;
	ssize_t r;

	if (likely(co_here() == NULL) || flags & SPLICE_F_NONBLOCK)
		return real.vmsplice(fd, iov, n, flags);
	fl = real.fcntl(fd, F_GETFL, 0);
	begin(&pipe, fd, (fl & O_ACCMODE) == O_RDONLY ? CO_IN : CO_OUT,
	      "vmsplice");
	errno = saved;
	if (pipe.io.slot == NULL)
		return real.vmsplice(fd, iov, n, flags);
	for (;;) {
		r = real.vmsplice(fd, iov, n, flags | SPLICE_F_NONBLOCK);
		/* The pipe's own O_NONBLOCK means nothing to it. */
		if (r >= 0 || errno != EAGAIN)
			break;
		if (co_io_wait(&pipe.io) != 0)
			return -1;
	}
	if (r >= 0)
		errno = saved;
	return r;
}
CO_CALL(vmsplice);

/* --- sendfile --- */

/* Into a pipe it is splice(2) with a position. */
static ssize_t
try_sendfile(struct end *out, int in, off64_t *off, size_t n)
{
	bool lent = false;
	ssize_t r;

	if (out->kind == CO_FD_PIPE && !out->nonblock)
		return real.splice(in, off, out->io.fd, NULL, n,
				   SPLICE_F_NONBLOCK);
	if (out->kind == CO_FD_SOCKET && !out->nonblock)
		lent = co_fd_lend(out->io.fd, out->io.slot);
	if (!lent && !out->nonblock && !ready(out)) {
		errno = EAGAIN;
		return -1;
	}
	co_region_begin("sendfile", false);
	r = real.sendfile64(out->io.fd, in, off, n);
	co_region_end();
	if (lent)
		co_fd_lend_end(out->io.fd, out->io.slot);
	return r;
}

/* The same for sendfile(2); and a file that is at its end sends nothing. */
static bool
is_odd_file(const struct end *in, const off64_t *off, const struct end *out)
{
	struct stat st;
	off64_t at = 0;

	if (is_odd(in, off, out, NULL))
		return true;
	if (fstat(in->io.fd, &st) != 0 || !S_ISREG(st.st_mode))
		return true;
	if (off == NULL)
		at = lseek64(in->io.fd, 0, SEEK_CUR);
	else if (!co_get(&at, off, sizeof(at)))
		return true;
	return at < 0 || at >= st.st_size;
}

COHOOK_EXPORT ssize_t
sendfile64(int out, int in, off64_t *off, size_t n)
{
	struct end from, to;
	int spins = 0;
	size_t done = 0;
	ssize_t r;

	if (likely(co_here() == NULL))
		return real.sendfile64(out, in, off, n);
	begin(&to, out, CO_OUT, "sendfile");
	begin(&from, in, CO_IN, "sendfile");
	if (to.io.slot == NULL || to.kind == CO_FD_FILE || to.nonblock ||
	    n == 0 || from.kind != CO_FD_FILE) {
		IN_REGION(r, -1, to.io.self, "sendfile", false,
			  real.sendfile64(out, in, off, n));
		return r;
	}
	do {
		r = try_sendfile(&to, in, off, n - done);
		if (r > 0) {
			done += (size_t)r;
			if (to.kind == CO_FD_PIPE)
				break;
			next(&to);
		} else if (r < 0 && to.kind == CO_FD_PIPE && errno != EPIPE &&
			   (errno != EAGAIN || ready(&to))) {
			/* Not what sendfile says of it, or in waits.  Of a
			 * broken pipe there has been a signal already. */
			co_region_begin("sendfile", ++spins > 1);
			r = real.sendfile64(out, in, off, n);
			co_region_end();
			return r;
		} else if (r < 0 && errno == EAGAIN && done == 0 &&
			   is_odd_file(&from, off, &to)) {
			IN_REGION(r, -1, to.io.self, "sendfile", true,
				  real.sendfile64(out, in, off, n));
			if (r >= 0)
				errno = to.io.saved_errno;
			return r;
		} else if (r < 0 && (errno != EAGAIN ||
				     co_io_wait(&to.io) != 0)) {
			break;
		}
	} while (r != 0 && done < n);
	if (r < 0 && done == 0)
		return r;
	errno = to.io.saved_errno;
	return (ssize_t)done;
}
COHOOK_ALIAS(sendfile, sendfile64);
CO_CALL(sendfile64);

MAY_BLOCK(ssize_t, copy_file_range,
	  (int in, off64_t *off_in, int out, off64_t *off_out, size_t n,
	   unsigned flags),
	  (in, off_in, out, off_out, n, flags))
