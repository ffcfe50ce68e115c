/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the files of the check share: check.c, which compares refcounts; check_walk.c, check_map.c
 * and check_bitmap.c, which find references; check_strict.c, which checks entries; check_table.c,
 * which reads them; and check_count.c, which counts.
 */
#ifndef QCOW2_WALK_H
#define QCOW2_WALK_H

#include "internal.h"
#include "qcow2/check.h"

/* qcow2.txt "L1 table entry", "Standard Cluster Descriptor", "Bitmap table". */
#define Q2_CHECK_ENTRY_POS  UINT64_C(0x00fffffffffffe00)
#define Q2_CHECK_COMPRESSED (UINT64_C(1) << 62)

enum { Q2_CHECK_ENTRY_BITS = 3, Q2_CHECK_SLICE_ENTRIES = Q2_SLICE_LEN >> Q2_CHECK_ENTRY_BITS };

/*
 * A counter has a mark in its lowest bit, and the number of references in the others. During a
 * count the mark says that the refcount is 1. For a walk with c->owners it says that the owners of
 * the cluster are wanted.
 */
enum {
	Q2_COUNT_MARK = 1,
	Q2_COUNT_ONE = 2,
	Q2_COUNT_SHORT_MOST = 127 /* references that a counter of one byte can count */
};

/* The counter of a cluster of the window. */
uint32_t q2_counter_get(const struct qcow2_check *c, uint32_t cluster);
void q2_counter_set(struct qcow2_check *c, uint32_t cluster, uint32_t value);

/* Counts a finding, and passes c->finding to the caller with this code. */
void q2_check_report(struct qcow2_check *c, uint32_t code);

/* Is it the first pass? Findings that need no counters are reported in it alone. */
static inline bool q2_check_is_first(const struct qcow2_check *c)
{
	return c->settled == 0u;
}

/* The same as q2_check_report in the first pass, and nothing in another. */
void q2_check_report_first(struct qcow2_check *c, uint32_t code);

/* The next findings are about the reference to this owner, which is at pos. */
static inline void q2_check_at(struct qcow2_check *c, uint32_t owner, uint64_t pos)
{
	c->finding.owner = owner;
	c->finding.pos = pos;
}

static inline bool q2_check_is_aligned(const struct qcow2_check *c, uint64_t pos)
{
	return ((uint32_t)pos & (c->cluster_len - 1u)) == 0u;
}

/* Lets c->strict check what c->finding is about. */
void q2_check_strictly(struct qcow2_check *c);

/*
 * "Compressed Clusters Descriptor": with x = 62 - (cluster_bits - 8), bits 0 to x-1 are the
 * position, and bits x to 61 the number of 512-byte sectors after the one in which the data begins.
 */
static inline void q2_check_compressed(struct qcow2_check *c)
{
	unsigned x = 38u - c->image.cluster_bits; /* as a bit of the high half */
	uint32_t high = (uint32_t)(c->finding.entry >> 32) & 0x3fffffff;
	uint32_t low = (uint32_t)c->finding.entry;

	c->finding.value = ((uint64_t)(high - (high >> x << x)) << 32) + low;
	c->finding.length = ((high >> x) + 1u) * 512u - low % 512u;
}

/*
 * A failure is kept in c->ended, and after it nothing more is read or reported. So these calls
 * return whether the check goes on, and functions that only call them return nothing.
 */

/* Takes n io calls from those that are left. */
bool q2_check_spend(struct qcow2_check *c, uint32_t n);
/* Reads two numbers at pos to c->finding: `value` and `length`. They are about this owner. */
bool q2_check_pair(struct qcow2_check *c, uint32_t owner, uint32_t pos);
/*
 * Reads the refcounts of *n clusters, or of fewer if their block ends before. Returns false also if
 * the block is misplaced.
 */
bool q2_check_refcounts(struct qcow2_check *c, uint64_t cluster, uint32_t *n, uint64_t *counts);

/*
 * Notes that something in use begins at this cluster, or began before and goes past the window. The
 * next window begins at the lowest of these.
 */
void q2_check_note_next(struct qcow2_check *c, uint32_t cluster);

/*
 * What c->finding is about refers to its `length` bytes at `value`. As in QEMU, a reference may go
 * past the end of the file by less than a cluster. One that goes farther is reported and not
 * counted; then the call returns false.
 */
bool q2_check_refer(struct qcow2_check *c);
/* The same, of the cluster at `value`. */
bool q2_check_refer_cluster(struct qcow2_check *c);

/*
 * Refers to a table of n entries at pos, and begins a walk through it with c->table. The entries
 * refer to this owner.
 */
void q2_check_table(struct qcow2_check *c, uint32_t n, uint64_t pos, uint32_t owner);
/*
 * Gets the next entry of a table into c->finding. Returns false if there is none, if the check is
 * over, and past the end of the file, where all entries are zeros.
 */
bool q2_check_next(struct qcow2_check *c, struct qcow2_check_table *t);

/* Goes through an L1 table of n entries and its L2 tables; c->active says whose they are. */
void q2_check_walk_l1(struct qcow2_check *c, uint32_t n, uint64_t pos);

/* Goes through everything that refers to clusters, in the order of QEMU. */
void q2_check_walk(struct qcow2_check *c);

#endif
