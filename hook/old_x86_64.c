/* SPDX-License-Identifier: MIT */
/* old_x86_64.c - calls by the versions that programs of long ago were linked
 * with, where these mean something else than today's.  What is not here means
 * the same, and one definition answers for all (cohook.map).
 *
 * Machines that came to glibc after its version 2.4 have none of these. */
#include <aio.h>
#include <dlfcn.h>

#include "hook/calls.h"
#include "hook/old.h"
#include "hook/region.h"

/* name(params) by that version of libc; when: old, or later, if there were two
 * before today's. */
#define BY(when, name, version) \
	__asm__(".symver co_" #when "_" #name "," #name "@GLIBC_" #version)
#define OLD(ret, when, name, version, params)        \
	COHOOK_EXPORT ret co_##when##_##name params; \
	BY(when, name, version);                     \
	COHOOK_EXPORT ret co_##when##_##name params

CO_CALL_OF(pthread_cond_broadcast);
CO_CALL_OF(pthread_cond_destroy);
CO_CALL_OF(pthread_cond_signal);
CO_CALL_OF(pthread_cond_timedwait);
CO_CALL_OF(pthread_cond_wait);
CO_CALL_OF(sched_setaffinity);
CO_CALL_OF(sched_getaffinity);
CO_CALL_OF(pthread_setaffinity_np);
CO_CALL_OF(pthread_getaffinity_np);
CO_CALL_OF(timer_create);
CO_CALL_OF(timer_settime);

/* libc's own.  A program that was linked with it has found it. */
static void *
of_libc(void *_Atomic *found, const char *name)
{
	void *p = *found;

	if (p == NULL)
		*found = p = dlvsym(RTLD_NEXT, name, "GLIBC_2.2.5");
	return p;
}

/* --- until 2.3.2 a condition was a pointer, made at its first use --- */

/* Whoever was linked with that has the room of today's, and gets one; of clocks
 * and of other processes he knew nothing.  Signals and waits are the same then.
 * They have versions too, for who comes before us and asks for them by dlvsym(3),
 * as libfaketime does: that passes by what has none, and would wait in libc for
 * what is signalled here. */
OLD(int, old, pthread_cond_init, 2.2.5,
    (pthread_cond_t * c, const pthread_condattr_t *attr))
{
	int pshared = PTHREAD_PROCESS_PRIVATE;
	clockid_t clock = CLOCK_REALTIME;

	if (attr != NULL) {
		pthread_condattr_getpshared(attr, &pshared);
		pthread_condattr_getclock(attr, &clock);
		if (pshared != PTHREAD_PROCESS_PRIVATE ||
		    clock != CLOCK_REALTIME)
			return EINVAL;
	}
	return real.pthread_cond_init(c, NULL);
}

OLD(int, old, pthread_cond_destroy, 2.2.5, (pthread_cond_t * c))
{
	return co_call_pthread_cond_destroy(c);
}

OLD(int, old, pthread_cond_signal, 2.2.5, (pthread_cond_t * c))
{
	return co_call_pthread_cond_signal(c);
}

OLD(int, old, pthread_cond_broadcast, 2.2.5, (pthread_cond_t * c))
{
	return co_call_pthread_cond_broadcast(c);
}

OLD(int, old, pthread_cond_wait, 2.2.5,
    (pthread_cond_t * c, pthread_mutex_t *m))
{
	return co_call_pthread_cond_wait(c, m);
}

OLD(int, old, pthread_cond_timedwait, 2.2.5,
    (pthread_cond_t * c, pthread_mutex_t *m, const struct timespec *ts))
{
	return co_call_pthread_cond_timedwait(c, m, ts);
}

/* --- until 2.3.4 a set of CPUs was for 1024, and nobody said so --- */

enum { OLD_SET = 1024 / 8 };

OLD(int, old, sched_setaffinity, 2.3.3, (pid_t tid, const cpu_set_t *set))
{
	return co_call_sched_setaffinity(tid, OLD_SET, set);
}

OLD(int, old, sched_getaffinity, 2.3.3, (pid_t tid, cpu_set_t *set))
{
	return co_call_sched_getaffinity(tid, OLD_SET, set);
}

OLD(int, old, pthread_setaffinity_np, 2.3.3,
    (pthread_t th, const cpu_set_t *set))
{
	return co_call_pthread_setaffinity_np(th, OLD_SET, set);
}

OLD(int, old, pthread_getaffinity_np, 2.3.3, (pthread_t th, cpu_set_t *set))
{
	return co_call_pthread_getaffinity_np(th, OLD_SET, set);
}

OLD(int, later, pthread_setaffinity_np, 2.3.4,
    (pthread_t th, size_t n, const cpu_set_t *set))
{
	return co_call_pthread_setaffinity_np(th, n, set);
}

OLD(int, later, pthread_getaffinity_np, 2.3.4,
    (pthread_t th, size_t n, cpu_set_t *set))
{
	return co_call_pthread_getaffinity_np(th, n, set);
}

/* --- until 2.3.3 a timer was an int: libc has a table of those --- */

static int
create_old_timer(clockid_t clock, struct sigevent *ev, void *timer)
{
	static void *_Atomic found;
	int (*create)(clockid_t, struct sigevent *, int *) =
		of_libc(&found, "timer_create");

	return create(clock, ev, timer);
}

OLD(int, old, timer_create, 2.2.5,
    (clockid_t clock, struct sigevent *ev, int *timer))
{
	return co_timer_create(create_old_timer, clock, ev, timer);
}

OLD(int, later, timer_create, 2.3.3,
    (clockid_t clock, struct sigevent *ev, timer_t *timer))
{
	return co_call_timer_create(clock, ev, timer);
}

OLD(int, old, timer_settime, 2.2.5,
    (int timer, int flags, const struct itimerspec *to,
     struct itimerspec *was))
{
	static void *_Atomic found;
	int (*set)(int, int, const struct itimerspec *, struct itimerspec *) =
		of_libc(&found, "timer_settime");

	return set(timer, flags, to, was);
}

OLD(int, later, timer_settime, 2.3.3,
    (timer_t timer, int flags, const struct itimerspec *to,
     struct itimerspec *was))
{
	return co_call_timer_settime(timer, flags, to, was);
}

/* --- until 2.15 a script without its #! went to the shell --- */

OLD(int, old, posix_spawn, 2.2.5,
    (pid_t * pid, const char *path, const posix_spawn_file_actions_t *fa,
     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]))
{
	static void *_Atomic found;

	return co_spawn_by((co_spawn_fn)of_libc(&found, "posix_spawn"), pid,
			   path, fa, attr, argv, envp);
}

