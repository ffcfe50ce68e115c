/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The yardstick: pread of the bytes of a file, without a format. */
#include <stdlib.h>

#include "bench/file.h"
#include "bench/reader.h"

struct reader {
	struct file file;
};

struct reader *reader_open(const char *path)
{
	struct reader *reader = malloc(sizeof *reader);

	if (reader == NULL || !file_open(&reader->file, path)) {
		free(reader);
		return NULL;
	}
	return reader;
}

uint64_t reader_size(struct reader *reader)
{
	return reader->file.size;
}

bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off)
{
	return file_read(&reader->file, buf, len, off);
}

void reader_close(struct reader *reader)
{
	file_close(&reader->file);
	free(reader);
}
