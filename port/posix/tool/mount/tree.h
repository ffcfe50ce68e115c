/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The files of a mount:
 *
 *	disk  p1  p2 ...  snapshots/1/disk  snapshots/1/p1 ...  snapshots/1-before -> 1
 *
 * A file is known by its inode number, which says all about it: the view in the upper bits, and a
 * slot in the lower ones. So nothing is kept of the files that programs use.
 */
#ifndef QCOW2_TOOL_TREE_H
#define QCOW2_TOOL_TREE_H

#include "../tool.h"

#include <sys/stat.h>
#include <sys/types.h>

#include "snapshot_names.h"
#include "views.h"

struct tree {
	const struct args *args;
	struct qcow2_snapshot_entry *snapshots; /* n_snapshots; view i + 1 is snapshot i */
	size_t n_snapshots;
	struct snapshot_names names;
	struct views views;
	uid_t uid; /* of all files; set before tree_begin */
	gid_t gid;
	bool prints;            /* what fails, on standard error */
	uint64_t failed_offset; /* of the last failure that was printed */
};

/* The inode number of the root. FUSE gives it. */
enum { TREE_ROOT = 1 };

struct tree_entry {
	char name[SNAPSHOT_NAME_LEN];
	uint64_t ino;
	mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
};

/*
 * Prepares a zeroed tree for the disk, with its snapshots unless the disk is one itself. Returns
 * false after a message. After a warning, snapshots or partitions may be missing.
 */
bool tree_begin(struct tree *tree, const struct args *args, struct qcow2 *disk);

/* Finds a name in a directory. Returns its inode number, or 0 with errno set. */
uint64_t tree_find(struct tree *tree, uint64_t directory, const char *name);

/* Describes a file. Returns false with errno set on failure. */
bool tree_stat(struct tree *tree, uint64_t ino, struct stat *st);

/*
 * Gets the entry of a directory at an index, without "." and "..". Returns false with errno set on
 * failure; errno is 0 after the last entry.
 */
bool tree_entry_at(struct tree *tree, uint64_t directory, uint64_t index, struct tree_entry *entry);

/* Puts the target of a link in `to`. */
void tree_link(const struct tree *tree, uint64_t ino, char to[SNAPSHOT_NAME_LEN]);

/*
 * Reads from a file as pread(2) does, and seeks in it as lseek(2) does. Both return -1 with errno
 * set on failure.
 */
ssize_t tree_read(struct tree *tree, uint64_t ino, void *buf, size_t len, uint64_t offset);
int64_t tree_seek(struct tree *tree, uint64_t ino, uint64_t offset, bool for_data);

/* Where a file of the chain holds a part of a file as it is. */
struct tree_extent {
	struct view *view;
	int fd;
	uint64_t pos;
	size_t len; /* what tree_read would return */
};

/*
 * Finds the bytes that tree_read would read. Returns false if no file holds all of them in a row,
 * or on failure. fd is open until tree_give_extent.
 */
bool tree_take_extent(struct tree *tree, uint64_t ino, size_t len, uint64_t offset,
                      struct tree_extent *extent);
void tree_give_extent(struct tree *tree, const struct tree_extent *extent);

#endif
