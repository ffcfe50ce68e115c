/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Prints numbers. */
#include "board.h"

void say_number(uint64_t value)
{
	/* Without a division: a Cortex-M0 has no such instruction, and libgcc is not linked. */
	static const uint32_t powers[] = { 1000000000u, 100000000u, 10000000u, 1000000u, 100000u,
		                           10000u,      1000u,      100u,      10u,      1u };
	uint32_t rest = (uint32_t)value;
	char text[11];
	size_t n = 0;

	if (value > UINT32_MAX) {
		say_hex(value);
		return;
	}
	for (size_t i = 0; i < sizeof powers / sizeof *powers; i++) {
		char digit = '0';

		for (; rest >= powers[i]; rest -= powers[i])
			digit++;
		if (digit != '0' || n > 0 || powers[i] == 1u)
			text[n++] = digit;
	}
	text[n] = '\0';
	say(text);
}

void say_hex(uint64_t value)
{
	static const char digits[] = "0123456789abcdef";
	const uint32_t half[] = { (uint32_t)(value >> 32), (uint32_t)value };
	char text[17];
	size_t n = 0;

	for (unsigned i = 0; i < 16; i++) {
		char digit = digits[half[i / 8] >> (28 - i % 8 * 4) & 15u];

		if (digit != '0' || n > 0 || i == 15)
			text[n++] = digit;
	}
	text[n] = '\0';
	say("0x");
	say(text);
}
