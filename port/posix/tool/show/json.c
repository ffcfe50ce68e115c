/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A JSON writer, indented as qemu-img does it.
 */
#include "json.h"

#include <inttypes.h>
#include <string.h>

/* JSON has four digits for a character; one with more than 16 bits becomes a surrogate pair. */
static void json_escaped(FILE *out, uint32_t c)
{
	if (c == '"' || c == '\\')
		fprintf(out, "\\%c", (int)c);
	else if (c == '\n')
		fputs("\\n", out);
	else if (c == '\t')
		fputs("\\t", out);
	else if (c <= 0xffffu)
		fprintf(out, "\\u%04x", (unsigned)c);
	else
		fprintf(out, "\\u%04x\\u%04x", 0xd7c0u + (unsigned)(c >> 10),
		        0xdc00u + (unsigned)(c & 0x3ffu));
}

void json_quoted(FILE *out, const char *bytes, size_t len)
{
	fputc('"', out);
	while (len > 0u) {
		uint32_t c;
		int printable;
		size_t n = qcow2_character(bytes, len, &c, &printable);

		if (!printable || c == '"' || c == '\\')
			json_escaped(out, c);
		else
			fwrite(bytes, 1, n, out);
		bytes += n;
		len -= n;
	}
	fputc('"', out);
}

/* Prints what comes before a value: comma, new line, indent, key. */
static void json_item(struct json *j, const char *key)
{
	if (!j->first)
		fputc(',', j->out);
	if (j->depth > 0)
		fprintf(j->out, "\n%*s", 4 * j->depth, "");
	j->first = false;
	if (key != NULL) {
		json_quoted(j->out, key, strlen(key));
		fputs(": ", j->out);
	}
}

void json_begin(struct json *j, const char *key, char bracket)
{
	json_item(j, key);
	fputc(bracket, j->out);
	j->depth++;
	j->first = true;
}

void json_end(struct json *j, char bracket)
{
	j->depth--;
	if (!j->first)
		fprintf(j->out, "\n%*s", 4 * j->depth, "");
	fputc(bracket, j->out);
	j->first = false;
	if (j->depth == 0)
		fputc('\n', j->out);
}

void json_string(struct json *j, const char *key, const char *bytes, size_t len)
{
	json_item(j, key);
	json_quoted(j->out, bytes, len);
}

void json_text(struct json *j, const char *key, const char *text)
{
	json_string(j, key, text, strlen(text));
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	json_item(j, key);
	fprintf(j->out, "%" PRIu64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	json_item(j, key);
	fputs(value ? "true" : "false", j->out);
}
