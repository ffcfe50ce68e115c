/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Makes new images from images, with the mutator of the fuzz targets.
 *	mutate SEED N DIR FILE...
 * writes DIR/0 to DIR/N-1, the same ones for the same arguments, and prints the source of each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../mutator.h"

enum { LEN_MAX = 4 << 20 };

static uint8_t bytes[LEN_MAX];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static size_t load(const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t len;

	if (f == NULL)
		fail(path);
	len = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	return len;
}

static void store(const char *dir, unsigned n, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%u", dir, n);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0)
		fail(path);
}

int main(int argc, char **argv)
{
	unsigned seed, n, i, k;

	if (argc < 5)
		return 2;
	seed = (unsigned)strtoul(argv[1], NULL, 10) * 2654435761u;
	n = (unsigned)strtoul(argv[2], NULL, 10);
	for (i = 0; i < n; i++) {
		const char *from = argv[4 + (seed >> 8) % (unsigned)(argc - 4)];
		size_t len = load(from);

		for (k = seed % 4; k > 0 && len != 0; k--)
			len = LLVMFuzzerCustomMutator(bytes, len, len, seed + k);
		store(argv[3], i, len);
		puts(from);
		seed = seed * 1664525u + 1013904223u;
	}
	return 0;
}
