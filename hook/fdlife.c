/* SPDX-License-Identifier: MIT */
/* fdlife.c - descriptors made, duplicated, changed and closed: the books. */
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/region.h"

/* Books are kept while the runtime stands, whoever calls, but not for the
 * child of a vfork, whose descriptors are its own. */
static inline bool
booked(void)
{
	return co_active && !co_tls.vforked;
}

void
co_fd_made(int fd, enum co_fd_kind kind, int flags)
{
	struct co_fd *s;

	if (fd < 0 || !booked())
		return;
	s = co_fd(fd);
	if (s == NULL)
		return;
	co_fd_forget(fd); /* closed behind our back, then */
	s->timeout[CO_IN] = s->timeout[CO_OUT] = kind == CO_FD_SOCKET ? -1 : 0;
	s->shared_at = co_fd_shares;
	s->flags = CO_FDF_OURS | (flags & O_NONBLOCK ? CO_FDF_NONBLOCK : 0);
	s->kind = kind;
}

COHOOK_EXPORT int
socket(int domain, int type, int protocol)
{
	int fd = real.socket(domain, type, protocol);
	struct co_fd *s;

	if (likely(!co_active) || fd < 0)
		return fd;
	co_fd_made(fd, CO_FD_SOCKET, type & SOCK_NONBLOCK ? O_NONBLOCK : 0);
	s = co_fd_if(fd);
	if (s != NULL && booked()) {
		s->timeout[CO_IN] = s->timeout[CO_OUT] = 0;
		if ((domain == AF_INET || domain == AF_INET6) &&
		    (type & 0xf) == SOCK_STREAM &&
		    (protocol == 0 || protocol == IPPROTO_TCP))
			s->flags |= CO_FDF_TCP;
	}
	return fd;
}
CO_CALL(socket);

COHOOK_EXPORT int
socketpair(int domain, int type, int protocol, int sv[2])
{
	int r = real.socketpair(domain, type, protocol, sv);
	int fl = type & SOCK_NONBLOCK ? O_NONBLOCK : 0;

	if (unlikely(co_active) && r == 0) {
		co_fd_made(sv[0], CO_FD_SOCKET, fl);
		co_fd_made(sv[1], CO_FD_SOCKET, fl);
	}
	return r;
}
CO_CALL(socketpair);

COHOOK_EXPORT int
pipe2(int fds[2], int flags)
{
	int r = real.pipe2(fds, flags);

	if (unlikely(co_active) && r == 0) {
		co_fd_made(fds[0], CO_FD_PIPE, flags);
		co_fd_made(fds[1], CO_FD_PIPE, flags);
	}
	return r;
}
CO_CALL(pipe2);

COHOOK_EXPORT int
pipe(int fds[2])
{
	int r = real.pipe(fds);

	if (unlikely(co_active) && r == 0) {
		co_fd_made(fds[0], CO_FD_PIPE, 0);
		co_fd_made(fds[1], CO_FD_PIPE, 0);
	}
	return r;
}
COHOOK_ALIAS(__pipe, pipe);
CO_CALL(pipe);

/* Waiters are woken first and the descriptor closed after: once closed, the
 * number may be another thread's new file, and they would wait on that one. */
static int
close_(int fd)
{
	int r;

	if (likely(!booked()))
		return real.close(fd);
	if (co_is_our_fd(fd)) {
		errno = EBADF;
		return -1;
	}
	co_fd_forget(fd);
	r = real.close(fd);
	co_fd_closed(fd);
	return r;
}

COHOOK_EXPORT int
close(int fd)
{
	return close_(fd);
}
COHOOK_ALIAS(__close, close);
CO_CALL(close);

static int
raw_close_range(unsigned first, unsigned last, int flags)
{
	long r = sys3(SYS_close_range, first, last, flags);

	if (r >= 0)
		return (int)r;
	errno = (int)-r;
	return -1;
}

/* Around our own, which the program does not know of. */
static int
close_around(unsigned first, unsigned last, int flags)
{
	unsigned at = first;
	int ours, r = 0;

	while (r == 0 && at <= last) {
		ours = co_our_fd_from((int)(at > INT_MAX ? INT_MAX : at));
		if (ours < 0 || (unsigned)ours > last)
			return raw_close_range(at, last, flags);
		if ((unsigned)ours > at)
			r = raw_close_range(at, (unsigned)ours - 1, flags);
		at = (unsigned)ours + 1;
	}
	return r;
}

CO_CALL_OF(unshare);

COHOOK_EXPORT int
close_range(unsigned first, unsigned last, int flags)
{
	int r;

	/* A table of the thread's own: it is pinned, as by unshare(2). */
	if (unlikely(booked()) && first <= last &&
	    (flags == (int)CLOSE_RANGE_UNSHARE ||
	     flags == (int)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)))
		co_call_unshare(CLONE_FILES);
	if (likely(!booked()) || first > last ||
	    flags & (int)(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE))
		return real.close_range(first, last, flags);
	co_fd_forget_range(first, last);
	r = close_around(first, last, flags);
	co_fd_closed_range(first, last);
	return r;
}
CO_CALL(close_range);

