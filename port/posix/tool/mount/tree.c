/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The files of a mount.
 */
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../info/partitions.h"
#include "../message.h"

/* The lower bits of an inode number; the rest is the number of the view. */
enum {
	SLOT_BITS = 10,
	SLOT_DIRECTORY = TREE_ROOT, /* of a view: the root, or that of a snapshot */
	SLOT_SNAPSHOTS = 2,         /* the directory "snapshots", with the view of the disk */
	SLOT_LINK = 3,              /* to the directory of a snapshot */
	SLOT_PART = 8,              /* the first part of a view, and the others after it */
	SLOT_END = SLOT_PART + PARTITIONS_MAX + 1,
	BLOCK_UNIT = 512 /* the unit of st_blocks */
};

typedef char slots_fit[SLOT_END <= 1 << SLOT_BITS ? 1 : -1];

static uint64_t inode(size_t view, unsigned slot)
{
	return (uint64_t)view << SLOT_BITS | slot;
}

static size_t view_of(uint64_t ino)
{
	return (size_t)(ino >> SLOT_BITS);
}

static unsigned slot_of(uint64_t ino)
{
	return (unsigned)(ino & ((1u << SLOT_BITS) - 1u));
}

static bool is_directory(uint64_t ino)
{
	return slot_of(ino) == SLOT_DIRECTORY || slot_of(ino) == SLOT_SNAPSHOTS;
}

/*
 * Prints why a call of the library has failed, once for each place that programs try again. Keeps
 * errno, which is the reason also if no call of the library was made.
 */
static void failed(struct tree *tree)
{
	const struct qcow2_failure *failure = qcow2_last_failure();
	int error = errno;

	if (tree->prints && failure->error == error &&
	    __atomic_exchange_n(&tree->failed_offset, failure->offset, __ATOMIC_RELAXED) !=
	            failure->offset)
		tool_error(tree->args->image, "%s", failure->message);
	errno = error;
}

static struct view *take(struct tree *tree, uint64_t ino)
{
	struct view *view = view_take(&tree->views, view_of(ino));

	if (view == NULL)
		failed(tree);
	return view;
}

/* The part of a file, which belongs to the view. */
static struct view_part *part_of(struct view *view, uint64_t ino)
{
	return &view->parts[slot_of(ino) - SLOT_PART];
}

static void load_snapshots(struct tree *tree, struct qcow2 *disk)
{
	int n = qcow2_list_snapshots(disk, &tree->snapshots);

	if (n < 0)
		tool_error(tree->args->image, "warning: cannot read the list of snapshots: %s",
		           qcow2_last_failure()->message);
	else
		tree->n_snapshots = (size_t)n;
}

static bool is_snapshot(const struct args *args)
{
	return args->snapshot.id_or_name != NULL || args->snapshot.id != NULL ||
	       args->snapshot.name != NULL;
}

bool tree_begin(struct tree *tree, const struct args *args, struct qcow2 *disk)
{
	struct view *view;
	size_t i;

	tree->args = args;
	tree->failed_offset = UINT64_MAX;
	if (!is_snapshot(args))
		load_snapshots(tree, disk);
	if (!snapshot_names_make(&tree->names, tree->snapshots, tree->n_snapshots) ||
	    !views_begin(&tree->views, args, disk, tree->n_snapshots)) {
		tool_error(args->image, "out of memory");
		return false;
	}
	if (tree->names.n_left_out != 0u)
		tool_error(args->image, "warning: snapshots without an id of their own: %zu",
		           tree->names.n_left_out);
	for (i = 0; i < tree->n_snapshots; i++) {
		tree->views.list[i + 1u].snapshot = tree->snapshots[i].id;
		tree->views.list[i + 1u].time = tree->snapshots[i].date_sec;
	}
	view = view_take(&tree->views, 0);
	if (view != NULL)
		view_give(&tree->views, view);
	return true;
}

/* The name of a part is "disk", or "p" and the number of the partition. */
static void name_part(const struct view_part *part, char to[SNAPSHOT_NAME_LEN])
{
	if (part->number == 0u)
		snprintf(to, SNAPSHOT_NAME_LEN, "disk");
	else
		snprintf(to, SNAPSHOT_NAME_LEN, "p%u", part->number);
}

/* Finds a part by its name. Returns 0 with errno set on failure. */
static uint64_t find_part(struct tree *tree, uint64_t directory, const char *name)
{
	struct view *view = take(tree, directory);
	char of_part[SNAPSHOT_NAME_LEN];
	uint64_t found = 0;
	unsigned i;

	if (view == NULL)
		return 0;
	for (i = 0; i < view->n_parts && found == 0u; i++) {
		name_part(&view->parts[i], of_part);
		if (strcmp(name, of_part) == 0)
			found = inode(view_of(directory), SLOT_PART + i);
	}
	view_give(&tree->views, view);
	errno = ENOENT;
	return found;
}

static uint64_t inode_of_name(const struct snapshot_name *name)
{
	return inode(name->snapshot + 1u, name->is_link ? SLOT_LINK : SLOT_DIRECTORY);
}

