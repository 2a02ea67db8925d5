/* SPDX-License-Identifier: MIT */
/* io.c - the waiting loop: try, else wait, try again. */
#include <fcntl.h>
#include <sys/stat.h>

#include "hook/sigfd.h"
#include "hook/wait.h"

static int
real_clock(clockid_t clock, struct timespec *ts)
{
	return real.clock_gettime(clock, ts);
}

int (*co_clock_seen)(clockid_t clock, struct timespec *ts) = real_clock;
bool co_clock_differs;

int64_t
co_deadline_after(int64_t ns)
{
	int64_t now = co_now();

	return ns > INT64_MAX - now ? CO_FOREVER : now + ns;
}

int64_t
co_deadline_abs(clockid_t clock, const struct timespec *ts)
{
	struct timespec now;
	int64_t t;

	if (ts->tv_sec < 0)
		return 1;
	if (ts->tv_sec > INT64_MAX / 1000000000 - 1)
		return CO_FOREVER;
	t = ts->tv_sec * INT64_C(1000000000) + ts->tv_nsec;
	if (clock == CLOCK_MONOTONIC && likely(!co_clock_differs))
		return t > 0 ? t : 1;
	co_clock_seen(clock, &now);
	t -= now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
	t = t > 0 ? co_deadline_after(t) : 1;
	return t;
}

static int
lowat_of(int fd)
{
	int low = 1, saved = errno;
	socklen_t len = sizeof(low);

	if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, &len) != 0)
		errno = saved;
	return low;
}

enum co_fd_kind
co_fd_kind_of(int fd, struct co_fd *slot)
{
	uint8_t kind = slot->kind;
	int saved = errno;
	struct stat st;

	if (kind != CO_FD_UNKNOWN)
		return kind;
	if (fstat(fd, &st) != 0) {
		errno = saved;
		return CO_FD_FILE; /* the real call knows the errno */
	}
	if (S_ISSOCK(st.st_mode)) {
		kind = CO_FD_SOCKET;
		if (lowat_of(fd) != 1)
			atomic_fetch_or(&slot->flags, CO_FDF_LOWAT);
	}
	else if (S_ISFIFO(st.st_mode))
		kind = CO_FD_PIPE;
	else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ||
		 S_ISBLK(st.st_mode))
		kind = CO_FD_FILE;
	else if (unlikely(co_sigfds) && !(st.st_mode & S_IFMT))
		kind = (uint8_t)co_sigfd_kind(fd);
	else
		kind = CO_FD_OTHER;
	/* Asked not to wait, /dev/zero and its like may stop halfway. */
	if (S_ISCHR(st.st_mode))
		slot->nowait[CO_IN] = slot->nowait[CO_OUT] = 2;
	slot->kind = kind;
	return kind;
}

bool
co_fd_nonblock(int fd, struct co_fd *slot)
{
	uint8_t flags = slot->flags;
	int fl, saved = errno;

	if (flags & CO_FDF_BORROWED)
		return false;
	if (flags & CO_FDF_OURS && slot->shared_at == co_fd_shares)
		return flags & CO_FDF_NONBLOCK;
	fl = real.fcntl(fd, F_GETFL, 0);
	errno = saved;
	return fl >= 0 && fl & O_NONBLOCK;
}

void
co_io_begin(struct co_io *io, int fd, int dir, const char *why)
{
	io->self = co_here();
	io->slot = NULL;
	if (io->self == NULL)
		return;
	co_cancel_point(io->self);
	io->slot = co_fd(fd);
	if (io->slot == NULL)
		return;
	io->fd = fd;
	io->dir = dir;
	io->why = why;
	io->gen = io->slot->gen;
	io->seq = io->slot->seq[dir];
	io->sigseq = io->self->sigseq;
	io->deadline = -1;
	io->handled = io->self->handled;
	io->interrupted = io->self->interrupted;
	io->saved_errno = errno;
	io->timed = io->in_turn = false;
	io->dontwait = io->sent = false;
	io->nowait = MSG_DONTWAIT;
}

