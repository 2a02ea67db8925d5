/* SPDX-License-Identifier: MIT */
/* copy_x86_64.S - copying what a bad pointer may lead to.
 *
 * int co_copy(void *dst, const void *src, size_t n)
 *
 * The kernel answers EFAULT where it is given such a pointer, and so must we.
 * A fault between the two labels makes the SIGSEGV handler go on at
 * co_copy_fault: 0 is all copied, -1 is not.
 */
	.text
	.globl	co_copy, co_copy_end, co_copy_fault
	.hidden	co_copy, co_copy_end, co_copy_fault
	.type	co_copy, @function
	.p2align 4
co_copy:
	.cfi_startproc
	movq	%rdx, %rcx
	rep movsb
co_copy_end:
	xorl	%eax, %eax
	ret
co_copy_fault:
	movl	$-1, %eax
	ret
	.cfi_endproc
	.size	co_copy, .-co_copy
	.section .note.GNU-stack, "", @progbits
