/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which parts of a disk must be copied.
 */
#include "copy_plan.h"

#include <string.h>

#include "../disk/damage.h"

/* The longest piece of zeros: between two pieces, progress is shown. */
enum { ZEROS_MAX = 64 << 20 };

void copy_plan_begin(struct copy_plan *p, struct qcow2 *q, struct salvage *salvage,
                     struct marks *marks, bool zeros)
{
	memset(p, 0, sizeof *p);
	p->q = q;
	p->salvage = salvage;
	p->marks = marks;
	p->zeros = zeros;
	hole_cache_begin(&p->holes, q);
}

void copy_plan_end(struct copy_plan *p)
{
	hole_cache_end(&p->holes);
}

/* How many bytes from the start of the segment are all data, or all to be left out? */
static uint64_t segment_part(struct copy_plan *p, bool *data)
{
	const struct qcow2_segment *s = &p->segment;
	uint64_t n = s->length;
	bool hole = false;

	*data = (s->flags & QCOW2_SEGMENT_DATA) != 0u;
	if (*data && (s->flags & QCOW2_SEGMENT_AT) != 0u)
		n = hole_find(&p->holes, s->fd, s->file_offset, s->length, &hole);
	*data = *data && !hole;
	return n;
}

static void segment_advance(struct copy_plan *p, uint64_t n)
{
	p->at += n;
	p->segment.length -= n;
	p->segment.file_offset += n;
}

/* Makes sure that some of a segment is left. Returns 1, 0 at the end, -1 if the library failed. */
static int segment_refill(struct copy_plan *p)
{
	bool damaged = false;
	int rc;

	if (p->segment.length != 0u)
		return 1;
	if (p->salvage == NULL)
		rc = qcow2_map(p->q, p->at, UINT64_MAX, &p->segment);
	else
		rc = damage_map(p->q, p->at, UINT64_MAX, &p->segment, &damaged);
	if (rc > 0 && damaged)
		salvage_note(p->salvage, p->at, p->segment.length);
	else if (rc > 0)
		past_end_look(&p->past_end, p->q, &p->segment);
	return rc;
}

/* The next piece is zeros, from the start of the segment on. Adjacent zeros are other pieces. */
static int take_zeros(struct copy_plan *p, uint64_t n, struct copy_piece *piece)
{
	piece->off = p->at;
	piece->len = n < ZEROS_MAX ? (size_t)n : ZEROS_MAX;
	piece->zeros = true;
	segment_advance(p, piece->len);
	return 1;
}

int copy_plan_next(struct copy_plan *p, size_t room, struct copy_piece *piece)
{
	int rc;

	piece->len = 0;
	piece->zeros = false;
	piece->compressed = false;
	while ((rc = segment_refill(p)) > 0) {
		bool data, dirty;
		uint64_t n = segment_part(p, &data), left;

		if (!marks_find(p->marks, p->at, &n, &dirty)) {
			rc = -1;
			break;
		}
		if (!(data && dirty) && piece->len != 0u)
			return 1;
		if (!data && dirty && p->zeros)
			return take_zeros(p, n, piece);
		if (!data || !dirty) {
			segment_advance(p, n);
			continue;
		}
		if (piece->len == 0u)
			piece->off = p->at;
		left = room - (size_t)(piece->off % room) - piece->len;
		if (n > left)
			n = left;
		piece->len += (size_t)n;
		piece->compressed |= (p->segment.flags & QCOW2_SEGMENT_COMPRESSED) != 0u;
		segment_advance(p, n);
		if (n == left)
			return 1;
	}
	/* The last piece comes before a failure: the next call fails in the same way. */
	return piece->len != 0u ? 1 : rc;
}
