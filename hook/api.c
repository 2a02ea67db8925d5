/* SPDX-License-Identifier: MIT */
/* api.c - cohook.h. */
#include <stdlib.h>
#include <string.h>

#include "hook/cohook.h"
#include "hook/env.h"
#include "hook/lock.h"
#include "sched/log.h"

#define API __attribute__((visibility("default")))

struct start {
	void (*fn)(void *);
	void *arg;
};

/* Where there are no coroutines: ids of the threads in their stead. */
static _Atomic int64_t native_id = 1;
static _Atomic long native_count;

static void *
run_native(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	s.fn(s.arg);
	if (atomic_fetch_sub(&native_count, 1) == 1)
		sys_futex_wake(&native_count, INT_MAX);
	return NULL;
}

API cohook_id
cohook_go(void (*fn)(void *), void *arg, size_t stack)
{
	struct co_birth b = { .guard = 4096, .detached = true, .light = true,
			      .fn = (void *(*)(void *))(uintptr_t)fn,
			      .arg = arg };
	pthread_attr_t attr;
	struct start *s;
	struct co *co;
	pthread_t th;
	int64_t id;
	int err;

	if (fn == NULL || (stack != 0 && stack < COHOOK_STACK_MIN)) {
		errno = EINVAL;
		return -1;
	}
	b.stack = stack != 0 ? stack : co_env.stack;
	if (b.stack == 0) {
		pthread_getattr_default_np(&attr);
		pthread_attr_getstacksize(&attr, &b.stack);
	}
	if (co_start_now() == 0) {
		if (stack != 0 || co_env.stack != 0)
			b.stack += co_tcb_room();
		err = co_spawn(&b, &co);
		if (err != 0) {
			errno = err;
			return -1;
		}
		id = co->id;
		co_ready(co);
		return id;
	}
	s = malloc(sizeof(*s));
	if (s == NULL) {
		errno = EAGAIN;
		return -1;
	}
	s->fn = fn;
	s->arg = arg;
	atomic_fetch_add(&native_count, 1);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, b.stack);
	err = real.pthread_create(&th, &attr, run_native, s);
	if (err != 0) {
		atomic_fetch_sub(&native_count, 1);
		free(s);
		errno = err;
		return -1;
	}
	return atomic_fetch_add(&native_id, 1);
}

static struct co *
find(cohook_id id)
{
	struct co *co;

	co_critical_begin();
	co_lock(&co_all_lock);
	for (co = co_all; co != NULL && co->id != id; co = co->all_next)
		;
	co_unlock(&co_all_lock);
	co_critical_end();
	return co;
}

API int
cohook_join(cohook_id id, int64_t deadline)
{
	struct co_lot_wait w;
	struct co *co;
	enum co_why why = CO_NONE;

	if (id <= 0) {
		errno = ESRCH;
		return -1;
	}
	if (co_tls.self != NULL && co_tls.self->id == id) {
		errno = EDEADLK;
		return -1;
	}
	while ((co = find(id)) != NULL) {
		if (why == CO_TIMEOUT) {
			errno = ETIMEDOUT;
			return -1;
		}
		co_lot_enter(&w, &co->done, 0, false);
		if (find(id) == NULL) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			break;
		}
		why = co_lot_park(&w, deadline, "cohook_join", false);
	}
	return 0;
}

API int
cohook_run(void)
{
	struct co_lot_wait w;
	long n;

	if (co_tls.self != NULL && co_tls.self->light) {
		errno = EDEADLK;
		return -1;
	}
	while ((n = native_count) != 0)
		sys_futex_wait(&native_count, (uint32_t)n, NULL);
	while (atomic_load(&co_light_count) != 0) {
		co_lot_enter(&w, &co_light_count, 0, false);
		if (atomic_load(&co_light_count) == 0) {
			co_disarm(w.parker);
			co_lot_leave(&w);
			break;
		}
		co_lot_park(&w, CO_FOREVER, "cohook_run", false);
	}
	return 0;
}

API void
cohook_yield(void)
{
	int saved = errno;

	if (!co_yield())
		real.sched_yield();
	errno = saved;
}

API int64_t
cohook_now(void)
{
	return co_now();
}

API int
cohook_sleep_until(int64_t when)
{
	struct co *self = co_tls.self;
	unsigned handled = self ? self->handled : (unsigned)co_tls.handled;
	int saved = errno;

	if (when <= co_now()) {
		cohook_yield();
		return 0;
	}
	while (co_sleep(when, "cohook_sleep_until", true) != CO_TIMEOUT)
		if (handled !=
		    (self ? self->handled : (unsigned)co_tls.handled)) {
			errno = saved;
			return EINTR;
		}
	errno = saved;
	return 0;
}

API cohook_id
cohook_self(void)
{
	return co_tls.self != NULL ? co_tls.self->id : 0;
}

API void
cohook_set_name(const char *name)
{
	struct co *self = co_tls.self;

	if (self == NULL)
		return;
	self->name[0] = '\0';
	if (name != NULL)
		strncat(self->name, name, sizeof(self->name) - 1);
}

API const char *
cohook_name(void)
{
	return co_tls.self != NULL ? co_tls.self->name : "";
}

API void
cohook_dump(int fd)
{
	co_dump(fd);
}

API const char *
cohook_version(void)
{
	return COHOOK_VERSION;
}
