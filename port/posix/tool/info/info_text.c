/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 info without --json: one line for each fact.
 */
#include "info.h"

#include <inttypes.h>
#include <string.h>

#include "../show/text.h"
#include "snapshot_list.h"

static void print_bytes(const char *label, const char *bytes, size_t len)
{
	if (bytes == NULL)
		return;
	printf("%s: ", label);
	text_print(stdout, bytes, len);
	putchar('\n');
}

static void print_string(const char *label, struct qcow2_string string)
{
	print_bytes(label, string.bytes, string.len);
}

static void print_size(const char *label, uint64_t size)
{
	printf("%s: ", label);
	text_print_size(stdout, size);
	printf(" (%" PRIu64 " bytes)\n", size);
}

static void print_flag(const char *label, bool value)
{
	printf("%s: %s\n", label, value ? "yes" : "no");
}

/* Said in any case: that an image is not corrupt is worth knowing as well. */
static void print_flags(unsigned flags)
{
	print_flag("dirty", (flags & QCOW2_INFO_DIRTY) != 0u);
	print_flag("corrupt", (flags & QCOW2_INFO_CORRUPT) != 0u);
	print_flag("lazy refcounts", (flags & QCOW2_INFO_LAZY_REFCOUNTS) != 0u);
	print_flag("extended L2 entries", (flags & QCOW2_INFO_EXTENDED_L2) != 0u);
	if ((flags & QCOW2_INFO_DATA_FILE) != 0u)
		print_flag("data file is raw", (flags & QCOW2_INFO_DATA_FILE_RAW) != 0u);
}

static void print_usage(const struct info *info)
{
	const struct usage *usage = &info->usage;

	if (!info->has_usage)
		return;
	printf("allocated: ");
	text_print_size(stdout, usage->data);
	printf(" (%" PRIu64 " bytes), %.3g %% of ", usage->data,
	       usage->scanned != 0u ? 100.0 * (double)usage->data / (double)usage->scanned : 0.0);
	if (usage->scanned == qcow2_get_size(info->q)) {
		puts("the disk");
	} else {
		printf("the first ");
		text_print_size(stdout, usage->scanned);
		puts(" (--scan counts all)");
	}
	if (usage->compressed != 0u)
		print_size(info->image.encryption != NULL
		                   ? "allocated compressed, which is not encrypted"
		                   : "allocated compressed",
		           usage->compressed);
	if (usage->zero != 0u)
		print_size("zero clusters", usage->zero);
	if (usage->damaged != 0u)
		print_size("damaged", usage->damaged);
}

static void print_bitmaps(const struct info *info)
{
	int i;

	for (i = 0; i < info->n_bitmaps; i++) {
		const struct qcow2_bitmap_entry *bitmap = &info->bitmaps[i];

		printf("bitmap: ");
		text_print(stdout, bitmap->name, bitmap->name_len);
		printf(" (granularity %" PRIu64 "%s%s)\n", bitmap->granularity,
		       (bitmap->flags & QCOW2_BITMAP_ENTRY_AUTO) != 0u ? ", auto" : "",
		       (bitmap->flags & QCOW2_BITMAP_ENTRY_IN_USE) != 0u ? ", in use" : "");
	}
}

/* The images below this one, if they are open. */
static void print_chain(struct qcow2 *q)
{
	struct qcow2_info image = { .struct_size = sizeof image };
	unsigned depth;

	for (depth = 1; qcow2_get_info(q, depth, &image) == 0; depth++) {
		const char *path = qcow2_get_path(q, depth);

		if (path == NULL)
			path = "?";
		printf("chain %u: ", depth);
		text_print(stdout, path, strlen(path));
		printf(" (%s, ", image.format);
		text_print_size(stdout, image.size);
		printf(", %" PRIu64 " bytes)\n", image.size);
	}
}

