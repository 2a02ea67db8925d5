/* SPDX-License-Identifier: MIT */
/* fd.h - the table of descriptors, and waiting for one.
 *
 * Process-wide, two levels, never locked to read; each slot has a generation,
 * which close() moves on.  An fd is added to epoll once in its life,
 * edge-triggered, in both directions.  So that no edge is lost, each direction
 * counts its events: who was told EAGAIN waits only if nothing has come since
 * it looked at the count, before it tried.
 */
#ifndef COHOOK_FD_H
#define COHOOK_FD_H

#include "sched/co.h"

enum co_fd_kind {
	CO_FD_UNKNOWN,  /* ask fstat(2) */
	CO_FD_SOCKET,
	CO_FD_PIPE,
	CO_FD_OTHER,    /* tty, eventfd, ...: may wait, may not be asked to */
	CO_FD_SIGNAL,   /* signalfd(2): what is in it, the reader decides */
	CO_FD_EPOLL,    /* a set; OTHER while there is no signalfd */
	CO_FD_FILE,     /* regular, directory, block: never waits in epoll */
};

enum { CO_IN, CO_OUT, CO_DIRS };

struct co_fd {
	struct co_lock lock;
	_Atomic uint32_t epoch;  /* of the process: a fork begins another */
	_Atomic uint32_t gen;
	_Atomic uint32_t seq[CO_DIRS];   /* events so far */
	struct co_fd_wait *waits[CO_DIRS];
	struct co_fd_wait *turns;        /* those of CO_IN who wait in turn */
	_Atomic uint8_t registered;      /* in epoll */
	_Atomic uint8_t kind;
	_Atomic uint8_t flags;           /* CO_FD_*: below */
	_Atomic uint8_t nowait[CO_DIRS]; /* 2: RWF_NOWAIT is not understood */
	uint32_t empty_seq;      /* seq[CO_IN] when a read last came up short */
	_Atomic uint8_t empty;   /* empty_seq counts */
	_Atomic int64_t timeout[CO_DIRS]; /* SO_*TIMEO, ns; 0 none, -1 ask */
	uint32_t shared_at;      /* co_fd_shares when it was made by us */
	_Atomic uint32_t takes;  /* an epoll set: calls that took from it, */
	_Atomic uint32_t taking; /* and those that do so now */
};

enum {
	CO_FDF_TCP = 1,      /* a short read means that it is empty */
	CO_FDF_HUP = 2,      /* hang-up, error or urgent data was seen: not so */
	CO_FDF_OURS = 4,     /* made by a call of ours: flags below are known */
	CO_FDF_NONBLOCK = 8, /* O_NONBLOCK is set (only with OURS) */
	CO_FDF_DUPPED = 16,  /* other numbers lead to the same description */
	CO_FDF_BORROWED = 32,/* O_NONBLOCK is ours, for the length of a call */
	CO_FDF_ASKED = 64,   /* whether it is TCP: the kernel was asked */
	CO_FDF_LOWAT = 128,  /* SO_RCVLOWAT may not be 1 */
};

/* Moved on whenever somebody else may have come to share our descriptions:
 * fork, descriptors passed, flags set through another number. */
extern _Atomic uint32_t co_fd_shares;

/* The slot of fd; NULL for negative numbers and for want of memory. */
struct co_fd *co_fd(int fd);
/* The slot if it was ever used. */
struct co_fd *co_fd_if(int fd);

/* What the table knew of fd is void: it is being closed, or is new.  Whoever
 * waits gets CO_CLOSED.  Call it before the close, and co_fd_closed() after. */
void co_fd_forget(int fd);
void co_fd_closed(int fd);
/* The same for all of a range, both ends included. */
void co_fd_forget_range(unsigned first, unsigned last);
void co_fd_closed_range(unsigned first, unsigned last);
/* The epoll set is gone: who waits looks again, and enters the next. */
void co_fd_renew_all(void);

/* co_fd_enter - arm the caller's parker and queue w.
 *
 * gen, seq  the slot's, as read before the call was last tried
 * Returns   0: park.  1: something came since: try again, w is not queued.
 *           -EBADF: closed since.  -EPERM: never waits (a regular file).
 *           Other: epoll cannot help (-ENOMEM, -ENOSPC, -ELOOP ...).
 */
int co_fd_enter(struct co_fd_wait *w, int fd, struct co_fd *slot, int dir,
		uint32_t gen, uint32_t seq);

/* co_fd_enter_turn - the same, to take one of what may be many: a connection,
 * or events from an epoll set.
 *
 * Of those who wait so, in the order in which they came, an event wakes one, as
 * in the kernel.  It may stand for more than one thing to take; so it is that
 * one's turn, until it has found nothing, or passes the turn on: when it has
 * taken something, and before it does anything else, such as to run a handler.
 * Who has not waited need not: it only takes. */
int co_fd_enter_turn(struct co_fd_wait *w, int fd, struct co_fd *slot,
		     uint32_t gen, uint32_t seq);
/* self, the caller, has been woken in its turn. */
static inline void
co_fd_has_turn(struct co *self, struct co_fd *slot, uint32_t gen)
{
	self->turn = slot;
	self->turn_gen = gen;
}
void co_fd_pass(struct co *self);

/* The same for those who wait for several, and have armed p.  seq NULL: they
 * look again themselves after entering. */
int co_fd_enter_any(struct co_fd_wait *w, int fd, struct co_fd *slot, int dir,
		    uint32_t gen, const uint32_t *seq, struct co_parker *p);
void co_fd_leave(struct co_fd_wait *w);

void co_fd_forked(void);

/* From the poller; before it, of several that come: first their slots are
 * asked of memory, then who waits there. */
void co_fd_event(uint64_t data, uint32_t events);
void co_fd_prefetch(uint64_t data);
void co_fd_prefetch_waits(uint64_t data);
/* 0 or -errno. */
int co_poller_add(int fd, uint32_t gen);
void co_poller_del(int fd);

#endif
