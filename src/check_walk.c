/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Goes through everything in an image that refers to clusters of its file, and counts the
 * references. check.c calls this for one window of clusters after the other, and again to find the
 * owners of clusters. check_map.c goes through the L1 and L2 tables.
 *
 * In the first pass it also checks the entries themselves. A fault of an entry alone is reported
 * there; one that shows only by the refcount of its cluster, in the pass that has the cluster.
 */
#include "walk.h"

/* qcow2.txt "Refcount table entry". */
#define BLOCK_ENTRY_RESERVED UINT64_C(0x1ff)

/* Where the header says where the tables are. */
enum { AT_L1 = 40, AT_REFCOUNT_TABLE = 48, AT_SNAPSHOTS = 64 };

/* ---- Snapshots ---- */

/* Goes through the tables of c->snapshot. */
static void walk_snapshot(struct qcow2_check *c)
{
	const struct qcow2_snapshot *s = &c->snapshot;

	q2_check_at(c, QCOW2_OWNER_SNAPSHOT_L1, s->pos);
	c->finding.index = s->index;
	q2_check_strictly(c);
	c->finding.value = s->l1_pos;
	if (c->image.version >= 3u && !s->has_disk_size)
		q2_check_report_first(c, QCOW2_CHECK_SNAPSHOT_INCOMPLETE);
	if (!q2_check_is_aligned(c, s->l1_pos)) {
		q2_check_report_first(c, QCOW2_CHECK_SNAPSHOT_UNALIGNED);
		return;
	}
	c->finding.value = s->l1_entries;
	if (s->l1_entries > Q2_L1_ENTRIES_MAX) {
		q2_check_report_first(c, QCOW2_CHECK_SNAPSHOT_TOO_BIG);
		return;
	}
	q2_check_walk_l1(c, s->l1_entries, s->l1_pos);
}

static void walk_snapshots(struct qcow2_check *c)
{
	const struct qcow2_snapshot *previous = NULL;
	uint32_t left = c->image.n_snapshots;

	if (left == 0u)
		return;
	q2_check_at(c, QCOW2_OWNER_SNAPSHOT_TABLE, AT_SNAPSHOTS);
	c->finding.value = left;
	if (q2_has_external_data(&c->image))
		q2_check_report_first(c, QCOW2_CHECK_SNAPSHOT_EXTERNAL);
	c->active = 0;
	for (; left != 0u; left--) {
		int rc;

		if (!q2_check_spend(c, 2))
			return;
		rc = qcow2_snapshot_next(&c->image, previous, &c->snapshot, c->error);
		if (rc != QCOW2_OK) {
			c->ended = rc;
			return;
		}
		walk_snapshot(c);
		previous = &c->snapshot;
	}
	q2_check_at(c, QCOW2_OWNER_SNAPSHOT_TABLE, AT_SNAPSHOTS);
	c->finding.value = c->image.snapshots_pos;
	c->finding.length = c->snapshot.next_pos - c->image.snapshots_pos;
	q2_check_refer(c);
}

/* ---- Encryption ---- */

/* "Full disk encryption header pointer": a position and a length. */
static void walk_crypto(struct qcow2_check *c)
{
	if (c->image.crypto.len != 0u && q2_check_pair(c, QCOW2_OWNER_CRYPTO, c->image.crypto.pos))
		q2_check_refer(c);
}

/* ---- Refcounts ---- */

/*
 * The refcount block at c->finding.value, which is aligned. Nothing else may refer to it, and no
 * second entry of the table. The refcount table comes last, so all other references have been
 * counted. If short counters do not suffice, they have reported what they could count, and wide
 * ones report the rest.
 */
static void refer_to_block(struct qcow2_check *c)
{
	uint32_t cluster = (uint32_t)q2_shr64(c->finding.value, c->image.cluster_bits), n;

	q2_check_refer_cluster(c);
	if (cluster < c->first || cluster >= c->window_end)
		return;
	n = q2_counter_get(c, cluster) / Q2_COUNT_ONE;
	if (n < Q2_COUNT_SHORT_MOST ? cluster < c->settled : c->wide == 0u)
		return;
	if (n > c->most)
		n = c->most;
	c->finding.cluster = cluster;
	c->finding.references = n;
	/* Refcounts of one bit cannot tell. */
	if (n != 1u)
		q2_check_report(c, QCOW2_CHECK_BLOCK_SHARED);
}

/* c->finding has an entry of the refcount table that is not 0. */
static void block_entry(struct qcow2_check *c)
{
	uint64_t pos = c->finding.entry;

	c->finding.value = pos;
	if ((pos & BLOCK_ENTRY_RESERVED) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_BLOCK_RESERVED);
	else if (!q2_check_is_aligned(c, pos))
		q2_check_report_first(c, QCOW2_CHECK_BLOCK_UNALIGNED);
	else if (pos >= c->image.io.size)
		q2_check_report_first(c, QCOW2_CHECK_BLOCK_OUTSIDE);
	else
		refer_to_block(c);
}

static void walk_refcounts(struct qcow2_check *c)
{
	unsigned bits = c->image.cluster_bits + 3u - c->image.refcount_order;

	q2_check_at(c, QCOW2_OWNER_REFCOUNT_TABLE, AT_REFCOUNT_TABLE);
	q2_check_table(c, c->image.refcount_table_clusters << (c->image.cluster_bits - 3u),
	               c->image.refcount_table_pos, QCOW2_OWNER_REFCOUNT_BLOCK);
	while (q2_check_next(c, &c->table)) {
		uint32_t block = c->finding.index;

		if (c->finding.entry == 0u)
			continue;
		/* The refcounts of clusters that the file has must be compared. */
		if (block >= c->window_end >> bits && block <= c->n_clusters >> bits)
			q2_check_note_next(c, block << bits);
		block_entry(c);
	}
}

void q2_check_walk(struct qcow2_check *c)
{
	q2_check_at(c, QCOW2_OWNER_HEADER, 0);
	q2_check_strictly(c);
	c->finding.value = 0;
	q2_check_refer_cluster(c);
	q2_check_at(c, QCOW2_OWNER_L1, AT_L1);
	c->active = 1;
	q2_check_walk_l1(c, c->image.l1_entries, c->image.l1_pos);
	walk_snapshots(c);
	walk_crypto(c);
	if (c->image.bitmaps.len != 0u)
		c->bitmaps(c);
	walk_refcounts(c);
}