COHOOK_EXPORT void
closefrom(int from)
{
	if (likely(!booked()))
		real.closefrom(from);
	else
		close_range(from < 0 ? 0 : (unsigned)from, ~0U, 0);
}

COHOOK_EXPORT int
fclose(FILE *f)
{
	int fd, r;

	if (likely(!booked()))
		return real.fclose(f);
	fd = fileno_unlocked(f);
	if (fd < 0)
		return real.fclose(f);
	fflush(f); /* while the books still hold */
	co_fd_forget(fd);
	r = real.fclose(f);
	co_fd_closed(fd);
	return r;
}

/* to is another number of what fd refers to. */
static void
duplicated(int fd, int to)
{
	struct co_fd *from = co_fd(fd), *s = co_fd(to);
	uint8_t flags;

	if (from == NULL || s == NULL)
		return;
	flags = atomic_fetch_or(&from->flags, CO_FDF_DUPPED) | CO_FDF_DUPPED;
	s->shared_at = from->shared_at;
	s->timeout[CO_IN] = from->timeout[CO_IN];
	s->timeout[CO_OUT] = from->timeout[CO_OUT];
	s->flags = flags & (uint8_t)~(CO_FDF_HUP | CO_FDF_BORROWED);
	s->kind = from->kind;
}

COHOOK_EXPORT int
dup(int fd)
{
	int r = real.dup(fd);

	if (unlikely(booked()) && r >= 0) {
		co_fd_forget(r);
		duplicated(fd, r);
	}
	return r;
}
CO_CALL(dup);

static int
dup_over(int fd, int to, int flags, bool three)
{
	int r;

	if (likely(!booked()) || fd == to || to < 0 ||
	    real.fcntl(fd, F_GETFD, 0) < 0)
		return three ? real.dup3(fd, to, flags) : real.dup2(fd, to);
	if (co_is_our_fd(to)) {
		errno = EBADF;
		return -1;
	}
	co_fd_forget(to);
	r = three ? real.dup3(fd, to, flags) : real.dup2(fd, to);
	co_fd_closed(to);
	if (r >= 0)
		duplicated(fd, to);
	return r;
}

COHOOK_EXPORT int
dup2(int fd, int to)
{
	return dup_over(fd, to, 0, false);
}
COHOOK_ALIAS(__dup2, dup2);
CO_CALL(dup2);

COHOOK_EXPORT int
dup3(int fd, int to, int flags)
{
	return dup_over(fd, to, flags, true);
}
CO_CALL(dup3);

/* O_NONBLOCK was set or cleared through fd. */
static void
nonblock_set(int fd, bool on)
{
	struct co_fd *s = co_fd_if(fd);

	if (s == NULL)
		return;
	if (on)
		atomic_fetch_or(&s->flags, CO_FDF_NONBLOCK);
	else
		atomic_fetch_and(&s->flags, (uint8_t)~CO_FDF_NONBLOCK);
	/* The other numbers do not know: let all ask. */
	if (s->flags & CO_FDF_DUPPED || !(s->flags & CO_FDF_OURS))
		atomic_fetch_add(&co_fd_shares, 1);
}

static int
call_fcntl(int fd, int cmd, long arg, bool is64)
{
	return is64 ? real.fcntl64(fd, cmd, arg) : real.fcntl(fd, cmd, arg);
}

/* Tried first, for most locks are free. */
static int
lock_file(struct co *self, int fd, int cmd, long arg, bool is64)
{
	int try = cmd == F_SETLKW ? F_SETLK : F_OFD_SETLK, saved = errno, r;

	co_cancel_point(self); /* to try is none */
	r = call_fcntl(fd, try, arg, is64);
	if (r == 0 || (errno != EAGAIN && errno != EACCES))
		return r;
	errno = saved;
	IN_REGION(r, -1, self, "fcntl", true, call_fcntl(fd, cmd, arg, is64));
	return r;
}

static int
fcntl_(int fd, int cmd, long arg, bool is64)
{
	struct co *self;
	int r;

	if (likely(!booked()))
		return call_fcntl(fd, cmd, arg, is64);
	self = co_here();
	if (self != NULL && (cmd == F_SETLKW || cmd == F_OFD_SETLKW))
		return lock_file(self, fd, cmd, arg, is64);
	r = call_fcntl(fd, cmd, arg, is64);
	if (r < 0)
		return r;
	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		co_fd_forget(r);
		duplicated(fd, r);
		break;
	case F_SETFL:
		nonblock_set(fd, arg & O_NONBLOCK);
		break;
	}
	return r;
}

/* One argument at most, and it is a register's worth whatever its type. */
COHOOK_EXPORT int
fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return fcntl_(fd, cmd, arg, false);
}
COHOOK_ALIAS(__fcntl, fcntl);
CO_CALL(fcntl);

COHOOK_EXPORT int
fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return fcntl_(fd, cmd, arg, true);
}

COHOOK_EXPORT int
ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	long arg;
	int r;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	r = real.ioctl(fd, request, arg);
	if (unlikely(booked()) && request == FIONBIO && r == 0)
		nonblock_set(fd, *(int *)arg != 0);
	return r;
}
CO_CALL(ioctl);
