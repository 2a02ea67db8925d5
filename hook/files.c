/* SPDX-License-Identifier: MIT */
/* files.c - opening, locking and writing out files: what waits for a disk, a
 * lock or the other end of a FIFO does so in the kernel, in a region.
 *
 * To open costs no more than it did: the monitor takes over where it waits.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <termios.h>

#include "hook/calls.h"
#include "hook/files.h"
#include "hook/proc.h"
#include "hook/region.h"

/* --- opening --- */

/* The number may be one that somebody closed past us: what is known of it is
 * void then. */
int
co_opened(int fd)
{
	struct co_fd *s;

	if (fd < 0 || !co_active || co_tls.vforked)
		return fd;
	s = co_fd_if(fd);
	if (s != NULL && (s->registered || s->kind != CO_FD_UNKNOWN ||
			  s->flags != 0))
		co_fd_forget(fd);
	return fd;
}

/* The mode is read where there is none, too: a register's worth. */
COHOOK_EXPORT int
open(const char *path, int flags, ...)
{
	char mine[CO_PROC_PATH];
	struct co *self;
	mode_t mode;
	va_list ap;
	int fd;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	if (unlikely(co_active))
		path = co_proc_path(path, mine);
	self = co_here();
	if (likely(self == NULL))
		return co_opened(real.open(path, flags, mode));
	IN_REGION(fd, -1, self, "open", false, real.open(path, flags, mode));
	return co_opened(fd);
}
COHOOK_ALIAS(open64, open);
COHOOK_ALIAS(__open, open);
COHOOK_ALIAS(__open64, open);
CO_CALL(open);

COHOOK_EXPORT int
openat(int dir, const char *path, int flags, ...)
{
	char mine[CO_PROC_PATH];
	struct co *self;
	mode_t mode;
	va_list ap;
	int fd;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	if (unlikely(co_active))
		path = co_proc_path(path, mine);
	self = co_here();
	if (likely(self == NULL))
		return co_opened(real.openat(dir, path, flags, mode));
	IN_REGION(fd, -1, self, "openat", false,
		  real.openat(dir, path, flags, mode));
	return co_opened(fd);
}
COHOOK_ALIAS(openat64, openat);
CO_CALL(openat);

COHOOK_EXPORT int
__open_2(const char *path, int flags)
{
	char mine[CO_PROC_PATH];
	struct co *self;
	int fd;

	if (unlikely(co_active))
		path = co_proc_path(path, mine);
	self = co_here();
	if (likely(self == NULL))
		return co_opened(real.__open_2(path, flags));
	IN_REGION(fd, -1, self, "open", false, real.__open_2(path, flags));
	return co_opened(fd);
}
COHOOK_ALIAS(__open64_2, __open_2);

COHOOK_EXPORT int
__openat_2(int dir, const char *path, int flags)
{
	char mine[CO_PROC_PATH];
	struct co *self;
	int fd;

	if (unlikely(co_active))
		path = co_proc_path(path, mine);
	self = co_here();
	if (likely(self == NULL))
		return co_opened(real.__openat_2(dir, path, flags));
	IN_REGION(fd, -1, self, "openat", false,
		  real.__openat_2(dir, path, flags));
	return co_opened(fd);
}
COHOOK_ALIAS(__openat64_2, __openat_2);

COHOOK_EXPORT int
creat(const char *path, mode_t mode)
{
	char mine[CO_PROC_PATH];
	struct co *self;
	int fd;

	if (unlikely(co_active))
		path = co_proc_path(path, mine);
	self = co_here();
	if (likely(self == NULL))
		return co_opened(real.creat(path, mode));
	IN_REGION(fd, -1, self, "creat", false, real.creat(path, mode));
	return co_opened(fd);
}
COHOOK_ALIAS(creat64, creat);
CO_CALL(creat);

/* --- streams --- */

static FILE *
opened_stream(FILE *f)
{
	if (f != NULL)
		co_opened(fileno_unlocked(f));
	return f;
}

COHOOK_EXPORT FILE *
fopen(const char *path, const char *mode)
{
	char mine[CO_PROC_PATH];
	struct co *self;
	FILE *f;

	if (unlikely(co_active))
		path = co_proc_path(path, mine);
	self = co_here();
	if (likely(self == NULL))
		return opened_stream(real.fopen(path, mode));
	IN_REGION(f, NULL, self, "fopen", false, real.fopen(path, mode));
	return opened_stream(f);
}
COHOOK_ALIAS(fopen64, fopen);
COHOOK_ALIAS(_IO_fopen, fopen);

/* The number stays, what it leads to is another file. */
COHOOK_EXPORT FILE *
freopen(const char *path, const char *mode, FILE *f)
{
	char mine[CO_PROC_PATH];
	FILE *r;
	int fd;

	if (likely(!co_active) || co_tls.vforked)
		return real.freopen(path, mode, f);
	if (path != NULL)
		path = co_proc_path(path, mine);
	fd = fileno_unlocked(f);
	co_region_begin("freopen", false);
	if (fd >= 0) {
		fflush(f); /* while the books still hold */
		co_fd_forget(fd);
	}
	r = real.freopen(path, mode, f);
	if (fd >= 0)
		co_fd_closed(fd);
	co_region_end();
	return opened_stream(r);
}
COHOOK_ALIAS(freopen64, freopen);

/* --- locks: tried first, for most are free --- */

COHOOK_EXPORT int
flock(int fd, int op)
{
	struct co *self = co_here();
	int saved = errno, r;

	if (likely(self == NULL) || op & (LOCK_NB | LOCK_UN))
		return real.flock(fd, op);
	r = real.flock(fd, op | LOCK_NB);
	if (r == 0 || errno != EWOULDBLOCK)
		return r;
	errno = saved;
	IN_REGION(r, -1, self, "flock", true, real.flock(fd, op));
	return r;
}
CO_CALL(flock);

COHOOK_EXPORT int
lockf(int fd, int op, off_t n)
{
	struct co *self = co_here();
	int saved = errno, r;

	if (likely(self == NULL) || op != F_LOCK)
		return real.lockf(fd, op, n);
	co_cancel_point(self); /* to try is none */
	r = real.lockf(fd, F_TLOCK, n);
	if (r == 0 || (errno != EAGAIN && errno != EACCES))
		return r;
	errno = saved;
	IN_REGION(r, -1, self, "lockf", true, real.lockf(fd, F_LOCK, n));
	return r;
}
COHOOK_ALIAS(lockf64, lockf);

/* --- to the disk --- */

COHOOK_EXPORT void
sync(void)
{
	co_region_begin("sync", co_here() != NULL);
	real.sync();
	co_region_end();
}

COHOOK_EXPORT int
msync(void *at, size_t n, int flags)
{
	int r;

	if (likely(co_here() == NULL))
		return real.msync(at, n, flags);
	co_region_begin("msync", flags & MS_SYNC);
	r = real.msync(at, n, flags);
	co_region_end();
	return r;
}

/* --- terminals --- */

LET_BLOCK_EINTR(int, tcdrain, (int fd), (fd), false)
LET_BLOCK_EINTR(int, tcsetattr, (int fd, int when, const struct termios *to),
		(fd, when, to), when == TCSANOW)
