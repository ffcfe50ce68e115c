/* SPDX-License-Identifier: MIT */
/*
 * Decodes UTF-8 (RFC 3629). Every port that prints or opens the names in an image needs it.
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
