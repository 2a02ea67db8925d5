/* SPDX-License-Identifier: MIT */
/* init.c - at load: find libc, read the environment; later, start the runtime
 * when the first thread is asked for. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "hook/env.h"
#include "hook/lock.h"
#include "hook/wait.h"
#include "sched/log.h"

struct co_env co_env;
static enum co_tcb_way wanted;
static _Atomic int said_native;
static int refused;           /* tried, and the kernel would not */

/* 64K, 8M, 1G, or bytes; 0 if it is no size. */
static size_t
size_of(const char *s)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	switch (*end) {
	case 'k': case 'K':
		return n << 10;
	case 'm': case 'M':
		return n << 20;
	case 'g': case 'G':
		return n << 30;
	default:
		return *end == '\0' ? n : 0;
	}
}

static bool
is(const char *name, const char *value)
{
	const char *s = getenv(name);

	return s != NULL && strcmp(s, value) == 0;
}

static void
read_env(void)
{
	const char *s;

	co_log_init(getenv("COHOOK_LOG"));
	co_env.off = is("COHOOK", "0");
	co_env.native = is("COHOOK_THREADS", "native");
	co_env.now = is("COHOOK_START", "now");
	s = getenv("COHOOK_WORKERS");
	co_env.workers = s != NULL ? atoi(s) : 1;
	s = getenv("COHOOK_STACK");
	if (s != NULL) {
		co_env.stack = size_of(s);
		if (co_env.stack < 16384) {
			co_log(CO_WARN, "COHOOK_STACK=%s: no size of at least "
					"16K; ignored", s);
			co_env.stack = 0;
		}
	}
	if (is("COHOOK_TCB", "sud"))
		wanted = CO_TCB_SUD;
	else if (is("COHOOK_TCB", "patch"))
		wanted = CO_TCB_PATCH;
	else if (is("COHOOK_TCB", "donor"))
		wanted = CO_TCB_DONOR;
	else if (is("COHOOK_TCB", "native"))
		co_env.native = 1;
	co_stack_init(is("COHOOK_GUARD", "mprotect") ? CO_GUARD_MPROTECT
		      : is("COHOOK_GUARD", "none")   ? CO_GUARD_NONE
						     : CO_GUARD_MADVISE);
}

/* A sanitizer keeps state of its own for each thread that it has seen begin and
 * end.  AddressSanitizer is content if every coroutine is a thread of glibc's
 * from its beginning to its end; ThreadSanitizer has the creator wait for the
 * new thread to run, which one that shares its kernel thread does not. */
static void
see_sanitizers(void)
{
	co_never_recycle = dlsym(RTLD_DEFAULT, "__asan_init") != NULL;
	if (co_env.off || co_env.native ||
	    dlsym(RTLD_DEFAULT, "__tsan_init") == NULL)
		return;
	co_env.native = 1;
	said_native = 1;
	co_log(CO_WARN, "the program runs under ThreadSanitizer: threads stay "
			"native");
}

bool
co_may_start(void)
{
	return co_active || !(co_env.off || co_env.native || refused);
}

/* As asked: once, for whoever asks the log. */
static void
say_native(void)
{
	if (co_env.native && !co_env.off &&
	    atomic_exchange(&said_native, 1) == 0)
		co_log(CO_INFO, "threads stay native, as asked");
}

int
co_start_now(void)
{
	enum co_tcb_way way;
	int saved = errno;

	if (likely(co_active))
		return 0;
	if (co_env.off || co_env.native || refused) {
		say_native();
		return -1;
	}
	refused = 1;
	co_ctx_init();
	co_libc.create = real.pthread_create;
	co_libc.join = real.pthread_join;
	way = co_tcb_init(wanted);
	if (way == CO_TCB_NONE) {
		co_log(CO_WARN, "no way to a thread control block works here: "
				"threads stay native");
		return -1;
	}
	co_layout_init();
	co_life_init();
	co_signals_init();
	if (co_start(co_env.workers) != 0) {
		co_signals_undo();
		co_log(CO_WARN, "the runtime cannot start (descriptors or "
				"memory): threads stay native");
		return -1;
	}
	refused = 0;
	co_log(CO_INFO,
	       "started: %d worker%s, thread blocks by %s, stacks guarded by "
	       "%s", co_nworkers(), co_nworkers() == 1 ? "" : "s",
	       co_tcb_name(way), co_stack_guard_name());
	errno = saved;
	return 0;
}

__attribute__((constructor(101))) static void
load(void)
{
	co_real_init();
	read_env();
	see_sanitizers();
	co_fork_init();
	if (co_env.now)
		co_start_now();
}
