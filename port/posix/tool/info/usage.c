/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Counts how much of a disk an image holds.
 *
 * With tables in the page cache, a walk through them takes less than a second even if a large disk
 * is full. From a slow medium, or in an image that is made to take long, it may take minutes; so it
 * stops after a second. Images with few segments never stop, however slow the machine is.
 */
#include "usage.h"

#include <string.h>

#include "../disk/damage.h"
#include "../show/progress.h"

enum {
	TABLES_AT_ONCE = 4, /* how many L2 tables a call of the library reads at most */
	STEPS_MIN = 64      /* steps that are taken in any case */
};

/* How much of the disk a call may go through; a huge one has at least a bounded number of calls. */
static uint64_t step_least(struct qcow2 *q)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	uint64_t cluster;

	if (qcow2_get_info(q, 0, &info) != 0 || info.cluster_size == 0u)
		return UINT64_MAX;
	cluster = info.cluster_size;
	return cluster * (cluster / 8u) * TABLES_AT_ONCE;
}

static void usage_add(struct usage *u, const struct qcow2_segment *s)
{
	if (s->depth != 0u || (s->flags & QCOW2_SEGMENT_PRESENT) == 0u)
		return;
	if ((s->flags & QCOW2_SEGMENT_ZERO) != 0u)
		u->zero += s->length;
	if ((s->flags & QCOW2_SEGMENT_DATA) != 0u)
		u->data += s->length;
	if ((s->flags & QCOW2_SEGMENT_COMPRESSED) != 0u)
		u->compressed += s->length;
}

static void usage_add_damage(struct usage *u, uint64_t length)
{
	if (u->damaged == 0u)
		memcpy(u->damage, qcow2_last_failure()->message, sizeof u->damage);
	u->damaged += length;
}

/* Where there is nothing, the next step may be longer: few tables are read. */
static uint64_t next_step(uint64_t step, uint64_t least, const struct qcow2_segment *s)
{
	if (s->flags != QCOW2_SEGMENT_ZERO || s->length != step)
		return least;
	return step <= UINT64_MAX / 2u ? 2u * step : step;
}

bool usage_count(struct qcow2 *q, bool whole, struct usage *u)
{
	uint64_t least = step_least(q), step = least;
	double end = progress_clock() + 1;
	struct qcow2_segment s;
	bool damaged;
	uint64_t n;
	int rc;

	memset(u, 0, sizeof *u);
	past_end_begin(&u->past_end);
	for (n = 0; (rc = damage_map(q, u->scanned, step, &s, &damaged)) > 0; n++) {
		if (damaged) {
			usage_add_damage(u, s.length);
		} else {
			usage_add(u, &s);
			past_end_look(&u->past_end, q, &s);
		}
		u->scanned += s.length;
		step = next_step(step, least, &s);
		if (!whole && n >= STEPS_MIN && progress_clock() >= end)
			break;
	}
	return rc >= 0;
}
