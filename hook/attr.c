/* SPDX-License-Identifier: MIT */
/* attr.c - what a thread has of what its attributes said. */
#include <sched.h>

#include "ctx/sys.h"
#include "hook/wait.h"

/* The stack that a kernel thread of ours has for itself: the first of them is
 * none to glibc, and a sanitizer asks. */
static struct co_stack *
m_stack(pthread_t th)
{
	struct co_tls *tls;

	if (!co_active)
		return NULL;
	tls = co_tls_of_thread(th);
	return tls->m != NULL ? &tls->m->stack : NULL;
}

/* The CPUs that it may use, in as many bytes as it takes. */
static int
put_cpus(const struct co *co, pthread_attr_t *attr)
{
	enum { MOST = 8192 };
	uint64_t set[MOST / 64] = { 0 };
	int r;

	r = (int)-sys3(SYS_sched_getaffinity, co_kernel_tid(co), sizeof(set),
		       set);
	if (r > 0)
		return r == ENOSYS ? 0 : r;
	return pthread_attr_setaffinity_np(attr, sizeof(set), (cpu_set_t *)set);
}

/* glibc knows what was set by its own calls; here it is what the kernel has,
 * of which an object may hold a real-time policy alone. */
static void
put_policy(const struct co *co, pthread_attr_t *attr)
{
	struct sched_param p;
	int policy;

	pthread_attr_setinheritsched(attr, co->own_sched ?
						   PTHREAD_EXPLICIT_SCHED :
						   PTHREAD_INHERIT_SCHED);
	policy = (int)sys1(SYS_sched_getscheduler, co_kernel_tid(co));
	if (sys2(SYS_sched_getparam, co_kernel_tid(co), &p) == 0 &&
	    pthread_attr_setschedpolicy(attr, policy) == 0)
		pthread_attr_setschedparam(attr, &p);
}

COHOOK_EXPORT int
pthread_getattr_np(pthread_t th, pthread_attr_t *attr)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	struct co_stack *stack = co != NULL ? &co->stack : m_stack(th);
	int r, saved = errno;

	if (stack == NULL || (co != NULL && co->is_main)) {
		r = real.pthread_getattr_np(th, attr);
		/* It may have a kernel thread of its own by now. */
		if (r != 0 || co == NULL || co->pinned == NULL)
			return r;
	} else {
		r = pthread_attr_init(attr);
		if (r != 0)
			return r;
		pthread_attr_setstack(attr, stack->base,
				      co != NULL ? co->own_size : stack->size);
		if (co == NULL)
			return 0;
		pthread_attr_setguardsize(attr, co->own_guard);
		pthread_attr_setdetachstate(
			attr, co->detached ? PTHREAD_CREATE_DETACHED :
					     PTHREAD_CREATE_JOINABLE);
	}
	put_policy(co, attr);
	r = put_cpus(co, attr);
	if (r != 0)
		pthread_attr_destroy(attr);
	errno = saved;
	return r;
}
