/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which parts of the disk the bitmaps of --bitmap mark as dirty.
 */
#include "marks.h"

#include <stdlib.h>
#include <string.h>

#include "open.h"

int marks_begin(struct marks *m, const struct args *args, struct qcow2 *q)
{
	memset(m, 0, sizeof *m);
	m->q = q;
	if (args->n_bitmaps != 0u &&
	    qcow2_find_bitmaps(q, args->bitmaps, args->n_bitmaps,
	                       args->inconsistent ? QCOW2_BITMAPS_IN_USE : 0u, &m->set) != 0)
		return tool_failed(args);
	return EXIT_OK;
}

void marks_end(struct marks *m)
{
	free(m->set);
	m->set = NULL;
}

bool marks_find(struct marks *m, uint64_t off, uint64_t *len, bool *dirty)
{
	struct qcow2_dirty_range *r;
	uint64_t left;

	*dirty = true;
	if (m == NULL || m->set == NULL)
		return true;
	r = &m->range;
	/* The difference is huge if off is before the range. */
	if (off - r->start >= r->length && qcow2_map_bitmaps(m->q, m->set, off, UINT64_MAX, r) <= 0)
		return false;
	left = r->length - (off - r->start);
	*dirty = r->dirty != 0;
	if (*len > left)
		*len = left;
	return true;
}
