/* SPDX-License-Identifier: MIT */
/* nss.c - names: libc's own resolver, exact to the last nsswitch.conf, in a
 * blocking region; and others that block where we cannot reach in. */
#include "hook/wait.h"

#define LET_BLOCK(ret, name, params, args)                                    \
	COHOOK_EXPORT ret name params                                         \
	{                                                                     \
		ret r;                                                        \
                                                                              \
		if (likely(co_here() == NULL))                                \
			return real.name args;                                \
		co_region_begin(#name, true);                                 \
		r = real.name args;                                           \
		co_region_end();                                              \
		return r;                                                     \
	}

LET_BLOCK(int, getaddrinfo,
	  (const char *node, const char *service, const struct addrinfo *hints,
	   struct addrinfo **res),
	  (node, service, hints, res))
LET_BLOCK(int, getnameinfo,
	  (const struct sockaddr *addr, socklen_t len, char *host,
	   socklen_t hostlen, char *serv, socklen_t servlen, int flags),
	  (addr, len, host, hostlen, serv, servlen, flags))
LET_BLOCK(struct hostent *, gethostbyname, (const char *name), (name))
LET_BLOCK(struct hostent *, gethostbyname2, (const char *name, int af),
	  (name, af))
LET_BLOCK(struct hostent *, gethostbyaddr,
	  (const void *addr, socklen_t len, int af), (addr, len, af))
LET_BLOCK(int, gethostbyname_r,
	  (const char *name, struct hostent *ret, char *buf, size_t n,
	   struct hostent **res, int *err),
	  (name, ret, buf, n, res, err))
LET_BLOCK(int, gethostbyname2_r,
	  (const char *name, int af, struct hostent *ret, char *buf, size_t n,
	   struct hostent **res, int *err),
	  (name, af, ret, buf, n, res, err))
LET_BLOCK(int, gethostbyaddr_r,
	  (const void *addr, socklen_t len, int af, struct hostent *ret,
	   char *buf, size_t n, struct hostent **res, int *err),
	  (addr, len, af, ret, buf, n, res, err))
LET_BLOCK(pid_t, waitpid, (pid_t pid, int *status, int options),
	  (pid, status, options))
LET_BLOCK(pid_t, wait, (int *status), (status))
LET_BLOCK(pid_t, wait4,
	  (pid_t pid, int *status, int options, struct rusage *ru),
	  (pid, status, options, ru))
LET_BLOCK(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options),
	  (type, id, info, options))
int system(const char *command);
LET_BLOCK(int, system, (const char *command), (command))
LET_BLOCK(int, pclose, (FILE *f), (f))
