/* SPDX-License-Identifier: MIT */
/* tcb_sud_x86_64.S - the return from our SIGSYS handler.
 *
 * It is the one system call that must not be dispatched to that handler again,
 * so it stands in a range of its own, which prctl(2) is told of. */
	.text
	.globl	co_sud_restorer, co_sud_restorer_end
	.hidden	co_sud_restorer, co_sud_restorer_end
	.type	co_sud_restorer, @function
	.p2align 4
	nop                             /* an unwinder looks one byte back */
co_sud_restorer:
	mov	$15, %eax               /* rt_sigreturn */
	syscall
	ud2
co_sud_restorer_end:
	.size	co_sud_restorer, .-co_sud_restorer
	.section .note.GNU-stack, "", @progbits
