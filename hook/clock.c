/* SPDX-License-Identifier: MIT */
/* clock.c - what a thread has used: its CPU clock, and getrusage(2) for it. */
#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/wait.h"

/* A thread's clock by its id, clock_getcpuclockid(3): the kernel's encoding. */
enum { BY_TID = 6, KIND = 7, SHIFT = 3 };

clockid_t
co_clock_of(const struct co *co)
{
	return (clockid_t)(~(unsigned)co->tid << SHIFT | BY_TID);
}

struct co *
co_of_clock(clockid_t clock)
{
	struct co *co = NULL;

	if (likely(!co_active) || co_tls.vforked)
		return NULL;
	if (clock == CLOCK_THREAD_CPUTIME_ID ||
	    clock == (clockid_t)(~0U << SHIFT | BY_TID))
		co = co_tls.self;
	else if (clock < 0 && (clock & KIND) == BY_TID)
		co = co_of_tid(~(clock >> SHIFT));
	return co != NULL && !co->done ? co : NULL;
}

static __attribute__((noinline)) int
of_thread(clockid_t clock, struct timespec *ts)
{
	struct co *co = co_of_clock(clock);
	struct timespec t;
	int64_t ns;

	if (co == NULL)
		return real.clock_gettime(clock, ts);
	ns = co_cpu_time(co);
	t.tv_sec = ns / 1000000000;
	t.tv_nsec = ns % 1000000000;
	if (co_put(ts, &t, sizeof(t)))
		return 0;
	errno = EFAULT;
	return -1;
}

COHOOK_EXPORT int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	if (likely(clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID))
		return real.clock_gettime(clock, ts);
	return of_thread(clock, ts);
}
CO_CALL(clock_gettime);

COHOOK_EXPORT int
clock_getres(clockid_t clock, struct timespec *ts)
{
	if (unlikely(clock < 0) && co_of_clock(clock) != NULL)
		clock = CLOCK_THREAD_CPUTIME_ID;
	return real.clock_getres(clock, ts);
}
CO_CALL(clock_getres);

COHOOK_EXPORT int
pthread_getcpuclockid(pthread_t th, clockid_t *clock)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;

	if (co == NULL)
		return real.pthread_getcpuclockid(th, clock);
	if (co->done)
		return ESRCH;
	*clock = co_clock_of(co);
	return 0;
}

static struct timeval
tv_of(int64_t ns)
{
	struct timeval tv = { ns / 1000000000, ns % 1000000000 / 1000 };

	return tv;
}

/* A wait in which others had the CPU was a switch that the kernel did not see. */
COHOOK_EXPORT int
getrusage(__rusage_who_t who, struct rusage *user)
{
	struct co *self = co_tls.self;
	int64_t n[CO_USES];
	struct rusage r;

	if (likely(!co_active) || who != RUSAGE_THREAD || self == NULL ||
	    co_tls.vforked || real.getrusage(who, &r) != 0)
		return real.getrusage(who, user);
	co_cpu_own(self, CO_CPU_ALL, n);
	r.ru_utime = tv_of(n[CO_U_USER]);
	r.ru_stime = tv_of(n[CO_U_SYS]);
	r.ru_minflt = n[CO_U_MINFLT];
	r.ru_majflt = n[CO_U_MAJFLT];
	r.ru_inblock = n[CO_U_INBLOCK];
	r.ru_oublock = n[CO_U_OUBLOCK];
	r.ru_nvcsw = n[CO_U_NVCSW] + self->parks;
	r.ru_nivcsw = n[CO_U_NIVCSW];
	if (co_put(user, &r, sizeof(r)))
		return 0;
	errno = EFAULT;
	return -1;
}
CO_CALL(getrusage);
