/* SPDX-License-Identifier: MIT */
/* vfork_x86_64.S - vfork(2), whose child runs on the caller's stack.
 *
 * The child returns through our caller's frame and then writes over what was
 * below it, our return address among it; so that goes into a register that
 * the system call keeps, as glibc does (sysdeps/unix/sysv/linux/x86_64/
 * vfork.S).  begin and end bracket it for the parent; in the child the books
 * stay closed until it execs or leaves. */
	.text
	.globl	vfork
	.type	vfork, @function
	.p2align 4
vfork:
	.cfi_startproc
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	co_vfork_begin
	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	pop	%rdi
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rdi
	mov	$58, %eax               /* SYS_vfork */
	syscall
	push	%rdi
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rip, 0
	test	%eax, %eax
	jz	1f                      /* the child */
	push	%rax
	.cfi_adjust_cfa_offset 8
	call	co_vfork_end
	pop	%rax
	.cfi_adjust_cfa_offset -8
	cmp	$-4095, %rax
	jae	2f
1:	ret
2:	neg	%eax
	push	%rax
	.cfi_adjust_cfa_offset 8
	call	__errno_location@PLT
	pop	%rcx
	.cfi_adjust_cfa_offset -8
	mov	%ecx, (%rax)
	mov	$-1, %rax
	ret
	.cfi_endproc
	.size	vfork, .-vfork
	.globl	__vfork
	.set	__vfork, vfork

	.section .note.GNU-stack, "", @progbits
