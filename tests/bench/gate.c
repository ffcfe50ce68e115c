/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Fixed pieces of work for the core on images in memory; gate.py counts their instructions and io
 * calls.
 *
 *	gate WORK SAMPLE      does the work and prints "OPERATIONS IO_CALLS"
 *
 * SAMPLE is a compressed image.
 *
 * Callgrind counts inside gate_run() but not inside read_counted(), so the count is that of the
 * library. Only the metadata of the images is in memory. Clusters of data have positions past it,
 * and reading them copies nothing.
 */
#include "image/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2/reader.h"

#define DATA_POS  (UINT64_C(1) << 40)
#define FILE_SIZE (UINT64_C(1) << 50)

enum {
	CLUSTERS = 16384,
	OPENS = 1000,
	CHAIN_MAX = 8,
	WARM_UP = 20,
	COMPRESSED_MAX = 4096,
	ROOM = 1 << 18
};

struct file {
	const uint8_t *bytes;
	size_t len;
};

static uint64_t n_calls;
static uint8_t buffer[ROOM];
static struct file files[CHAIN_MAX];
static struct qcow2_image images[CHAIN_MAX];
static const struct qcow2_image *top;
static struct qcow2_reader reader;
static uint64_t compressed[COMPRESSED_MAX]; /* offsets of compressed clusters */
static size_t n_compressed;

static void must(int rc)
{
	if (rc == QCOW2_OK)
		return;
	fprintf(stderr, "gate: %s\n", qcow2_status_text(rc));
	exit(1);
}

static int read_memory(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct file *file = ctx;

	if (pos < file->len)
		memcpy(buf, file->bytes + pos, len < file->len - pos ? len : file->len - pos);
	return 0;
}

/* The callback while the work runs. Callgrind toggles at its entry, so nothing else may call it. */
int read_counted(void *ctx, uint64_t pos, void *buf, size_t len);

__attribute__((noinline)) int read_counted(void *ctx, uint64_t pos, void *buf, size_t len)
{
	n_calls++;
	return read_memory(ctx, pos, buf, len);
}

static struct qcow2_io_ops memory_ops = { read_memory };

/* Opens image number `depth` of the chain. Chains are built from the bottom up. */
static void open_layer(unsigned depth, const void *bytes, size_t len, uint64_t size)
{
	struct qcow2_io io;

	files[depth].bytes = bytes;
	files[depth].len = len;
	io.ops = &memory_ops;
	io.ctx = &files[depth];
	io.size = size;
	must(qcow2_image_open(&images[depth], &io, 0, NULL));
	top = &images[depth];
}

static void start_reader(size_t len)
{
	uint64_t *memory = malloc(len);

	must(memory != NULL ? QCOW2_OK : QCOW2_E_MEMORY);
	must(qcow2_reader_init(&reader, top, memory, len));
}

/* A disk of CLUSTERS clusters, in order or with each pair of clusters swapped. */
static void build_disk(unsigned cluster_bits, bool scattered, bool extended)
{
	struct image img; /* never freed, because its bytes are the file */
	uint64_t i, at;

	image_init(&img, 3, cluster_bits, (uint64_t)CLUSTERS << cluster_bits);
	img.extended_l2 = extended;
	img.refcounts = false;
	for (i = 0; i < CLUSTERS; i++) {
		at = DATA_POS + ((scattered ? i ^ 1u : i) << cluster_bits);
		image_add_raw(&img, &img.active, i, at | IMAGE_COPIED, IMAGE_ALL_ALLOCATED);
	}
	image_finish(&img);
	open_layer(0, img.file.data, img.file.len, FILE_SIZE);
}

/* An image with tables but no clusters, over the current top image. */
static void build_overlay(unsigned depth)
{
	const struct qcow2_image *below = top;
	struct image img;
	uint64_t i, table = UINT64_C(1) << (16 - 3);

	image_init(&img, 3, 16, below->size);
	img.refcounts = false;
	for (i = 0; i < CLUSTERS; i += table)
		image_place_l2(&img, &img.active, i / table);
	image_finish(&img);
	open_layer(depth, img.file.data, img.file.len, FILE_SIZE);
	must(qcow2_image_attach_backing(&images[depth], below));
}

/* Maps the disk until the reader has all slices of the tables in memory. */
static void warm_up(void)
{
	uint64_t step = UINT64_C(32) << top->cluster_bits;
	struct qcow2_extent extent;
	uint64_t off;
	unsigned i;

	for (i = 0; i < WARM_UP; i++)
		for (off = 0; off < top->size; off += step)
			must(qcow2_reader_map(&reader, off, 1, &extent));
}

static void build_sequence(void)
{
	build_disk(16, false, false);
	start_reader(1 << 20);
}

static void build_tiny(void)
{
	build_disk(9, false, false);
	start_reader(1 << 20);
}

static void build_scattered(void)
{
	build_disk(16, true, false);
	start_reader(1 << 20);
}

static void build_cached(void)
{
	build_scattered();
	warm_up();
}

