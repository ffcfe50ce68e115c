/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 info --json: the keys of qemu-img info, then what qemu-img does not print: "header",
 * "chain", "usage" and "partition-table".
 */
#include "info.h"

#include "bitmap_json.h"
#include "snapshot_list.h"

static void json_optional(struct json *j, const char *key, const char *bytes, size_t len)
{
	if (bytes != NULL)
		json_string(j, key, bytes, len);
}

static void json_bitmaps(struct json *j, const struct info *info)
{
	int i;

	if (info->n_bitmaps <= 0)
		return;
	json_begin(j, "bitmaps", '[');
	for (i = 0; i < info->n_bitmaps; i++)
		bitmap_print_json(j, &info->bitmaps[i], false);
	json_end(j, ']');
}

/* What only images of version 3 have. */
static void json_version_3(struct json *j, const struct info *info)
{
	const struct qcow2_info *image = &info->image;
	unsigned flags = image->flags;

	json_bool(j, "lazy-refcounts", (flags & QCOW2_INFO_LAZY_REFCOUNTS) != 0u);
	json_bitmaps(j, info);
	if ((flags & QCOW2_INFO_DATA_FILE) != 0u) {
		json_optional(j, "data-file", image->data_file.bytes, image->data_file.len);
		json_bool(j, "data-file-raw", (flags & QCOW2_INFO_DATA_FILE_RAW) != 0u);
	}
	json_bool(j, "corrupt", (flags & QCOW2_INFO_CORRUPT) != 0u);
	json_bool(j, "extended-l2", (flags & QCOW2_INFO_EXTENDED_L2) != 0u);
}

static void json_key_slot(struct json *j, const struct qcow2_key_slot *slot)
{
	json_begin(j, NULL, '{');
	json_bool(j, "active", slot->active);
	if (slot->active) {
		json_number(j, "iters", slot->iterations);
		json_number(j, "stripes", slot->stripes);
	}
	json_number(j, "key-offset", slot->offset);
	json_end(j, '}');
}

/* Of the method AES, qemu-img prints only the name. */
static void json_encryption(struct json *j, const struct qcow2_encryption *e)
{
	json_begin(j, "encrypt", '{');
	json_text(j, "format", e->method);
	if (e->hash != NULL) {
		unsigned i;

		json_text(j, "cipher-alg", e->cipher);
		json_text(j, "cipher-mode", e->mode);
		json_text(j, "ivgen-alg", e->iv);
		if (e->iv_hash != NULL)
			json_text(j, "ivgen-hash-alg", e->iv_hash);
		json_text(j, "hash-alg", e->hash);
		json_text(j, "uuid", e->uuid);
		json_number(j, "payload-offset", e->payload_offset);
		json_number(j, "master-key-iters", e->iterations);
		json_begin(j, "slots", '[');
		for (i = 0; i < QCOW2_KEY_SLOTS; i++)
			json_key_slot(j, &e->slots[i]);
		json_end(j, ']');
	}
	json_end(j, '}');
}

static void json_format_specific(struct json *j, const struct info *info)
{
	const struct qcow2_info *image = &info->image;

	json_begin(j, "format-specific", '{');
	json_text(j, "type", "qcow2");
	json_begin(j, "data", '{');
	json_text(j, "compat", image->version >= 3u ? "1.1" : "0.10");
	json_text(j, "compression-type", image->compression);
	json_number(j, "refcount-bits", image->refcount_bits);
	if (image->encryption != NULL)
		json_encryption(j, &info->encryption);
	if (image->version >= 3u)
		json_version_3(j, info);
	json_end(j, '}');
	json_end(j, '}');
}

static void json_header(struct json *j, const struct qcow2_info *image)
{
	json_begin(j, "header", '{');
	json_number(j, "version", image->version);
	json_number(j, "length", image->header_length);
	json_number(j, "incompatible-features", image->incompatible);
	json_number(j, "compatible-features", image->compatible);
	json_number(j, "autoclear-features", image->autoclear);
	json_number(j, "crypt-method", image->crypt_method);
	json_number(j, "l1-entries", image->l1_entries);
	json_number(j, "l1-offset", image->l1_offset);
	json_number(j, "refcount-table-offset", image->refcount_table_offset);
	json_number(j, "refcount-table-clusters", image->refcount_table_clusters);
	json_number(j, "snapshots", image->n_snapshots);
	json_number(j, "snapshots-offset", image->snapshots_offset);
	json_number(j, "file-size", image->file_size);
	json_end(j, '}');
}

