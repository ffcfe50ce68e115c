/* SPDX-License-Identifier: MIT */
/*
 * Opening an image, and putting together what it needs: the image below it, its data file.
 */
#include "q2.h"

enum { L1_ENTRY_LEN = 8 };

/* Fields of the header that are judged here. */
enum { POS_BACKING_LEN = 16, POS_AUTOCLEAR = 88 };

bool q2_is_inside(const struct qcow2_image *image, uint64_t pos, uint32_t len)
{
	uint64_t size = image->io.size;

	return (image->flags & QCOW2_OPEN_TRUNCATED) != 0u || (pos <= size && len <= size - pos);
}

int q2_image_read(const struct qcow2_image *image, uint64_t pos, void *buf, uint32_t len,
                  struct qcow2_error *err)
{
	if (!q2_is_inside(image, pos, len))
		return q2_fail(err, QCOW2_E_TRUNCATED, &image->io, image->io.size, 0);
	return q2_io_read(&image->io, pos, buf, len, err);
}

int q2_table_check(const struct qcow2_image *image, uint32_t len, uint64_t pos)
{
	if (((uint32_t)pos & (q2_cluster_len(image) - 1u)) != 0u || pos > (uint64_t)INT64_MAX - len)
		return QCOW2_E_L1;
	if (len != 0u && !q2_is_inside(image, pos, len))
		return QCOW2_E_TRUNCATED;
	return QCOW2_OK;
}

int q2_l1_check(const struct qcow2_image *image)
{
	return q2_table_check(image, image->l1_entries * L1_ENTRY_LEN, image->l1_pos);
}

/* What can only be checked when header and extensions are known. */
static int check_names(struct qcow2_image *image, struct qcow2_error *err)
{
	struct qcow2_span *name = &image->backing_name;

	/* The name of a data file means nothing without the feature, nor does autoclear bit 1. */
	if (!q2_has_external_data(image)) {
		image->data_file_name.len = 0;
		err->pos = POS_AUTOCLEAR;
		if ((image->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) != 0u)
			return QCOW2_E_HEADER;
	}
	if (name->pos == 0u)
		name->len = 0;
	err->pos = POS_BACKING_LEN;
	err->detail = name->len;
	if (name->len > QCOW2_NAME_MAX || name->len > q2_cluster_len(image) - name->pos)
		return QCOW2_E_HEADER;
	if (name->len != 0u && !q2_is_inside(image, name->pos, name->len))
		return QCOW2_E_TRUNCATED;
	return QCOW2_OK;
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
	struct qcow2_error found;
	int rc = q2_image_reset(image, abi, io);

	q2_refuse(&found, rc);
	if (rc == QCOW2_OK) {
		found.io = io; /* the caller's, not the copy in the image */
		image->flags = flags;
		rc = q2_header_read(image, &found);
		if (rc == QCOW2_OK)
			rc = q2_extensions_read(image, &found);
		if (rc == QCOW2_OK)
			rc = check_names(image, &found);
		if (rc == QCOW2_OK)
			return rc;
		memset(image, 0, sizeof *image);
		found.io = io;
		q2_note(&found, rc);
	}
	if (err != NULL)
		memcpy(err, &found, sizeof found);
	return rc;
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
		return q2_refuse(err, QCOW2_E_ARGUMENT);
	if (span.len == 0u)
		return QCOW2_OK;
	return q2_image_read(image, span.pos, buf, span.len, err);
}
