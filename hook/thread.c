/* SPDX-License-Identifier: MIT */
/* thread.c - pthread_create gives a coroutine; joining, detaching, asking. */
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "ctx/sys.h"
#include "hook/env.h"
#include "hook/exclude.h"
#include "hook/runtimes.h"
#include "hook/wait.h"
#include "sched/log.h"
#include "sched/lot.h"

/* A pthread_t is the thread pointer (psABI: %fs:0 holds its own address, and
 * glibc's pthread_self() is that), so our own thread-local says whose it is. */
struct co_tls *
co_tls_of_thread(pthread_t th)
{
	return (struct co_tls *)((uintptr_t)th +
				 ((uintptr_t)&co_tls - co_ctx_tp()));
}

struct co *
co_of_thread(pthread_t th)
{
	return co_tls_of_thread(th)->self;
}

/* An object without CPUs of its own gives all that there can be. */
static bool
has_cpus(const pthread_attr_t *attr)
{
	enum { MOST = 8192 };
	uint64_t set[MOST / 64];
	size_t i;

	if (pthread_attr_getaffinity_np(attr, sizeof(set), (cpu_set_t *)set))
		return true;
	for (i = 0; i < sizeof(set) / sizeof(*set); i++)
		if (set[i] != ~UINT64_C(0))
			return true;
	return false;
}

/* glibc 2.32; 0 if the object has a mask of signals. */
int pthread_attr_getsigmask_np(const pthread_attr_t *attr, sigset_t *set)
	__attribute__((weak));

static const uint64_t *
read_mask(const pthread_attr_t *attr, uint64_t *mask)
{
	sigset_t set;

	if (pthread_attr_getsigmask_np == NULL ||
	    pthread_attr_getsigmask_np(attr, &set) != 0)
		return NULL;
	memcpy(mask, &set, sizeof(*mask));
	return mask;
}

/* What of an attribute object we can honour; false: only a kernel thread can,
 * real-time scheduling for one. */
static bool
read_attr(const pthread_attr_t *given, struct co_birth *b)
{
	pthread_attr_t def;
	const pthread_attr_t *attr = given;
	int state, inherit, policy;
	void *addr;
	size_t size;

	if (attr == NULL) {
		if (pthread_getattr_default_np(&def) != 0)
			return false;
		attr = &def;
	}
	pthread_attr_getstack(attr, &addr, &size);
	pthread_attr_getguardsize(attr, &b->guard);
	pthread_attr_getdetachstate(attr, &state);
	pthread_attr_getinheritsched(attr, &inherit);
	pthread_attr_getschedpolicy(attr, &policy);
	/* Without an address the object gives 0 less the size. */
	if ((uintptr_t)addr + size != 0 && addr != NULL)
		b->own = addr;
	b->stack = size;
	if (size == 0) {
		pthread_attr_init(&def);
		pthread_attr_getstacksize(&def, &b->stack);
	}
	if (given == NULL && co_env.stack != 0)
		b->stack = co_env.stack + co_tcb_room();
	b->detached = state == PTHREAD_CREATE_DETACHED;
	b->own_sched = inherit == PTHREAD_EXPLICIT_SCHED;
	return (inherit == PTHREAD_INHERIT_SCHED || policy == SCHED_OTHER) &&
	       !has_cpus(attr);
}

/* A kernel thread of the program's counts as one of its threads from before it
 * is there until the last of its keys' destructors, ours (life.c). */
struct native {
	void *(*fn)(void *);
	void *arg;
};

static void *
native_life(void *arg)
{
	struct native n = *(struct native *)arg;

	free(arg);
	pthread_setspecific(co_last_key, (void *)1);
	return n.fn(n.arg);
}

static int
create_counted(pthread_t *th, const pthread_attr_t *attr, void *(*fn)(void *),
	       void *arg)
{
	struct native *n = malloc(sizeof(*n));
	int err;

	if (n == NULL)
		return EAGAIN;
	*n = (struct native){ fn, arg };
	atomic_fetch_add(&co_threads, 1);
	err = real.pthread_create(th, attr, native_life, n);
	if (err != 0) {
		atomic_fetch_sub(&co_threads, 1);
		free(n);
	}
	return err;
}

