/* SPDX-License-Identifier: MIT */
/* unit_io.c - hook/io.c and hook/rw.c, with a script in libc's and the
 * scheduler's place.
 *
 * A test writes down which calls are to come, in order, with what they answer
 * and what happens meanwhile; then it calls read() or write() like any
 * program.  A call that is not next in the script fails the test.
 *
 * Entering and leaving the descriptor's queue is not in the script: that much
 * of fd.c is played here by its own rules, and what comes between the try and
 * the entering is seen as fd.c would see it.
 *
 * RWF_NOWAIT goes to the kernel past libc, so for it there are real pipes. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "hook/iov.h"
#include "hook/sigfd.h"
#include "sched/log.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

enum call { READ, READ_CHK, READV, RECV, RECVMSG, WRITE, WRITEV, SEND,
	    SENDMSG, POLL, FCNTL, PARK };
static const char *const names[] = {
	"read", "__read_chk", "readv", "recv", "recvmsg", "write", "writev",
	"send", "sendmsg", "poll", "fcntl", "park",
};

struct step {
	enum call call;
	const void *at;      /* first byte, or the vector; NULL: not looked at */
	size_t n;            /* bytes, or elements */
	size_t bytes;        /* in the elements; 0: not looked at */
	long gives;
	int err;
	int64_t until;       /* PARK: deadline; POLL: timeout */
	void (*meanwhile)(void);
};
static struct step script[64];
static int steps, next_step;

/* The world: one coroutine, one descriptor. */
#define NO_SUCH_FD 1000
static int fd, other_end;
static struct co me;
static struct co_fd slot;
static int64_t now;
static bool no_slot;         /* for want of memory */
static bool queued;          /* in the descriptor's queue */
static int enters, enter_err;
static int region, regions, lasting_regions;
static struct timeval timeo[CO_DIRS]; /* what the kernel has */
static int domain, timeo_asked;
static short pending;       /* POLLERR: an error waits on the socket */
static bool sa_restart;      /* of the handler that is pending */
static int cancel_points;
static char buf[1 << 17];

__thread struct co_tls co_tls;
int co_active;
_Atomic uint32_t co_fd_shares = 3;

static void
will(struct step s)
{
	assert_true(steps < (int)UNIT_COUNT(script));
	script[steps++] = s;
}
#define WILL(c, ...) will((struct step){ .call = c, __VA_ARGS__ })

static struct step *
comes(enum call call)
{
	struct step *s = &script[next_step];

	if (next_step == steps)
		fail_msg("%s() is not in the script any more", names[call]);
	if (s->call != call)
		fail_msg("step %d is %s(), but %s() came", next_step,
			 names[s->call], names[call]);
	next_step++;
	if (s->meanwhile != NULL)
		s->meanwhile();
	return s;
}

static long
answer(struct step *s)
{
	if (s->gives < 0)
		errno = s->err;
	return s->gives;
}

/* And may leave by longjmp(3). */
static void
handlers_may_run(void)
{
	assert_false(queued);
	assert_int_equal(co_tls.critical, 0);
}

/* A try of n bytes, or elements, from at. */
static long
tried(enum call call, int on, const void *at, size_t n)
{
	struct step *s = comes(call);

	assert_int_equal(on, fd);
	handlers_may_run();
	if (s->at != NULL)
		assert_ptr_equal(at, s->at);
	assert_int_equal(n, s->n);
	return answer(s);
}

/* --- libc --- */

/* The runner's own, and the sanitizer's, are none of the test's business. */
static ssize_t
libc_read(int on, void *p, size_t n)
{
	return on == fd ? tried(READ, on, p, n) : syscall(SYS_read, on, p, n);
}

static ssize_t
libc_read_chk(int on, void *p, size_t n, size_t size)
{
	assert_true(n > size);
	return tried(READ_CHK, on, p, n);
}

static ssize_t
libc_write(int on, const void *p, size_t n)
{
	return on == fd ? tried(WRITE, on, p, n) :
			  syscall(SYS_write, on, p, n);
}

/* Where it is called after a try by ours, it may block. */
static long
tried_vec(enum call call, int on, const struct iovec *v, int n)
{
	size_t want = script[next_step].bytes, bytes = 0;
	int i;

	for (i = 0; want != 0 && i < n; i++)
		bytes += v[i].iov_len;
	assert_int_equal(bytes, want);
	return tried(call, on, v, (size_t)n);
}

static ssize_t
libc_readv(int on, const struct iovec *v, int n)
{
	return tried_vec(READV, on, v, n);
}

static ssize_t
libc_writev(int on, const struct iovec *v, int n)
{
	return tried_vec(WRITEV, on, v, n);
}

static ssize_t
libc_recv(int on, void *p, size_t n, int flags)
{
	assert_int_equal(flags, MSG_DONTWAIT);
	return tried(RECV, on, p, n);
}

static ssize_t
libc_recvmsg(int on, struct msghdr *m, int flags)
{
	assert_int_equal(flags, MSG_DONTWAIT);
	assert_null(m->msg_control);
	assert_null(m->msg_name);
	return tried(RECVMSG, on, m->msg_iov[0].iov_base, m->msg_iovlen);
}

static ssize_t
libc_send(int on, const void *p, size_t n, int flags)
{
	assert_true(flags & MSG_DONTWAIT);
	return tried(SEND, on, p, n);
}

static ssize_t
libc_sendmsg(int on, const struct msghdr *m, int flags)
{
	assert_true(flags & MSG_DONTWAIT);
	assert_null(m->msg_control);
	return tried(SENDMSG, on, m->msg_iov[0].iov_base, m->msg_iovlen);
}

static int
libc_poll(struct pollfd *p, nfds_t n, int timeout)
{
	struct step *s;

	if (p->events == 0 && timeout == 0) { /* is there an error? */
		p->revents = pending;
		return pending != 0;
	}
	s = comes(POLL);
	assert_int_equal(n, 1);
	assert_int_equal(p->fd, fd);
	assert_int_equal(p->events, s->n);
	assert_int_equal(timeout, s->until);
	assert_int_equal(region, timeout != 0);
	assert_false(queued);
	return (int)answer(s);
}

static int
libc_fcntl(int on, int cmd, long arg)
{
	(void)arg;
	assert_int_equal(on, fd);
	assert_int_equal(cmd, F_GETFL);
	return (int)answer(comes(FCNTL));
}

struct co_real real;

/* Asked by io.c and rw.c of libc itself: no hook. */
/* socket.c's; no socket here has a low-water mark. */
size_t
co_recv_least(const struct co_io *io, size_t n, int flags)
{
	(void)io, (void)n, (void)flags;
	fail_msg("a low-water mark is asked for");
	return 0;
}

ssize_t
co_msg_rest(struct co_io *io, struct co_iov *t, size_t done, size_t least,
	    int flags)
{
	(void)io, (void)t, (void)done, (void)least, (void)flags;
	fail_msg("a low-water mark is waited for");
	return 0;
}

int
getsockopt(int on, int level, int name, void *value, socklen_t *len)
{
	struct timeval *tv = value;

	if (on != NO_SUCH_FD)
		return (int)syscall(SYS_getsockopt, on, level, name, value,
				    len);
	assert_int_equal(level, SOL_SOCKET);
	if (name == SO_DOMAIN) {
		assert_int_equal(*len, sizeof(int));
		*(int *)value = domain;
		return 0;
	}
	assert_true(name == SO_RCVTIMEO || name == SO_SNDTIMEO);
	assert_int_equal(*len, sizeof(*tv));
	*tv = timeo[name == SO_RCVTIMEO ? CO_IN : CO_OUT];
	timeo_asked++;
	return 0;
}

