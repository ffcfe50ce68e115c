/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds extents of the disk: goes down the chain until an image has the byte that is wanted, and
 * merges extents that continue each other. reader.c calls this, and map.c answers for each image.
 */
#include "internal.h"

/*
 * Sets *e to the extent that begins at `off`: asks one image after the other, until one has it. An
 * image that does not have it still limits the length: where it has something again, it hides the
 * images below.
 */
static int chain_extent(struct qcow2_reader *reader, uint64_t off, struct qcow2_extent *e)
{
	const struct qcow2_image *image = reader->image;

	memset(e, 0, sizeof *e);
	e->off = off;
	e->len = image->size;
	for (;;) {
		int rc;

		e->pos = off;
		rc = q2_layer_extent(reader, image, e);
		image = image->backing;
		if (rc != QCOW2_OK || e->kind != QCOW2_EXTENT_ABSENT || image == NULL ||
		    off >= image->size)
			return rc;
		e->io = NULL; /* a preallocated place in the image above means nothing below */
		e->depth++;
	}
}

/*
 * Does b, which begins where a ends, continue a? The comparison of positions is also right for
 * extents without a place, because chain_extent sets their pos to their off.
 */
static bool extents_join(const struct qcow2_extent *a, const struct qcow2_extent *b)
{
	if (a->kind != b->kind || a->image != b->image || a->io != b->io)
		return false;
	if (a->kind == QCOW2_EXTENT_COMPRESSED)
		return false;
	return b->pos - a->pos == a->len;
}

/* Drops the part of an extent before `off`, which is inside it. */
static void extent_advance(struct qcow2_extent *e, uint64_t off)
{
	uint64_t before = off - e->off;

	e->off = off;
	e->len -= before;
	if (e->kind != QCOW2_EXTENT_COMPRESSED)
		e->pos += before;
}

int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len)
{
	struct qcow2_extent *extent = &reader->extent;
	struct qcow2_extent next;

	if (reader->image == NULL)
		return QCOW2_E_ARGUMENT;
	if (len - 1u >= q2_left(reader->image->size, off)) /* len 0 becomes huge, and fails */
		return QCOW2_E_RANGE;
	if (off - extent->off < extent->len) /* huge if off is before the extent */
		extent_advance(extent, off);
	else
		extent->len = 0;
	while (extent->len < len) {
		int rc;

		reader->want = len - extent->len;
		rc = chain_extent(reader, off + extent->len, &next);
		/*
		 * A damaged entry after the extent ends it. A failed io call says nothing about
		 * what is there, so the whole call fails.
		 */
		if (rc != QCOW2_OK && (extent->len == 0u || rc == QCOW2_E_IO))
			return rc;
		if (extent->len == 0u)
			memcpy(extent, &next, sizeof *extent);
		else if (rc == QCOW2_OK && extents_join(extent, &next))
			extent->len += next.len;
		else
			break;
	}
	return QCOW2_OK;
}
