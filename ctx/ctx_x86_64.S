/* SPDX-License-Identifier: MIT */
/* The x86-64 System V context switch; the contract is in ctx.h.
 *
 * The switch is an ordinary call, so the compiler has already spilled every
 * register it may lose across one.  What is left is what the psABI (3.2.1)
 * makes the callee's business: six registers and two control words.  They go
 * on the outgoing stack in this order, and the stack pointer is the context:
 *
 *     high  +--------------------+
 *           | return address     |  +56   pushed by the CALL
 *           | rbp                |  +48
 *           | rbx                |  +40
 *           | r12 r13 r14 r15    |  +32 +24 +16 +8
 *           | mxcsr     | x87 cw |  +0, +4
 *     low   +--------------------+  <- co_ctx.sp
 *
 * co_ctx_birth() in ctx_x86_64.c writes the same picture by hand.  The thread
 * pointer is loaded between the two stacks: a signal that comes just there
 * finds one flow's stack and the other's thread, which is why nothing switches
 * outside a critical section (sched/co.h).
 */
	.text
	.globl	co_ctx_switch
	.hidden	co_ctx_switch
	.type	co_ctx_switch, @function
	.p2align 4
co_ctx_switch:                          /* rdi = from, rsi = to */
	.cfi_startproc
	push	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbp, 0
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	push	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r12, 0
	push	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r13, 0
	push	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r14, 0
	push	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset r15, 0
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	0(%rsp)
	fnstcw	4(%rsp)
	mov	0(%rsp), %r8d           /* what is loaded now */
	movzwl	4(%rsp), %r9d

	/* Both stacks hold the same picture, so the unwind rules above are
	 * true on either side of these lines and need no restating. */
	mov	%rsp, (%rdi)
	mov	8(%rsi), %rdx
	mov	(%rsi), %rsp
	cmpb	$0, co_ctx_no_fsgsbase(%rip)
	jne	2f
	wrfsbase %rdx

	/* Loading a control word costs more than comparing it. */
1:	cmp	%r8d, 0(%rsp)
	jne	3f
	cmp	%r9w, 4(%rsp)
	jne	3f
4:	add	$8, %rsp
	.cfi_remember_state
	.cfi_adjust_cfa_offset -8
	pop	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore r15
	pop	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore r14
	pop	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore r13
	pop	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore r12
	pop	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	pop	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	ret

	/* No wrfsbase here (an old kernel, valgrind): ask the kernel. */
	.cfi_restore_state
2:	mov	%rdx, %rsi
	mov	$0x1002, %edi           /* ARCH_SET_FS */
	mov	$158, %eax              /* arch_prctl */
	syscall
	jmp	1b
3:	ldmxcsr	0(%rsp)
	fldcw	4(%rsp)
	jmp	4b
	.cfi_endproc
	.size	co_ctx_switch, .-co_ctx_switch

/* Where a new context begins: the first switch "returns" to here, with the
 * registers' address in rbx, fn in r12 and arg in r13 as co_ctx_birth() put
 * them.  rip is undefined because nobody called us: this is how gdb, perf and
 * backtrace(3) know to stop.  The nop is for them too: they look up a return
 * address less one, which must still be in here. */
	.globl	co_ctx_entry
	.hidden	co_ctx_entry
	.type	co_ctx_entry, @function
	.p2align 4
co_ctx_entry:
	.cfi_startproc
	.cfi_undefined rip
	nop
	mov	%r13, %rdi
	call	*%r12
	mov	%rbx, %rax              /* struct co_regs */
	mov	8(%rax), %rbx
	mov	24(%rax), %rdx
	mov	32(%rax), %rsi
	mov	40(%rax), %rdi
	mov	48(%rax), %rbp
	mov	56(%rax), %rsp
	mov	64(%rax), %r8
	mov	72(%rax), %r9
	mov	80(%rax), %r10
	mov	96(%rax), %r12
	mov	104(%rax), %r13
	mov	112(%rax), %r14
	mov	120(%rax), %r15
	mov	128(%rax), %r11         /* a system call destroys r11 anyway */
	mov	(%rax), %rax
	jmp	*%r11
	.cfi_endproc
	.size	co_ctx_entry, .-co_ctx_entry

	.section .note.GNU-stack, "", @progbits
