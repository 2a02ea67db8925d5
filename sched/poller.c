/* SPDX-License-Identifier: MIT */
/* poller.c - epoll: one set for all, edge-triggered. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/fd.h"
#include "sched/log.h"
#include "sched/work.h"

enum { EVENTS = 256, OURS = 8, AHEAD = 16 };
#define KICK UINT64_MAX

static int epfd = -1, kickfd = -1;
static _Atomic int kicked;   /* the poller will look without being told */
static _Atomic long watched; /* descriptors added, ever */
static int ours[OURS];
static int nours;

bool
co_is_our_fd(int fd)
{
	int i;

	for (i = 0; i < nours; i++)
		if (ours[i] == fd)
			return true;
	return false;
}

int
co_our_fd_from(int from)
{
	int i, best = -1;

	for (i = 0; i < nours; i++)
		if (ours[i] >= from && (best < 0 || ours[i] < best))
			best = ours[i];
	return best;
}

/* High up, where no loop over the low numbers and no select(2) meets it. */
int
co_fd_lift(int fd)
{
	struct rlimit rl = { 1024, 1024 };
	long from, high;

	sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &rl);
	from = rl.rlim_cur > (1 << 20) ? 1 << 20 : (long)rl.rlim_cur;
	high = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, from > 64 ? from - 16 : 3);
	if (high >= 0) {
		sys1(SYS_close, fd);
		fd = (int)high;
	}
	return fd;
}

int
co_high_fd(int fd)
{
	fd = co_fd_lift(fd);
	if (nours < OURS)
		ours[nours++] = fd;
	return fd;
}

static void
forget_ours(void)
{
	int i;

	for (i = 0; i < nours; i++)
		if (ours[i] == epfd || ours[i] == kickfd)
			ours[i--] = ours[--nours];
}

int
co_poller_init(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET,
				  .data.u64 = KICK };
	long e, k;

	e = sys1(SYS_epoll_create1, EPOLL_CLOEXEC);
	if (e < 0)
		return -1;
	k = sys2(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k < 0) {
		sys1(SYS_close, e);
		return -1;
	}
	epfd = co_high_fd((int)e);
	kickfd = co_high_fd((int)k);
	sys4(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, kickfd, &ev);
	return 0;
}

int
co_poller_add(int fd, uint32_t gen)
{
	struct epoll_event ev = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
		.data.u64 = (uint64_t)gen << 32 | (uint32_t)fd,
	};
	long r;

	if (co_is_our_fd(fd))
		return -EBADF;
	r = sys4(SYS_epoll_ctl, epfd, EPOLL_CTL_ADD, fd, &ev);
	/* There from an earlier life of the number, kept by a duplicate:
	 * MOD tells us of what is ready now, as ADD does. */
	if (r == -EEXIST)
		r = sys4(SYS_epoll_ctl, epfd, EPOLL_CTL_MOD, fd, &ev);
	if (r == 0)
		atomic_fetch_add_explicit(&watched, 1, memory_order_relaxed);
	return (int)r;
}

void
co_poller_del(int fd)
{
	struct epoll_event ev;

	sys4(SYS_epoll_ctl, epfd, EPOLL_CTL_DEL, fd, &ev);
}

static long
wait_until(struct epoll_event *ev, int64_t deadline)
{
	static _Atomic int no_pwait2;
	struct timespec ts = { 0, 0 };
	int64_t left;
	long r;

	if (deadline != CO_FOREVER && deadline != 0) {
		left = deadline - co_now();
		if (left > 0) {
			ts.tv_sec = left / 1000000000;
			ts.tv_nsec = left % 1000000000;
		}
	}
	if (!no_pwait2) {
		r = sys6(SYS_epoll_pwait2, epfd, ev, EVENTS,
			 deadline == CO_FOREVER ? NULL : &ts, NULL, 8);
		if (r != -ENOSYS)
			return r;
		no_pwait2 = 1;
	}
	/* Milliseconds, rounded up: never early. */
	left = ts.tv_sec * 1000 + (ts.tv_nsec + 999999) / 1000000;
	return sys6(SYS_epoll_pwait, epfd, ev, EVENTS,
		    deadline == CO_FOREVER ? -1
		    : left > 86400000      ? 86400000
					   : left,
		    NULL, 8);
}

