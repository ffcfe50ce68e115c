/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds the compressed clusters of an image, then decodes them with one decoder.
 *
 *	inflate IMAGE fast|small|zlib|libdeflate TIMES
 *	inflate IMAGE zstd-fast|libzstd TIMES
 *
 * Each call decodes a whole cluster. Prints the CPU seconds of the decoding alone and the MiB of
 * output, such as "0.123 64".
 */
#define _POSIX_C_SOURCE 200809L

#include <fcntl.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "qcow2/reader.h"

enum { CLUSTERS_MAX = 1 << 16 };

struct packed {
	uint8_t *bytes;
	size_t len;
};

static struct packed packed[CLUSTERS_MAX];
static size_t n_packed;
static size_t cluster;
static uint8_t *plain;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "inflate: %s\n", what);
	exit(1);
}

static int read_file(void *ctx, uint64_t pos, void *buf, size_t len)
{
	return pread(*(int *)ctx, buf, len, (off_t)pos) == (ssize_t)len ? 0 : 1;
}

static void keep(const struct qcow2_extent *e)
{
	struct packed *p = &packed[n_packed];

	must(n_packed < CLUSTERS_MAX, "too many clusters");
	p->len = e->packed_len;
	if (p->len > e->io->size - e->pos)
		p->len = (size_t)(e->io->size - e->pos);
	p->bytes = malloc(p->len);
	must(p->bytes != NULL && read_file(e->io->ctx, e->pos, p->bytes, p->len) == 0, "read");
	n_packed++;
}

static void find_clusters(const char *name)
{
	static const struct qcow2_io_ops ops = { read_file };
	static uint64_t memory[1 << 16];
	struct qcow2_image image;
	struct qcow2_reader reader;
	struct qcow2_extent e;
	struct stat st;
	int fd = open(name, O_RDONLY);
	struct qcow2_io io = { &ops, &fd, 0 };
	uint64_t off;

	must(fd >= 0 && fstat(fd, &st) == 0, name);
	io.size = (uint64_t)st.st_size;
	must(qcow2_image_open(&image, &io, 0, NULL) == QCOW2_OK, "not an image");
	must(qcow2_reader_init(&reader, &image, memory, sizeof memory) == QCOW2_OK, "init");
	for (off = 0; off < image.size; off += e.len) {
		must(qcow2_reader_map(&reader, off, image.size - off, &e) == QCOW2_OK, "map");
		if (e.kind == QCOW2_EXTENT_COMPRESSED)
			keep(&e);
	}
	cluster = (size_t)1 << image.cluster_bits;
	plain = malloc(cluster);
	must(plain != NULL && n_packed > 0u, "nothing to decode");
	close(fd);
}

static int no_more(struct qcow2_stream *stream)
{
	(void)stream;
	return QCOW2_OK;
}

static void decode_ours(const struct packed *p, const struct qcow2_codec *codec)
{
	static uint64_t work[QCOW2_DEFLATE_FAST_WORK / 8u];
	struct qcow2_stream s;

	memset(&s, 0, sizeof s);
	s.next = p->bytes;
	s.end = p->bytes + p->len;
	s.fill = no_more;
	s.window = plain;
	s.window_len = (uint32_t)cluster;
	s.stop = (uint32_t)cluster;
	codec->begin(codec, work);
	must(codec->decode(codec, work, &s) == QCOW2_OK, "ours");
}

static void decode_fast(const struct packed *p)
{
	decode_ours(p, &qcow2_deflate_fast);
}

static void decode_small(const struct packed *p)
{
	decode_ours(p, &qcow2_deflate_small);
}

static void decode_zlib(const struct packed *p)
{
	static z_stream z;

	must(z.state != NULL || inflateInit2(&z, -15) == Z_OK, "inflateInit2");
	must(inflateReset(&z) == Z_OK, "inflateReset");
	z.next_in = p->bytes;
	z.avail_in = (unsigned)p->len;
	z.next_out = plain;
	z.avail_out = (unsigned)cluster;
	inflate(&z, Z_FINISH);
	must(z.avail_out == 0u, "zlib");
}

static void decode_libdeflate(const struct packed *p)
{
	static struct libdeflate_decompressor *d;
	size_t used, made;

	if (d == NULL)
		d = libdeflate_alloc_decompressor();
	must(d != NULL && libdeflate_deflate_decompress_ex(d, p->bytes, p->len, plain, cluster,
	                                                   &used, &made) == LIBDEFLATE_SUCCESS,
	     "libdeflate");
}

static void decode_zstd_fast(const struct packed *p)
{
	decode_ours(p, &qcow2_zstd_fast);
}

static void decode_libzstd(const struct packed *p)
{
	static ZSTD_DCtx *d;
	size_t len = ZSTD_findFrameCompressedSize(p->bytes, p->len);

	if (d == NULL)
		d = ZSTD_createDCtx();
	must(d != NULL && !ZSTD_isError(len) &&
	             ZSTD_decompressDCtx(d, plain, cluster, p->bytes, len) == cluster,
	     "libzstd");
}

static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	void (*decode)(const struct packed *) = decode_fast;
	unsigned long times, i;
	double began;
	size_t k;

	must(argc == 4, "usage: inflate IMAGE fast|small|zlib|libdeflate|zstd-fast|libzstd TIMES");
	if (strcmp(argv[2], "small") == 0)
		decode = decode_small;
	else if (strcmp(argv[2], "zlib") == 0)
		decode = decode_zlib;
	else if (strcmp(argv[2], "libdeflate") == 0)
		decode = decode_libdeflate;
	else if (strcmp(argv[2], "zstd-fast") == 0)
		decode = decode_zstd_fast;
	else if (strcmp(argv[2], "libzstd") == 0)
		decode = decode_libzstd;
	find_clusters(argv[1]);
	times = strtoul(argv[3], NULL, 10);
	began = cpu_now();
	for (i = 0; i < times; i++)
		for (k = 0; k < n_packed; k++)
			decode(&packed[k]);
	printf("%.6f %.1f\n", cpu_now() - began,
	       (double)cluster * (double)n_packed * (double)times / 1048576.0);
	return 0;
}
