/* SPDX-License-Identifier: MIT */
/* socket.c - messages, connections and timeouts. */
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/un.h>

#include "hook/calls.h"
#include "hook/iov.h"
#include "hook/sigfd.h"
#include "hook/lend.h"
#include "hook/region.h"

/* What of the flags is the call's own business: MSG_DONTWAIT we add. */
static bool
stream(int fd)
{
	int type = 0, saved = errno;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		errno = saved;
	return type == SOCK_STREAM;
}

static bool
is_tcp(int fd)
{
	int protocol = 0, saved = errno;
	socklen_t len = sizeof(protocol);

	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) != 0)
		errno = saved;
	return protocol == IPPROTO_TCP;
}

/* No read goes past urgent data, however much is asked for. */
static bool
is_at_mark(int fd)
{
	int at = 0;

	return real.ioctl(fd, SIOCATMARK, (long)&at) == 0 && at;
}

size_t
co_recv_least(const struct co_io *io, size_t n, int flags)
{
	int low = 1, saved = errno;
	socklen_t len = sizeof(low);

	if ((!(flags & MSG_WAITALL) && !(io->slot->flags & CO_FDF_LOWAT)) ||
	    flags & MSG_OOB || !stream(io->fd) || (flags & MSG_PEEK && !is_tcp(io->fd)))
		return n < 1 ? n : 1;
	if (flags & MSG_WAITALL)
		return n;
	if (getsockopt(io->fd, SOL_SOCKET, SO_RCVLOWAT, &low, &len) != 0)
		errno = saved;
	return low > 0 && (size_t)low < n ? (size_t)low : n;
}

bool
co_msg_passes_rights(const struct msghdr *m)
{
	const char *p = m->msg_control;
	size_t left = m->msg_controllen;
	struct cmsghdr c;

	while (left >= sizeof(c) && co_get(&c, p, sizeof(c)) &&
	       c.cmsg_len >= sizeof(c) && c.cmsg_len <= left) {
		if (c.cmsg_level == SOL_SOCKET && c.cmsg_type == SCM_RIGHTS)
			return true;
		if (CMSG_ALIGN(c.cmsg_len) >= left)
			break;
		p += CMSG_ALIGN(c.cmsg_len);
		left -= CMSG_ALIGN(c.cmsg_len);
	}
	return false;
}

/* The error queue never blocks, as recv(2) says, where there is one; nor do a
 * stream's urgent data. */
bool
co_recv_never_waits(int fd, int flags)
{
	int domain = AF_UNIX, saved = errno;
	socklen_t len = sizeof(domain);

	if (flags & MSG_DONTWAIT)
		return true;
	if (flags & MSG_OOB && stream(fd))
		return true;
	if (!(flags & MSG_ERRQUEUE))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		errno = saved;
	return domain != AF_UNIX && domain != AF_NETLINK;
}

/* A look at what is there, r bytes, is not enough.  True: look again. */
static bool
look_again(struct co_io *io, ssize_t r, size_t least)
{
	struct pollfd p = { io->fd, POLLRDHUP, 0 };

	if (r <= 0 || (size_t)r >= least || io->dontwait ||
	    co_fd_nonblock(io->fd, io->slot))
		return false;
	/* More will not come.  (A handler of somebody else: who knows.) */
	if (real.poll(&p, 1, 0) > 0)
		return false;
	errno = io->saved_errno;
	if (co_io_wait(io) == 0)
		return true;
	errno = io->saved_errno;
	return false;
}