/* It takes its name from its creator's kernel thread, which has it so long. */
int
co_create_native(pthread_t *th, const pthread_attr_t *attr, void *(*fn)(void *),
		 void *arg)
{
	struct co *self = co_active ? co_tls.self : NULL;
	int err;

	if (!co_active)
		return real.pthread_create(th, attr, fn, arg);
	if (self == NULL || self->m == NULL || self->pinned != NULL)
		return create_counted(th, attr, fn, arg);
	/* No switch in there: the name is the kernel thread's. */
	co_tls.nopark++;
	co_comm_co(self);
	err = create_counted(th, attr, fn, arg);
	co_comm_m(self->m);
	co_tls.nopark--;
	return err;
}

COHOOK_EXPORT int
pthread_create(pthread_t *th, const pthread_attr_t *attr, void *(*fn)(void *),
	       void *arg)
{
	struct co_birth b = { .fn = fn, .arg = arg };
	struct co *co;
	uint64_t mask;
	int err, saved = errno;

	if (unlikely(!co_active))
		co_load();
	if (unlikely(co_exclude_any) && co_exclude_owns(fn, arg))
		return co_create_native(th, attr, fn, arg);
	if (unlikely(co_runtime_of(fn) == CO_RUNTIME_TEAM))
		return co_create_native(th, attr, fn, arg);
	/* What a pinned one creates takes after it. */
	if (co_tls.nopark > 0 || co_start_now() != 0)
		return co_create_native(th, attr, fn, arg);
	if (unlikely(co_runtime_of(fn) != CO_RUNTIME_NONE) || !read_attr(attr, &b))
		return co_create_native(th, attr, fn, arg);
	if (attr != NULL)
		b.mask = read_mask(attr, &mask);
	err = co_spawn(&b, &co);
	if (err != 0)
		return err;
	*th = co->tcb.thread; /* before it can run, and look */
	co_ready(co);
	errno = saved;
	return 0;
}

COHOOK_EXPORT int
thrd_create(thrd_t *th, thrd_start_t fn, void *arg)
{
	int err;

	if (!co_may_start())
		return real.thrd_create(th, fn, arg);
	err = pthread_create(th, NULL, (void *(*)(void *))(uintptr_t)fn, arg);
	return err == 0 ? thrd_success : err == ENOMEM || err == EAGAIN
						 ? thrd_nomem
						 : thrd_error;
}

/* glibc unwinds the stack and runs what was pushed or thrown past; the last
 * key's destructor is ours (life.c). */
COHOOK_EXPORT void
pthread_exit(void *result)
{
	struct co *self = co_active ? co_tls.self : NULL;

	if (self != NULL) {
		self->result = result;
		self->spent = CO_SPENT;
	}
	real.pthread_exit(result);
	__builtin_unreachable();
}

COHOOK_EXPORT void
thrd_exit(int result)
{
	if (likely(!co_active))
		real.thrd_exit(result);
	pthread_exit((void *)(intptr_t)result);
}

/* Wait for co's end; its result.  deadline 0: do not wait. */
static int
join(struct co *co, void **result, int64_t deadline)
{
	struct co_lot_wait w;
	enum co_why why = CO_NONE;
	void *r;

	if (co == co_tls.self)
		return deadline == 0 ? EBUSY : EDEADLK;
	co_critical_begin();
	co_lock(&co->join_lock);
	if (co->detached || co->joining) {
		co_unlock(&co->join_lock);
		co_critical_end();
		return EINVAL;
	}
	co->joining = 1;
	co_unlock(&co->join_lock);
	co_critical_end();
	while (!atomic_load(&co->done)) {
		if (unlikely(co_tls.self == NULL || co_tls.self->cancel)) {
			co->joining = 0; /* another may join it then */
			co_cancel_here();
			co->joining = 1;
		}
		if (deadline == 0 || why == CO_TIMEOUT) {
			co->joining = 0;
			return deadline == 0 ? EBUSY : ETIMEDOUT;
		}
		co_lot_enter(&w, &co->done, 0, false);
		if (atomic_load(&co->done)) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			break;
		}
		why = co_lot_park(&w, deadline, "pthread_join", false);
	}
	r = co_reap(co);
	if (result != NULL)
		*result = r;
	return 0;
}

