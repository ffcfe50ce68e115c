/* SPDX-License-Identifier: MIT */
/*
 * Goes through everything in an image that refers to clusters of its file, and counts the
 * references. check.c calls this for one window of clusters after the other, and again to find the
 * owners of clusters.
 *
 * In the first pass it also checks the entries themselves. What can be said about an entry alone is
 * reported there, and what needs the refcount of its cluster in the pass that has the cluster.
 */
#include "walk.h"

enum { ENTRY_LEN = 8, SLICE_ENTRIES = Q2_SLICE_LEN / ENTRY_LEN, BITMAP_ENTRY_ALL_ONES = 1 };

/* qcow2.txt "L1 table entry", "Standard Cluster Descriptor", "Bitmap table". */
#define ENTRY_POS             UINT64_C(0x00fffffffffffe00)
#define ENTRY_COPIED          (UINT64_C(1) << 63)
#define ENTRY_COMPRESSED      (UINT64_C(1) << 62)
#define ENTRY_ZERO            UINT64_C(1)
#define L1_RESERVED           UINT64_C(0x7f000000000001ff)
#define L2_RESERVED           UINT64_C(0x3f000000000001fe)
#define BITMAP_ENTRY_RESERVED UINT64_C(0xff000000000001fe)
#define BLOCK_ENTRY_RESERVED  UINT64_C(0x1ff)

enum { BITS_LEN_MAX = 0x20000000 }; /* bytes of the bits of a bitmap; a limit of QEMU */

/* Where the header says where the tables are. */
enum { AT_L1 = 40, AT_REFCOUNT_TABLE = 48, AT_SNAPSHOTS = 64 };

static void first_report(struct qcow2_check *c, uint32_t code)
{
	if (q2_check_is_first(c))
		q2_check_report(c, code);
}

/* The next findings are about the reference to this owner, which is at pos. */
static void reference_at(struct qcow2_check *c, uint32_t owner, uint64_t pos)
{
	c->finding.owner = owner;
	c->finding.pos = pos;
}

static bool is_cluster_aligned(const struct qcow2_check *c, uint64_t pos)
{
	return ((uint32_t)pos & (c->image.cluster_len - 1u)) == 0u;
}

/* Does something in use begin behind the window? The next window begins at the lowest of these. */
static void note_next(struct qcow2_check *c, uint32_t cluster)
{
	if (cluster < c->window_end)
		cluster = c->window_end;
	if (cluster < c->next)
		c->next = cluster;
}

static bool is_in_window(const struct qcow2_check *c, uint32_t cluster)
{
	return cluster >= c->first && cluster < c->window_end;
}

static bool is_marked(const struct qcow2_check *c, uint32_t cluster)
{
	return (q2_counter_get(c, cluster) & Q2_COUNT_MARK) != 0u;
}

/* Something refers to a cluster of the window. */
static void refer_to_cluster(struct qcow2_check *c, uint32_t cluster)
{
	uint32_t counter = q2_counter_get(c, cluster);

	if (c->mode == Q2_WALK_COUNT) {
		if (c->wide == 0u && (counter & Q2_COUNT_MOST) == Q2_COUNT_MOST)
			c->saturated = true;
		else
			/* A wide counter stays at the most that it can count. */
			q2_counter_set(c, cluster,
			               counter + ((counter | Q2_COUNT_MARK) != UINT32_MAX));
	} else if ((counter & Q2_COUNT_MARK) != 0u) {
		c->finding.cluster = cluster;
		q2_check_report(c, QCOW2_CHECK_OWNER);
	}
}

/*
 * The entry in c->finding refers to the len bytes at pos. As in QEMU, a reference may end behind
 * the end of the file by less than a cluster, and one that does not is reported and not counted.
 */
static void refer(struct qcow2_check *c, uint64_t pos, uint64_t len)
{
	unsigned bits = c->image.cluster_bits;
	uint32_t cluster, last;

	if (len == 0u)
		return;
	if (pos > c->room || len > c->room - pos) {
		c->finding.value = pos;
		c->finding.length = len;
		first_report(c, QCOW2_CHECK_PAST_END);
		return;
	}
	cluster = (uint32_t)q2_shr64(pos, bits);
	last = (uint32_t)q2_shr64(pos + (len - 1u), bits);
	if (last >= c->window_end) {
		note_next(c, cluster);
		last = c->window_end - 1u;
	}
	if (cluster < c->first)
		cluster = c->first;
	for (; cluster <= last; cluster++)
		refer_to_cluster(c, cluster);
}