static ssize_t
recv_(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
      socklen_t *len)
{
	struct co_io io;
	size_t done = 0, least;
	socklen_t room = 0;
	ssize_t r;

	co_socket_begin(&io, fd, CO_IN, flags, "recv");
	if (likely(io.slot == NULL))
		return real.recvfrom(fd, buf, n, flags, addr, len);
	if (flags == 0 && addr == NULL && n > 0 && n <= SSIZE_MAX)
		return co_read(&io, buf, n);
	if (addr == NULL || !co_get(&room, len, sizeof(room)))
		len = addr == NULL ? NULL : len;
	least = co_recv_least(&io, n, flags);
	for (;;) {
		do {
			if (done > 0 && co_in_error(fd))
				goto out;
			if (room != 0 && done == 0)
				*len = room;
			r = real.recvfrom(fd, (char *)buf + done, n - done,
					  flags | io.nowait,
					  done == 0 ? addr : NULL,
					  done == 0 ? len : NULL);
		} while (co_io_again(&io, r) ||
			 (flags & MSG_PEEK && look_again(&io, r, least)));
		if (least <= 1 || r <= 0 || flags & MSG_PEEK)
			break;
		done += (size_t)r;
		if (done >= least || co_fd_nonblock(fd, io.slot) ||
		    is_at_mark(fd))
			break;
		io.seq = io.slot->seq[CO_IN];
	}
out:
	/* As libraries read that poll before they read again. */
	if (!(flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)))
		co_fd_note_empty(&io, r, n, &(struct iovec){ buf, n }, 1);
	if (done > 0) {
		errno = io.saved_errno;
		return (ssize_t)done;
	}
	return r;
}

COHOOK_EXPORT ssize_t
recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
	 socklen_t *len)
{
	if (likely(co_here() == NULL))
		return real.recvfrom(fd, buf, n, flags, addr, len);
	return recv_(fd, buf, n, flags, addr, len);
}
CO_CALL(recvfrom);

COHOOK_EXPORT ssize_t
recv(int fd, void *buf, size_t n, int flags)
{
	if (likely(co_here() == NULL))
		return real.recv(fd, buf, n, flags);
	return recv_(fd, buf, n, flags, NULL, NULL);
}

COHOOK_EXPORT ssize_t
__recv_chk(int fd, void *buf, size_t n, size_t size, int flags)
{
	if (n > size || likely(co_here() == NULL))
		return real.__recv_chk(fd, buf, n, size, flags);
	return recv_(fd, buf, n, flags, NULL, NULL);
}

COHOOK_EXPORT ssize_t
__recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags,
	       struct sockaddr *addr, socklen_t *len)
{
	if (n > size || likely(co_here() == NULL))
		return real.__recvfrom_chk(fd, buf, n, size, flags, addr, len);
	return recv_(fd, buf, n, flags, addr, len);
}

ssize_t
co_msg_rest(struct co_io *io, struct co_iov *t, size_t done, size_t least,
	    int flags)
{
	struct msghdr m = { 0 };
	ssize_t r;

	if (io->dir == CO_OUT)
		flags |= MSG_NOSIGNAL; /* the answer will be a count */
	co_iov_advance(t, done);
	while (done < least && !co_fd_nonblock(io->fd, io->slot) &&
	       (io->dir == CO_OUT || !is_at_mark(io->fd))) {
		m.msg_iov = t->v;
		m.msg_iovlen = t->n;
		io->seq = io->slot->seq[io->dir];
		do {
			if (co_in_error(io->fd))
				goto out;
			r = io->dir == CO_IN
				    ? real.recvmsg(io->fd, &m,
						   flags | MSG_DONTWAIT)
				    : real.sendmsg(io->fd, &m,
						   flags | MSG_DONTWAIT);
		} while (co_io_again(io, r));
		if (r < 0 || (r == 0 && io->dir == CO_IN))
			break;
		done += (size_t)r;
		co_iov_advance(t, (size_t)r);
	}
out:
	errno = io->saved_errno;
	return (ssize_t)done;
}

