/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints text and sizes for people to read.
 */
#include "text.h"

#include <inttypes.h>

void text_print(FILE *out, const char *bytes, size_t len)
{
	while (len > 0u) {
		uint32_t code;
		int printable;
		size_t i, n = qcow2_character(bytes, len, &code, &printable);

		if (printable)
			fwrite(bytes, 1, n, out);
		for (i = 0; i < n && !printable; i++)
			fprintf(out, "\\x%02x", (unsigned char)bytes[i]);
		bytes += n;
		len -= n;
	}
}

const char *text_size(char text[TEXT_SIZE_MAX], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	/* From 999.5 on, three digits are no longer enough: %.3g would print "1e+03". */
	while (value >= 999.5 && unit < 6u) {
		value /= 1024;
		unit++;
	}
	snprintf(text, TEXT_SIZE_MAX, "%.3g %s", value, units[unit]);
	return text;
}

void text_print_size(FILE *out, uint64_t bytes)
{
	char text[TEXT_SIZE_MAX];

	fputs(text_size(text, bytes), out);
}

void text_print_bytes(uint64_t bytes, bool human, int width)
{
	if (human) {
		char text[TEXT_SIZE_MAX];

		printf("%*s", width, text_size(text, bytes));
	} else {
		printf("%*" PRIu64, width, bytes);
	}
}

const char *text_share(char text[TEXT_SIZE_MAX], uint64_t part, uint64_t whole)
{
	double share = whole > 0u ? 100.0 * (double)part / (double)whole : 0;

	/* Rounding must not turn a little into nothing, nor nearly all into all. */
	if (part > 0u && share < 0.05)
		snprintf(text, TEXT_SIZE_MAX, "< 0.1 %%");
	else if (part < whole && share >= 99.95)
		snprintf(text, TEXT_SIZE_MAX, "> 99.9 %%");
	else if (part == 0u || part == whole)
		snprintf(text, TEXT_SIZE_MAX, "%.0f %%", share);
	else
		snprintf(text, TEXT_SIZE_MAX, "%.1f %%", share);
	return text;
}
