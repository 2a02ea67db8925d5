/* SPDX-License-Identifier: MIT */
/* cpu.c - the CPU time of a coroutine.
 *
 * The kernel counts by kernel thread.  From the first time that anybody asks,
 * the clock is read at each switch, and what has gone by is that of who leaves.
 * Until then nobody pays for it: the monitor, which comes by each few
 * milliseconds, gives what a kernel thread has used since it last came to who
 * is on it then.  So one that computes for long has what it used, and one that
 * waits has little or nothing; from the first question on it is exact.
 */
#include <sys/resource.h>

#include "ctx/sys.h"
#include "sched/co.h"

int co_cpu_level;

static int64_t
ns_of(const struct timeval *tv)
{
	return tv->tv_sec * INT64_C(1000000000) + tv->tv_usec * INT64_C(1000);
}

int64_t
co_cpu_of_kernel(int tid)
{
	struct timespec ts = { 0, 0 };

	/* clock_getcpuclockid(3): the kernel's encoding of a thread's clock; 0
	 * is the caller. */
	sys2(SYS_clock_gettime, (int)(~(unsigned)tid << 3 | 6), &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void
measure(int64_t n[CO_USES], int level)
{
	struct rusage r;

	n[CO_U_CPU] = co_cpu_of_kernel(0);
	if (level < CO_CPU_ALL || sys2(SYS_getrusage, RUSAGE_THREAD, &r) != 0)
		return;
	n[CO_U_USER] = ns_of(&r.ru_utime);
	n[CO_U_SYS] = ns_of(&r.ru_stime);
	n[CO_U_MINFLT] = r.ru_minflt;
	n[CO_U_MAJFLT] = r.ru_majflt;
	n[CO_U_INBLOCK] = r.ru_inblock;
	n[CO_U_OUBLOCK] = r.ru_oublock;
	n[CO_U_NVCSW] = r.ru_nvcsw;
	n[CO_U_NIVCSW] = r.ru_nivcsw;
}

static void
add(struct co *co, int i, int64_t by)
{
	atomic_store_explicit(&co->usage.n[i], co->usage.n[i] + by,
			      memory_order_release);
}

/* self (NULL: nobody) has been on m, the caller's kernel thread, until now. */
void
co_cpu_switch(struct co_m *m, struct co *self)
{
	int level = co_cpu_level, i, known;
	int64_t by;
	int64_t now[CO_USES];

	measure(now, level);
	known = m->usage_level < level ? m->usage_level : level;
	if (self != NULL && known >= CO_CPU_ALL) {
		for (i = 0; i < CO_USES; i++)
			add(self, i, now[i] - m->usage.n[i]);
	} else if (self != NULL) {
		/* What began before anybody asked: since the monitor came. */
		by = now[CO_U_CPU] -
		     (known >= CO_CPU_TIME ? m->usage.n[CO_U_CPU] : m->sampled);
		add(self, CO_U_CPU, by);
		add(self, CO_U_USER, by);
	}
	for (i = 0; i < (level >= CO_CPU_ALL ? CO_USES : 1); i++)
		atomic_store_explicit(&m->usage.n[i], now[i],
				      memory_order_release);
	m->usage_level = level;
}

void
co_cpu_sample(struct co_m *m, struct co *co, int64_t cpu)
{
	if (co != NULL && co_cpu_level == 0) {
		add(co, CO_U_CPU, cpu - m->sampled);
		add(co, CO_U_USER, cpu - m->sampled);
	}
	m->sampled = cpu;
}

static void
ask_for(int level)
{
	int had = co_cpu_level;

	while (had < level &&
	       !__atomic_compare_exchange_n(&co_cpu_level, &had, level, 0,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

void
co_cpu_own(struct co *self, int level, int64_t n[CO_USES])
{
	int i;

	ask_for(level);
	co_critical_begin();
	co_cpu_switch(self->m, self);
	co_critical_end();
	for (i = 0; i < CO_USES; i++)
		n[i] = self->usage.n[i];
}

int64_t
co_cpu_time(struct co *co)
{
	int64_t n[CO_USES], had, t, from, seen;
	struct co_m *m;
	int i;

	if (co == co_tls.self) {
		co_cpu_own(co, CO_CPU_TIME, n);
		return n[CO_U_CPU];
	}
	ask_for(CO_CPU_TIME);
	/* It may be switched meanwhile: then once more. */
	for (i = 0; i < 10; i++) {
		t = had = atomic_load(&co->usage.n[CO_U_CPU]);
		m = co->m;
		if (co->done || m == NULL || m->cur != co)
			break;
		from = m->usage_level > 0 ? m->usage.n[CO_U_CPU] : m->sampled;
		t += co_cpu_of_kernel(m->tid) - from;
		if (m->cur == co && atomic_load(&co->usage.n[CO_U_CPU]) == had)
			break;
		t = had;
	}
	/* Never back, whoever looks. */
	seen = atomic_load(&co->cpu_seen);
	while (seen < t &&
	       !atomic_compare_exchange_weak(&co->cpu_seen, &seen, t))
		;
	return seen > t ? seen : t;
}
