/* SPDX-License-Identifier: MIT */
/* env.h - what the COHOOK_* variables say; read once, by the constructor. */
#ifndef COHOOK_ENV_H
#define COHOOK_ENV_H

#include <stddef.h>

#include "ctx/tcb.h"

struct co_env {
	int off;          /* COHOOK=0 */
	int native;       /* COHOOK_THREADS=native */
	int convert;      /* COHOOK_THREADS=convert */
	int now;          /* COHOOK_START=now */
	int workers;      /* COHOOK_WORKERS; 0: as many as there are CPUs */
	enum co_tcb_way tcb; /* COHOOK_TCB; CO_TCB_NONE: the best */
	char *exclude;    /* COHOOK_EXCLUDE; NULL: nothing */
	size_t stack;     /* COHOOK_STACK, bytes; 0: the program's own */
};
extern struct co_env co_env;

void co_env_read(void);

#endif
