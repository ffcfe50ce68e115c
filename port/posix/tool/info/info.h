/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What `qcow2 info` shows: info_load.c collects it, info_text.c and info_json.c print it, and
 * info_chain.c does so for each image of a chain.
 */
#ifndef QCOW2_TOOL_INFO_H
#define QCOW2_TOOL_INFO_H

#include "../args.h"
#include "../show/json.h"
#include "partitions.h"
#include "usage.h"

/* Lists and names that could not be read are empty. Strings from the image are untrusted. */
struct info {
	const char *filename; /* of the image, as on the command line */
	struct qcow2 *q;
	struct qcow2_info image;
	struct qcow2_encryption encryption; /* its method is NULL if the image has none, and its
	                                     * cipher if the LUKS header cannot be read */
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

/*
 * Collects what the header and the lists say. What cannot be read gets a warning and is left out.
 * `cut`: the user knows that the file lacks its end, so what is left out for that reason gets no
 * further warning.
 */
void info_load(struct info *info, const char *filename, struct qcow2 *q, bool cut);
void info_free(struct info *info);

/*
 * Adds how full the image is, and warns of what is odd in its tables; `whole` as for usage_count.
 * If the tables cannot be read because the data file is not open, this does nothing.
 */
void info_load_usage(struct info *info, bool whole);

/*
 * Looks for a partition table on the disk. `alone`: the handle lacks the backing file, if the image
 * has one.
 */
void info_load_partitions(struct info *info, bool alone);

void info_print_text(const struct info *info);
void info_print_json(struct json *j, const struct info *info);

/* The library opens no longer chain than this. */
enum { INFO_CHAIN_MAX = 256 };

/* Copies of the descriptors of a chain, because the library closes those that it opens. */
struct info_chain {
	int n;
	int fds[INFO_CHAIN_MAX];
};

/* Copies the descriptors of q. Returns EXIT_OK, or EXIT_FAILED after a message. */
int info_chain_begin(struct info_chain *chain, const struct args *args, struct qcow2 *q);

/* Prints each image of the chain of q, and closes the copies. Returns an exit status. */
int info_chain_print(struct info_chain *chain, struct json *j, const struct args *args,
                     struct qcow2 *q);

#endif
