/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef QCOW2_POSIX_PRINTABLE_H
#define QCOW2_POSIX_PRINTABLE_H

#include "posix.h"

/* Room for a name in a message: long enough for most names, and three fit in a message. */
enum { QP_PRINTABLE = 256 };

/* qcow2_printable with this room. Returns buf. */
const char *qp_printable(char buf[QP_PRINTABLE], const char *bytes, size_t len);

#endif
