/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The parts of an SVG file.
 */
#include "svg.h"

#include <string.h>

/* Prints a character of n bytes. XML has no U+FFFE and U+FFFF, not even escaped. */
static void escape_character(FILE *out, const char *bytes, size_t n, uint32_t code, bool printable)
{
	if (!printable || code == 0xfffeu || code == 0xffffu) {
		size_t i;

		for (i = 0; i < n; i++)
			fprintf(out, "\\x%02x", (unsigned char)bytes[i]);
		return;
	}
	switch (code) {
	case '&': fputs("&amp;", out); break;
	case '<': fputs("&lt;", out); break;
	case '>': fputs("&gt;", out); break;
	default: fwrite(bytes, 1, n, out); break;
	}
}

static size_t count_characters(const char *bytes, size_t len)
{
	size_t count = 0;
	uint32_t code;
	int printable;

	while (len > 0u) {
		size_t n = qcow2_character(bytes, len, &code, &printable);

		bytes += n;
		len -= n;
		count++;
	}
	return count;
}

void svg_escape(FILE *out, const char *bytes, size_t len, size_t most)
{
	size_t i, count = count_characters(bytes, len);

	for (i = 0; len > 0u; i++) {
		uint32_t code;
		int printable;
		size_t n = qcow2_character(bytes, len, &code, &printable);

		if (count <= most || i < most / 2u || count - i < most / 2u)
			escape_character(out, bytes, n, code, printable);
		else if (i == most / 2u)
			fputs("…", out);
		bytes += n;
		len -= n;
	}
}

void svg_number(FILE *out, double value)
{
	char text[32];
	size_t len = (size_t)snprintf(text, sizeof text, "%.4f", value);

	while (text[len - 1u] == '0')
		len--;
	if (text[len - 1u] == '.')
		len--;
	fwrite(text, 1, len, out);
}

void svg_label(FILE *out, double x, double y, const char *css, const char *anchor, const char *text)
{
	fputs("<text x=\"", out);
	svg_number(out, x);
	fputs("\" y=\"", out);
	svg_number(out, y);
	fprintf(out, "\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", css, anchor, text);
}

void svg_rectangle(FILE *out, double x, double y, double width, double height)
{
	const double numbers[] = { x, y, width, height, -width };
	static const char *const before[] = { "M", " ", "h", "v", "h" };
	size_t i;

	for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		fputs(before[i], out);
		svg_number(out, numbers[i]);
	}
	fputc('z', out);
}
