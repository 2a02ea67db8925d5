/* SPDX-License-Identifier: MIT */
/* comm.c - what /proc calls the kernel threads: "cohook/1" and so on for ours.
 *
 * The process's first keeps the program's name, by which ps(1) and pgrep(1)
 * know it.  What forks, and what a thread of the kernel's own is made of, takes
 * its name from the kernel thread that it happens on: there it is put right. */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/log.h"

enum { SIZE = 16 }; /* the kernel's, with the zero */

/* The program's: as the kernel had it, or main() has changed it since. */
static char program[SIZE];

static void
set(const char *name)
{
	sys2(SYS_prctl, PR_SET_NAME, name);
}

static bool
is_first(void)
{
	return sys0(SYS_gettid) == sys0(SYS_getpid);
}

/* By the first kernel thread. */
void
co_comm_init(void)
{
	sys2(SYS_prctl, PR_GET_NAME, program);
}

void
co_comm_m(const struct co_m *m)
{
	char name[SIZE];

	if (is_first()) {
		set(program);
		return;
	}
	co_format(name, sizeof(name), "cohook/%d", m->number);
	set(name);
}

void
co_comm_monitor(void)
{
	set("cohook-mon");
}

void
co_comm_co(const struct co *co)
{
	char name[SIZE];

	co_comm_get(co, name);
	set(name);
}

void
co_comm_get(const struct co *co, char name[SIZE])
{
	if (co->is_main && is_first())
		sys2(SYS_prctl, PR_GET_NAME, program);
	memset(name, 0, SIZE);
	memcpy(name, co->is_main || co->name[0] == '\0' ? program : co->name,
	       SIZE - 1);
}

/* main()'s name is the process's, wherever it happens to run. */
void
co_comm_set_main(const char *name)
{
	char path[64];
	size_t n = strnlen(name, SIZE - 1);
	long fd;

	memset(program, 0, sizeof(program));
	memcpy(program, name, n);
	if (is_first()) {
		set(program);
		return;
	}
	co_format(path, sizeof(path), "/proc/self/task/%d/comm",
		  (int)sys0(SYS_getpid));
	fd = sys4(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	fd = co_fd_lift((int)fd);
	sys3(SYS_write, fd, program, n);
	sys1(SYS_close, fd);
}
