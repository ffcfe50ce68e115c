/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds the file below an image, and its external data file.
 */
#ifndef QCOW2_POSIX_FIND_H
#define QCOW2_POSIX_FIND_H

#include "../posix.h"

#include "chain.h"

/* The options of an open call, and which of the files in them are already in use. */
struct qp_plan {
	const struct qcow2_options *options;
	size_t n_taken;         /* of options->backing */
	bool data_taken;        /* options->data_file is in use */
	char head[QP_HEAD_LEN]; /* of the image that is being opened */
};

/* A file that was found for an image but that no layer owns yet. Start with QP_FOUND_NONE. */
struct qp_found {
	int fd;                  /* -1 if none */
	char *path;              /* from malloc; NULL if unknown */
	bool is_raw;             /* no image, the disk itself */
	bool is_v1;              /* an image of version 1; only that */
	bool is_any;             /* an image of any version */
	struct qp_directory dir; /* that has the file, if a name led there */
};

#define QP_FOUND_NONE                                                                              \
	{                                                                                          \
		-1, NULL, false, false, false,                                                     \
		{                                                                                  \
			-1, NULL                                                                   \
		}                                                                                  \
	}

/*
 * Both set *found. Even if they fail, it may hold descriptors and a path, which the caller then
 * releases.
 */
bool qp_find_backing(struct qp_plan *plan, struct qp_layer *layer, struct qp_found *found);
bool qp_find_data(struct qp_plan *plan, struct qp_layer *layer, struct qp_found *found);

#endif
