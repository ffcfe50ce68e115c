/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Numbers of bytes on the command line.
 */
#include "size.h"

#include <string.h>
#include <strings.h>

/* 10 to this power fits in 64 bits, as does every number of that many digits. */
enum { FRACTION_DIGITS_MAX = 18 };

/* The value of a digit, or base if the character is none. */
static unsigned digit_value(char c, unsigned base)
{
	unsigned value = base;

	if (c >= '0' && c <= '9')
		value = (unsigned)(c - '0');
	else if (c >= 'a' && c <= 'f')
		value = (unsigned)(c - 'a') + 10u;
	else if (c >= 'A' && c <= 'F')
		value = (unsigned)(c - 'A') + 10u;
	return value < base ? value : base;
}

/* Reads at least one digit, and goes to the first character that is none. */
static bool parse_digits(const char **text, unsigned base, uint64_t *value)
{
	const char *start = *text;
	uint64_t n = 0;
	unsigned digit;

	for (; (digit = digit_value(**text, base)) < base; ++*text) {
		if (n > (UINT64_MAX - digit) / base)
			return false;
		n = n * base + digit;
	}
	*value = n;
	return *text != start;
}

/* Reads a unit to the end of the text. */
static bool parse_unit(const char *text, unsigned *shift)
{
	static const char units[] = "bkmgtpe";
	const char *unit;

	*shift = 0;
	if (*text == '\0')
		return true;
	unit = strchr(units, *text | 0x20);
	if (unit == NULL || *unit == '\0')
		return false;
	*shift = 10u * (unsigned)(unit - units);
	return text[1] == '\0' || (*shift > 0u && strcasecmp(text + 1, "ib") == 0);
}

/*
 * Reads the digits after the point: *fraction becomes their value, and *n_digits their number
 * without zeros at the end.
 */
static bool parse_fraction(const char **text, uint64_t *fraction, unsigned *n_digits)
{
	const char *start = *text;

	if (!parse_digits(text, 10, fraction) || *text - start > FRACTION_DIGITS_MAX)
		return false;
	*n_digits = (unsigned)(*text - start);
	return true;
}

/*
 * Turns fraction / 10^n_digits of a unit of 2^shift bytes into bytes. Fails if that is not a whole
 * number. 10^n is 2^n times 5^n, and each factor must divide the product.
 */
static bool fraction_bytes(uint64_t fraction, unsigned n_digits, unsigned shift, uint64_t *bytes)
{
	unsigned i;

	for (i = 0; i < n_digits; i++) {
		if (fraction % 5u != 0u)
			return false;
		fraction /= 5u;
	}
	/* Now fraction < 2^n_digits, so that the result is less than 2^shift. */
	for (; n_digits > shift; n_digits--) {
		if (fraction % 2u != 0u)
			return false;
		fraction /= 2u;
	}
	*bytes = fraction << (shift - n_digits);
	return true;
}

bool size_parse(const char *text, uint64_t *value)
{
	uint64_t whole, fraction = 0, bytes;
	unsigned shift, n_digits = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		text += 2;
		if (!parse_digits(&text, 16, &whole) || *text != '\0')
			return false;
		*value = whole;
		return true;
	}
	if (!parse_digits(&text, 10, &whole))
		return false;
	if (*text == '.') {
		text++;
		if (!parse_fraction(&text, &fraction, &n_digits))
			return false;
	}
	if (!parse_unit(text, &shift) || whole > UINT64_MAX >> shift)
		return false;
	if (!fraction_bytes(fraction, n_digits, shift, &bytes))
		return false;
	*value = (whole << shift) + bytes; /* bytes is less than the unit, so this does not wrap */
	return true;
}
