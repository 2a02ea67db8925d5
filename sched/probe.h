/* SPDX-License-Identifier: MIT */
/* probe.h - places that perf(1), bpftrace(8), stap(1) and gdb(1) know by name:
 * "cohook:park" and its like.
 *
 * A probe is a nop, and a note of type 3 ("stapsdt") that says where it lies
 * and in which register, constant or memory its arguments are.  Nothing is
 * loaded of the note, nothing is asked at run time; who traces puts a
 * breakpoint on the nop.  The note, as systemtap's wiki has it ("UserSpace
 * ProbeImplementation"):
 *
 *     address, .stapsdt.base (by which prelink(8) is found out), semaphore;
 *     provider, name, and an argument each as size@operand
 *
 * Every argument is 8 bytes, signed.
 *
 *     park(id, call, what, deadline)      call: text; what: a descriptor or an
 *     wake(id, call, what, why)           address; why: enum co_why
 *     switch(from, to)                    ids; 0: a kernel thread's own context
 *     takeover(slot, id, call)            whose slot went to another
 *     region__begin(id, call, lasting)
 *     region__end(id, call)
 *     spawn(id, function, creator)
 *     exit(id)
 */
#ifndef COHOOK_PROBE_H
#define COHOOK_PROBE_H

#include <stdint.h>

#if defined(__x86_64__) || defined(__aarch64__)

#define CO_PROBE_NOTE(name, args)                                             \
	"990:	nop\n"                                                          \
	"	.pushsection .note.stapsdt, \"\", \"note\"\n"                         \
	"	.balign 4\n"                                                         \
	"	.4byte 992f - 991f, 994f - 993f, 3\n"                                \
	"991:	.asciz \"stapsdt\"\n"                                           \
	"992:	.balign 4\n"                                                    \
	"993:	.8byte 990b, _.stapsdt.base, 0\n"                               \
	"	.asciz \"cohook\"\n"                                                 \
	"	.asciz \"" #name "\"\n"                                              \
	"	.asciz \"" args "\"\n"                                               \
	"994:	.balign 4\n"                                                    \
	"	.popsection\n"                                                       \
	"	.ifndef _.stapsdt.base\n"                                            \
	"	.pushsection .stapsdt.base, \"aG\", \"progbits\", "                  \
	".stapsdt.base, comdat\n"                                             \
	"	.weak _.stapsdt.base\n"                                              \
	"	.hidden _.stapsdt.base\n"                                            \
	"_.stapsdt.base:	.space 1\n"                                           \
	"	.size _.stapsdt.base, 1\n"                                           \
	"	.popsection\n"                                                       \
	"	.endif\n"

#ifdef __x86_64__
#define CO_PROBE_OP "nor"
#else
#define CO_PROBE_OP "nr"
#endif
#define CO_PROBE_ARG(x) CO_PROBE_OP((int64_t)(x))

#define CO_PROBE1(name, a)                                                    \
	__asm__ volatile(CO_PROBE_NOTE(name, "-8@%0")::CO_PROBE_ARG(a))
#define CO_PROBE2(name, a, b)                                                 \
	__asm__ volatile(CO_PROBE_NOTE(name, "-8@%0 -8@%1")::CO_PROBE_ARG(a), \
			 CO_PROBE_ARG(b))
#define CO_PROBE3(name, a, b, c)                                              \
	__asm__ volatile(                                                     \
		CO_PROBE_NOTE(name, "-8@%0 -8@%1 -8@%2")::CO_PROBE_ARG(a),    \
		CO_PROBE_ARG(b), CO_PROBE_ARG(c))
#define CO_PROBE4(name, a, b, c, d)                                           \
	__asm__ volatile(CO_PROBE_NOTE(name, "-8@%0 -8@%1 -8@%2 -8@%3")       \
			 ::CO_PROBE_ARG(a), CO_PROBE_ARG(b), CO_PROBE_ARG(c), \
			 CO_PROBE_ARG(d))

#else

#define CO_PROBE1(name, a) ((void)(a))
#define CO_PROBE2(name, a, b) ((void)(a), (void)(b))
#define CO_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#define CO_PROBE4(name, a, b, c, d)                                           \
	((void)(a), (void)(b), (void)(c), (void)(d))

#endif
#endif
