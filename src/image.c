/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opens images, attaches to an image what it needs (the image below, the data file), and checks
 * that a chain is complete. header.c reads the header itself.
 */
#include "internal.h"

int q2_image_reset(struct qcow2_image *image, const struct qcow2_io *io)
{
	if (image == NULL)
		return QCOW2_E_ARGUMENT;
	memset(image, 0, sizeof *image);
	if (io == NULL || io->ops == NULL || io->ops->read == NULL)
		return QCOW2_E_ARGUMENT;
	image->io.ops = io->ops;
	image->io.ctx = io->ctx;
	image->io.size = io->size;
	return QCOW2_OK;
}

int q2_image_open(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                  struct qcow2_error *err, int (*header_read)(struct qcow2_image *, q2_cursor *))
{
	struct qcow2_error unseen;
	int rc = q2_image_reset(image, io);

	err = q2_err(err, &unseen);
	err->io = NULL;
	if (rc == QCOW2_OK) {
		err->io = io; /* not the copy in the image, which a failure clears */
		image->flags = flags;
		rc = header_read(image, err);
		if (rc != QCOW2_OK)
			memset(image, 0, sizeof *image);
	}
	return q2_note(err, rc);
}

int qcow2_image_open(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                     struct qcow2_error *err)
{
	return q2_image_open(image, io, flags, err, q2_header_read);
}

/* image->layer_extent: all bytes of the file are data. */
static int raw_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                      struct qcow2_extent *e)
{
	(void)reader;
	e->kind = QCOW2_EXTENT_DATA;
	e->io = &image->io;
	return QCOW2_OK;
}

int qcow2_image_raw(struct qcow2_image *image, const struct qcow2_io *io)
{
	int rc = q2_image_reset(image, io);

	if (rc == QCOW2_OK) {
		image->size = io->size;
		image->layer_extent = raw_extent;
	}
	return rc;
}

int qcow2_image_attach_backing(struct qcow2_image *image, const struct qcow2_image *below)
{
	if (image == NULL || !q2_has_tables(image) || image->backing != NULL)
		return QCOW2_E_ARGUMENT;
	if (below == NULL || !q2_is_open(below))
		return QCOW2_E_ARGUMENT;
	image->backing = below;
	return QCOW2_OK;
}

int qcow2_image_attach_data(struct qcow2_image *image, const struct qcow2_io *data)
{
	/* Images that are closed, raw or of version 1 have no features. */
	if (image == NULL || !q2_has_external_data(image) || image->data != NULL)
		return QCOW2_E_ARGUMENT;
	if (data == NULL || data->ops == NULL || data->ops->read == NULL)
		return QCOW2_E_ARGUMENT;
	image->data = data;
	return QCOW2_OK;
}

/* Can this one image be read with what is attached to it? */
static int layer_ready(const struct qcow2_image *image)
{
	if (image->crypt_method != 0u && image->cipher == NULL)
		return QCOW2_E_ENCRYPTED;
	if (image->backing == NULL && image->backing_name.len != 0u &&
	    (image->flags & QCOW2_OPEN_LAYER) == 0u)
		return QCOW2_E_BACKING;
	if (image->data == NULL && q2_has_external_data(image))
		return QCOW2_E_DATA_FILE;
	return QCOW2_OK;
}

int qcow2_image_ready(const struct qcow2_image *image, struct qcow2_error *err)
{
	const struct qcow2_image *seen;
	struct qcow2_error unseen;
	uint32_t left = QCOW2_CHAIN_MAX;
	int rc;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_open(image))
		return q2_note(err, QCOW2_E_ARGUMENT);
	do {
		seen = image;
		rc = left-- != 0u ? layer_ready(image) : QCOW2_E_DEPTH;
		image = image->backing;
	} while (rc == QCOW2_OK && image != NULL);
	err->io = &seen->io;
	err->detail = seen->crypt_method;
	return q2_note(err, rc);
}

int qcow2_image_bytes(const struct qcow2_image *image, struct qcow2_span span, void *buf,
                      struct qcow2_error *err)
{
	return q2_bytes(image, span.pos, span.len, buf, err);
}
