/* SPDX-License-Identifier: MIT */
/* ipc.c - System V's semaphores and queues, and POSIX queues.
 *
 * The former have nothing to wait on but themselves: tried without waiting,
 * then waited for in a region.  A POSIX queue is a descriptor, and is polled.
 */
#include <mqueue.h>
#include <stdarg.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include "hook/calls.h"
#include "hook/files.h"
#include "hook/iov.h"
#include "hook/region.h"

/* --- semaphores --- */

enum { FEW = 16 };

/* EAGAIN: it would wait, or the program itself has said not to. */
static int
try_semop(int id, const struct sembuf *ops, size_t n)
{
	struct sembuf few[FEW];
	size_t i;

	if (n == 0 || n > FEW || !co_get(few, ops, n * sizeof(*ops))) {
		errno = EAGAIN;
		return -1;
	}
	for (i = 0; i < n; i++)
		few[i].sem_flg |= IPC_NOWAIT;
	return real.semop(id, few, n);
}

COHOOK_EXPORT int
semop(int id, struct sembuf *ops, size_t n)
{
	struct co *self = co_here();
	int saved = errno, r;

	if (likely(self == NULL))
		return real.semop(id, ops, n);
	r = try_semop(id, ops, n);
	if (r == 0 || errno != EAGAIN)
		return r;
	errno = saved;
	IN_REGION(r, -1, self, "semop", true, real.semop(id, ops, n));
	return r;
}
CO_CALL(semop);

/* The timeout is relative: what a handler of somebody else has interrupted
 * goes on with the rest of it. */
static int
rest_of_semop(int id, struct sembuf *ops, size_t n, int64_t deadline)
{
	int64_t left = deadline - co_now();
	struct timespec ts;

	left = left > 0 ? left : 0;
	ts.tv_sec = left / 1000000000;
	ts.tv_nsec = left % 1000000000;
	return real.semtimedop(id, ops, n, &ts);
}

COHOOK_EXPORT int
semtimedop(int id, struct sembuf *ops, size_t n, const struct timespec *timeout)
{
	struct co *self = co_here();
	int saved = errno, r;
	struct timespec ts;
	int64_t deadline;

	if (timeout == NULL)
		return semop(id, ops, n);
	if (likely(self == NULL) || !co_get(&ts, timeout, sizeof(ts)) ||
	    !co_ts_valid(&ts) || ts.tv_sec < 0 ||
	    ts.tv_sec > INT64_MAX / 1000000000 - 1)
		return real.semtimedop(id, ops, n, timeout);
	deadline = co_deadline_after(ts.tv_sec * INT64_C(1000000000) +
				     ts.tv_nsec);
	r = try_semop(id, ops, n);
	if (r == 0 || errno != EAGAIN)
		return r;
	errno = saved;
	IN_REGION(r, -1, self, "semtimedop", true,
		  rest_of_semop(id, ops, n, deadline));
	return r;
}
CO_CALL(semtimedop);

/* --- System V queues --- */

COHOOK_EXPORT int
msgsnd(int id, const void *msg, size_t n, int flags)
{
	struct co *self = co_here();
	int saved = errno, r;

	if (likely(self == NULL) || flags & IPC_NOWAIT)
		return real.msgsnd(id, msg, n, flags);
	r = real.msgsnd(id, msg, n, flags | IPC_NOWAIT);
	if (r == 0 || errno != EAGAIN)
		return r;
	errno = saved;
	IN_REGION(r, -1, self, "msgsnd", true, real.msgsnd(id, msg, n, flags));
	return r;
}
CO_CALL(msgsnd);

COHOOK_EXPORT ssize_t
msgrcv(int id, void *msg, size_t n, long type, int flags)
{
	struct co *self = co_here();
	int saved = errno;
	ssize_t r;

	if (likely(self == NULL) || flags & IPC_NOWAIT)
		return real.msgrcv(id, msg, n, type, flags);
	r = real.msgrcv(id, msg, n, type, flags | IPC_NOWAIT);
	if (r >= 0 || errno != ENOMSG)
		return r;
	errno = saved;
	IN_REGION(r, -1, self, "msgrcv", true,
		  real.msgrcv(id, msg, n, type, flags));
	return r;
}
CO_CALL(msgrcv);

/* --- POSIX queues --- */

