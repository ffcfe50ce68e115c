/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The part of a check that finds what `qemu-img check` passes over. All of it follows from an entry
 * or a header alone, so it is done in the first pass. Only programs that give it to the check link
 * it.
 */
#include "walk.h"

static void strict_header(struct qcow2_check *c)
{
	if ((c->image.incompatible & QCOW2_INCOMPATIBLE_DIRTY) != 0u)
		q2_check_report(c, QCOW2_CHECK_DIRTY);
	if ((c->image.incompatible & QCOW2_INCOMPATIBLE_CORRUPT) != 0u)
		q2_check_report(c, QCOW2_CHECK_MARKED_CORRUPT);
}

static void strict_snapshot(struct qcow2_check *c)
{
	const struct qcow2_snapshot *s = &c->snapshot;

	/* The check does not go through a table with one of these faults, and reports it. */
	if (!q2_check_is_aligned(c, s->l1_pos) || s->l1_entries > Q2_L1_ENTRIES_MAX)
		return;
	if (s->has_disk_size && s->disk_size != 0u &&
	    q2_shr64(s->disk_size - 1u, c->image.l1_entry_bits) >= s->l1_entries)
		q2_check_report(c, QCOW2_CHECK_SNAPSHOT_SHORT);
}

/* c->finding has an L1 entry, and `value` is where it leads. */
static void strict_l1_entry(struct qcow2_check *c)
{
	uint64_t left = q2_left(c->image.io.size, c->finding.value);

	if (left != 0u && left < c->cluster_len)
		q2_check_report(c, QCOW2_CHECK_TABLE_CUT);
}

/* The number of sectors may be too high, so only where the data begins is certain. */
static void strict_compressed(struct qcow2_check *c)
{
	uint64_t past;

	if (q2_has_external_data(&c->image) || c->subclusters != 0u)
		return;
	q2_check_compressed(c);
	past = c->finding.value - c->image.io.size;
	if (c->finding.value >= c->image.io.size && past + c->finding.length < c->cluster_len)
		q2_check_report(c, QCOW2_CHECK_COMPRESSED_OUTSIDE);
}

/* "External data file": the offset in the file is that in the disk. */
static void strict_external(struct qcow2_check *c)
{
	uint64_t pos = c->finding.value;
	unsigned up = 32u - (c->image.l1_entry_bits - c->image.cluster_bits);
	/* The number of the cluster in the disk. */
	uint64_t guest = q2_shr64((uint64_t)(c->table.index - 1u) << 32, up) + c->finding.index;

	if (!q2_check_is_aligned(c, pos) || q2_shr64(pos, c->image.cluster_bits) != guest)
		q2_check_report(c, QCOW2_CHECK_EXTERNAL_OFFSET);
}

static void strict_standard(struct qcow2_check *c)
{
	bool zero = (c->finding.entry & c->zero_bit) != 0u, copied = c->finding.entry >> 63 != 0u;

	if (zero && c->image.version < 3u)
		q2_check_report(c, QCOW2_CHECK_ZERO_VERSION);
	/* The first cluster of an external data file is at position 0, and has bit 63. */
	if (q2_has_external_data(&c->image) && (c->finding.value != 0u || (!zero && copied)))
		strict_external(c);
}

static void strict_l2_entry(struct qcow2_check *c)
{
	if ((c->finding.entry & Q2_CHECK_COMPRESSED) != 0u)
		strict_compressed(c);
	else
		strict_standard(c);
}

void qcow2_check_strict(struct qcow2_check *check)
{
	check->finding.value = check->finding.entry & Q2_CHECK_ENTRY_POS;
	if (check->finding.owner == QCOW2_OWNER_HEADER)
		strict_header(check);
	else if (check->finding.owner == QCOW2_OWNER_SNAPSHOT_L1)
		strict_snapshot(check);
	else if (check->finding.owner == QCOW2_OWNER_L2 && check->finding.entry != 0u)
		strict_l1_entry(check);
	else if (check->finding.owner == QCOW2_OWNER_DATA)
		strict_l2_entry(check);
}
