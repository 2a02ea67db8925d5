/* SPDX-License-Identifier: MIT */
/* nss.c - names: libc's own resolver, exact to the last nsswitch.conf, in a
 * blocking region. */
#include "hook/region.h"

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
