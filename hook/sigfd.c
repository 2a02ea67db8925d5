/* SPDX-License-Identifier: MIT */
/* sigfd.c - signalfds: which descriptors are, and reading them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/sigfd.h"

_Atomic int co_sigfds;

/* --- which they are --- */

enum co_fd_kind
co_sigfd_kind(int fd)
{
	char path[32], link[32] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	sys3(SYS_readlink, path, link, sizeof(link) - 1);
	if (strcmp(link, "anon_inode:[signalfd]") == 0)
		return CO_FD_SIGNAL;
	if (strcmp(link, "anon_inode:[eventpoll]") == 0)
		return CO_FD_EPOLL;
	return CO_FD_OTHER;
}

/* There is one from now on.  Who waits already, for a set of epoll(7) perhaps,
 * has not arranged to be woken for it: let all look again. */
static void
there_is_one(void)
{
	struct co *co;

	if (co_sigfds || atomic_exchange(&co_sigfds, 1))
		return;
	co_critical_begin();
	co_lock(&co_all_lock);
	for (co = co_all; co != NULL; co = co->all_next)
		if (co->may_interrupt)
			co_claim_and_wake(&co->parker, CO_SIGNAL);
	co_unlock(&co_all_lock);
	co_critical_end();
}

/* Of those that a message brings, and that a program is started with. */
static void
look_at(int fd)
{
	if (!co_sigfds && co_sigfd_kind(fd) == CO_FD_SIGNAL)
		there_is_one();
}

void
co_sigfd_came(const struct msghdr *m)
{
	struct cmsghdr *c;
	size_t i, n;
	int fd;

	for (c = CMSG_FIRSTHDR(m); c != NULL;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			look_at(fd);
		}
	}
}

/* linux/dirent.h has it for nobody. */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

void
co_sigfd_init(void)
{
	_Alignas(struct entry) char buf[4096];
	int dir = (int)sys3(SYS_open, "/proc/self/fd",
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	const struct entry *e;
	const char *s;
	long n, at;
	int fd;

	while (dir >= 0 && !co_sigfds &&
	       (n = sys3(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
		for (at = 0; at < n; at += e->len) {
			e = (const struct entry *)(buf + at);
			for (s = e->name, fd = 0; *s >= '0' && *s <= '9'; s++)
				fd = fd * 10 + *s - '0';
			if (s != e->name)
				look_at(fd);
		}
	if (dir >= 0)
		sys1(SYS_close, dir);
}

static int
made(int of, int fd, int flags)
{
	if (likely(!co_active) || fd < 0)
		return fd;
	if (of == -1)
		co_fd_made(fd, CO_FD_SIGNAL,
			   flags & SFD_NONBLOCK ? O_NONBLOCK : 0);
	there_is_one();
	return fd;
}

COHOOK_EXPORT int
signalfd(int fd, const sigset_t *mask, int flags)
{
	return made(fd, real.signalfd(fd, mask, flags), flags);
}

/* By number: the kernel sees to what size the set has. */
long
co_signalfd_raw(long nr, const long a[6])
{
	int flags = nr == SYS_signalfd4 ? (int)a[3] : 0;

	return made((int)a[0],
		    (int)real.syscall(nr, a[0], a[1], a[2], flags, 0, 0),
		    flags);
}

/* --- reading --- */

enum { SOME = 8, SIGNALS = 65 };
typedef struct signalfd_siginfo info;

/* To the program, at that offset of its vector. */
static bool
put_at(const struct iovec *iov, int n, size_t at, const void *from, size_t len)
{
	const char *src = from;
	size_t part;

	for (; len > 0 && n > 0; iov++, n--) {
		if (at >= iov->iov_len) {
			at -= iov->iov_len;
			continue;
		}
		part = iov->iov_len - at < len ? iov->iov_len - at : len;
		if (!co_put((char *)iov->iov_base + at, src, part))
			return false;
		src += part;
		len -= part;
		at = 0;
	}
	return len == 0;
}

/* Without RWF_NOWAIT (Linux before 6.10) it is asked first. */
static long
read_now(struct co_io *io, info *si, int n)
{
	struct iovec v = { si, (size_t)n * sizeof(*si) };
	struct pollfd p = { io->fd, POLLIN, 0 };
	long r = -EOPNOTSUPP;

	if (io->slot->nowait[CO_IN] != 2) {
		r = sys6(SYS_preadv2, io->fd, &v, 1, -1, -1, 8 /* NOWAIT */);
		if (r == -EINVAL || r == -ENOSYS)
			r = -EOPNOTSUPP;
	}
	if (r != -EOPNOTSUPP)
		return r;
	io->slot->nowait[CO_IN] = 2;
	if (sys3(SYS_poll, &p, 1, 0) <= 0)
		return -EAGAIN;
	return sys3(SYS_read, io->fd, si, v.iov_len);
}

/* Up to n of them; nudges, which are no signals, left out.  *full: as many as
 * there was room for. */
static long
read_some(struct co_io *io, info *si, int n, bool *full)
{
	uint16_t taken[SIGNALS] = { 0 };
	bool lent = false;
	struct co_lent l;
	int i, k = 0;
	long r;

	lent = co_sigfd_lend(io->self, &l);
	r = read_now(io, si, n);
	for (i = 0; r > 0 && i < r / (long)sizeof(*si); i++) {
		if (si[i].ssi_code == SI_QUEUE &&
		    co_sig_is_nudge_value(si[i].ssi_ptr))
			continue;
		if (si[i].ssi_signo < SIGNALS)
			taken[si[i].ssi_signo]++;
		si[k++] = si[i];
	}
	if (lent)
		co_lend_end(io->self, &l, taken);
	*full = r == n * (long)sizeof(*si);
	return r < 0 ? r : k;
}

ssize_t
co_sigfd_try(struct co_io *io, const struct iovec *iov, int n, size_t want)
{
	size_t room = want / sizeof(info), done = 0;
	info si[SOME];
	bool full;
	long r;

	if (room == 0)
		return real.readv(io->fd, iov, n); /* EINVAL */
	do {
		r = read_some(io, si, room < SOME ? (int)room : SOME, &full);
		if (r > 0 && !put_at(iov, n, done * sizeof(*si), si,
				     (size_t)r * sizeof(*si)))
			r = -EFAULT;
		if (r > 0) {
			done += (size_t)r;
			room -= (size_t)r;
		}
	} while (r >= 0 && room > 0 && (full || done == 0));
	if (done > 0)
		return (ssize_t)(done * sizeof(*si));
	errno = (int)-r;
	return -1;
}
