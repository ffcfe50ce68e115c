/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Goes through the L1 and L2 tables of the disk or of a snapshot for a check: refers to what the
 * entries map, and checks the entries themselves.
 */
#include "walk.h"

/* qcow2.txt "L1 table entry", "Standard Cluster Descriptor". */
#define ENTRY_COPIED     (UINT64_C(1) << 63)
#define ENTRY_COMPRESSED (UINT64_C(1) << 62)
#define ENTRY_ZERO       UINT64_C(1)
#define L1_RESERVED      UINT64_C(0x7f000000000001ff)
#define L2_RESERVED      UINT64_C(0x3f000000000001fe)

static bool is_marked(const struct qcow2_check *c, uint32_t cluster)
{
	return (q2_counter_get(c, cluster) & Q2_COUNT_MARK) != 0u;
}

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
		q2_check_note_next(c, (uint32_t)cluster);
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
		q2_check_report_first(c, QCOW2_CHECK_COMPRESSED_COPIED);
		c->finding.entry &= ~ENTRY_COPIED;
	}
	if (q2_has_external_data(&c->image)) {
		q2_check_report_first(c, QCOW2_CHECK_COMPRESSED_EXTERNAL);
		return;
	}
	if (c->subclusters != 0u) {
		q2_check_report_first(c, QCOW2_CHECK_COMPRESSED_SUBCLUSTERS);
		return;
	}
	/* The number of sectors may be too high, so only where the data begins is certain. */
	if (pos >= c->image.io.size && pos <= c->room && len <= c->room - pos)
		q2_check_report_first(c, QCOW2_CHECK_COMPRESSED_OUTSIDE);
	q2_check_refer(c, pos, len);
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
	if (!q2_check_is_aligned(c, pos))
		q2_check_report_first(c, has_data ? QCOW2_CHECK_DATA_UNALIGNED
		                                  : QCOW2_CHECK_ZERO_UNALIGNED);
	if (c->active && q2_check_is_first(c)) {
		c->allocated++;
		if (c->expected != 0u && c->expected != pos)
			c->fragmented++;
		c->expected = pos + c->image.cluster_len;
	}
	if (!external)
		q2_check_refer(c, pos, c->image.cluster_len);
	else if (pos != c->guest)
		q2_check_report_first(c, QCOW2_CHECK_EXTERNAL_OFFSET);
}

/* "Standard Cluster Descriptor". */
static void standard_entry(struct qcow2_check *c)
{
	uint64_t entry = c->finding.entry, pos = entry & Q2_CHECK_ENTRY_POS;
	bool extended = q2_has_extended_l2(&c->image), external = q2_has_external_data(&c->image);
	bool zero = !extended && (entry & ENTRY_ZERO) != 0u;
	uint32_t data = (uint32_t)c->subclusters;

	if ((entry & (extended ? L2_RESERVED | ENTRY_ZERO : L2_RESERVED)) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_L2_RESERVED);
	if (zero && c->image.version < 3u)
		q2_check_report_first(c, QCOW2_CHECK_ZERO_VERSION);
	/* The first cluster of an external data file is at position 0, and has bit 63. */
	if (pos == 0u && (zero || !external || (entry & ENTRY_COPIED) == 0u)) {
		if (data != 0u)
			q2_check_report_first(c, QCOW2_CHECK_SUBCLUSTERS_NOWHERE);
		return;
	}
	if (!external) {
		check_copied(c, QCOW2_CHECK_L2_COPIED, pos);
	} else if ((entry & ENTRY_COPIED) == 0u && c->active && !c->in_header) {
		c->finding.refcount = 1; /* of every cluster of an external data file */
		q2_check_report_first(c, QCOW2_CHECK_L2_COPIED);
	}
	c->finding.value = pos;
	if (((uint32_t)(c->subclusters >> 32) & data) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_SUBCLUSTERS);
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
		c->subclusters = step > Q2_CHECK_ENTRY_LEN ? q2_be64(raw + Q2_CHECK_ENTRY_LEN) : 0u;
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
	uint64_t pos = c->finding.entry & Q2_CHECK_ENTRY_POS, left = q2_left(c->image.io.size, pos);

	if ((c->finding.entry & L1_RESERVED) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_L1_RESERVED);
	q2_check_refer(c, pos, c->image.cluster_len);
	c->finding.value = pos;
	if (!q2_check_is_aligned(c, pos))
		q2_check_report_first(c, QCOW2_CHECK_L2_UNALIGNED);
	if (left != 0u && left < c->image.cluster_len)
		q2_check_report_first(c, QCOW2_CHECK_TABLE_CUT);
	/* QEMU follows an entry that has only flags, but does not compare these. */
	c->in_header = pos == 0u;
	check_copied(c, QCOW2_CHECK_L1_COPIED, pos);
	walk_l2(c);
}

void q2_check_walk_l1(struct qcow2_check *c, uint64_t table, uint32_t entries, bool active)
{
	uint32_t i;

	c->active = active;
	c->guest_table = 0;
	q2_check_refer(c, table, (uint64_t)entries * Q2_CHECK_ENTRY_LEN);
	for (i = 0; i < entries && q2_check_entry(c, QCOW2_OWNER_L2, table, i); i++) {
		if (active)
			c->l1_done = i;
		if (i % Q2_CHECK_SLICE_ENTRIES == 0u && c->step != NULL && c->step(c->ctx, c) != 0)
			c->ended = QCOW2_E_LIMIT;
		c->guest = c->guest_table;
		c->guest_table += q2_shr64(UINT64_MAX, 64u - c->image.l1_entry_bits) + 1u;
		if (c->finding.entry != 0u)
			l1_entry(c);
	}
}
