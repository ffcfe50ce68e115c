/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The yardstick: pread of the bytes of a file, without a format. */
#define _FILE_OFFSET_BITS 64
#define _XOPEN_SOURCE     700

#include "bench/reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
	int fd;
	uint64_t size;
};

struct reader *reader_open(const char *path)
{
	struct reader *reader = malloc(sizeof *reader);
	struct stat st;

	if (reader == NULL)
		return NULL;
	reader->fd = open(path, O_RDONLY);
	if (reader->fd < 0 || fstat(reader->fd, &st) != 0) {
		perror(path);
		free(reader);
		return NULL;
	}
	reader->size = (uint64_t)st.st_size;
	return reader;
}

uint64_t reader_size(struct reader *reader)
{
	return reader->size;
}

bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off)
{
	return pread(reader->fd, buf, len, (off_t)off) == (ssize_t)len;
}

void reader_close(struct reader *reader)
{
	close(reader->fd);
	free(reader);
}
