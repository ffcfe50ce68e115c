/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#define _FILE_OFFSET_BITS 64
#define _XOPEN_SOURCE     700

#include "bench/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_open(struct file *file, const char *path)
{
	struct stat st;

	file->fd = open(path, O_RDONLY);
	if (file->fd < 0 || fstat(file->fd, &st) != 0) {
		perror(path);
		return false;
	}
	file->size = (uint64_t)st.st_size;
	return true;
}

bool file_read(const struct file *file, void *buf, size_t len, uint64_t pos)
{
	return pread(file->fd, buf, len, (off_t)pos) == (ssize_t)len;
}

void file_close(struct file *file)
{
	close(file->fd);
}
