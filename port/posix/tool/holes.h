/* SPDX-License-Identifier: MIT */
/*
 * What the file system stores of a file, and its holes: ranges that it does not store, and that
 * read as zeros.
 */
#ifndef QCOW2_TOOL_HOLES_H
#define QCOW2_TOOL_HOLES_H

#include "tool.h"

/* How many bytes does the file system store for the file? False: it does not tell. */
bool file_stored(int fd, uint64_t *bytes);

/*
 * How many of the `len` bytes from offset on are all hole, or all not? *hole says which. Everything
 * is data where the file system cannot tell.
 */
uint64_t hole_find(int fd, uint64_t offset, uint64_t len, bool *hole);

/*
 * Has the image at this depth clusters that were allocated but never written, as those that
 * qemu-img makes with preallocation=metadata?
 */
bool is_preallocated(struct qcow2 *q, unsigned depth, const struct qcow2_info *info);

#endif
