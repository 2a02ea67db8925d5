/* SPDX-License-Identifier: MIT */
/* trace.c - each park, wake and the like: into the log, into the ring. */
#include "ctx/sys.h"
#include "sched/log.h"
#include "sched/trace.h"
#include "sched/watch.h"

struct co_ring co_ring;

const char *const co_event_names[CO_EVENTS] = {
	[CO_EV_PARK] = "park",         [CO_EV_WAKE] = "wake",
	[CO_EV_BEGIN] = "begin",       [CO_EV_END] = "end",
	[CO_EV_TAKEOVER] = "takeover", [CO_EV_SPAWN] = "spawn",
	[CO_EV_EXIT] = "exit",
};
const char *const co_why_names[5] = {
	[CO_NONE] = "nothing",  [CO_WOKEN] = "ready",  [CO_TIMEOUT] = "timeout",
	[CO_SIGNAL] = "signal", [CO_CLOSED] = "close",
};

/* Seconds and microseconds. */
static long
stamp(char us[8], int64_t now)
{
	long n = (long)(now / 1000 % 1000000);
	int i;

	us[6] = '\0';
	for (i = 5; i >= 0; i--, n /= 10)
		us[i] = (char)('0' + n % 10);
	return (long)(now / 1000000000);
}

static void
into_log(const struct co_traced *t)
{
	char us[8], about[96] = "", took[32] = "", by[16] = "";
	long s = stamp(us, t->time);

	if (t->us >= 0)
		co_format(took, sizeof(took), " us=%ld", (long)t->us);
	switch (t->event) {
	case CO_EV_WAKE:
		co_format(by, sizeof(by), " by=%s", co_why_names[t->woken]);
		/* fallthrough */
	case CO_EV_PARK:
		co_format(about, sizeof(about), " call=%s what=0x%lx", t->call,
			  (unsigned long)t->what);
		break;
	case CO_EV_BEGIN:
	case CO_EV_END:
		co_format(about, sizeof(about), " call=%s", t->call);
		break;
	case CO_EV_TAKEOVER:
		co_format(about, sizeof(about), " id=%ld call=%s",
			  (long)t->other, t->call != NULL ? t->call : "");
		break;
	case CO_EV_SPAWN:
		co_format(about, sizeof(about), " id=%ld fn=0x%lx",
			  (long)t->other, (unsigned long)t->what);
		break;
	default:
		co_format(about, sizeof(about), " id=%ld", (long)t->other);
	}
	co_log(CO_TRACE, "%ld.%s %s%s%s%s", s, us, co_event_names[t->event],
	       about, took, by);
}

static void
into_ring(const struct co_traced *t)
{
	uint64_t i = atomic_fetch_add(&co_ring.n, 1);
	struct co_traced *slot = &co_ring.of[i % CO_TRACE_RING];

	atomic_store_explicit(&slot->seq, 0, memory_order_release);
	slot->time = t->time;
	slot->call = t->call;
	slot->what = t->what;
	slot->us = t->us;
	slot->id = t->id;
	slot->other = t->other;
	slot->tid = t->tid;
	slot->event = t->event;
	slot->woken = t->woken;
	atomic_store_explicit(&slot->seq, i + 1, memory_order_release);
}

void
co_trace_event(struct co_traced t)
{
	if (co_watch & CO_WATCH_TRACE)
		into_log(&t);
	if (!(co_watch & CO_WATCH_LIVE))
		return;
	/* Whoever looked on may have been killed. */
	if (t.time > co_ring.until) {
		__atomic_fetch_and(&co_watch, ~CO_WATCH_LIVE, __ATOMIC_RELAXED);
		return;
	}
	if (co_tls.self != NULL)
		t.id = co_tls.self->id;
	t.tid = (int32_t)sys0(SYS_gettid);
	into_ring(&t);
}

void
co_trace_end(void)
{
	static const struct timespec ms = { 0, 1000 * 1000 };
	int i;

	if (!(co_watch & CO_WATCH_LIVE) || co_now() > co_ring.until)
		return;
	for (i = 0; i < 100 && co_ring.taken < co_ring.n; i++)
		sys2(SYS_nanosleep, &ms, NULL);
}
