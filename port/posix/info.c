/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Describes the images of the chain.
 */
#include "posix.h"

#include <errno.h>
#include <string.h>

#include "cancel.h"
#include "codec/codecs.h"
#include "failure.h"
#include "handle.h"
#include "open/names.h"
#include "words.h"

/* Where struct qcow2_info ended when it was first published. */
#define INFO_LEN_MIN (offsetof(struct qcow2_info, n_snapshots) + sizeof(uint32_t))

static unsigned info_flags(const struct qcow2_image *image)
{
	unsigned flags = 0;

	if ((image->incompatible & QCOW2_INCOMPATIBLE_DIRTY) != 0u)
		flags |= QCOW2_INFO_DIRTY;
	if ((image->incompatible & QCOW2_INCOMPATIBLE_CORRUPT) != 0u)
		flags |= QCOW2_INFO_CORRUPT;
	if ((image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0u)
		flags |= QCOW2_INFO_EXTENDED_L2;
	if ((image->compatible & QCOW2_COMPATIBLE_LAZY_REFCOUNTS) != 0u)
		flags |= QCOW2_INFO_LAZY_REFCOUNTS;
	if ((image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0u)
		flags |= QCOW2_INFO_DATA_FILE;
	if ((image->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) != 0u)
		flags |= QCOW2_INFO_DATA_FILE_RAW;
	return flags;
}

/* The fields that only a qcow2 image has. */
static void info_header(struct qcow2_info *info, const struct qcow2_image *image)
{
	info->flags = info_flags(image);
	info->cluster_size = image->cluster_len;
	info->refcount_bits = image->version == 1u ? 0u : 1u << image->refcount_order;
	info->compression = qp_compression_name(image->compression_type);
	if (image->crypt_method != 0u)
		info->encryption = qp_encryption_name(image->crypt_method);
	info->incompatible = image->incompatible;
	info->compatible = image->compatible;
	info->autoclear = image->autoclear;
	info->l1_offset = image->l1_pos;
	info->refcount_table_offset = image->refcount_table_pos;
	info->snapshots_offset = image->snapshots_pos;
	info->header_length = image->header_len;
	info->crypt_method = image->crypt_method;
	info->l1_entries = image->l1_entries;
	info->refcount_table_clusters = image->refcount_table_clusters;
	info->n_snapshots = image->n_snapshots;
}

static void info_fill(struct qcow2_info *info, struct qp_layer *layer)
{
	const struct qcow2_image *image = &layer->image;
	bool complete;

	info->format = image->version == 0u ? "raw" : image->version == 1u ? "qcow" : "qcow2";
	info->version = image->version;
	info->size = image->size;
	info->file_size = image->io.size;
	info->file_start = layer->file.start;
	if (image->version != 0u)
		info_header(info, image);
	complete = qp_layer_name(layer, QP_NAME_BACKING, &info->backing_file);
	complete &= qp_layer_name(layer, QP_NAME_FORMAT, &info->backing_format);
	complete &= qp_layer_name(layer, QP_NAME_DATA, &info->data_file);
	/* The extension is there, and the name in it is empty. */
	if (image->data_file_name.pos != 0u && image->data_file_name.len == 0u &&
	    (info->flags & QCOW2_INFO_DATA_FILE) != 0u)
		info->data_file.bytes = "";
	info->incomplete = !complete;
}

static int info_get(struct qcow2 *q, unsigned depth, struct qcow2_info *info)
{
	struct qp_layer *layer = qp_layer_at(q->top, depth);
	struct qcow2_info own;
	size_t len = info->struct_size;

	if (len < INFO_LEN_MIN) {
		qp_fail_text(EINVAL, 0, "struct_size of the info is not set");
		return qp_failed();
	}
	if (layer == NULL) {
		qp_fail_text(ENOENT, 0, "the backing chain has no image at this depth");
		return qp_failed();
	}
	memset(&own, 0, sizeof own);
	info_fill(&own, layer);
	/* The caller's struct may be that of an older or a newer version. */
	memset(info, 0, len);
	memcpy(info, &own, len < sizeof own ? len : sizeof own);
	info->struct_size = len;
	return 0;
}

int qcow2_get_info(struct qcow2 *q, unsigned depth, struct qcow2_info *info)
{
	int cancel_state = qp_cancel_hold();
	int rc = info_get(q, depth, info);

	qp_cancel_restore(cancel_state);
	return rc;
}
