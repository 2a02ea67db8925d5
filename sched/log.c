/* SPDX-License-Identifier: MIT */
/* log.c - one line a time, past libc. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "ctx/sys.h"
#include "sched/co.h"
#include "sched/log.h"

int co_log_level = CO_ERROR;
static int log_fd = 2;
static bool fifo;

/* /dev/stderr may be one that others read and write. */
static bool
is_unnamed(const struct stat *st)
{
	struct stat pipe;
	int fds[2];
	bool same;

	if (sys2(SYS_pipe2, fds, O_CLOEXEC) != 0)
		return true;
	same = sys2(SYS_fstat, fds[0], &pipe) == 0 && pipe.st_dev == st->st_dev;
	sys1(SYS_close, fds[0]);
	sys1(SYS_close, fds[1]);
	return same;
}

/* A FIFO is opened to read as well: so it is there when we come before whoever
 * reads it, and when that ends first. */
static long
open_log(const char *path)
{
	enum { HOW = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC };
	struct stat st;
	long fd = sys4(SYS_openat, AT_FDCWD, path, HOW | O_NONBLOCK, 0666);

	if (fd < 0)
		return fd;
	fifo = sys2(SYS_fstat, fd, &st) == 0 && S_ISFIFO(st.st_mode) &&
	       !is_unnamed(&st);
	if (!fifo) {
		sys3(SYS_fcntl, fd, F_SETFL, O_APPEND);
		return fd;
	}
	sys1(SYS_close, fd);
	return sys4(SYS_openat, AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC,
		    0);
}

