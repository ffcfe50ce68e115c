/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info --json: the keys of qemu-img info, and after them what it does not tell.
 */
#include "info.h"

#include <string.h>

#include "snapshots.h"

static void json_bytes(struct json *j, const char *key, const struct bytes *bytes)
{
	if (bytes->at != NULL)
		json_string(j, key, bytes->at, bytes->len);
}

static void json_bitmaps(struct json *j, const struct info *info)
{
	size_t i;

	if (info->n_bitmaps == 0u)
		return;
	json_begin(j, "bitmaps", '[');
	for (i = 0; i < info->n_bitmaps; i++) {
		const struct bitmap_entry *bitmap = &info->bitmaps[i];

		json_begin(j, NULL, '{');
		json_begin(j, "flags", '[');
		if (bitmap->in_use)
			json_text(j, NULL, "in-use");
		if (bitmap->automatic)
			json_text(j, NULL, "auto");
		json_end(j, ']');
		json_string(j, "name", bitmap->name, bitmap->name_len);
		json_number(j, "granularity", bitmap->granularity);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void json_version_3(struct json *j, const struct info *info)
{
	const struct qcow2_image *image = info->image;

	json_bool(j, "lazy-refcounts", (image->compatible & QCOW2_COMPATIBLE_LAZY_REFCOUNTS) != 0u);
	json_bitmaps(j, info);
	if ((image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0u) {
		json_bytes(j, "data-file", &info->data_file);
		json_bool(j, "data-file-raw",
		          (image->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) != 0u);
	}
	json_bool(j, "corrupt", (image->incompatible & QCOW2_INCOMPATIBLE_CORRUPT) != 0u);
	json_bool(j, "extended-l2", (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0u);
}

static void json_specific(struct json *j, const struct info *info)
{
	const struct qcow2_image *image = info->image;

	json_begin(j, "format-specific", '{');
	json_text(j, "type", "qcow2");
	json_begin(j, "data", '{');
	json_text(j, "compat", image->version >= 3u ? "1.1" : "0.10");
	json_text(j, "compression-type", compression_name(image));
	json_number(j, "refcount-bits", UINT64_C(1) << image->refcount_order);
	if (image->crypt_method != 0u) {
		json_begin(j, "encrypt", '{');
		json_text(j, "format", encryption_name(image));
		json_end(j, '}');
	}
	if (image->version >= 3u)
		json_version_3(j, info);
	json_end(j, '}');
	json_end(j, '}');
}

/* Not in qemu-img: the fields of the header. */
static void json_header(struct json *j, const struct qcow2_image *image)
{
	json_begin(j, "header", '{');
	json_number(j, "version", image->version);
	json_number(j, "length", image->header_len);
	json_number(j, "incompatible-features", image->incompatible);
	json_number(j, "compatible-features", image->compatible);
	json_number(j, "autoclear-features", image->autoclear);
	json_number(j, "crypt-method", image->crypt_method);
	json_number(j, "l1-entries", image->l1_entries);
	json_number(j, "l1-offset", image->l1_pos);
	json_number(j, "refcount-table-offset", image->refcount_table_pos);
	json_number(j, "refcount-table-clusters", image->refcount_table_clusters);
	json_number(j, "snapshots", image->n_snapshots);
	json_number(j, "snapshots-offset", image->snapshots_pos);
	json_number(j, "file-size", image->io.size);
	json_end(j, '}');
}

/* Not in qemu-img: the backing chain, where it was opened. */
static void json_chain(struct json *j, const struct info *info)
{
	const struct qcow2_image *image;
	unsigned depth;

	if (qcow2_get_image(info->q, 1) == NULL)
		return;
	json_begin(j, "chain", '[');
	for (depth = 0; (image = qcow2_get_image(info->q, depth)) != NULL; depth++) {
		const char *path = qcow2_get_path(info->q, depth);

		json_begin(j, NULL, '{');
		if (path != NULL)
			json_text(j, "filename", path);
		json_text(j, "format", image->version != 0u ? "qcow2" : "raw");
		json_number(j, "virtual-size", image->size);
		json_end(j, '}');
	}
	json_end(j, ']');
}

void info_json(const struct info *info)
{
	const struct qcow2_image *image = info->image;
	struct json j = { stdout, 0, true };

	json_begin(&j, NULL, '{');
	json_bytes(&j, "backing-filename-format", &info->backing_format);
	if (info->n_snapshots > 0)
		snapshots_json(&j, "snapshots", info->snapshots, info->n_snapshots);
	json_number(&j, "virtual-size", qcow2_get_size(info->q));
	json_text(&j, "filename", info->filename);
	json_number(&j, "cluster-size", UINT64_C(1) << image->cluster_bits);
	json_text(&j, "format", "qcow2");
	json_number(&j, "actual-size", info->actual_size);
	json_specific(&j, info);
	json_bytes(&j, "full-backing-filename", &info->backing_full);
	json_bytes(&j, "backing-filename", &info->backing);
	if (image->crypt_method != 0u)
		json_bool(&j, "encrypted", true);
	json_bool(&j, "dirty-flag", (image->incompatible & QCOW2_INCOMPATIBLE_DIRTY) != 0u);
	json_header(&j, image);
	json_chain(&j, info);
	json_end(&j, '}');
}
