/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Measures RAM and stack: the stack is painted at the start; words without paint were used. */
#include "board.h"

/* From sections.ld. */
extern uint32_t link_stack[], link_stack_end[], link_bss_end[];

static const uint32_t paint = 0x57ac0000u;

void stack_paint(void)
{
	/* From the bottom up to this function's frame, which has at most 64 bytes. */
	volatile uint32_t here = 0;
	uintptr_t end = (uintptr_t)&here - 64;

	for (volatile uint32_t *word = link_stack; (uintptr_t)word < end; word++)
		*word = paint;
}

static size_t distance(const uint32_t *from, const uint32_t *to)
{
	return (uintptr_t)to - (uintptr_t)from;
}

size_t stack_len(void)
{
	return distance(link_stack, link_stack_end);
}

size_t stack_peak(void)
{
	const volatile uint32_t *word = link_stack;

	while ((uintptr_t)word < (uintptr_t)link_stack_end && *word == paint)
		word++;
	return (uintptr_t)link_stack_end - (uintptr_t)word;
}

size_t ram_used(void)
{
	return distance(link_stack, link_bss_end);
}