/* A SIGPIPE would be the program's, which has not written. */
static long
put_out(const char *s, size_t n)
{
	static const struct timespec zero;
	uint64_t sigpipe = CO_SIGBIT(SIGPIPE), old;
	long r;

	sys_sigmask(SIG_BLOCK, &sigpipe, &old);
	r = sys3(SYS_write, log_fd, s, n);
	if (r == -EPIPE && !(old & sigpipe))
		sys4(SYS_rt_sigtimedwait, &sigpipe, NULL, &zero, 8);
	if (!(old & sigpipe))
		sys_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

/* Whoever reads a FIFO is waited for, but not for ever: it may be gone. */
static void
write_line(const char *s, size_t n)
{
	static _Atomic long lost;
	struct pollfd p = { log_fd, POLLOUT, 0 };
	struct timespec patience = { 2, 0 };
	char note[64];
	long before;

	before = lost;
	if (before > 0 &&
	    put_out(note, (size_t)co_format(note, sizeof(note),
					    "cohook[%d] lost %ld lines\n",
					    (int)sys0(SYS_getpid), before)) > 0)
		atomic_fetch_sub(&lost, before);
	if (put_out(s, n) >= 0 || !fifo)
		return;
	if (before == 0 && sys5(SYS_ppoll, &p, 1, &patience, NULL, 8) == 1 &&
	    put_out(s, n) >= 0)
		return;
	atomic_fetch_add(&lost, 1);
}

void
co_log_init(const char *spec)
{
	static const char *const name[] = { "error", "warn", "info", "trace" };
	const char *colon;
	size_t n;
	int i;
	long fd;

	if (spec == NULL)
		return;
	colon = strchr(spec, ':');
	n = colon ? (size_t)(colon - spec) : strlen(spec);
	if (n == 3 && strncmp(spec, "off", 3) == 0)
		co_log_level = -1;
	for (i = 0; i < 4; i++)
		if (strlen(name[i]) == n && strncmp(spec, name[i], n) == 0)
			co_log_level = i;
	if (colon == NULL || colon[1] == '\0')
		return;
	fd = open_log(colon + 1);
	if (fd >= 0)
		log_fd = co_high_fd((int)fd);
	else
		co_log_level = CO_ERROR; /* stderr was not asked for */
}

int
co_log_fd(void)
{
	return co_log_level > CO_ERROR ? log_fd : -1;
}

struct out {
	char *p, *end;
};

static void
put(struct out *o, const char *s, size_t n)
{
	if (n > (size_t)(o->end - o->p))
		n = (size_t)(o->end - o->p);
	memcpy(o->p, s, n);
	o->p += n;
}

static void
put_number(struct out *o, uint64_t u, unsigned base, int negative)
{
	char digits[24], *d = digits + sizeof(digits);

	do
		*--d = "0123456789abcdef"[u % base];
	while ((u /= base) != 0);
	if (negative)
		*--d = '-';
	put(o, d, (size_t)(digits + sizeof(digits) - d));
}

static void
put_signed(struct out *o, int64_t v)
{
	put_number(o, v < 0 ? -(uint64_t)v : (uint64_t)v, 10, v < 0);
}

static void
format(struct out *o, const char *fmt, va_list ap)
{
	const char *s;
	int big;

	for (; *fmt != '\0'; fmt++) {
		if (*fmt != '%') {
			put(o, fmt, 1);
			continue;
		}
		big = 0;
		for (fmt++; *fmt == 'l' || *fmt == 'z'; fmt++)
			big = 1;
		switch (*fmt) {
		case 's':
			s = va_arg(ap, const char *);
			s = s ? s : "(null)";
			put(o, s, strlen(s));
			break;
		case 'd':
			put_signed(o, big ? va_arg(ap, long) : va_arg(ap, int));
			break;
		case 'u':
		case 'x':
			put_number(o,
				   big ? va_arg(ap, unsigned long) :
					 va_arg(ap, unsigned),
				   *fmt == 'u' ? 10 : 16, 0);
			break;
		case 'p':
			put(o, "0x", 2);
			put_number(o, (uintptr_t)va_arg(ap, void *), 16, 0);
			break;
		default:
			put(o, fmt, 1);
		}
	}
}

int
co_format(char *buf, int size, const char *fmt, ...)
{
	struct out o = { buf, buf + size - 1 };
	va_list ap;

	va_start(ap, fmt);
	format(&o, fmt, ap);
	va_end(ap);
	*o.p = '\0';
	return (int)(o.p - buf);
}

static void
line(enum co_level level, const char *fmt, va_list ap)
{
	static const char *const name[] = { "error ", "warn ", "info ",
					    "trace " };
	char buf[512];
	struct out o = { buf, buf + sizeof(buf) - 1 };
	struct co *self = co_tls.self;

	put(&o, "cohook[", 7);
	put_number(&o, (uint64_t)sys0(SYS_getpid), 10, 0);
	put(&o, ".", 1);
	put_number(&o, (uint64_t)sys0(SYS_gettid), 10, 0);
	if (self != NULL) {
		put(&o, "#", 1);
		put_number(&o, (uint64_t)self->id, 10, 0);
	}
	put(&o, "] ", 2);
	put(&o, name[level], strlen(name[level]));
	format(&o, fmt, ap);
	*o.p++ = '\n';
	write_line(buf, (size_t)(o.p - buf));
}

void
co_log(enum co_level level, const char *fmt, ...)
{
	va_list ap;

	if ((int)level > co_log_level)
		return;
	va_start(ap, fmt);
	line(level, fmt, ap);
	va_end(ap);
}

void
co_die(const char *fmt, ...)
{
	static _Atomic int dying;
	uint64_t abrt = CO_SIGBIT(SIGABRT);
	struct {
		void (*handler)(int);
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} dfl = { SIG_DFL, 0, NULL, 0 };
	va_list ap;

	if (co_log_level >= CO_ERROR) {
		va_start(ap, fmt);
		line(CO_ERROR, fmt, ap);
		va_end(ap);
		if (atomic_exchange(&dying, 1) == 0)
			co_dump(log_fd);
	}
	sys4(SYS_rt_sigaction, SIGABRT, &dfl, NULL, 8);
	sys_sigmask(SIG_UNBLOCK, &abrt, NULL);
	sys3(SYS_tgkill, sys0(SYS_getpid), sys0(SYS_gettid), SIGABRT);
	for (;;)
		sys1(SYS_exit_group, 127);
}
