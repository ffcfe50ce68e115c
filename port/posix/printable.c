/* SPDX-License-Identifier: MIT */
/*
 * Decides which characters of an image's text may be shown.
 */
#include "printable.h"

#include "../common/utf8.h"

size_t qp_utf8_len(const char *bytes, size_t len)
{
	uint32_t c;
	size_t n = port_utf8_decode(bytes, len, &c);

	/* Control characters, and what makes text lie: line and direction marks. */
	if (n == 0u || c < 0x20u || (c >= 0x7fu && c < 0xa0u) || (c >= 0x2028u && c <= 0x202eu) ||
	    (c >= 0x2066u && c <= 0x2069u))
		return 0;
	return n;
}
