/* SPDX-License-Identifier: MIT */
/*
 * The passwords of encrypted images: from the files and descriptors that the command line names, or
 * from the terminal.
 */
#ifndef QCOW2_TOOL_KEYS_H
#define QCOW2_TOOL_KEYS_H

#include "../args.h"

/* The passwords while an image is opened. */
struct keys {
	const struct args *args;
	struct key *list;   /* one for each of args->keys, then one for the terminal */
	const char *failed; /* what could not be read; NULL: nothing */
	bool line_ends;     /* the last password from a file ends with a newline */
};

/* Prepares options->get_key. Returns false if there is no memory. */
bool keys_begin(struct keys *keys, const struct args *args, struct qcow2_options *options);

/* Wipes the passwords. */
void keys_end(struct keys *keys);

#endif