/* SO_RCVTIMEO, SO_SNDTIMEO: kept by us, asked of the kernel once. */
static int64_t
timeout_of(struct co_io *io)
{
	int64_t t = io->slot->timeout[io->dir];
	struct timeval tv;
	socklen_t len = sizeof(tv);

	if (io->slot->kind != CO_FD_SOCKET)
		return 0;
	/* Another number of the same socket may have set it. */
	if (t >= 0 && !(io->slot->flags & CO_FDF_DUPPED) &&
	    io->slot->shared_at == co_fd_shares)
		return t;
	if (getsockopt(io->fd, SOL_SOCKET,
		       io->dir == CO_IN ? SO_RCVTIMEO : SO_SNDTIMEO, &tv,
		       &len) != 0)
		return 0;
	t = tv.tv_sec > INT64_MAX / 1000000000 - 1
		    ? 0
		    : tv.tv_sec * INT64_C(1000000000) + tv.tv_usec * 1000;
	io->slot->timeout[io->dir] = t;
	return t;
}

/* A Unix socket whose peer shuts its reading side down wakes a writer that
 * waits in the kernel, to EPIPE, but says nothing to epoll(7): so such a
 * writer tries again now and then. */
enum { AGAIN_FIRST = 20 * 1000 * 1000, AGAIN_MOST = 640 * 1000 * 1000 };

static bool
is_unix(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	       domain == AF_UNIX;
}

static void
begin_wait(struct co_io *io)
{
	int64_t t = timeout_of(io);

	io->timed = t != 0;
	io->deadline = t == 0 ? CO_FOREVER : co_deadline_after(t);
	io->again = io->dir == CO_OUT && io->slot->kind == CO_FD_SOCKET &&
				    !(io->slot->flags & CO_FDF_TCP) &&
				    is_unix(io->fd)
			    ? AGAIN_FIRST
			    : 0;
}

/* How long to wait at most now. */
static int64_t
this_time(struct co_io *io)
{
	int64_t t;

	if (likely(io->again == 0))
		return io->deadline;
	t = co_deadline_after(io->again);
	if (io->again < AGAIN_MOST)
		io->again *= 2;
	return t < io->deadline ? t : io->deadline;
}

/* Without epoll's help: the kernel thread waits, and others take over.  Nobody
 * tells it that the descriptor is closed meanwhile, so it looks now and then;
 * and epoll may have room again. */
static int
wait_in_region(struct co_io *io)
{
	struct pollfd p = { io->fd, io->dir == CO_IN ? POLLIN : POLLOUT, 0 };
	int64_t until, left;
	int r;

	if (io->again == 0)
		io->again = AGAIN_FIRST;
	until = this_time(io);
	left = (until - co_now() + 999999) / 1000000;
	co_region_begin(io->why, true);
	if (likely(!co_sigfds) || !co_sig_watch(io->self, io->sigseq))
		r = real.poll(&p, 1, left < 0 ? 0 : (int)left);
	else
		r = 1;
	co_sig_watch_end(io->self);
	co_region_end();
	io->sigseq = io->self->sigseq;
	if (io->slot->gen != io->gen) {
		errno = EBADF;
		return -1;
	}
	/* Somebody else's handler, or one with SA_RESTART: try again. */
	if (r < 0 && errno == EINTR &&
	    io->self->interrupted == io->interrupted &&
	    !(io->timed && io->self->handled != io->handled))
		return 0;
	if (r < 0)
		return -1;
	if (r == 0 && until == io->deadline) {
		errno = EAGAIN;
		return -1;
	}
	return 0;
}

static int
enter(struct co_io *io, struct co_fd_wait *w)
{
	if (io->in_turn)
		return co_fd_enter_turn(w, io->fd, io->slot, io->gen, io->seq);
	return co_fd_enter(w, io->fd, io->slot, io->dir, io->gen, io->seq);
}

/* It has entered, and may wait for a signalfd: has one come since it tried? */
static bool
signal_came(struct co_io *io, struct co_fd_wait *w)
{
	enum co_why why;

	if (likely(!co_sigfds) || io->slot->kind == CO_FD_SOCKET ||
	    !co_sig_watch(io->self, io->sigseq))
		return false;
	why = co_disarm(w->parker);
	co_fd_leave(w);
	if (why == CO_WOKEN && io->in_turn)
		co_fd_has_turn(io->self, io->slot, io->gen);
	return true;
}

