/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The fixed header: every limit at its boundary and one past it, the order of the checks, short
 * files. The limits are QEMU's.
 */
#include "support.h"

#include <string.h>

struct field_value {
	enum image_field field;
	uint64_t value;
};

struct open_case {
	const char *name;
	unsigned version, cluster_bits;
	struct field_value set[3];
	int status;
	uint64_t pos, detail;
};

/* Keeps each case on few lines. */
/* clang-format off */
#define NO     { IMAGE_N_FIELDS, 0 } /* ends a list of fields */
#define V3_16  3, 16
#define V2_16  2, 16

static const struct open_case cases[] = {
	{ "plain version 3", V3_16, { NO }, QCOW2_OK, ANY, ANY },
	{ "plain version 2", V2_16, { NO }, QCOW2_OK, ANY, ANY },

	{ "magic", V3_16, { { IMAGE_MAGIC, 0x514649fa }, NO }, QCOW2_E_NOT_QCOW2, 0, ANY },
	{ "magic swapped", V3_16, { { IMAGE_MAGIC, 0xfb494651 }, NO }, QCOW2_E_NOT_QCOW2, 0, ANY },
	{ "version 0", V3_16, { { IMAGE_VERSION, 0 }, NO }, QCOW2_E_VERSION, 4, 0 },
	{ "version 1 (P14)", V3_16, { { IMAGE_VERSION, 1 }, NO }, QCOW2_E_VERSION, 4, 1 },
	{ "version 4", V3_16, { { IMAGE_VERSION, 4 }, NO }, QCOW2_E_VERSION, 4, 4 },
	{ "version 2^31+3", V3_16, { { IMAGE_VERSION, 0x80000003 }, NO }, QCOW2_E_VERSION, 4,
	  0x80000003 },
	{ "version 0x10002", V3_16, { { IMAGE_VERSION, 0x10002 }, NO }, QCOW2_E_VERSION, 4,
	  0x10002 },

	{ "cluster_bits 9", 3, 9, { NO }, QCOW2_OK, ANY, ANY },
	{ "cluster_bits 21", 3, 21, { NO }, QCOW2_OK, ANY, ANY },
	{ "cluster_bits 0", V3_16, { { IMAGE_CLUSTER_BITS, 0 }, NO }, QCOW2_E_CLUSTER_BITS, 20, 0 },
	{ "cluster_bits 8", V3_16, { { IMAGE_CLUSTER_BITS, 8 }, NO }, QCOW2_E_CLUSTER_BITS, 20, 8 },
	{ "cluster_bits 22 (P12)", V3_16, { { IMAGE_CLUSTER_BITS, 22 }, NO }, QCOW2_E_CLUSTER_BITS,
	  20, 22 },
	{ "cluster_bits 63", V2_16, { { IMAGE_CLUSTER_BITS, 63 }, NO }, QCOW2_E_CLUSTER_BITS, 20,
	  63 },
	{ "cluster_bits 2^31+16", V3_16, { { IMAGE_CLUSTER_BITS, 0x80000010 }, NO },
	  QCOW2_E_CLUSTER_BITS, 20, 0x80000010 },
	{ "cluster_bits 256+16", V3_16, { { IMAGE_CLUSTER_BITS, 272 }, NO }, QCOW2_E_CLUSTER_BITS,
	  20, 272 },

	{ "header_length 0", V3_16, { { IMAGE_HEADER_LENGTH, 0 }, NO }, QCOW2_E_HEADER, 100, ANY },
	{ "header_length 72", V3_16, { { IMAGE_HEADER_LENGTH, 72 }, NO }, QCOW2_E_HEADER, 100,
	  ANY },
	{ "header_length 103", V3_16, { { IMAGE_HEADER_LENGTH, 103 }, NO }, QCOW2_E_HEADER, 100,
	  ANY },
	{ "header_length 65537", V3_16, { { IMAGE_HEADER_LENGTH, 65537 }, NO }, QCOW2_E_HEADER, 100,
	  ANY },
	{ "header_length 2^32-1", V3_16, { { IMAGE_HEADER_LENGTH, 0xffffffff }, NO },
	  QCOW2_E_HEADER, 100, ANY },

	{ "backing offset = cluster, no length", V3_16,
	  { { IMAGE_BACKING_FILE_OFFSET, 65536 }, NO }, QCOW2_OK, ANY, ANY },
	{ "backing offset past the cluster", V3_16, { { IMAGE_BACKING_FILE_OFFSET, 65537 }, NO },
	  QCOW2_E_HEADER, 8, ANY },
	{ "backing offset 2^32+200", V3_16,
	  { { IMAGE_BACKING_FILE_OFFSET, (UINT64_C(1) << 32) + 200 }, NO }, QCOW2_E_HEADER, 8,
	  ANY },
	{ "backing offset 2^64-1", V2_16, { { IMAGE_BACKING_FILE_OFFSET, UINT64_MAX }, NO },
	  QCOW2_E_HEADER, 8, ANY },
	{ "backing name of 1023", V3_16,
	  { { IMAGE_BACKING_FILE_OFFSET, 200 }, { IMAGE_BACKING_FILE_SIZE, 1023 }, NO }, QCOW2_OK,
	  ANY, ANY },
	{ "backing name of 1024", V3_16,
	  { { IMAGE_BACKING_FILE_OFFSET, 200 }, { IMAGE_BACKING_FILE_SIZE, 1024 }, NO },
	  QCOW2_E_HEADER, 16, ANY },
	{ "backing name of 2^32-1", V3_16,
	  { { IMAGE_BACKING_FILE_OFFSET, 200 }, { IMAGE_BACKING_FILE_SIZE, 0xffffffff }, NO },
	  QCOW2_E_HEADER, 16, ANY },
	{ "backing name to the end of the cluster", 3, 9,
	  { { IMAGE_BACKING_FILE_OFFSET, 120 }, { IMAGE_BACKING_FILE_SIZE, 392 }, NO }, QCOW2_OK,
	  ANY, ANY },
	{ "backing name past the cluster", 3, 9,
	  { { IMAGE_BACKING_FILE_OFFSET, 120 }, { IMAGE_BACKING_FILE_SIZE, 393 }, NO },
	  QCOW2_E_HEADER, 16, ANY },
	{ "backing name at the end of the cluster", 3, 9,
	  { { IMAGE_BACKING_FILE_OFFSET, 512 }, { IMAGE_BACKING_FILE_SIZE, 1 }, NO },
	  QCOW2_E_HEADER, 16, ANY },
	{ "backing name inside the header", V3_16,
	  { { IMAGE_BACKING_FILE_OFFSET, 24 }, { IMAGE_BACKING_FILE_SIZE, 8 }, NO }, QCOW2_OK, ANY,
	  ANY },

	{ "compression 1 and its bit", V3_16,
	  { { IMAGE_COMPRESSION_TYPE, 1 }, { IMAGE_INCOMPATIBLE_FEATURES, 8 }, NO }, QCOW2_OK, ANY,
	  ANY },
	{ "compression 1 without its bit", V3_16, { { IMAGE_COMPRESSION_TYPE, 1 }, NO },
	  QCOW2_E_HEADER, 104, ANY },
	{ "compression 0 with the bit", V3_16, { { IMAGE_INCOMPATIBLE_FEATURES, 8 }, NO },
	  QCOW2_E_HEADER, 104, ANY },
	{ "compression 2", V3_16,
	  { { IMAGE_COMPRESSION_TYPE, 2 }, { IMAGE_INCOMPATIBLE_FEATURES, 8 }, NO },
	  QCOW2_E_COMPRESSION, 104, 2 },
	{ "compression 255 without the bit", V3_16, { { IMAGE_COMPRESSION_TYPE, 255 }, NO },
	  QCOW2_E_COMPRESSION, 104, 255 },

	{ "dirty (P13)", V3_16, { { IMAGE_INCOMPATIBLE_FEATURES, 1 }, NO }, QCOW2_OK, ANY, ANY },
	{ "corrupt (P13)", V3_16, { { IMAGE_INCOMPATIBLE_FEATURES, 2 }, NO }, QCOW2_OK, ANY, ANY },
	{ "incompatible bit 5", V3_16, { { IMAGE_INCOMPATIBLE_FEATURES, 0x23 }, NO },
	  QCOW2_E_FEATURE, 72, 0x20 },
	{ "incompatible bit 31", V3_16, { { IMAGE_INCOMPATIBLE_FEATURES, 1u << 31 }, NO },
	  QCOW2_E_FEATURE, 72, 1u << 31 },
	{ "incompatible bit 32", V3_16, { { IMAGE_INCOMPATIBLE_FEATURES, UINT64_C(1) << 32 }, NO },
	  QCOW2_E_FEATURE, 72, UINT64_C(1) << 32 },
	{ "incompatible bit 63", V3_16, { { IMAGE_INCOMPATIBLE_FEATURES, UINT64_C(1) << 63 }, NO },
	  QCOW2_E_FEATURE, 72, UINT64_C(1) << 63 },
	{ "all incompatible bits but one", V3_16,
	  { { IMAGE_INCOMPATIBLE_FEATURES, ~UINT64_C(8) }, NO }, QCOW2_E_FEATURE, 72,
	  ~UINT64_C(0x1f) },
	{ "all compatible bits", V3_16, { { IMAGE_COMPATIBLE_FEATURES, UINT64_MAX }, NO }, QCOW2_OK,
	  ANY, ANY },
	{ "all autoclear bits but one", V3_16,
	  { { IMAGE_AUTOCLEAR_FEATURES, ~UINT64_C(2) }, NO }, QCOW2_OK, ANY, ANY },
	{ "autoclear bit 1 without data file", V3_16, { { IMAGE_AUTOCLEAR_FEATURES, 2 }, NO },
	  QCOW2_E_HEADER, 88, ANY },
	{ "extended L2, clusters of 8 KiB", 3, 13, { { IMAGE_INCOMPATIBLE_FEATURES, 16 }, NO },
	  QCOW2_E_CLUSTER_BITS, 20, 13 },
	{ "extended L2, clusters of 16 KiB", 3, 14, { { IMAGE_INCOMPATIBLE_FEATURES, 16 }, NO },
	  QCOW2_OK, ANY, ANY },

	{ "refcount_order 0", V3_16, { { IMAGE_REFCOUNT_ORDER, 0 }, NO }, QCOW2_OK, ANY, ANY },
	{ "refcount_order 6", V3_16, { { IMAGE_REFCOUNT_ORDER, 6 }, NO }, QCOW2_OK, ANY, ANY },
	{ "refcount_order 7", V3_16, { { IMAGE_REFCOUNT_ORDER, 7 }, NO }, QCOW2_E_HEADER, 96, ANY },
	{ "refcount_order 260", V3_16, { { IMAGE_REFCOUNT_ORDER, 260 }, NO }, QCOW2_E_HEADER, 96,
	  ANY },
	{ "no refcount table (P10)", V3_16,
	  { { IMAGE_REFCOUNT_TABLE_CLUSTERS, 0 }, { IMAGE_REFCOUNT_TABLE_OFFSET, 0 }, NO },
	  QCOW2_OK, ANY, ANY },
	{ "refcount table anywhere (P10)", V3_16,
	  { { IMAGE_REFCOUNT_TABLE_CLUSTERS, 0xffffffff },
	    { IMAGE_REFCOUNT_TABLE_OFFSET, UINT64_MAX },
	    NO },
	  QCOW2_OK, ANY, ANY },

	{ "AES", V3_16, { { IMAGE_CRYPT_METHOD, 1 }, NO }, QCOW2_E_ENCRYPTED, 32, 1 },
	{ "LUKS", V3_16, { { IMAGE_CRYPT_METHOD, 2 }, NO }, QCOW2_E_ENCRYPTED, 32, 2 },
	{ "AES, version 2", V2_16, { { IMAGE_CRYPT_METHOD, 1 }, NO }, QCOW2_E_ENCRYPTED, 32, 1 },
	{ "encryption 3", V3_16, { { IMAGE_CRYPT_METHOD, 3 }, NO }, QCOW2_E_ENCRYPTED, 32, 3 },

	{ "65536 snapshots", V3_16, { { IMAGE_NB_SNAPSHOTS, 65536 }, NO }, QCOW2_OK, ANY, ANY },
	{ "65537 snapshots", V3_16, { { IMAGE_NB_SNAPSHOTS, 65537 }, NO }, QCOW2_E_TOO_BIG, 60,
	  65537 },
	{ "2^32-1 snapshots", V2_16, { { IMAGE_NB_SNAPSHOTS, 0xffffffff }, NO }, QCOW2_E_TOO_BIG,
	  60, 0xffffffff },
	{ "snapshot table past the file", V3_16,
	  { { IMAGE_NB_SNAPSHOTS, 1 }, { IMAGE_SNAPSHOTS_OFFSET, UINT64_C(1) << 40 }, NO },
	  QCOW2_OK, ANY, ANY },
	{ "snapshot table misaligned", V3_16,
	  { { IMAGE_NB_SNAPSHOTS, 1 }, { IMAGE_SNAPSHOTS_OFFSET, 65536 + 512 }, NO },
	  QCOW2_E_HEADER, 64, ANY },
	{ "snapshot table misaligned by 1", V3_16, { { IMAGE_SNAPSHOTS_OFFSET, 65537 }, NO },
	  QCOW2_E_HEADER, 64, 65537 },
	{ "snapshot table misaligned, no snapshots", V3_16, { { IMAGE_SNAPSHOTS_OFFSET, 8 }, NO },
	  QCOW2_E_HEADER, 64, ANY },
	{ "snapshot table at 2^63", V3_16, { { IMAGE_SNAPSHOTS_OFFSET, UINT64_C(1) << 63 }, NO },
	  QCOW2_E_HEADER, 64, ANY },

	{ "L1 of 4194305 entries", V3_16, { { IMAGE_L1_SIZE, 4194305 }, NO }, QCOW2_E_TOO_BIG, ANY,
	  4194305 },
	{ "L1 of 2^31 entries", V3_16, { { IMAGE_L1_SIZE, 0x80000000 }, NO }, QCOW2_E_TOO_BIG, ANY,
	  0x80000000 },
	{ "L1 of 2^29+1 entries", V3_16, { { IMAGE_L1_SIZE, 0x20000001 }, NO }, QCOW2_E_TOO_BIG,
	  ANY, 0x20000001 },
	{ "L1 of 4194304 entries in a small file", V3_16, { { IMAGE_L1_SIZE, 4194304 }, NO },
	  QCOW2_E_TRUNCATED, ANY, ANY },
	{ "L1 longer than needed", V3_16, { { IMAGE_L1_SIZE, 2 }, NO }, QCOW2_OK, ANY, ANY },
	{ "L1 of no entries", V3_16, { { IMAGE_L1_SIZE, 0 }, NO }, QCOW2_E_L1, ANY, ANY },
	{ "L1 misaligned by 512", V3_16, { { IMAGE_L1_TABLE_OFFSET, 65536 + 512 }, NO }, QCOW2_E_L1,
	  40, ANY },
	{ "L1 misaligned by 1", V3_16, { { IMAGE_L1_TABLE_OFFSET, 65537 }, NO }, QCOW2_E_L1, 40,
	  ANY },
	{ "L1 ends past 2^63", V3_16, { { IMAGE_L1_TABLE_OFFSET, UINT64_C(1) << 63 }, NO },
	  QCOW2_E_L1, 40, ANY },
	{ "L1 wraps", V3_16, { { IMAGE_L1_TABLE_OFFSET, UINT64_C(0xffffffffffff0000) }, NO },
	  QCOW2_E_L1, 40, ANY },
	{ "L1 past the file", V3_16, { { IMAGE_L1_TABLE_OFFSET, UINT64_C(1) << 50 }, NO },
	  QCOW2_E_TRUNCATED, ANY, ANY },
	{ "L1 at 0", V3_16, { { IMAGE_L1_TABLE_OFFSET, 0 }, NO }, QCOW2_OK, ANY, ANY },

	{ "size 0", V3_16, { { IMAGE_SIZE, 0 }, NO }, QCOW2_OK, ANY, ANY },
	{ "size 0, no L1", V3_16, { { IMAGE_SIZE, 0 }, { IMAGE_L1_SIZE, 0 }, NO }, QCOW2_OK, ANY,
	  ANY },
	{ "size 1", V3_16, { { IMAGE_SIZE, 1 }, NO }, QCOW2_OK, ANY, ANY },
	{ "size of one L1 entry", V3_16, { { IMAGE_SIZE, 512 * MIB }, NO }, QCOW2_OK, ANY, ANY },
	{ "one byte more", V3_16, { { IMAGE_SIZE, 512 * MIB + 1 }, NO }, QCOW2_E_L1, 36, ANY },
	{ "L1 index 2^31-1", V3_16, { { IMAGE_SIZE, UINT64_C(1) << 60 }, NO }, QCOW2_E_TOO_BIG, 24,
	  UINT64_C(1) << 60 },
	{ "L1 index 2^31-2", V3_16, { { IMAGE_SIZE, (UINT64_C(1) << 60) - 512 * MIB }, NO },
	  QCOW2_E_L1, ANY, ANY },
	{ "size 2^62", 3, 21, { { IMAGE_SIZE, UINT64_C(1) << 62 }, NO }, QCOW2_E_L1, ANY, ANY },
	{ "size 2^63-1", 3, 21, { { IMAGE_SIZE, INT64_MAX }, NO }, QCOW2_E_L1, 36, ANY },
	{ "size 2^63", 3, 21, { { IMAGE_SIZE, UINT64_C(1) << 63 }, NO }, QCOW2_E_TOO_BIG, 24,
	  UINT64_C(1) << 63 },
	{ "size 2^64-1", 3, 21, { { IMAGE_SIZE, UINT64_MAX }, NO }, QCOW2_E_TOO_BIG, 24,
	  UINT64_MAX },
	{ "size 2^64-1, clusters of 512", 2, 9, { { IMAGE_SIZE, UINT64_MAX }, NO }, QCOW2_E_TOO_BIG,
	  24, UINT64_MAX },

	/* If two fields are wrong, the first check decides the error. */
	{ "magic before version", V3_16, { { IMAGE_MAGIC, 0 }, { IMAGE_VERSION, 1 }, NO },
	  QCOW2_E_NOT_QCOW2, 0, ANY },
	{ "version before cluster_bits", V3_16,
	  { { IMAGE_VERSION, 1 }, { IMAGE_CLUSTER_BITS, 0 }, NO }, QCOW2_E_VERSION, 4, 1 },
	{ "cluster_bits before header_length", V3_16,
	  { { IMAGE_CLUSTER_BITS, 8 }, { IMAGE_HEADER_LENGTH, 8 }, NO }, QCOW2_E_CLUSTER_BITS, 20,
	  8 },
	{ "header_length before backing offset", V3_16,
	  { { IMAGE_HEADER_LENGTH, 8 }, { IMAGE_BACKING_FILE_OFFSET, UINT64_MAX }, NO },
	  QCOW2_E_HEADER, 100, ANY },
	{ "backing offset before compression", V3_16,
	  { { IMAGE_BACKING_FILE_OFFSET, UINT64_MAX }, { IMAGE_COMPRESSION_TYPE, 9 }, NO },
	  QCOW2_E_HEADER, 8, ANY },
	{ "compression before features", V3_16,
	  { { IMAGE_COMPRESSION_TYPE, 9 }, { IMAGE_INCOMPATIBLE_FEATURES, 0x100 }, NO },
	  QCOW2_E_COMPRESSION, 104, 9 },
	{ "compression mismatch before features", V3_16,
	  { { IMAGE_COMPRESSION_TYPE, 1 }, { IMAGE_INCOMPATIBLE_FEATURES, 0x100 }, NO },
	  QCOW2_E_HEADER, 104, ANY },
	{ "features before subclusters", 3, 12, { { IMAGE_INCOMPATIBLE_FEATURES, 0x110 }, NO },
	  QCOW2_E_FEATURE, 72, 0x100 },
	{ "subclusters before refcounts", 3, 12,
	  { { IMAGE_INCOMPATIBLE_FEATURES, 0x10 }, { IMAGE_REFCOUNT_ORDER, 7 }, NO },
	  QCOW2_E_CLUSTER_BITS, 20, ANY },
	{ "refcounts before encryption", V3_16,
	  { { IMAGE_REFCOUNT_ORDER, 7 }, { IMAGE_CRYPT_METHOD, 1 }, NO }, QCOW2_E_HEADER, 96, ANY },
	{ "encryption before snapshots", V3_16,
	  { { IMAGE_CRYPT_METHOD, 1 }, { IMAGE_NB_SNAPSHOTS, 65537 }, NO }, QCOW2_E_ENCRYPTED, 32,
	  1 },
	{ "snapshots before L1", V3_16,
	  { { IMAGE_NB_SNAPSHOTS, 65537 }, { IMAGE_L1_SIZE, 4194305 }, NO }, QCOW2_E_TOO_BIG, 60,
	  ANY },
	{ "L1 before the backing name", V3_16,
	  { { IMAGE_L1_TABLE_OFFSET, 1 },
	    { IMAGE_BACKING_FILE_OFFSET, 200 },
	    { IMAGE_BACKING_FILE_SIZE, 5000 } },
	  QCOW2_E_L1, 40, ANY },
};
/* clang-format on */

