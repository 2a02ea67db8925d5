/* SPDX-License-Identifier: MIT */
/* env.c - reading the COHOOK_* variables. */
#include <stdlib.h>
#include <string.h>

#include "ctx/stack.h"
#include "hook/env.h"
#include "hook/real.h"
#include "hook/setting.h"
#include "sched/co.h"
#include "sched/log.h"
#include "sched/watch.h"

struct co_env co_env;
static char exclude[CO_SETTING_TEXT];

/* NULL: not set, or to nothing, or to what it may not be; that is said to whoever
 * reads the log, and it is as if it were not set. */
static const char *
get(const char *name)
{
	const char *value = getenv(name);
	const struct co_setting *s = co_setting_of(name);

	if (value == NULL || *value == '\0' || s == NULL)
		return NULL;
	if (s->valid(value))
		return value;
	co_log(CO_WARN, "%s is %s, not \"%s\": ignored", name, s->may_be,
	       value);
	return NULL;
}

static bool
is(const char *name, const char *word)
{
	const char *value = get(name);

	return value != NULL && strcmp(value, word) == 0;
}

/* Does anything of the program run code on its stack, such as GNU C's nested
 * functions?  Then all its stacks are such, as glibc's and the kernel's. */
static int
find_exec(struct dl_phdr_info *info, size_t size, void *found)
{
	int i, stated = 0;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_STACK) {
			stated = 1;
			*(int *)found |=
				(info->dlpi_phdr[i].p_flags & PF_X) != 0;
		}
	/* A program that says nothing is old, and may. */
	if (!stated && info->dlpi_phnum > 0 && *info->dlpi_name == '\0')
		*(int *)found = 1;
	return 0;
}

static int
has_exec_stacks(void)
{
	int found = 0;

	real.dl_iterate_phdr(find_exec, &found);
	return found;
}

void
co_env_read(void)
{
	const char *s;

	co_log_init(get("COHOOK_LOG"));
	s = get("COHOOK_STATS");
	co_watch_init(s != NULL && *s != '0', s != NULL && *s == '1');
	co_env.off = is("COHOOK", "0");
	co_env.native = is("COHOOK_THREADS", "native");
	co_env.convert = is("COHOOK_THREADS", "convert");
	co_env.now = is("COHOOK_START", "now");
	s = get("COHOOK_WORKERS");
	co_env.workers = s != NULL ? (int)co_setting_number(s, 64) : 0;
	s = get("COHOOK_DUMP");
	co_dump_signal = s != NULL && !co_env.off ? co_setting_signal(s) : 0;
	s = get("COHOOK_EXCLUDE");
	if (s != NULL && !co_env.off)
		co_env.exclude = strcpy(exclude, s);
	s = get("COHOOK_STACK");
	co_env.stack = s != NULL ? co_setting_size(s) : 0;
	s = get("COHOOK_TCB");
	if (s != NULL && strcmp(s, "native") == 0)
		co_env.native = 1;
	else if (s != NULL)
		co_env.tcb = strcmp(s, "sud") == 0   ? CO_TCB_SUD :
			     strcmp(s, "patch") == 0 ? CO_TCB_PATCH :
						       CO_TCB_DONOR;
	co_stack_init(is("COHOOK_GUARD", "mprotect") ? CO_GUARD_MPROTECT :
		      is("COHOOK_GUARD", "none")     ? CO_GUARD_NONE :
						       CO_GUARD_MADVISE,
		      has_exec_stacks());
}
