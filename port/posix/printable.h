/* SPDX-License-Identifier: MIT */
#ifndef QCOW2_POSIX_PRINTABLE_H
#define QCOW2_POSIX_PRINTABLE_H

#include "posix.h"

/* Room for a name in a message: long enough for most names, and three fit in a message. */
enum { QP_PRINTABLE = 256 };

/* qcow2_printable with this room. Returns buf. */
const char *qp_printable(char buf[QP_PRINTABLE], const char *bytes, size_t len);

/*
 * The number of bytes of the character at the start of bytes, 1 to 4; 0 if it must not be shown: it
 * is malformed, or it controls the terminal.
 */
size_t qp_utf8_len(const char *bytes, size_t len);

#endif
