/* SPDX-License-Identifier: MIT */
/* debug.h - what may be known of a process from outside: by `cohook ps', by
 * gdb, in a core file, with no debug information at hand.
 *
 * A note of the library (PT_NOTE, name "cohook", type 1) holds one signed
 * 64-bit number: where the table cohook_debug lies, counted from the number's
 * own address.  The table is entries of a name and a value, ended by an empty
 * name.  A name keeps its meaning for ever; what is not in the table is not to
 * be had from this version.
 *
 *     co.*, m.*, slot.*   offsets in bytes, or sizes
 *     frame.*             offsets from a context's stack pointer: the picture
 *                         in ctx_x86_64.S
 *     state.*             values of co.state
 *     &*                  addresses, of
 *         &all, &all_m           the first coroutine's address, the first
 *                                kernel thread's; then co.next, m.next
 *         &active                int: the runtime stands
 *         &clock                 CLOCK_MONOTONIC, ns, a little late: what
 *                                co.since is taken from
 *         &version               text
 *         &waits, &lent, &places, &stacks
 *                                watched.most entries of watched.size each:
 *                                waits and regions by call, what blocked a
 *                                worker by place, stacks by a thread's
 *                                function (watch.h); all 0 unless asked for
 *         &watch, &ring          int: the bit watch.live of it has an entry
 *                                written into the ring for each event, until
 *                                the time ring.until: trace.h says how that is
 *                                read, and who may write
 *         &events, &whys         of names: traced.event, traced.woken
 *         &slots, &workers, &ids the address of the slots, of how many there
 *                                are (int), of the next coroutine's id
 */
#ifndef COHOOK_DEBUG_H
#define COHOOK_DEBUG_H

#include <stdint.h>

enum { CO_DEBUG_NOTE = 1, CO_DEBUG_NAME = 24, CO_DEBUG_MOST = 128 };

struct co_debug {
	char name[CO_DEBUG_NAME];
	uint64_t value;
};

#endif