/* It may not come back. */
void
pthread_testcancel(void)
{
	assert_int_equal(region, 0);
	handlers_may_run();
	cancel_points++;
}

/* --- signalfds: there are none --- */

_Atomic int co_sigfds;

enum co_fd_kind
co_sigfd_kind(int n)
{
	assert_int_equal(n, fd);
	return CO_FD_OTHER;
}

ssize_t
co_sigfd_try(struct co_io *io, const struct iovec *iov, int n, size_t want)
{
	(void)io;
	(void)iov;
	(void)n;
	(void)want;
	fail();
	return -1;
}

enum co_why
co_disarm(struct co_parker *p)
{
	(void)p;
	fail();
	return CO_NONE;
}

/* --- the scheduler --- */

struct co_fd *
co_fd(int n)
{
	return n == fd && !no_slot ? &slot : NULL;
}

int
co_fd_enter(struct co_fd_wait *w, int n, struct co_fd *s, int dir,
	    uint32_t gen, uint32_t seq)
{
	assert_int_equal(n, fd);
	assert_ptr_equal(s, &slot);
	assert_false(queued);
	assert_int_not_equal(co_tls.critical, 0);
	enters++;
	if (slot.gen != gen)
		return -EBADF;
	if (enter_err != 0)
		return enter_err;
	slot.registered = 1;
	if (slot.seq[dir] != seq)
		return 1;
	w->parker = &me.parker;
	queued = true;
	return 0;
}

int
co_fd_enter_turn(struct co_fd_wait *w, int n, struct co_fd *s, uint32_t gen,
		 uint32_t seq)
{
	return co_fd_enter(w, n, s, CO_IN, gen, seq);
}

void
co_fd_pass(struct co *self)
{
	self->turn = NULL;
}

void
co_fd_leave(struct co_fd_wait *w)
{
	assert_ptr_equal(w->parker, &me.parker);
	assert_int_not_equal(co_tls.critical, 0);
	assert_true(queued);
	queued = false;
}

enum co_why
co_park(struct co_parker *p, int64_t deadline, const char *why, uintptr_t what,
	bool may_interrupt)
{
	struct step *s;

	assert_true(queued);
	s = comes(PARK);
	assert_ptr_equal(p, &me.parker);
	assert_true(deadline == s->until);
	assert_non_null(why);
	assert_int_equal(what, fd);
	assert_true(may_interrupt);
	assert_int_equal(region, 0);
	/* As whoever wakes for the descriptor's sake does. */
	if (s->gives == CO_WOKEN || s->gives == CO_CLOSED)
		queued = false;
	return (enum co_why)s->gives;
}

void
co_sig_run_pending(struct co *self)
{
	assert_ptr_equal(self, &me);
	handlers_may_run();
	me.sig_todo = 0;
	me.handled++;
	me.interrupted += !sa_restart;
	errno = EBUSY;
}

/* A signal that goes with an error; the cases here do not block it. */
void
co_sig_own(struct co *self, int sig)
{
	(void)self;
	(void)sig;
}

void
co_region_begin(const char *why, bool lasting)
{
	assert_non_null(why);
	assert_int_equal(region, 0);
	handlers_may_run();
	region = 1;
	regions++;
	lasting_regions += lasting;
}

void
co_region_end(void)
{
	assert_int_equal(region, 1);
	region = 0;
}

int64_t
co_now(void)
{
	return now;
}

void
co_deferred_run(void)
{
	fail();
}

#define NOWHERE ((struct iovec *)(uintptr_t)16)

int
co_copy(void *dst, const void *src, size_t n)
{
	if (src == NOWHERE)
		return -1;
	memcpy(dst, src, n);
	return 0;
}

/* --- what happens meanwhile --- */

static void
something_comes(void)
{
	slot.seq[CO_IN]++;
	slot.seq[CO_OUT]++;
}

static void
it_is_closed(void)
{
	slot.gen++;
}

static void
a_signal_comes(void)
{
	me.sig_todo = 1;
	sa_restart = false;
}

static void
a_restarting_signal_comes(void)
{
	me.sig_todo = 1;
	sa_restart = true;
}

static void
a_handler_runs(void)
{
	me.handled++;
	me.interrupted++;
}

static void
a_restarting_handler_runs(void)
{
	me.handled++;
}

static void
time_passes(void)
{
	now += 1000;
}

/* --- the worlds --- */

enum { SECOND = 1000000000 };

static void
world(int of, enum co_fd_kind kind)
{
	static uint32_t lives;

	fd = of;
	other_end = -1;
	steps = next_step = 0;
	memset(&me, 0, sizeof(me));
	memset(&slot, 0, sizeof(slot));
	slot.gen = ++lives;
	slot.seq[CO_IN] = 20;
	slot.seq[CO_OUT] = 30;
	slot.kind = (uint8_t)kind;
	slot.flags = CO_FDF_OURS;
	slot.shared_at = co_fd_shares;
	slot.timeout[CO_IN] = slot.timeout[CO_OUT] = -1;
	memset(timeo, 0, sizeof(timeo));
	memset(buf, 0, sizeof(buf));
	now = 100 * (int64_t)SECOND;
	queued = no_slot = false;
	domain = AF_INET;
	pending = 0;
	enters = enter_err = region = regions = lasting_regions = 0;
	timeo_asked = cancel_points = 0;
	co_tls = (struct co_tls){ .self = &me };
	co_active = 1;
	real = (struct co_real){
		.read = libc_read,
		.readv = libc_readv,
		.__read_chk = libc_read_chk,
		.write = libc_write,
		.writev = libc_writev,
		.recv = libc_recv,
		.recvmsg = libc_recvmsg,
		.send = libc_send,
		.sendmsg = libc_sendmsg,
		.poll = libc_poll,
		.fcntl = libc_fcntl,
	};
	errno = 0;
}

static int
a_socket(void **state)
{
	(void)state;
	world(NO_SUCH_FD, CO_FD_SOCKET);
	return 0;
}

static int
a_tcp_socket(void **state)
{
	a_socket(state);
	slot.flags |= CO_FDF_TCP;
	slot.registered = 1;
	return 0;
}

/* That the kernel is asked about with RWF_NOWAIT in vain. */
static int
a_tty(void **state)
{
	(void)state;
	world(NO_SUCH_FD, CO_FD_OTHER);
	slot.nowait[CO_IN] = slot.nowait[CO_OUT] = 2;
	return 0;
}

static int
a_pipe(int mine)
{
	int ends[2];

	if (syscall(SYS_pipe2, ends, O_CLOEXEC) != 0)
		return -1;
	world(ends[mine], CO_FD_PIPE);
	other_end = ends[!mine];
	return 0;
}

static int
a_pipe_to_read(void **state)
{
	(void)state;
	return a_pipe(0);
}

static int
a_pipe_to_write(void **state)
{
	(void)state;
	return a_pipe(1);
}

/* All has come that was to come, and nothing is left behind. */
static int
the_end(void **state)
{
	(void)state;
	co_active = 0;
	if (fd != NO_SUCH_FD)
		close(fd);
	if (other_end >= 0)
		close(other_end);
	fd = other_end = -1;
	if (next_step != steps)
		fprintf(stderr, "step %d, %s(), has not come\n", next_step,
			names[script[next_step].call]);
	return next_step != steps || queued || region || co_tls.critical;
}

