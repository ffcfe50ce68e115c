/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * From the entry to main. The stack is at the bottom of the RAM, so that on Cortex-M a stack that
 * overflows leaves the RAM and faults.
 */
#include "board.h"

enum { MAX_WORDS = 4, FAULT_STATUS = 99 /* no status of main */ };

/* From sections.ld. */
extern uint32_t link_data[], link_data_end[], link_data_rom[];
extern uint32_t link_bss[], link_bss_end[]; /* NOLINT(readability-redundant-declaration) */

void start(void)
{
	char *words[MAX_WORDS];
	const uint32_t *from = link_data_rom;

	/* volatile, or the compiler turns the loops into calls to memcpy and memset */
	for (volatile uint32_t *to = link_data; (uintptr_t)to < (uintptr_t)link_data_end; to++)
		*to = *from++;
	for (volatile uint32_t *to = link_bss; (uintptr_t)to < (uintptr_t)link_bss_end; to++)
		*to = 0;
	stack_paint();
	leave(main(command_line(words, MAX_WORDS), words));
}

void fault(void)
{
	say("fault\n");
	leave(FAULT_STATUS);
}
