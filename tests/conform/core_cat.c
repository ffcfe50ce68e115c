/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Writes the disk of an image to standard output, by the core alone with its own decoders, where
 * the qcow2 command uses the libraries that it was built with.
 *
 *	core_cat small|fast IMAGE	with the small decoders in the least memory, or the fast
 *					ones in as much as is useful
 */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64

#include "qcow2/reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some reads are a part of a cluster, and some have whole clusters, which need no window. */
enum { PIECE = 700 * 1000 };

static const struct qcow2_codec *const small[] = { &qcow2_deflate_small, &qcow2_zstd_small, NULL };
static const struct qcow2_codec *const fast[] = { &qcow2_deflate_fast, &qcow2_zstd_fast, NULL };

static int file_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const int *fd = ctx;

	return pread(*fd, buf, len, (off_t)pos) == (ssize_t)len ? 0 : 1;
}

static int cat(struct qcow2_reader *reader, uint64_t size)
{
	static uint8_t buf[PIECE];
	int rc = QCOW2_OK;

	for (uint64_t off = 0; off < size && rc == QCOW2_OK; off += PIECE) {
		size_t len = size - off < PIECE ? (size_t)(size - off) : PIECE;

		rc = qcow2_reader_read(reader, off, buf, len);
		if (rc == QCOW2_OK && fwrite(buf, 1, len, stdout) != len)
			rc = QCOW2_E_IO;
	}
	return rc;
}

/* Reads in a block of memory of exactly this length, so that a sanitizer sees what is outside. */
static int cat_in(const struct qcow2_image *image, const struct qcow2_codec *const *codecs,
                  size_t len)
{
	struct qcow2_reader reader;
	void *memory = malloc(len);
	int rc = QCOW2_E_MEMORY;

	if (memory != NULL)
		rc = qcow2_reader_start(&reader, image, codecs, memory, len);
	if (rc == QCOW2_OK)
		rc = cat(&reader, image->size);
	free(memory);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct qcow2_io_ops ops = { file_read };
	bool is_small = argc == 3 && strcmp(argv[1], "small") == 0;
	int fd = argc == 3 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	struct stat st;
	struct qcow2_image image;
	size_t min, good;
	int rc;

	if (fd < 0 || fstat(fd, &st) != 0) {
		fputs("usage: core_cat small|fast IMAGE\n", stderr);
		return 2;
	}

	struct qcow2_io io = { &ops, &fd, (uint64_t)st.st_size };
	const struct qcow2_codec *const *codecs = is_small ? small : fast;

	rc = qcow2_image_open(&image, &io, 0, NULL);
	if (rc == QCOW2_OK)
		rc = qcow2_reader_memory(&image, codecs, &min, &good);
	if (rc == QCOW2_OK)
		rc = cat_in(&image, codecs, is_small ? min : good);
	if (rc != QCOW2_OK)
		fprintf(stderr, "core_cat: %s\n", qcow2_status_text(rc));
	return rc == QCOW2_OK && fclose(stdout) == 0 ? 0 : 1;
}
