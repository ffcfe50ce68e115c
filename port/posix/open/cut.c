/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What a file lacks at its end.
 */
#include "cut.h"

#include "../failure.h"
#include "file.h"
#include "qcow2/refcount.h"
#include "qcow2/version1.h"

enum { L1_ENTRY_LEN = 8 };

static bool is_inside(const struct qcow2_image *image, uint64_t pos, uint64_t len)
{
	uint64_t size = image->io.size;

	return len <= (pos < size ? size - pos : 0u);
}

struct qcow2_image qp_strict(const struct qcow2_image *image)
{
	struct qcow2_image strict = *image;

	strict.flags &= ~(uint32_t)QCOW2_OPEN_TRUNCATED;
	return strict;
}

/* Do the refcounts say that the cluster at pos is in use, or are they missing as well? */
static bool is_in_use(const struct qcow2_image *image, uint64_t pos)
{
	struct qcow2_image strict = qp_strict(image);
	uint64_t table_len = (uint64_t)image->refcount_table_clusters << image->cluster_bits;
	struct qcow2_error err;
	uint64_t count = 0;
	uint32_t n = 1;
	int rc;

	if (!is_inside(image, image->refcount_table_pos, table_len))
		return true;
	rc = qcow2_refcounts(&strict, pos >> image->cluster_bits, &n, &count, &err);
	return rc == QCOW2_E_TRUNCATED || (rc == QCOW2_OK && count != 0u);
}

bool qp_looks_cut(const struct qcow2_image *image, uint64_t pos, uint64_t len)
{
	/* The file ends in the middle of it. */
	if (pos < image->io.size && len > image->io.size - pos)
		return true;
	/* Version 1 has no refcounts. QEMU writes what the entries point to before the entries. */
	if (image->version == 1u)
		return true;
	/* The refcounts of a dirty image may lack the clusters that were allocated last. */
	if ((image->incompatible & QCOW2_INCOMPATIBLE_DIRTY) != 0u)
		return true;
	return is_in_use(image, pos);
}

void qp_fail_cut(const struct qcow2_image *image, const char *what, uint64_t pos, uint64_t len,
                 bool zeros_help)
{
	uint64_t size = image->io.size;
	bool cut = qp_looks_cut(image, pos, len);

	qp_fail_missing(image->io.ctx, cut && zeros_help,
	                "%s%s at file offset %llu is %s the end of the file (%llu bytes)",
	                cut ? "image is truncated: " : "", what,
	                (unsigned long long)qp_file_place(&image->io, pos),
	                pos < size ? "cut off at" : "past",
	                (unsigned long long)qp_file_place(&image->io, size));
}

void qp_fail_open_cut(const struct qp_file *file, unsigned flags, const struct qcow2_error *err)
{
	struct qcow2_error unused;
	struct qcow2_image image;
	uint64_t l1_len;

	flags |= QCOW2_OPEN_TRUNCATED;
	if (qcow2_image_open(&image, &file->io, flags, &unused) != QCOW2_OK &&
	    qcow2_image_open_v1(&image, &file->io, flags, &unused) != QCOW2_OK) {
		/* No option helps here: without its header, nothing is known of an image. */
		qp_fail_missing(file, false,
		                "image is truncated: the header is cut off at the end of the file "
		                "(%llu bytes)",
		                (unsigned long long)qp_file_place(&file->io, file->io.size));
		return;
	}
	l1_len = (uint64_t)image.l1_entries * L1_ENTRY_LEN;
	if (!is_inside(&image, image.l1_pos, l1_len))
		qp_fail_cut(&image, "the L1 table", image.l1_pos, l1_len, true);
	else if (!is_inside(&image, image.backing_name.pos, image.backing_name.len))
		qp_fail_cut(&image, "the name of the backing file", image.backing_name.pos,
		            image.backing_name.len, true);
	else
		qp_fail_missing(err->io->ctx, true,
		                "image is truncated: the header extensions are cut off at the end "
		                "of the file (%llu bytes)",
		                (unsigned long long)qp_file_place(&file->io, file->io.size));
}
