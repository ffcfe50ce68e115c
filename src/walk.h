/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What check.c, which compares refcounts, check_walk.c and check_map.c, which find references, and
 * check_count.c, which counts them, share.
 */
#ifndef QCOW2_WALK_H
#define QCOW2_WALK_H

#include "internal.h"
#include "qcow2/check.h"

/* No cluster: a file has fewer. */
#define Q2_NO_CLUSTER UINT32_MAX

/* qcow2.txt "L1 table entry", "Standard Cluster Descriptor", "Bitmap table". */
#define Q2_CHECK_ENTRY_POS UINT64_C(0x00fffffffffffe00)

enum { Q2_CHECK_ENTRY_LEN = 8, Q2_CHECK_SLICE_ENTRIES = Q2_SLICE_LEN / Q2_CHECK_ENTRY_LEN };

/* What a walk is for. */
enum {
	Q2_WALK_COUNT,
	Q2_WALK_OWNERS /* reports what refers to the clusters whose counter is marked */
};

/*
 * A counter has a mark in its highest bit, and the number of references in the others. During a
 * count the mark says that the refcount is 1. For Q2_WALK_OWNERS it says that the owners of the
 * cluster are wanted. These are the bits of a counter of four bytes; one of one byte has bit 7 as
 * its mark, and Q2_COUNT_MOST as its highest count.
 */
#define Q2_COUNT_MARK (UINT32_C(1) << 31)
enum { Q2_COUNT_MOST = 127 };

/* The counter of a cluster of the window. */
uint32_t q2_counter_get(const struct qcow2_check *c, uint32_t cluster);
void q2_counter_set(struct qcow2_check *c, uint32_t cluster, uint32_t value);

/* Counts a finding, and passes c->finding to the caller with this code. */
void q2_check_report(struct qcow2_check *c, uint32_t code);

/*
 * A failure is kept in c->ended, and after it nothing more is read or reported. So these calls
 * return whether the check goes on, and functions that only call them return nothing.
 */

/* Takes n io calls from those that are left. */
bool q2_check_spend(struct qcow2_check *c, uint32_t n);
/* Reads the len bytes at pos of the image file, with zeros past its end. */
bool q2_check_read(struct qcow2_check *c, uint64_t pos, void *buf, uint32_t len);
/* Reads n refcounts, which one block has. Returns false also if the block is misplaced. */
bool q2_check_refcounts(struct qcow2_check *c, uint64_t cluster, uint32_t n, uint64_t *counts);

/* The most that a refcount of this image can say, as far as counters can count. */
static inline uint32_t q2_refcount_most(const struct qcow2_image *image)
{
	if (image->refcount_order >= 5u)
		return UINT32_MAX;
	return (UINT32_C(1) << (1u << image->refcount_order)) - 1u;
}

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
	return ((uint32_t)pos & (c->image.cluster_len - 1u)) == 0u;
}

/* Does something in use begin behind the window? The next window begins at the lowest of these. */
void q2_check_note_next(struct qcow2_check *c, uint32_t cluster);

/*
 * The entry in c->finding refers to the len bytes at pos. As in QEMU, a reference may end behind
 * the end of the file by less than a cluster, and one that does not is reported and not counted.
 */
void q2_check_refer(struct qcow2_check *c, uint64_t pos, uint64_t len);

/*
 * Goes to the entry with this number of a table: c->finding gets it. Reads 64 entries at a time.
 * Returns false if the check is over, and behind the end of the file, where all entries are zeros.
 */
bool q2_check_entry(struct qcow2_check *c, uint32_t owner, uint64_t table, uint32_t index);

/* Goes through an L1 table and its L2 tables; `active` says that they are not a snapshot's. */
void q2_check_walk_l1(struct qcow2_check *c, uint64_t table, uint32_t entries, bool active);

/* Goes through everything that refers to clusters but the refcount table, in the order of QEMU. */
void q2_check_walk(struct qcow2_check *c);

/* Goes through the refcount table, after that. */
void q2_check_walk_refcounts(struct qcow2_check *c);

#endif
