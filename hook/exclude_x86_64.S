/* SPDX-License-Identifier: MIT */
/* exclude_x86_64.S - dlsym(3) and dlvsym(3) as excluded libraries may call them:
 * what was loaded meanwhile is seen to, and then libc's own runs with its
 * arguments and its caller, whom it looks at, as they were. */
	.text
	.macro	AFTER_LOOK name
	.globl	co_exclude_\name
	.hidden	co_exclude_\name
	.type	co_exclude_\name, @function
	.p2align 4
co_exclude_\name:
	.cfi_startproc
	push	%rdi
	.cfi_adjust_cfa_offset 8
	push	%rsi
	.cfi_adjust_cfa_offset 8
	push	%rdx
	.cfi_adjust_cfa_offset 8
	call	co_exclude_look
	pop	%rdx
	.cfi_adjust_cfa_offset -8
	pop	%rsi
	.cfi_adjust_cfa_offset -8
	pop	%rdi
	.cfi_adjust_cfa_offset -8
	jmp	*\name@GOTPCREL(%rip)
	.cfi_endproc
	.size	co_exclude_\name, .-co_exclude_\name
	.endm

	AFTER_LOOK dlsym
	AFTER_LOOK dlvsym

	.section .note.GNU-stack, "", @progbits