uint64_t tree_find(struct tree *tree, uint64_t directory, const char *name)
{
	if (slot_of(directory) == SLOT_SNAPSHOTS) {
		const struct snapshot_name *found = snapshot_names_find(&tree->names, name);

		errno = ENOENT;
		return found != NULL ? inode_of_name(found) : 0u;
	}
	if (directory == TREE_ROOT && tree->names.n != 0u && strcmp(name, "snapshots") == 0)
		return inode(0, SLOT_SNAPSHOTS);
	return find_part(tree, directory, name);
}

bool tree_stat(struct tree *tree, uint64_t ino, struct stat *st)
{
	const struct view *shown = &tree->views.list[view_of(ino)];

	memset(st, 0, sizeof *st);
	st->st_ino = ino;
	st->st_uid = tree->uid;
	st->st_gid = tree->gid;
	st->st_mtime = st->st_ctime = st->st_atime = (time_t)shown->time;
	st->st_nlink = is_directory(ino) ? 2 : 1;
	st->st_blksize = (blksize_t)shown->block_size;
	if (is_directory(ino)) {
		st->st_mode = S_IFDIR | 0555;
	} else if (slot_of(ino) == SLOT_LINK) {
		char target[SNAPSHOT_NAME_LEN];

		st->st_mode = S_IFLNK | 0777;
		tree_link(tree, ino, target);
		st->st_size = (off_t)strlen(target);
	} else {
		struct view *view = take(tree, ino);

		if (view == NULL)
			return false;
		st->st_mode = S_IFREG | 0444;
		st->st_size = (off_t)part_of(view, ino)->length;
		st->st_blocks =
			(blkcnt_t)((view_stored(view, part_of(view, ino)) + BLOCK_UNIT - 1u) /
		                   BLOCK_UNIT);
		view_give(&tree->views, view);
	}
	return true;
}

/* The entry of the directory "snapshots". */
static bool name_at(const struct tree *tree, uint64_t index, struct tree_entry *entry)
{
	const struct snapshot_name *name;

	errno = 0;
	if (index >= tree->names.n)
		return false;
	name = &tree->names.list[index];
	snprintf(entry->name, sizeof entry->name, "%s", name->name);
	entry->ino = inode_of_name(name);
	entry->type = name->is_link ? S_IFLNK : S_IFDIR;
	return true;
}

bool tree_entry_at(struct tree *tree, uint64_t directory, uint64_t index, struct tree_entry *entry)
{
	struct view *view;
	unsigned n;

	if (slot_of(directory) == SLOT_SNAPSHOTS)
		return name_at(tree, index, entry);
	view = take(tree, directory);
	if (view == NULL)
		return false;
	n = view->n_parts;
	if (index < n) {
		name_part(&view->parts[index], entry->name);
		entry->ino = inode(view_of(directory), SLOT_PART + (unsigned)index);
		entry->type = S_IFREG;
	}
	view_give(&tree->views, view);
	errno = 0;
	if (index != n || directory != TREE_ROOT || tree->names.n == 0u)
		return index < n;
	snprintf(entry->name, sizeof entry->name, "snapshots");
	entry->ino = inode(0, SLOT_SNAPSHOTS);
	entry->type = S_IFDIR;
	return true;
}

void tree_link(const struct tree *tree, uint64_t ino, char to[SNAPSHOT_NAME_LEN])
{
	snapshot_directory(to, &tree->snapshots[view_of(ino) - 1u]);
}

ssize_t tree_read(struct tree *tree, uint64_t ino, void *buf, size_t len, uint64_t offset)
{
	struct view *view = take(tree, ino);
	const struct view_part *part;
	int n = 0;

	if (view == NULL)
		return -1;
	part = part_of(view, ino);
	if (offset < part->length) {
		if (len > part->length - offset)
			len = (size_t)(part->length - offset);
		n = qcow2_read(view->q, buf, len, part->start + offset);
		if (n < 0)
			failed(tree);
	}
	view_give(&tree->views, view);
	return n;
}

/* Puts what a file holds of the disk in the extent. Returns false if it is not all of one file. */
static bool find_extent(struct view *view, uint64_t at, size_t len, struct tree_extent *extent)
{
	const unsigned flags = QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_AT;
	struct qcow2_segment s;

	if (qcow2_map(view->q, at, len, &s) != 1 || s.length != len || (s.flags & flags) != flags)
		return false;
	*extent = (struct tree_extent){ view, s.fd, s.file_offset, len };
	return true;
}

bool tree_take_extent(struct tree *tree, uint64_t ino, size_t len, uint64_t offset,
                      struct tree_extent *extent)
{
	struct view *view = view_take(&tree->views, view_of(ino));
	const struct view_part *part;

	if (view == NULL)
		return false;
	part = part_of(view, ino);
	if (offset < part->length) {
		if (len > part->length - offset)
			len = (size_t)(part->length - offset);
		if (find_extent(view, part->start + offset, len, extent))
			return true;
	}
	view_give(&tree->views, view);
	return false;
}

void tree_give_extent(struct tree *tree, const struct tree_extent *extent)
{
	view_give(&tree->views, extent->view);
}

int64_t tree_seek(struct tree *tree, uint64_t ino, uint64_t offset, bool for_data)
{
	struct view *view = take(tree, ino);
	uint64_t found;

	if (view == NULL)
		return -1;
	found = view_seek(view, part_of(view, ino), offset, for_data);
	view_give(&tree->views, view);
	return found == UINT64_MAX ? -1 : (int64_t)found;
}
