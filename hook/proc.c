/* SPDX-License-Identifier: MIT */
/* proc.c - proc(5)'s files of a thread, by the number that gettid(2) gave it:
 * what they say, or change, is a kernel thread's.  So whose they are gets one
 * of its own, as for all that the kernel keeps for a thread (pin.c), and they
 * are opened under its number.
 */
#include <string.h>

#include "ctx/sys.h"
#include "hook/proc.h"
#include "hook/wait.h"
#include "sched/log.h"

/* Goes on behind word, if path begins with it.  The program's memory may end
 * within. */
static const char *
behind(const char *path, const char *word)
{
	char c;

	for (; *word != '\0'; word++, path++)
		if (!co_get(&c, path, 1) || c != *word)
			return NULL;
	return path;
}

/* -1: none that a thread could have. */
static int
number(const char *path, const char **end)
{
	int n = 0, digits;
	char c;

	for (digits = 0; co_get(&c, path, 1) && c >= '0' && c <= '9'; path++) {
		if (++digits > 9)
			return -1;
		n = n * 10 + (c - '0');
	}
	*end = path;
	return digits > 0 ? n : -1;
}

/* Behind ".../task/", or behind "/proc/", which knows threads too. */
static const char *
thread_of(const char *path, struct co **co)
{
	const char *p, *end;
	int n;

	p = behind(path, "self/task/");
	if (p == NULL && (n = number(path, &end)) > 0) {
		if (n == (int)sys0(SYS_getpid))
			p = behind(end, "/task/");
		else
			p = path;
	}
	if (p == NULL || (n = number(p, &end)) <= 0)
		return NULL;
	*co = co_of_tid(n);
	return *co == NULL || n == (int)sys0(SYS_getpid) ? NULL : end;
}

const char *
co_proc_path(const char *path, char mine[CO_PROC_PATH])
{
	const char *rest;
	struct co *co;
	size_t n;
	pid_t tid;

	rest = behind(path, "/proc/");
	if (likely(rest == NULL) || co_tls.vforked)
		return path;
	if (behind(rest, "thread-self") != NULL) {
		if (co_tls.self != NULL)
			co_pinned_tid(co_tls.self);
		return path;
	}
	rest = thread_of(rest, &co);
	if (rest == NULL || (tid = co_pinned_tid(co)) == 0)
		return path;
	n = (size_t)co_format(mine, CO_PROC_PATH, "/proc/self/task/%d", tid);
	do
		if (n == CO_PROC_PATH || !co_get(mine + n, rest, 1))
			return path;
	while (rest++, mine[n++] != '\0');
	return mine;
}
