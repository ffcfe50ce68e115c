/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Compares the refcounts of an image with the references that check_walk.c counts. For each window
 * of clusters:
 *
 *	1. Mark the counters of the clusters whose refcount is 1.
 *	2. Count all references, compare bit 63 of the entries with the marks, and find refcount
 *	   blocks that something else refers to.
 *	3. Compare the counters with the refcounts.
 *	4. If the caller wants it, report what refers to the clusters that are found corrupt.
 *
 * A counter has one byte. When one of them is not enough, the rest of the check uses counters of
 * four bytes, and so windows of a quarter of the size, from the beginning of this window on.
 */
#include "walk.h"

enum {
	WIDE = 2,                                 /* log2 of the bytes of a wide counter */
	REFCOUNT_TABLE_LEN_MAX = 8 * 1024 * 1024, /* as in QEMU */
	BUFFER_LEN_MAX = 65536
};

/* As in QEMU, a file has fewer clusters than this. */
#define CLUSTERS_MAX (UINT32_C(1) << 31)

/* ---- Comparing ---- */

/*
 * QEMU counts in numbers as wide as the refcounts, and reports each reference that such a number
 * cannot count. Returns what it would have counted for c->finding.cluster.
 */
static uint32_t report_overflow(struct qcow2_check *c)
{
	uint32_t count = q2_counter_get(c, c->finding.cluster) & ~Q2_COUNT_MARK;

	for (; count > q2_refcount_most(&c->image) && c->ended == QCOW2_OK; count--)
		q2_check_report(c, QCOW2_CHECK_OVERFLOW);
	return count;
}

/*
 * Compares the counter of a cluster with its refcount. From then on the mark of the counter says
 * whether its owners are wanted.
 */
static void compare(struct qcow2_check *c, uint32_t cluster, uint64_t refcount, bool known)
{
	uint32_t count, mark = 0;

	c->finding.cluster = cluster;
	count = report_overflow(c);
	/* The cluster behind the last one counts only if a reference ends in it. */
	if (count == 0u && cluster == c->n_clusters)
		return;
	c->finding.refcount = refcount;
	c->finding.references = count;
	if (known && (refcount | count) != 0u)
		c->end = cluster + 1u;
	if (!known) {
		q2_check_report(c, QCOW2_CHECK_UNREADABLE);
	} else if (refcount > count) {
		q2_check_report(c, QCOW2_CHECK_LEAK);
	} else if (refcount < count) {
		if ((c->flags & QCOW2_CHECK_OWNERS) != 0u) {
			mark = Q2_COUNT_MARK;
			c->suspects = true;
		}
		q2_check_report(c, QCOW2_CHECK_REFCOUNT);
	}
	q2_counter_set(c, cluster, mark);
}

/*
 * Goes through the refcounts of the window, as many at once as the buffer and a block have. With
 * `marks`, starts the counters at 0, and marks those of clusters whose refcount is 1. Otherwise
 * compares the counters with the refcounts.
 */
static void window_refcounts(struct qcow2_check *c, bool marks)
{
	uint32_t mask = (8u * c->image.cluster_len >> c->image.refcount_order) - 1u;
	uint64_t *counts = (uint64_t *)(void *)c->buffer;
	uint32_t cluster = c->first, n, i;

	for (; cluster < c->window_end; cluster += n) {
		bool known;

		n = (cluster | mask) + 1u - cluster;
		if (n > c->buffer_len / 8u)
			n = c->buffer_len / 8u;
		if (n > c->window_end - cluster)
			n = c->window_end - cluster;
		known = q2_check_refcounts(c, cluster, n, counts);
		if (c->ended != QCOW2_OK)
			return;
		for (i = 0; i < n; i++)
			if (marks)
				q2_counter_set(c, cluster + i,
				               known && counts[i] == 1u ? Q2_COUNT_MARK : 0u);
			else
				compare(c, cluster + i, counts[i], known);
	}
}

/* ---- Windows ---- */

/*
 * Counts the references to the clusters of the window. Returns false if its counters are too short.
 */
static bool window_count(struct qcow2_check *c)
{
	c->next = Q2_NO_CLUSTER;
	c->mode = Q2_WALK_COUNT;
	c->saturated = false;
	q2_check_walk(c);
	/* Even if the counters were too short: it reports what no later pass does. */
	q2_check_walk_refcounts(c);
	if (c->settled < c->window_end)
		c->settled = c->window_end;
	return !c->saturated;
}

