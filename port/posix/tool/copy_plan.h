/* SPDX-License-Identifier: MIT */
/*
 * Which parts of a disk must be copied: its data, in ascending order, in pieces that are read at
 * once. Zeros can be left out, and so can holes in the file that the data is in.
 */
#ifndef QCOW2_TOOL_COPY_PLAN_H
#define QCOW2_TOOL_COPY_PLAN_H

#include "tool.h"

/* What lseek(2) found: `len` bytes of the file `fd`, from `from` on, are all a hole or all data. */
struct hole_memo {
	int fd;
	uint64_t from;
	uint64_t len; /* 0 if nothing is known */
	bool is_hole;
};

/* Private to copy_plan.c, except for `at`. */
struct copy_plan {
	struct qcow2 *q;
	bool zeros;                   /* pieces of zeros are not left out */
	uint64_t at;                  /* the plan is done up to this offset of the disk */
	struct qcow2_segment segment; /* the rest of the current one, which begins at `at` */
	struct hole_memo memo;
};

struct copy_piece {
	uint64_t off;
	size_t len;
	bool zeros;      /* all of it: nothing must be read */
	bool compressed; /* at least a part of it */
};

/* `zeros`: the output does not read as zeros where nothing is written. */
void copy_plan_begin(struct copy_plan *p, struct qcow2 *q, bool zeros);

/*
 * Gets the next piece. It ends at the next multiple of room or earlier,
 * unless it is zeros. Returns 1, 0 at the end of
 * the disk, or -1 if the library failed; pieces before the failure come first.
 */
int copy_plan_next(struct copy_plan *p, size_t room, struct copy_piece *piece);

#endif
