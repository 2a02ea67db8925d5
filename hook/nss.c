/* SPDX-License-Identifier: MIT */
/* nss.c - names: libc's own resolver, exact to the last nsswitch.conf, in a
 * blocking region. */
#include <arpa/inet.h>

#include "hook/region.h"

/* An address in figures is asked of nobody. */
static bool
is_numeric(const char *node, const struct addrinfo *hints)
{
	struct in6_addr any;

	return node == NULL || inet_pton(AF_INET, node, &any) == 1 ||
	       inet_pton(AF_INET6, node, &any) == 1 ||
	       (hints != NULL && hints->ai_flags & AI_NUMERICHOST);
}

COHOOK_EXPORT int
getaddrinfo(const char *node, const char *service,
	    const struct addrinfo *hints, struct addrinfo **res)
{
	int r;

	if (likely(co_here() == NULL))
		return real.getaddrinfo(node, service, hints, res);
	co_region_begin("getaddrinfo", !is_numeric(node, hints));
	r = real.getaddrinfo(node, service, hints, res);
	co_region_end();
	return r;
}

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