static void build(struct image *img, const struct open_case *c)
{
	image_init(img, c->version, c->cluster_bits, MIB);
	if (c->cluster_bits == 9)
		img->size = 32768;
	image_add(img, &img->active, 0, IMAGE_DATA);
	for (unsigned i = 0; i < 3 && c->set[i].field != IMAGE_N_FIELDS; i++)
		image_set(img, c->set[i].field, c->set[i].value);
	image_finish(img);
}

/* A failed open leaves an image that no call accepts. */
static void check_closed(const struct qcow2_image *image)
{
	struct qcow2_reader reader;
	struct qcow2_image other;
	struct qcow2_span span = { 0, 1 };
	uint64_t memory[QCOW2_READER_MEMORY / 8 + 1];
	uint8_t byte = 0;
	size_t min = 0;
	size_t good = 0;

	memcpy(&other, image, sizeof other);
	EQ(qcow2_reader_init(&reader, image, memory, sizeof memory), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_memory(image, NULL, &min, &good), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_backing(&other, &other), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_bytes(image, span, &byte, NULL), QCOW2_E_ARGUMENT);
}

static void check_error(const struct qcow2_error *err, const struct test_io *io,
                        const struct open_case *c)
{
	EQ(err->status, c->status);
	EQ(err->io_code, 0);
	TRUE(err->io == &io->io);
	if (c->pos != ANY)
		EQ(err->pos, c->pos);
	if (c->detail != ANY)
		EQ(err->detail, c->detail);
}

