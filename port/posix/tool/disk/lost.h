/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The list of the ranges of a disk that are lost: collected, printed, and written as JSON.
 */
#ifndef QCOW2_TOOL_LOST_H
#define QCOW2_TOOL_LOST_H

#include "../show/json.h"

/* A range for one reason: its status and depth are those of qcow2_failure. */
struct lost_range {
	uint64_t off;
	uint64_t len;
	int status;
	unsigned depth;
	char *reason; /* printable, from malloc; NULL if there was no memory for it */
};

struct lost {
	const char *image;         /* its name, for the messages and the report */
	struct lost_range *ranges; /* in order, none adjacent to one for the same reason */
	size_t n;
	uint64_t written; /* ranges that have been printed and removed from the list */
	uint64_t bytes;   /* in those */

	FILE *report;     /* NULL if none is wanted */
	struct json json; /* writes the report */
	off_t end;        /* of what stays in the report; what completes it follows */
	bool may_seek;
};

/*
 * Starts a list. report is opened already, or NULL; the list closes it. Returns EXIT_OK, or
 * EXIT_FAILED after a message.
 */
int lost_begin(struct lost *lost, const char *image, FILE *report);

/*
 * Adds a range with the library's last failure as its reason. The list keeps a few thousand ranges
 * to sort and merge them. If there are more, it prints the first half of them.
 */
void lost_add(struct lost *lost, uint64_t off, uint64_t len);

/*
 * Prints the rest of the list and completes the report. complete: the command came to its end.
 * Returns EXIT_OK, or EXIT_FAILED after a message if the report cannot be written. Frees the list.
 */
int lost_end(struct lost *lost, bool complete, const char *report_name);

#endif
