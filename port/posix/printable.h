/* SPDX-License-Identifier: MIT */
#ifndef QCOW2_POSIX_PRINTABLE_H
#define QCOW2_POSIX_PRINTABLE_H

#include <stddef.h>

/*
 * The number of bytes of the character at the start of bytes, 1 to 4; 0 if it must not be shown: it
 * is malformed, or it controls the terminal.
 */
size_t qp_utf8_len(const char *bytes, size_t len);

#endif