static void test_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct open_case *c = &cases[i];
		struct image img;
		struct test_io io;
		struct qcow2_image image;
		struct qcow2_error err = { .status = 77, .io_code = 78 };

		test_case("%s", c->name);
		build(&img, c);
		test_io_init(&io, &img.file);
		memset(&image, 0xaa, sizeof image);
		EQ(open_whole(&image, &io.io, 0, &err), c->status);
		EQ(err.status, c->status);
		if (c->status != QCOW2_OK) {
			check_error(&err, &io, c);
			check_closed(&image);
			EQ(open_whole(&image, &io.io, 0, NULL), c->status);
		}
		image_free(&img);
	}
}

/* The fields of the image after opening a header full of odd values. */
static void test_fields(void **state)
{
	struct test_image s = { 0 };

	(void)state;
	test_case("fields");
	image_init(&s.img, 3, 12, 3 * MIB + 7);
	image_set(&s.img, IMAGE_INCOMPATIBLE_FEATURES, 3);
	image_set(&s.img, IMAGE_COMPATIBLE_FEATURES, UINT64_C(0x8000000000000001));
	image_set(&s.img, IMAGE_AUTOCLEAR_FEATURES, UINT64_C(0x4000000000000001));
	image_set(&s.img, IMAGE_REFCOUNT_ORDER, 5);
	image_set(&s.img, IMAGE_NB_SNAPSHOTS, 3);
	image_set(&s.img, IMAGE_SNAPSHOTS_OFFSET, UINT64_C(0x123456789a000));
	image_set(&s.img, IMAGE_REFCOUNT_TABLE_OFFSET, UINT64_C(0xfedcba9876543210));
	image_set(&s.img, IMAGE_REFCOUNT_TABLE_CLUSTERS, 0x89abcdef);
	test_image_open_flags(&s, QCOW2_OPEN_LAYER);
	EQ(s.image.size, 3 * MIB + 7); /* P1: to the byte */
	EQ(s.image.version, 3);
	EQ(s.image.cluster_bits, 12);
	EQ(s.image.l1_pos, s.img.active.l1_pos);
	EQ(s.image.l1_entries, 2);
	EQ(s.image.flags, QCOW2_OPEN_LAYER);
	EQ(s.image.refcount_order, 5);
	EQ(s.image.compression_type, QCOW2_COMPRESSION_DEFLATE);
	EQ(s.image.crypt_method, 0);
	EQ(s.image.incompatible, QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT);
	EQ(s.image.compatible, UINT64_C(0x8000000000000001));
	EQ(s.image.autoclear, UINT64_C(0x4000000000000001));
	EQ(s.image.refcount_table_pos, UINT64_C(0xfedcba9876543210));
	EQ(s.image.refcount_table_clusters, 0x89abcdef);
	EQ(s.image.snapshots_pos, UINT64_C(0x123456789a000));
	EQ(s.image.n_snapshots, 3);
	EQ(s.image.header_len, 112);
	TRUE(s.image.io.ops == s.io.io.ops && s.image.io.ctx == s.io.io.ctx);
	EQ(s.image.io.size, s.img.file.len);
	TRUE(s.image.data == NULL && s.image.backing == NULL);
	EQ(s.image.backing_name.len, 0);
	test_image_free(&s);
}

