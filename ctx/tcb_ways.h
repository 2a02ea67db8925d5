/* SPDX-License-Identifier: MIT */
/* tcb_ways.h - the ways to a thread control block, each in a file of its own.
 * *_init: 0 if the way works here.  *_create: as co_tcb_create(). */
#ifndef COHOOK_TCB_WAYS_H
#define COHOOK_TCB_WAYS_H

#include <errno.h>

#include "ctx/tcb.h"

int co_sud_init(void);
int co_sud_create(struct co_tcb *t, const pthread_attr_t *attr,
		  void *(*start)(void *), void *arg);
void co_sud_catch_exit(void (*gone)(void *), void *arg);
int co_sud_sigsys(siginfo_t *info, void *uctx);

int co_patch_init(void);
int co_patch_create(struct co_tcb *t, const pthread_attr_t *attr,
		    void *(*start)(void *), void *arg);

int co_donor_init(void);
int co_donor_create(struct co_tcb *t, const pthread_attr_t *attr,
		    void *(*start)(void *), void *arg);
void co_donor_forked(void);

#endif
