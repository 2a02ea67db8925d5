/* SPDX-License-Identifier: MIT */
/* wait.h - what the hooks share: am I in a coroutine, deadlines, EINTR, and
 * the loop of a call that waits for a descriptor. */
#ifndef COHOOK_WAIT_H
#define COHOOK_WAIT_H

#include <errno.h>

#include "ctx/copy.h"
#include "hook/real.h"
#include "sched/co.h"
#include "sched/fd.h"

/* The calling coroutine if a call of it may park; else libc's own call is
 * right: dormant, a kernel thread not ours, the child of a vfork. */
static inline struct co *
co_here(void)
{
	if (likely(!co_active))
		return NULL;
	if (unlikely(co_tls.nopark | co_tls.vforked))
		return NULL;
	return co_tls.self;
}

/* A cancellation point of ours: nothing may be armed, queued or locked, as for
 * a handler that leaves by longjmp(3).  glibc has the state, the type and the
 * request, and unwinds from here. */
static inline void
co_cancel_point(struct co *self)
{
	if (unlikely(self->cancel))
		pthread_testcancel();
}

/* The same in any thread. */
static inline void
co_cancel_here(void)
{
	if (unlikely(co_tls.self == NULL || co_tls.self->cancel))
		pthread_testcancel();
}

/* sigfd.c: the process has signalfds, and whoever waits for a descriptor may
 * wait for one of these. */
extern _Atomic int co_sigfds;

/* co_sig_watch - self, which has armed its parker, waits for signals that are
 * blocked as well, until co_sig_watch_end().
 *
 * sigseq  self->sigseq, as read before the kernel was last asked
 * Returns true: one has been queued since then: look again. */
static inline bool
co_sig_watch(struct co *self, uint32_t sigseq)
{
	atomic_store(&self->sigwait, ~UINT64_C(0));
	return atomic_load(&self->sigseq) != sigseq;
}

static inline void
co_sig_watch_end(struct co *self)
{
	if (unlikely(co_sigfds))
		atomic_store(&self->sigwait, 0);
}

/* A loop of tries on a descriptor. */
struct co_io {
	int fd, dir;
	struct co *self;       /* NULL: not ours to wait for */
	struct co_fd *slot;
	uint32_t gen, seq, sigseq;
	int64_t deadline;      /* -1: not yet asked */
	int64_t again;         /* ns until it tries again unasked; 0: never */
	unsigned interrupted, handled;
	int saved_errno;
	bool timed;            /* SO_*TIMEO is set: then a handler interrupts
	                        * whatever SA_RESTART says, signal(7) */
	bool in_turn;          /* an event is for one: co_fd_enter_turn() */
	bool dontwait;         /* the call itself says not to wait */
	bool sent;             /* some of it has gone: an error is a count */
	int nowait;            /* MSG_DONTWAIT; 0: it would not wait, see
	                        * is_at_end() in io.c */
	const char *why;
};

/* co_io_begin - about to try a call on fd.
 *
 * Call it before the try: it notes what has happened on the descriptor so
 * far. io->slot NULL: pass through. */
void co_io_begin(struct co_io *io, int fd, int dir, const char *why);

/* co_io_again - the try answered r.  True: it has waited, try again.  False:
 * r and errno are the answer.  errno is put back where r is a success. */
bool co_io_again(struct co_io *io, ssize_t r);

/* Wait until there is something; 0, or -1 with errno. Used by io_again, and
 * by those that know without a try. */
int co_io_wait(struct co_io *io);

/* What poll(2) says at once of events of fd; a handler that runs in the middle
 * of it is no answer.  errno stays. */
int co_io_look(int fd, short events);

/* Whoever makes a call of io->in_turn passes the turn on in the end, if the call
 * has it still; in a noinline function that begins with PASSES_TURN, for then a
 * cancellation that leaves it does so as well (see once.c). */
#define PASSES_TURN __asm__ volatile(".cfi_personality 0x1b, co_turn_unwound")
int co_turn_unwound(int version, int actions, uint64_t class, void *what,
		    void *context);
static inline void
co_pass_turn(struct co *self)
{
	if (unlikely(self != NULL && self->turn != NULL))
		co_fd_pass(self);
}

/* An error waits on the socket.  Where some of a call has gone, that is the
 * answer, and the error is for the next call to find: to try again takes it. */
bool co_in_error(int fd);

/* rw.c: read(2) after co_io_begin(). */
ssize_t co_read(struct co_io *io, void *buf, size_t n);

/* Whoever read last came up short on TCP, and so emptied it; the peer has not
 * hung up, and nothing has come since seq was read. */
static inline bool
co_fd_known_empty(const struct co_fd *s, uint32_t seq)
{
	return s->empty && s->empty_seq == seq && s->registered &&
	       (s->flags & (CO_FDF_TCP | CO_FDF_HUP | CO_FDF_OURS)) ==
		       (CO_FDF_TCP | CO_FDF_OURS) &&
	       s->shared_at == co_fd_shares;
}

