/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Goes through everything in an image that refers to clusters of its file, and counts the
 * references. check.c calls this for one window of clusters after the other, and again to find the
 * owners of clusters. check_map.c goes through the L1 and L2 tables.
 *
 * In the first pass it also checks the entries themselves. What can be said about an entry alone is
 * reported there, and what needs the refcount of its cluster in the pass that has the cluster.
 */
#include "walk.h"

enum { BITMAP_ENTRY_ALL_ONES = 1 };

/* qcow2.txt "Bitmap table", "Refcount table entry". */
#define BITMAP_ENTRY_RESERVED UINT64_C(0xff000000000001fe)
#define BLOCK_ENTRY_RESERVED  UINT64_C(0x1ff)

enum { BITS_LEN_MAX = 0x20000000 }; /* bytes of the bits of a bitmap; a limit of QEMU */

/* Where the header says where the tables are. */
enum { AT_L1 = 40, AT_REFCOUNT_TABLE = 48, AT_SNAPSHOTS = 64 };

/* ---- Snapshots ---- */

/* Goes through the tables of c->snapshot, whose entry is at pos. */
static void walk_snapshot(struct qcow2_check *c, uint64_t pos)
{
	const struct qcow2_snapshot *s = &c->snapshot;

	q2_check_at(c, QCOW2_OWNER_SNAPSHOT_L1, pos);
	c->finding.index = s->index;
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
	if (s->has_disk_size && s->disk_size != 0u &&
	    q2_shr64(s->disk_size - 1u, c->image.l1_entry_bits) >= s->l1_entries)
		q2_check_report_first(c, QCOW2_CHECK_SNAPSHOT_SHORT);
	q2_check_walk_l1(c, s->l1_pos, s->l1_entries, false);
}

static void walk_snapshots(struct qcow2_check *c)
{
	const struct qcow2_snapshot *previous = NULL;
	uint64_t pos = c->image.snapshots_pos;

	q2_check_at(c, QCOW2_OWNER_SNAPSHOT_TABLE, AT_SNAPSHOTS);
	c->finding.value = c->image.n_snapshots;
	if (c->image.n_snapshots != 0u && q2_has_external_data(&c->image))
		q2_check_report_first(c, QCOW2_CHECK_SNAPSHOT_EXTERNAL);
	while (q2_check_spend(c, 2)) {
		int rc = qcow2_snapshot_next(&c->image, previous, &c->snapshot, c->error);

		if (rc == QCOW2_E_NOT_FOUND)
			break;
		if (rc != QCOW2_OK) {
			c->ended = rc;
			return;
		}
		previous = &c->snapshot;
		walk_snapshot(c, pos);
		pos = c->snapshot.next_pos;
	}
	q2_check_at(c, QCOW2_OWNER_SNAPSHOT_TABLE, AT_SNAPSHOTS);
	q2_check_refer(c, c->image.snapshots_pos, pos - c->image.snapshots_pos);
}

/* ---- Bitmaps, encryption ---- */

/* c->finding has an entry of a bitmap table. */
static void bitmap_entry(struct qcow2_check *c)
{
	uint64_t entry = c->finding.entry, pos = entry & Q2_CHECK_ENTRY_POS;

	/* An entry without a place is all zeros or all ones, as bit 0 says. */
	if ((entry & BITMAP_ENTRY_RESERVED) != 0u || !q2_check_is_aligned(c, pos) ||
	    (pos != 0u && (entry & BITMAP_ENTRY_ALL_ONES) != 0u))
		q2_check_report_first(c, QCOW2_CHECK_BITMAP_ENTRY);
	else if (pos != 0u)
		q2_check_refer(c, pos, c->image.cluster_len);
}

static void walk_bitmap(struct qcow2_check *c)
{
	uint64_t table = c->bitmap.table_pos;
	uint32_t i;

	q2_check_at(c, QCOW2_OWNER_BITMAP_TABLE, c->bitmap.pos);
	c->finding.index = c->bitmap.index;
	q2_check_refer(c, table, (uint64_t)c->bitmap.table_entries * Q2_CHECK_ENTRY_LEN);
	for (i = 0; i < c->bitmap.table_entries; i++) {
		if (!q2_check_entry(c, QCOW2_OWNER_BITMAP_DATA, table, i))
			break;
		bitmap_entry(c);
	}
}

/* Reads two numbers of a header extension to c->finding: value and length. */
static bool extension_read(struct qcow2_check *c, uint32_t owner, uint32_t pos)
{
	q2_check_at(c, owner, pos);
	if (!q2_check_read(c, pos, c->slice, 16))
		return false;
	c->finding.value = q2_be64(c->slice);
	c->finding.length = q2_be64(c->slice + 8);
	return true;
}

/*
 * Does QEMU open an image that has this entry in its directory? A bitmap that is in use need not
 * fit the disk, whose size may have changed.
 */
static bool directory_entry_is_valid(const struct qcow2_image *image,
                                     const struct qcow2_bitmap *bitmap)
{
	uint32_t most = (uint32_t)BITS_LEN_MAX >> image->cluster_bits;
	bool in_use = (bitmap->flags & QCOW2_BITMAP_IN_USE) != 0u;

	return q2_bitmap_check(image, bitmap, !in_use) == QCOW2_OK &&
	       bitmap->name_len - 1u < QCOW2_NAME_MAX && bitmap->table_pos != 0u &&
	       ((uint32_t)bitmap->table_pos & (image->cluster_len - 1u)) == 0u &&
	       bitmap->table_entries - 1u < most;
}

/*
 * Goes through the bitmaps whose directory is at pos, up to the first that is invalid. Returns
 * QCOW2_E_NOT_FOUND if there is none, and nothing follows the last one.
 */