COHOOK_EXPORT ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct co_iov t;
	struct co_io io;
	size_t least;
	ssize_t r;

	co_socket_begin(&io, fd, CO_IN, flags, "recvmsg");
	if (likely(io.slot == NULL))
		return real.recvmsg(fd, msg, flags);
	do
		r = real.recvmsg(fd, msg, flags | io.nowait);
	while (co_io_again(&io, r));
	if (unlikely(r >= 0 && msg->msg_controllen > 0))
		co_sigfd_came(msg);
	if (r <= 0 || io.dontwait ||
	    (!(flags & MSG_WAITALL) && !(io.slot->flags & CO_FDF_LOWAT)) ||
	    co_iov_take(&t, msg->msg_iov, msg->msg_iovlen) != 0)
		return r;
	least = co_recv_least(&io, t.total, flags);
	if (!(flags & MSG_PEEK))
		r = co_msg_rest(&io, &t, (size_t)r, least, flags);
	else
		while (look_again(&io, r, least)) {
			r = real.recvmsg(fd, msg, flags | MSG_DONTWAIT);
		}
	co_iov_free(&t);
	return r;
}
CO_CALL(recvmsg);

static ssize_t
send_(int fd, const void *buf, size_t n, int flags,
      const struct sockaddr *addr, socklen_t len)
{
	struct co_io io;
	size_t done = 0;
	ssize_t r;

	co_socket_begin(&io, fd, CO_OUT, flags, "send");
	if (likely(io.slot == NULL))
		return real.sendto(fd, buf, n, flags, addr, len);
	/* It connects as well: that is no matter of a flag of the call. */
	if (unlikely(flags & MSG_FASTOPEN) && !io.dontwait &&
	    !co_fd_nonblock(fd, io.slot)) {
		IN_REGION(r, -1, io.self, "send", true,
			  real.sendto(fd, buf, n, flags, addr, len));
		return r;
	}
	if (n > CO_RW_MOST)
		n = CO_RW_MOST;
	for (;;) {
		do {
			if (done > 0 && co_in_error(fd))
				goto out;
			r = real.sendto(fd, (const char *)buf + done, n - done,
					flags | MSG_DONTWAIT, addr, len);
		} while (co_io_again(&io, r));
		if (r < 0)
			break;
		done += (size_t)r;
		if (done >= n || r == 0 || io.dontwait ||
		    co_fd_nonblock(fd, io.slot))
			break;
		flags |= MSG_NOSIGNAL;
		io.seq = io.slot->seq[CO_OUT];
	}
out:
	if (done > 0) {
		errno = io.saved_errno;
		return (ssize_t)done;
	}
	return r;
}

COHOOK_EXPORT ssize_t
sendto(int fd, const void *buf, size_t n, int flags,
       const struct sockaddr *addr, socklen_t len)
{
	if (likely(co_here() == NULL))
		return real.sendto(fd, buf, n, flags, addr, len);
	return send_(fd, buf, n, flags, addr, len);
}
CO_CALL(sendto);

COHOOK_EXPORT ssize_t
send(int fd, const void *buf, size_t n, int flags)
{
	if (likely(co_here() == NULL))
		return real.send(fd, buf, n, flags);
	return send_(fd, buf, n, flags, NULL, 0);
}
COHOOK_ALIAS(__send, send);

COHOOK_EXPORT ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct co_iov t;
	struct co_io io;
	struct msghdr m;
	ssize_t r;

	co_socket_begin(&io, fd, CO_OUT, flags, "sendmsg");
	if (likely(io.slot == NULL) || !co_get(&m, msg, sizeof(m)))
		return real.sendmsg(fd, msg, flags);
	if (unlikely(flags & MSG_FASTOPEN) && !io.dontwait &&
	    !co_fd_nonblock(fd, io.slot)) {
		IN_REGION(r, -1, io.self, "sendmsg", true,
			  real.sendmsg(fd, msg, flags));
		return r;
	}
	if (m.msg_controllen > 0 && co_msg_passes_rights(&m))
		atomic_fetch_add(&co_fd_shares, 1);
	do
		r = real.sendmsg(fd, msg, flags | MSG_DONTWAIT);
	while (co_io_again(&io, r));
	if (r <= 0 || io.dontwait ||
	    co_iov_take(&t, m.msg_iov, m.msg_iovlen) != 0)
		return r;
	if ((size_t)r < t.total)
		r = co_msg_rest(&io, &t, (size_t)r, t.total, flags);
	co_iov_free(&t);
	return r;
}
CO_CALL(sendmsg);

