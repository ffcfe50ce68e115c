/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Makes an unaligned access, which must end in the fault handler on a processor that does not allow
 * it. This shows that the program that reads images would fault on such a board if the library made
 * an unaligned access.
 */
#include "board.h"

int main(int argc, char **argv)
{
	static uint32_t words[2];
	volatile uintptr_t at = (uintptr_t)words + 1; /* or the compiler loads bytes */

	(void)argc;
	(void)argv;
	say("unaligned: ");
	say_number(*(const volatile uint32_t *)at);
	say("\n");
	return 0;
}
