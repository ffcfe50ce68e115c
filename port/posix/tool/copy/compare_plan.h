/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which parts of two disks must be read to compare them: those where at least one of them has data,
 * in ascending order. What both maps call zero is left out, and so are holes in the files.
 */
#ifndef QCOW2_TOOL_COMPARE_PLAN_H
#define QCOW2_TOOL_COMPARE_PLAN_H

#include "copy_plan.h"

/* A disk: its plan, and the piece of data that comes next in it. Private to compare_plan.c. */
struct compare_side {
	struct copy_plan plan;
	struct copy_piece piece; /* what is left of it; of length 0 if there is no more data */
	bool is_cut;             /* the library failed at plan.at */
};

struct compare_plan {
	struct compare_side side[2];
	size_t room;
	uint64_t at; /* the comparison is planned up to this offset */
};

struct compare_piece {
	uint64_t off;
	size_t len;
	bool has_data[2]; /* the other disk reads as zeros there, or has ended */
	bool compressed;  /* at least a part of it */
};

/* End the plan with compare_plan_end. */
void compare_plan_begin(struct compare_plan *p, struct qcow2 *const q[2], size_t room);
void compare_plan_end(struct compare_plan *p);

/*
 * Gets the next piece, which ends at the next multiple of room or earlier. Returns 1, or 0 at the
 * end of the longer disk. If the library fails, returns -1: qcow2_last_failure belongs to the disk
 * *failed, and p->at is where that disk is not known. Pieces before the failure come first.
 */
int compare_plan_next(struct compare_plan *p, struct compare_piece *piece, unsigned *failed);

#endif
