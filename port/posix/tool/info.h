/* SPDX-License-Identifier: MIT */
#ifndef QCOW2_TOOL_INFO_H
#define QCOW2_TOOL_INFO_H

#include "tool.h"

#include "qcow2/image.h"

/* Bytes of the image's making, with a NUL after them; NULL: there are none. */
struct bytes {
	char *at;
	size_t len;
};

/* One persistent bitmap, as the bitmap directory has it. */
struct bitmap_entry {
	const char *name;
	size_t name_len;
	uint64_t granularity;
	bool in_use;
	bool automatic;
};

/* All that `qcow2 info` tells. */
struct info {
	const char *filename;
	struct qcow2 *q;
	const struct qcow2_image *image;
	uint64_t actual_size;
	struct bytes backing;
	struct bytes backing_full; /* from where this program stands */
	struct bytes backing_format;
	struct bytes data_file;
	struct qcow2_snapshot_entry *snapshots;
	int n_snapshots;
	struct bitmap_entry *bitmaps;
	unsigned char *bitmap_directory; /* memory of their names */
	size_t n_bitmaps;
};

/* bitmaps.c: fills the last three. False: the directory is damaged, or no memory; none then. */
bool bitmaps_load(struct info *info);

/* info_json.c */
void info_json(const struct info *info);

/* info.c: as QEMU calls them. */
const char *compression_name(const struct qcow2_image *image);
const char *encryption_name(const struct qcow2_image *image);

#endif
