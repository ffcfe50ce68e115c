/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which parts of a disk must be copied: its data, in ascending order, in pieces that are read at
 * once. Zeros can be left out, and so can holes in the file that the data is in.
 */
#ifndef QCOW2_TOOL_COPY_PLAN_H
#define QCOW2_TOOL_COPY_PLAN_H

#include "../disk/holes.h"
#include "../disk/marks.h"
#include "../disk/past_end.h"
#include "../disk/salvage.h"

/* Private to copy_plan.c, except for `at`. */
struct copy_plan {
	struct qcow2 *q;
	struct salvage *salvage; /* notes what cannot be mapped, and the plan goes on; or NULL */
	struct marks *marks;     /* what they mark as clean is left out; or NULL */
	bool zeros;              /* pieces of zeros are not left out */
	uint64_t at;             /* the plan is done up to this offset of the disk */
	struct qcow2_segment segment; /* the rest of the current one, which begins at `at` */
	struct hole_cache holes;
	struct past_end past_end; /* what is odd in what was planned so far; public */
};

struct copy_piece {
	uint64_t off;
	size_t len;
	bool zeros;      /* all of it: nothing must be read */
	bool compressed; /* at least a part of it */
};

/*
 * `zeros`: the output does not read as zeros where nothing is written. End the plan with
 * copy_plan_end.
 */
void copy_plan_begin(struct copy_plan *p, struct qcow2 *q, struct salvage *salvage,
                     struct marks *marks, bool zeros);
void copy_plan_end(struct copy_plan *p);

/*
 * Gets the next piece. Unless it is zeros, it ends at the next multiple of room or earlier. Returns
 * 1, 0 at the end of the disk, or -1 if the library failed; pieces before the failure come first.
 * With a salvage, parts that cannot be mapped are like zeros.
 */
int copy_plan_next(struct copy_plan *p, size_t room, struct copy_piece *piece);

#endif
