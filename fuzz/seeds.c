/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Writes the seeds: "seeds DIR" puts them into DIR/image, DIR/snapshot, DIR/bitmap, DIR/chain,
 * DIR/inflate, DIR/disk, DIR/luks and DIR/version1. They are the same every time and small, and
 * together they have every feature of the format.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "image/image.h"
#include "image/pack.h"

static const char *root;

static void write_file(const char *kind, const char *name, const void *bytes, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", root, kind);
	mkdir(path, 0777);
	snprintf(path, sizeof path, "%s/%s/%s", root, kind, name);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static void finish(struct image *img, const char *kind, const char *name)
{
	image_finish(img);
	write_file(kind, name, img->file.data, img->file.len);
	image_free(img);
}

/* Every kind of cluster, in runs and alone. */
static void fill(struct image *img, struct image_table *t)
{
	image_add_range(img, t, 0, 4, IMAGE_DATA);
	image_add_range(img, t, 5, 2, IMAGE_COMPRESSED);
	image_add_range(img, t, 7, 2, IMAGE_ZERO);
	image_add(img, t, 9, IMAGE_STORED);
	image_add_range(img, t, 12, 3, IMAGE_ZERO_ALLOC);
}

static void plain(const char *name, unsigned version, unsigned bits)
{
	struct image img;

	image_init(&img, version, bits, UINT64_C(20) << bits);
	if (version >= 3)
		fill(&img, &img.active);
	else
		image_add_range(&img, &img.active, 1, 3, IMAGE_DATA);
	if (version < 3)
		image_add(&img, &img.active, 7, IMAGE_COMPRESSED);
	finish(&img, "image", name);
}

static void tables(void)
{
	struct image img;

	image_init(&img, 3, 16, 5 << 16);
	img.refcounts = false;
	image_add(&img, &img.active, 1, IMAGE_COMPRESSED);
	image_add(&img, &img.active, 2, IMAGE_ZERO);
	finish(&img, "image", "v3-64k");

	/* Runs that cross the end of an L2 table and of slices; unused L1 entries. */
	image_init(&img, 3, 9, 40 * 32768 - 100);
	image_add_range(&img, &img.active, 60, 8, IMAGE_DATA);
	image_add_range(&img, &img.active, 639, 3, IMAGE_COMPRESSED);
	image_add(&img, &img.active, 2558, IMAGE_DATA);
	finish(&img, "image", "tables-512");
	image_init(&img, 3, 12, 4 * 2097152);
	img.place = IMAGE_GAPS;
	image_add_range(&img, &img.active, 510, 5, IMAGE_DATA);
	image_add_range(&img, &img.active, 60, 8, IMAGE_ZERO);
	finish(&img, "image", "tables-4k");
	image_init(&img, 3, 9, 3 * 32768);
	img.place = IMAGE_SHUFFLED;
	image_add_range(&img, &img.active, 0, 40, IMAGE_DATA);
	finish(&img, "image", "shuffled");
	image_init(&img, 3, 9, 0);
	finish(&img, "image", "empty");
}

static void damage(void)
{
	struct image img;

	image_init(&img, 3, 9, 64 * 512);
	fill(&img, &img.active);
	image_add_raw(&img, &img.active, 20, UINT64_C(0x8000000000000400) + 8, 0);
	image_add_raw(&img, &img.active, 21, UINT64_C(0x8000000000010400), 0);
	image_add_raw(&img, &img.active, 22, UINT64_C(0x80000000fffffe00), 0);
	image_add_raw(&img, &img.active, 23, UINT64_C(0x4000000000000400), 0);
	image_add_last(&img, &img.active, 24, 100);
	finish(&img, "image", "damaged");
	image_init(&img, 3, 9, 64 * 512);
	fill(&img, &img.active);
	image_finish(&img);
	image_buf_resize(&img.file, img.file.len - 700);
	write_file("image", "cut", img.file.data, img.file.len);
	image_free(&img);
}

/* Compressed clusters, one of which cannot be decoded. */
static void damaged_packed(const char *name, unsigned bits)
{
	struct image img;
	uint8_t bad[100];

	image_init(&img, 3, bits, UINT64_C(6) << bits);
	img.refcounts = false;
	memset(bad, 0x63, sizeof bad);
	image_add_range(&img, &img.active, 0, 2, IMAGE_COMPRESSED);
	image_add_packed(&img, &img.active, 2, bad, sizeof bad, IMAGE_ANYWHERE, 0, NULL);
	image_add_range(&img, &img.active, 3, 2, IMAGE_COMPRESSED);
	finish(&img, "image", name);
}

static void extended(const char *name, unsigned bits)
{
	struct image img;
	struct image_table *t = &img.active;

	image_init(&img, 3, bits, UINT64_C(40) << bits);
	img.extended_l2 = true;
	img.refcounts = false;
	image_add_subclusters(&img, t, 0, UINT64_C(0x0ff000000000ff0f), true);
	image_add_subclusters(&img, t, 1, IMAGE_ALL_ALLOCATED, true);
	image_add_subclusters(&img, t, 2, IMAGE_ALL_ZERO, false);
	image_add_subclusters(&img, t, 3, UINT64_C(0xffff00000000ffff), true);
	image_add_subclusters(&img, t, 31, UINT64_C(1) << 63, false);
	image_add_raw(&img, t, 33, 0, UINT64_C(0x0000000100000001));
	image_add(&img, t, 34, IMAGE_COMPRESSED);
	finish(&img, "image", name);
}

static void data_file(void)
{
	struct image img;

	image_init(&img, 3, 9, 30 * 512);
	img.has_data_file = true;
	image_add_ext(&img, IMAGE_EXT_DATA_FILE, 8, "data.raw", 8);
	image_add_range(&img, &img.active, 0, 4, IMAGE_DATA);
	image_add_range(&img, &img.active, 5, 2, IMAGE_ZERO_ALLOC);
	image_add(&img, &img.active, 9, IMAGE_ZERO);
	finish(&img, "image", "data-file");
}

static void extensions(void)
{
	struct image img;
	uint8_t bitmaps[24] = { 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40 };

	image_init(&img, 3, 9, 10 * 512);
	image_add_feature_name(&img, 0, 0, "dirty bit", 9);
	image_add_feature_name(&img, 2, 1, "raw", 3);
	image_add_ext(&img, IMAGE_EXT_BITMAPS, 24, bitmaps, 24);
	image_add_ext(&img, 0x12345678, 5, "12345", 5);
	image_set_backing(&img, "base.raw", 8, 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	image_add(&img, &img.active, 2, IMAGE_DATA);
	finish(&img, "image", "extensions");
	image_init(&img, 3, 9, 512);
	image_set(&img, IMAGE_CRYPT_METHOD, 2);
	image_add_ext(&img, IMAGE_EXT_CRYPTO, 16, bitmaps, 16);
	finish(&img, "image", "encrypted");
	image_init(&img, 3, 9, 512);
	image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, UINT64_C(1) << 40);
	image_add_feature_name(&img, 0, 40, "new", 3);
	finish(&img, "image", "unknown-feature");
	image_init(&img, 3, 9, 4 * 512);
	img.header_length = 104;
	img.no_end = true;
	image_add(&img, &img.active, 1, IMAGE_DATA);
	finish(&img, "image", "header-104");
	image_init(&img, 3, 12, 4 * 4096);
	img.compression_type = 1;
	finish(&img, "image", "zstd");
}

static void snapshots(void)
{
	struct image img;
	struct image_snapshot *s;

	image_init(&img, 3, 9, 100 * 512);
	fill(&img, &img.active);
	s = image_add_snapshot(&img, "1", "one");
	s->disk_size = 50 * 512;
	fill(&img, &s->table);
	s = image_add_snapshot(&img, "second", "");
	s->extra_len = 24;
	s->disk_size = 200 * 512;
	s->icount = 7;
	image_add_range(&img, &s->table, 62, 4, IMAGE_DATA);
	s = image_add_snapshot(&img, "", "third");
	s->extra_len = 0;
	finish(&img, "snapshot", "three-snapshots");
	image_init(&img, 2, 12, 10 * 4096);
	s = image_add_snapshot(&img, "1", "in version 2");
	s->extra_len = 40;
	s->disk_size = 10 * 4096;
	image_add(&img, &s->table, 1, IMAGE_COMPRESSED);
	finish(&img, "snapshot", "version2");
	image_init(&img, 3, 9, 5 * 512);
	s = image_add_snapshot(&img, "1", "bad table");
	s->l1_pos_set = true;
	s->l1_pos = 513;
	finish(&img, "snapshot", "bad");
}

/* ---- Bitmaps ---- */

/* Kinds of entries of a bitmap table: one for each entry, again from the first after the last. */
enum { BITS_CLEAN, BITS_DIRTY, BITS_STORED, BITS_RUNS, BITS_CUT };

struct bitmap_seed {
	const char *name;
	unsigned granularity_bits, flags, extra_len;
	uint8_t kinds[4];
};

/* Fills a cluster of bits: one bit of three, or runs of some 40 bytes. */
static void put_bits(struct image_buf *file, uint64_t pos, unsigned kind, uint64_t len)
{
	uint64_t i;

	for (i = 0; i < len; i++)
		image_put(file, pos + i, kind == BITS_STORED ? 0x92 : i / 40 % 2 * 255, 1);
}

/* Writes a bitmap table and what it needs. Returns where it is. */
static uint64_t put_table(struct image *img, const struct bitmap_seed *b, uint64_t n)
{
	uint64_t cluster = image_cluster_size(img);
	uint64_t pos = image_alloc(img, (n * 8 + cluster - 1) / cluster);
	uint64_t i;

	image_ref(img, pos, n * 8);
	image_buf_fill(&img->file, pos, 0, (size_t)(n * 8));
	for (i = 0; i < n; i++) {
		unsigned kind = b->kinds[i % 4];
		uint64_t entry = kind == BITS_DIRTY;

		if (kind == BITS_CUT)
			entry = UINT64_C(1) << 40;
		if (kind == BITS_STORED || kind == BITS_RUNS) {
			entry = image_alloc(img, 1);
			image_ref(img, entry, cluster);
			put_bits(&img->file, entry, kind, cluster);
		}
		image_put(&img->file, pos + 8 * i, entry, 8);
	}
	return pos;
}

static uint64_t put_bitmap(struct image *img, uint64_t pos, const struct bitmap_seed *b)
{
	unsigned span_bits = img->cluster_bits + 3 + b->granularity_bits;
	uint64_t n = ((img->size - 1) >> span_bits) + 1;
	size_t name_len = strlen(b->name);

	image_put(&img->file, pos, put_table(img, b, n), 8);
	image_put(&img->file, pos + 8, n, 4);
	image_put(&img->file, pos + 12, b->flags, 4);
	image_put(&img->file, pos + 16, 1, 1);
	image_put(&img->file, pos + 17, b->granularity_bits, 1);
	image_put(&img->file, pos + 18, name_len, 2);
	image_put(&img->file, pos + 20, b->extra_len, 4);
	image_buf_fill(&img->file, pos + 24, 0xee, b->extra_len);
	image_buf_put(&img->file, pos + 24 + b->extra_len, b->name, name_len);
	return (pos + 24 + b->extra_len + name_len + 7) / 8 * 8;
}

static void bitmaps(const char *name, unsigned bits, uint64_t size, const struct bitmap_seed *seeds,
                    size_t n)
{
	static const uint8_t none[24] = { 0 };
	uint64_t directory, pos;
	struct image img;
	size_t i;

	image_init(&img, 3, bits, size);
	img.active.seed = bits;
	image_add_ext(&img, IMAGE_EXT_BITMAPS, 24, none, 24);
	image_set(&img, IMAGE_AUTOCLEAR_FEATURES, 1);
	image_add_range(&img, &img.active, 1, 2, IMAGE_DATA);
	directory = image_alloc(&img, 1);
	image_ref(&img, directory, image_cluster_size(&img));
	for (pos = directory, i = 0; i < n; i++)
		pos = put_bitmap(&img, pos, &seeds[i]);
	image_finish(&img);
	image_put(&img.file, img.ext_pos + 8, n, 4);
	image_put(&img.file, img.ext_pos + 16, pos - directory, 8);
	image_put(&img.file, img.ext_pos + 24, directory, 8);
	write_file("bitmap", name, img.file.data, img.file.len);
	image_free(&img);
}

static void all_bitmaps(void)
{
	static const struct bitmap_seed kinds[] = {
		{ "a", 9, 0, 0, { BITS_STORED, BITS_CLEAN, BITS_DIRTY, BITS_RUNS } },
		{ "bitmap-b", 10, 2, 0, { BITS_RUNS, BITS_STORED, BITS_DIRTY, BITS_DIRTY } },
		{ "31", 31, 2, 0, { BITS_STORED, BITS_CLEAN, BITS_CLEAN, BITS_CLEAN } },
	};
	static const struct bitmap_seed odd[] = {
		{ "in use", 12, 3, 0, { BITS_RUNS, BITS_DIRTY, BITS_CLEAN, BITS_STORED } },
		{ "past the end", 9, 0, 0, { BITS_STORED, BITS_CUT, BITS_RUNS, BITS_RUNS } },
	};
	static const struct bitmap_seed extra[] = {
		{ "extra", 16, 2, 5, { BITS_STORED, BITS_CLEAN, BITS_CLEAN, BITS_CLEAN } },
		{ "x", 16, 2, 0, { BITS_STORED, BITS_CLEAN, BITS_CLEAN, BITS_CLEAN } },
	};
	static const struct bitmap_seed long_table[] = {
		{ "200 entries", 9, 0, 0, { BITS_CLEAN, BITS_DIRTY, BITS_DIRTY, BITS_CLEAN } },
	};

	bitmaps("512", 9, 7 * (UINT64_C(1) << 21) + 700, kinds, 3);
	bitmaps("4k", 12, UINT64_C(40) << 20, kinds, 3);
	bitmaps("odd", 9, 3 * (UINT64_C(1) << 21), odd, 2);
	bitmaps("extra", 12, 100000, extra, 2);
	bitmaps("long-table", 9, 200 * (UINT64_C(1) << 21) - 1, long_table, 1);
}

/* ---- Chains; fuzz_chain.c describes the container ---- */

static struct image_buf container;
static unsigned n_layers;

static void chain_begin(void)
{
	memset(&container, 0, sizeof container);
	n_layers = 0;
	image_buf_put(&container, 0, "LAYR", 4);
	image_buf_resize(&container, 16);
}

static void chain_add(struct image *img)
{
	image_finish(img);
	image_put(&container, 4 + 4 * n_layers++, img->file.len, 4);
	image_buf_put(&container, container.len, img->file.data, img->file.len);
	image_free(img);
}

static void chain_end(const char *name, size_t raw_len)
{
	uint8_t *raw = malloc(raw_len + 1);

	if (raw == NULL)
		abort();
	image_fill(raw, raw_len, 9, 0);
	if (raw_len != 0) {
		if (n_layers < 3)
			image_put(&container, 4 + 4 * n_layers, raw_len, 4);
		image_buf_put(&container, container.len, raw, raw_len);
	}
	write_file("chain", name, container.data, container.len);
	free(raw);
	free(container.data);
}

static void chain_layer(unsigned bits, uint64_t size, bool extended_l2, unsigned first)
{
	struct image img;

	image_init(&img, 3, bits, size);
	img.extended_l2 = extended_l2;
	img.active.seed = bits + first;
	image_set_backing(&img, "below", 5, 0);
	if (extended_l2) {
		image_add_subclusters(&img, &img.active, first, UINT64_C(0xf0f000000f0f0000), true);
	} else {
		image_add_range(&img, &img.active, first, 3, IMAGE_DATA);
		image_add(&img, &img.active, first + 4, IMAGE_ZERO);
		image_add(&img, &img.active, first + 6, IMAGE_COMPRESSED);
		image_add(&img, &img.active, first + 9, IMAGE_ZERO_ALLOC);
	}
	chain_add(&img);
}

static void chains(void)
{
	chain_begin();
	chain_layer(9, 100 * 512, false, 0);
	chain_layer(9, 120 * 512, false, 20);
	chain_end("two-512", 0);
	chain_begin();
	chain_layer(9, 130 * 512, false, 60);
	chain_layer(12, 10 * 4096 + 100, false, 0);
	chain_end("sizes-raw", 9000);
	chain_begin();
	chain_layer(9, 80 * 512, false, 3);
	chain_layer(14, 3 * 16384, true, 0);
	chain_end("extended-raw", 5000);
	chain_begin();
	chain_layer(14, 3 * 16384, true, 1);
	chain_layer(9, 70 * 512, false, 0);
	chain_layer(9, 90 * 512, false, 40);
	chain_end("three-layers", 0);
	chain_begin();
	chain_layer(12, 8 * 4096, false, 0);
	chain_end("over-raw", 20000);
}

/* ---- Deflate streams, after the 8 bytes from which fuzz_inflate.c takes its choices ---- */

static void stream(const char *name, unsigned kind, size_t len, unsigned window)
{
	uint8_t *in = malloc(len);
	uint8_t *out = malloc(8 + pack_bound(len));
	size_t n, i;

	if (in == NULL || out == NULL)
		abort();
	image_fill(in, len, 1, 0);
	for (i = kind == 2 ? 5000 : 300; i < len; i++)
		in[i] = i % 7 != 0 ? in[i - (kind == 2 ? 5000 : 300)] : in[i];
	memset(out, 0, 8);
	out[0] = (uint8_t)((len - 1) & 0xff);
	out[1] = (uint8_t)((len - 1) >> 8);
	out[2] = (uint8_t)window;
	out[3] = 200;
	out[5] = 77;
	out[7] = (uint8_t)(kind % 4);
	n = kind == 0 ? pack_stored(out + 8, in, len)
	              : pack_fixed(out + 8, in, len, kind == 2 ? 32768 : 4096);
	write_file("inflate", name, out, 8 + n);
	free(in);
	free(out);
}

/* zlib makes the dynamic blocks. Bytes whose frequencies halve get long codes. */
static void dynamic(const char *name, size_t len, int level, int strategy)
{
	uint8_t *in = malloc(len);
	uint8_t *out = malloc(8 + 2 * len + 100);
	uint32_t random = 12345;
	z_stream z;
	size_t i;

	memset(&z, 0, sizeof z);
	if (in == NULL || out == NULL ||
	    deflateInit2(&z, level, Z_DEFLATED, -15, 9, strategy) != Z_OK)
		abort();
	for (i = 0; i < len; i++) {
		unsigned zeros = 0;

		random = random * 1664525u + 1013904223u;
		while (zeros < 20 && (random >> (31 - zeros) & 1) == 0)
			zeros++;
		in[i] = (uint8_t)(i % 90 > 70 ? in[i - 60]
		                              : zeros * 11 + (random >> 8) % (1 + zeros));
	}
	memset(out, 0, 8);
	out[0] = (uint8_t)((len - 1) & 0xff);
	out[1] = (uint8_t)((len - 1) >> 8);
	out[7] = 3;
	z.next_in = in;
	z.avail_in = (uInt)len;
	z.next_out = out + 8;
	z.avail_out = (uInt)(2 * len + 100);
	if (deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	write_file("inflate", name, out, 8 + z.total_out);
	deflateEnd(&z);
	free(in);
	free(out);
}

static void streams(void)
{
	dynamic("dynamic", 600, 9, Z_DEFAULT_STRATEGY);
	dynamic("dynamic-long", 20000, 6, Z_DEFAULT_STRATEGY);
	dynamic("dynamic-literals", 3000, 9, Z_HUFFMAN_ONLY);
	dynamic("dynamic-runs", 3000, 9, Z_RLE);
	stream("stored", 0, 3000, 0);
	stream("fixed", 1, 4096, 0);
	stream("far", 2, 20000, 0);
	stream("far-window", 2, 30000, 3);
	stream("long", 1, 65536, 1);
}

/* ---- Raw disks, for fuzz_partitions.c, which makes the checksums of a GPT right ---- */

enum { SECTOR = 512, DISK_LEN = 16 * SECTOR };

static void put_le(uint8_t *to, uint64_t value, unsigned n)
{
	for (; n > 0; n--, value >>= 8)
		*to++ = (uint8_t)value;
}

static void mbr_entry(uint8_t *sector, unsigned i, unsigned type, uint32_t start, uint32_t n)
{
	uint8_t *e = sector + 446 + 16 * i;

	e[4] = (uint8_t)type;
	put_le(e + 8, start, 4);
	put_le(e + 12, n, 4);
	put_le(sector + 510, 0xaa55, 2);
}

static void gpt_header(uint8_t *disk, unsigned lba, unsigned list)
{
	uint8_t *h = disk + lba * SECTOR;

	memcpy(h, "EFI PART\0\0\1\0\x5c", 13);
	put_le(h + 24, lba, 8);
	put_le(h + 72, list, 8);
	put_le(h + 80, 4, 4);
	put_le(h + 84, 128, 4);
}

static void gpt_entry(uint8_t *disk, unsigned list, unsigned i, unsigned first, const char *name)
{
	static const uint8_t linux_type[] = "\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8"
					    "\x47\x7d\xe4";
	uint8_t *e = disk + list * SECTOR + 128 * i;

	memcpy(e, linux_type, 16);
	put_le(e + 32, first, 8);
	put_le(e + 40, first + 1, 8);
	for (i = 0; name[i] != '\0'; i++)
		e[56 + 2 * i] = (uint8_t)name[i];
}

static void disks(void)
{
	uint8_t disk[DISK_LEN] = { 0 };

	write_file("disk", "zeros", disk, sizeof disk);
	mbr_entry(disk, 0, 0x83, 1, 2);
	mbr_entry(disk, 2, 0x05, 4, 12);
	mbr_entry(disk + 4 * SECTOR, 0, 0x82, 1, 1);
	mbr_entry(disk + 4 * SECTOR, 1, 0x05, 4, 3);
	mbr_entry(disk + 8 * SECTOR, 0, 0x07, 1, 2);
	write_file("disk", "mbr", disk, sizeof disk);
	memset(disk, 0, sizeof disk);
	mbr_entry(disk, 0, 0xee, 1, 15);
	gpt_header(disk, 1, 2);
	gpt_header(disk, 15, 14);
	gpt_entry(disk, 2, 0, 4, "EFI");
	gpt_entry(disk, 2, 2, 6, "root");
	memcpy(disk + 14 * SECTOR, disk + 2 * SECTOR, SECTOR);
	write_file("disk", "gpt", disk, sizeof disk);
	mbr_entry(disk, 1, 0xee, 1, 15);
	disk[SECTOR] = 0;
	write_file("disk", "gpt-backup", disk, sizeof disk);
	write_file("disk", "html", "\n<!DOCTYPE html><title>404</title>", 34);
	write_file("disk", "gzip", "\x1f\x8b\x08\0", 4);
}

/* ---- LUKS headers, for fuzz_luks.c ---- */

/* The payload begins `gap` sectors behind the last slot. Some headers are only just invalid. */
static void luks(const char *name, const char *cipher, const char *mode, const char *hash,
                 unsigned key_len, int gap)
{
	struct image_buf buf = { 0 };
	unsigned slot = (key_len * 4000 + 4095) / 4096 * 8;
	unsigned i;

	image_buf_put(&buf, 0, "LUKS\xba\xbe\0\1", 8);
	image_buf_put(&buf, 8, cipher, strlen(cipher));
	image_buf_put(&buf, 40, mode, strlen(mode));
	image_buf_put(&buf, 72, hash, strlen(hash));
	image_put(&buf, 104, (uint64_t)((int)(8 + 8 * slot) + gap), 4);
	image_put(&buf, 108, key_len, 4);
	image_buf_fill(&buf, 112, 0x5a, 52);
	image_put(&buf, 164, 1000, 4);
	image_buf_put(&buf, 168, name, strlen(name));
	for (i = 0; i < 8; i++) {
		uint64_t at = 208 + 48 * i;

		image_put(&buf, at, i % 4 == 1 ? 0xac71f3 : 0xdead, 4);
		image_put(&buf, at + 4, i % 4 == 1 ? 5000 : 0, 4);
		image_put(&buf, at + 40, 8 + i * slot, 4);
		image_put(&buf, at + 44, 4000, 4);
	}
	write_file("luks", name, buf.data, buf.len);
	free(buf.data);
}

static void luks_headers(void)
{
	luks("default", "aes", "xts-plain64", "sha256", 64, 0);
	luks("essiv", "aes", "cbc-essiv:sha256", "sha1", 32, 0);
	luks("serpent", "serpent", "ctr-plain64:sha1", "ripemd160", 16, 5);
	luks("cast5", "cast5", "cbc-essiv:md5", "sha512", 16, 0);
	luks("twofish", "twofish", "xts-plain", "md5", 48, 1);
	luks("short", "aes", "xts-plain64", "sha256", 64, -1);
	luks("cast5-essiv", "cast5", "cbc-essiv:sha256", "sha1", 16, 0);
	luks("cast5-long", "cast5", "cbc-plain", "sha1", 32, 0);
	luks("cast5-xts", "cast5", "xts-plain", "sha1", 32, 0);
}

/* ---- Images of version 1, for fuzz_version1.c ---- */

struct v1_seed {
	const char *name;
	unsigned bits, l2_bits, method, n_entries;
	uint64_t table; /* its L2 table; bytes 48-59 of the file are for choices */
	size_t cut;     /* bytes that are missing at the end */
};

static void v1_image(const struct v1_seed *s)
{
	struct image_buf buf = { 0 };
	size_t len = (size_t)1 << s->bits;
	uint64_t span = UINT64_C(1) << (s->bits + s->l2_bits);
	uint8_t *plain = malloc(len), *packed = malloc(pack_bound(len));
	uint64_t pos;
	unsigned i;

	if (plain == NULL || packed == NULL)
		abort();
	image_put(&buf, 0, 0x514649fb00000001, 8);
	image_put(&buf, 24, 2 * span + 700, 8);
	image_put(&buf, 32, s->bits << 8 | s->l2_bits, 2);
	image_put(&buf, 36, s->method, 4);
	image_put(&buf, 40, 64, 8);
	image_put(&buf, 64 + 8, s->table, 8);
	image_buf_fill(&buf, s->table, 0, (size_t)8 << s->l2_bits);
	pos = (buf.len + 511) / 512 * 512;
	for (i = 0; i < s->n_entries; i++) {
		uint64_t entry = s->table + 8 * (i + i / 3);
		size_t n = len;

		image_fill(plain, len, i, 0);
		if (i % 4 == 3) {
			memset(plain, (int)i, len / 2);
			n = pack_fixed(packed, plain, len, 4096);
			image_put(&buf, entry,
			          UINT64_C(1) << 63 | (uint64_t)n << (63 - s->bits) | pos, 8);
		} else {
			image_put(&buf, entry, pos, 8);
		}
		image_buf_put(&buf, pos, i % 4 == 3 ? packed : plain, n);
		pos = (pos + n + 511) / 512 * 512;
	}
	write_file("version1", s->name, buf.data, buf.len - s->cut);
	free(buf.data);
	free(plain);
	free(packed);
}

static void version1(void)
{
	static const struct v1_seed seeds[] = {
		{ "512", 9, 6, 0, 20, 512, 0 },      { "4k", 12, 9, 0, 9, 4096, 0 },
		{ "odd", 9, 7, 0, 30, 1021, 0 },     { "64k", 16, 6, 0, 2, 512, 0 },
		{ "aes", 9, 6, 1, 20, 509, 0 },      { "aes-4k", 12, 13, 1, 6, 600, 0 },
		{ "cut", 12, 6, 0, 5, 512, 1000 },   { "aes-cut", 12, 6, 1, 3, 512, 700 },
		{ "overlay", 9, 12, 0, 12, 100, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
		v1_image(&seeds[i]);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	root = argv[1];
	mkdir(root, 0777);
	plain("v3-512", 3, 9);
	plain("v3-4k", 3, 12);
	plain("v2-512", 2, 9);
	plain("v2-4k", 2, 12);
	tables();
	damage();
	damaged_packed("packed-damaged-4k", 12);
	damaged_packed("packed-damaged-16k", 14);
	extended("extended-16k", 14);
	data_file();
	extensions();
	snapshots();
	all_bitmaps();
	chains();
	streams();
	disks();
	luks_headers();
	version1();
	return 0;
}