/* --- connections --- */

static bool
listens(int fd)
{
	int yes = 0;
	socklen_t len = sizeof(yes);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 &&
	       yes;
}

/* A listener from before the runtime stood: is it TCP? */
static void
ask_protocol(int fd, struct co_fd *s)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	if (s->flags & (CO_FDF_TCP | CO_FDF_OURS | CO_FDF_ASKED))
		return;
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	atomic_fetch_or(&s->flags, CO_FDF_ASKED |
				   (protocol == IPPROTO_TCP ? CO_FDF_TCP : 0));
}

/* Is there no number for a new descriptor?  accept(2) looks for one before it
 * waits.  The highest being taken is asked first, for then it is seldom so. */
static bool
no_number(int fd)
{
	struct rlimit rl = { 0, 0 };
	int saved = errno, new;

	getrlimit(RLIMIT_NOFILE, &rl);
	if (rl.rlim_cur > INT_MAX ||
	    real.fcntl(rl.rlim_cur > 0 ? (int)rl.rlim_cur - 1 : 0, F_GETFD,
		       0) < 0) {
		errno = saved;
		return false;
	}
	new = real.fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (new < 0)
		return errno == EMFILE || errno == EINVAL;
	real.close(new);
	errno = saved;
	return false;
}

/* accept has no MSG_DONTWAIT, and O_NONBLOCK on a listener is for all who
 * share it: ask first.  Where somebody else takes the connection in between,
 * the kernel thread waits, and the others go on without it. */
static int
take_connection(int fd, struct sockaddr *addr, socklen_t *len, int flags,
		bool four)
{
	struct co_io io;
	struct co_fd *s;
	int r;

	co_socket_begin(&io, fd, CO_IN, 0, "accept");
	io.in_turn = true;
	/* Flags that are none are refused before any wait. */
	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return real.accept4(fd, addr, len, flags);
	if (io.slot != NULL && !co_fd_nonblock(fd, io.slot)) {
		while (co_io_look(fd, POLLIN) == 0 && listens(fd) &&
		       !no_number(fd)) {
			if (co_io_wait(&io) != 0)
				return -1;
		}
		co_region_begin("accept", false);
	}
	r = four ? real.accept4(fd, addr, len, flags)
		 : real.accept(fd, addr, len);
	if (io.slot != NULL)
		co_region_end();
	if (r < 0 || io.self == NULL)
		return r;
	co_fd_made(r, CO_FD_SOCKET, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0);
	s = co_fd_if(r);
	if (s != NULL && io.slot != NULL) {
		/* An accepted socket inherits these from its listener. */
		s->timeout[CO_IN] = io.slot->timeout[CO_IN];
		s->timeout[CO_OUT] = io.slot->timeout[CO_OUT];
		ask_protocol(fd, io.slot);
		s->flags |= io.slot->flags & (CO_FDF_TCP | CO_FDF_LOWAT);
	}
	errno = io.saved_errno;
	return r;
}

static __attribute__((noinline)) int
accept_(int fd, struct sockaddr *addr, socklen_t *len, int flags, bool four)
{
	int r;

	PASSES_TURN;
	r = take_connection(fd, addr, len, flags, four);
	co_pass_turn(co_tls.self);
	return r;
}

COHOOK_EXPORT int
accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	if (likely(co_here() == NULL))
		return real.accept(fd, addr, len);
	return accept_(fd, addr, len, 0, false);
}
CO_CALL(accept);

