/* SPDX-License-Identifier: MIT */
/*
 * Prints text and sizes for people to read.
 */
#ifndef QCOW2_TOOL_TEXT_H
#define QCOW2_TOOL_TEXT_H

#include "tool.h"

/* Prints untrusted text. Bytes that are not part of a printable character become \xNN. */
void text_print(FILE *out, const char *bytes, size_t len);

/* Room for the longest size, "0.977 EiB", and its terminator. */
enum { TEXT_SIZE_MAX = 16 };

/* Writes a number of bytes with three digits and a unit: "1.5 GiB". Returns text. */
const char *text_size(char text[TEXT_SIZE_MAX], uint64_t bytes);

/* Prints a number of bytes in the same way. */
void text_print_size(FILE *out, uint64_t bytes);

#endif
