/* SPDX-License-Identifier: MIT */
/*
 * What `qcow2 info` shows: info_load.c collects it, info_text.c and info_json.c print it.
 */
#ifndef QCOW2_TOOL_INFO_H
#define QCOW2_TOOL_INFO_H

#include "json.h"
#include "partitions.h"
#include "usage.h"

/* Lists and names that could not be read are empty. Strings from the image are untrusted. */
struct info {
	const char *filename; /* of the image, as on the command line */
	struct qcow2 *q;
	struct qcow2_info image;
	uint64_t actual_size; /* bytes that the file system stores for the image file */
	char *backing_path;   /* of the backing file, from the current directory; or NULL */
	size_t backing_path_len;
	struct qcow2_snapshot_entry *snapshots;
	int n_snapshots;
	struct qcow2_bitmap_entry *bitmaps;
	int n_bitmaps;
	bool has_usage;
	struct usage usage;
	struct partition_table *partitions; /* NULL: not read */
	const char *partitions_need;        /* a file without which they cannot be read, or NULL */
};

/* Collects what the header says. What cannot be read gets a warning and is left out. */
void info_load(struct info *info, const char *filename, struct qcow2 *q);
void info_free(struct info *info);

/* Looks for a partition table on the disk. */
void info_load_partitions(struct info *info);

void info_print_text(const struct info *info);
void info_print_json(struct json *j, const struct info *info);

#endif
