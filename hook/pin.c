/* SPDX-License-Identifier: MIT */
/* pin.c - what the kernel keeps for a thread and a coroutine asks for: CPUs,
 * priority, namespaces, capabilities and the like.
 *
 * Who changes such a thing is pinned to a kernel thread of its own before, for
 * good (co_pin()), and what it was told is its thread id stands for that one.
 * Where nothing changes, it stays as free as it was.
 */
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/old.h"
#include "hook/pin.h"
#include "hook/wait.h"
#include "sched/log.h"

#ifndef SIGEV_THREAD_ID
#define SIGEV_THREAD_ID 4
#endif

static struct co *
me(void)
{
	return unlikely(co_active) && !co_tls.vforked ? co_tls.self : NULL;
}

void
co_pin_here(void)
{
	static _Atomic int said;

	if (me() != NULL && !co_pin() && atomic_exchange(&said, 1) == 0)
		co_log(CO_WARN, "no kernel thread to pin a coroutine to: what "
				"it changes others may meet");
}

struct co *
co_of_pid(pid_t tid)
{
	if (likely(!co_active) || co_tls.vforked)
		return NULL;
	return tid == 0 ? co_tls.self : co_of_tid(tid);
}

pid_t
co_kernel_tid(const struct co *co)
{
	if (co->pinned != NULL)
		return co == co_tls.self ? 0 : co->pinned->tid;
	return co == co_tls.self ? 0 : co_monitor_tid;
}

static pid_t
mapped(pid_t tid)
{
	struct co *co = co_of_pid(tid);

	return co == NULL ? tid : co_kernel_tid(co);
}

/* --- asking another coroutine --- */

enum { DATA = 1024 };           /* cpu_set_t for 8192 CPUs */

/* A system call whose first or second argument is 0 for "myself". */
struct request {
	long nr, arg[3];
	int data_at;            /* the argument that is data; -1: none */
	_Atomic int holders;    /* who asks and who does */
	_Atomic int done;
	long r;
	char data[DATA];
};

static void
drop(struct request *q)
{
	if (atomic_fetch_sub(&q->holders, 1) == 1)
		free(q);
}

void
co_pin_asked(void *request)
{
	struct request *q = request;

	co_pin_here();
	if (q->data_at >= 0)
		q->arg[q->data_at] = SYS_ARG(q->data);
	q->r = sys3(q->nr, q->arg[0], q->arg[1], q->arg[2]);
	atomic_store(&q->done, 1);
	drop(q);
}

/* co does it when it next waits, or goes on from waiting: at once as a rule.
 * One that computes for long, or waits in a call that only the kernel sees, is
 * not waited for.  0 or -errno. */
static long
ask(struct co *co, struct request *q)
{
	enum { PATIENCE = 50 };
	siginfo_t info;
	long r = 0;
	int i;

	memset(&info, 0, sizeof(info));
	info.si_signo = CO_SIGSETXID;
	info.si_value.sival_ptr = q;
	q->holders = 2;
	q->done = 0;
	if (co_sig_queue(co, CO_SIGSETXID, &info) != 0) {
		free(q);
		return -EAGAIN;
	}
	for (i = 0; i < PATIENCE && !atomic_load(&q->done); i++)
		co_sleep(co_deadline_after(1000000), "asks a thread", false);
	if (atomic_load(&q->done))
		r = q->r;
	drop(q);
	return r;
}

/* nr(a, b, c) for the coroutine co, of which one argument is who: 0 for itself.
 * data: n bytes at the argument data_at.  0 or -errno. */
static long
change(struct co *co, long nr, long a, long b, long c, int who_at, int data_at,
       const void *data, size_t n)
{
	long arg[3] = { a, b, c };
	struct request *q;

	arg[who_at] = 0;
	if (co == co_tls.self) {
		co_pin_here();
		return sys3(nr, arg[0], arg[1], arg[2]);
	}
	if (co->pinned != NULL) {
		arg[who_at] = co->pinned->tid;
		return sys3(nr, arg[0], arg[1], arg[2]);
	}
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -EAGAIN;
	q->nr = nr;
	memcpy(q->arg, arg, sizeof(arg));
	q->data_at = data_at;
	if (data_at >= 0 && (n > DATA || !co_get(q->data, data, n))) {
		free(q);
		return n > DATA ? -EINVAL : -EFAULT;
	}
	return ask(co, q);
}

