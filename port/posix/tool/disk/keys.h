/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
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
	char *typed;                     /* the last password from the terminal, or NULL */
	const struct key_source *failed; /* what could not be read; NULL: nothing */
	bool has_answered;               /* a password was given */
	bool line_ends;                  /* the last password from a file ends with a newline */
	bool aes_line_ends; /* so did one for AES, with which any password seems right */
};

/* Prepares options->get_key. */
void keys_begin(struct keys *keys, const struct args *args, struct qcow2_options *options);

/* Wipes the password from the terminal. Those from files stay in args. */
void keys_end(struct keys *keys);

/*
 * After all images are open: was each password of the command line needed? Returns EXIT_OK, or
 * EXIT_FAILED after a message. Images that are only inspected need none; then this closes the
 * descriptors.
 */
int keys_check_used(const struct args *args);

#endif
