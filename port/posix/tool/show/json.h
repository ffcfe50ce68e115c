/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A JSON writer that keeps no tree: each call prints one thing. Members of an object have a key;
 * elements of an array, and the outermost value, have the key NULL.
 *
 * Strings are untrusted. Well-formed UTF-8 stays as it is, with control characters escaped; each
 * other byte becomes U+FFFD, as in qemu-img.
 */
#ifndef QCOW2_TOOL_JSON_H
#define QCOW2_TOOL_JSON_H

#include "../tool.h"

struct json {
	FILE *out;
	int depth;
	bool first; /* nothing is printed in the innermost brackets yet */
};

/* A writer starts as { out, 0, true }. bracket: '{' and '}', or '[' and ']'. */
void json_begin(struct json *j, const char *key, char bracket);
void json_end(struct json *j, char bracket);
void json_string(struct json *j, const char *key, const char *bytes, size_t len);
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);

/* Prints a string alone, in quotes, for a caller that prints the brackets and keys itself. */
void json_quoted(FILE *out, const char *bytes, size_t len);

#endif