pid_t
co_pinned_tid(struct co *co)
{
	/* It is asked what it is told is its id, and is pinned with that. */
	if (co == co_tls.self)
		co_pin_here();
	else if (co->pinned == NULL)
		change(co, SYS_gettid, 0, 0, 0, 0, -1, NULL, 0);
	return co->pinned != NULL ? co->pinned->tid : 0;
}

static int
answer(long r)
{
	if (r >= 0)
		return (int)r;
	errno = (int)-r;
	return -1;
}

/* --- CPUs --- */

static long
set_affinity(struct co *co, size_t n, const cpu_set_t *set)
{
	char now[DATA], want[DATA] = { 0 };
	long had;

	had = sys3(SYS_sched_getaffinity, co_kernel_tid(co), sizeof(now), now);
	if (had > 0 && n <= sizeof(want) && co_get(want, set, n)) {
		if ((size_t)had >= n && memcmp(now, want, (size_t)had) == 0)
			return 0;
		/* Known now, for one who is asked may answer late. */
		memset(now, 0, sizeof(now));
		if (memcmp(now, want, sizeof(want)) == 0)
			return -EINVAL;
	}
	return change(co, SYS_sched_setaffinity, 0, (long)n, SYS_ARG(set), 0, 2,
		      set, n);
}

COHOOK_EXPORT int
sched_setaffinity(pid_t tid, size_t n, const cpu_set_t *set)
{
	struct co *co = co_of_pid(tid);

	if (likely(co == NULL))
		return real.sched_setaffinity(tid, n, set);
	return answer(set_affinity(co, n, set));
}
CO_CALL(sched_setaffinity);

COHOOK_EXPORT int
sched_getaffinity(pid_t tid, size_t n, cpu_set_t *set)
{
	return real.sched_getaffinity(mapped(tid), n, set);
}
CO_CALL(sched_getaffinity);

COHOOK_EXPORT int
pthread_setaffinity_np(pthread_t th, size_t n, const cpu_set_t *set)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;

	if (co == NULL)
		return real.pthread_setaffinity_np(th, n, set);
	return (int)-set_affinity(co, n, set);
}
CO_CALL(pthread_setaffinity_np);

COHOOK_EXPORT int
pthread_getaffinity_np(pthread_t th, size_t n, cpu_set_t *set)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	int saved = errno, r;

	if (co == NULL)
		return real.pthread_getaffinity_np(th, n, set);
	if (real.sched_getaffinity(co_kernel_tid(co), n, set) == 0)
		return 0;
	r = errno;
	errno = saved;
	return r;
}
CO_CALL(pthread_getaffinity_np);

/* --- policies and priorities --- */

static bool
is_as_it_was(struct co *co, int policy, const struct sched_param *p)
{
	pid_t tid = co_kernel_tid(co);
	struct sched_param now, want;

	return co_get(&want, p, sizeof(want)) &&
	       sys1(SYS_sched_getscheduler, tid) == policy &&
	       sys2(SYS_sched_getparam, tid, &now) == 0 &&
	       now.sched_priority == want.sched_priority;
}

static long
set_scheduler(struct co *co, int policy, const struct sched_param *p)
{
	if (is_as_it_was(co, policy, p))
		return 0;
	return change(co, SYS_sched_setscheduler, 0, policy, SYS_ARG(p), 0, 2,
		      p, sizeof(*p));
}

COHOOK_EXPORT int
sched_setscheduler(pid_t tid, int policy, const struct sched_param *p)
{
	struct co *co = co_of_pid(tid);

	if (likely(co == NULL))
		return real.sched_setscheduler(tid, policy, p);
	return answer(set_scheduler(co, policy, p));
}
COHOOK_ALIAS(__sched_setscheduler, sched_setscheduler);
CO_CALL(sched_setscheduler);

