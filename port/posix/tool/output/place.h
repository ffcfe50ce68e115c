/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Where an output goes: what its name means, and whether it is written beside or in place.
 */
#ifndef QCOW2_TOOL_PLACE_H
#define QCOW2_TOOL_PLACE_H

#include "output.h"

/*
 * Opens what o->name means: "-", /dev/stdout and /dev/fd/N are descriptors of the caller, devices
 * and pipes are written as they are, and a file is created or replaced. Nothing is lost by this
 * call. Returns EXIT_OK, or EXIT_FAILED after a message.
 */
int place_find(struct output *o, struct qcow2 *q);

/*
 * May `len` bytes of the disk be written to the caller's descriptor fd, in order? Refuses q's own
 * files, a device that is too short and, without force, a terminal. Returns EXIT_OK, or EXIT_FAILED
 * after a message.
 */
int place_check_stream(const char *name, int fd, struct qcow2 *q, bool force, uint64_t len);

#endif
