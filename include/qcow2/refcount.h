/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Refcounts: for each cluster of an image file, the number of references to it that the image
 * records. qcow2.txt "Host cluster management".
 *
 * Reading a disk needs no refcounts, and an image with a damaged refcount table still opens.
 * Programs that check images, or count the clusters in use, read them here.
 */
#ifndef QCOW2_REFCOUNT_H
#define QCOW2_REFCOUNT_H

#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Reads the refcounts of clusters of the image file: counts[i] becomes the refcount of cluster
 * first + i, which is at byte (first + i) << cluster_bits of the file. A cluster that the refcount
 * table does not cover, or whose refcount block is absent, has refcount 0.
 *
 * On entry *n is the number of clusters that are wanted, for which counts has room. On success it
 * is the number that were read: fewer if the refcount block ends before, and 0 only if it was 0. A
 * block has the refcounts of 8 << cluster_bits >> refcount_order clusters.
 *
 * The array is also the buffer for the bytes of the file, so the call needs no other memory. On
 * failure its content and *n are unspecified. Only with QCOW2_E_REFCOUNT, *n is the number of the
 * clusters that it applies to, as on success.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image, n or counts is NULL; the image is closed, raw or of version 1
 *	QCOW2_E_REFCOUNT   the refcount table, or the block in its entry at err->pos, is not aligned
 *	                   to a cluster or begins close to 2^63 or above
 *	QCOW2_E_TRUNCATED  the file ends before the entry or the refcounts do
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: one io call of 8 bytes for the entry of the refcount table, and one for the refcounts.
 */
int qcow2_refcounts(const struct qcow2_image *image, uint64_t first, uint32_t *n, uint64_t *counts,
                    struct qcow2_error *err);

#ifdef __cplusplus
}
#endif
#endif
