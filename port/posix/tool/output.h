/* SPDX-License-Identifier: MIT */
/*
 * An output file that appears under its name only when it is complete.
 */
#ifndef QCOW2_TOOL_OUTPUT_H
#define QCOW2_TOOL_OUTPUT_H

#include "tool.h"

struct output {
	const char *name; /* as the user gave it, for messages */
	char *target;     /* the file that is created or replaced */
	char *temp;       /* the file that is written, or NULL */
	int fd;           /* of temp, or -1 if it is not open */
	bool replaces;    /* target exists */
};

/*
 * output_begin creates the temporary file; q is the image that is read, which must not be replaced.
 * output_commit gives the file its name. Each returns EXIT_OK, or EXIT_FAILED after a message.
 */
int output_begin(struct output *o, const char *name, struct qcow2 *q);
int output_commit(struct output *o);

/* Removes the temporary file unless it is committed, and frees the names. Always call it. */
void output_end(struct output *o);

#endif
