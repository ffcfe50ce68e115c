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
	REFCOUNT_TABLE_LEN_MAX = 8 * 1024 * 1024, /* as in QEMU */
	BUFFER_LEN_MAX = 65536
};

/* As in QEMU, a file has fewer than 2^31 clusters, also with one more that a reference ends in. */
#define LAST_CLUSTER_MAX ((UINT32_C(1) << 31) - 2u)

/* ---- Comparing ---- */

/*
 * QEMU counts in numbers as wide as the refcounts, and reports each reference that such a number
 * cannot count. Returns what it would have counted for c->finding.cluster.
 */
static uint32_t report_overflow(struct qcow2_check *c)
{
	uint32_t count = q2_counter_get(c, c->finding.cluster) / Q2_COUNT_ONE;

	/*@ loop assigns count, c->found[0 .. 3], c->finding.code, c->ended;
	    loop variant count; */
	for (; count > c->most && c->ended == QCOW2_OK; count--)
		q2_check_report(c, QCOW2_CHECK_OVERFLOW);
	return count;
}

/*
 * Compares the counter of a cluster with its refcount, or with NULL if that cannot be read. From
 * then on the mark of the counter says whether its owners are wanted.
 */
static void compare(struct qcow2_check *c, uint32_t cluster, const uint64_t *refcount)
{
	uint32_t count, code = QCOW2_CHECK_UNREADABLE, mark = 0;

	c->finding.cluster = cluster;
	count = report_overflow(c);
	/* The cluster after the last one counts only if a reference ends in it. */
	if (count == 0u && cluster == c->n_clusters)
		return;
	c->finding.references = count;
	if (refcount != NULL) {
		c->finding.refcount = *refcount;
		if ((*refcount | count) != 0u)
			c->end = cluster + 1u;
		code = QCOW2_CHECK_LEAK;
		if (*refcount < count) {
			code = QCOW2_CHECK_REFCOUNT;
			if ((c->flags & QCOW2_CHECK_OWNERS) != 0u) {
				mark = Q2_COUNT_MARK;
				c->owners = 1;
			}
		}
	}
	q2_counter_set(c, cluster, mark);
	if (refcount == NULL || *refcount != count)
		q2_check_report(c, code);
}

/*
 * Goes through the refcounts of the window, as many at once as the buffer and a block have. With
 * `marks`, starts the counters at 0, and marks those of clusters whose refcount is 1. Otherwise
 * compares the counters with the refcounts.
 */
static void window_refcounts(struct qcow2_check *c, bool marks)
{
	uint64_t *counts = (uint64_t *)(void *)c->l2.piece;
	uint32_t cluster = c->first, n, i;

	/*@ loop invariant c->first <= cluster <= c->window_end;
	    loop invariant good_counters(c) && good_buffer(c);
	    loop assigns cluster, n, i, c->found[0 .. 3], c->finding.code, c->finding.cluster,
	                 c->finding.references, c->finding.refcount, c->ended, c->end, c->owners,
	                 c->n_calls, *c->error, counts[0 .. c->l2.piece_len / 8 - 1],
	                 c->counters[0 .. c->n_counters - 1],
	                 ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
	    loop variant c->window_end - cluster; */
	for (; cluster < c->window_end; cluster += n) {
		bool known;

		n = c->l2.piece_len / 8u;
		if (n > c->window_end - cluster)
			n = c->window_end - cluster;
		known = q2_check_refcounts(c, cluster, &n, counts);
		if (c->ended != QCOW2_OK)
			return;
		/*@ loop invariant 0 <= i <= n && n <= c->window_end - cluster;
		    loop invariant good_counters(c);
		    loop invariant good_buffer(c);
		    loop assigns i, c->found[0 .. 3], c->finding.code, c->finding.cluster,
		                 c->finding.references, c->finding.refcount, c->ended, c->end,
		                 c->owners, c->counters[0 .. c->n_counters - 1],
		                 ((uint32_t *)c->counters)[0 .. c->n_counters / 4 - 1];
		    loop variant n - i; */
		for (i = 0; i < n; i++)
			if (marks)
				q2_counter_set(c, cluster + i,
				               known && counts[i] == 1u ? Q2_COUNT_MARK : 0u);
			else
				compare(c, cluster + i, known ? &counts[i] : NULL);
	}
}