COHOOK_EXPORT int
pthread_join(pthread_t th, void **result)
{
	struct co *co;
	int r, saved = errno;

	if (likely(!co_active))
		return real.pthread_join(th, result);
	co = co_of_thread(th);
	if (co == NULL) {
		co_region_begin("pthread_join", true);
		r = real.pthread_join(th, result);
		co_region_end();
		return r;
	}
	r = join(co, result, CO_FOREVER);
	errno = saved;
	return r;
}

COHOOK_EXPORT int
thrd_join(thrd_t th, int *result)
{
	if (likely(!co_active))
		return real.thrd_join(th, result);
	void *r;

	if (pthread_join(th, &r) != 0)
		return thrd_error;
	if (result != NULL)
		*result = (int)(intptr_t)r;
	return thrd_success;
}

COHOOK_EXPORT int
pthread_tryjoin_np(pthread_t th, void **result)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;

	if (co == NULL)
		return real.pthread_tryjoin_np(th, result);
	return join(co, result, 0);
}

COHOOK_EXPORT int
pthread_clockjoin_np(pthread_t th, void **result, clockid_t clock,
		     const struct timespec *ts)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	int r;

	if (co == NULL) {
		co_region_begin("pthread_clockjoin_np", true);
		r = real.pthread_clockjoin_np(th, result, clock, ts);
		co_region_end();
		return r;
	}
	if (ts != NULL && !co_ts_valid(ts))
		return EINVAL;
	return join(co, result,
		    ts == NULL ? CO_FOREVER : co_deadline_abs(clock, ts));
}

COHOOK_EXPORT int
pthread_timedjoin_np(pthread_t th, void **result, const struct timespec *ts)
{
	if (likely(!co_active))
		return real.pthread_timedjoin_np(th, result, ts);
	return pthread_clockjoin_np(th, result, CLOCK_REALTIME, ts);
}

COHOOK_EXPORT int
pthread_detach(pthread_t th)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;
	bool reap;

	if (co == NULL)
		return real.pthread_detach(th);
	co_critical_begin();
	co_lock(&co->join_lock);
	if (co->detached) {
		co_unlock(&co->join_lock);
		co_critical_end();
		return EINVAL;
	}
	co->detached = 1;
	reap = co->done && !co->joining;
	co_unlock(&co->join_lock);
	co_critical_end();
	if (reap)
		co_reap(co);
	return 0;
}

COHOOK_EXPORT int
thrd_detach(thrd_t th)
{
	if (likely(!co_active))
		return real.thrd_detach(th);
	return pthread_detach(th) == 0 ? thrd_success : thrd_error;
}

/* Names are the coroutine's; 15 bytes, as the kernel has it. */
int
co_set_name(pthread_t th, const char *name)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;

	if (co == NULL)
		return real.pthread_setname_np(th, name);
	if (strlen(name) > 15)
		return ERANGE;
	co_comm_set(co, name);
	return 0;
}

COHOOK_EXPORT int
pthread_setname_np(pthread_t th, const char *name)
{
	return co_set_name(th, name);
}

int
co_get_name(pthread_t th, char *name, size_t n)
{
	struct co *co = co_active ? co_of_thread(th) : NULL;

	if (co == NULL)
		return real.pthread_getname_np(th, name, n);
	if (n < 16)
		return ERANGE;
	co_comm_get(co, name);
	return 0;
}

COHOOK_EXPORT int
pthread_getname_np(pthread_t th, char *name, size_t n)
{
	return co_get_name(th, name, n);
}

COHOOK_EXPORT pid_t
gettid(void)
{
	struct co *self = co_active && !co_tls.vforked ? co_tls.self : NULL;

	return self == NULL ? real.gettid() : self->tid;
}
