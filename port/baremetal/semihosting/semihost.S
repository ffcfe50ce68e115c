/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * intptr_t semihost(uintptr_t number, const void *argument): a call that a debugger or QEMU serves.
 * The instructions are those of "Semihosting for AArch32 and AArch64" and of its counterpart for
 * RISC-V. The arguments are in the right registers already.
 */
	.section .text.semihost, "ax"
	.globl semihost
#if defined(__thumb__)
	.syntax unified
	.thumb
	.type semihost, %function
	.thumb_func
semihost:
	bkpt 0xab
	bx lr
#elif defined(__aarch64__)
semihost:
	hlt 0xf000
	ret
#elif defined(__riscv)
	/* The three instructions mark the call: uncompressed, and on one page, hence the alignment. */
	.option norvc
	.balign 16
semihost:
	slli x0, x0, 0x1f
	ebreak
	srai x0, x0, 7
	ret
#else
#error "no semihosting call for this processor"
#endif
