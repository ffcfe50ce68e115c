/* SPDX-License-Identifier: MIT */
/*
 * Extents of the disk: down the chain until an image answers, and put together where they continue
 * each other.
 */
#include "internal.h"

/*
 * Asks one image after the other about `off`. An image above covers what is below, even if that is
 * longer.
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
		e->io = NULL;
		e->depth++;
	}
}

/* Does b, which begins where a ends, continue it? */
static bool extents_join(const struct qcow2_extent *a, const struct qcow2_extent *b)
{
	if (a->kind != b->kind || a->image != b->image || a->io != b->io)
		return false;
	if (a->kind == QCOW2_EXTENT_COMPRESSED)
		return false;
	return b->pos - a->pos == a->len;
}

/* Forgets what of an extent lies before `off`, which is in it. */
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
	if (len - 1u >= q2_left(reader->image->size, off)) /* huge if len is 0 */
		return QCOW2_E_RANGE;
	if (off - extent->off < extent->len) /* huge if off lies before it */
		extent_advance(extent, off);
	else
		extent->len = 0;
	while (extent->len < len) {
		int rc;

		reader->want = len - extent->len;
		rc = chain_extent(reader, off + extent->len, &next);
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
