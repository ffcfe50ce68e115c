/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Collects what `qcow2 info` shows.
 */
#include "info.h"

#include <stdlib.h>
#include <string.h>

#include "../disk/holes.h"
#include "../message.h"
#include "qcow2/status.h"

/* qcow2.txt "Header", autoclear_features: the bitmaps are up to date. */
#define AUTOCLEAR_BITMAPS UINT64_C(1)

/* Warns that something cannot be read, with the library's reason. */
static void warn(const struct info *info, bool cut, const char *what)
{
	if (!cut || qcow2_last_failure()->status != QCOW2_E_TRUNCATED)
		tool_error(info->filename, "warning: %s%s", what, qcow2_last_failure()->message);
}

/* Like QEMU: the name is relative to the image's directory, unless it is absolute or a URL. */
static void join_backing_path(struct info *info)
{
	const char *slash = strrchr(info->filename, '/');
	const char *name = info->image.backing_file.bytes;
	size_t name_len = info->image.backing_file.len;
	size_t dir_len = slash != NULL ? (size_t)(slash + 1 - info->filename) : 0u;

	if (name == NULL)
		return;
	if (name[0] == '/' || name[strcspn(name, ":/")] == ':')
		dir_len = 0;
	info->backing_path = malloc(dir_len + name_len + 1u);
	if (info->backing_path == NULL)
		return;
	memcpy(info->backing_path, info->filename, dir_len);
	memcpy(info->backing_path + dir_len, name, name_len + 1u);
	info->backing_path_len = dir_len + name_len;
}

/* Was the end of this snapshot's id or name, the last bytes of the table, not in the file? */
static bool ends_in_zeros(const struct qcow2_snapshot_entry *s)
{
	return (s->id_len > 0u && s->id[s->id_len - 1u] == '\0') ||
	       (s->name_len > 0u && s->name[s->name_len - 1u] == '\0');
}

void info_load(struct info *info, const char *filename, struct qcow2 *q, bool cut)
{
	memset(info, 0, sizeof *info);
	info->filename = filename;
	info->q = q;
	file_stored(qcow2_get_fd(q, 0), &info->actual_size); /* stays 0 if that is unknown */
	info->image.struct_size = sizeof info->image;
	qcow2_get_info(q, 0, &info->image); /* never fails for the image that was opened */
	if (info->image.incomplete)
		warn(info, cut, "cannot read a name in the header: ");
	info->encryption.struct_size = sizeof info->encryption;
	if (qcow2_get_encryption(q, 0, &info->encryption) < 0) {
		warn(info, cut, "");
		info->encryption.method = info->image.encryption;
	}
	join_backing_path(info);
	info->n_snapshots = qcow2_list_snapshots(q, &info->snapshots);
	if (info->n_snapshots < 0)
		warn(info, cut, "cannot list the snapshots: ");
	if (cut && info->n_snapshots > 0 && ends_in_zeros(&info->snapshots[info->n_snapshots - 1]))
		info->n_snapshots--;
	/* As in qemu-img: bitmaps that a program without them has made out of date do not count. */
	if ((info->image.autoclear & AUTOCLEAR_BITMAPS) == 0u)
		return;
	info->n_bitmaps = qcow2_list_bitmaps(q, &info->bitmaps);
	if (info->n_bitmaps < 0)
		warn(info, cut, "cannot list the bitmaps: ");
}

void info_load_usage(struct info *info, bool whole)
{
	int status;

	if (info->image.version == 0u) /* a raw image is a disk that is all there */
		return;
	info->has_usage = usage_count(info->q, whole, &info->usage);
	status = qcow2_last_failure()->status;
	if (!info->has_usage && status != QCOW2_E_DATA_FILE)
		warn(info, false, "cannot count what is allocated: ");
	if (info->has_usage && info->usage.damaged != 0u)
		tool_error(info->filename, "warning: cannot count all that is allocated: %s",
		           info->usage.damage);
}

static bool disk_read(void *q, uint64_t offset, void *buf, size_t len)
{
	return qcow2_read(q, buf, len, offset) == (int)len;
}

void info_load_partitions(struct info *info, bool alone)
{
	struct partition_disk disk = { qcow2_get_size(info->q), disk_read, info->q };

	if (alone && (info->image.backing_file.bytes != NULL || info->image.incomplete)) {
		info->partitions_need = "backing file";
		return;
	}
	info->partitions = malloc(sizeof *info->partitions);
	if (info->partitions == NULL) {
		tool_error(info->filename,
		           "warning: cannot read the partition table: out of memory");
		return;
	}
	if (partitions_read(&disk, info->partitions))
		return;
	if (qcow2_last_failure()->status == QCOW2_E_DATA_FILE)
		info->partitions_need = "data file";
	else if (qcow2_last_failure()->status == QCOW2_E_ENCRYPTED)
		info->partitions_need = "key";
	else
		warn(info, false, "cannot read the partition table: ");
	free(info->partitions);
	info->partitions = NULL;
}

void info_free(struct info *info)
{
	free(info->partitions);
	free(info->backing_path);
	free(info->snapshots);
	free(info->bitmaps);
}
