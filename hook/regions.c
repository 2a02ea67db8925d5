/* SPDX-License-Identifier: MIT */
/* regions.c - calls whose whole hook is a blocking region, as hooks.def lists
 * them: HOOK_LENDS gives the worker's slot away at once, HOOK_SHORT where it
 * takes long; and the one that libc has with a variable list alone. */
#include <aio.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <resolv.h>
#include <rpc/netdb.h>
#include <shadow.h>
#include <stdarg.h>
#include <sys/random.h>
#include <syslog.h>

#include "hook/region.h"

#define HOOK(ret, name, params, args)
#define ALIAS(alias, name)
#define HOOK_LENDS(ret, name, params, args) LET_BLOCK(ret, name, params, args)
#define HOOK_SHORT(ret, name, params, args) MAY_BLOCK(ret, name, params, args)
#include "hook/hooks.def"
#undef HOOK
#undef ALIAS

COHOOK_ALIAS(pread64, pread);
COHOOK_ALIAS(__pread64, pread);
COHOOK_ALIAS(pwrite64, pwrite);
COHOOK_ALIAS(__pwrite64, pwrite);
COHOOK_ALIAS(__res_query, res_query);
COHOOK_ALIAS(__res_search, res_search);
COHOOK_ALIAS(__res_querydomain, res_querydomain);
COHOOK_ALIAS(__res_nquery, res_nquery);
COHOOK_ALIAS(__res_nsearch, res_nsearch);
COHOOK_ALIAS(__res_nquerydomain, res_nquerydomain);
COHOOK_ALIAS(__res_send, res_send);
COHOOK_ALIAS(__res_nsend, res_nsend);

/* --- the log: a datagram, which waits where the logger does not read --- */

COHOOK_EXPORT void
vsyslog(int prio, const char *format, va_list ap)
{
	if (likely(co_here() == NULL)) {
		real.vsyslog(prio, format, ap);
		return;
	}
	co_region_begin("syslog", false);
	real.vsyslog(prio, format, ap);
	co_region_end();
}

COHOOK_EXPORT void
__vsyslog_chk(int prio, int flag, const char *format, va_list ap)
{
	if (likely(co_here() == NULL)) {
		real.__vsyslog_chk(prio, flag, format, ap);
		return;
	}
	co_region_begin("syslog", false);
	real.__vsyslog_chk(prio, flag, format, ap);
	co_region_end();
}

COHOOK_EXPORT void
syslog(int prio, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsyslog(prio, format, ap);
	va_end(ap);
}

COHOOK_EXPORT void
__syslog_chk(int prio, int flag, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	__vsyslog_chk(prio, flag, format, ap);
	va_end(ap);
}
