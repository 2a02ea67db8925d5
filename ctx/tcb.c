/* SPDX-License-Identifier: MIT */
/* tcb.c - which way to a thread control block works here? */
#include <dlfcn.h>

#include "ctx/tcb.h"
#include "ctx/stack.h"
#include "ctx/sys.h"
#include "ctx/tcb_ways.h"

static int
ask_kernel(clockid_t clock, struct timespec *ts)
{
	return (int)sys2(SYS_clock_gettime, clock, ts);
}

struct co_libc co_libc = { .clock = ask_kernel };

static enum co_tcb_way way_;
static size_t room_;
enum { FEW = 16384 };

const char *
co_tcb_name(enum co_tcb_way way)
{
	static const char *const name[] = {
		[CO_TCB_NONE] = "none",
		[CO_TCB_SUD] = "sud",
		[CO_TCB_PATCH] = "patch",
		[CO_TCB_DONOR] = "donor",
	};

	return name[way];
}

/* glibc tells it under a private name, for the Java machine's sake; Rust's
 * library asks there as well. */
static void
measure_room(void)
{
	size_t (*minstack)(const pthread_attr_t *);
	pthread_attr_t attr;
	size_t n;

	minstack = (size_t (*)(const pthread_attr_t *))(uintptr_t)dlsym(
		RTLD_DEFAULT, "__pthread_get_minstack");
	if (minstack == NULL)
		return;
	pthread_attr_init(&attr);
	n = minstack(&attr);
	pthread_attr_destroy(&attr);
	room_ = n <= FEW ? 0 : (n + 4095) & ~(size_t)4095;
}

size_t
co_tcb_room(void)
{
	return room_;
}

/* Set up a way and see it answer; the self-test is what counts, for a prctl
 * that says yes and then does nothing exists (valgrind's). */
static int
set_up(enum co_tcb_way way)
{
	switch (way) {
	case CO_TCB_SUD:
		return co_sud_init();
	case CO_TCB_PATCH:
		return co_patch_init();
	case CO_TCB_DONOR:
		return co_donor_init();
	default:
		return -1;
	}
}

/* Exported by glibc 2.35 and newer (sys/rseq.h). */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));
enum { UNREGISTER = 1, SIGNATURE = 0x53053053, REGISTRATION_FAILED = -2 };

/* Restartable sequences are registered per kernel thread; a thread whose
 * creator has them aborts if it cannot have them too, and a coroutine cannot.
 * So the creator gives them up, and glibc and allocators fall back to
 * getcpu(2). */
static void
no_rseq(void)
{
	char *area;

	if (&__rseq_offset == NULL || __rseq_size == 0)
		return;
	area = (char *)co_ctx_tp() + __rseq_offset;
	/* glibc registers 32 bytes whatever it says of the size in use. */
	if (sys4(SYS_rseq, area, 32, UNREGISTER, SIGNATURE) == 0)
		((volatile int *)area)[1] = REGISTRATION_FAILED;
}

enum co_tcb_way
co_tcb_init(enum co_tcb_way wanted)
{
	enum co_tcb_way way;

	no_rseq();
	measure_room();
	for (way = CO_TCB_SUD; way <= CO_TCB_DONOR; way++) {
		if (wanted != CO_TCB_NONE && wanted != way)
			continue;
		if (set_up(way) == 0) {
			way_ = way;
			return way;
		}
	}
	return CO_TCB_NONE;
}

int
co_tcb_create(struct co_tcb *t, const pthread_attr_t *attr,
	      void *(*start)(void *), void *arg)
{
	int err;

	switch (way_) {
	case CO_TCB_SUD:
		err = co_sud_create(t, attr, start, arg);
		break;
	case CO_TCB_PATCH:
		err = co_patch_create(t, attr, start, arg);
		break;
	case CO_TCB_DONOR:
		return co_donor_create(t, attr, start, arg);
	default:
		return EAGAIN;
	}
	if (err == 0)
		co_ctx_birth(&t->ctx, &t->regs, t->ctx.tp, t->first,
			     t->first_arg);
	return err;
}

void
co_tcb_catch_exit(void (*gone)(void *), void *arg)
{
	if (way_ == CO_TCB_SUD)
		co_sud_catch_exit(gone, arg);
	else
		gone(arg);
}

void
co_tcb_forked(void)
{
	co_donor_forked();
}

int
co_tcb_sigsys(siginfo_t *info, void *uctx)
{
	return co_sud_sigsys(info, uctx);
}
