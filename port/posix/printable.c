/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Untrusted text in printable form.
 */
#include "printable.h"

#include <stdio.h>
#include <string.h>

#include "../common/utf8.h"
#include "posix.h"

/* U+FFFD "replacement character": stands for a byte that is not part of a character. */
#define NO_CHARACTER UINT32_C(0xfffd)

/* "\xNN" and a NUL. */
enum { ESCAPE_ROOM = 5 };

size_t qcow2_character(const char *bytes, size_t len, uint32_t *code, int *printable)
{
	size_t n = port_utf8_decode(bytes, len, code);

	if (n == 0u)
		*code = NO_CHARACTER;
	*printable = n != 0u && port_utf8_is_shown(*code);
	return n != 0u ? n : 1u;
}

size_t qcow2_printable(char *buf, size_t room, const char *bytes, size_t len)
{
	size_t total = 0, end = 0; /* of the text, and of what fits */

	while (len > 0u) {
		char escape[ESCAPE_ROOM];
		const char *shown = bytes;
		uint32_t code;
		int printable;
		size_t n = qcow2_character(bytes, len, &code, &printable);
		size_t shown_len = n;

		/* A character that must not be shown is escaped byte by byte. */
		if (!printable) {
			n = 1;
			shown = escape;
			shown_len = (size_t)snprintf(escape, sizeof escape, "\\x%02x",
			                             (unsigned char)*bytes);
		}
		/* Once something did not fit, nothing after it is copied. */
		if (end == total && shown_len < room - end) {
			memcpy(buf + end, shown, shown_len);
			end += shown_len;
		}
		total += shown_len;
		bytes += n;
		len -= n;
	}
	if (room != 0u)
		buf[end] = '\0';
	return total;
}

const char *qp_printable(char buf[QP_PRINTABLE], const char *bytes, size_t len)
{
	qcow2_printable(buf, QP_PRINTABLE, bytes, len);
	return buf;
}
