/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Copies of the images of a chain, with the present sizes of their files.
 */
#include "grown.h"

#include <stdlib.h>

#include "../open/file.h"

/* A copy of an image. The chain is an array of them that ends with one without a backing file. */
struct qp_grown {
	struct qcow2_image image;
	struct qcow2_io data; /* image.data points here, unless it is NULL */
};

const struct qcow2_image *qp_grown_image(const struct qp_grown *grown)
{
	return &grown->image;
}

/* Copies the chain. Returns NULL if there is no memory. */
static struct qp_grown *chain_copy(const struct qcow2_image *top)
{
	const struct qcow2_image *image;
	struct qp_grown *copies, *copy;
	size_t n = 1;

	for (image = top->backing; image != NULL; image = image->backing)
		n++;
	copies = calloc(n, sizeof *copies);
	if (copies == NULL)
		return NULL;
	for (image = top, copy = copies; image != NULL; image = image->backing, copy++) {
		copy->image = *image;
		if (image->data != NULL) {
			copy->data = *image->data;
			copy->image.data = &copy->data;
		}
		if (image->backing != NULL)
			copy->image.backing = &copy[1].image;
	}
	return copies;
}

/* Sets the size if the file is longer now. A file that shrinks fails by itself when it is read. */
static void io_update(struct qcow2_io *io)
{
	uint64_t size;

	if (qp_file_size_now(io->ctx, &size) && size > io->size)
		io->size = size;
}

bool qp_grown_update(struct qp_grown **grown, const struct qcow2_image *top,
                     const struct qcow2_io *io)
{
	struct qp_grown *copy;
	uint64_t size;

	if (!qp_file_size_now(io->ctx, &size) || size <= io->size)
		return false;
	if (*grown == NULL)
		*grown = chain_copy(top);
	if (*grown == NULL)
		return false;
	for (copy = *grown; copy != NULL; copy = copy->image.backing != NULL ? copy + 1 : NULL) {
		io_update(&copy->image.io);
		if (copy->image.data != NULL)
			io_update(&copy->data);
	}
	return true;
}
