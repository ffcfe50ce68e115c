/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Zephyr: a file as what the core reads. */
#include "qcow2_disk.h"

#include <errno.h>

static int read_at(struct fs_file_t *file, uint64_t pos, uint8_t *to, size_t len)
{
	int rc = fs_seek(file, (off_t)pos, FS_SEEK_SET); /* fits: fs_tell returned the size */

	if (rc != 0)
		return rc;
	while (len > 0u) {
		ssize_t got = fs_read(file, to, len);

		if (got <= 0)
			return got < 0 ? (int)got : -EIO;
		to += got;
		len -= (size_t)got;
	}
	return 0;
}

static int file_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	struct qcow2_file *file = ctx;
	int rc;

	k_mutex_lock(&file->lock, K_FOREVER);
	rc = read_at(&file->file, pos, buf, len);
	k_mutex_unlock(&file->lock);
	return rc;
}

static const struct qcow2_io_ops file_ops = { file_read };

int qcow2_file_open(struct qcow2_file *file, const char *path)
{
	off_t size;
	int rc;

	fs_file_t_init(&file->file);
	rc = fs_open(&file->file, path, FS_O_READ);
	if (rc != 0)
		return rc;
	rc = fs_seek(&file->file, 0, FS_SEEK_END);
	size = rc == 0 ? fs_tell(&file->file) : rc;
	if (size < 0) {
		(void)fs_close(&file->file);
		return (int)size;
	}
	k_mutex_init(&file->lock);
	file->io.ops = &file_ops;
	file->io.ctx = file;
	file->io.size = (uint64_t)size;
	return 0;
}

int qcow2_file_close(struct qcow2_file *file)
{
	return fs_close(&file->file);
}
