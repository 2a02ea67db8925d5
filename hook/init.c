/* SPDX-License-Identifier: MIT */
/* init.c - at load: find libc, read the environment (env.c); later, start the
 * runtime when the first thread is asked for. */
#include <dlfcn.h>
#include <gnu/lib-names.h>

#include "hook/cpus.h"
#include "hook/env.h"
#include "hook/exclude.h"
#include "hook/lock.h"
#include "hook/runtimes.h"
#include "hook/sigfd.h"
#include "hook/wait.h"
#include "sched/log.h"

static _Atomic int said_native;
static const char *runtime;   /* why they are native, if it is one */
static int refused;           /* tried, and the kernel would not */

/* AddressSanitizer keeps state of its own for each thread that it has seen
 * begin and end: it is content if every coroutine is a thread of glibc's from
 * its beginning to its end. */
static void
see_sanitizers(void)
{
	co_never_recycle = dlsym(RTLD_DEFAULT, "__asan_init") != NULL;
}

/* At load, and again when the first thread is asked for: it may have been
 * loaded since. */
static void
see_runtimes(void)
{
	if (co_env.off || co_env.native)
		return;
	runtime = co_runtime_here();
	co_env.native = runtime != NULL;
}

/* Libraries are preloaded that have a clock of their own, libfaketime for one.
 * In front of us they have seen to the times that we get; behind us they have
 * not.  Our own waits are the kernel's, by the clock of libc itself. */
static void
see_clocks(void)
{
	/* Not by the name: whose dlopen(3) stands in front of us may hold a
	 * lock of its own, for it starts the first thread (heaptrack). */
	void *(*open_)(const char *, int) =
		(void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
	void *libc = open_ != NULL ? open_(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD)
				   : NULL;
	void *own = libc != NULL ? dlsym(libc, "clock_gettime") : NULL;
	void *seen = dlsym(RTLD_NEXT, "clock_gettime");

	if (own == NULL || seen == NULL)
		return;
	co_libc.clock = (int (*)(clockid_t, struct timespec *))own;
	co_clock_seen = (int (*)(clockid_t, struct timespec *))seen;
	co_clock_differs = seen != own;
}

/* Who is built with us and asks for nothing has one worker: what runs on it needs
 * no locks between its waits (cohook_go()). */
static int
workers(void)
{
	if (co_env.workers != 0)
		return co_env.workers;
	return co_is_linked() ? 1 : co_cpus();
}

/* Allocators ask, in the middle of their own start: nothing is read or looked
 * up here, which may allocate. */
bool
co_may_start(void)
{
	return co_active || !(co_env.off || co_env.native || refused);
}

/* Once, for whoever asks the log. */
static void
say_native(void)
{
	if (!co_env.native || co_env.off ||
	    atomic_exchange(&said_native, 1) != 0)
		return;
	if (runtime == NULL)
		co_log(CO_INFO, "threads stay native, as asked");
	else
		co_log(CO_WARN, "with %s, threads stay native", runtime);
}

int
co_start_now(void)
{
	enum co_tcb_way way;
	int saved = errno;

	if (likely(co_active))
		return co_orphaned ? -1 : 0;
	co_load();
	if (co_active) /* COHOOK_START=now */
		return 0;
	if (!refused)
		see_runtimes();
	if (co_env.off || co_env.native || refused) {
		say_native();
		return -1;
	}
	refused = 1;
	co_ctx_init();
	see_clocks();
	co_libc.create = real.pthread_create;
	co_libc.join = real.pthread_join;
	co_libc.iterate_phdr = real.dl_iterate_phdr;
	way = co_tcb_init(co_env.tcb);
	if (way == CO_TCB_NONE) {
		co_log(CO_WARN, "no way to a thread control block works here: "
				"threads stay native");
		return -1;
	}
	co_layout_init();
	co_holder_init();
	co_life_init();
	co_signals_init();
	co_pin_init();
	if (co_start(workers()) != 0) {
		co_signals_undo();
		co_log(CO_WARN, "the runtime cannot start (descriptors or "
				"memory): threads stay native");
		return -1;
	}
	refused = 0;
	co_sigfd_init();
	co_log(CO_INFO,
	       "started: %d worker%s, thread blocks by %s, stacks guarded by "
	       "%s", co_nworkers(), co_nworkers() == 1 ? "" : "s",
	       co_tcb_name(way), co_stack_guard_name());
	errno = saved;
	return 0;
}

/* The loader runs the constructors of what the program needs before those of
 * what is preloaded: whoever starts a thread there is told what the environment
 * says as well. */
__attribute__((constructor(101))) void
co_load(void)
{
	static bool loaded;

	if (likely(loaded))
		return;
	loaded = true;
	co_real_init();
	co_env_read();
	co_exclude_init(co_env.exclude);
	co_dump_init();
	see_sanitizers();
	see_runtimes();
	co_fork_init();
	if (co_env.now)
		co_start_now();
}