/* A time that is past: then ETIMEDOUT is that it would wait, and EAGAIN that
 * the program has made the queue non-blocking. */
static const struct timespec past;

/* True: try again. */
static bool
wait_for(struct co_io *io, ssize_t r)
{
	if (r >= 0) {
		errno = io->saved_errno;
		return false;
	}
	/* Interrupted in no time at all: not by a handler of ours. */
	if (errno == EINTR && io->self->handled == io->handled)
		return true;
	if (errno != ETIMEDOUT)
		return false;
	if (co_io_wait(io) == 0)
		return true;
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
	return false;
}

/* False: pass through. */
static bool
begin(struct co_io *io, mqd_t q, int dir, const struct timespec *user,
      const char *why)
{
	struct timespec ts;

	co_io_begin(io, q, dir, why);
	if (io->slot == NULL)
		return false;
	io->deadline = CO_FOREVER;
	io->again = 0;
	if (user == NULL)
		return true;
	if (!co_get(&ts, user, sizeof(ts)) || !co_ts_valid(&ts) ||
	    ts.tv_sec < 0)
		return false;
	io->deadline = co_deadline_abs(CLOCK_REALTIME, &ts);
	return true;
}

static int
send_(mqd_t q, const char *msg, size_t n, unsigned prio,
      const struct timespec *deadline)
{
	struct co_io io;
	int r;

	if (!begin(&io, q, CO_OUT, deadline, "mq_send"))
		return deadline != NULL
			       ? real.mq_timedsend(q, msg, n, prio, deadline)
			       : real.mq_send(q, msg, n, prio);
	do
		r = real.mq_timedsend(q, msg, n, prio, &past);
	while (wait_for(&io, r));
	return r;
}

static ssize_t
receive(mqd_t q, char *msg, size_t n, unsigned *prio,
	const struct timespec *deadline)
{
	struct co_io io;
	ssize_t r;

	if (!begin(&io, q, CO_IN, deadline, "mq_receive"))
		return deadline != NULL ? real.mq_timedreceive(q, msg, n, prio,
							       deadline)
					: real.mq_receive(q, msg, n, prio);
	do
		r = real.mq_timedreceive(q, msg, n, prio, &past);
	while (wait_for(&io, r));
	return r;
}

COHOOK_EXPORT int
mq_timedsend(mqd_t q, const char *msg, size_t n, unsigned prio,
	     const struct timespec *deadline)
{
	if (likely(co_here() == NULL))
		return real.mq_timedsend(q, msg, n, prio, deadline);
	return send_(q, msg, n, prio, deadline);
}
CO_CALL(mq_timedsend);

COHOOK_EXPORT ssize_t
mq_timedreceive(mqd_t q, char *msg, size_t n, unsigned *prio,
		const struct timespec *deadline)
{
	if (likely(co_here() == NULL))
		return real.mq_timedreceive(q, msg, n, prio, deadline);
	return receive(q, msg, n, prio, deadline);
}
CO_CALL(mq_timedreceive);

COHOOK_EXPORT int
mq_send(mqd_t q, const char *msg, size_t n, unsigned prio)
{
	if (likely(co_here() == NULL))
		return real.mq_send(q, msg, n, prio);
	return send_(q, msg, n, prio, NULL);
}

COHOOK_EXPORT ssize_t
mq_receive(mqd_t q, char *msg, size_t n, unsigned *prio)
{
	if (likely(co_here() == NULL))
		return real.mq_receive(q, msg, n, prio);
	return receive(q, msg, n, prio, NULL);
}

/* They are descriptors, and so in the books. */
COHOOK_EXPORT mqd_t
mq_open(const char *name, int flags, ...)
{
	struct mq_attr *attr;
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	attr = va_arg(ap, struct mq_attr *);
	va_end(ap);
	return co_opened(real.mq_open(name, flags, mode, attr));
}

COHOOK_EXPORT int
__mq_open_2(const char *name, int flags)
{
	return co_opened(real.__mq_open_2(name, flags));
}

COHOOK_EXPORT int
mq_close(mqd_t q)
{
	int r;

	if (likely(!co_active) || co_tls.vforked)
		return real.mq_close(q);
	if (co_is_our_fd(q)) {
		errno = EBADF;
		return -1;
	}
	co_fd_forget(q);
	r = real.mq_close(q);
	co_fd_closed(q);
	return r;
}
