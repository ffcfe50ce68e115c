/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Counts the clusters that an image file uses.
 */
#include "posix.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cancel.h"
#include "failure.h"
#include "handle.h"
#include "qcow2/refcount.h"

enum {
	/*
	 * Refcounts that are read at once: those of one block in the usual geometry, with 64 KiB
	 * clusters and 16-bit refcounts. The core returns them as uint64_t, in 256 KiB.
	 */
	BATCH = 32768,
	/* QEMU opens no image with a longer refcount table. */
	TABLE_LEN_MAX = 8 * 1024 * 1024,
	STAT_BLOCK = 512, /* the unit of st_blocks */
	/*
	 * Refcounts that are counted even if the file system reports less space. Some compress
	 * files, or report nothing.
	 */
	COUNT_MIN = 4 * 1024 * 1024
};

/*
 * How many refcounts can there be in what the file system stores of the file? The table may have
 * the same block many times, and the file may be one long hole, so this bounds the work of a count.
 */
static uint64_t refcounts_stored(const struct qcow2_image *image)
{
	const struct qp_file *file = image->io.ctx;
	uint64_t n, bytes = image->io.size; /* of a block device */
	struct stat st;

	if (fstat(file->fd, &st) == 0 && S_ISREG(st.st_mode))
		bytes = (uint64_t)st.st_blocks * STAT_BLOCK;
	n = bytes > UINT64_MAX / 8u ? UINT64_MAX : bytes * 8u >> image->refcount_order;
	return n < COUNT_MIN ? COUNT_MIN : n;
}

/* How many clusters can be in use: the table covers them, and the file has them. */
static uint64_t clusters_to_count(const struct qcow2_image *image)
{
	unsigned bits = image->cluster_bits;
	/* A table cluster has 2^(bits - 3) entries, a block has 2^(bits + 3 - order) refcounts. */
	uint64_t covered = (uint64_t)image->refcount_table_clusters
	                   << (2u * bits - image->refcount_order);
	uint64_t whole = image->io.size >> bits;
	uint64_t in_file = whole + ((image->io.size & (image->cluster_len - 1u)) != 0u);
	uint64_t stored = refcounts_stored(image);
	uint64_t n = in_file < covered ? in_file : covered;

	return n < stored ? n : stored;
}

/* Counts clusters in use until *count reaches `enough`. `counts` has room for a batch. */
static bool count_in_use(const struct qcow2_image *image, uint64_t enough, uint64_t *counts,
                         uint64_t *count)
{
	uint64_t n = clusters_to_count(image), first;
	uint32_t i, len;

	for (first = 0; first < n && *count < enough; first += len) {
		struct qcow2_error err;
		int rc;

		len = n - first < BATCH ? (uint32_t)(n - first) : BATCH;
		rc = qcow2_refcounts(image, first, &len, counts, &err);
		if (rc != QCOW2_OK) {
			qp_fail_core(rc, &err);
			return false;
		}
		for (i = 0; i < len; i++)
			*count += counts[i] != 0u;
	}
	return true;
}

/* The image at this depth, if its clusters can be counted. */
static const struct qcow2_image *image_to_count(const struct qcow2 *q, unsigned depth)
{
	const struct qp_layer *layer = qp_layer_at(q->top, depth);
	const struct qcow2_image *image = layer != NULL ? &layer->image : NULL;

	if (image == NULL)
		qp_fail_text(ENOENT, 0, "the backing chain has no image at this depth");
	else if (image->version < 2u)
		qp_fail_text(ENOTSUP, 0, "an image in this format has no refcounts");
	else if (image->refcount_table_clusters > (uint32_t)TABLE_LEN_MAX >> image->cluster_bits)
		qp_fail_text(EFBIG, QCOW2_E_TOO_BIG, "the refcount table is larger than 8 MiB");
	else
		return image;
	return NULL;
}

static int clusters_count(struct qcow2 *q, unsigned depth, uint64_t enough, uint64_t *count)
{
	const struct qcow2_image *image = image_to_count(q, depth);
	uint64_t *counts, n = 0;
	bool done;

	if (image == NULL)
		return qp_failed();
	counts = malloc(BATCH * sizeof *counts);
	if (counts == NULL) {
		qp_fail_memory();
		return qp_failed();
	}
	done = count_in_use(image, enough, counts, &n);
	free(counts);
	if (!done)
		return qp_failed();
	*count = n;
	return 0;
}

int qcow2_count_clusters(struct qcow2 *q, unsigned depth, uint64_t enough, uint64_t *count)
{
	int cancel_state = qp_cancel_hold();
	int rc = clusters_count(q, depth, enough, count);

	qp_cancel_restore(cancel_state);
	return rc;
}