/*
 * Goes to the entry with this number of a table: c->finding gets it. Reads 64 entries at a time.
 * Returns false if the check is over, and behind the end of the file, where all entries are zeros.
 */
static bool entry_at(struct qcow2_check *c, uint32_t owner, uint64_t table, uint32_t index)
{
	uint32_t in_slice = index % SLICE_ENTRIES;
	uint64_t pos = table + (uint64_t)index * ENTRY_LEN;

	/* A table inside the file is below 2^63, so the sum does not wrap. */
	if (in_slice == 0u && (table >= c->image.io.size || pos >= c->image.io.size ||
	                       !q2_check_read(c, pos, c->slice, Q2_SLICE_LEN)))
		return false;
	reference_at(c, owner, pos);
	c->finding.index = index;
	c->finding.entry = q2_be64(c->slice + in_slice * ENTRY_LEN);
	return true;
}

/* ---- L1 and L2 tables ---- */

/*
 * "Bit 63: 1 if its refcount is exactly one". Compares the bit with the mark of the cluster's
 * counter, in the pass that has the cluster. Clusters behind the file have no counters, so their
 * refcounts are read. So is one that is wrong, for the report.
 */
static void check_copied(struct qcow2_check *c, uint32_t code, uint64_t pos)
{
	uint64_t cluster = q2_shr64(pos, c->image.cluster_bits);
	bool copied = (c->finding.entry & ENTRY_COPIED) != 0u;

	if (c->mode != Q2_WALK_COUNT || c->in_header)
		return;
	if (cluster > c->n_clusters) {
		if (!c->active || !q2_check_is_first(c))
			return;
	} else if (cluster >= c->window_end) {
		/* Also if it is past the end, and so not referred to. */
		note_next(c, (uint32_t)cluster);
		return;
	} else if ((uint32_t)cluster < c->first || (uint32_t)cluster < c->settled ||
	           is_marked(c, (uint32_t)cluster) == copied) {
		return;
	} else if (!c->active) {
		c->snapshot_copied++;
		return;
	}
	if (q2_check_refcounts(c, cluster, 1, &c->finding.refcount) &&
	    (c->finding.refcount == 1u) != copied)
		q2_check_report(c, code);
}

/*
 * "Compressed Clusters Descriptor": with x = 62 - (cluster_bits - 8), bits 0 to x-1 are the
 * position, and bits x to 61 the number of 512-byte sectors after the one in which the data begins.
 */
static void compressed_entry(struct qcow2_check *c)
{
	unsigned x = 38u - c->image.cluster_bits; /* as a bit of the high half */
	uint32_t high = (uint32_t)(c->finding.entry >> 32) & 0x3fffffff;
	uint32_t low = (uint32_t)c->finding.entry;
	uint32_t len = ((high >> x) + 1u) * 512u - low % 512u;
	uint64_t pos = ((uint64_t)(high - (high >> x << x)) << 32) + low;

	c->finding.owner = QCOW2_OWNER_COMPRESSED;
	c->finding.value = pos;
	if ((c->finding.entry & ENTRY_COPIED) != 0u) {
		first_report(c, QCOW2_CHECK_COMPRESSED_COPIED);
		c->finding.entry &= ~ENTRY_COPIED;
	}
	if (q2_has_external_data(&c->image)) {
		first_report(c, QCOW2_CHECK_COMPRESSED_EXTERNAL);
		return;
	}
	if (c->subclusters != 0u) {
		first_report(c, QCOW2_CHECK_COMPRESSED_SUBCLUSTERS);
		return;
	}
	/* The number of sectors may be too high, so only where the data begins is certain. */
	if (pos >= c->image.io.size && pos <= c->room && len <= c->room - pos)
		first_report(c, QCOW2_CHECK_COMPRESSED_OUTSIDE);
	refer(c, pos, len);
	if (c->active && q2_check_is_first(c)) {
		c->allocated++;
		c->compressed++;
		c->fragmented++;
	}
}