OLD(int, old, posix_spawnp, 2.2.5,
    (pid_t * pid, const char *file, const posix_spawn_file_actions_t *fa,
     const posix_spawnattr_t *attr, char *const argv[], char *const envp[]))
{
	static void *_Atomic found;

	return co_spawn_by((co_spawn_fn)of_libc(&found, "posix_spawnp"), pid,
			   file, fa, attr, argv, envp);
}

/* --- until 2.4 a list of requests: libc's neither waits nor tells the same --- */

typedef int (*list_fn)(int mode, struct aiocb *const list[], int n,
		       struct sigevent *event);
typedef int (*list64_fn)(int mode, struct aiocb64 *const list[], int n,
			 struct sigevent *event);

static int
list_io(list_fn start, int mode, struct aiocb *const list[], int n,
	struct sigevent *event)
{
	int r;

	if (likely(co_here() == NULL))
		return start(mode, list, n, event);
	co_region_begin("lio_listio", true);
	r = start(mode, list, n, event);
	co_region_end();
	return r;
}

static int
list_io64(list64_fn start, int mode, struct aiocb64 *const list[], int n,
	  struct sigevent *event)
{
	int r;

	if (likely(co_here() == NULL))
		return start(mode, list, n, event);
	co_region_begin("lio_listio64", true);
	r = start(mode, list, n, event);
	co_region_end();
	return r;
}

OLD(int, old, lio_listio, 2.2.5,
    (int mode, struct aiocb *const list[], int n, struct sigevent *event))
{
	static void *_Atomic found;

	return list_io((list_fn)of_libc(&found, "lio_listio"), mode, list, n,
		       event);
}

OLD(int, later, lio_listio, 2.4,
    (int mode, struct aiocb *const list[], int n, struct sigevent *event))
{
	return list_io(real.lio_listio, mode, list, n, event);
}

OLD(int, old, lio_listio64, 2.2.5,
    (int mode, struct aiocb64 *const list[], int n, struct sigevent *event))
{
	static void *_Atomic found;

	return list_io64((list64_fn)of_libc(&found, "lio_listio64"), mode, list,
			 n, event);
}

OLD(int, later, lio_listio64, 2.4,
    (int mode, struct aiocb64 *const list[], int n, struct sigevent *event))
{
	return list_io64(real.lio_listio64, mode, list, n, event);
}

/* --- until 2.34 whoever had ended was no such thread --- */

OLD(int, old, pthread_kill, 2.2.5, (pthread_t th, int sig))
{
	static void *_Atomic found;
	struct co *co = co_active ? co_of_thread(th) : NULL;
	int (*send)(pthread_t, int);

	if (co != NULL)
		return co_kill_thread(co, sig, ESRCH);
	send = of_libc(&found, "pthread_kill");
	return send(th, sig);
}
