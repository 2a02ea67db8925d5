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

/* As the program has named it, by us. */
static void
given(const struct co *co, char name[SIZE])
{
	if (co->is_main && is_first())
		sys2(SYS_prctl, PR_GET_NAME, program);
	memset(name, 0, SIZE);
	memcpy(name, co->is_main || co->name[0] == '\0' ? program : co->name,
	       SIZE - 1);
}

void
co_comm_co(const struct co *co)
{
	char name[SIZE];

	given(co, name);
	set(name);
}

/* Opens the kernel's name of one of our kernel threads; -1 as well. */
static long
open_comm(int tid, int how)
{
	char path[64];
	long fd;

	co_format(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	fd = sys4(SYS_openat, AT_FDCWD, path, how | O_CLOEXEC, 0);
	return fd < 0 ? -1 : co_fd_lift((int)fd);
}

static void
write_comm(int tid, const char *name)
{
	long fd = open_comm(tid, O_WRONLY);

	if (fd < 0)
		return;
	sys3(SYS_write, fd, name, strnlen(name, SIZE - 1));
	sys1(SYS_close, fd);
}

/* Others may have changed it by that file. */
static bool
read_comm(int tid, char name[SIZE])
{
	long fd = open_comm(tid, O_RDONLY), n;

	if (fd < 0)
		return false;
	n = sys3(SYS_read, fd, name, SIZE);
	sys1(SYS_close, fd);
	if (n <= 0)
		return false;
	memset(name + n - 1, 0, SIZE - (size_t)n + 1); /* a newline */
	return true;
}

void
co_comm_get(const struct co *co, char name[SIZE])
{
	if (co->is_main || co->pinned == NULL ||
	    !read_comm(co->pinned->tid, name))
		given(co, name);
}

/* main()'s name is the process's, wherever it happens to run. */
static void
set_main(const char *name)
{
	memset(program, 0, sizeof(program));
	memcpy(program, name, strnlen(name, SIZE - 1));
	if (is_first())
		set(program);
	else
		write_comm((int)sys0(SYS_getpid), program);
}

void
co_comm_set(struct co *co, const char *name)
{
	if (co->is_main) {
		set_main(name);
		return;
	}
	memset(co->name, 0, SIZE);
	memcpy(co->name, name, strnlen(name, SIZE - 1));
	if (co->pinned != NULL)
		write_comm(co->pinned->tid, name);
}