static long
set_param(struct co *co, const struct sched_param *p)
{
	if (is_as_it_was(co,
			 (int)sys1(SYS_sched_getscheduler, co_kernel_tid(co)),
			 p))
		return 0;
	return change(co, SYS_sched_setparam, 0, SYS_ARG(p), 0, 0, 1, p,
		      sizeof(*p));
}

COHOOK_EXPORT int
sched_setparam(pid_t tid, const struct sched_param *p)
{
	struct co *co = co_of_pid(tid);

	if (likely(co == NULL))
		return real.sched_setparam(tid, p);
	return answer(set_param(co, p));
}
CO_CALL(sched_setparam);

COHOOK_EXPORT int
sched_getscheduler(pid_t tid)
{
	return real.sched_getscheduler(mapped(tid));
}
COHOOK_ALIAS(__sched_getscheduler, sched_getscheduler);
CO_CALL(sched_getscheduler);

COHOOK_EXPORT int
sched_getparam(pid_t tid, struct sched_param *p)
{
	return real.sched_getparam(mapped(tid), p);
}
COHOOK_ALIAS(__sched_getparam, sched_getparam);
CO_CALL(sched_getparam);

COHOOK_EXPORT int
sched_rr_get_interval(pid_t tid, struct timespec *ts)
{
	return real.sched_rr_get_interval(mapped(tid), ts);
}
CO_CALL(sched_rr_get_interval);

/* Of its own priority glibc keeps a copy, for mutexes that have a ceiling: the
 * caller's change goes through glibc, which is told the id that the kernel
 * knows.  False: by us. */
static bool
begin_own(struct co *co)
{
	if (co != co_tls.self || co->tcb.clear_tid == NULL)
		return false;
	co_pin_here();
	if (co->pinned == NULL)
		return false;
	*co->tcb.clear_tid = co->pinned->tid;
	return true;
}

COHOOK_EXPORT int
pthread_setschedparam(pthread_t th, int policy, const struct sched_param *p)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	int r;

	if (co == NULL)
		return real.pthread_setschedparam(th, policy, p);
	if (co->pinned == NULL && is_as_it_was(co, policy, p))
		return 0;
	if (!begin_own(co))
		return (int)-set_scheduler(co, policy, p);
	r = real.pthread_setschedparam(th, policy, p);
	*co->tcb.clear_tid = co->tid;
	return r;
}

COHOOK_EXPORT int
pthread_setschedprio(pthread_t th, int prio)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	struct sched_param p = { .sched_priority = prio };
	int r;

	if (co == NULL)
		return real.pthread_setschedprio(th, prio);
	if (co->pinned == NULL || !begin_own(co))
		return (int)-set_param(co, &p);
	r = real.pthread_setschedprio(th, prio);
	*co->tcb.clear_tid = co->tid;
	return r;
}

COHOOK_EXPORT int
pthread_getschedparam(pthread_t th, int *policy, struct sched_param *p)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	long r;

	if (co == NULL)
		return real.pthread_getschedparam(th, policy, p);
	r = sys1(SYS_sched_getscheduler, co_kernel_tid(co));
	if (r < 0)
		return (int)-r;
	*policy = (int)r;
	return (int)-sys2(SYS_sched_getparam, co_kernel_tid(co), p);
}

COHOOK_EXPORT int
getpriority(__priority_which_t which, id_t who)
{
	if (which == PRIO_PROCESS)
		who = (id_t)mapped((pid_t)who);
	return real.getpriority(which, who);
}

COHOOK_EXPORT int
setpriority(__priority_which_t which, id_t who, int prio)
{
	struct co *co = which == PRIO_PROCESS ? co_of_pid((pid_t)who) : NULL;

	if (likely(co == NULL))
		return real.setpriority(which, who, prio);
	/* The kernel's answer is 20 less the nice value. */
	if (sys2(SYS_getpriority, PRIO_PROCESS, co_kernel_tid(co)) == 20 - prio)
		return 0;
	return answer(change(co, SYS_setpriority, PRIO_PROCESS, 0, prio, 1, -1,
			     NULL, 0));
}
CO_CALL(setpriority);

