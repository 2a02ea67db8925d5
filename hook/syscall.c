/* SPDX-License-Identifier: MIT */
/* syscall.c - syscall(2): what waits, keeps books or names a thread goes by
 * the hook of its name in libc (syscalls.def); all others go to the kernel. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/region.h"
#include "hook/robust.h"

/* The hooks, by names that are ours alone: calls.h. */
#define CALL(number, hook, ...) CO_CALL_OF(hook);
#define RAW(number)
#include "hook/syscalls.def"
#undef CALL
#undef RAW
CO_CALL_OF(ppoll);
CO_CALL_OF(pselect);
CO_CALL_OF(epoll_pwait);
CO_CALL_OF(epoll_pwait2);
CO_CALL_OF(clock_nanosleep);
CO_CALL_OF(clock_getres);
CO_CALL_OF(clock_gettime);
CO_CALL_OF(waitid);
CO_CALL_OF(sigsuspend);
CO_CALL_OF(sigpending);

#define P(i) ((void *)a[i])
#define I(i) ((int)a[i])
#define U(i) ((unsigned)a[i])
#define N(i) ((size_t)a[i])
#define L(i) (a[i])

static long
to_kernel(long nr, const long a[6])
{
	long r;

	co_region_begin("syscall", false);
	r = real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	co_region_end();
	return r;
}

/* --- where the kernel's is another than libc's --- */

/* Its sets of signals have 8 bytes, and say so; else it is for the kernel to
 * refuse. */
static bool
is_set(const void *user, size_t size, sigset_t *set)
{
	sigemptyset(set);
	return size == 8 && co_get(set, user, 8);
}

/* What is left of a time is written back, if it was any; not to what cannot
 * be written. */
struct time_left {
	struct timespec *user, ts;
	int64_t until;
};

static bool
time_of(struct time_left *t, void *user)
{
	t->user = user;
	if (user == NULL)
		return true;
	if (!co_get(&t->ts, user, sizeof(t->ts)) || !co_ts_valid(&t->ts) ||
	    t->ts.tv_sec < 0)
		return false;
	t->until =
		t->ts.tv_sec > INT64_MAX / 1000000000 - 1 ?
			CO_FOREVER :
			co_deadline_after(t->ts.tv_sec * INT64_C(1000000000) +
					  t->ts.tv_nsec);
	return true;
}

static void
write_left(const struct time_left *t)
{
	struct timespec ts;
	int64_t left;

	if (t->user == NULL || t->until == CO_FOREVER ||
	    (t->ts.tv_sec == 0 && t->ts.tv_nsec == 0))
		return;
	left = t->until - co_now();
	left = left > 0 ? left : 0;
	ts.tv_sec = left / 1000000000;
	ts.tv_nsec = left % 1000000000;
	(void)co_put(t->user, &ts, sizeof(ts));
}

static long
raw_ppoll(const long a[6])
{
	struct time_left t;
	sigset_t set;
	int r;

	if (!time_of(&t, P(2)) || (P(3) != NULL && !is_set(P(3), N(4), &set)))
		return to_kernel(SYS_ppoll, a);
	r = co_call_ppoll(P(0), U(1), t.user != NULL ? &t.ts : NULL,
			  P(3) != NULL ? &set : NULL);
	write_left(&t);
	return r;
}

/* The sixth argument is a set and its size, or NULL; so may the set be. */
static long
raw_pselect6(const long a[6])
{
	struct {
		void *set;
		size_t size;
	} sixth = { NULL, 0 };
	struct time_left t;
	sigset_t set;
	int r;

	if (!time_of(&t, P(4)) ||
	    (P(5) != NULL && !co_get(&sixth, P(5), sizeof(sixth))) ||
	    (sixth.set != NULL && !is_set(sixth.set, sixth.size, &set)))
		return to_kernel(SYS_pselect6, a);
	r = co_call_pselect(I(0), P(1), P(2), P(3),
			    t.user != NULL ? &t.ts : NULL,
			    sixth.set != NULL ? &set : NULL);
	write_left(&t);
	return r;
}

static long
raw_epoll_pwait(const long a[6])
{
	sigset_t set;

	if (P(4) != NULL && !is_set(P(4), N(5), &set))
		return to_kernel(SYS_epoll_pwait, a);
	return co_call_epoll_pwait(I(0), P(1), I(2), I(3),
				   P(4) != NULL ? &set : NULL);
}

static long
raw_epoll_pwait2(const long a[6])
{
	sigset_t set;

	if (P(4) != NULL && !is_set(P(4), N(5), &set))
		return to_kernel(SYS_epoll_pwait2, a);
	return co_call_epoll_pwait2(I(0), P(1), I(2), P(3),
				    P(4) != NULL ? &set : NULL);
}

