/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* RISC-V in machine mode, 32 and 64 bits: entry and exceptions. */
	.option norvc
	.option norelax
	.option arch, +zicsr

	.section .entry, "ax"
	.globl entry
entry:
	la sp, link_stack_end
	la t0, fault_entry
	csrw mtvec, t0
	tail start
	.balign 4	/* the low bits of mtvec select a mode */
fault_entry:
	tail fault