/* All of it is memory.  (That it may be written to is not looked at: that would
 * be to write.)  What was so once is not looked at again. */
bool co_is_memory(struct co *self, const struct iovec *v, int n);

/* A read of up to want bytes into v, which began at io->seq, answered r.  Short
 * is also one that comes to where no memory is, though there is more. */
static inline void
co_fd_note_empty(struct co_io *io, ssize_t r, size_t want,
		 const struct iovec *v, int n)
{
	io->slot->empty_seq = io->seq;
	io->slot->empty = r > 0 ? (size_t)r < want &&
					  co_is_memory(io->self, v, n)
				: r < 0 && errno == EAGAIN;
}

/* What kind of descriptor, asked of fstat(2) once. */
enum co_fd_kind co_fd_kind_of(int fd, struct co_fd *slot);

/* Has the program itself set O_NONBLOCK? */
bool co_fd_nonblock(int fd, struct co_fd *slot);

/* The clocks by which the times are that the program's calls bring: libc's, or
 * what stands between that and us and makes another of it. */
extern int (*co_clock_seen)(clockid_t clock, struct timespec *ts);
extern bool co_clock_differs;

/* timespec to an absolute deadline. clock CLOCK_REALTIME or _MONOTONIC. */
int64_t co_deadline_abs(clockid_t clock, const struct timespec *ts);
int64_t co_deadline_after(int64_t ns);
static inline bool
co_ts_valid(const struct timespec *ts)
{
	return ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

/* From the program's memory, or to it; false: EFAULT. */
static inline bool
co_get(void *dst, const void *user, size_t n)
{
	return co_copy(dst, user, n) == 0;
}

static inline bool
co_put(void *user, const void *src, size_t n)
{
	return co_copy(user, src, n) == 0;
}

/* thread.c: the coroutine of a pthread_t, NULL if it is none (any more). */
struct co *co_of_thread(pthread_t th);
struct co_tls *co_tls_of_thread(pthread_t th);
/* This process was forked by a kernel thread: all are. */
extern bool co_orphaned;
/* A kernel thread of the program's own. */
int co_create_native(pthread_t *th, const pthread_attr_t *attr,
		     void *(*fn)(void *), void *arg);
/* pthread_setname_np(3), pthread_getname_np(3). */
int co_set_name(pthread_t th, const char *name);
int co_get_name(pthread_t th, char *name, size_t n);
/* key.c: run the destructors of the calling thread's keys. */
void co_keys_destroy(void);
void co_keys_destroy_last(void);
extern pthread_key_t co_last_key;
void co_signals_init(void);
void co_signals_undo(void);
void co_dump_init(void);
/* signal.c: the handler came in a critical section, and is to come again. */
void co_put_off(int sig, siginfo_t *info, void *uc);
/* cancel.c: glibc's signal for it (nptl/pthreadP.h), sent to the caller. */
void co_cancel_now(void);
void co_fork_init(void);
/* pin.c: another thread asks the caller to change itself; it comes as if it were
 * a signal of that number. */
void co_pin_asked(void *request);
void co_pin_init(void);
/* The id by which the kernel knows co's state: that of the caller itself (0), of
 * a pinned one's thread, or of one that has never been changed. */
pid_t co_kernel_tid(const struct co *co);
/* co, not main, is pinned: its kernel thread's id; 0: it cannot be, or computes
 * for long and has not noticed yet. */
pid_t co_pinned_tid(struct co *co);
/* clock.c: whose CPU clock it is, NULL: no coroutine's; and the other way. */
struct co *co_of_clock(clockid_t clock);
/* cputimer.c: libc has made this timer, by the clock of co; NULL: by another. */
void co_cpu_timer_made(timer_t t, struct co *co);
clockid_t co_clock_of(const struct co *co);
/* sigwait.c: by the number that gettid() gave; NULL: a kernel thread's. */
struct co *co_of_tid(pid_t tid);
void co_setxid_forked(void); /* setxid.c */
void co_life_init(void);
/* signal.c: has the program a handler for it?  pthread_sigmask(3), by us. */
bool co_is_handled(int sig);
int co_sigmask(int how, const sigset_t *set, sigset_t *old);
/* sigwait.c: a call of self, the caller, has failed, and with that goes a signal
 * to its thread: if it is blocked it is not to stay with the kernel thread. */
void co_sig_own(struct co *self, int sig);
void co_load(void);          /* init.c: read the environment, once */
int co_start_now(void);      /* start the runtime if it can be */
bool co_may_start(void);     /* it stands, or may yet */

/* fdlife.c: a descriptor that a call of ours has just made. */
void co_fd_made(int fd, enum co_fd_kind kind, int flags);

#endif