/* Version 2 ends at byte 72: nothing from there on is a header field. */
static void test_v2(void **state)
{
	struct test_image s = { 0 };

	(void)state;
	test_case("version 2 with bytes after the header");
	image_init(&s.img, 2, 16, MIB);
	image_add_ext(&s.img, 0x11111111, 60, "\377\377\377\377\377\377\377\377", 8);
	image_finish(&s.img);
	image_buf_fill(&s.img.file, 80, 0xff, 60); /* the payload */
	test_image_open(&s);
	EQ(s.image.incompatible, 0);
	EQ(s.image.compatible, 0);
	EQ(s.image.autoclear, 0);
	EQ(s.image.compression_type, 0);
	EQ(s.image.refcount_order, 4);
	EQ(s.image.header_len, 72);
	test_image_free(&s);

	test_case("extension at 72");
	image_init(&s.img, 2, 16, MIB);
	image_add_ext(&s.img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	test_image_open(&s);
	EQ(s.image.backing_format.pos, 80);
	EQ(s.image.backing_format.len, 3);
	test_image_free(&s);
}

/* header_length may be anything from 104 to the cluster size. Bytes 105-111 have no meaning. */
static void test_header_length(void **state)
{
	static const unsigned lengths[] = { 104, 105, 107, 108, 111, 112,  113,  116, 120,
		                            128, 500, 504, 511, 512, 4000, 4088, 4096 };

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct test_image s = { 0 };

		test_case("header_length %u", lengths[i]);
		image_init(&s.img, 3, 12, MIB);
		s.img.header_length = lengths[i];
		if (lengths[i] < 4096 - 32)
			image_add_ext(&s.img, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
		else
			s.img.no_end = true;
		image_finish(&s.img);
		if (lengths[i] > 105)
			image_buf_fill(&s.img.file, 105, 0xff, lengths[i] - 105);
		test_image_open(&s);
		EQ(s.image.header_len, lengths[i]);
		EQ(s.image.backing_format.len, lengths[i] < 4096 - 32 ? 5 : 0);
		test_image_free(&s);
	}
	/* If the header ends before that byte, the byte is not the compression type. */
	for (unsigned byte = 0; byte < 256; byte += 51) {
		struct test_image s = { 0 };

		test_case("byte 104 is 0x%x, but header_length is 104", byte);
		image_init(&s.img, 3, 12, MIB);
		s.img.header_length = 104;
		image_add_ext(&s.img, byte << 24 | 0x123456, 0, NULL, 0);
		test_image_open(&s);
		EQ(s.image.compression_type, 0);
		test_image_free(&s);
	}
}

/* Files that end inside or right after the header. */
static void test_short(void **state)
{
	static const struct {
		unsigned version, cluster_bits;
		size_t len; /* the least length that opens */
	} shapes[] = { { 2, 9, 72 }, { 2, 16, 72 }, { 3, 9, 104 }, { 3, 21, 104 } };

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		for (size_t len = 0; len <= 136; len++) {
			struct image img;
			struct guarded g;
			struct test_io io;
			struct qcow2_image image;
			int rc = 0;

			test_case("version %u, cluster_bits %u, %zu bytes", shapes[i].version,
			          shapes[i].cluster_bits, len);
			image_init(&img, shapes[i].version, shapes[i].cluster_bits, 0);
			img.refcounts = false;
			image_finish(&img);
			guard_init(&g, len, 1);
			memcpy(g.p, img.file.data, len);
			test_io_bytes(&io, g.p, len);
			rc = open_whole(&image, &io.io, 0, NULL);
			if (len < 4)
				EQ(rc, QCOW2_E_NOT_QCOW2);
			else if (len < shapes[i].len)
				TRUE(rc == QCOW2_E_TRUNCATED || rc == QCOW2_E_VERSION);
			else if (len == shapes[i].len || len >= 120)
				EQ(rc, QCOW2_OK);
			else
				TRUE(rc == QCOW2_OK || rc == QCOW2_E_TRUNCATED);
			guard_free(&g);
			image_free(&img);
		}
	}
}

