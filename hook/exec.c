/* SPDX-License-Identifier: MIT */
/* exec.c - another program: it finds pending what was pending for the thread
 * that called it, execve(2).
 *
 * What was sent to a coroutine waits with us.  So who has any gets a kernel
 * thread of its own, and that has it from then on: also where the call fails.
 */
#include <stdarg.h>

#include "hook/calls.h"
#include "hook/pin.h"
#include "hook/wait.h"

static void
hand_on(void)
{
	if (unlikely(co_active) && co_tls.self != NULL && !co_tls.vforked &&
	    atomic_load(&co_tls.self->npending) != 0)
		co_pin_here();
}

COHOOK_EXPORT int
execve(const char *path, char *const argv[], char *const envp[])
{
	hand_on();
	return real.execve(path, argv, envp);
}
CO_CALL(execve);

COHOOK_EXPORT int
execv(const char *path, char *const argv[])
{
	hand_on();
	return real.execv(path, argv);
}

COHOOK_EXPORT int
execvp(const char *file, char *const argv[])
{
	hand_on();
	return real.execvp(file, argv);
}

COHOOK_EXPORT int
execvpe(const char *file, char *const argv[], char *const envp[])
{
	hand_on();
	return real.execvpe(file, argv, envp);
}

COHOOK_EXPORT int
fexecve(int fd, char *const argv[], char *const envp[])
{
	hand_on();
	return real.fexecve(fd, argv, envp);
}

/* glibc 2.34. */
COHOOK_EXPORT int
execveat(int fd, const char *path, char *const argv[], char *const envp[],
	 int flags)
{
	hand_on();
	return real.execveat(fd, path, argv, envp, flags);
}
CO_CALL(execveat);

/* How many there are, the NULL at the end among them. */
static size_t
count(const char *arg, va_list ap)
{
	size_t n = 1;

	for (; arg != NULL; n++)
		arg = va_arg(ap, const char *);
	return n;
}

/* On the stack: it may be the child of a fork of many threads that calls. */
#define COLLECT(argv, arg, ap)                                   \
	va_start(ap, arg);                                       \
	argv = __builtin_alloca(count(arg, ap) * sizeof(*argv)); \
	va_end(ap);                                              \
	va_start(ap, arg);                                       \
	collect(argv, arg, &ap)

static void
collect(char **argv, const char *arg, va_list *ap)
{
	for (;; arg = va_arg(*ap, const char *)) {
		*argv++ = (char *)arg;
		if (arg == NULL)
			break;
	}
}

COHOOK_EXPORT int
execl(const char *path, const char *arg, ...)
{
	char **argv;
	va_list ap;

	COLLECT(argv, arg, ap);
	va_end(ap);
	hand_on();
	return real.execv(path, argv);
}

COHOOK_EXPORT int
execlp(const char *file, const char *arg, ...)
{
	char **argv;
	va_list ap;

	COLLECT(argv, arg, ap);
	va_end(ap);
	hand_on();
	return real.execvp(file, argv);
}

COHOOK_EXPORT int
execle(const char *path, const char *arg, ...)
{
	char **argv, **envp;
	va_list ap;

	COLLECT(argv, arg, ap);
	envp = va_arg(ap, char **);
	va_end(ap);
	hand_on();
	return real.execve(path, argv, envp);
}
