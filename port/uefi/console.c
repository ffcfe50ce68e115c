/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Messages on the firmware's console.
 */
#include "uefi.h"

#include <stdarg.h>

#include "../common/utf8.h"

EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *qu_console;

/* Output is collected, because on some consoles every call is slow. */
struct line {
	CHAR16 text[128];
	unsigned len;
};

static void flush(struct line *line)
{
	line->text[line->len] = 0;
	if (line->len > 0u)
		(void)qu_console->OutputString(qu_console, line->text);
	line->len = 0;
}

static void put(struct line *line, uint16_t c)
{
	if (line->len + 1u >= sizeof line->text / sizeof line->text[0])
		flush(line);
	line->text[line->len++] = c;
}

/* Replaces control characters and the like: a name in an image must not control the terminal. */
static void put_shown(struct line *line, uint16_t c)
{
	put(line, port_utf8_is_shown(c) ? c : '?');
}

/*
 * Long division in pieces of 16 bits: on 32-bit processors a 64-bit division is a call into the
 * compiler's library, which is not linked.
 */
static uint64_t divide_by_10(uint64_t value, uint32_t *rest)
{
	uint64_t quotient = 0;
	unsigned shift = 64;

	*rest = 0;
	do {
		uint32_t piece;

		shift -= 16u;
		piece = *rest << 16 | ((uint32_t)(value >> shift) & 0xffffu);
		quotient = quotient << 16 | piece / 10u;
		*rest = piece % 10u;
	} while (shift > 0u);
	return quotient;
}

const char *qu_decimal(char text[QU_DECIMAL_MAX], uint64_t value)
{
	char *at = &text[QU_DECIMAL_MAX - 1];

	*at = '\0';
	do {
		uint32_t digit;

		value = divide_by_10(value, &digit);
		*--at = (char)('0' + digit);
	} while (value != 0u);
	return at;
}

static void put_decimal(struct line *line, uint64_t value)
{
	char text[QU_DECIMAL_MAX];
	const char *digit;

	for (digit = qu_decimal(text, value); *digit != '\0'; digit++)
		put(line, (unsigned char)*digit);
}

static void put_hex(struct line *line, uint64_t value)
{
	unsigned shift = 60;

	while (shift > 0u && value >> shift == 0u)
		shift -= 4u;
	for (;; shift -= 4u) {
		put(line, (uint16_t)(unsigned char)"0123456789abcdef"[(value >> shift) & 15u]);
		if (shift == 0u)
			break;
	}
}

static void put_argument(struct line *line, char kind, va_list *args)
{
	const uint16_t *wide;
	const char *bytes;

	switch (kind) {
	case 's':
		for (bytes = va_arg(*args, const char *); *bytes != '\0'; bytes++)
			put_shown(line, (unsigned char)*bytes);
		break;
	case 'w':
		for (wide = va_arg(*args, const uint16_t *); *wide != 0u; wide++)
			put_shown(line, *wide);
		break;
	case 'u': put_decimal(line, va_arg(*args, unsigned)); break;
	case 'U': put_decimal(line, va_arg(*args, uint64_t)); break;
	case 'x': put_hex(line, va_arg(*args, uint64_t)); break;
	default: put(line, '?'); break;
	}
}

void qu_say(const char *format, ...)
{
	struct line line;
	va_list args;

	line.len = 0;
	va_start(args, format);
	for (; *format != '\0'; format++) {
		if (*format == '%') {
			format++;
			put_argument(&line, *format, &args);
			continue;
		}
		if (*format == '\n')
			put(&line, '\r');
		put(&line, (unsigned char)*format);
	}
	va_end(args);
	flush(&line);
}

/* The numbers are those of the UEFI specification, appendix D "Status Codes". */
const char *qu_efi_text(EFI_STATUS status)
{
	switch (status & ~EFI_ERROR_BIT) {
	case 0: return "no error";
	case 1: return "load error";
	case 2: return "invalid parameter";
	case 3: return "unsupported";
	case 5: return "buffer too small";
	case 7: return "device error";
	case 9: return "out of memory";
	case 10: return "corrupt file system";
	case 12: return "no medium";
	case 13: return "the medium was changed";
	case 14: return "not found";
	case 15: return "access denied";
	case 18: return "timeout";
	case 20: return "already started";
	case 21: return "aborted";
	case 26: return "security violation";
	default: return "unknown firmware error";
	}
}