/* libc's own writes to bad memory where the kernel says so. */
static long
raw_clock_gettime(const long a[6])
{
	return co_of_clock(I(0)) != NULL ? co_call_clock_gettime(I(0), P(1)) :
					   to_kernel(SYS_clock_gettime, a);
}

static long
raw_clock_getres(const long a[6])
{
	return co_of_clock(I(0)) != NULL ? co_call_clock_getres(I(0), P(1)) :
					   to_kernel(SYS_clock_getres, a);
}

static long
raw_clock_nanosleep(const long a[6])
{
	int err;

	if (I(0) != CLOCK_REALTIME && I(0) != CLOCK_MONOTONIC)
		return to_kernel(SYS_clock_nanosleep, a);
	err = co_call_clock_nanosleep(I(0), I(1), P(2), P(3));
	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

/* The kernel's has a fifth argument: what the child has used. */
static long
raw_waitid(const long a[6])
{
	if (P(4) != NULL)
		return to_kernel(SYS_waitid, a);
	return co_call_waitid((idtype_t)I(0), (id_t)I(1), P(2), I(3));
}

static long
raw_rt_sigprocmask(const long a[6])
{
	sigset_t set, old;
	int err;

	if (N(3) != 8 || (P(1) != NULL && !is_set(P(1), 8, &set)))
		return to_kernel(SYS_rt_sigprocmask, a);
	err = co_sigmask(I(0), P(1) != NULL ? &set : NULL, &old);
	if (err == 0 && P(2) != NULL && !co_put(P(2), &old, 8))
		err = EFAULT;
	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

static long
raw_rt_sigsuspend(const long a[6])
{
	sigset_t set;

	if (!is_set(P(0), N(1), &set))
		return to_kernel(SYS_rt_sigsuspend, a);
	return co_call_sigsuspend(&set);
}

static long
raw_rt_sigpending(const long a[6])
{
	sigset_t set;
	int r;

	if (N(1) != 8)
		return to_kernel(SYS_rt_sigpending, a);
	r = co_call_sigpending(&set);
	if (r == 0 && !co_put(P(0), &set, 8)) {
		errno = EFAULT;
		r = -1;
	}
	return r;
}

static long
raw_rt_sigtimedwait(const long a[6])
{
	sigset_t set;

	if (!is_set(P(0), N(3), &set))
		return to_kernel(SYS_rt_sigtimedwait, a);
	return co_sigtimedwait_raw(&set, P(1), P(2));
}

static long
raw_signalfd(const long a[6])
{
	return co_signalfd_raw(SYS_signalfd, a);
}

static long
raw_signalfd4(const long a[6])
{
	return co_signalfd_raw(SYS_signalfd4, a);
}

static long
raw_tkill(const long a[6])
{
	return co_call_tgkill((pid_t)sys0(SYS_getpid), I(0), I(1));
}

static long
raw_rt_tgsigqueueinfo(const long a[6])
{
	return co_tgsigqueueinfo_raw(a);
}

static long
raw_gettid(const long a[6])
{
	return co_tls.self != NULL ? co_tls.self->tid :
				     to_kernel(SYS_gettid, a);
}

/* Of one thread, past libc.  The kernel leaves its robust mutexes to others. */
static long
raw_exit(const long a[6])
{
	struct co *self = co_tls.self;

	if (self == NULL) {
		if (pthread_getspecific(co_last_key) != NULL)
			co_count_quit(I(0));
		return to_kernel(SYS_exit, a);
	}
	co_robust_end(self);
	co_quit(I(0));
	return 0;
}

/* --- all of them --- */

static long
by_hook(long nr, const long a[6])
{
	long r;

	switch (nr) {
#define CALL(number, hook, ...) \
	case SYS_##number:      \
		return co_call_##hook(__VA_ARGS__);
#define RAW(number)        \
	case SYS_##number: \
		return raw_##number(a);
#include "hook/syscalls.def"
#undef CALL
#undef RAW
	default:
		return co_pin_syscall(nr, a, &r) ? r : to_kernel(nr, a);
	}
}

/* Six arguments are read, however many there are: registers' worths.  No
 * cancellation point, whatever it leads to: syscall(2) is none. */
COHOOK_EXPORT long
syscall(long nr, ...)
{
	int i, state;
	va_list ap;
	long a[6], r;

	va_start(ap, nr);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (likely(!co_active) || co_tls.vforked)
		return real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (nr == SYS_gettid && co_tls.self != NULL)
		return co_tls.self->tid;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (nr != SYS_futex || !co_futex(a, &r))
		r = by_hook(nr, a);
	pthread_setcancelstate(state, NULL);
	return r;
}
