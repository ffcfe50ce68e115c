/* SPDX-License-Identifier: MIT */
/*
 * From the entry to main, and what the linker script knows: the stack lies at the bottom of the
 * RAM, so that on Cortex-M a stack that overflows leaves the RAM and faults.
 */
#include "board.h"

enum { MAX_WORDS = 4, FAULT_STATUS = 99 };

/* Of sections.ld. */
extern uint32_t link_stack[], link_stack_end[];
extern uint32_t link_data[], link_data_end[], link_data_rom[];
extern uint32_t link_bss[], link_bss_end[];

static const uint32_t paint = 0x57ac0000u;

static void paint_stack(void)
{
	/* From the bottom up to the frames in use; 64 bytes are left to this one. */
	volatile uint32_t here = 0;
	uintptr_t end = (uintptr_t)&here - 64;

	for (volatile uint32_t *word = link_stack; (uintptr_t)word < end; word++)
		*word = paint;
}

void start(void)
{
	char *words[MAX_WORDS];
	const uint32_t *from = link_data_rom;

	for (volatile uint32_t *to = link_data; (uintptr_t)to < (uintptr_t)link_data_end; to++)
		*to = *from++;
	for (volatile uint32_t *to = link_bss; (uintptr_t)to < (uintptr_t)link_bss_end; to++)
		*to = 0;
	paint_stack();
	leave(main(command_line(words, MAX_WORDS), words));
}

void fault(void)
{
	say("fault\n");
	leave(FAULT_STATUS);
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
	return stack_len() - ((uintptr_t)word - (uintptr_t)link_stack);
}

size_t ram_used(void)
{
	return distance(link_stack, link_bss_end);
}
