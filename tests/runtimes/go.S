/* SPDX-License-Identifier: MIT */
/* The note that Go's linker leaves: its build id. */
	.section .note.go.buildid, "a", @note
	.balign 4
	.long 4, 8, 4
	.asciz "Go\0"
	.ascii "not it/x"
	.section .note.GNU-stack, "", @progbits
