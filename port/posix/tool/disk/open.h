/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opening the image that the command line names.
 */
#ifndef QCOW2_TOOL_OPEN_H
#define QCOW2_TOOL_OPEN_H

#include "../args.h"

/* NO_FILE: the file cannot be opened. NO_SNAPSHOT: the image has no snapshot with the id or the
 * name that is wanted. DONE: qcow2_last_failure has the reason if there is no handle. */
enum open_result { OPEN_DONE, OPEN_NO_FILE, OPEN_NO_SNAPSHOT };

/* What became of opening an image. */
struct opening {
	struct qcow2 *q; /* NULL: it failed */
	enum open_result result;
	int error;                           /* an errno, of the file or of key_failed */
	const struct key_source *key_failed; /* whose password could not be read; NULL: none */
	bool has_key;                        /* a password was given to the library */
	bool has_line_end;                   /* the last one ends with a newline */
	bool aes_has_line_end;               /* so did one that nothing can prove wrong */
};

/* Opens the image as the arguments say. Returns NULL after a message. */
struct qcow2 *tool_open(const struct args *args);

/*
 * Opens the image to read its disk: the same, and a warning if another process has a file of the
 * chain open for writing.
 */
struct qcow2 *tool_open_disk(const struct args *args);

/*
 * Opens it without a message. tool_open_failed then says why that failed, if the library was not
 * called since, and returns EXIT_FAILED; tool_warn_of_key warns of a password that may be wrong.
 * The caller calls keys_check_used.
 */
void tool_try_open(const struct args *args, struct opening *o);
int tool_open_failed(const struct args *args, const struct opening *o);
void tool_warn_of_key(const struct args *args, const struct opening *o);

/* Prints the last failure of the library and the option that helps. Returns EXIT_FAILED. */
int tool_failed(const struct args *args);

/* The same, for a failure that another thread has met. */
int tool_failed_with(const struct args *args, const struct qcow2_failure *failure);

/* The size of a buffer for reading the disk: a whole cluster, but at least `least` bytes. */
size_t tool_buffer_size(struct qcow2 *q, size_t least);

#endif