/* The program has closed every number there is, ours among them, by a call
 * that we do not see. */
static void
lost(long err)
{
	int old = epfd, oldkick = kickfd;

	co_log(CO_WARN, "epoll_wait: errno %ld: the program has closed "
	       "descriptor %d, which was ours; another is made", err, epfd);
	forget_ours();
	/* The numbers may be the program's by now: they are not closed. */
	if (co_poller_init() != 0)
		co_die("no descriptor for epoll in place of %d and %d", old,
		       oldkick);
	atomic_store(&kicked, 0);
	co_fd_renew_all();
}

void
co_poller_kick(void)
{
	uint64_t one = 1;

	if (atomic_exchange(&kicked, 1) == 0)
		sys3(SYS_write, kickfd, &one, sizeof(one));
}

void
co_poller_kick_again(void)
{
	uint64_t one = 1;

	sys3(SYS_write, kickfd, &one, sizeof(one));
}

int
co_poller_kickfd(void)
{
	return kickfd;
}

/* Each event leads from a slot to a waiter to its stack, and with many
 * descriptors each step is a miss: the next few go it side by side. */
static void
prefetch(const struct epoll_event *ev, long n)
{
	long i;

	for (i = 0; i < n && i < AHEAD; i++)
		co_fd_prefetch(ev[i].data.u64);
	for (i = 0; i < n && i < AHEAD; i++)
		co_fd_prefetch_waits(ev[i].data.u64);
}

/* Called inside the scheduler, critical.  Where it blocks, in an m's own
 * context, signal handlers may run. */
void
co_poller_wait(int64_t deadline)
{
	struct epoll_event ev[EVENTS];
	long n, i;

	if (deadline == 0) {
		if (atomic_load_explicit(&watched, memory_order_relaxed) == 0)
			return;
		n = wait_until(ev, 0);
	} else {
		co_critical_end();
		n = wait_until(ev, deadline);
		co_critical_begin();
		co_clock_set();
		/* While we are still who polls: another that does so next is
		 * to be kicked, whatever we have had. */
		atomic_store(&kicked, 0);
		/* Whoever is made ready below needs no kick. */
		co_idle_over(co_m());
	}
	if (n == -EBADF || n == -EINVAL)
		lost(-n);
	for (i = 0; i < n; i++) {
		if (i % AHEAD == 0)
			prefetch(ev + i, n - i);
		if (ev[i].data.u64 != KICK) {
			co_fd_event(ev[i].data.u64, ev[i].events);
			continue;
		}
		/* Meant for one who sleeps, and taken by one who looked in
		 * passing: pass it on. */
		if (deadline != 0)
			continue;
		atomic_store(&kicked, 0);
		if (co_somebody_polls())
			co_poller_kick();
	}
}

/* The child must not touch the parent's set. */
void
co_poller_orphaned(void)
{
	sys1(SYS_close, epfd);
	sys1(SYS_close, kickfd);
	forget_ours();
	epfd = kickfd = -1;
	kicked = 0;
	watched = 0;
}

/* It has a new one, under new numbers. */
void
co_poller_forked(void)
{
	struct rlimit rl = { 0, 0 }, more;
	int r;

	co_poller_orphaned();
	if (co_poller_init() == 0)
		return;
	/* The limit may be lower than it was when we had ours.  Nobody else is
	 * here to see it raised for a moment. */
	sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &rl);
	more = rl;
	more.rlim_cur = rl.rlim_cur + 64 < rl.rlim_max ? rl.rlim_cur + 64
						       : rl.rlim_max;
	sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, &more, NULL);
	r = co_poller_init();
	sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, &rl, NULL);
	if (r != 0)
		co_die("no descriptor for epoll after fork");
}
