/* SPDX-License-Identifier: MIT */
/* record.c - a library in front of cohook's, which notes in $COVERAGE what
 * becomes of each call that is hooked, by the coroutine that makes it.
 *
 * Whether it waited is asked of the runtime, by the table for debuggers
 * (sched/debug.h): how often the coroutine has parked or lost its slot.
 *
 * real.c is compiled into this library as well: the real calls are cohook's
 * here. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "hook/real.h"
#include "sched/debug.h"
#include "tests/coverage/coverage.h"

extern int64_t cohook_self(void) __attribute__((weak));

static struct coverage *seen;

/* --- the runtime, as a debugger sees it --- */

static struct {
	char *all_m; /* address of the first m's address */
	size_t m_next, m_tid, m_cur, co_id, co_parks, co_lends;
} offset;

static void
note_entry(const char *name, uint64_t value)
{
	static const struct {
		const char *name;
		size_t *to;
	} wanted[] = {
		{ "m.next", &offset.m_next },
		{ "m.tid", &offset.m_tid },
		{ "m.cur", &offset.m_cur },
		{ "co.id", &offset.co_id },
		{ "co.parks", &offset.co_parks },
		{ "co.lends", &offset.co_lends },
	};
	size_t i;

	if (strcmp(name, "&all_m") == 0)
		offset.all_m = (char *)value;
	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (strcmp(name, wanted[i].name) == 0)
			*wanted[i].to = value;
}

static void
read_table(const struct co_debug *d)
{
	for (; d->name[0] != '\0'; d++)
		note_entry(d->name, d->value);
}

static int
look_for_note(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *p, *end;
	const Elf64_Nhdr *n;
	int64_t to;
	int i;

	(void)size;
	(void)arg;
	for (i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_NOTE)
			continue;
		p = (const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		end = p + info->dlpi_phdr[i].p_memsz;
		while (p + sizeof(*n) < end) {
			n = (const Elf64_Nhdr *)p;
			p += sizeof(*n);
			if (n->n_type == CO_DEBUG_NOTE && n->n_namesz == 7 &&
			    memcmp(p, "cohook", 7) == 0) {
				p += 8;
				memcpy(&to, p, sizeof(to));
				read_table((const struct co_debug *)(p + to));
				return 1;
			}
			p += (n->n_namesz + 3) & ~3u;
			p += (n->n_descsz + 3) & ~3u;
		}
	}
	return 0;
}

static long
gettid_(void)
{
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(SYS_gettid)
			 : "rcx", "r11", "memory");
	return r;
}

#define FIELD(type, base, offset) (*(type *)((char *)(base) + (offset)))

/* The caller's own coroutine, by the kernel thread that runs it. */
static char *
self(void)
{
	static __thread char *mine;
	static __thread int64_t id;
	int64_t now = cohook_self != NULL ? cohook_self() : 0;
	char *m;
	long tid;

	if (now == 0 || offset.all_m == NULL)
		return NULL;
	if (now == id)
		return mine;
	tid = gettid_();
	for (m = FIELD(char *, offset.all_m, 0); m != NULL;
	     m = FIELD(char *, m, offset.m_next))
		if (FIELD(int, m, offset.m_tid) == (int)tid) {
			mine = FIELD(char *, m, offset.m_cur);
			if (mine == NULL ||
			    FIELD(int64_t, mine, offset.co_id) != now)
				return NULL;
			id = now;
			return mine;
		}
	return NULL;
}

/* --- one call --- */

struct call {
	char *co;
	uint32_t parks, lends;
	int64_t began;
};

