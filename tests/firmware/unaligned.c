/* SPDX-License-Identifier: MIT */
/*
 * The control of the other runs: an access that is not aligned, which has to end in the fault
 * handler on a board whose processor allows none. On such a board, the program that reads images
 * shows that the library has no such access.
 */
#include "board.h"

int main(int argc, char **argv)
{
	static uint32_t words[2];
	volatile uintptr_t at = (uintptr_t)words + 1; /* or the compiler sees it, and loads bytes */

	(void)argc;
	(void)argv;
	say("unaligned: ");
	say_number(*(const volatile uint32_t *)at);
	say("\n");
	return 0;
}
