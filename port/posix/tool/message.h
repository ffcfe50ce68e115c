/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints messages on standard error, and closes standard output.
 *
 * A message is one line: what is wrong, in lower case and without a full stop, then what to do.
 * tests/conform/messages.txt lists all of them.
 */
#ifndef QCOW2_TOOL_MESSAGE_H
#define QCOW2_TOOL_MESSAGE_H

#include "tool.h"

/* Prints "qcow2: SUBJECT: MESSAGE". Returns EXIT_FAILED, so that a caller can return this. */
int tool_error(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Flushes and closes standard output. Returns EXIT_OK, or EXIT_FAILED after a message if this or an
 * earlier write failed; there is no message if the reader of a pipe has gone away.
 */
int tool_finish_stdout(void);

#endif
