/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * How full an image is.
 */
#ifndef QCOW2_TOOL_USAGE_H
#define QCOW2_TOOL_USAGE_H

#include "../disk/past_end.h"

/* Bytes of the disk. What images below hold is not counted. */
struct usage {
	uint64_t scanned; /* the disk was counted up to here */
	uint64_t data;    /* the image holds data for it, compressed or not */
	uint64_t compressed;
	uint64_t zero;                                     /* the image says that it is zeros */
	uint64_t damaged;                                  /* what it holds is not known */
	char damage[sizeof qcow2_last_failure()->message]; /* the reason at the first such place */
	struct past_end past_end;                          /* what is odd in what was counted */
};

/*
 * Counts with one walk through the tables. Ends before the end of the disk after about a second,
 * unless `whole` is true. Returns false if the library failed for another reason than damage.
 */
bool usage_count(struct qcow2 *q, bool whole, struct usage *u);

#endif
