/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Going on after damage.
 */
#ifndef QCOW2_TOOL_DAMAGE_H
#define QCOW2_TOOL_DAMAGE_H

#include "../tool.h"

/* Is the last failure about a part of the disk, so that a command can go on after it? */
bool damage_is_local(void);

/*
 * Maps up to `len` bytes of the disk from `at` on, as qcow2_map does, but also where it is damaged:
 * then *damaged is true, and *segment has only a start and a length, which can be read as nothing.
 * The library's last failure has the reason. Returns 1, 0 at the end of the disk, or -1 after a
 * failure that is not about a part of the disk.
 */
int damage_map(struct qcow2 *q, uint64_t at, uint64_t len, struct qcow2_segment *segment,
               bool *damaged);

#endif