COHOOK_EXPORT int
accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	if (likely(co_here() == NULL))
		return real.accept4(fd, addr, len, flags);
	return accept_(fd, addr, len, flags, true);
}
CO_CALL(accept4);

/* Only where nobody else can see the description. */
bool
co_fd_lend(int fd, struct co_fd *s)
{
	int one = 1;

	if ((s->flags & (CO_FDF_OURS | CO_FDF_DUPPED | CO_FDF_NONBLOCK)) !=
		    CO_FDF_OURS ||
	    s->shared_at != co_fd_shares ||
	    atomic_fetch_or(&s->flags, CO_FDF_BORROWED) & CO_FDF_BORROWED)
		return false;
	real.ioctl(fd, FIONBIO, (long)&one);
	return true;
}

void
co_fd_lend_end(int fd, struct co_fd *s)
{
	int zero = 0, err = errno;

	real.ioctl(fd, FIONBIO, (long)&zero);
	atomic_fetch_and(&s->flags, (uint8_t)~CO_FDF_BORROWED);
	errno = err;
}

COHOOK_EXPORT int
connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	sa_family_t family = AF_UNSPEC;
	struct co_io io;
	int r, late;

	co_socket_begin(&io, fd, CO_OUT, 0, "connect");
	if (likely(io.slot == NULL) || co_fd_nonblock(fd, io.slot) ||
	    !co_get(&family, addr, sizeof(family)))
		return real.connect(fd, addr, len);
	if ((family != AF_INET && family != AF_INET6) ||
	    !co_fd_lend(fd, io.slot)) {
		/* A Unix socket's full backlog cannot be polled for. */
		co_region_begin("connect", family != AF_UNIX);
		r = real.connect(fd, addr, len);
		co_region_end();
		return r;
	}
	r = real.connect(fd, addr, len);
	co_fd_lend_end(fd, io.slot);
	if (r == 0 || (errno != EINPROGRESS && errno != EALREADY)) {
		if (r == 0)
			errno = io.saved_errno;
		return r;
	}
	late = errno;
	while (co_io_look(fd, POLLOUT) == 0)
		if (co_io_wait(&io) != 0) {
			if (errno == EAGAIN)
				errno = late; /* SO_SNDTIMEO */
			return -1;
		}
	/* Asking again brings the answer, and the socket into the state that
	 * a blocking connect would have left it in. */
	r = real.connect(fd, addr, len);
	if (r < 0 && errno == EISCONN)
		r = 0;
	if (r == 0)
		errno = io.saved_errno;
	return r;
}
COHOOK_ALIAS(__connect, connect);
CO_CALL(connect);

COHOOK_EXPORT int
shutdown(int fd, int how)
{
	return real.shutdown(fd, how); /* the kernel wakes who waits */
}

COHOOK_EXPORT int
setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int r = real.setsockopt(fd, level, name, value, len);
	struct co_fd *s;

	if (likely(!co_active) || r != 0 || co_tls.vforked)
		return r;
	s = co_fd_if(fd);
	if (s == NULL)
		return r;
	/* By level and name: 20 and 21 are other things at other levels. */
	if (level == SOL_SOCKET &&
	    (name == SO_RCVTIMEO || name == SO_SNDTIMEO ||
	     name == 66 || name == 67)) {
		s->timeout[CO_IN] = s->timeout[CO_OUT] = -1; /* ask */
		if (s->flags & CO_FDF_DUPPED)
			atomic_fetch_add(&co_fd_shares, 1);
	}
	if (level == SOL_SOCKET && name == SO_RCVLOWAT)
		atomic_fetch_or(&s->flags, CO_FDF_LOWAT);
	/* Records: a short read means nothing then. */
	if (level == IPPROTO_TCP && name == TCP_ULP)
		atomic_fetch_and(&s->flags, (uint8_t)~CO_FDF_TCP);
	return r;
}
CO_CALL(setsockopt);
