/* SPDX-License-Identifier: MIT */
/* sigwait.c - signals sent to a thread, and threads that wait for signals.
 *
 * What is sent to a coroutine is queued at it; what is sent to the process is
 * pending in the kernel, where a signalfd(2) says that it has come.
 */
#include <string.h>
#include <sys/signalfd.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/old.h"
#include "hook/wait.h"

enum { SIGNALS = 65 };

/* --- sending --- */

static void
fill(siginfo_t *info, int sig, int code)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = code;
	info->si_pid = (pid_t)sys0(SYS_getpid);
	info->si_uid = (uid_t)sys0(SYS_getuid);
}

/* gone: the answer where its thread has ended. */
static int
send_to(struct co *co, siginfo_t *info, int gone)
{
	pid_t pid = (pid_t)sys0(SYS_getpid);
	int sig = info->si_signo;

	if (sig == CO_SIGCANCEL || sig == CO_SIGSETXID)
		return EINVAL;
	if (co->done)
		return gone;
	if (sig < 0 || sig >= SIGNALS)
		return EINVAL;
	if (sig == 0)
		return 0;
	if (co->pinned != NULL)
		return co_sig_send(co->pinned, info);
	/* Blocked, it is the coroutine's, wherever that runs then; blocked by a
	 * handler, the kernel keeps it until that is over. */
	if (co == co_tls.self &&
	    (co->in_handler || !(co->sigmask & CO_SIGBIT(sig)))) {
		if (info->si_code != SI_TKILL)
			co->to_self |= CO_SIGBIT(sig);
		return co_sig_send(co->m, info);
	}
	/* What stops, continues or kills acts on the process. */
	if (!co_is_handled(sig) && !(co->sigmask & CO_SIGBIT(sig)))
		return (int)-sys2(SYS_kill, pid, sig);
	return co_sig_queue(co, sig, info);
}

int
co_kill_thread(struct co *co, int sig, int gone)
{
	siginfo_t info;

	fill(&info, sig, SI_TKILL);
	return send_to(co, &info, gone);
}

COHOOK_EXPORT int
pthread_kill(pthread_t th, int sig)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;

	return co != NULL ? co_kill_thread(co, sig, 0)
			  : real.pthread_kill(th, sig);
}

COHOOK_EXPORT int
pthread_sigqueue(pthread_t th, int sig, const union sigval value)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	siginfo_t info;

	if (co == NULL)
		return real.pthread_sigqueue(th, sig, value);
	fill(&info, sig, SI_QUEUE);
	info.si_value = value;
	return send_to(co, &info, ESRCH);
}