static int64_t
now_ns(void)
{
	struct timespec ts;

	/* By its name it would be recorded, and ask for the time. */
	real.clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void
begin(struct call *c)
{
	c->co = seen != NULL ? self() : NULL;
	if (c->co == NULL)
		return;
	c->parks = FIELD(uint32_t, c->co, offset.co_parks);
	c->lends = FIELD(uint32_t, c->co, offset.co_lends);
	c->began = now_ns();
}

static bool
has_waited(const struct call *c)
{
	return FIELD(uint32_t, c->co, offset.co_parks) != c->parks ||
	       (FIELD(uint32_t, c->co, offset.co_lends) != c->lends &&
		now_ns() - c->began >= 1000000);
}

static void
mark(enum cov_row row, enum cov_case what)
{
	seen->count[row][what]++;
}

/* How a call says that it has failed. */
enum manner {
	BY_ERRNO,  /* -1 and errno */
	BY_NULL,   /* NULL and errno */
	BY_NUMBER, /* an errno value */
	BY_THRD,   /* threads.h's enum */
	BY_EAI,    /* netdb.h's numbers */
	BY_REST,   /* what is left of a sleep */
	BY_SLEEP,  /* -1: interrupted; less: an error */
	NEVER,     /* it cannot, or does not say */
};

static enum manner
manner_of(const char *name, bool is_pointer)
{
	static const char *const numbers[] = {
		"posix_spawn",      "posix_spawnp",
		"clock_nanosleep",  "sigwait",
		"getpwnam_r",       "getpwuid_r",
		"getpwent_r",       "getgrnam_r",
		"getgrgid_r",       "getgrent_r",
		"getspnam_r",       "getservbyname_r",
		"getservbyport_r",  "getservent_r",
		"getprotobyname_r", "getprotobynumber_r",
		"gethostbyname_r",  "gethostbyname2_r",
		"gethostbyaddr_r",  "gethostent_r",
		"getnetbyname_r",   "getnetbyaddr_r",
	};
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (strcmp(name, numbers[i]) == 0)
			return BY_NUMBER;
	if (strcmp(name, "sleep") == 0)
		return BY_REST;
	if (strcmp(name, "thrd_sleep") == 0)
		return BY_SLEEP;
	if (strcmp(name, "signal") == 0)
		return BY_ERRNO;
	if (strcmp(name, "getaddrinfo") == 0 ||
	    strcmp(name, "getnameinfo") == 0 ||
	    strcmp(name, "gai_suspend") == 0)
		return BY_EAI;
	if (strcmp(name, "pthread_exit") == 0 ||
	    strcmp(name, "setnetgrent") == 0 || strcmp(name, "innetgr") == 0)
		return NEVER;
	if (strncmp(name, "pthread_", 8) == 0)
		return BY_NUMBER;
	if (strncmp(name, "mtx_", 4) == 0 || strncmp(name, "cnd_", 4) == 0 ||
	    strncmp(name, "thrd_", 5) == 0 || strncmp(name, "tss_", 4) == 0)
		return BY_THRD;
	return is_pointer ? BY_NULL : BY_ERRNO;
}

/* What it said, as an errno value; 0: it succeeded. */
static int
error_of(enum manner m, long r, int err)
{
	switch (m) {
	case BY_ERRNO:
		return r == -1 ? err : 0;
	case BY_NULL:
		return r == 0 ? (err != 0 ? err : ENOENT) : 0;
	case BY_NUMBER:
		/* A lock that its owner left is an error, and taken. */
		return r == -1 ? ENOENT : (int)r;
	case BY_THRD:
		return r == thrd_success  ? 0 :
		       r == thrd_timedout ? ETIMEDOUT :
		       r == thrd_busy     ? EBUSY :
		       r == thrd_nomem    ? ENOMEM :
					    EINVAL;
	case BY_EAI:
		return r == 0 || r == EAI_ALLDONE ? 0 :
		       r == EAI_SYSTEM            ? err :
		       r == EAI_INTR              ? EINTR :
		       r == EAI_AGAIN             ? ETIMEDOUT :
		       r == EAI_BADFLAGS || r == EAI_FAMILY ||
				       r == EAI_SOCKTYPE ?
					EINVAL :
					ENOENT;
	case BY_REST:
		return r != 0 ? EINTR : 0;
	case BY_SLEEP:
		return r == 0 ? 0 : (int)r == -1 ? EINTR : EINVAL;
	default:
		return 0;
	}
}

/* A time that is over is a success of those that sleep, and no descriptors of
 * those that wait for some. */
static bool
is_over_in_time(enum cov_row row, long r, bool waited)
{
	switch (row) {
	case COV_poll:
	case COV_ppoll:
	case COV___poll_chk:
	case COV___ppoll_chk:
	case COV_select:
	case COV_pselect:
	case COV_epoll_wait:
	case COV_epoll_pwait:
	case COV_epoll_pwait2:
		return r == 0 && waited;
	case COV_sleep:
	case COV_usleep:
	case COV_nanosleep:
	case COV_clock_nanosleep:
	case COV_thrd_sleep:
		return r == 0 && waited;
	default:
		return false;
	}
}

static void
end(const struct call *c, enum cov_row row, const char *name, bool is_pointer,
    bool is_void, long r)
{
	int saved = errno, err;
	bool waited;

	if (c->co == NULL || self() != c->co)
		return;
	waited = has_waited(c);
	err = is_void ? 0 : error_of(manner_of(name, is_pointer), r, saved);
	if (waited)
		mark(row, COV_WAITED);
	if (is_over_in_time(row, r, waited))
		mark(row, COV_TIMEOUT);
	switch (err) {
	case 0:
		mark(row, COV_OK);
		break;
	case EINTR:
		mark(row, COV_EINTR);
		break;
	case ETIMEDOUT:
		mark(row, COV_TIMEOUT);
		break;
	case EAGAIN:
	case EINPROGRESS:
		mark(row, waited ? COV_TIMEOUT : COV_ERROR);
		break;
	case EBADF:
	case EFAULT:
	case EINVAL:
	case ESRCH:
	case ENOTSOCK:
	case EOPNOTSUPP:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
	case ENOENT:
	case ECHILD:
		mark(row, COV_BAD);
		break;
	default:
		mark(row, COV_ERROR);
		break;
	}
	errno = saved;
}

/* For those that have no answer, or may not return. */
static void
waited_at_last(const struct call *c, enum cov_row row)
{
	int saved = errno;

	if (self() == c->co && has_waited(c))
		mark(row, COV_WAITED);
	errno = saved;
}

/* --- the calls --- */

/* Names in C that no header knows, and libc's in the object. */
#define NAMED(name) __asm__(#name)

#define WRAP_VALUE(ret, name, params, args)                                 \
	__attribute__((visibility("default")))                              \
	ret record_##name params NAMED(name);                               \
	ret record_##name params                                            \
	{                                                                   \
		struct call call_;                                          \
		ret ret_;                                                   \
                                                                            \
		begin(&call_);                                              \
		ret_ = real.name args;                                      \
		end(&call_, COV_##name, #name,                              \
		    __builtin_classify_type(ret_) == 5, false, (long)ret_); \
		return ret_;                                                \
	}

#define WRAP_VOID(ret, name, params, args)                                     \
	__attribute__((                                                        \
		visibility("default"))) void record_##name params NAMED(name); \
	void record_##name params                                              \
	{                                                                      \
		struct call call_;                                             \
                                                                               \
		begin(&call_);                                                 \
		/* Some do not return. */                                      \
		if (call_.co != NULL)                                          \
			end(&call_, COV_##name, #name, false, true, 0);        \
		real.name args;                                                \
		if (call_.co != NULL)                                          \
			waited_at_last(&call_, COV_##name);                    \
	}

/* Which of the two: PICK sees in the first word of what is returned whether it
 * is void.  What returns twice, or takes any number, cannot be wrapped. */
#define NOTHING(ret, name, params, args)
#define SECOND(a, b, ...) b
#define SECOND_OF(...) SECOND(__VA_ARGS__)
#define IS_VOID_void ~, WRAP_VOID, ~
#define SKIP_vfork ~, NOTHING, ~
#define SKIP_execl ~, NOTHING, ~
#define SKIP_execlp ~, NOTHING, ~
#define SKIP_execle ~, NOTHING, ~
#define PICK(ret) SECOND_OF(IS_VOID_##ret, WRAP_VALUE, ~)
#define UNLESS_SKIPPED(name, other) SECOND_OF(SKIP_##name, other, ~)

#define HOOK(ret, name, params, args) \
	UNLESS_SKIPPED(name, PICK(ret))(ret, name, params, args)
#define ALIAS(alias, name)
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS

/* Other names of the same. */
#define SAME(alias_name, name)                                        \
	extern __typeof__(record_##name) record_##alias_name __asm__( \
		#alias_name)                                          \
		__attribute__((visibility("default"), alias(#name)));
#define OTHER(alias_name, name)
#define UNLIKE_syslog ~, OTHER, ~
#define UNLIKE___syslog_chk ~, OTHER, ~
#define UNLIKE_sigpause ~, OTHER, ~
#define UNLIKE___xpg_sigpause ~, OTHER, ~
#define UNLIKE___vfork ~, OTHER, ~
#define HOOK(ret, name, params, args)
#define ALIAS(alias_name, name) \
	SECOND_OF(UNLIKE_##alias_name, SAME, ~)(alias_name, name)
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS

/* And those that have other arguments. */
void record_syslog(int prio, const char *format, ...) NAMED(syslog);
void record_syslog_chk(int prio, int flag, const char *format, ...)
	NAMED(__syslog_chk);
int record_bsd_sigpause(int mask) NAMED(sigpause);
int record_xpg_sigpause(int sig) NAMED(__xpg_sigpause);

__attribute__((visibility("default"))) void
record_syslog(int prio, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	record_vsyslog(prio, format, ap);
	va_end(ap);
}

__attribute__((visibility("default"))) void
record_syslog_chk(int prio, int flag, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	record___vsyslog_chk(prio, flag, format, ap);
	va_end(ap);
}

__attribute__((visibility("default"))) int
record_bsd_sigpause(int mask)
{
	return record___sigpause(mask, 0);
}

__attribute__((visibility("default"))) int
record_xpg_sigpause(int sig)
{
	return record___sigpause(sig, 1);
}

__attribute__((constructor(101))) static void
load(void)
{
	const char *path = getenv("COVERAGE");
	int fd, saved = errno;
	void *p;

	co_real_init();
	if (path == NULL)
		return;
	dl_iterate_phdr(look_for_note, NULL);
	fd = (int)real.syscall(SYS_openat, AT_FDCWD, (long)path,
			       O_RDWR | O_CLOEXEC, 0, 0, 0);
	if (fd == -1)
		return;
	p = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 0);
	real.syscall(SYS_close, fd, 0, 0, 0, 0, 0);
	if (p != MAP_FAILED && offset.all_m != NULL && offset.co_parks != 0)
		seen = p;
	errno = saved;
}
