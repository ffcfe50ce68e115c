/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Numbers of bytes on the command line.
 */
#ifndef QCOW2_TOOL_SIZE_H
#define QCOW2_TOOL_SIZE_H

#include "tool.h"

/* What size_parse accepts, for messages. */
#define SIZE_EXPECTED "a number of bytes such as 4096, 64K, 64KiB or 1.5M"

/*
 * Reads a number of bytes: decimal digits, a fraction if the result is a whole number of bytes, and
 * a unit: B, or one of K, M, G, T, P and E for powers of 1024, with or without "iB" after it, in
 * upper or lower case. Without a unit the number may also be hexadecimal, after "0x".
 *
 * Returns false and leaves *value alone if the text is anything else or the number is too large.
 */
bool size_parse(const char *text, uint64_t *value);

#endif
