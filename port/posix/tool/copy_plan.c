/* SPDX-License-Identifier: MIT */
/*
 * What of a disk has to be copied: its data, in rising order, in pieces of a size to be read at
 * once. What reads as zeros is left out, and so are holes in the file that data lies in.
 */
#include "tool.h"

void copy_plan_begin(struct copy_plan *p, struct qcow2 *q)
{
	p->q = q;
	p->at = 0;
	p->segment.length = 0;
	p->known_len = 0;
}

/* Looks for holes, once for each part of a file that is all hole or all data. */
static uint64_t known_part(struct copy_plan *p, bool *hole)
{
	const struct qcow2_segment *s = &p->segment;
	uint64_t before = s->file_offset - p->known_from;

	if (p->known_fd != s->fd || before >= p->known_len) {
		p->known_fd = s->fd;
		p->known_from = s->file_offset;
		p->known_len = hole_find(s->fd, s->file_offset, INT64_MAX, &p->known_hole);
		before = 0;
	}
	*hole = p->known_hole;
	return p->known_len - before < s->length ? p->known_len - before : s->length;
}

/* How many bytes from the start of the segment are all data, or all to be left out? */
static uint64_t segment_part(struct copy_plan *p, bool *data)
{
	const struct qcow2_segment *s = &p->segment;
	uint64_t n = s->length;
	bool hole = false;

	*data = (s->flags & QCOW2_SEGMENT_DATA) != 0u;
	if (*data && (s->flags & QCOW2_SEGMENT_AT) != 0u)
		n = known_part(p, &hole);
	*data = *data && !hole;
	return n;
}

static void segment_advance(struct copy_plan *p, uint64_t n)
{
	p->at += n;
	p->segment.length -= n;
	p->segment.file_offset += n;
}

int copy_plan_next(struct copy_plan *p, size_t room, struct piece *piece)
{
	piece->len = 0;
	piece->compressed = false;
	for (;;) {
		uint64_t n, left;
		bool data;

		if (p->segment.length == 0u) {
			int rc = qcow2_map(p->q, p->at, UINT64_MAX, &p->segment);

			if (rc <= 0)
				return piece->len != 0u ? 1 : rc; /* a failure comes again */
		}
		n = segment_part(p, &data);
		if (!data && piece->len != 0u)
			return 1;
		if (!data) {
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
}
