/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info without --json: one line for each fact.
 */
#include "info.h"

#include <inttypes.h>
#include <string.h>

#include "snapshot_list.h"
#include "text.h"

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

static void print_features(unsigned flags)
{
	static const struct {
		unsigned flag;
		const char *text;
	} known[] = {
		{ QCOW2_INFO_DIRTY, "refcounts may be out of date (dirty)" },
		{ QCOW2_INFO_CORRUPT, "marked corrupt" },
		{ QCOW2_INFO_EXTENDED_L2, "extended L2 entries (subclusters)" },
		{ QCOW2_INFO_LAZY_REFCOUNTS, "lazy refcounts" },
		{ QCOW2_INFO_DATA_FILE_RAW, "the data file is a raw disk by itself" },
	};
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if ((flags & known[i].flag) != 0u)
			printf("feature: %s\n", known[i].text);
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
		printf(" (%s, %" PRIu64 " bytes)\n", image.format, image.size);
	}
}

void info_print_text(const struct info *info)
{
	const struct qcow2_info *image = &info->image;

	printf("image: ");
	text_print(stdout, info->filename, strlen(info->filename));
	printf("\nformat: qcow2 version %u (compat %s)\n", image->version,
	       image->version >= 3u ? "1.1" : "0.10");
	print_size("virtual size", qcow2_get_size(info->q));
	print_size("file size", image->file_size);
	print_size("disk usage", info->actual_size);
	if (qcow2_in_use(info->q, 0) > 0)
		puts("in use: yes");
	printf("cluster size: %" PRIu64 "\n", image->cluster_size);
	printf("compression: %s\n", image->compression);
	printf("refcount bits: %u\n", image->refcount_bits);
	if (image->encryption != NULL)
		printf("encrypted: %s\n", image->encryption);
	print_string("backing file", image->backing_file);
	if (info->backing_path_len != image->backing_file.len)
		print_bytes("backing file path", info->backing_path, info->backing_path_len);
	print_string("backing file format", image->backing_format);
	print_string("data file", image->data_file);
	print_features(image->flags);
	print_bitmaps(info);
	print_chain(info->q);
	if (info->n_snapshots > 0) {
		puts("snapshots:");
		snapshots_print_text(info->snapshots, info->n_snapshots);
	}
}
