/* SPDX-License-Identifier: MIT */
/*
 * A reader's life: starting on a chain of images, answering map, reading.
 */
#include "q2.h"

/* Can this image be read, now that all is attached that will be? */
static int image_ready(const struct qcow2_image *image)
{
	bool layer = (image->flags & QCOW2_OPEN_LAYER) != 0u;

	if (image->crypt_method != 0u)
		return QCOW2_E_ENCRYPTED;
	if (image->backing == NULL && image->backing_name.len != 0u && !layer)
		return QCOW2_E_BACKING;
	if (image->data == NULL && q2_has_external_data(image))
		return QCOW2_E_DATA_FILE;
	return QCOW2_OK;
}

int q2_chain_check(const struct qcow2_image *image, struct qcow2_error *err)
{
	uint32_t depth;
	int rc;

	if (image == NULL || !q2_is_open(image))
		return q2_fail(err, QCOW2_E_ARGUMENT, NULL, 0, 0);
	for (depth = 0; image != NULL; depth++) {
		rc = depth < QCOW2_CHAIN_MAX ? image_ready(image) : QCOW2_E_DEPTH;
		if (rc != QCOW2_OK)
			return q2_fail(err, rc, &image->io, 0, 0);
		image = image->backing;
	}
	return QCOW2_OK;
}

int qcow2_reader_init_abi(struct qcow2_reader *reader, uint32_t abi,
                          const struct qcow2_image *image, void *memory, size_t len)
{
	int rc;

	if (reader == NULL)
		return QCOW2_E_ARGUMENT;
	if (abi != QCOW2_ABI(struct qcow2_reader))
		return QCOW2_E_ABI;
	memset(reader, 0, sizeof *reader);
	rc = q2_chain_check(image, &reader->error);
	if (rc != QCOW2_OK)
		return rc;
	if (memory == NULL || ((uintptr_t)memory & 7u) != 0u)
		return q2_fail(&reader->error, QCOW2_E_ARGUMENT, NULL, 0, 0);
	if (len < QCOW2_READER_MEMORY)
		return q2_fail(&reader->error, QCOW2_E_MEMORY, NULL, 0, QCOW2_READER_MEMORY);
	reader->memory = memory;
	reader->memory_len = len;
	q2_slots_init(reader, len);
	reader->image = image;
	return QCOW2_OK;
}

/* Is the range on the disk, and the reader started? */
static int range_check(struct qcow2_reader *reader, uint64_t off, uint64_t len)
{
	uint64_t size;

	if (reader == NULL || reader->image == NULL)
		return QCOW2_E_ARGUMENT;
	size = reader->image->size;
	if (off > size || len > size - off)
		return q2_fail(&reader->error, QCOW2_E_RANGE, NULL, 0, 0);
	return QCOW2_OK;
}

int qcow2_reader_map(struct qcow2_reader *reader, uint64_t off, uint64_t len,
                     struct qcow2_extent *extent)
{
	int rc = range_check(reader, off, len);

	if (rc == QCOW2_OK && len == 0u)
		rc = q2_fail(&reader->error, QCOW2_E_RANGE, NULL, 0, 0);
	if (rc == QCOW2_OK && extent == NULL)
		rc = q2_fail(&reader->error, QCOW2_E_ARGUMENT, NULL, 0, 0);
	if (rc == QCOW2_OK)
		rc = q2_map(reader, off, len, extent);
	return rc;
}

/* One extent, or as much of it as is asked for. *done: bytes written to buf, at least 1. */
static int read_step(struct qcow2_reader *reader, uint64_t off, uint8_t *buf, size_t len,
                     size_t *done)
{
	struct qcow2_extent e;
	int rc = q2_map(reader, off, len, &e);

	if (rc != QCOW2_OK)
		return rc;
	len = (size_t)e.len;
	*done = len;
	if (e.kind == QCOW2_EXTENT_DATA)
		return q2_io_read_padded(e.io, e.pos, buf, len, &reader->error);
	if (e.kind != QCOW2_EXTENT_COMPRESSED) {
		memset(buf, 0, len);
		return QCOW2_OK;
	}
	if (reader->unpack == NULL)
		return q2_fail(&reader->error, QCOW2_E_CODEC, e.io, e.pos,
		               e.image->compression_type);
	return reader->unpack(reader, &e, buf);
}

int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t done;
	int rc = range_check(reader, off, len);

	if (rc == QCOW2_OK && buf == NULL && len != 0u)
		rc = q2_fail(&reader->error, QCOW2_E_ARGUMENT, NULL, 0, 0);
	while (rc == QCOW2_OK && len > 0u) {
		rc = read_step(reader, off, to, len, &done);
		if (rc == QCOW2_OK) {
			off += done;
			to += done;
			len -= done;
		}
	}
	return rc;
}
