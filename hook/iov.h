/* SPDX-License-Identifier: MIT */
/* iov.h - a copy of the program's vector, which a call in pieces eats up. */
#ifndef COHOOK_IOV_H
#define COHOOK_IOV_H

#include <limits.h>
#include <stdlib.h>

#include "hook/wait.h"

enum { CO_IOV_FEW = 8 };

/* What the kernel moves at most in one call (MAX_RW_COUNT): of more than that
 * it is the whole answer. */
enum { CO_RW_MOST = INT_MAX & ~4095 };

struct co_iov {
	struct iovec few[CO_IOV_FEW], *all; /* all: few, or the heap's */
	struct iovec *v;                    /* what is left of it: */
	size_t n;
	size_t total;                       /* bytes, CO_RW_MOST at most */
};

/* co_iov_take - copy n elements from the program.
 *
 * Returns 0; -1 where the kernel is to say what is wrong (a bad pointer, too
 * many, a length that is none), or where there is no memory. */
static inline int
co_iov_take(struct co_iov *t, const struct iovec *user, size_t n)
{
	size_t i;

	t->all = t->few;
	if (n > IOV_MAX)
		return -1;
	if (n > CO_IOV_FEW) {
		t->all = malloc(n * sizeof(*t->all));
		if (t->all == NULL)
			return -1;
	}
	t->v = t->all;
	t->n = n;
	t->total = 0;
	if (!co_get(t->all, user, n * sizeof(*user)))
		goto fail;
	for (i = 0; i < n; i++) {
		if (t->all[i].iov_len > SSIZE_MAX - t->total)
			goto fail;
		t->total += t->all[i].iov_len;
	}
	if (t->total > CO_RW_MOST)
		t->total = CO_RW_MOST;
	return 0;
fail:
	if (t->all != t->few)
		free(t->all);
	return -1;
}

static inline void
co_iov_free(struct co_iov *t)
{
	if (t->all != t->few)
		free(t->all);
}

/* rw.c: write(2), readv(2) and writev(2) after co_io_begin(). */
ssize_t co_write(struct co_io *io, const void *buf, size_t n);
ssize_t co_readv(struct co_io *io, const struct iovec *iov, int n);
ssize_t co_writev(struct co_io *io, const struct iovec *iov, int n);

/* socket.c: the rest of a message that went or came in part, up to least: no
 * addresses, no control data, which go with the first byte.  Returns how much
 * of it has gone by then, done included: at least that. */
ssize_t co_msg_rest(struct co_io *io, struct co_iov *t, size_t done,
		    size_t least, int flags);
/* How much of n bytes a recv(2) that waits waits for. */
size_t co_recv_least(const struct co_io *io, size_t n, int flags);
bool co_recv_never_waits(int fd, int flags);
/* co_io_begin() for a call of sockets alone, with its flags. */
static inline void
co_socket_begin(struct co_io *io, int fd, int dir, int flags, const char *why)
{
	co_io_begin(io, fd, dir, why);
	if (io->slot == NULL)
		return;
	if (co_fd_kind_of(fd, io->slot) != CO_FD_SOCKET)
		io->slot = NULL; /* ENOTSOCK or EBADF, from the real call */
	else
		io->dontwait = dir == CO_IN ? co_recv_never_waits(fd, flags)
					    : flags & MSG_DONTWAIT;
}

/* Do descriptors go with it to another process?  It may set O_NONBLOCK on what
 * they refer to. */
bool co_msg_passes_rights(const struct msghdr *m);

/* Go past what has gone. */
static inline void
co_iov_advance(struct co_iov *t, size_t gone)
{
	while (t->n > 0 && gone >= t->v->iov_len) {
		gone -= t->v->iov_len;
		t->v++;
		t->n--;
	}
	if (t->n > 0) {
		t->v->iov_base = (char *)t->v->iov_base + gone;
		t->v->iov_len -= gone;
	}
}

#endif
