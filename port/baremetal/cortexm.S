/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Cortex-M: the vector table. The processor loads the stack pointer from its first word. */
	.syntax unified
	.thumb

	.section .entry, "a"
	.globl entry
entry:
	.word link_stack_end, start
	.rept 14	/* NMI, HardFault ... SysTick */
	.word fault
	.endr
