/* SPDX-License-Identifier: MIT */
/* RISC-V in machine mode, 32 and 64 bits: entry, exceptions and the semihosting call. */
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
	.balign 4
fault_entry:
	tail fault

	/* These three, uncompressed and on one page, are what says that it is a call. */
	.balign 16
	.globl semihost
semihost:
	slli x0, x0, 0x1f
	ebreak
	srai x0, x0, 7
	ret