int
co_io_wait(struct co_io *io)
{
	struct co_fd_wait *w = &io->self->fd_wait;
	enum co_why why;
	int64_t until = 0;
	int err;

	if (io->deadline < 0)
		begin_wait(io);
	/* It has found nothing. */
	if (io->in_turn)
		io->self->turn = NULL;
	for (;;) {
		co_cancel_point(io->self);
		/* From the look at the handlers that have run to the end of
		 * the wait none runs: it would not wake us, and one that
		 * leaves by longjmp(3) would leave w in the queue. */
		co_critical_begin();
		if (io->self->interrupted != io->interrupted ||
		    (io->timed && io->self->handled != io->handled)) {
			co_critical_end();
			errno = EINTR;
			return -1;
		}
		err = enter(io, w);
		why = CO_NONE;
		if (err == 0 && unlikely(signal_came(io, w)))
			err = 1;
		if (err == 0) {
			until = this_time(io);
			why = co_park(w->parker, until, io->why,
				      (uintptr_t)io->fd, true);
			/* For these it was taken off the list. */
			if (why != CO_WOKEN && why != CO_CLOSED)
				co_fd_leave(w);
			else if (io->in_turn)
				co_fd_has_turn(io->self, io->slot, io->gen);
		}
		co_sig_watch_end(io->self);
		co_critical_end();
		if (err == 1)
			break;
		if (err == -EBADF) {
			errno = EBADF;
			return -1;
		}
		if (err != 0)
			return wait_in_region(io);
		co_sig_handle();
		if (why == CO_CLOSED || io->slot->gen != io->gen) {
			errno = EBADF;
			return -1;
		}
		if (why == CO_TIMEOUT && until == io->deadline) {
			errno = EAGAIN;
			return -1;
		}
		/* A signal may be what it waits for. */
		if (why == CO_WOKEN || why == CO_TIMEOUT ||
		    unlikely(co_sigfds))
			break;
	}
	io->seq = io->slot->seq[io->dir];
	io->sigseq = io->self->sigseq;
	return 0;
}

int
co_turn_unwound(int version, int actions, uint64_t class, void *what,
		void *context)
{
	enum { CLEANUP_PHASE = 2, CONTINUE_UNWIND = 8 };

	(void)version, (void)class, (void)what, (void)context;
	if (actions & CLEANUP_PHASE)
		co_pass_turn(co_tls.self);
	return CONTINUE_UNWIND;
}

/* Datagrams of a socket that is shut down for reading: a recv(2) that waits
 * says 0 at once, one that does not says EAGAIN.  So the next try is one that
 * waits.  Epoll has told of the end. */
static bool
is_at_end(struct co_io *io)
{
	struct pollfd p = { io->fd, POLLRDHUP, 0 };
	int type = SOCK_STREAM;
	socklen_t len = sizeof(type);

	if (likely(!(io->slot->flags & CO_FDF_HUP)) || io->nowait == 0 ||
	    io->dir != CO_IN ||
	    io->slot->kind != CO_FD_SOCKET ||
	    getsockopt(io->fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    type == SOCK_STREAM || type == SOCK_SEQPACKET ||
	    real.poll(&p, 1, 0) <= 0 || !(p.revents & POLLRDHUP))
		return false;
	io->nowait = 0;
	return true;
}

bool
co_io_again(struct co_io *io, ssize_t r)
{
	if (likely(r >= 0)) {
		if (io->slot != NULL)
			errno = io->saved_errno;
		return false;
	}
	if (unlikely(errno == EPIPE || errno == EFBIG) && io->self != NULL)
		co_sig_own(io->self, errno == EPIPE ? SIGPIPE : SIGXFSZ);
	if (errno != EAGAIN || io->slot == NULL || io->dontwait)
		return false;
	if (co_fd_nonblock(io->fd, io->slot)) {
		/* What a poll(2) after this will be glad to know. */
		errno = EAGAIN;
		return false;
	}
	if (unlikely(is_at_end(io)))
		return true;
	return co_io_wait(io) == 0;
}

int
co_io_look(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };
	int saved = errno, r;

	do
		r = real.poll(&p, 1, 0);
	while (r < 0 && errno == EINTR);
	errno = saved;
	return r;
}

bool
co_in_error(int fd)
{
	struct pollfd p = { fd, 0, 0 };

	return real.poll(&p, 1, 0) > 0 && p.revents & POLLERR;
}
