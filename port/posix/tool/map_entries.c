/* SPDX-License-Identifier: MIT */
/*
 * The map of a disk, entry by entry, cut and merged as QEMU does it.
 */
#include "tool.h"

#include <string.h>

#include "qcow2/image.h"

void map_walk_begin(struct map_walk *x, struct qcow2 *q)
{
	x->q = q;
	x->at = 0;
	x->segment.length = 0;
	x->has_entry = false;
	memset(x->holes, 0, sizeof x->holes);
}

/* Finds out what holes mean in the file of the image at this depth. */
static void learn_depth(struct map_walk *x, unsigned depth)
{
	const struct qcow2_image *image;

	if (x->holes[depth] != HOLES_UNKNOWN)
		return;
	image = qcow2_get_image(x->q, depth);
	if (image->version == 0u)
		x->holes[depth] = HOLES_RAW;
	else if (is_preallocated(image, qcow2_get_fd(x->q, depth)))
		x->holes[depth] = HOLES_PREALLOCATED;
	else
		x->holes[depth] = HOLES_NONE;
}

/* Gets the next segment if there is none left: 1, 0 at the end, -1 for a failure. */
static int segment_next(struct map_walk *x)
{
	int rc = 1;

	if (x->segment.length == 0u) {
		rc = qcow2_map(x->q, x->at, UINT64_MAX, &x->segment);
		if (rc > 0)
			x->at += x->segment.length;
	}
	return rc;
}

/* Takes an entry from the front of the segment: all of it, or up to where a hole begins or ends. */
static void entry_take(struct map_walk *x, struct map_entry *e)
{
	struct qcow2_segment *s = &x->segment;
	bool hole;

	e->start = s->start;
	e->length = s->length;
	e->depth = s->depth;
	e->present = (s->flags & QCOW2_SEGMENT_PRESENT) != 0u;
	e->zero = (s->flags & QCOW2_SEGMENT_ZERO) != 0u;
	e->data = (s->flags & QCOW2_SEGMENT_DATA) != 0u;
	e->compressed = (s->flags & QCOW2_SEGMENT_COMPRESSED) != 0u;
	e->has_offset = (s->flags & QCOW2_SEGMENT_AT) != 0u;
	e->offset = s->file_offset;
	if (e->data && e->has_offset) {
		learn_depth(x, e->depth);
		if (x->holes[e->depth] != HOLES_NONE) {
			e->length = hole_find(s->fd, s->file_offset, s->length, &hole);
			e->zero = hole;
			e->data = !hole || x->holes[e->depth] == HOLES_PREALLOCATED;
		}
	}
	s->start += e->length;
	s->file_offset += e->length;
	s->length -= e->length;
}

static bool entries_join(const struct map_entry *a, const struct map_entry *b)
{
	if (a->present != b->present || a->zero != b->zero || a->data != b->data ||
	    a->compressed != b->compressed || a->depth != b->depth ||
	    a->has_offset != b->has_offset)
		return false;
	return !a->has_offset || a->offset + a->length == b->offset;
}

int map_walk_next(struct map_walk *x, struct map_entry *entry)
{
	struct map_entry next;
	int rc;

	while ((rc = segment_next(x)) > 0) {
		entry_take(x, &next);
		if (!x->has_entry) {
			x->entry = next;
			x->has_entry = true;
		} else if (entries_join(&x->entry, &next)) {
			x->entry.length += next.length;
		} else {
			*entry = x->entry;
			x->entry = next;
			return 1;
		}
	}
	if (x->has_entry) {
		/* What came before a failure is told first; the failure comes again. */
		*entry = x->entry;
		x->has_entry = false;
		return 1;
	}
	return rc;
}
