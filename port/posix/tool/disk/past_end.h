/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Notices what is odd at the end of the image files, and warns of it once.
 */
#ifndef QCOW2_TOOL_PAST_END_H
#define QCOW2_TOOL_PAST_END_H

#include "../args.h"

/* What was found of one kind: how many bytes of the disk, and where the first of them is. */
struct oddity {
	uint64_t bytes;  /* 0: nothing was found */
	uint64_t offset; /* in the disk */
	uint64_t file_offset;
	int fd; /* of the file, which is open as long as the disk */
	unsigned depth;
};

/* The library opens no longer chain than this. */
enum { PAST_END_DEPTHS = 256 };

struct past_end {
	struct oddity cut;   /* data clusters in which the file ends: what a lost end looks like */
	struct oddity zeros; /* zero clusters with a place past the end: a damaged table, usually */
	bool is_known[PAST_END_DEPTHS];
	uint64_t end[PAST_END_DEPTHS]; /* of the image file, or of its data file; UINT64_MAX: raw */
	uint64_t zeros_end[PAST_END_DEPTHS]; /* from here on, QEMU puts no zero cluster */
};

void past_end_begin(struct past_end *p);

/* Looks at a segment of the disk. */
void past_end_look(struct past_end *p, struct qcow2 *q, const struct qcow2_segment *s);

/*
 * Looks at the segments in [from, to) of the disk. Leaves out what is damaged, and stops after a
 * number of steps that takes a moment at most.
 */
void past_end_walk(struct past_end *p, struct qcow2 *q, uint64_t from, uint64_t to);

/* Can a file of the chain end inside a cluster? Otherwise, past_end_walk finds no such thing. */
bool past_end_may_be_cut(struct qcow2 *q);

/*
 * Prints a warning for a data cluster in which a file ends, and one for zero clusters past it. With
 * --allow-truncated, the user knows.
 */
void past_end_warn_cut(const struct past_end *p, const struct args *args);
void past_end_warn_zeros(const struct past_end *p, const struct args *args);

#endif
