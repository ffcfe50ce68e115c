/* SPDX-License-Identifier: MIT */
/*
 * Writes a disk in order: to a pipe, or to whatever standard output is.
 */
#ifndef QCOW2_TOOL_STREAM_H
#define QCOW2_TOOL_STREAM_H

#include "args.h"

/*
 * Writes the bytes [at, end) of the disk to fd, which `name` names in messages. Refuses q's own
 * files, a terminal without --force, and a device that is too short. Returns EXIT_OK, or
 * EXIT_FAILED after a message; there is none if the reader of a pipe has gone away.
 */
int stream_write(const struct args *args, struct qcow2 *q, int fd, const char *name, uint64_t at,
                 uint64_t end);

#endif