static int walk_directory(struct qcow2_check *c, uint64_t pos)
{
	const struct qcow2_bitmap *previous = NULL;

	if (!q2_check_is_aligned(c, pos))
		return QCOW2_E_BITMAP;
	while (q2_check_spend(c, 2)) {
		int rc = qcow2_bitmap_next(&c->image, previous, &c->bitmap, c->error);

		q2_check_at(c, QCOW2_OWNER_BITMAP_DIRECTORY, pos);
		if (rc == QCOW2_E_NOT_FOUND && (previous == NULL || previous->left != 0u))
			return QCOW2_E_BITMAP;
		if (rc != QCOW2_OK)
			return rc;
		if (!directory_entry_is_valid(&c->image, &c->bitmap))
			return QCOW2_E_BITMAP;
		walk_bitmap(c);
		pos = c->bitmap.next_pos;
		previous = &c->bitmap;
	}
	return QCOW2_E_NOT_FOUND;
}

/* "Bitmaps extension": the length of the directory is at byte 8, and its position behind it. */
static void walk_bitmaps(struct qcow2_check *c)
{
	int rc;

	if (c->image.bitmaps.len == 0u || (c->image.autoclear & QCOW2_AUTOCLEAR_BITMAPS) == 0u ||
	    !extension_read(c, QCOW2_OWNER_BITMAP_DIRECTORY, c->image.bitmaps.pos + 8u))
		return;
	q2_check_refer(c, c->finding.length, c->finding.value);
	rc = walk_directory(c, c->finding.length);
	if (rc == QCOW2_E_IO)
		c->ended = rc;
	else if (rc != QCOW2_E_NOT_FOUND)
		q2_check_report_first(c, QCOW2_CHECK_BITMAP_DIRECTORY);
}

/* "Full disk encryption header pointer": a position and a length. */
static void walk_crypto(struct qcow2_check *c)
{
	if (c->image.crypto.len != 0u && extension_read(c, QCOW2_OWNER_CRYPTO, c->image.crypto.pos))
		q2_check_refer(c, c->finding.value, c->finding.length);
}

/* ---- Refcounts ---- */

static bool is_in_window(const struct qcow2_check *c, uint32_t cluster)
{
	return cluster >= c->first && cluster < c->window_end;
}

/*
 * A refcount block at pos, which is aligned. Nothing else may refer to it, and no second entry of
 * the table. The refcount table comes last, so all other references have been counted. If short
 * counters do not suffice, they have reported what they could count, and wide ones report the rest.
 */
static void refer_to_block(struct qcow2_check *c, uint64_t pos)
{
	uint32_t cluster = (uint32_t)q2_shr64(pos, c->image.cluster_bits);
	uint32_t most = q2_refcount_most(&c->image), n = 0;
	bool counts = c->mode == Q2_WALK_COUNT && is_in_window(c, cluster);

	if (counts)
		n = q2_counter_get(c, cluster) & ~Q2_COUNT_MARK;
	q2_check_refer(c, pos, c->image.cluster_len);
	if (!counts || (n >= Q2_COUNT_MOST ? c->wide == 0u : cluster < c->blocks_settled))
		return;
	c->finding.cluster = cluster;
	c->finding.references = n < most ? n + 1u : most;
	/* Refcounts of one bit cannot tell. */
	if (c->finding.references != 1u)
		q2_check_report(c, QCOW2_CHECK_BLOCK_SHARED);
}

/* Bad entries of the refcount table are reported when it is first gone through. */
static void block_report(struct qcow2_check *c, uint32_t code)
{
	if (c->blocks_settled == 0u)
		q2_check_report(c, code);
}

/* c->finding has an entry of the refcount table that is not 0. */
static void block_entry(struct qcow2_check *c)
{
	uint64_t pos = c->finding.entry;

	if ((pos & BLOCK_ENTRY_RESERVED) != 0u)
		block_report(c, QCOW2_CHECK_BLOCK_RESERVED);
	else if (!q2_check_is_aligned(c, pos))
		block_report(c, QCOW2_CHECK_BLOCK_UNALIGNED);
	else if (pos >= c->image.io.size)
		block_report(c, QCOW2_CHECK_BLOCK_OUTSIDE);
	else
		refer_to_block(c, pos);
}

void q2_check_walk_refcounts(struct qcow2_check *c)
{
	uint32_t n = c->image.refcount_table_clusters << (c->image.cluster_bits - 3u), i;
	uint32_t each = 8u * c->image.cluster_len >> c->image.refcount_order;
	uint64_t first = 0; /* of the clusters whose refcounts the block has */

	q2_check_at(c, QCOW2_OWNER_REFCOUNT_TABLE, AT_REFCOUNT_TABLE);
	q2_check_refer(c, c->image.refcount_table_pos, (uint64_t)n * Q2_CHECK_ENTRY_LEN);
	for (i = 0; i < n; i++, first += each) {
		if (!q2_check_entry(c, QCOW2_OWNER_REFCOUNT_BLOCK, c->image.refcount_table_pos, i))
			break;
		if (c->finding.entry == 0u)
			continue;
		if (first + each > c->window_end && c->window_end < c->n_clusters &&
		    first < c->n_clusters)
			q2_check_note_next(c, (uint32_t)first);
		block_entry(c);
	}
	if (c->blocks_settled < c->window_end)
		c->blocks_settled = c->window_end;
}

void q2_check_walk(struct qcow2_check *c)
{
	q2_check_at(c, QCOW2_OWNER_HEADER, 0);
	q2_check_refer(c, 0, c->image.cluster_len);
	q2_check_at(c, QCOW2_OWNER_L1, AT_L1);
	q2_check_walk_l1(c, c->image.l1_pos, c->image.l1_entries, true);
	walk_snapshots(c);
	walk_crypto(c);
	walk_bitmaps(c);
}
