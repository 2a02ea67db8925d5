/* SPDX-License-Identifier: MIT */
/* number.c - what is one thread's alone and is asked for by its number: for want
 * of a name in libc, or where that means all threads. */
#include <linux/keyctl.h>
#include <string.h>
#include <sys/ptrace.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/old.h"
#include "hook/pin.h"
#include "hook/wait.h"

/* <asm/prctl.h> */
enum { SET_GS = 0x1001, SET_CPUID = 0x1012 };

/* Which argument is a thread's id; -1: none is. */
static int
tid_at(long nr, const long a[6])
{
	enum { IOPRIO_WHO_PROCESS = 1 };

	switch (nr) {
	case SYS_sched_getaffinity: /* says how many bytes */
	case SYS_sched_setattr:
	case SYS_sched_getattr:
	/* The process of any of its threads. */
	case SYS_prlimit64:
	case SYS_getpgid:
	case SYS_getsid:
		return 0;
	case SYS_perf_event_open:
		return (pid_t)a[1] >= 0 ? 1 : -1;
	case SYS_getpriority: /* is 20 less the nice value */
		return (int)a[0] == PRIO_PROCESS ? 1 : -1;
	case SYS_ioprio_set:
	case SYS_ioprio_get:
		return (int)a[0] == IOPRIO_WHO_PROCESS ? 1 : -1;
	default:
		return -1;
	}
}

/* A keyring of the caller's own, which is made if there is none.  The process's
 * is one too: those that were threads before do not get it. */
static bool
is_own_ring(long id)
{
	return (int)id == KEY_SPEC_THREAD_KEYRING ||
	       (int)id == KEY_SPEC_PROCESS_KEYRING;
}

static bool
changes_keys(const long a[6])
{
	switch ((int)a[0]) {
	case KEYCTL_JOIN_SESSION_KEYRING:
	case KEYCTL_SET_REQKEY_KEYRING:
	case KEYCTL_ASSUME_AUTHORITY:
		return true;
	case KEYCTL_GET_KEYRING_ID:
		return is_own_ring(a[1]) && a[2] != 0;
	case KEYCTL_LINK:
		return is_own_ring(a[2]);
	default:
		return false;
	}
}

/* Does it change, or measure, the calling thread alone? */
static bool
is_the_threads(long nr, const long a[6])
{
	switch (nr) {
	case SYS_sched_setattr:
	case SYS_ioprio_set:
	case SYS_seccomp:
	case SYS_set_mempolicy:
	case SYS_perf_event_open:
#ifdef SYS_landlock_restrict_self
	case SYS_landlock_restrict_self:
#endif
	/* Unlike libc's, which are for all threads. */
	case SYS_setuid:
	case SYS_setgid:
	case SYS_setreuid:
	case SYS_setregid:
	case SYS_setresuid:
	case SYS_setresgid:
	case SYS_setgroups:
	/* Whoever submits must be there until it is done, and may have to be
	 * always the same. */
	case SYS_io_uring_setup:
	case SYS_io_uring_enter:
		return true;
	case SYS_keyctl:
		return changes_keys(a);
	case SYS_add_key:
		return is_own_ring(a[4]);
	case SYS_request_key:
		return is_own_ring(a[3]);
	case SYS_ptrace:
		return a[0] != PTRACE_TRACEME;
#ifdef SYS_iopl
	case SYS_iopl:
	case SYS_ioperm:
		return true;
#endif
#ifdef SYS_arch_prctl
	case SYS_arch_prctl:
		return a[0] == SET_GS || a[0] == SET_CPUID;
#endif
	default:
		return false;
	}
}

static long
said(long r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

static int
create_timer(clockid_t clock, struct sigevent *ev, void *timer)
{
	return (int)said(sys3(SYS_timer_create, clock, ev, timer));
}

/* libc has taken this for itself, in each thread; that we have given it up is
 * nobody's business (ctx/tcb.c). */
extern const unsigned __rseq_size __attribute__((weak));

static long
restarts(const long a[6])
{
	if (&__rseq_size != NULL && __rseq_size != 0)
		return -EINVAL;
	co_pin_here();
	return sys4(SYS_rseq, a[0], a[1], a[2], a[3]);
}

static bool
is_other_than_the_kernels(long nr, const long a[6], long *ret)
{
	switch (nr) {
	case SYS_timer_create:
		*ret = co_timer_create(create_timer, (clockid_t)a[0],
				       (void *)a[1], (void *)a[2]);
		return true;
	case SYS_rseq:
		if (co_tls.self == NULL)
			return false;
		*ret = said(restarts(a));
		return true;
	default:
		return false;
	}
}

bool
co_pin_syscall(long nr, const long a[6], long *ret)
{
	struct co *co;
	int at = tid_at(nr, a);
	long arg[6], r;
	bool its = is_the_threads(nr, a);

	if (is_other_than_the_kernels(nr, a, ret))
		return true;
	co = at >= 0 ? co_of_pid((pid_t)a[at]) : NULL;
	if (its && (at < 0 || co == co_tls.self))
		co_pin_here();
	if (co == NULL)
		return false;
	memcpy(arg, a, sizeof(arg));
	arg[at] = co_kernel_tid(co);
	if (its && co != co_tls.self && co->pinned == NULL)
		r = -ESRCH; /* another's that has none of its own */
	else
		r = sys6(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
	*ret = said(r);
	return true;
}
