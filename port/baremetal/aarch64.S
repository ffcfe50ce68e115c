/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* AArch64 at EL1, MMU off: entry and exceptions. */
	.section .entry, "ax"
	.globl entry
entry:
	adrp x0, link_stack_end
	add x0, x0, :lo12:link_stack_end
	mov sp, x0
	adrp x0, vectors
	add x0, x0, :lo12:vectors
	msr vbar_el1, x0
	b start

	.balign 2048	/* the lower bits of VBAR_EL1 are reserved */
vectors:
	.rept 16
	b fault
	.balign 128
	.endr