/* QCOW2_OPEN_INSPECT opens an encrypted image, but no reader accepts it. */
static void test_inspect(void **state)
{
	(void)state;
	for (unsigned method = 1; method <= 2; method++) {
		struct test_image s = { 0 };
		struct qcow2_reader reader;
		uint64_t memory[QCOW2_READER_MEMORY / 8 + 1];

		test_case("crypt_method %u", method);
		image_init(&s.img, 3, 12, MIB);
		image_set(&s.img, IMAGE_CRYPT_METHOD, method);
		if (method == 2)
			image_add_ext(&s.img, IMAGE_EXT_CRYPTO, 16, "0123456789abcdef", 16);
		test_image_open_flags(&s, QCOW2_OPEN_INSPECT);
		EQ(s.image.crypt_method, method);
		EQ(s.image.crypto.len, method == 2 ? 16 : 0);
		EQ(qcow2_reader_init(&reader, &s.image, memory, sizeof memory), QCOW2_E_ENCRYPTED);
		TRUE(reader.error.status == QCOW2_E_ENCRYPTED);
		EQ(reader.error.detail, method);
		test_image_free(&s);
	}
}

/* An L1 table that is not wholly in the file is refused, or reads as zeros on request (P2). */
static void test_l1_truncated(void **state)
{
	struct test_image s = { 0 };
	struct test_io io;
	struct qcow2_image image;
	struct qcow2_error err = { 0 };
	uint64_t l1_end = 0;

	(void)state;
	image_init(&s.img, 3, 9, 32768 * 5);
	s.img.refcounts = false;
	image_finish(&s.img);
	l1_end = s.img.active.l1_pos + 8 * s.img.active.l1_entries;
	for (uint64_t len = l1_end - 41; len <= l1_end + 1; len++) {
		int want = len < l1_end ? QCOW2_E_TRUNCATED : QCOW2_OK;

		test_case("file of %llu bytes, L1 ends at %llu", (unsigned long long)len,
		          (unsigned long long)l1_end);
		test_io_bytes(&io, s.img.file.data, len);
		EQ(open_whole(&image, &io.io, 0, &err), want);
		if (want != QCOW2_OK)
			EQ(err.pos, len);
		EQ(open_whole(&image, &io.io, QCOW2_OPEN_TRUNCATED, &err), QCOW2_OK);
	}
	test_image_free(&s);
}

/* The documented cost: two io calls for the header, then one for each 128 bytes of extensions. */
static void test_cost(void **state)
{
	static const struct {
		unsigned version, cluster_bits;
		uint64_t size;
		uint32_t l1_entries;
	} shapes[] = { { 3, 9, 32768, 0 },
		       { 2, 16, MIB, 0 },
		       { 3, 21, 64 * TIB, 0 },
		       { 3, 16, 64 * TIB, 0 },
		       { 3, 16, MIB, 4194304 } };

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct test_image s = { 0 };

		test_case("shape %zu", i);
		image_init(&s.img, shapes[i].version, shapes[i].cluster_bits, shapes[i].size);
		s.img.active.l1_entries = shapes[i].l1_entries;
		test_image_open(&s);
		LE(s.io.calls, 3);
		LE(s.io.bytes, 1024);
		test_image_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),       cmocka_unit_test(test_fields),
		cmocka_unit_test(test_v2),           cmocka_unit_test(test_header_length),
		cmocka_unit_test(test_short),        cmocka_unit_test(test_inspect),
		cmocka_unit_test(test_l1_truncated), cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
