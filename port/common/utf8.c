/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Decodes UTF-8 (RFC 3629), and knows which characters can be shown. Every port that prints or
 * opens the names in an image needs it.
 */
#include "utf8.h"

/* The smallest code point that needs a sequence of this many bytes. */
static const uint32_t utf8_least[5] = { 0, 0, 0x80, 0x800, 0x10000 };

/* The length of a sequence, by its first byte; 0 if no sequence starts with that byte. */
static size_t utf8_announced(unsigned char first)
{
	if (first < 0x80u)
		return 1;
	if (first >= 0xc2u && first <= 0xdfu)
		return 2;
	if (first >= 0xe0u && first <= 0xefu)
		return 3;
	return first >= 0xf0u && first <= 0xf4u ? 4 : 0;
}

size_t port_utf8_decode(const char *bytes, size_t len, uint32_t *code)
{
	const unsigned char *p = (const unsigned char *)bytes;
	size_t n = len != 0u ? utf8_announced(p[0]) : 0u;
	uint32_t c;
	size_t i;

	if (n == 0u || n > len)
		return 0;
	c = n == 1u ? p[0] : p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0u) != 0x80u)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	/* Longer than necessary, outside Unicode, or half of a surrogate pair. */
	if (c < utf8_least[n] || c > 0x10ffffu || (c >= 0xd800u && c <= 0xdfffu))
		return 0;
	*code = c;
	return n;
}

/*
 * By their properties in the Unicode Character Database, version 15.1: general category Cc, Cf, Cs,
 * Zl or Zp, Default_Ignorable_Code_Point, or Noncharacter_Code_Point. The last two of each plane
 * are not in the table.
 */
static const struct {
	uint32_t first, last;
} hidden[] = {
	{ 0x0, 0x1f },        { 0x7f, 0x9f },       { 0xad, 0xad },       { 0x34f, 0x34f },
	{ 0x600, 0x605 },     { 0x61c, 0x61c },     { 0x6dd, 0x6dd },     { 0x70f, 0x70f },
	{ 0x890, 0x891 },     { 0x8e2, 0x8e2 },     { 0x115f, 0x1160 },   { 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f },   { 0x200b, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },
	{ 0x3164, 0x3164 },   { 0xd800, 0xdfff },   { 0xfdd0, 0xfdef },   { 0xfe00, 0xfe0f },
	{ 0xfeff, 0xfeff },   { 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },   { 0x110bd, 0x110bd },
	{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a },
	{ 0xe0000, 0xe0fff },
};

int port_utf8_is_shown(uint32_t code)
{
	size_t i;

	if (code > 0x10ffffu || (code & 0xfffeu) == 0xfffeu)
		return 0;
	for (i = 0; i < sizeof hidden / sizeof hidden[0] && code >= hidden[i].first; i++)
		if (code <= hidden[i].last)
			return 0;
	return 1;
}
