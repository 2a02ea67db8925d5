/* SPDX-License-Identifier: MIT */
/* tls_lib.h - what both libraries with thread-local variables offer.
 *
 * tls_check() says whether the calling thread's variables still are as they
 * were linked; tls_mark(n) makes them others, which tls_marked() finds again.
 */
#ifndef TLS_LIB_H
#define TLS_LIB_H

int tls_check(void);
void tls_mark(int n);
int tls_marked(void);

#endif
