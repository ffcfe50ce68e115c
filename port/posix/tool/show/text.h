/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints text and sizes for people to read.
 */
#ifndef QCOW2_TOOL_TEXT_H
#define QCOW2_TOOL_TEXT_H

#include "../tool.h"

/* Prints untrusted text. Bytes that are not part of a printable character become \xNN. */
void text_print(FILE *out, const char *bytes, size_t len);

/* Room for the longest size, "0.977 EiB", and its terminator. */
enum { TEXT_SIZE_MAX = 16 };

/* Writes a number of bytes with three digits and a unit: "1.5 GiB". Returns text. */
const char *text_size(char text[TEXT_SIZE_MAX], uint64_t bytes);

/* Prints a number of bytes in the same way. */
void text_print_size(FILE *out, uint64_t bytes);

/* Prints a number of bytes in a column: in the same way if human, else with all digits. */
void text_print_bytes(uint64_t bytes, bool human, int width);

/* Writes a part of a whole as a percentage: "12.5 %". Returns text. */
const char *text_share(char text[TEXT_SIZE_MAX], uint64_t part, uint64_t whole);

#endif
