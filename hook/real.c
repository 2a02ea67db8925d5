/* SPDX-License-Identifier: MIT */
/* real.c - finding the real calls. */
#include <dlfcn.h>
#include <errno.h>

#include "hook/real.h"

/* No allocation, no lock but the loader's: dlsym(3) allocates only where it
 * fails, and a name that is missing here is one that nobody can have called.
 * Where libc lacks a name that we export, it says so as an old kernel would. */
static long
lacks(void)
{
	errno = ENOSYS;
	return -1;
}

static void *
find(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	return p != NULL ? p : (void *)lacks;
}

/* The first call of each, before co_real_init(). */
#define HOOK(ret, name, params, args)                                         \
	static ret first_##name params                                        \
	{                                                                     \
		real.name = (ret(*) params)find(#name);                       \
		return real.name args;                                        \
	}
#define ALIAS(alias, name)
#include "hook/hooks.def"
#undef HOOK

struct co_real real = {
#define HOOK(ret, name, params, args) .name = first_##name,
#include "hook/hooks.def"
#undef HOOK
};

void
co_real_init(void)
{
#define HOOK(ret, name, params, args)                                         \
	if (real.name == first_##name)                                        \
		real.name = (ret(*) params)find(#name);
#include "hook/hooks.def"
#undef HOOK
}
