/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which parts of the disk the bitmaps of --bitmap mark as dirty.
 */
#ifndef QCOW2_TOOL_MARKS_H
#define QCOW2_TOOL_MARKS_H

#include "../args.h"

/* Starts as all zeros; then there are no bitmaps, and all of the disk counts as dirty. */
struct marks {
	struct qcow2 *q;
	struct qcow2_bitmap_set *set;   /* NULL: no bitmaps */
	struct qcow2_dirty_range range; /* the last answer of the library */
};

/*
 * Finds the bitmaps that the command line names, if any. Returns EXIT_OK, or EXIT_FAILED after a
 * message. The caller calls marks_end in both cases.
 */
int marks_begin(struct marks *m, const struct args *args, struct qcow2 *q);
void marks_end(struct marks *m);

/*
 * Is the disk dirty at `off`? It is if m is NULL. Shortens *len, which is not 0, to how far that is
 * so. Returns false if the library failed.
 */
bool marks_find(struct marks *m, uint64_t off, uint64_t *len, bool *dirty);

#endif
