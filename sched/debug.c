/* SPDX-License-Identifier: MIT */
/* debug.c - the table of debug.h, and the note that leads to it. */
#include "sched/debug.h"
#include "sched/trace.h"
#include "sched/watch.h"
#include "sched/work.h"

#define OF(name, type, field) { name, offsetof(struct type, field) }
#define AT(name, object) { name, (uintptr_t)&(object) }

/* Readers expect pointers to both. */
static struct co_slot *const slots = co_slots;
static const _Atomic int *const slots_n = &co_nslots;
static const char version[] = COHOOK_VERSION;

extern const struct co_debug cohook_debug[];
const struct co_debug cohook_debug[] = {
	AT("&all", co_all),
	AT("&all_m", co_all_m),
	AT("&slots", slots),
	AT("&workers", slots_n),
	AT("&ids", co_ids),
	AT("&active", co_active),
	AT("&clock", co_clock),
	AT("&version", version),
	AT("&waits", co_watched.waits),
	AT("&lent", co_watched.lent),
	AT("&places", co_watched.places),
	AT("&stacks", co_watched.stacks),
	{ "watched.most", CO_WATCHED },
	{ "watched.size", sizeof(struct co_watched) },
	OF("watched.call", co_watched, call),
	OF("watched.n", co_watched, n),
	OF("watched.ns", co_watched, ns),
	OF("watched.longest", co_watched, longest),
	OF("watched.pc", co_watched, pc),
	{ "watched.pcs", CO_WATCH_PCS },
	OF("watched.used", co_watched, used),
	OF("watched.stack", co_watched, size),
	AT("&watch", co_watch),
	{ "watch.live", CO_WATCH_LIVE },
	AT("&ring", co_ring),
	AT("&events", co_event_names),
	AT("&whys", co_why_names),
	{ "events.n", CO_EVENTS },
	{ "ring.most", CO_TRACE_RING },
	OF("ring.n", co_ring, n),
	OF("ring.until", co_ring, until),
	OF("ring.from", co_ring, from),
	OF("ring.taken", co_ring, taken),
	OF("ring.of", co_ring, of),
	{ "traced.size", sizeof(struct co_traced) },
	OF("traced.seq", co_traced, seq),
	OF("traced.time", co_traced, time),
	OF("traced.call", co_traced, call),
	OF("traced.what", co_traced, what),
	OF("traced.us", co_traced, us),
	OF("traced.id", co_traced, id),
	OF("traced.other", co_traced, other),
	OF("traced.tid", co_traced, tid),
	OF("traced.event", co_traced, event),
	OF("traced.woken", co_traced, woken),
	{ "co.size", sizeof(struct co) },
	OF("co.next", co, all_next),
	OF("co.id", co, id),
	OF("co.tid", co, tid),
	OF("co.state", co, state),
	OF("co.why", co, why),
	OF("co.what", co, what),
	OF("co.since", co, since),
	OF("co.parks", co, parks),
	OF("co.lends", co, lends),
	OF("co.name", co, name),
	{ "co.name_size", sizeof(((struct co *)NULL)->name) },
	OF("co.m", co, m),
	OF("co.sp", co, tcb.ctx.sp),
	OF("co.tp", co, tcb.ctx.tp),
	OF("co.main", co, is_main),
	OF("co.light", co, light),
	OF("co.region", co, region),
	OF("co.fn", co, fn),
	OF("co.done", co, done),
	OF("co.deadline", co, parker.timer.deadline),
	OF("co.timed", co, parker.timer.at),
	OF("co.stack", co, stack.base),
	OF("co.stack_size", co, stack.size),
	{ "m.size", sizeof(struct co_m) },
	OF("m.next", co_m, all_next),
	OF("m.tid", co_m, tid),
	OF("m.cur", co_m, cur),
	OF("m.blamed", co_m, blamed),
	OF("m.blamed_at", co_m, blamed_at),
	{ "slot.size", sizeof(struct co_slot) },
	OF("slot.tick", co_slot, tick),
	{ "state.ready", CO_S_READY },
	{ "state.running", CO_S_RUNNING },
	{ "state.parked", CO_S_PARKED },
	{ "state.gone", CO_S_GONE },
#ifdef __x86_64__
	{ "frame.r15", 8 },
	{ "frame.r14", 16 },
	{ "frame.r13", 24 },
	{ "frame.r12", 32 },
	{ "frame.rbx", 40 },
	{ "frame.rbp", 48 },
	{ "frame.rip", 56 },
	{ "frame.size", 64 },
#endif
	{ "", 0 },
};

_Static_assert(sizeof(cohook_debug) / sizeof(*cohook_debug) <= CO_DEBUG_MOST,
	       "readers stop there");

/* An Elf64_Nhdr and what it announces.  It is loaded, and no stripping takes
 * it away. */
__asm__(".pushsection .note.cohook, \"a\", @note\n"
	"	.balign 4\n"
	"	.long 7, 8, 1\n"
	"	.asciz \"cohook\"\n"
	"	.balign 4\n"
	"1:	.quad cohook_debug - 1b\n"
	"	.popsection\n");