/* The image and those below it, if any of these is open. */
static void json_chain(struct json *j, struct qcow2 *q)
{
	struct qcow2_info image = { .struct_size = sizeof image };
	unsigned depth;

	if (qcow2_get_info(q, 1, &image) != 0)
		return;
	json_begin(j, "chain", '[');
	for (depth = 0; qcow2_get_info(q, depth, &image) == 0; depth++) {
		const char *path = qcow2_get_path(q, depth);

		json_begin(j, NULL, '{');
		if (path != NULL)
			json_text(j, "filename", path);
		json_text(j, "format", image.format);
		json_number(j, "virtual-size", image.size);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void json_usage(struct json *j, const struct info *info)
{
	const struct usage *usage = &info->usage;

	if (!info->has_usage)
		return;
	json_begin(j, "usage", '{');
	json_number(j, "scanned", usage->scanned);
	json_number(j, "data", usage->data);
	json_number(j, "compressed", usage->compressed);
	if (info->image.encryption != NULL) /* compressed data is stored as plain text */
		json_number(j, "not-encrypted", usage->compressed);
	json_number(j, "zero", usage->zero);
	if (usage->damaged != 0u)
		json_number(j, "damaged", usage->damaged);
	json_end(j, '}');
}

static void json_partition(struct json *j, const struct partition *p)
{
	json_begin(j, NULL, '{');
	json_number(j, "number", p->number);
	json_number(j, "start", p->start);
	json_number(j, "length", p->length);
	json_text(j, "type", p->type);
	if (p->type_name != NULL)
		json_text(j, "type-name", p->type_name);
	if (p->name[0] != '\0')
		json_text(j, "name", p->name);
	json_bool(j, "bootable", p->is_bootable);
	json_end(j, '}');
}

static void json_partitions(struct json *j, const struct partition_table *table)
{
	unsigned i;

	if (table == NULL || table->scheme == PARTITIONS_NONE)
		return;
	json_begin(j, "partition-table", '{');
	json_text(j, "type", table->scheme == PARTITIONS_GPT ? "gpt" : "mbr");
	json_number(j, "sector-size", table->sector_size);
	if (table->problem != NULL)
		json_text(j, "problem", table->problem);
	json_begin(j, "partitions", '[');
	for (i = 0; i < table->n; i++)
		json_partition(j, &table->list[i]);
	json_end(j, ']');
	json_end(j, '}');
}

void info_print_json(struct json *j, const struct info *info)
{
	const struct qcow2_info *image = &info->image;

	json_begin(j, NULL, '{');
	json_optional(j, "backing-filename-format", image->backing_format.bytes,
	              image->backing_format.len);
	if (info->n_snapshots > 0)
		snapshots_print_json(j, "snapshots", info->snapshots, info->n_snapshots);
	json_number(j, "virtual-size", qcow2_get_size(info->q));
	json_text(j, "filename", info->filename);
	if (image->version != 0u)
		json_number(j, "cluster-size", image->cluster_size);
	json_text(j, "format", image->format);
	json_number(j, "actual-size", info->actual_size);
	if (image->version >= 2u)
		json_format_specific(j, info);
	json_optional(j, "full-backing-filename", info->backing_path, info->backing_path_len);
	json_optional(j, "backing-filename", image->backing_file.bytes, image->backing_file.len);
	if (image->encryption != NULL)
		json_bool(j, "encrypted", true);
	json_bool(j, "dirty-flag", (image->flags & QCOW2_INFO_DIRTY) != 0u);
	if (image->version != 0u)
		json_header(j, image);
	json_chain(j, info->q);
	json_usage(j, info);
	json_partitions(j, info->partitions);
	json_end(j, '}');
}