/* The cluster of a standard entry is at pos. */
static void placed_entry(struct qcow2_check *c, uint64_t pos, bool has_data)
{
	bool external = q2_has_external_data(&c->image);

	c->finding.value = pos;
	if (!is_cluster_aligned(c, pos))
		first_report(c, has_data ? QCOW2_CHECK_DATA_UNALIGNED : QCOW2_CHECK_ZERO_UNALIGNED);
	if (c->active && q2_check_is_first(c)) {
		c->allocated++;
		if (c->expected != 0u && c->expected != pos)
			c->fragmented++;
		c->expected = pos + c->image.cluster_len;
	}
	if (!external)
		refer(c, pos, c->image.cluster_len);
	else if (pos != c->guest)
		first_report(c, QCOW2_CHECK_EXTERNAL_OFFSET);
}

/* "Standard Cluster Descriptor". */
static void standard_entry(struct qcow2_check *c)
{
	uint64_t entry = c->finding.entry, pos = entry & ENTRY_POS;
	bool extended = q2_has_extended_l2(&c->image), external = q2_has_external_data(&c->image);
	bool zero = !extended && (entry & ENTRY_ZERO) != 0u;
	uint32_t data = (uint32_t)c->subclusters;

	if ((entry & (extended ? L2_RESERVED | ENTRY_ZERO : L2_RESERVED)) != 0u)
		first_report(c, QCOW2_CHECK_L2_RESERVED);
	if (zero && c->image.version < 3u)
		first_report(c, QCOW2_CHECK_ZERO_VERSION);
	/* The first cluster of an external data file is at position 0, and has bit 63. */
	if (pos == 0u && (zero || !external || (entry & ENTRY_COPIED) == 0u)) {
		if (data != 0u)
			first_report(c, QCOW2_CHECK_SUBCLUSTERS_NOWHERE);
		return;
	}
	if (!external) {
		check_copied(c, QCOW2_CHECK_L2_COPIED, pos);
	} else if ((entry & ENTRY_COPIED) == 0u && c->active && !c->in_header) {
		c->finding.refcount = 1; /* of every cluster of an external data file */
		first_report(c, QCOW2_CHECK_L2_COPIED);
	}
	c->finding.value = pos;
	if (((uint32_t)(c->subclusters >> 32) & data) != 0u)
		first_report(c, QCOW2_CHECK_SUBCLUSTERS);
	placed_entry(c, pos, extended ? data != 0u : !zero);
}

/*
 * Goes through a piece of an L2 table: the len bytes of c->buffer. c->finding has the position and
 * the index of the first entry, and in the end those of the entry after the last one.
 */
static void l2_entries(struct qcow2_check *c, uint32_t len)
{
	uint32_t step = UINT32_C(1) << c->image.l2_entry_bits;
	const uint8_t *raw = c->buffer, *end = raw + len;

	for (; raw < end; raw += step) {
		c->finding.entry = q2_be64(raw);
		c->subclusters = step > ENTRY_LEN ? q2_be64(raw + ENTRY_LEN) : 0u;
		c->finding.owner = QCOW2_OWNER_DATA;
		if ((c->finding.entry & ENTRY_COMPRESSED) != 0u)
			compressed_entry(c);
		else if ((c->finding.entry | c->subclusters) != 0u)
			standard_entry(c);
		c->finding.pos += step;
		c->finding.index++;
		c->guest += c->image.cluster_len;
	}
}

/* Goes through the L2 table at c->finding.value. */
static void walk_l2(struct qcow2_check *c)
{
	uint32_t left = c->image.cluster_len, piece = c->buffer_len;

	if (piece > left)
		piece = left;
	c->expected = 0;
	c->finding.pos = c->finding.value;
	c->finding.index = 0;
	for (; left != 0u && c->finding.pos < c->image.io.size; left -= piece) {
		if (!q2_check_read(c, c->finding.pos, c->buffer, piece))
			return;
		l2_entries(c, piece);
	}
}

/* c->finding has an L1 entry that is not 0. A bad one is followed nevertheless, as in QEMU. */
static void l1_entry(struct qcow2_check *c)
{
	uint64_t pos = c->finding.entry & ENTRY_POS, left = q2_left(c->image.io.size, pos);

	if ((c->finding.entry & L1_RESERVED) != 0u)
		first_report(c, QCOW2_CHECK_L1_RESERVED);
	refer(c, pos, c->image.cluster_len);
	c->finding.value = pos;
	if (!is_cluster_aligned(c, pos))
		first_report(c, QCOW2_CHECK_L2_UNALIGNED);
	if (left != 0u && left < c->image.cluster_len)
		first_report(c, QCOW2_CHECK_TABLE_CUT);
	/* QEMU follows an entry that has only flags, but does not compare these. */
	c->in_header = pos == 0u;
	check_copied(c, QCOW2_CHECK_L1_COPIED, pos);
	walk_l2(c);
}

