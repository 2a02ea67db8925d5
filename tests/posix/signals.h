/* SPDX-License-Identifier: MIT */
/* signals.h - what programs about signals share. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>

#include "thr.h"

static inline sigset_t
set_of(int sig)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, sig);
	return s;
}

static inline void
let_through(int sig)
{
	sigset_t s = set_of(sig);

	OK(pthread_sigmask(SIG_UNBLOCK, &s, NULL));
}

static inline void
hold_back(int sig)
{
	sigset_t s = set_of(sig);

	OK(pthread_sigmask(SIG_BLOCK, &s, NULL));
}

static inline void
on(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	sigemptyset(&sa.sa_mask);
	OK(sigaction(sig, &sa, NULL));
}

#endif
