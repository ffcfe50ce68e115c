/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The chain of images of a handle.
 *
 *	top -> layer 0   image . file        the image that was opened
 *	         |                 . data    its external data file, if it has one
 *	       below
 *	         v
 *	       layer 1   image . file        its backing file
 *	         |
 *	       below
 *	         v
 *	       layer 2   image . file        the end: a raw disk, or an image that names no file
 */
#ifndef QCOW2_POSIX_CHAIN_H
#define QCOW2_POSIX_CHAIN_H

#include "../posix.h"

#include "../key/sealed.h"
#include "directory.h"
#include "file.h"
#include "qcow2/image.h"

/* The most images in a chain. Each takes a descriptor, so this is less than QCOW2_CHAIN_MAX. */
enum { QP_CHAIN_MAX = 256 };

/* The byte strings of an image that the library keeps (names.h). */
enum qp_name { QP_NAME_BACKING, QP_NAME_FORMAT, QP_NAME_DATA, QP_NAMES };

struct qp_layer {
	struct qcow2_image image;
	struct qp_file file;
	struct qp_file data;         /* the external data file; its fd is -1 if there is none */
	struct qp_layer *below;      /* the backing file, or NULL */
	struct qp_directory dir;     /* of the image; open only while its names are followed */
	struct qcow2_cipher *cipher; /* with the key of the image; NULL: none */
	struct qcow2_cipher sealed;  /* in its place, if the image is opened without its key */
	char *names[QP_NAMES]; /* NULL if not read yet. Threads access it atomically (names.c). */
};

/*
 * Opens the image in fd and all files that it needs, as the options allow, and sets *top to the
 * chain, or to a part of it if the call fails. In both cases the caller frees it with
 * qp_chain_free. The library owns fd and the descriptors in the options from then on.
 */
bool qp_chain_open(struct qp_layer **top, int fd, const struct qcow2_options *options);
void qp_chain_free(struct qp_layer *top);

/* Closes fd and the descriptors in the options, for a caller that fails before qp_chain_open. */
void qp_chain_refuse(int fd, const struct qcow2_options *options);

/* The layer at this depth, or NULL if the chain is shorter. */
struct qp_layer *qp_layer_at(struct qp_layer *top, unsigned depth);

#endif