/* Checks the window that begins at c->next. */
static void window_check(struct qcow2_check *c)
{
	size_t n = c->n_counters >> c->wide;

	c->first = c->next;
	c->window_end = c->n_clusters + 1u; /* a reference may end in the cluster behind the file */
	if (c->window_end - c->first > n)
		c->window_end = c->first + (uint32_t)n;
	window_refcounts(c, true);
	if (c->ended != QCOW2_OK) /* not all counters have begun */
		return;
	if (!window_count(c)) {
		c->wide = WIDE;
		c->next = c->first;
		return;
	}
	c->suspects = false;
	window_refcounts(c, false);
	if (c->suspects) {
		c->mode = Q2_WALK_OWNERS;
		q2_check_walk(c);
		q2_check_walk_refcounts(c);
	}
}

/* ---- The call ---- */

/*
 * Divides the memory:
 *
 *	[ slice, 512 bytes ][ buffer, a power of two ][ counters ]
 */
static void memory_divide(struct qcow2_check *c, uint8_t *memory, size_t len)
{
	uint32_t buffer_len = Q2_SLICE_LEN;

	while (buffer_len < BUFFER_LEN_MAX && buffer_len <= len / 32u)
		buffer_len *= 2u;
	c->slice = memory;
	c->buffer = memory + Q2_SLICE_LEN;
	c->buffer_len = buffer_len;
	c->counters = c->buffer + buffer_len;
	c->n_counters = (len - Q2_SLICE_LEN - buffer_len) & ~(size_t)3;
}

/* Fills in what the image says, and reports what its header says. */
static void check_begin(struct qcow2_check *c, const struct qcow2_image *image)
{
	uint32_t mask = image->cluster_len - 1u;

	memcpy(&c->image, image, sizeof *image);
	c->image.flags |= QCOW2_OPEN_TRUNCATED;
	c->room = image->io.size + mask;
	c->n_clusters = (uint32_t)q2_shr64(c->room, image->cluster_bits);
	c->n_guest = q2_shr64(image->size + mask, image->cluster_bits);
	c->end = 1; /* the header */
	if ((image->incompatible & QCOW2_INCOMPATIBLE_DIRTY) != 0u)
		q2_check_report(c, QCOW2_CHECK_DIRTY);
	if ((image->incompatible & QCOW2_INCOMPATIBLE_CORRUPT) != 0u)
		q2_check_report(c, QCOW2_CHECK_MARKED_CORRUPT);
}

/*
 * Can this image be checked? The refcount table is not validated when an image is opened, because
 * reading does not need it.
 */
static int check_limits(const struct qcow2_image *image, q2_cursor *at)
{
	at->pos = 0;
	at->detail = image->io.size;
	if (q2_shr64(image->io.size, image->cluster_bits) >= CLUSTERS_MAX - 1u)
		return QCOW2_E_TOO_BIG;
	at->pos = image->refcount_table_pos;
	at->detail = image->refcount_table_clusters;
	if (at->detail > (uint32_t)REFCOUNT_TABLE_LEN_MAX >> image->cluster_bits)
		return QCOW2_E_TOO_BIG;
	return q2_table_check(image, 0, at->pos) == QCOW2_E_L1 ? QCOW2_E_REFCOUNT : QCOW2_OK;
}

int qcow2_image_check(struct qcow2_check *check, const struct qcow2_image *image, void *memory,
                      size_t len, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	int rc;

	err = q2_err(err, &unseen);
	if (check != NULL)
		memset(&check->n_clusters, 0,
		       sizeof *check - offsetof(struct qcow2_check, n_clusters));
	if (check == NULL || image == NULL || !q2_is_qcow2(image) || memory == NULL ||
	    (uintptr_t)memory % 8u != 0u)
		return q2_note(err, QCOW2_E_ARGUMENT);
	err->io = NULL;
	err->detail = QCOW2_CHECK_MEMORY;
	if (len < QCOW2_CHECK_MEMORY)
		return q2_note(err, QCOW2_E_MEMORY);
	err->io = &image->io;
	rc = check_limits(image, err);
	if (rc != QCOW2_OK)
		return q2_note(err, rc);
	check_begin(check, image);
	check->error = err;
	memory_divide(check, memory, len);
	do
		window_check(check);
	while (check->ended == QCOW2_OK && check->next != Q2_NO_CLUSTER);
	err->io = &image->io;
	return q2_note(err, check->ended);
}
