/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Goes through the L1 and L2 tables of the disk or of a snapshot for a check: refers to what the
 * entries map, and checks the entries themselves.
 */
#include "walk.h"

/* qcow2.txt "L1 table entry", "Standard Cluster Descriptor". */
#define ENTRY_COPIED (UINT64_C(1) << 63)
#define L1_RESERVED  UINT64_C(0x7f000000000001ff)
/* Of a standard L2 entry. Bit 0 is not reserved if it says that the cluster reads as zeros. */
enum { HIGH_RESERVED = 0x3f000000, LOW_RESERVED = 0x1ff };

/*
 * c->finding has an entry that leads to the cluster at `value`. Refers to the cluster, unless it is
 * in an external data file.
 *
 * "Bit 63: 1 if its refcount is exactly one": compares the bit with the mark of the cluster's
 * counter, in the pass that has the cluster. Clusters past the end of the file have no counters, so
 * their refcounts are read. So is one that is wrong, for the report. The clusters of an external
 * data file have none, and count as if they had 1.
 */
static void entry_leads(struct qcow2_check *c, uint32_t code, bool external)
{
	uint64_t cluster = q2_shr64(c->finding.value, c->image.cluster_bits);
	uint32_t copied = (uint32_t)(c->finding.entry >> 63), k = (uint32_t)cluster, n = 1;
	bool counted = !external && q2_check_refer_cluster(c);

	if (c->in_header != 0u)
		return;
	if (!counted) {
		if (c->active == 0u || !q2_check_is_first(c))
			return;
	} else if (k < c->settled || k >= c->window_end ||
	           (q2_counter_get(c, k) & Q2_COUNT_MARK) == copied) {
		return;
	} else if (c->active == 0u) {
		c->snapshot_copied++;
		return;
	}
	c->finding.refcount = 1;
	if (!external && !q2_check_refcounts(c, cluster, &n, &c->finding.refcount))
		return;
	if ((c->finding.refcount == 1u) != copied)
		q2_check_report(c, code);
}

/* Counts a cluster of the disk, in the pass and in the tables that are for that. */
static void tally(struct qcow2_check *c, uint64_t *n)
{
	if (c->active != 0u && q2_check_is_first(c))
		++*n;
}

static void compressed_entry(struct qcow2_check *c)
{
	q2_check_compressed(c);
	c->finding.owner = QCOW2_OWNER_COMPRESSED;
	if ((c->finding.entry & ENTRY_COPIED) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_COMPRESSED_COPIED);
	if (q2_has_external_data(&c->image)) {
		q2_check_report_first(c, QCOW2_CHECK_COMPRESSED_EXTERNAL);
		return;
	}
	if (c->subclusters != 0u) {
		q2_check_report_first(c, QCOW2_CHECK_COMPRESSED_SUBCLUSTERS);
		return;
	}
	q2_check_refer(c);
	tally(c, &c->allocated);
	tally(c, &c->compressed);
	tally(c, &c->fragmented);
}

/* c->finding has a standard entry, and `value` is where it leads. */
static void placed_entry(struct qcow2_check *c, bool has_data)
{
	uint64_t pos = c->finding.value;

	if (!q2_check_is_aligned(c, pos))
		q2_check_report_first(c, has_data ? QCOW2_CHECK_DATA_UNALIGNED
		                                  : QCOW2_CHECK_ZERO_UNALIGNED);
	tally(c, &c->allocated);
	if (c->expected != 0u && c->expected != pos)
		tally(c, &c->fragmented);
	c->expected = pos + c->cluster_len;
	entry_leads(c, QCOW2_CHECK_L2_COPIED, q2_has_external_data(&c->image));
}

/* "Standard Cluster Descriptor". */
static void standard_entry(struct qcow2_check *c)
{
	uint32_t high = (uint32_t)(c->finding.entry >> 32), low = (uint32_t)c->finding.entry;
	uint32_t zero = low & c->zero_bit;
	uint32_t data = (uint32_t)c->subclusters;

	c->finding.value = c->finding.entry & Q2_CHECK_ENTRY_POS;
	if (((high & HIGH_RESERVED) | (low & (LOW_RESERVED ^ c->zero_bit))) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_L2_RESERVED);
	/* The first cluster of an external data file is at position 0, and has bit 63. */
	if (c->finding.value == 0u &&
	    (zero != 0u || !q2_has_external_data(&c->image) || high >> 31 == 0u)) {
		if (data != 0u)
			q2_check_report_first(c, QCOW2_CHECK_SUBCLUSTERS_NOWHERE);
		return;
	}
	if (((uint32_t)(c->subclusters >> 32) & data) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_SUBCLUSTERS);
	placed_entry(c, (data | (zero ^ c->zero_bit)) != 0u);
}

/* Goes through the L2 table at pos. */
static void walk_l2(struct qcow2_check *c, uint64_t pos)
{
	c->expected = 0;
	c->l2.pos = pos;
	c->l2.index = 0;
	while (q2_check_next(c, &c->l2)) {
		if ((c->finding.entry & Q2_CHECK_COMPRESSED) != 0u)
			compressed_entry(c);
		else if ((c->finding.entry | c->subclusters) != 0u)
			standard_entry(c);
	}
}

/* c->finding has an L1 entry that is not 0. A bad one is followed nevertheless, as in QEMU. */
static void l1_entry(struct qcow2_check *c)
{
	uint64_t pos = c->finding.entry & Q2_CHECK_ENTRY_POS;

	c->finding.value = pos;
	if ((c->finding.entry & L1_RESERVED) != 0u)
		q2_check_report_first(c, QCOW2_CHECK_L1_RESERVED);
	if (!q2_check_is_aligned(c, pos))
		q2_check_report_first(c, QCOW2_CHECK_L2_UNALIGNED);
	/* QEMU follows an entry that has only flags, but does not compare these. */
	c->in_header = pos == 0u;
	entry_leads(c, QCOW2_CHECK_L1_COPIED, false);
	walk_l2(c, pos);
}

void q2_check_walk_l1(struct qcow2_check *c, uint32_t n, uint64_t pos)
{
	q2_check_table(c, n, pos, QCOW2_OWNER_L2);
	while (q2_check_next(c, &c->table)) {
		if (c->active != 0u)
			c->l1_done = c->finding.index;
		if (c->finding.index % Q2_CHECK_SLICE_ENTRIES == 0u && c->step != NULL &&
		    c->step(c->ctx, c) != 0)
			c->ended = QCOW2_E_LIMIT;
		if (c->finding.entry != 0u)
			l1_entry(c);
	}
}
