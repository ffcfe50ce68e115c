/* SPDX-License-Identifier: MIT */
/*
 * What check.c, which compares refcounts, check_walk.c, which finds references, and check_count.c,
 * which counts them, share.
 */
#ifndef QCOW2_WALK_H
#define QCOW2_WALK_H

#include "internal.h"
#include "qcow2/check.h"

/* No cluster: a file has fewer. */
#define Q2_NO_CLUSTER UINT32_MAX

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
void q2_counter_set(struct qcow2_check *c, uint32_t cluster, uint32_t counter);

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

/* Goes through everything that refers to clusters but the refcount table, in the order of QEMU. */
void q2_check_walk(struct qcow2_check *c);

/* Goes through the refcount table, after that. */
void q2_check_walk_refcounts(struct qcow2_check *c);

/* Is it the first pass? Findings that need no counters are reported in it alone. */
static inline bool q2_check_is_first(const struct qcow2_check *c)
{
	return c->settled == 0u;
}

#endif