/* ---- Windows ---- */

/* Checks the window that begins at c->next. */
static void window_check(struct qcow2_check *c)
{
	size_t n = c->wide != 0u ? c->n_counters / 4u : c->n_counters;

	c->first = c->next;
	c->window_end = c->n_clusters + 1u; /* a reference may end in the cluster after the file */
	if (c->window_end - c->first > n)
		c->window_end = c->first + (uint32_t)n;
	if (c->settled < c->first)
		c->settled = c->first;
	window_refcounts(c, true);
	if (c->ended != QCOW2_OK) /* not all counters have begun */
		return;
	c->next = UINT32_MAX;
	q2_check_walk(c);
	if (c->settled < c->window_end)
		c->settled = c->window_end;
	if (c->wide != c->too_short) {
		c->wide = c->too_short;
		c->next = c->first;
		return;
	}
	window_refcounts(c, false);
	if (c->owners != 0u)
		q2_check_walk(c);
	c->owners = 0;
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

	while (buffer_len < BUFFER_LEN_MAX && buffer_len < c->cluster_len &&
	       buffer_len <= len / 32u)
		buffer_len *= 2u;
	c->table.piece = memory;
	c->table.piece_len = Q2_SLICE_LEN;
	c->table.entry_bits = Q2_CHECK_ENTRY_BITS;
	c->l2.piece = memory + Q2_SLICE_LEN;
	c->l2.piece_len = buffer_len;
	c->counters = c->l2.piece + buffer_len;
	c->n_counters = len - Q2_SLICE_LEN - buffer_len;
}

/*
 * Can this image be checked? The refcount table is not validated when an image is opened, because
 * reading does not need it.
 */
static int check_limits(struct qcow2_check *c, const struct qcow2_image *image, q2_cursor *at)
{
	uint64_t last = q2_shr64(image->io.size - 1u, image->cluster_bits);

	at->pos = image->bitmaps.pos;
	at->detail = image->io.size;
	if (image->bitmaps.len != 0u && c->bitmaps == NULL)
		return QCOW2_E_BITMAP;
	if (last >= LAST_CLUSTER_MAX)
		return QCOW2_E_TOO_BIG;
	c->n_clusters = (uint32_t)last + 1u;
	at->pos = image->refcount_table_pos;
	at->detail = image->refcount_table_clusters;
	if (at->detail > (uint32_t)REFCOUNT_TABLE_LEN_MAX >> image->cluster_bits)
		return QCOW2_E_TOO_BIG;
	return q2_table_check(image, 0, at->pos) == QCOW2_E_L1 ? QCOW2_E_REFCOUNT : QCOW2_OK;
}

/* Fills in what the image says. */
static void check_begin(struct qcow2_check *c, const struct qcow2_image *image)
{
	uint32_t mask = image->cluster_len - 1u;

	memcpy(&c->image, image, sizeof *image);
	c->image.flags = QCOW2_OPEN_TRUNCATED;
	c->room = image->io.size + mask;
	c->n_guest = q2_shr64(image->size + mask, image->cluster_bits);
	c->cluster_len = image->cluster_len;
	c->zero_bit = !q2_has_extended_l2(image);
	c->most = UINT32_MAX;
	if (image->refcount_order < 5u)
		c->most = (UINT32_C(1) << (1u << image->refcount_order)) - 1u;
	c->l2.owner = QCOW2_OWNER_DATA;
	c->l2.entry_bits = image->l2_entry_bits;
	c->l2.n_entries = image->cluster_len >> image->l2_entry_bits;
	c->end = 1; /* the header */
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
	rc = check_limits(check, image, err);
	if (rc != QCOW2_OK)
		return q2_note(err, rc);
	check->error = err;
	check_begin(check, image);
	memory_divide(check, memory, len);
	do
		window_check(check);
	while (check->ended == QCOW2_OK && check->next <= check->n_clusters);
	err->io = &image->io;
	return q2_note(err, check->ended);
}
