/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The map of a disk, entry by entry, cut and merged as QEMU does it.
 */
#include "map_entries.h"

#include <string.h>

#include "../disk/damage.h"

/* What a hole in the file of an image means for data that is mapped there. */
enum {
	HOLES_UNKNOWN = 0,     /* not determined yet */
	HOLES_NONE = 1,        /* nothing: QEMU also prints it as data */
	HOLES_RAW = 2,         /* a raw image has zeros there */
	HOLES_PREALLOCATED = 3 /* zeros in allocated clusters: both "zero" and "data" */
};

void map_walk_begin(struct map_walk *w, struct qcow2 *q, struct marks *marks)
{
	w->q = q;
	w->marks = marks;
	w->at = 0;
	w->segment.length = 0;
	w->has_entry = false;
	past_end_begin(&w->past_end);
	memset(&w->damage, 0, sizeof w->damage);
	memset(w->holes, 0, sizeof w->holes);
	hole_cache_begin(&w->cache, q);
}

void map_walk_end(struct map_walk *w)
{
	hole_cache_end(&w->cache);
}

/* Determines what holes mean in the file of the image at this depth, once for each. */
static void learn_depth(struct map_walk *w, unsigned depth)
{
	struct qcow2_info info = { .struct_size = sizeof info };

	if (w->holes[depth] != HOLES_UNKNOWN)
		return;
	w->holes[depth] = HOLES_NONE;
	if (qcow2_get_info(w->q, depth, &info) != 0)
		return;
	if (info.version == 0u)
		w->holes[depth] = HOLES_RAW;
	else if (is_preallocated(w->q, depth, &info))
		w->holes[depth] = HOLES_PREALLOCATED;
}

/* Makes sure that some of a segment is left. Returns 1, 0 at the end, -1 if the library failed. */
static int walk_refill(struct map_walk *w)
{
	int rc = 1;

	if (w->segment.length == 0u) {
		rc = damage_map(w->q, w->at, UINT64_MAX, &w->segment, &w->damaged);
		if (rc > 0) {
			w->at += w->segment.length;
			past_end_look(&w->past_end, w->q, &w->segment);
		}
	}
	return rc;
}

/* Makes an entry of a segment that is damaged. */
static void damaged_take(struct map_walk *w, struct map_entry *e)
{
	const struct qcow2_failure *failure = qcow2_last_failure();
	/* The entry so far may need the other room. */
	char *reason = w->reasons[w->has_entry && w->entry.reason == w->reasons[0]];

	memset(e, 0, sizeof *e);
	e->start = w->segment.start;
	e->length = w->segment.length;
	e->damaged = true;
	e->depth = failure->depth;
	e->status = failure->status;
	memcpy(reason, failure->message, sizeof failure->message);
	e->reason = reason;
	w->segment.length = 0;
}

/*
 * Cuts an entry off the front of the segment: all of it, or up to where a hole begins or ends, or
 * where the marks of a bitmap do. Returns false if the library failed.
 */
static bool entry_take(struct map_walk *w, struct map_entry *e)
{
	struct qcow2_segment *s = &w->segment;
	bool hole;

	e->damaged = false;
	e->status = 0;
	e->reason = NULL;
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
		learn_depth(w, e->depth);
		if (w->holes[e->depth] != HOLES_NONE) {
			e->length = hole_find(&w->cache, s->fd, s->file_offset, s->length, &hole);
			e->zero = hole;
			e->data = !hole || w->holes[e->depth] == HOLES_PREALLOCATED;
		}
	}
	if (!marks_find(w->marks, e->start, &e->length, &e->dirty))
		return false;
	s->start += e->length;
	s->file_offset += e->length;
	s->length -= e->length;
	return true;
}

static bool entries_join(const struct map_entry *a, const struct map_entry *b)
{
	if (a->damaged || b->damaged)
		return a->damaged && b->damaged && a->status == b->status && a->depth == b->depth;
	if (a->present != b->present || a->zero != b->zero || a->data != b->data ||
	    a->compressed != b->compressed || a->depth != b->depth || a->dirty != b->dirty ||
	    a->has_offset != b->has_offset)
		return false;
	return !a->has_offset || a->offset + a->length == b->offset;
}

/* Collects segments until an entry is complete. Returns the same as map_walk_next. */
static int entry_collect(struct map_walk *w, struct map_entry *entry)
{
	struct map_entry next;
	int rc;

	while ((rc = walk_refill(w)) > 0) {
		if (w->damaged) {
			damaged_take(w, &next);
		} else if (!entry_take(w, &next)) {
			rc = -1;
			break;
		}
		if (!w->has_entry) {
			w->entry = next;
			w->has_entry = true;
		} else if (entries_join(&w->entry, &next)) {
			w->entry.length += next.length;
		} else {
			*entry = w->entry;
			w->entry = next;
			return 1;
		}
	}
	if (w->has_entry) {
		/* The last entry comes before a failure: the next call fails in the same way. */
		*entry = w->entry;
		w->has_entry = false;
		return 1;
	}
	return rc;
}

static void damage_count(struct map_damage *damage, const struct map_entry *e)
{
	if (damage->entries == 0u)
		snprintf(damage->first, sizeof damage->first, "%s", e->reason);
	damage->entries++;
	damage->bytes += e->length;
}

int map_walk_next(struct map_walk *w, struct map_entry *entry)
{
	int rc = entry_collect(w, entry);

	if (rc > 0 && entry->damaged)
		damage_count(&w->damage, entry);
	return rc;
}