static void print_partition(const struct partition *p, uint64_t disk_size)
{
	char size[TEXT_SIZE_MAX];

	printf("%-6u %16" PRIu64 " %16" PRIu64 " %9s  %s", p->number, p->start, p->length,
	       text_size(size, p->length), p->type_name != NULL ? p->type_name : p->type);
	if (p->name[0] != '\0') {
		printf(", ");
		text_print(stdout, p->name, strlen(p->name));
	}
	if (p->is_bootable)
		printf(" (bootable)");
	if (p->start > disk_size || p->length > disk_size - p->start)
		printf(" (past the end of the disk)");
	putchar('\n');
}

static void print_partitions(const struct info *info)
{
	const struct partition_table *table = info->partitions;
	unsigned i;

	if (info->partitions_need != NULL)
		printf("partitions: unknown without the %s\n", info->partitions_need);
	if (table == NULL || table->scheme == PARTITIONS_NONE)
		return;
	printf("partitions: %s, sectors of %u bytes%s%s\n",
	       table->scheme == PARTITIONS_GPT ? "GPT" : "MBR", table->sector_size,
	       table->problem != NULL ? "; " : "", table->problem != NULL ? table->problem : "");
	if (table->n != 0u)
		printf("%-6s %16s %16s %9s  %s\n", "NUMBER", "START", "LENGTH", "SIZE",
		       "TYPE, NAME");
	for (i = 0; i < table->n; i++)
		print_partition(&table->list[i], qcow2_get_size(info->q));
}

static void print_encryption(const struct qcow2_encryption *e)
{
	unsigned i;

	if (e->method == NULL)
		return;
	printf("encrypted: %s\n", e->method);
	if (e->cipher != NULL)
		printf("cipher: %s, %s, %s%s%s\n", e->cipher, e->mode, e->iv,
		       e->iv_hash != NULL ? ":" : "", e->iv_hash != NULL ? e->iv_hash : "");
	if (e->hash == NULL)
		return;
	printf("LUKS uuid: ");
	text_print(stdout, e->uuid, strlen(e->uuid));
	printf("\nkey hash: %s, %" PRIu32 " iterations\n", e->hash, e->iterations);
	for (i = 0; i < QCOW2_KEY_SLOTS; i++)
		if (e->slots[i].active)
			printf("key slot %u: %" PRIu32 " iterations\n", i, e->slots[i].iterations);
}

/* What a raw disk does not have. */
static void print_header(const struct info *info)
{
	const struct qcow2_info *image = &info->image;

	printf("cluster size: %" PRIu64 "\n", image->cluster_size);
	printf("compression: %s\n", image->compression);
	if (image->version >= 2u)
		printf("refcount bits: %u\n", image->refcount_bits);
	print_encryption(&info->encryption);
	print_string("backing file", image->backing_file);
	if (info->backing_path_len != image->backing_file.len)
		print_bytes("backing file path", info->backing_path, info->backing_path_len);
	print_string("backing file format", image->backing_format);
	print_string("data file", image->data_file);
	if (image->version >= 2u)
		print_flags(image->flags);
}

void info_print_text(const struct info *info)
{
	const struct qcow2_info *image = &info->image;

	printf("image: ");
	text_print(stdout, info->filename, strlen(info->filename));
	if (image->version < 2u)
		printf("\nformat: %s\n", image->format);
	else
		printf("\nformat: qcow2 version %u (compat %s)\n", image->version,
		       image->version >= 3u ? "1.1" : "0.10");
	print_size("virtual size", qcow2_get_size(info->q));
	print_size("file size", image->file_size);
	print_size("disk usage", info->actual_size);
	if (qcow2_in_use(info->q, 0) > 0)
		puts("in use: yes");
	if (image->version != 0u)
		print_header(info);
	print_bitmaps(info);
	print_usage(info);
	print_chain(info->q);
	print_partitions(info);
	if (info->n_snapshots > 0) {
		puts("snapshots:");
		snapshots_print_text(info->snapshots, info->n_snapshots);
	}
}