/* A pipe on a kernel before RWF_NOWAIT for pipes is a tty to us. */
static bool
kernel_has_nowait(void)
{
	struct iovec v = { buf, 1 };
	long r = syscall(SYS_preadv2, fd, &v, 1, -1L, -1L, RWF_NOWAIT);

	return r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS);
}

/* --- waiting --- */

static void
read_that_succeeds_at_once_leaves_errno_alone(void **state)
{
	(void)state;
	WILL(RECV, .at = buf, .n = 10, .gives = 4);
	errno = EDOM;
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
	assert_int_equal(enters, 0);
}

static void
read_waits_then_tries_again(void **state)
{
	(void)state;
	WILL(RECV, .at = buf, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .at = buf, .n = 10, .gives = 4);
	errno = EDOM;
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
}

static void
read_survives_spurious_wakeups(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
		WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
		     .meanwhile = i % 2 ? NULL : something_comes);
	}
	WILL(RECV, .n = 10, .gives = 0);
	assert_int_equal(read(fd, buf, 10), 0);
	assert_int_equal(enters, 5);
}

static void
what_comes_between_the_try_and_the_wait_is_not_lost(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN,
	     .meanwhile = something_comes);
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN,
	     .meanwhile = something_comes);
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = something_comes);
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN,
	     .meanwhile = something_comes);
	WILL(RECV, .n = 10, .gives = 10);
	assert_int_equal(read(fd, buf, 10), 10);
}

static void
an_error_is_libcs_own(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = ECONNRESET);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, ECONNRESET);

	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = -1, .err = ECONNRESET);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, ECONNRESET);
}

static void
closed_while_it_waits_is_ebadf(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_CLOSED);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EBADF);
}

/* The number may be another file's by now: it must not be read. */
static void
closed_when_it_wakes_is_ebadf(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = it_is_closed);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EBADF);
}

static void
closed_before_it_waits_is_ebadf(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN,
	     .meanwhile = it_is_closed);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(enters, 1);
}

static void
a_receive_timeout_is_eagain(void **state)
{
	int64_t until = now + 2 * (int64_t)SECOND + 5000;

	(void)state;
	timeo[CO_IN] = (struct timeval){ 2, 5 };
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = until, .gives = CO_TIMEOUT);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
}

/* A retry does not start the clock again. */
static void
a_timeout_is_that_of_the_whole_call(void **state)
{
	int64_t until = now + SECOND;

	(void)state;
	timeo[CO_IN] = (struct timeval){ 1, 0 };
	timeo[CO_OUT] = (struct timeval){ 7, 0 };
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = until, .gives = CO_WOKEN,
	     .meanwhile = time_passes);
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = until, .gives = CO_TIMEOUT);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
times_out_after(int64_t ns, int dir)
{
	WILL(dir == CO_IN ? RECV : SEND, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = ns == 0 ? CO_FOREVER : now + ns,
	     .gives = ns == 0 ? CO_CLOSED : CO_TIMEOUT);
	assert_int_equal(dir == CO_IN ? read(fd, buf, 10) : write(fd, buf, 10),
			 -1);
	assert_int_equal(errno, ns == 0 ? EBADF : EAGAIN);
}

static void
the_kernel_is_asked_of_a_timeout_once(void **state)
{
	(void)state;
	timeo[CO_OUT] = (struct timeval){ 7, 0 };
	times_out_after(0, CO_IN);
	times_out_after(0, CO_IN);
	assert_int_equal(timeo_asked, 1);
	times_out_after(7 * (int64_t)SECOND, CO_OUT);
	times_out_after(7 * (int64_t)SECOND, CO_OUT);
	assert_int_equal(timeo_asked, 2);
	slot.timeout[CO_IN] = 5; /* by setsockopt(2), as we have seen */
	times_out_after(5, CO_IN);
	assert_int_equal(timeo_asked, 2);
}

/* Whoever shares the socket may have set another. */
static void
of_a_shared_socket_the_timeout_is_asked_anew(void **state)
{
	(void)state;
	times_out_after(0, CO_IN);
	slot.flags |= CO_FDF_DUPPED;
	timeo[CO_IN] = (struct timeval){ 3, 0 };
	times_out_after(3 * (int64_t)SECOND, CO_IN);

	slot.flags &= (uint8_t)~CO_FDF_DUPPED;
	slot.shared_at = co_fd_shares - 1;
	timeo[CO_IN] = (struct timeval){ 4, 0 };
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(FCNTL, .gives = O_RDWR);
	WILL(PARK, .until = now + 4 * (int64_t)SECOND, .gives = CO_TIMEOUT);
	assert_int_equal(read(fd, buf, 10), -1);
}

/* --- signals --- */

static void
a_handler_interrupts_the_wait(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_SIGNAL,
	     .meanwhile = a_signal_comes);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EINTR);
	assert_int_equal(me.handled, 1);
}

static void
a_restarting_handler_does_not(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_SIGNAL,
	     .meanwhile = a_restarting_signal_comes);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_SIGNAL,
	     .meanwhile = a_restarting_signal_comes);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = 4);
	errno = EDOM;
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
	assert_int_equal(me.handled, 2);
	assert_int_equal(enters, 3);
}

/* signal(7): with a timeout set on the socket, SA_RESTART does not count. */
static void
where_a_timeout_is_set_any_handler_interrupts(void **state)
{
	(void)state;
	timeo[CO_IN] = (struct timeval){ 1, 0 };
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = now + SECOND, .gives = CO_SIGNAL,
	     .meanwhile = a_restarting_signal_comes);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EINTR);
}

static void
a_handler_since_the_call_began_interrupts_it(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN,
	     .meanwhile = a_handler_runs);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EINTR);
	assert_int_equal(enters, 0);
}

static void
a_handler_before_the_call_does_not_count(void **state)
{
	(void)state;
	a_handler_runs();
	timeo[CO_IN] = (struct timeval){ 1, 0 };
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = now + SECOND, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
}

static void
a_restarting_handler_since_the_call_began_does_not_count(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN,
	     .meanwhile = a_restarting_handler_runs);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
}

/* As in the kernel: what is there is taken first. */
static void
data_goes_before_a_signal(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = a_signal_comes);
	WILL(RECV, .n = 10, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(me.handled, 1);
}

static void
a_signal_without_data_after_all_interrupts(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = a_signal_comes);
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EINTR);
}

/* The program's, if the call itself says so: nothing of ours. */
static void
eintr_of_the_call_itself_passes(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = -1, .err = EINTR);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EINTR);
}

/* Once at the call, whether it waits or not, and once before each wait. */
static void
a_call_and_its_waits_are_cancellation_points(void **state)
{
	(void)state;
	me.cancel = 1;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_SIGNAL);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(cancel_points, 3);
}

/* --- the program's own O_NONBLOCK --- */

static void
with_the_programs_o_nonblock_nobody_waits(void **state)
{
	(void)state;
	slot.flags |= CO_FDF_NONBLOCK;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(enters, 0);
}

static void
the_kernel_knows_the_flags_of_what_we_did_not_make(void **state)
{
	(void)state;
	slot.flags = CO_FDF_NONBLOCK; /* means nothing by itself */
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(FCNTL, .gives = O_RDWR | O_NONBLOCK);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(enters, 0);

	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(FCNTL, .gives = O_RDWR);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = 4);
	errno = EDOM;
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
}

