/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The public calls of a reader: start, map, read. chain.c finds extents; this file reads them, or
 * has unpack.c read those that are compressed, and cipher.c those that are encrypted.
 */
#include "internal.h"
#include "qcow2/cipher.h"

/* Checks the arguments of qcow2_reader_init and fills *reader, which is all zeros on entry. */
static int reader_start(struct qcow2_reader *reader, const struct qcow2_image *image, void *memory,
                        size_t len)
{
	int rc;

	if (memory == NULL || ((uintptr_t)memory & 7u) != 0u)
		return QCOW2_E_ARGUMENT;
	reader->error.detail = QCOW2_READER_MEMORY;
	if (len < QCOW2_READER_MEMORY)
		return QCOW2_E_MEMORY;
	rc = qcow2_image_ready(image, &reader->error);
	if (rc != QCOW2_OK)
		return rc;
	reader->memory = memory;
	reader->memory_len = len & ~(size_t)7; /* the keys at its end must be aligned */
	reader->fetch = q2_io_read;
	q2_cache_init(reader, reader->memory_len);
	reader->image = image;
	return QCOW2_OK;
}

int qcow2_reader_init(struct qcow2_reader *reader, const struct qcow2_image *image, void *memory,
                      size_t len)
{
	if (reader == NULL)
		return QCOW2_E_ARGUMENT;
	memset(reader, 0, sizeof *reader);
	return q2_note(&reader->error, reader_start(reader, image, memory, len));
}

int qcow2_reader_map(struct qcow2_reader *reader, uint64_t off, uint64_t len,
                     struct qcow2_extent *extent)
{
	int rc;

	if (reader == NULL)
		return QCOW2_E_ARGUMENT;
	rc = extent != NULL ? q2_map(reader, off, len) : QCOW2_E_ARGUMENT;
	if (rc == QCOW2_OK) {
		memcpy(extent, &reader->extent, sizeof *extent);
		q2_extent_clip(extent, len);
	}
	return q2_note(&reader->error, rc);
}

int q2_extent_read(struct qcow2_reader *reader, uint8_t *buf, size_t len)
{
	const struct qcow2_extent *e = &reader->extent;

	reader->error.io = e->io;
	reader->error.pos = e->pos;
	if (e->kind == QCOW2_EXTENT_DATA)
		return q2_io_read(&reader->error, buf, len);
	if (e->kind == QCOW2_EXTENT_ENCRYPTED)
		return e->image->cipher->read(reader, buf, len);
	if (e->kind != QCOW2_EXTENT_COMPRESSED) {
		memset(buf, 0, len);
		return QCOW2_OK;
	}
	reader->error.detail = e->image->compression_type; /* for QCOW2_E_CODEC */
	if (reader->unpack == NULL)
		return QCOW2_E_CODEC;
	return reader->unpack(reader, buf, (uint32_t)len);
}

int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len)
{
	uint8_t *to = buf;
	int rc;

	if (reader == NULL)
		return QCOW2_E_ARGUMENT;
	rc = to != NULL || len == 0u ? QCOW2_OK : QCOW2_E_ARGUMENT;
	/*@ loop invariant len <= \at(len, Pre) && good_reader(reader);
	    loop invariant rc == 0 && len > 0 ==> buf != \null;
	    loop invariant to == (uint8_t *)buf + (\at(len, Pre) - len);
	    loop invariant rc == 0 ==> off == \at(off, Pre) + (\at(len, Pre) - len);
	    loop invariant rc == 0 && len < \at(len, Pre) ==> off + len <= reader->image->size;
	    loop invariant rc == QCOW2_E_TRUNCATED ==> tells_file(&reader->error);
	    loop assigns off, to, len, rc, reader->error, reader->want, reader->extent,
	                 reader->misses, reader->spare, reader->mask,
	                 reader->memory[0 .. 512 * room(reader->keys) - 1],
	                 reader->keys[1 - room(reader->keys) .. 0],
	                 reader->stream, reader->window_image, reader->window_off,
	                 ((uint8_t *)buf)[0 .. \at(len, Pre) - 1];
	    loop variant len; */
	while (rc == QCOW2_OK && len > 0u) {
		size_t n; /* bytes of the extent that are wanted */

		rc = q2_map(reader, off, len);
		if (rc != QCOW2_OK)
			break;
		n = len < reader->extent.len ? len : (size_t)reader->extent.len;
		rc = q2_extent_read(reader, to, n);
		off += n;
		to += n;
		len -= n;
	}
	return q2_note(&reader->error, rc);
}
