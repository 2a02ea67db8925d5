/* SPDX-License-Identifier: MIT */
/* syscall.c - syscall(2): those that wait or name a thread, as their names in
 * libc have it; all others go to the kernel. */
#include <stdarg.h>

#include "ctx/sys.h"
#include "hook/calls.h"
#include "hook/iov.h"
#include "hook/region.h"

static long
read_or_write(long nr, int fd, void *buf, size_t n)
{
	bool in = nr == SYS_read;
	struct co_io io;

	co_io_begin(&io, fd, in ? CO_IN : CO_OUT, in ? "read" : "write");
	if (io.slot == NULL || n == 0 || n > SSIZE_MAX)
		return real.syscall(nr, fd, (long)buf, (long)n, 0, 0, 0);
	return in ? co_read(&io, buf, n) : co_write(&io, buf, n);
}

static long
to_kernel(long nr, const long a[6])
{
	long r;

	co_region_begin("syscall", false);
	r = real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	co_region_end();
	return r;
}

/* Six arguments are read, however many there are: registers' worths. */
COHOOK_EXPORT long
syscall(long nr, ...)
{
	va_list ap;
	long a[6], r;
	int i;

	va_start(ap, nr);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (likely(!co_active) || co_tls.vforked)
		return real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	switch (nr) {
	case SYS_futex:
		if (co_futex(a, &r))
			return r;
		break;
	case SYS_close:
		return co_close((int)a[0]);
	case SYS_tgkill:
		return co_tgkill((pid_t)a[0], (pid_t)a[1], (int)a[2]);
	}
	if (co_here() == NULL)
		return real.syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	switch (nr) {
	case SYS_read:
	case SYS_write:
		return read_or_write(nr, (int)a[0], (void *)a[1],
				     (size_t)a[2]);
#ifdef SYS_poll
	case SYS_poll:
		return co_poll((struct pollfd *)a[0], (nfds_t)a[1], (int)a[2]);
#endif
	case SYS_gettid:
		return co_tls.self->tid;
	default:
		return to_kernel(nr, a);
	}
}
