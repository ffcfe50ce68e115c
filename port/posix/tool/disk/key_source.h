/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A file or a descriptor that has a password, and its bytes once they have been read. A pipe gives
 * them only once, but several images may need them.
 */
#ifndef QCOW2_TOOL_KEY_SOURCE_H
#define QCOW2_TOOL_KEY_SOURCE_H

#include "../tool.h"

/* The largest depth of an image in a chain. */
enum { KEY_DEPTH_MAX = 255 };

struct key_source {
	const char *file; /* NULL: in fd */
	int fd;
	bool has_depth; /* for the image at this depth; otherwise for all that have none of their
	                   own */
	unsigned depth;
	bool is_asked;           /* an image needs it */
	struct key_source *same; /* an earlier one with the same file or descriptor, or NULL */
	bool is_read;
	bool is_closed; /* fd is */
	char *bytes;    /* used as they are */
	size_t len;
	size_t room;
};

/* Do both name the same file, or the same descriptor? */
bool key_source_is_same(const struct key_source *a, const struct key_source *b);

/*
 * Reads the password, unless that is done, and closes the descriptor if it is not a standard one:
 * an attacker that takes over the process later must not find it. Returns the source that has the
 * bytes, or NULL with errno set.
 */
const struct key_source *key_source_read(struct key_source *source);

/* Closes the descriptor, unless that is done, without reading it. */
void key_source_close(struct key_source *source);

/* Says that the password could not be read, or that no image needs it. Both return EXIT_FAILED. */
int key_source_failed(const struct key_source *source, int error);
int key_source_unused(const struct key_source *source);

/* Wipes the password. */
void key_source_wipe(struct key_source *source);

#endif
