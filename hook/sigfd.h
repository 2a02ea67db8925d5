/* SPDX-License-Identifier: MIT */
/* sigfd.h - signalfds.  What is pending for the process the kernel knows; what
 * is queued for the caller alone it is lent while it is asked (lend.c), of a
 * signalfd or of what may contain one. */
#ifndef COHOOK_SIGFD_H
#define COHOOK_SIGFD_H

#include "hook/wait.h"

/* Of a descriptor that is no file: CO_FD_SIGNAL, CO_FD_EPOLL or CO_FD_OTHER.
 * Only asked where the process has signalfds. */
enum co_fd_kind co_sigfd_kind(int fd);

/* A read(2) of one, that does not wait; want: bytes in iov. */
ssize_t co_sigfd_try(struct co_io *io, const struct iovec *iov, int n,
		     size_t want);

/* True: co_lend_end() is to follow, after one raw system call. */
static inline bool
co_sigfd_lend(struct co *self, struct co_lent *l)
{
	if (likely(!co_sigfds) || (self->npending == 0 && self->m->nudged == 0))
		return false;
	co_lend(self, l);
	return true;
}

/* Something seems to be there, but a nudge of ours has come while the kernel was
 * asked, or is about to: ask again, for it may have been that. */
static inline bool
co_sigfd_nudged(struct co *self, int *tries)
{
	enum { MOST = 100 };

	return unlikely(co_sigfds) && self->m->nudged != 0 && ++*tries < MOST;
}

/* Is fd a set of epoll(7) that is readable by what is queued for the caller? */
bool co_sigep_ready(struct co *self, int fd);

/* epoll_wait(2) has given n events of at most max: add what is queued for the
 * caller.  Their number then. */
int co_sigep_add(struct co *self, int epfd, struct epoll_event *ev, int n,
		 int max);

/* Descriptors have come with a message. */
void co_sigfd_came(const struct msghdr *m);

/* At the start of the runtime: there may be some already. */
void co_sigfd_init(void);

#endif
