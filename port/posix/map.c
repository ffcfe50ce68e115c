/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Describes the disk without reading its data.
 */
#include "posix.h"

#include "failure.h"
#include "handle.h"
#include "read/damage.h"

static unsigned segment_flags(const struct qcow2_extent *e)
{
	switch ((enum qcow2_extent_kind)e->kind) {
	case QCOW2_EXTENT_ZERO: return QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_ZERO;
	case QCOW2_EXTENT_DATA: return QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA;
	case QCOW2_EXTENT_ENCRYPTED:
		return QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_ENCRYPTED;
	case QCOW2_EXTENT_COMPRESSED:
		return QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_COMPRESSED;
	case QCOW2_EXTENT_ABSENT:
	default: return QCOW2_SEGMENT_ZERO;
	}
}

/*
 * Sets where the bytes of a segment are. Past the end of an image that has a part of its file, the
 * disk is zeros, but the file has other bytes: such a segment ends there, or has no place.
 */
static void segment_place(struct qcow2_segment *segment, const struct qcow2_io *io, uint64_t pos)
{
	const struct qp_file *file = io->ctx;

	if (file->length != 0u) {
		if (pos >= io->size)
			return;
		if (segment->length > io->size - pos)
			segment->length = io->size - pos;
	}
	segment->flags |= QCOW2_SEGMENT_AT;
	segment->fd = file->fd;
	segment->file_offset = file->start + pos;
}

static void segment_fill(struct qcow2_segment *segment, const struct qcow2_extent *e)
{
	segment->start = e->off;
	segment->length = e->len;
	segment->flags = segment_flags(e);
	segment->depth = e->depth;
	segment->fd = -1;
	segment->file_offset = 0;
	/*
	 * The position of compressed bytes is no use to a caller, who cannot decode them, nor is
	 * one in an encrypted image. QEMU's map shows none there, not even that of zeros.
	 */
	if (e->io != NULL && e->kind != QCOW2_EXTENT_COMPRESSED && e->image->crypt_method == 0u)
		segment_place(segment, e->io, e->pos);
}

int qcow2_map(struct qcow2 *q, uint64_t offset, uint64_t len, struct qcow2_segment *segment)
{
	uint64_t size = q->image->size;
	struct qcow2_extent extent;
	struct qp_slot *slot;
	int rc;

	if (offset >= size || len == 0u)
		return 0;
	if (len > size - offset)
		len = size - offset;
	if (len > q->map_len)
		len = q->map_len;
	slot = qp_slot_take(&q->pool);
	if (slot == NULL)
		return qp_failed();
	rc = qcow2_reader_map(&slot->reader.core, offset, len, &extent);
	if (rc == QCOW2_E_TRUNCATED && qp_slot_grow(&q->pool, slot))
		rc = qcow2_reader_map(&slot->reader.core, offset, len, &extent);
	if (rc != QCOW2_OK)
		qp_fail_reader(&slot->reader.core, rc, offset, len);
	qp_slot_give(&q->pool, slot);
	if (rc != QCOW2_OK)
		return qp_failed();
	segment_fill(segment, &extent);
	return 1;
}