static void walk_l1(struct qcow2_check *c, uint64_t table, uint32_t entries, bool active)
{
	uint32_t i;

	c->active = active;
	c->guest_table = 0;
	refer(c, table, (uint64_t)entries * ENTRY_LEN);
	for (i = 0; i < entries && entry_at(c, QCOW2_OWNER_L2, table, i); i++) {
		if (active)
			c->l1_done = i;
		if (i % SLICE_ENTRIES == 0u && c->step != NULL && c->step(c->ctx, c) != 0)
			c->ended = QCOW2_E_LIMIT;
		c->guest = c->guest_table;
		c->guest_table += q2_shr64(UINT64_MAX, 64u - c->image.l1_entry_bits) + 1u;
		if (c->finding.entry != 0u)
			l1_entry(c);
	}
}

/* ---- Snapshots ---- */

/* Goes through the tables of c->snapshot, whose entry is at pos. */
static void walk_snapshot(struct qcow2_check *c, uint64_t pos)
{
	const struct qcow2_snapshot *s = &c->snapshot;

	reference_at(c, QCOW2_OWNER_SNAPSHOT_L1, pos);
	c->finding.index = s->index;
	c->finding.value = s->l1_pos;
	if (c->image.version >= 3u && !s->has_disk_size)
		first_report(c, QCOW2_CHECK_SNAPSHOT_INCOMPLETE);
	if (!is_cluster_aligned(c, s->l1_pos)) {
		first_report(c, QCOW2_CHECK_SNAPSHOT_UNALIGNED);
		return;
	}
	c->finding.value = s->l1_entries;
	if (s->l1_entries > Q2_L1_ENTRIES_MAX) {
		first_report(c, QCOW2_CHECK_SNAPSHOT_TOO_BIG);
		return;
	}
	if (s->has_disk_size && s->disk_size != 0u &&
	    q2_shr64(s->disk_size - 1u, c->image.l1_entry_bits) >= s->l1_entries)
		first_report(c, QCOW2_CHECK_SNAPSHOT_SHORT);
	walk_l1(c, s->l1_pos, s->l1_entries, false);
}

static void walk_snapshots(struct qcow2_check *c)
{
	const struct qcow2_snapshot *previous = NULL;
	uint64_t pos = c->image.snapshots_pos;

	reference_at(c, QCOW2_OWNER_SNAPSHOT_TABLE, AT_SNAPSHOTS);
	c->finding.value = c->image.n_snapshots;
	if (c->image.n_snapshots != 0u && q2_has_external_data(&c->image))
		first_report(c, QCOW2_CHECK_SNAPSHOT_EXTERNAL);
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
	reference_at(c, QCOW2_OWNER_SNAPSHOT_TABLE, AT_SNAPSHOTS);
	refer(c, c->image.snapshots_pos, pos - c->image.snapshots_pos);
}

/* ---- Bitmaps, encryption ---- */

/* c->finding has an entry of a bitmap table. */
static void bitmap_entry(struct qcow2_check *c)
{
	uint64_t entry = c->finding.entry, pos = entry & ENTRY_POS;

	/* An entry without a place is all zeros or all ones, as bit 0 says. */
	if ((entry & BITMAP_ENTRY_RESERVED) != 0u || !is_cluster_aligned(c, pos) ||
	    (pos != 0u && (entry & BITMAP_ENTRY_ALL_ONES) != 0u))
		first_report(c, QCOW2_CHECK_BITMAP_ENTRY);
	else if (pos != 0u)
		refer(c, pos, c->image.cluster_len);
}

static void walk_bitmap(struct qcow2_check *c)
{
	uint64_t table = c->bitmap.table_pos;
	uint32_t i;

	reference_at(c, QCOW2_OWNER_BITMAP_TABLE, c->bitmap.pos);
	c->finding.index = c->bitmap.index;
	refer(c, table, (uint64_t)c->bitmap.table_entries * ENTRY_LEN);
	for (i = 0; i < c->bitmap.table_entries; i++) {
		if (!entry_at(c, QCOW2_OWNER_BITMAP_DATA, table, i))
			break;
		bitmap_entry(c);
	}
}

