/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Runs the FAT reader and the file name code of the UEFI port on the host. uefi-fat VOLUME PATH
 * writes the file to standard output, or prints the error text of qu_fat_text. uefi-fat -p FROM
 * NAME prints the joined path in UTF-8, with slashes. uefi-fat -u UNIT... prints the name of these
 * units of UTF-16, in hexadecimal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fat.h"
#include "path.h"

enum {
	RUNS = 65536,
	PIECE = 100003 /* a prime, so that pieces start at any byte of a cluster */
};

static int volume_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	return fseek(ctx, (long)pos, SEEK_SET) == 0 && fread(buf, 1, len, ctx) == len ? 0 : 5;
}

static const uint16_t *wide(const char *text, uint16_t *to)
{
	if (!qu_path_decode(to, QU_PATH_MAX, (const uint8_t *)text, strlen(text))) {
		puts("not UTF-8");
		exit(1);
	}
	return to;
}

static void print_path(const uint16_t *path)
{
	uint8_t bytes[3 * QU_PATH_MAX];
	size_t len = qu_path_encode(bytes, path);

	if (qu_path_encode(NULL, path) != len)
		puts("two lengths");
	fwrite(bytes, 1, len, stdout);
	putchar('\n');
}

static int print_units(int n, char **units)
{
	uint16_t path[QU_PATH_MAX];
	int i;

	for (i = 0; i < n; i++)
		path[i] = (uint16_t)strtoul(units[i], NULL, 16);
	path[n] = 0;
	print_path(path);
	return 0;
}

static int join(const char *from, const char *name)
{
	uint16_t a[QU_PATH_MAX], b[QU_PATH_MAX], path[QU_PATH_MAX];

	if (!qu_path_join(path, wide(from, a), wide(name, b))) {
		puts("refused");
		return 1;
	}
	print_path(path);
	return 0;
}

static int copy_out(const struct qu_fat_file *file)
{
	static uint8_t buf[PIECE];
	uint64_t pos = 0;

	while (pos < file->size) {
		size_t n = file->size - pos < PIECE ? (size_t)(file->size - pos) : PIECE;

		if (qu_fat_read(file, pos, buf, n) != 0)
			return QU_FAT_IO;
		fwrite(buf, 1, n, stdout);
		pos += n;
	}
	fprintf(stderr, "FAT%u, %u runs\n", (unsigned)file->fat->entry_bits,
	        (unsigned)file->n_runs);
	return QU_FAT_OK;
}

static int cat(const char *volume, const char *name)
{
	static const struct qcow2_io_ops ops = { volume_read };
	static struct qu_fat_run runs[RUNS];
	uint16_t text[QU_PATH_MAX], path[QU_PATH_MAX];
	struct qcow2_io io = { &ops, NULL, 0 };
	struct qu_fat_file file;
	struct qu_fat fat;
	FILE *f = fopen(volume, "rb");
	int rc;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0)
		return 1;
	io.ctx = f;
	io.size = (uint64_t)ftell(f);
	rc = qu_fat_open(&fat, &io);
	if (rc == QU_FAT_OK && !qu_path_join(path, NULL, wide(name, text)))
		rc = QU_FAT_NOT_FOUND;
	if (rc == QU_FAT_OK)
		rc = qu_fat_find(&fat, path, &file);
	if (rc == QU_FAT_OK)
		rc = qu_fat_locate(&file, runs, RUNS);
	if (rc == QU_FAT_OK)
		rc = copy_out(&file);
	fclose(f);
	if (rc != QU_FAT_OK)
		puts(qu_fat_text(rc));
	return rc != QU_FAT_OK;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "-p") == 0)
		return join(argv[2], argv[3]);
	if (argc > 2 && strcmp(argv[1], "-u") == 0)
		return print_units(argc - 2, argv + 2);
	return argc == 3 ? cat(argv[1], argv[2]) : 2;
}
