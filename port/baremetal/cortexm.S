/* SPDX-License-Identifier: MIT */
/* Cortex-M, all of them: the vector table and the semihosting call. */
	.syntax unified
	.thumb

	.section .entry, "a"
	.globl entry
entry:
	.word link_stack_end, start
	.rept 14	/* NMI, HardFault ... SysTick */
	.word fault
	.endr

	.section .text.semihost, "ax"
	.globl semihost
	.type semihost, %function
	.thumb_func
semihost:
	bkpt 0xab
	bx lr
