/* SPDX-License-Identifier: MIT */
/* number.c - what is one thread's alone and is asked for by its number: for want
 * of a name in libc, or where that means all threads. */
#include <string.h>
#include <sys/ptrace.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/pin.h"
#include "hook/wait.h"

/* Which argument is a thread's id; -1: none is. */
static int
tid_at(long nr, const long a[6])
{
	enum { IOPRIO_WHO_PROCESS = 1 };

	switch (nr) {
	case SYS_sched_getaffinity: /* says how many bytes */
	case SYS_sched_setattr:
	case SYS_sched_getattr:
		return 0;
	case SYS_getpriority: /* is 20 less the nice value */
		return (int)a[0] == PRIO_PROCESS ? 1 : -1;
	case SYS_ioprio_set:
	case SYS_ioprio_get:
		return (int)a[0] == IOPRIO_WHO_PROCESS ? 1 : -1;
	default:
		return -1;
	}
}

/* Does it change, or measure, the calling thread alone? */
static bool
is_the_threads(long nr, const long a[6])
{
	enum { JOIN_SESSION_KEYRING = 1, SET_REQKEY_KEYRING = 14 };

	switch (nr) {
	case SYS_sched_setattr:
	case SYS_ioprio_set:
	case SYS_seccomp:
	case SYS_set_mempolicy:
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
		return true;
	case SYS_keyctl:
		return a[0] == JOIN_SESSION_KEYRING ||
		       a[0] == SET_REQKEY_KEYRING;
	case SYS_perf_event_open:
		return (pid_t)a[1] == 0;
	case SYS_ptrace:
		return a[0] != PTRACE_TRACEME;
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
	*ret = r < 0 ? -1 : r;
	if (r < 0)
		errno = (int)-r;
	return true;
}
