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
	uint32_t depth = 0;
	int rc = QCOW2_E_ARGUMENT;

	if (image == NULL || !q2_is_open(image))
		return q2_refuse(err, rc);
	do {
		rc = depth < QCOW2_CHAIN_MAX ? image_ready(image) : QCOW2_E_DEPTH;
		if (rc != QCOW2_OK)
			return q2_fail(err, rc, &image->io, 0, image->crypt_method);
		image = image->backing;
		depth++;
	} while (image != NULL);
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
		return q2_refuse(&reader->error, QCOW2_E_ARGUMENT);
	if (len < QCOW2_READER_MEMORY)
		return q2_fail(&reader->error, QCOW2_E_MEMORY, NULL, 0, QCOW2_READER_MEMORY);
	reader->memory = memory;
	reader->memory_len = len;
	q2_slots_init(reader, len);
	reader->image = image;
	reader->memo.image = image; /* never NULL, though of length 0 */
	return QCOW2_OK;
}

/* Is the range on the disk, is the reader started, and is there a place for the answer? */
static int range_check(struct qcow2_reader *reader, uint64_t off, uint64_t len, const void *to)
{
	uint64_t size;

	if (reader == NULL || reader->image == NULL)
		return QCOW2_E_ARGUMENT;
	size = reader->image->size;
	if (off > size || len > size - off)
		return q2_refuse(&reader->error, QCOW2_E_RANGE);
	if (to == NULL && len != 0u)
		return q2_refuse(&reader->error, QCOW2_E_ARGUMENT);
	return QCOW2_OK;
}

int qcow2_reader_map(struct qcow2_reader *reader, uint64_t off, uint64_t len,
                     struct qcow2_extent *extent)
{
	int rc = range_check(reader, off, len, extent);

	if (rc == QCOW2_OK)
		rc = len == 0u ? q2_refuse(&reader->error, QCOW2_E_RANGE)
		               : q2_map(reader, off, len);
	if (rc != QCOW2_OK)
		return rc;
	memcpy(extent, &reader->memo, sizeof *extent);
	if (extent->len > len)
		extent->len = len;
	return QCOW2_OK;
}

int q2_read_step(struct qcow2_reader *reader, uint64_t off, uint8_t *buf, size_t *len)
{
	const struct qcow2_extent *e = &reader->memo;
	int rc = q2_map(reader, off, *len);

	if (rc != QCOW2_OK)
		return rc;
	if (*len > e->len)
		*len = (size_t)e->len;
	if (e->kind == QCOW2_EXTENT_DATA)
		return q2_io_read(q2_data_io(e->image), e->pos, buf, *len, &reader->error);
	if (e->kind != QCOW2_EXTENT_COMPRESSED) {
		memset(buf, 0, *len);
		return QCOW2_OK;
	}
	if (reader->unpack == NULL)
		return q2_fail(&reader->error, QCOW2_E_CODEC, &e->image->io, e->pos,
		               e->image->compression_type);
	return reader->unpack(reader, buf, (uint32_t)*len);
}

int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t done;
	int rc = range_check(reader, off, len, buf);

	while (rc == QCOW2_OK && len > 0u) {
		done = len;
		rc = q2_read_step(reader, off, to, &done);
		off += done;
		to += done;
		len -= done;
	}
	return rc;
}
