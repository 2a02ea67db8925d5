/* SPDX-License-Identifier: MIT */
/* lend.c - what is queued for a coroutine, lent to its kernel thread for the
 * length of a call: so the kernel itself says what a signalfd(2), or a set of
 * epoll(7) with one in it, makes of it, in its order and by its rules.
 */
#include <errno.h>
#include <string.h>

#include "ctx/sys.h"
#include "sched/co.h"

/* glibc's own, which are nobody's to read. */
#define INTERNAL (CO_SIGBIT(CO_SIGCANCEL) | CO_SIGBIT(CO_SIGSETXID))

static const struct timespec zero;

/* 0, the signal, or -EAGAIN. */
static long
take_from_kernel(uint64_t set, siginfo_t *info)
{
	long r;

	do
		r = sys4(SYS_rt_sigtimedwait, &set, info, &zero, 8);
	while (r == -EINTR);
	return r;
}

/* Somebody else's, of which the nudge was not found. */
static void
give_back(struct co *self, int sig, siginfo_t *info)
{
	long pid = sys0(SYS_getpid);

	if (info->si_code == SI_TKILL)
		sys4(SYS_rt_tgsigqueueinfo, pid, self->m->tid, sig, info);
	else if (sys3(SYS_rt_sigqueueinfo, pid, sig, info) != 0)
		sys2(SYS_kill, pid, sig);
}

/* Nudges for those who ran here before, and went on elsewhere: a signalfd would
 * show them. */
static void
remove_nudges(struct co *self, uint64_t blocked)
{
	uint64_t set = self->m->nudged & blocked, bit;
	siginfo_t info;
	int sig;

	while (set != 0) {
		sig = __builtin_ctzll(set) + 1;
		bit = CO_SIGBIT(sig);
		set &= ~bit;
		co_sig_nudge_seen(self->m, sig);
		if (take_from_kernel(bit, &info) == sig &&
		    !co_sig_is_nudge(&info))
			give_back(self, sig, &info);
	}
}

void
co_lend(struct co *self, struct co_lent *l)
{
	uint64_t blocked = co_sig_mask(self) & ~INTERNAL;
	long pid = sys0(SYS_getpid);
	struct co_sig **p, **last = &l->first, *s;

	co_critical_begin();
	remove_nudges(self, blocked);
	co_lock(&self->lock);
	for (p = &self->pending; (s = *p) != NULL;) {
		if (!(blocked & CO_SIGBIT(s->signo))) {
			p = &s->next;
			continue;
		}
		*p = s->next;
		atomic_fetch_sub(&self->npending, 1);
		*last = s;
		last = &s->next;
	}
	*last = NULL;
	co_unlock(&self->lock);
	for (s = l->first; s != NULL; s = s->next)
		s->lent = sys4(SYS_rt_tgsigqueueinfo, pid, self->m->tid,
			       s->signo, &s->info) == 0;
}

void
co_lend_end(struct co *self, struct co_lent *l, uint16_t *taken)
{
	struct co_sig **p, **q, *s, *gone = NULL;

	for (p = &l->first; (s = *p) != NULL;) {
		if (s->lent && taken != NULL && taken[s->signo] > 0) {
			taken[s->signo]--;
			*p = s->next;
			s->next = gone;
			gone = s;
			continue;
		}
		/* The thread's own come first, and there it is. */
		if (s->lent)
			take_from_kernel(CO_SIGBIT(s->signo), NULL);
		p = &s->next;
	}
	co_lock(&self->lock);
	for (s = l->first; s != NULL; s = s->next) {
		atomic_fetch_add(&self->npending, 1);
		/* Standard signals do not queue: the older stays. */
		for (q = &self->pending; s->signo < 32 && *q != NULL;
		     q = &(*q)->next)
			if ((*q)->signo == s->signo) {
				struct co_sig *late = *q;

				*q = late->next;
				late->next = gone;
				gone = late;
				atomic_fetch_sub(&self->npending, 1);
				break;
			}
	}
	*p = self->pending;
	self->pending = l->first;
	co_unlock(&self->lock);
	while ((s = gone) != NULL) {
		gone = s->next;
		co_sig_free(s);
	}
	co_critical_end();
}