/* Reads two numbers of a header extension to c->finding: value and length. */
static bool extension_read(struct qcow2_check *c, uint32_t owner, uint32_t pos)
{
	reference_at(c, owner, pos);
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

	if (q2_bitmap_usable(bitmap) != QCOW2_OK || bitmap->name_len - 1u >= QCOW2_NAME_MAX ||
	    bitmap->table_pos == 0u ||
	    ((uint32_t)bitmap->table_pos & (image->cluster_len - 1u)) != 0u ||
	    bitmap->table_entries - 1u >= most)
		return false;
	return (bitmap->flags & QCOW2_BITMAP_IN_USE) != 0u ||
	       q2_bitmap_fits(image, bitmap) == QCOW2_OK;
}

/*
 * Goes through the bitmaps whose directory is at pos, up to the first that is invalid. Returns
 * QCOW2_E_NOT_FOUND if there is none, and nothing follows the last one.
 */
static int walk_directory(struct qcow2_check *c, uint64_t pos)
{
	const struct qcow2_bitmap *previous = NULL;
	int rc;

	if (!is_cluster_aligned(c, pos))
		return QCOW2_E_BITMAP;
	while (q2_check_spend(c, 2)) {
		rc = qcow2_bitmap_next(&c->image, previous, &c->bitmap, c->error);
		reference_at(c, QCOW2_OWNER_BITMAP_DIRECTORY, pos);
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
	refer(c, c->finding.length, c->finding.value);
	rc = walk_directory(c, c->finding.length);
	if (rc == QCOW2_E_IO)
		c->ended = rc;
	else if (rc != QCOW2_E_NOT_FOUND)
		first_report(c, QCOW2_CHECK_BITMAP_DIRECTORY);
}

/* "Full disk encryption header pointer": a position and a length. */
static void walk_crypto(struct qcow2_check *c)
{
	if (c->image.crypto.len != 0u && extension_read(c, QCOW2_OWNER_CRYPTO, c->image.crypto.pos))
		refer(c, c->finding.value, c->finding.length);
}

/* ---- Refcounts ---- */

/*
 * A refcount block at pos, which is aligned. Nothing else may refer to it, and no second entry of
 * the table. The refcount table comes last, so all other references have been counted.
 */
static void refer_to_block(struct qcow2_check *c, uint64_t pos)
{
	uint32_t cluster = (uint32_t)q2_shr64(pos, c->image.cluster_bits);
	uint32_t most = q2_refcount_most(&c->image), n;

	refer(c, pos, c->image.cluster_len);
	if (c->mode != Q2_WALK_COUNT || !is_in_window(c, cluster) || cluster < c->blocks_settled)
		return;
	n = q2_counter_get(c, cluster) & ~Q2_COUNT_MARK;
	c->finding.cluster = cluster;
	c->finding.references = n < most ? n : most;
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
	else if (!is_cluster_aligned(c, pos))
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

	reference_at(c, QCOW2_OWNER_REFCOUNT_TABLE, AT_REFCOUNT_TABLE);
	refer(c, c->image.refcount_table_pos, (uint64_t)n * ENTRY_LEN);
	for (i = 0; i < n; i++, first += each) {
		if (!entry_at(c, QCOW2_OWNER_REFCOUNT_BLOCK, c->image.refcount_table_pos, i))
			break;
		if (c->finding.entry == 0u)
			continue;
		if (first + each > c->window_end && c->window_end < c->n_clusters &&
		    first < c->n_clusters)
			note_next(c, (uint32_t)first);
		block_entry(c);
	}
	c->blocks_settled = c->window_end;
}

void q2_check_walk(struct qcow2_check *c)
{
	reference_at(c, QCOW2_OWNER_HEADER, 0);
	refer(c, 0, c->image.cluster_len);
	reference_at(c, QCOW2_OWNER_L1, AT_L1);
	walk_l1(c, c->image.l1_pos, c->image.l1_entries, true);
	walk_snapshots(c);
	walk_crypto(c);
	walk_bitmaps(c);
}
