/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The output of convert and of map --svg: a new file that gets its name when it is complete, or a
 * file, a device or a descriptor that is written in place.
 */
#ifndef QCOW2_TOOL_OUTPUT_H
#define QCOW2_TOOL_OUTPUT_H

#include "../args.h"

struct output {
	const char *name; /* as the user gave it, or "standard output", for messages */
	const struct args *args;
	uint64_t size;  /* of the disk */
	int fd;         /* what is written, or -1 if it is not open */
	char *target;   /* the file that is created or replaced, or NULL */
	char *temp;     /* the file that is written beside it, or NULL */
	char *notice;   /* what a signal says about an output that is written in place, or NULL */
	uint64_t base;  /* where the disk begins in fd */
	bool replaces;  /* target exists */
	bool is_device; /* a block device */
	bool is_text;   /* not a disk: its length is not known before */
	bool is_stream; /* must be written in order, by stream_write */
	bool is_overwritten; /* its old content is lost, and the new one is not complete */
	bool is_own;         /* opened by its name: not a descriptor of the caller */
	bool reads_zero;     /* what is not written reads as zeros */
};

/*
 * output_begin finds out where the disk of q goes, opens that and prepares it; q's own files are
 * refused. output_begin_text does the same for text that is written to fd in order. output_commit
 * completes either. Each returns EXIT_OK, or EXIT_FAILED after a message.
 */
int output_begin(struct output *o, const struct args *args, struct qcow2 *q);
int output_begin_text(struct output *o, const char *name, const struct args *args, struct qcow2 *q);
int output_commit(struct output *o);

/* The file beside which output_commit and output_end rename or remove one; NULL: neither. */
const char *output_beside(const struct output *o);

/* Prints why writing failed, and what that means for the file. Returns EXIT_FAILED. */
int output_failed(const struct output *o, int error);

/* Writes zeros at an offset of the disk. Returns false with errno set on failure. */
bool output_write_zeros(const struct output *o, uint64_t at, uint64_t len);

/*
 * Unless the output is committed, removes the file that was written beside, or says that what was
 * written in place is not complete. Frees the names. Always call it.
 */
void output_end(struct output *o);

#endif
