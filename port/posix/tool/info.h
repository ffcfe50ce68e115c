/* SPDX-License-Identifier: MIT */
/*
 * What `qcow2 info` shows: info_load.c collects it, info_text.c and info_json.c print it, and
 * info_chain.c does so for each image of a chain.
 */
#ifndef QCOW2_TOOL_INFO_H
#define QCOW2_TOOL_INFO_H

#include "args.h"
#include "json.h"

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
};

/*
 * Collects everything. What cannot be read gets a warning and is left out. `cut`: the user knows
 * that the file lacks its end, so what is left out for that reason gets no further warning.
 */
void info_load(struct info *info, const char *filename, struct qcow2 *q, bool cut);
void info_free(struct info *info);

void info_print_text(const struct info *info);
void info_print_json(struct json *j, const struct info *info);

/* Enters the sandbox and prints this of each image of the chain of q. Returns an exit status. */
int info_print_chain(const struct args *args, struct qcow2 *q);

#endif
