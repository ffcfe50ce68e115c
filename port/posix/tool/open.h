/* SPDX-License-Identifier: MIT */
/*
 * Opening the image that the command line names.
 */
#ifndef QCOW2_TOOL_OPEN_H
#define QCOW2_TOOL_OPEN_H

#include "args.h"

/* Opens the image as the arguments say. Returns NULL after a message. */
struct qcow2 *tool_open(const struct args *args);

/*
 * Opens the image to read its disk: the same, and a warning if another process has a file of the
 * chain open for writing.
 */
struct qcow2 *tool_open_disk(const struct args *args);

/* The same as tool_open, but without a message: qcow2_last_failure has the reason. */
struct qcow2 *tool_open_quietly(const struct args *args);

/* Prints the last failure of the library and the option that helps. Returns EXIT_FAILED. */
int tool_failed(const struct args *args);

/* The same, for a failure that another thread has met. */
int tool_failed_with(const struct args *args, const struct qcow2_failure *failure);

/* The size of a buffer for reading the disk: a whole cluster, but at least `least` bytes. */
size_t tool_buffer_size(struct qcow2 *q, size_t least);

#endif
