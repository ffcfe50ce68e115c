/* SPDX-License-Identifier: MIT */
/*
 * What the file system stores of a file, and its holes: ranges that it does not store, and that
 * read as zeros.
 */
#ifndef QCOW2_TOOL_HOLES_H
#define QCOW2_TOOL_HOLES_H

#include "tool.h"

/* Sets *bytes to what the file system stores for the file. Returns false if that is unknown. */
bool file_stored(int fd, uint64_t *bytes);

/*
 * Returns how many of the `len` bytes from offset on are all a hole or all data, and sets *hole
 * accordingly. If the file system cannot tell, everything is data.
 */
uint64_t hole_find(int fd, uint64_t offset, uint64_t len, bool *hole);

/*
 * Does the image at this depth have clusters that were allocated but never written, like those that
 * qemu-img makes with preallocation=metadata?
 */
bool is_preallocated(struct qcow2 *q, unsigned depth, const struct qcow2_info *info);

#endif