COHOOK_EXPORT int
nice(int by)
{
	if (by != 0)
		co_pin_here();
	return real.nice(by);
}

/* --- namespaces, rights, and the rest --- */

COHOOK_EXPORT int
unshare(int flags)
{
	if (flags != 0)
		co_pin_here();
	return real.unshare(flags);
}
CO_CALL(unshare);

COHOOK_EXPORT int
personality(unsigned long persona)
{
	enum { ASKS = 0xffffffff };

	if (persona != ASKS)
		co_pin_here();
	return real.personality(persona);
}
CO_CALL(personality);

COHOOK_EXPORT int
setns(int fd, int type)
{
	co_pin_here();
	return real.setns(fd, type);
}
CO_CALL(setns);

/* As they are: not for all threads, unlike setuid(2) and its like. */
COHOOK_EXPORT int
setfsuid(uid_t uid)
{
	if (me() != NULL && uid != (uid_t)sys1(SYS_setfsuid, -1))
		co_pin_here();
	return real.setfsuid(uid);
}
CO_CALL(setfsuid);

COHOOK_EXPORT int
setfsgid(gid_t gid)
{
	if (me() != NULL && gid != (gid_t)sys1(SYS_setfsgid, -1))
		co_pin_here();
	return real.setfsgid(gid);
}
CO_CALL(setfsgid);

COHOOK_EXPORT int
capset(void *header, const void *data)
{
	struct __user_cap_header_struct h;
	struct co *self = me();

	if (likely(self == NULL) || !co_get(&h, header, sizeof(h)))
		return real.capset(header, data);
	if (h.pid == self->tid)
		h.pid = 0;
	co_pin_here();
	return answer(sys2(SYS_capset, &h, data));
}
CO_CALL(capset);

COHOOK_EXPORT int
capget(void *header, void *data)
{
	struct __user_cap_header_struct h;
	int r;

	if (likely(me() == NULL) || !co_get(&h, header, sizeof(h)) ||
	    h.pid <= 0 || co_of_tid(h.pid) == NULL)
		return real.capget(header, data);
	h.pid = mapped(h.pid);
	r = answer(sys2(SYS_capget, &h, data));
	/* A version that the kernel does not know: it has said which it does. */
	co_put(header, &h, sizeof(h.version));
	return r;
}
CO_CALL(capget);

static int
set_name(struct co *self, const char *user)
{
	char name[16];
	int i;

	for (i = 0; i < 15 && co_get(&name[i], user + i, 1); i++)
		if (name[i] == '\0')
			break;
	if (i < 15 && name[i] != '\0') {
		errno = EFAULT;
		return -1;
	}
	name[i] = '\0';
	co_set_name(self->tcb.thread, name);
	return 0;
}

static int
get_name(struct co *self, char *user)
{
	char name[16] = "";

	co_get_name(self->tcb.thread, name, sizeof(name));
	if (co_put(user, name, sizeof(name)))
		return 0;
	errno = EFAULT;
	return -1;
}

/* Main's, from before it was a coroutine: no thread begins with one. */
static int deathsig;

void
co_pin_init(void)
{
	sys2(SYS_prctl, PR_GET_PDEATHSIG, &deathsig);
}

static int
get_deathsig(const struct co *self, void *user)
{
	int sig = self == co_main_alive ? deathsig : 0;

	if (co_put(user, &sig, sizeof(sig)))
		return 0;
	errno = EFAULT;
	return -1;
}

/* What changes the thread alone, prctl(2). */
static bool
of_a_thread(int option)
{
	switch (option) {
	case PR_SET_PDEATHSIG:
	case PR_SET_UNALIGN:
	case PR_SET_FPEMU:
	case PR_SET_FPEXC:
	case PR_SET_KEEPCAPS:
	case PR_SET_TIMING:
	case PR_SET_ENDIAN:
	case PR_SET_SECCOMP:
	case PR_CAPBSET_DROP:
	case PR_SET_TSC:
	case PR_SET_SECUREBITS:
	case PR_SET_TIMERSLACK:
	case PR_MCE_KILL:
	case PR_SET_NO_NEW_PRIVS:
	case PR_SET_FP_MODE:
	case PR_CAP_AMBIENT:
	case PR_SET_SPECULATION_CTRL:
	case PR_SET_IO_FLUSHER:
	case PR_SET_SYSCALL_USER_DISPATCH:
#ifdef PR_SCHED_CORE
	case PR_SCHED_CORE:
#endif
		return true;
	default:
		return false;
	}
}

