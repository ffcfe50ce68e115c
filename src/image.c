/* SPDX-License-Identifier: MIT */
/*
 * Opening an image, and putting together what it needs: the image below it, its data file.
 */
#include "internal.h"

bool q2_is_inside(const struct qcow2_image *image, uint32_t len, uint64_t pos)
{
	return (image->flags & QCOW2_OPEN_TRUNCATED) != 0u || len <= q2_left(image->io.size, pos);
}

int q2_image_read(const struct qcow2_image *image, uint64_t pos, void *buf, uint32_t len,
                  struct qcow2_error *at)
{
	at->io = &image->io;
	at->pos = pos;
	return q2_is_inside(image, len, pos) ? q2_io_read(at, buf, len) : QCOW2_E_TRUNCATED;
}

int q2_table_check(const struct qcow2_image *image, uint32_t len, uint64_t pos)
{
	if (((uint32_t)pos & (image->cluster_len - 1u)) != 0u)
		return QCOW2_E_L1;
	/* A table ends before 2^63, too; for simplicity none is in the last 4 GiB before that. */
	if (pos >> 32 >= INT32_MAX)
		return QCOW2_E_L1;
	return q2_is_inside(image, len, pos) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

int q2_image_reset(struct qcow2_image *image, uint32_t abi, const struct qcow2_io *io)
{
	if (image == NULL)
		return QCOW2_E_ARGUMENT;
	if (abi != QCOW2_ABI(struct qcow2_image))
		return QCOW2_E_ABI;
	memset(image, 0, sizeof *image);
	if (io == NULL || io->ops == NULL || io->ops->read == NULL)
		return QCOW2_E_ARGUMENT;
	image->io.ops = io->ops;
	image->io.ctx = io->ctx;
	image->io.size = io->size;
	return QCOW2_OK;
}

int qcow2_image_open_abi(struct qcow2_image *image, uint32_t abi, const struct qcow2_io *io,
                         unsigned flags, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	int rc = q2_image_reset(image, abi, io);

	if (err == NULL)
		err = &unseen;
	err->io = NULL;
	if (rc == QCOW2_OK) {
		err->io = io; /* the caller's, not the copy in the image */
		image->flags = flags;
		rc = q2_header_read(image, err);
		if (rc != QCOW2_OK)
			memset(image, 0, sizeof *image);
	}
	return q2_note(err, rc);
}

int qcow2_image_raw_abi(struct qcow2_image *image, uint32_t abi, const struct qcow2_io *io)
{
	int rc = q2_image_reset(image, abi, io);

	if (rc == QCOW2_OK)
		image->size = io->size;
	return rc;
}

int qcow2_image_attach_backing(struct qcow2_image *image, const struct qcow2_image *below)
{
	if (image == NULL || !q2_is_qcow2(image) || image->backing != NULL)
		return QCOW2_E_ARGUMENT;
	if (below == NULL || !q2_is_open(below))
		return QCOW2_E_ARGUMENT;
	image->backing = below;
	return QCOW2_OK;
}

int qcow2_image_attach_data(struct qcow2_image *image, const struct qcow2_io *data)
{
	if (image == NULL || !q2_is_qcow2(image) || image->data != NULL)
		return QCOW2_E_ARGUMENT;
	if (!q2_has_external_data(image))
		return QCOW2_E_ARGUMENT;
	if (data == NULL || data->ops == NULL || data->ops->read == NULL)
		return QCOW2_E_ARGUMENT;
	image->data = data;
	return QCOW2_OK;
}

int qcow2_image_bytes(const struct qcow2_image *image, struct qcow2_span span, void *buf,
                      struct qcow2_error *err)
{
	struct qcow2_error unseen;

	if (err == NULL)
		err = &unseen;
	if (image == NULL || !q2_is_open(image) || buf == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	if (span.len == 0u)
		return QCOW2_OK;
	return q2_note(err, q2_image_read(image, span.pos, buf, span.len, err));
}