static void build_subclusters(void)
{
	build_disk(16, true, true);
	start_reader(2 << 20);
	warm_up();
}

static void build_uncached(void)
{
	build_disk(16, true, false);
	start_reader(QCOW2_READER_MEMORY);
}

static void build_chain(unsigned n)
{
	unsigned depth;

	build_disk(16, true, false);
	for (depth = 1; depth < n; depth++)
		build_overlay(depth);
	start_reader(4 << 20);
	warm_up();
}

static void build_chain_of_4(void)
{
	build_chain(4);
}

/* More images than a set of the cache has slots, so that slices push each other out. */
static void build_chain_of_8(void)
{
	build_chain(CHAIN_MAX);
}

static void find_compressed(void)
{
	struct qcow2_extent extent;
	uint64_t off;

	for (off = 0; off < top->size; off += extent.len) {
		must(qcow2_reader_map(&reader, off, top->size - off, &extent));
		if (extent.kind == QCOW2_EXTENT_COMPRESSED && n_compressed < COMPRESSED_MAX)
			compressed[n_compressed++] = off;
	}
}

static void build_sample(const char *name, const struct qcow2_codec *codec)
{
	static const struct qcow2_codec *codecs[2];
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(name, "rb");
	size_t len = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0u;

	open_layer(0, bytes, len, len);
	start_reader(1 << 20);
	codecs[0] = codec;
	must(qcow2_reader_codecs(&reader, codecs));
	find_compressed();
	fclose(file);
}

static uint64_t run_open(void)
{
	static uint64_t memory[QCOW2_READER_MEMORY / 8u];
	unsigned i;

	for (i = 0; i < OPENS; i++) {
		must(qcow2_image_open(&images[1], &top->io, 0, NULL));
		must(qcow2_reader_init(&reader, &images[1], memory, sizeof memory));
		must(qcow2_reader_read(&reader, 0, buffer, 4096));
	}
	return OPENS;
}

/* 4 KiB of each cluster, in an order that never repeats the cluster just read. */
static uint64_t run_random(void)
{
	uint64_t i, n = 0;

	for (i = 0; i < CLUSTERS; i++) {
		n = (n * 5u + 4097u) % CLUSTERS;
		must(qcow2_reader_read(&reader, n << 16, buffer, 4096));
	}
	return CLUSTERS;
}

static uint64_t run_map(void)
{
	struct qcow2_extent extent;
	uint64_t off;

	for (off = 0; off < top->size; off += extent.len)
		must(qcow2_reader_map(&reader, off, top->size - off, &extent));
	return CLUSTERS;
}

static uint64_t run_sequence(void)
{
	uint64_t off;

	for (off = 0; off < top->size; off += ROOM)
		must(qcow2_reader_read(&reader, off, buffer, ROOM));
	return CLUSTERS;
}

static uint64_t run_decode(void)
{
	size_t i, cluster = (size_t)1 << top->cluster_bits;

	for (i = 0; i < n_compressed; i++)
		must(qcow2_reader_read(&reader, compressed[i], buffer, cluster));
	return n_compressed * cluster;
}

static const struct work {
	const char *name;
	void (*build)(void); /* NULL to use the sample */
	uint64_t (*run)(void);
	const struct qcow2_codec *codec; /* for the sample */
} works[] = {
	{ "open", build_sequence, run_open, NULL },
	{ "lookup-hit", build_cached, run_random, NULL },
	{ "lookup-miss", build_uncached, run_random, NULL },
	{ "lookup-chain-of-4", build_chain_of_4, run_random, NULL },
	{ "lookup-chain-of-8", build_chain_of_8, run_random, NULL },
	{ "lookup-subclusters", build_subclusters, run_random, NULL },
	{ "map-in-order", build_sequence, run_map, NULL },
	{ "map-scattered", build_scattered, run_map, NULL },
	{ "read-64k-clusters", build_sequence, run_sequence, NULL },
	{ "read-512-clusters", build_tiny, run_sequence, NULL },
	{ "inflate", NULL, run_decode, &qcow2_deflate_small },
	{ "inflate-fast", NULL, run_decode, &qcow2_deflate_fast },
	{ "zstd-fast", NULL, run_decode, &qcow2_zstd_fast },
};

uint64_t gate_run(uint64_t (*run)(void));

__attribute__((noinline)) uint64_t gate_run(uint64_t (*run)(void))
{
	return run();
}

int main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 3 && i < sizeof works / sizeof works[0]; i++) {
		uint64_t n;

		if (strcmp(works[i].name, argv[1]) != 0)
			continue;
		if (works[i].build != NULL)
			works[i].build();
		else
			build_sample(argv[2], works[i].codec);
		memory_ops.read = read_counted;
		n = gate_run(works[i].run);
		printf("%" PRIu64 " %" PRIu64 "\n", n, n_calls);
		return 0;
	}
	fputs("usage: gate WORK SAMPLE\n", stderr);
	return 2;
}