COHOOK_EXPORT int
prctl(int option, ...)
{
	struct co *self = me();
	long a, b, c, d;
	va_list ap;

	va_start(ap, option);
	a = va_arg(ap, long);
	b = va_arg(ap, long);
	c = va_arg(ap, long);
	d = va_arg(ap, long);
	va_end(ap);
	if (unlikely(self != NULL)) {
		if (option == PR_SET_NAME)
			return set_name(self, (const char *)(uintptr_t)a);
		if (option == PR_GET_NAME)
			return get_name(self, (char *)(uintptr_t)a);
		if (option == PR_GET_PDEATHSIG && self->pinned == NULL)
			return get_deathsig(self, (void *)(uintptr_t)a);
		if (of_a_thread(option) &&
		    !(option == PR_CAP_AMBIENT && a == PR_CAP_AMBIENT_IS_SET))
			co_pin_here();
	}
	return real.prctl(option, a, b, c, d);
}
CO_CALL(prctl);

/* By which the kernel counts the time of co, which is pinned for that. */
static clockid_t
kernels_clock(struct co *co)
{
	if (co == co_tls.self) {
		co_pin_here();
		return CLOCK_THREAD_CPUTIME_ID;
	}
	/* It is asked what it is told is its id, and is pinned with that. */
	if (co->pinned == NULL)
		change(co, SYS_gettid, 0, 0, 0, 0, -1, NULL, 0);
	return co->pinned == NULL ? co_clock_of(co)
				  : (clockid_t)(~(unsigned)co->pinned->tid
							<< 3 |
						6);
}

/* A timer for a thread is for the kernel thread that it has. */
int
co_timer_create(int (*create)(clockid_t, struct sigevent *, void *),
		clockid_t clock, struct sigevent *ev, void *timer)
{
	struct sigevent mine;
	struct co *co = co_of_clock(clock);

	/* The kernel thread's own time, and nobody else's. */
	if (co != NULL)
		clock = kernels_clock(co);
	if (likely(me() == NULL) || ev == NULL ||
	    !co_get(&mine, ev, sizeof(mine)) ||
	    mine.sigev_notify != SIGEV_THREAD_ID)
		return create(clock, ev, timer);
	co = co_of_tid(mine._sigev_un._tid);
	if (co == NULL)
		return create(clock, ev, timer);
	if (co_pinned_tid(co) == 0) { /* it computes, and asks nobody */
		errno = EAGAIN;
		return -1;
	}
	co->thread_timer = 1;
	mine._sigev_un._tid = co->pinned->tid;
	return create(clock, &mine, timer);
}

static int
create_timer(clockid_t clock, struct sigevent *ev, void *timer)
{
	return real.timer_create(clock, ev, timer);
}

COHOOK_EXPORT int
timer_create(clockid_t clock, struct sigevent *ev, timer_t *timer)
{
	int r = co_timer_create(create_timer, clock, ev, timer);

	if (r == 0 && unlikely(co_active))
		co_cpu_timer_made(*timer, co_of_clock(clock));
	return r;
}
CO_CALL(timer_create);

/* Its tracer is a kernel thread to the traced. */
COHOOK_EXPORT long
ptrace(enum __ptrace_request request, ...)
{
	va_list ap;
	pid_t pid;
	void *addr, *data;

	va_start(ap, request);
	pid = va_arg(ap, pid_t);
	addr = va_arg(ap, void *);
	data = va_arg(ap, void *);
	va_end(ap);
	if (request != PTRACE_TRACEME)
		co_pin_here();
	return real.ptrace(request, pid, addr, data);
}