COHOOK_EXPORT int
raise(int sig)
{
	struct co *self = co_here();
	siginfo_t info;
	int err;

	if (likely(self == NULL))
		return real.raise(sig);
	fill(&info, sig, SI_TKILL);
	err = send_to(self, &info, 0);
	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

struct co *
co_of_tid(pid_t tid)
{
	struct co *co;

	co_critical_begin();
	co_lock(&co_all_lock);
	for (co = co_all; co != NULL && co->tid != tid; co = co->all_next)
		;
	co_unlock(&co_all_lock);
	co_critical_end();
	return co;
}

static int
tgkill_(pid_t pid, pid_t tid, int sig)
{
	struct co *co = NULL;
	siginfo_t info;
	int err;

	if (unlikely(co_active) && !co_tls.vforked &&
	    pid == (pid_t)sys0(SYS_getpid))
		co = co_of_tid(tid);
	if (co == NULL)
		return real.tgkill(pid, tid, sig);
	fill(&info, sig, SI_TKILL);
	err = send_to(co, &info, ESRCH);
	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

/* What is said of the sender is the program's to say; the kernel refuses what
 * it would not send itself. */
long
co_tgsigqueueinfo_raw(const long a[6])
{
	struct co *co = NULL;
	siginfo_t info;
	int err;

	if (!co_tls.vforked && (pid_t)a[0] == (pid_t)sys0(SYS_getpid))
		co = co_of_tid((pid_t)a[1]);
	if (co == NULL || !co_get(&info, (void *)(uintptr_t)a[3], sizeof(info)))
		return real.syscall(SYS_rt_tgsigqueueinfo, a[0], a[1], a[2],
				    a[3], 0, 0);
	info.si_signo = (int)a[2];
	err = (info.si_code >= 0 || info.si_code == SI_TKILL) &&
			      co != co_tls.self
		      ? EPERM
		      : send_to(co, &info, ESRCH);
	if (err == 0)
		return 0;
	errno = err;
	return -1;
}

COHOOK_EXPORT int
tgkill(pid_t pid, pid_t tid, int sig)
{
	return tgkill_(pid, tid, sig);
}
CO_CALL(tgkill);

void
co_sig_own(struct co *self, int sig)
{
	const struct timespec zero = { 0, 0 };
	uint64_t set = CO_SIGBIT(sig);
	siginfo_t info;

	if (co_sig_mask(self) & set &&
	    sys4(SYS_rt_sigtimedwait, &set, &info, &zero, 8) == sig)
		co_sig_queue(self, sig, &info);
}

/* --- asking --- */

COHOOK_EXPORT int
sigpending(sigset_t *set)
{
	struct co *self = co_here();
	int r = real.sigpending(set);
	uint64_t mine, all;

	if (likely(self == NULL) || r != 0 || self->npending == 0)
		return r;
	mine = co_sig_pending(self);
	memcpy(&all, set, sizeof(all));
	all |= mine & co_sig_mask(self);
	memcpy(set, &all, sizeof(all));
	return 0;
}
CO_CALL(sigpending);

/* --- waiting until a handler has run --- */

static int
until_handled(struct co *self, unsigned handled, const char *why)
{
	struct co_parker *p = co_parker();
	bool none;

	do {
		co_cancel_point(self);
		/* No handler between the look and the wait: it would not wake
		 * us. */
		co_critical_begin();
		none = self->handled == handled;
		if (none) {
			co_arm(p);
			co_park(p, CO_FOREVER, why, 0, true);
		}
		co_critical_end();
		co_sig_handle();
	} while (none);
	errno = EINTR;
	return -1;
}

COHOOK_EXPORT int
pause(void)
{
	struct co *self = co_here();

	if (likely(self == NULL))
		return real.pause();
	return until_handled(self, self->handled, "pause");
}
CO_CALL(pause);

static int
suspend(struct co *self, const sigset_t *set)
{
	unsigned handled;
	sigset_t old;

	co_cancel_point(self); /* before a signal is let in */
	handled = self->handled;
	co_sigmask(SIG_SETMASK, set, &old);
	until_handled(self, handled, "sigsuspend");
	co_sigmask(SIG_SETMASK, &old, NULL);
	errno = EINTR;
	return -1;
}

COHOOK_EXPORT int
sigsuspend(const sigset_t *set)
{
	struct co *self = co_here();
	sigset_t new;

	if (likely(self == NULL) || !co_get(&new, set, sizeof(uint64_t)))
		return real.sigsuspend(set);
	return suspend(self, &new);
}
COHOOK_ALIAS(__sigsuspend, sigsuspend);
CO_CALL(sigsuspend);

/* A signal to let in, or BSD's mask of the first 32. */
COHOOK_EXPORT int
__sigpause(int sig, int is_sig)
{
	struct co *self = co_here();
	uint64_t mask = (unsigned)sig;
	sigset_t set;

	if (likely(self == NULL))
		return real.__sigpause(sig, is_sig);
	sigemptyset(&set);
	if (is_sig) {
		if (sig < 1 || sig >= SIGNALS) {
			errno = EINVAL;
			return -1;
		}
		mask = co_sig_mask(self) & ~CO_SIGBIT(sig);
	}
	memcpy(&set, &mask, sizeof(mask));
	return suspend(self, &set);
}

/* Two functions of one name in C, by what a program asks of the headers. */
int bsd_sigpause(int mask) __asm__("sigpause");
int xpg_sigpause(int sig) __asm__("__xpg_sigpause");

COHOOK_EXPORT int
bsd_sigpause(int mask)
{
	return __sigpause(mask, 0);
}

COHOOK_EXPORT int
xpg_sigpause(int sig)
{
	return __sigpause(sig, 1);
}

/* --- waiting for one that is blocked --- */

static int
take_now(struct co *self, uint64_t set, siginfo_t *info)
{
	struct timespec zero = { 0, 0 };
	struct co_sig sig;
	long r;

	/* One that libc's own write has brought since is the same one. */
	if (unlikely(self->npending > 0) && set & CO_SIGBIT(SIGPIPE))
		co_sig_own(self, SIGPIPE);
	if (co_sig_take(self, set, &sig)) {
		*info = sig.info;
		return sig.signo;
	}
	/* What makes a kernel thread look at a queue is no signal, and may be
	 * there for somebody who went on elsewhere. */
	do
		r = sys4(SYS_rt_sigtimedwait, &set, info, &zero, 8);
	while (r == -EINTR || (r > 0 && co_sig_is_nudge(info)));
	if (r <= 0 && co_sig_take(self, set, &sig)) {
		*info = sig.info;
		return sig.signo;
	}
	return r > 0 ? (int)r : 0;
}

/* No descriptor to be had: the kernel thread waits. */
static int
wait_in_region(const sigset_t *set, siginfo_t *info,
	       const struct timespec *timeout)
{
	struct co *self = co_tls.self;
	struct co_sig sig;
	uint64_t bits;
	int r;

	memcpy(&bits, set, sizeof(bits));
	co_region_begin("sigwait", true);
	do
		r = real.sigtimedwait(set, info, timeout);
	while (r > 0 && co_sig_is_nudge(info) &&
	       !co_sig_take(self, bits, &sig));
	co_region_end();
	if (r > 0 && co_sig_is_nudge(info)) {
		*info = sig.info;
		r = sig.signo;
	}
	return r;
}

/* With a signalfd for as long as we wait.  The signal; -1 and errno; or 0: there
 * may be a cancellation, to be looked at without it. */
static int
wait_by_fd(struct co *self, uint64_t set, siginfo_t *got, int64_t deadline,
	   const struct timespec *timeout, unsigned handled, const char *why)
{
	struct co_fd_wait w;
	struct co_fd *slot;
	enum co_why woken = CO_NONE;
	uint32_t gen, seq;
	int fd, r, err;

	fd = (int)sys4(SYS_signalfd4, -1, &set, 8, SFD_CLOEXEC);
	if (fd >= 0)
		fd = co_fd_lift(fd);
	slot = fd >= 0 ? co_fd(fd) : NULL;
	if (slot == NULL) {
		if (fd >= 0)
			sys1(SYS_close, fd);
		return wait_in_region((sigset_t *)&set, got, timeout);
	}
	co_fd_made(fd, CO_FD_OTHER, 0);
	gen = slot->gen;
	self->sigwait = set;
	for (;;) {
		seq = slot->seq[CO_IN];
		r = take_now(self, set, got);
		/* Also where the descriptor woke it: both may have come. */
		if (r != 0 ||
		    (woken != CO_NONE && woken != CO_TIMEOUT && self->cancel))
			break;
		/* No handler between the look and the wait: it would not wake
		 * us. */
		co_critical_begin();
		if (woken == CO_TIMEOUT)
			err = -EAGAIN;
		else if (self->handled != handled)
			err = -EINTR;
		else
			err = co_fd_enter(&w, fd, slot, CO_IN, gen, seq);
		if (err == 0) {
			woken = co_park(w.parker, deadline, why, 0, true);
			co_fd_leave(&w);
		}
		co_critical_end();
		co_sig_handle();
		if (err >= 0)
			continue;
		errno = -err;
		r = err == -EAGAIN || err == -EINTR
			    ? -1
			    : wait_in_region((sigset_t *)&set, got, timeout);
		break;
	}
	self->sigwait = 0;
	co_fd_forget(fd);
	err = errno;
	sys1(SYS_close, fd);
	errno = err;
	return r;
}

/* raw: as the kernel's own call has it. */
static int
wait_for(struct co *self, const sigset_t *user, siginfo_t *info,
	 const struct timespec *timeout, const char *why, bool raw)
{
	int64_t deadline = CO_FOREVER;
	unsigned handled = self->handled;
	siginfo_t got;
	uint64_t set;
	int r, saved = errno;

	if (!co_get(&set, user, sizeof(set))) {
		errno = EFAULT;
		return -1;
	}
	if (timeout != NULL && timeout->tv_sec < INT64_MAX / 1000000000 - 1)
		deadline = co_deadline_after(timeout->tv_sec *
						     INT64_C(1000000000) +
					     timeout->tv_nsec);
	do {
		co_cancel_point(self);
		r = take_now(self, set, &got);
		if (r == 0)
			r = wait_by_fd(self, set, &got, deadline, timeout,
				       handled, why);
	} while (r == 0);
	if (r < 0)
		return -1;
	errno = saved;
	if (got.si_code == SI_TKILL && !raw)
		got.si_code = SI_USER; /* as glibc has it */
	if (info != NULL && !co_put(info, &got, sizeof(got))) {
		errno = EFAULT;
		return -1;
	}
	return r;
}

static int
sigtimedwait_(const sigset_t *set, siginfo_t *info,
	      const struct timespec *timeout, bool raw)
{
	struct co *self = co_here();
	struct timespec ts;

	if (likely(self == NULL) ||
	    (timeout != NULL && (!co_get(&ts, timeout, sizeof(ts)) ||
				 !co_ts_valid(&ts) || ts.tv_sec < 0)))
		return raw ? (int)real.syscall(SYS_rt_sigtimedwait,
					       SYS_ARG(set), SYS_ARG(info),
					       SYS_ARG(timeout), 8, 0, 0)
			   : real.sigtimedwait(set, info, timeout);
	return wait_for(self, set, info, timeout != NULL ? &ts : NULL,
			"sigtimedwait", raw);
}

COHOOK_EXPORT int
sigtimedwait(const sigset_t *set, siginfo_t *info,
	     const struct timespec *timeout)
{
	return sigtimedwait_(set, info, timeout, false);
}

int
co_sigtimedwait_raw(const sigset_t *set, siginfo_t *info,
		    const struct timespec *timeout)
{
	return sigtimedwait_(set, info, timeout, true);
}

COHOOK_EXPORT int
sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	struct co *self = co_here();

	if (likely(self == NULL))
		return real.sigwaitinfo(set, info);
	return wait_for(self, set, info, NULL, "sigwaitinfo", false);
}

COHOOK_EXPORT int
sigwait(const sigset_t *set, int *sig)
{
	struct co *self = co_here();
	int r, saved = errno;

	if (likely(self == NULL))
		return real.sigwait(set, sig);
	do
		r = wait_for(self, set, NULL, NULL, "sigwait", false);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		r = errno;
		errno = saved;
		return r;
	}
	*sig = r;
	return 0;
}
