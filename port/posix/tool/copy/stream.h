/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Writes a disk in order: to a pipe, or to whatever standard output is.
 */
#ifndef QCOW2_TOOL_STREAM_H
#define QCOW2_TOOL_STREAM_H

#include "../disk/marks.h"
#include "../disk/salvage.h"
#include "../show/progress.h"

struct stream {
	const struct args *args;
	struct qcow2 *q;
	struct salvage *salvage; /* NULL without --salvage */
	struct marks marks;      /* what they mark as clean is left out */
	int fd;                  /* what is written; place.c has checked it */
	const char *name;        /* of fd, for messages */
	uint64_t from, end;      /* the range of the disk */

	/* Private to stream.c. */
	struct progress progress;
	bool to_pipe;
	char *buf;
	size_t room;
};

/*
 * Writes the range of the disk. Returns EXIT_OK, or EXIT_FAILED after a message; there is none if
 * the reader of a pipe has gone away.
 */
int stream_write(struct stream *s);

#endif