static void
the_kernel_knows_the_flags_of_what_others_share(void **state)
{
	(void)state;
	slot.shared_at--;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(FCNTL, .gives = O_RDWR | O_NONBLOCK);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Asked in vain, it is taken for blocking. */
static void
flags_that_cannot_be_had_are_none(void **state)
{
	(void)state;
	slot.flags = 0;
	errno = EDOM;
	WILL(FCNTL, .gives = -1, .err = EBADF);
	assert_false(co_fd_nonblock(fd, &slot));
	assert_int_equal(errno, EDOM);
}

/* Then it is not the program's: connect(2) of ours sets it for a moment. */
static void
a_borrowed_o_nonblock_is_not_the_programs(void **state)
{
	(void)state;
	slot.flags |= CO_FDF_BORROWED | CO_FDF_NONBLOCK;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
}

static void
a_call_that_says_not_to_wait_does_not(void **state)
{
	struct co_io io;

	(void)state;
	co_io_begin(&io, fd, CO_IN, "test");
	io.dontwait = true;
	errno = EAGAIN;
	assert_false(co_io_again(&io, -1));
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(enters, 0);
}

/* --- writing --- */

static void
write_goes_on_until_all_is_sent(void **state)
{
	(void)state;
	WILL(SEND, .at = buf, .n = 10, .gives = 4);
	WILL(SEND, .at = buf + 4, .n = 6, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(SEND, .at = buf + 4, .n = 6, .gives = 1);
	WILL(SEND, .at = buf + 5, .n = 5, .gives = 5);
	errno = EDOM;
	assert_int_equal(write(fd, buf, 10), 10);
	assert_int_equal(errno, EDOM);
}

/* Whoever waits on a stream is not to write more than who finds room. */
static void
write_asks_for_no_more_than_linux_takes(void **state)
{
	const size_t most = 0x7ffff000;
	volatile size_t much = (size_t)3 << 30; /* gcc knows the buffer */

	(void)state;
	WILL(SEND, .at = buf, .n = most, .gives = 4096);
	WILL(SEND, .at = buf + 4096, .n = most - 4096,
	     .gives = (ssize_t)most - 4096);
	assert_int_equal(write(fd, buf, much), most);
}

static void
write_reports_what_got_through_before_an_error(void **state)
{
	(void)state;
	WILL(SEND, .at = buf, .n = 10, .gives = 4);
	WILL(SEND, .at = buf + 4, .n = 6, .gives = -1, .err = ECONNRESET);
	errno = EDOM;
	assert_int_equal(write(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
}

static void
an_error_comes(void)
{
	pending = POLLERR;
}

/* To try again would take it. */
static void
write_leaves_an_error_for_the_next(void **state)
{
	(void)state;
	WILL(SEND, .at = buf, .n = 10, .gives = 4);
	WILL(SEND, .at = buf + 4, .n = 6, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = an_error_comes);
	errno = EDOM;
	assert_int_equal(write(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
}

static void
write_reports_what_got_through_before_a_signal(void **state)
{
	(void)state;
	WILL(SEND, .n = 10, .gives = 4);
	WILL(SEND, .n = 6, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_SIGNAL,
	     .meanwhile = a_signal_comes);
	errno = EDOM;
	assert_int_equal(write(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
}

static void
write_reports_what_got_through_before_a_timeout(void **state)
{
	(void)state;
	timeo[CO_OUT] = (struct timeval){ 1, 0 };
	WILL(SEND, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = now + SECOND, .gives = CO_WOKEN,
	     .meanwhile = time_passes);
	WILL(SEND, .n = 10, .gives = 4);
	WILL(SEND, .n = 6, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = now + SECOND, .gives = CO_TIMEOUT);
	assert_int_equal(write(fd, buf, 10), 4);

	times_out_after(SECOND, CO_OUT);
}

static void
write_reports_what_got_through_before_a_close(void **state)
{
	(void)state;
	WILL(SEND, .n = 10, .gives = 4);
	WILL(SEND, .n = 6, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_CLOSED);
	assert_int_equal(write(fd, buf, 10), 4);
}

static void
an_error_of_the_first_write_is_the_answer(void **state)
{
	(void)state;
	WILL(SEND, .n = 10, .gives = -1, .err = EPIPE);
	assert_int_equal(write(fd, buf, 10), -1);
	assert_int_equal(errno, EPIPE);
}

static void
with_the_programs_o_nonblock_a_part_is_enough(void **state)
{
	(void)state;
	slot.flags |= CO_FDF_NONBLOCK;
	WILL(SEND, .n = 10, .gives = 4);
	assert_int_equal(write(fd, buf, 10), 4);
}

static void
a_write_of_nothing_does_not_go_on_for_ever(void **state)
{
	(void)state;
	WILL(SEND, .n = 10, .gives = 0);
	assert_int_equal(write(fd, buf, 10), 0);
}

/* It eats a copy of the vector up: the program's stays as it is. */
static void
writev_goes_on_within_its_vector(void **state)
{
	const struct iovec v[] = {
		{ buf, 4 }, { buf + 10, 0 }, { buf + 20, 3 }, { buf + 30, 5 },
	};
	struct iovec mine[4];

	(void)state;
	memcpy(mine, v, sizeof(v));
	WILL(SENDMSG, .at = buf, .n = 4, .gives = 2);
	WILL(SENDMSG, .at = buf + 2, .n = 4, .gives = 2);
	WILL(SENDMSG, .at = buf + 20, .n = 2, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(SENDMSG, .at = buf + 20, .n = 2, .gives = 4);
	WILL(SEND, .at = buf + 31, .n = 4, .gives = 4);
	assert_int_equal(writev(fd, mine, 4), 12);
	assert_memory_equal(mine, v, sizeof(v));
}

static void
a_long_vector_is_as_good(void **state)
{
	struct iovec v[20];
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		v[i] = (struct iovec){ buf + i, 1 };
	WILL(SENDMSG, .at = buf, .n = 20, .gives = 15);
	WILL(SENDMSG, .at = buf + 15, .n = 5, .gives = 5);
	assert_int_equal(writev(fd, v, 20), 20);
	WILL(RECVMSG, .at = buf, .n = 20, .gives = 20);
	assert_int_equal(readv(fd, v, 20), 20);
}

/* epoll(7) says nothing of a peer's shutdown(SHUT_RD): so tries are repeated,
 * after 20 ms, 40 ms ... 640 ms. */
static void
a_unix_writer_tries_again_unasked(void **state)
{
	int64_t ms = 20;
	int i;

	(void)state;
	domain = AF_UNIX;
	for (i = 0; i < 8; i++) {
		WILL(SEND, .n = 10, .gives = -1, .err = EAGAIN);
		WILL(PARK, .until = now + ms * 1000000, .gives = CO_TIMEOUT);
		ms = ms < 640 ? ms * 2 : 640;
	}
	WILL(SEND, .n = 10, .gives = -1, .err = EPIPE);
	assert_int_equal(write(fd, buf, 10), -1);
	assert_int_equal(errno, EPIPE);
}

static void
a_unix_writer_keeps_to_its_timeout(void **state)
{
	(void)state;
	domain = AF_UNIX;
	timeo[CO_OUT] = (struct timeval){ 0, 30000 };
	WILL(SEND, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = now + 20 * 1000000, .gives = CO_TIMEOUT);
	WILL(SEND, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(PARK, .until = now + 30 * 1000000, .gives = CO_TIMEOUT);
	assert_int_equal(write(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
a_unix_reader_waits_to_be_told(void **state)
{
	(void)state;
	domain = AF_UNIX;
	times_out_after(0, CO_IN);
}

static void
a_tcp_writer_waits_to_be_told(void **state)
{
	(void)state;
	domain = AF_UNIX; /* as far as anybody asks */
	times_out_after(0, CO_OUT);
}

/* --- a short read has emptied TCP --- */

static void
short_read(void)
{
	WILL(RECV, .n = 10, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
}

static void
after_a_short_read_it_waits_without_a_try(void **state)
{
	int i;

	(void)state;
	short_read();
	for (i = 0; i < 3; i++) {
		WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
		     .meanwhile = something_comes);
		short_read();
	}
}

static void
after_a_full_read_it_tries(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = 10);
	assert_int_equal(read(fd, buf, 10), 10);
	short_read();
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECV, .n = 10, .gives = 10);
	assert_int_equal(read(fd, buf, 10), 10);
	short_read();
}

static void
after_the_end_or_an_error_it_tries(void **state)
{
	(void)state;
	WILL(RECV, .n = 10, .gives = 0);
	assert_int_equal(read(fd, buf, 10), 0);
	WILL(RECV, .n = 10, .gives = -1, .err = ECONNRESET);
	assert_int_equal(read(fd, buf, 10), -1);
	short_read();
}

/* The new count was not seen by the read: it came after, or with it. */
static void
after_an_event_it_tries(void **state)
{
	(void)state;
	short_read();
	something_comes();
	short_read();

	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = something_comes);
	WILL(RECV, .n = 10, .gives = 4, .meanwhile = something_comes);
	assert_int_equal(read(fd, buf, 10), 4);
	short_read();
}

/* Each alone makes a short read mean nothing. */
static void
hung_up(void)
{
	slot.flags |= CO_FDF_HUP;
}

static void
not_tcp(void)
{
	slot.flags &= (uint8_t)~CO_FDF_TCP;
}

static void
not_in_epoll(void)
{
	slot.registered = 0;
}

static void
nonblocking(void)
{
	slot.flags |= CO_FDF_NONBLOCK;
}

static void
borrowed(void)
{
	slot.flags |= CO_FDF_BORROWED;
}

static void
not_of_our_making(void)
{
	slot.flags &= (uint8_t)~CO_FDF_OURS;
}

static void
shared(void)
{
	slot.shared_at--;
}

static void
a_short_read_is_not_always_the_end(void **state)
{
	static void (*const reasons[])(void) = {
		hung_up, not_tcp, not_in_epoll, nonblocking, borrowed,
		not_of_our_making, shared,
	};
	size_t i;

	for (i = 0; i < UNIT_COUNT(reasons); i++) {
		a_tcp_socket(state);
		short_read();
		reasons[i]();
		short_read(); /* tries at once */
		assert_int_equal(enters, 0);
	}
}

static void
what_is_known_empty_still_times_out(void **state)
{
	(void)state;
	timeo[CO_IN] = (struct timeval){ 1, 0 };
	short_read();
	WILL(PARK, .until = now + SECOND, .gives = CO_TIMEOUT);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
readv_knows_it_too(void **state)
{
	struct iovec v[] = { { buf, 3 }, { buf + 8, 5 } };

	(void)state;
	WILL(RECVMSG, .at = buf, .n = 2, .gives = 7);
	assert_int_equal(readv(fd, v, 2), 7);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(RECVMSG, .at = buf, .n = 2, .gives = 8);
	assert_int_equal(readv(fd, v, 2), 8);
	WILL(RECVMSG, .at = buf, .n = 2, .gives = 8);
	assert_int_equal(readv(fd, v, 2), 8);
}

/* --- epoll cannot help --- */

static void
without_epoll_the_kernel_thread_waits(void **state)
{
	(void)state;
	enter_err = -ENOSPC;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLIN, .until = 20, .gives = 1);
	WILL(RECV, .n = 10, .gives = 4);
	errno = EDOM;
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
	assert_int_equal(lasting_regions, 1);
}

static void
without_epoll_it_times_out_as_well(void **state)
{
	(void)state;
	enter_err = -ENOMEM;
	timeo[CO_OUT] = (struct timeval){ 0, 1500 };
	WILL(SEND, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLOUT, .until = 2, .gives = 0);
	assert_int_equal(write(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
}

/* It was another coroutine's, whose signal found our kernel thread. */
static void
without_epoll_somebody_elses_handler_does_not_count(void **state)
{
	(void)state;
	enter_err = -ENOSPC;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLIN, .until = 20, .gives = -1, .err = EINTR);
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLIN, .until = 40, .gives = -1, .err = EINTR,
	     .meanwhile = a_handler_runs);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EINTR);
}

static void
without_epoll_errors_are_polls(void **state)
{
	(void)state;
	enter_err = -ENOSPC;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLIN, .until = 20, .gives = -1, .err = ENOMEM);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, ENOMEM);
}

static void
is_closed(void)
{
	slot.gen++;
}

/* Nobody tells poll(2) of a close, nor of all that a try would find. */
static void
without_epoll_it_looks_again_now_and_then(void **state)
{
	(void)state;
	enter_err = -ENOSPC;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLIN, .until = 20, .gives = 0);
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLIN, .until = 40, .gives = 1,
	     .meanwhile = is_closed);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EBADF);
}

/* --- what is not for us --- */

static void
passes_through(void)
{
	struct iovec v = { buf, 10 };

	WILL(READ, .at = buf, .n = 10, .gives = 4);
	WILL(WRITE, .at = buf, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(READV, .at = &v, .n = 1, .gives = 4);
	WILL(WRITEV, .at = &v, .n = 1, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(write(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(readv(fd, &v, 1), 4);
	assert_int_equal(writev(fd, &v, 1), 4);
	assert_int_equal(enters, 0);
}

static void
outside_a_coroutine_it_is_libcs(void **state)
{
	(void)state;
	co_active = 0;
	passes_through();
	co_active = 1;
	co_tls.nopark = 1;
	passes_through();
	co_tls.nopark = 0;
	co_tls.vforked = 1;
	passes_through();
	co_tls.vforked = 0;
	co_tls.self = NULL;
	passes_through();
}

static void
without_a_slot_it_is_libcs(void **state)
{
	(void)state;
	no_slot = true;
	passes_through();
}

static void
a_read_or_write_of_no_bytes_is_libcs(void **state)
{
	struct iovec v[] = { { buf, 0 }, { NULL, 0 } };

	(void)state;
	WILL(READ, .at = buf, .n = 0, .gives = 0);
	assert_int_equal(read(fd, buf, 0), 0);
	WILL(WRITE, .at = buf, .n = 0, .gives = 0);
	assert_int_equal(write(fd, buf, 0), 0);
	WILL(READV, .at = v, .n = 2, .gives = 0);
	assert_int_equal(readv(fd, v, 2), 0);
	WILL(WRITEV, .at = v, .n = 2, .gives = 0);
	assert_int_equal(writev(fd, v, 2), 0);
	WILL(READV, .at = v, .n = 0, .gives = 0);
	assert_int_equal(readv(fd, v, 0), 0);
	WILL(WRITEV, .at = v, .n = 0, .gives = 0);
	assert_int_equal(writev(fd, v, 0), 0);
}

static void
more_bytes_than_there_can_be_are_libcs(void **state)
{
	volatile size_t n = (size_t)SSIZE_MAX + 1;

	(void)state;
	WILL(READ, .at = buf, .n = n, .gives = -1, .err = EFAULT);
	assert_int_equal(read(fd, buf, n), -1);
	assert_int_equal(errno, EFAULT);
	WILL(WRITE, .at = buf, .n = n, .gives = -1, .err = EFAULT);
	assert_int_equal(write(fd, buf, n), -1);
}

/* The kernel says EFAULT or EINVAL, whichever it finds first. */
static void
a_bad_vector_is_the_kernels_to_judge(void **state)
{
	static struct iovec too_many[IOV_MAX + 1];
	struct iovec too_long[] = { { buf, SSIZE_MAX }, { buf, 1 } };
	const struct {
		struct iovec *v;
		int n;
		int err;
	} bad[] = {
		{ NOWHERE, 1, EFAULT },
		{ NOWHERE, 20, EFAULT },
		{ too_many, IOV_MAX + 1, EINVAL },
		{ too_many, -1, EINVAL },
		{ too_long, 2, EINVAL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < UNIT_COUNT(bad); i++) {
		WILL(READV, .at = bad[i].v, .n = (size_t)bad[i].n, .gives = -1,
		     .err = bad[i].err);
		assert_int_equal(readv(fd, bad[i].v, bad[i].n), -1);
		assert_int_equal(errno, bad[i].err);
		WILL(WRITEV, .at = bad[i].v, .n = (size_t)bad[i].n,
		     .gives = -1, .err = bad[i].err);
		assert_int_equal(writev(fd, bad[i].v, bad[i].n), -1);
		assert_int_equal(errno, bad[i].err);
	}
}

static void
a_checked_read_that_overflows_is_libcs(void **state)
{
	(void)state;
	WILL(READ_CHK, .at = buf, .n = 10, .gives = -1, .err = EDOM);
	assert_int_equal(__read_chk(fd, buf, 10, 9), -1);
	WILL(RECV, .at = buf, .n = 10, .gives = 10);
	assert_int_equal(__read_chk(fd, buf, 10, 10), 10);
}

/* --- asked by poll(2) first: what knows no RWF_NOWAIT --- */

static void
a_tty_is_polled_before_it_is_read(void **state)
{
	(void)state;
	WILL(POLL, .n = POLLIN, .gives = 1);
	WILL(READV, .n = 1, .gives = 4);
	errno = EDOM;
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(errno, EDOM);
	assert_int_equal(regions, 1); /* another reader may be faster */
	assert_int_equal(lasting_regions, 0);
}

static void
a_tty_waits_until_poll_says_ready(void **state)
{
	(void)state;
	WILL(POLL, .n = POLLIN, .gives = 0);
	WILL(FCNTL, .gives = O_RDWR);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = something_comes);
	WILL(POLL, .n = POLLIN, .gives = 0, .meanwhile = something_comes);
	WILL(FCNTL, .gives = O_RDWR);
	WILL(POLL, .n = POLLIN, .gives = 1);
	WILL(READV, .n = 1, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(enters, 2);
	assert_int_equal(timeo_asked, 0); /* no socket, no timeout */
}

/* What cannot wait is asked itself: poll(2) does not tell all. */
static void
a_nonblocking_tty_is_asked_itself(void **state)
{
	(void)state;
	slot.flags |= CO_FDF_NONBLOCK;
	WILL(POLL, .n = POLLIN, .gives = 0);
	WILL(READV, .n = 1, .gives = -1, .err = EAGAIN);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(enters, 0);
}

/* Polled writable, it has room for a page, and perhaps for no more. */
static void
a_pipe_of_old_is_written_by_the_page(void **state)
{
	(void)state;
	slot.kind = CO_FD_PIPE;
	WILL(POLL, .n = POLLOUT, .gives = 1);
	WILL(WRITEV, .n = 1, .bytes = 4096, .gives = 4096);
	WILL(POLL, .n = POLLOUT, .gives = 0);
	WILL(FCNTL, .gives = O_WRONLY);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(POLL, .n = POLLOUT, .gives = 1);
	WILL(WRITEV, .n = 1, .bytes = 904, .gives = 904);
	assert_int_equal(write(fd, buf, 5000), 5000);
}

static void
nowait_is_tried_where_it_is_not_known_in_vain(void **state)
{
	struct iovec v = { buf, 1 };

	(void)state;
	/* inotify(7) has no such reading: EOPNOTSUPP. */
	world((int)syscall(SYS_inotify_init1, IN_NONBLOCK | IN_CLOEXEC),
	      CO_FD_OTHER);
	assert_true(fd >= 0);
	if (syscall(SYS_preadv2, fd, &v, 1, -1L, -1L, RWF_NOWAIT) >= 0 ||
	    errno != EOPNOTSUPP)
		skip();
	WILL(POLL, .n = POLLIN, .gives = 1);
	WILL(READV, .n = 1, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
	assert_int_equal(slot.nowait[CO_IN], 2);
	assert_int_equal(slot.nowait[CO_OUT], 0);
}

/* The descriptor's own, or of an old kernel that knows no such flag. */
static void
einval_is_asked_again_without_flags(void **state)
{
	(void)state;
	world((int)syscall(SYS_eventfd2, 0, EFD_CLOEXEC), CO_FD_OTHER);
	assert_true(fd >= 0);
	WILL(READV, .n = 1, .gives = -1, .err = EINVAL);
	assert_int_equal(read(fd, buf, 4), -1); /* wants 8 */
	assert_int_equal(errno, EINVAL);
	assert_int_equal(regions, 1);
	assert_int_equal(slot.nowait[CO_IN], 0);
}

/* --- real pipes --- */

static void
hello_is_written(void)
{
	assert_int_equal(syscall(SYS_write, other_end, "hello", 5), 5);
	slot.seq[CO_IN]++;
}

static void
the_writer_goes(void)
{
	assert_int_equal(syscall(SYS_close, other_end), 0);
	other_end = -1;
	slot.seq[CO_IN]++;
}

static size_t drained;

/* All that is in it, as it was written: 0, 1, 2 ... */
static void
it_is_drained(void)
{
	static unsigned char got[1 << 17];
	struct pollfd p = { other_end, POLLIN, 0 };
	long n, i;

	while (syscall(SYS_poll, &p, 1, 0) == 1) {
		n = syscall(SYS_read, other_end, got, sizeof(got));
		assert_true(n > 0);
		for (i = 0; i < n; i++)
			assert_int_equal(got[i], (unsigned char)
						 ((drained + (size_t)i) % 251));
		drained += (size_t)n;
	}
	slot.seq[CO_OUT]++;
}

static void
read_of_a_pipe_waits_for_what_is_written(void **state)
{
	(void)state;
	if (!kernel_has_nowait())
		skip();
	hello_is_written();
	assert_int_equal(read(fd, buf, 10), 5);
	assert_memory_equal(buf, "hello", 5);

	memset(buf, 0, 10);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN);
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = hello_is_written);
	errno = EDOM;
	assert_int_equal(read(fd, buf, 3), 3);
	assert_memory_equal(buf, "hel", 4);
	assert_int_equal(errno, EDOM);
	assert_int_equal(read(fd, buf, 10), 2);
	assert_int_equal(regions, 0);
}

static void
readv_of_a_pipe_fills_its_vector(void **state)
{
	struct iovec v[] = { { buf + 10, 2 }, { buf, 10 } };

	(void)state;
	if (!kernel_has_nowait())
		skip();
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = hello_is_written);
	assert_int_equal(readv(fd, v, 2), 5);
	assert_memory_equal(buf + 10, "he", 3);
	assert_memory_equal(buf, "llo", 4);
}

static void
the_end_of_a_pipe_is_none_to_wait_for(void **state)
{
	(void)state;
	if (!kernel_has_nowait())
		skip();
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = the_writer_goes);
	assert_int_equal(read(fd, buf, 10), 0);
	assert_int_equal(read(fd, buf, 10), 0);
}

static void
write_to_a_pipe_goes_on_until_all_is_in_it(void **state)
{
	size_t n = sizeof(buf), i;

	(void)state;
	if (!kernel_has_nowait())
		skip();
	assert_int_equal(syscall(SYS_fcntl, fd, F_SETPIPE_SZ, 1 << 16),
			 1 << 16);
	for (i = 0; i < n; i++)
		buf[i] = (char)(i % 251);
	drained = 0;
	WILL(PARK, .until = CO_FOREVER, .gives = CO_WOKEN,
	     .meanwhile = it_is_drained);
	errno = EDOM;
	assert_int_equal(write(fd, buf, n), n);
	assert_int_equal(errno, EDOM);
	it_is_drained();
	assert_int_equal(drained, n);
	assert_int_equal(regions, 0);
}

static void
write_to_a_nonblocking_pipe_is_a_part(void **state)
{
	(void)state;
	if (!kernel_has_nowait())
		skip();
	assert_int_equal(syscall(SYS_fcntl, fd, F_SETPIPE_SZ, 1 << 16),
			 1 << 16);
	slot.flags |= CO_FDF_NONBLOCK;
	assert_int_equal(write(fd, buf, sizeof(buf)), 1 << 16);
	assert_int_equal(write(fd, buf, sizeof(buf)), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
a_wrong_direction_is_ebadf(void **state)
{
	(void)state;
	assert_int_equal(write(fd, buf, 10), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(enters, 0);
}

/* --- files --- */

/* Without a name. */
static int
a_file(void **state)
{
	(void)state;
	world((int)syscall(SYS_open, "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC,
			   0600), CO_FD_UNKNOWN);
	return 0;
}

/* Never waited for in epoll: the kernel thread waits, and that not for long. */
static ssize_t
kernel_readv(int on, const struct iovec *v, int n)
{
	assert_int_equal(region, 1);
	return syscall(SYS_readv, on, v, (long)n);
}

static ssize_t
kernel_writev(int on, const struct iovec *v, int n)
{
	assert_int_equal(region, 1);
	return syscall(SYS_writev, on, v, (long)n);
}

/* Any descriptor is ready, it says. */
static int
poll_of_a_file(struct pollfd *p, nfds_t n, int timeout)
{
	assert_int_equal(n, 1);
	assert_int_equal(timeout, 0);
	p->revents = p->events;
	return 1;
}

static void
a_file_is_written_and_read_whole(void **state)
{
	size_t n = sizeof(buf), i;

	(void)state;
	if (fd < 0)
		skip();
	real.readv = kernel_readv;
	real.writev = kernel_writev;
	real.poll = poll_of_a_file;
	for (i = 0; i < n; i++)
		buf[i] = (char)(i % 251);
	assert_int_equal(write(fd, buf, n), n);
	assert_int_equal(slot.kind, CO_FD_FILE);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	memset(buf, 0, n);
	errno = EDOM;
	assert_int_equal(read(fd, buf, n), n);
	for (i = 0; i < n; i++)
		assert_int_equal(buf[i], (char)(i % 251));
	assert_int_equal(read(fd, buf, n), 0);
	assert_int_equal(errno, EDOM);
	assert_int_equal(enters, 0);
	assert_int_equal(lasting_regions, 0);
}

/* Asked not to wait, the kernel gives what it has in memory: less than a
 * program is used to get of a file. */
static void
a_file_that_is_half_in_memory_is_read_whole(void **state)
{
	size_t n = sizeof(buf), head = n / 4;
	struct iovec v = { buf, n };

	(void)state;
	if (fd < 0)
		skip();
	real.readv = kernel_readv;
	assert_int_equal(syscall(SYS_write, fd, buf, n), n);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	assert_int_equal(pread(fd, buf, head, 0), head);
	if (syscall(SYS_preadv2, fd, &v, 1, 0L, 0L, RWF_NOWAIT) >= (long)n)
		skip(); /* a file system that is memory */

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(read(fd, buf, n), n);
}

static int nosignal;

static ssize_t
send_looks_at_flags(int on, const void *p, size_t n, int flags)
{
	nosignal = flags & MSG_NOSIGNAL;
	return tried(SEND, on, p, n);
}

static void
no_sigpipe_where_the_answer_is_a_count(void **state)
{
	(void)state;
	real.send = send_looks_at_flags;
	WILL(SEND, .n = 10, .gives = 4);
	WILL(SEND, .n = 6, .gives = -1, .err = EPIPE);
	assert_int_equal(write(fd, buf, 10), 4);
	assert_int_not_equal(nosignal, 0);
}

static void
without_epoll_a_restarting_handler_does_not_interrupt(void **state)
{
	(void)state;
	enter_err = -ENOSPC;
	WILL(RECV, .n = 10, .gives = -1, .err = EAGAIN);
	WILL(POLL, .n = POLLIN, .until = 20, .gives = -1, .err = EINTR,
	     .meanwhile = a_restarting_handler_runs);
	WILL(RECV, .n = 10, .gives = 4);
	assert_int_equal(read(fd, buf, 10), 4);
}

/* --- what it is, and when --- */

static void
kinds_are_fstats(void **state)
{
	static const struct {
		const char *path;
		int flags;
		enum co_fd_kind kind;
	} cases[] = {
		{ "/dev/null", O_RDWR, CO_FD_OTHER },
		{ "/tmp", O_RDONLY | O_DIRECTORY, CO_FD_FILE },
		{ "/proc/self/exe", O_RDONLY, CO_FD_FILE },
	};
	int ends[2];
	size_t i;
	int of;

	(void)state;
	for (i = 0; i < UNIT_COUNT(cases); i++) {
		of = (int)syscall(SYS_open, cases[i].path,
				  cases[i].flags | O_CLOEXEC, 0);
		assert_true(of >= 0);
		slot.kind = CO_FD_UNKNOWN;
		assert_int_equal(co_fd_kind_of(of, &slot), cases[i].kind);
		assert_int_equal(slot.kind, cases[i].kind);
		close(of);
	}
	slot.kind = CO_FD_UNKNOWN;
	assert_int_equal(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0,
				 ends), 0);
	assert_int_equal(co_fd_kind_of(ends[0], &slot), CO_FD_SOCKET);
	close(ends[0]);
	close(ends[1]);
	slot.kind = CO_FD_UNKNOWN;
	assert_int_equal(syscall(SYS_pipe2, ends, 0), 0);
	assert_int_equal(co_fd_kind_of(ends[0], &slot), CO_FD_PIPE);
	close(ends[0]);
	close(ends[1]);

	/* Once is enough. */
	assert_int_equal(co_fd_kind_of(ends[0], &slot), CO_FD_PIPE);
}

static void
of_what_is_not_open_nothing_is_known(void **state)
{
	(void)state;
	slot.kind = CO_FD_UNKNOWN;
	errno = EDOM;
	assert_int_equal(co_fd_kind_of(NO_SUCH_FD, &slot), CO_FD_FILE);
	assert_int_equal(errno, EDOM);
	assert_int_equal(slot.kind, CO_FD_UNKNOWN);
	assert_int_equal(read(fd, buf, 10), -1);
	assert_int_equal(errno, EBADF);
}

static void
deadlines_are_monotonic_nanoseconds(void **state)
{
	const struct timespec later = { 5, 7 }, zero = { 0, 0 };
	const struct timespec before = { -1, 0 }, never = { INT64_MAX, 0 };
	const struct timespec long_before = { INT64_MIN + 1, 0 };
	struct timespec real_now;
	int64_t t;

	(void)state;
	real.clock_gettime = clock_gettime;
	assert_int_equal(co_deadline_after(5), now + 5);
	assert_true(co_deadline_after(INT64_MAX) == CO_FOREVER);
	assert_true(co_deadline_after(INT64_MAX - now) == INT64_MAX);

	assert_int_equal(co_deadline_abs(CLOCK_MONOTONIC, &later),
			 5 * (int64_t)SECOND + 7);
	/* Long ago is not 0, which would mean something else. */
	assert_int_equal(co_deadline_abs(CLOCK_MONOTONIC, &zero), 1);
	assert_int_equal(co_deadline_abs(CLOCK_MONOTONIC, &before), 1);
	assert_int_equal(co_deadline_abs(CLOCK_MONOTONIC, &long_before), 1);
	assert_int_equal(co_deadline_abs(CLOCK_REALTIME, &before), 1);
	assert_int_equal(co_deadline_abs(CLOCK_REALTIME, &later), 1);
	assert_true(co_deadline_abs(CLOCK_MONOTONIC, &never) == CO_FOREVER);
	assert_true(co_deadline_abs(CLOCK_REALTIME, &never) == CO_FOREVER);

	/* An hour from now by the other clock is at most an hour by ours. */
	clock_gettime(CLOCK_REALTIME, &real_now);
	real_now.tv_sec += 3600;
	t = co_deadline_abs(CLOCK_REALTIME, &real_now);
	assert_true(t > now);
	assert_true(t <= now + 3600 * (int64_t)SECOND);
}

#define IN(w, t) cmocka_unit_test_setup_teardown(t, w, the_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IN(a_socket, read_that_succeeds_at_once_leaves_errno_alone),
		IN(a_socket, read_waits_then_tries_again),
		IN(a_socket, read_survives_spurious_wakeups),
		IN(a_socket,
		   what_comes_between_the_try_and_the_wait_is_not_lost),
		IN(a_socket, an_error_is_libcs_own),
		IN(a_socket, closed_while_it_waits_is_ebadf),
		IN(a_socket, closed_when_it_wakes_is_ebadf),
		IN(a_socket, closed_before_it_waits_is_ebadf),
		IN(a_socket, a_receive_timeout_is_eagain),
		IN(a_socket, a_timeout_is_that_of_the_whole_call),
		IN(a_socket, the_kernel_is_asked_of_a_timeout_once),
		IN(a_socket, of_a_shared_socket_the_timeout_is_asked_anew),
		IN(a_socket, a_handler_interrupts_the_wait),
		IN(a_socket, a_restarting_handler_does_not),
		IN(a_socket, where_a_timeout_is_set_any_handler_interrupts),
		IN(a_socket, a_handler_since_the_call_began_interrupts_it),
		IN(a_socket, a_handler_before_the_call_does_not_count),
		IN(a_socket,
		   a_restarting_handler_since_the_call_began_does_not_count),
		IN(a_socket, data_goes_before_a_signal),
		IN(a_socket, a_signal_without_data_after_all_interrupts),
		IN(a_socket, eintr_of_the_call_itself_passes),
		IN(a_socket, a_call_and_its_waits_are_cancellation_points),
		IN(a_socket, with_the_programs_o_nonblock_nobody_waits),
		IN(a_socket,
		   the_kernel_knows_the_flags_of_what_we_did_not_make),
		IN(a_socket, the_kernel_knows_the_flags_of_what_others_share),
		IN(a_socket, flags_that_cannot_be_had_are_none),
		IN(a_socket, a_borrowed_o_nonblock_is_not_the_programs),
		IN(a_socket, a_call_that_says_not_to_wait_does_not),
		IN(a_socket, write_goes_on_until_all_is_sent),
		IN(a_socket, write_asks_for_no_more_than_linux_takes),
		IN(a_socket, write_reports_what_got_through_before_an_error),
		IN(a_socket, write_leaves_an_error_for_the_next),
		IN(a_socket, write_reports_what_got_through_before_a_signal),
		IN(a_socket, write_reports_what_got_through_before_a_timeout),
		IN(a_socket, write_reports_what_got_through_before_a_close),
		IN(a_socket, an_error_of_the_first_write_is_the_answer),
		IN(a_socket, with_the_programs_o_nonblock_a_part_is_enough),
		IN(a_socket, a_write_of_nothing_does_not_go_on_for_ever),
		IN(a_socket, writev_goes_on_within_its_vector),
		IN(a_socket, a_long_vector_is_as_good),
		IN(a_socket, a_unix_writer_tries_again_unasked),
		IN(a_socket, a_unix_writer_keeps_to_its_timeout),
		IN(a_socket, a_unix_reader_waits_to_be_told),
		IN(a_tcp_socket, a_tcp_writer_waits_to_be_told),
		IN(a_tcp_socket, after_a_short_read_it_waits_without_a_try),
		IN(a_tcp_socket, after_a_full_read_it_tries),
		IN(a_tcp_socket, after_the_end_or_an_error_it_tries),
		IN(a_tcp_socket, after_an_event_it_tries),
		IN(a_tcp_socket, a_short_read_is_not_always_the_end),
		IN(a_tcp_socket, what_is_known_empty_still_times_out),
		IN(a_tcp_socket, readv_knows_it_too),
		IN(a_socket, without_epoll_the_kernel_thread_waits),
		IN(a_socket, without_epoll_it_times_out_as_well),
		IN(a_socket,
		   without_epoll_somebody_elses_handler_does_not_count),
		IN(a_socket, without_epoll_errors_are_polls),
		IN(a_socket, without_epoll_it_looks_again_now_and_then),
		IN(a_socket, outside_a_coroutine_it_is_libcs),
		IN(a_socket, without_a_slot_it_is_libcs),
		IN(a_socket, a_read_or_write_of_no_bytes_is_libcs),
		IN(a_socket, more_bytes_than_there_can_be_are_libcs),
		IN(a_socket, a_bad_vector_is_the_kernels_to_judge),
		IN(a_socket, a_checked_read_that_overflows_is_libcs),
		IN(a_tty, a_tty_is_polled_before_it_is_read),
		IN(a_tty, a_tty_waits_until_poll_says_ready),
		IN(a_tty, a_nonblocking_tty_is_asked_itself),
		IN(a_tty, a_pipe_of_old_is_written_by_the_page),
		IN(a_tty, nowait_is_tried_where_it_is_not_known_in_vain),
		IN(a_tty, einval_is_asked_again_without_flags),
		IN(a_pipe_to_read, read_of_a_pipe_waits_for_what_is_written),
		IN(a_pipe_to_read, readv_of_a_pipe_fills_its_vector),
		IN(a_pipe_to_read, the_end_of_a_pipe_is_none_to_wait_for),
		IN(a_pipe_to_write, write_to_a_pipe_goes_on_until_all_is_in_it),
		IN(a_pipe_to_write, write_to_a_nonblocking_pipe_is_a_part),
		IN(a_pipe_to_read, a_wrong_direction_is_ebadf),
		IN(a_file, a_file_is_written_and_read_whole),
		IN(a_socket, kinds_are_fstats),
		IN(a_file, a_file_that_is_half_in_memory_is_read_whole),
		IN(a_socket, no_sigpipe_where_the_answer_is_a_count),
		IN(a_socket, without_epoll_a_restarting_handler_does_not_interrupt),
		IN(a_socket, of_what_is_not_open_nothing_is_known),
		IN(a_socket, deadlines_are_monotonic_nanoseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
