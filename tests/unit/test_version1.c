/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Version 1 of the format: headers, tables at any byte, clusters, chains, AES. */
#include "toy_crypto.h"

#include <stdlib.h>
#include <string.h>

#include "qcow2/refcount.h"
#include "qcow2/version1.h"

/* An image that is being written. Whoever adds something says where it is in the file. */
struct v1 {
	struct image_buf file;
	struct test_io io;
	struct qcow2_image image;
	unsigned bits, l2_bits;
	uint64_t l1;
};

static void v1_begin(struct v1 *v, unsigned bits, unsigned l2_bits, uint64_t size, uint64_t l1)
{
	struct image_buf *f = &v->file;
	uint64_t n = (size + (UINT64_C(1) << (bits + l2_bits)) - 1) >> (bits + l2_bits);

	memset(v, 0, sizeof *v);
	v->bits = bits;
	v->l2_bits = l2_bits;
	v->l1 = l1;
	image_put(f, 0, 0x514649fb00000001, 8);
	image_put(f, 24, size, 8);
	image_put(f, 32, bits, 1);
	image_put(f, 33, l2_bits, 1);
	image_put(f, 34, 0xeeee, 2); /* ignored */
	image_put(f, 40, l1, 8);
	image_buf_fill(f, l1, 0, (size_t)n * 8);
}

static void v1_l2(struct v1 *v, uint64_t index, uint64_t table)
{
	image_buf_fill(&v->file, table, 0, (size_t)8 << v->l2_bits);
	image_put(&v->file, v->l1 + 8 * index, table, 8);
}

static void v1_data(struct v1 *v, uint64_t entry_pos, uint64_t pos, uint64_t seed)
{
	uint8_t *bytes = malloc((size_t)1 << v->bits);

	image_fill(bytes, (size_t)1 << v->bits, seed, 0);
	image_buf_put(&v->file, pos, bytes, (size_t)1 << v->bits);
	image_put(&v->file, entry_pos, pos, 8);
	free(bytes);
}

/* Returns the number of packed bytes. */
static size_t v1_packed(struct v1 *v, uint64_t entry_pos, uint64_t pos, uint64_t seed)
{
	size_t len = (size_t)1 << v->bits;
	uint8_t *plain = malloc(len);
	uint8_t *packed = malloc(pack_bound(len));
	size_t n = 0;

	memset(plain, (int)seed, len);
	n = pack_fixed(packed, plain, len, 4096);
	image_buf_put(&v->file, pos, packed, n);
	image_put(&v->file, entry_pos, UINT64_C(1) << 63 | (uint64_t)n << (63 - v->bits) | pos, 8);
	free(plain);
	free(packed);
	return n;
}

static int v1_open(struct v1 *v, unsigned flags, struct qcow2_error *err)
{
	test_io_init(&v->io, &v->file);
	return qcow2_image_open_v1(&v->image, &v->io.io, flags, err);
}

static void v1_free(struct v1 *v)
{
	free(v->file.data);
}

struct header_case {
	const char *name;
	unsigned pos, n;
	uint64_t value;
	unsigned flags;
	int status;
	uint64_t err_pos, detail;
};

static const struct header_case header_cases[] = {
	{ "as it is", 0, 1, 'Q', 0, QCOW2_OK, 0, 0 },
	{ "magic", 0, 1, 'q', 0, QCOW2_E_NOT_QCOW2, 0, ANY },
	{ "version 2", 4, 4, 2, 0, QCOW2_E_VERSION, 4, 2 },
	{ "version 0", 4, 4, 0, 0, QCOW2_E_VERSION, 4, 0 },
	{ "size 0", 24, 8, 0, 0, QCOW2_E_HEADER, 24, ANY },
	{ "size 1", 24, 8, 1, 0, QCOW2_E_HEADER, 24, ANY },
	{ "size 2", 24, 8, 2, 0, QCOW2_OK, 0, 0 },
	{ "size 2^63", 24, 8, UINT64_C(1) << 63, 0, QCOW2_E_TOO_BIG, 24, UINT64_C(1) << 63 },
	{ "size 2^49", 24, 8, UINT64_C(1) << 49, QCOW2_OPEN_TRUNCATED, QCOW2_E_TOO_BIG, 24, ANY },
	{ "2^28 - 1 L1 entries", 24, 8, ((UINT64_C(1) << 28) - 1) << 21, QCOW2_OPEN_TRUNCATED,
	  QCOW2_OK, 0, 0 },
	{ "and a byte more", 24, 8, (((UINT64_C(1) << 28) - 1) << 21) + 1, QCOW2_OPEN_TRUNCATED,
	  QCOW2_E_TOO_BIG, 24, (((UINT64_C(1) << 28) - 1) << 21) + 1 },
	{ "clusters of 256", 32, 1, 8, 0, QCOW2_E_CLUSTER_BITS, 32, 8 },
	{ "clusters of 512", 32, 1, 9, 0, QCOW2_OK, 0, 0 },
	{ "clusters of 64 KiB", 32, 1, 16, 0, QCOW2_OK, 0, 0 },
	{ "clusters of 128 KiB", 32, 1, 17, 0, QCOW2_E_CLUSTER_BITS, 32, 17 },
	{ "L2 tables of 32", 33, 1, 5, 0, QCOW2_E_HEADER, 33, ANY },
	{ "L2 tables of 64", 33, 1, 6, 0, QCOW2_OK, 0, 0 },
	{ "L2 tables of 8192", 33, 1, 13, 0, QCOW2_OK, 0, 0 },
	{ "L2 tables of 16384", 33, 1, 14, 0, QCOW2_E_HEADER, 33, ANY },
	{ "AES", 36, 4, 1, 0, QCOW2_E_ENCRYPTED, 36, 1 },
	{ "AES, to look", 36, 4, 1, QCOW2_OPEN_INSPECT, QCOW2_OK, 0, 0 },
	{ "method 2", 36, 4, 2, QCOW2_OPEN_INSPECT, QCOW2_E_ENCRYPTED, 36, 2 },
	{ "L1 past the end", 40, 8, 1 << 20, 0, QCOW2_E_TRUNCATED, ANY, ANY },
	{ "L1 past the end, allowed", 40, 8, 1 << 20, QCOW2_OPEN_TRUNCATED, QCOW2_OK, 0, 0 },
	{ "L1 at 2^64-8", 40, 8, UINT64_MAX - 7, QCOW2_OPEN_TRUNCATED, QCOW2_E_L1, 40, ANY },
	{ "L1 at 2^63-2^32", 40, 8, UINT64_C(0x7fffffff00000000), 0, QCOW2_E_L1, 40, ANY },
	{ "L1 before that", 40, 8, UINT64_C(0x7ffffffeffffffff), 0, QCOW2_E_TRUNCATED, ANY, ANY },
	{ "a length but no name", 16, 4, 5000, 0, QCOW2_OK, 0, 0 },
	{ "name too long", 12, 8, UINT64_C(5000) << 32 | 1024, 0, QCOW2_E_HEADER, 16, ANY },
	{ "name of 0 bytes", 8, 8, 5000, 0, QCOW2_OK, 0, 0 },
	{ "name behind 4 GiB", 11, 8, UINT64_C(1) << 56 | 1, 0, QCOW2_E_HEADER, 8, ANY },
	{ "name of 0 bytes behind 4 GiB", 8, 8, UINT64_C(1) << 32, 0, QCOW2_OK, 0, 0 },
};

static void test_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(header_cases); i++) {
		const struct header_case *c = &header_cases[i];
		struct qcow2_error err;
		struct v1 v;

		test_case("%s", c->name);
		v1_begin(&v, 12, 9, 4 * MIB, 48);
		image_buf_resize(&v.file, 4096);
		image_put(&v.file, c->pos, c->value, c->n);
		EQ(v1_open(&v, c->flags, &err), c->status);
		EQ(err.status, c->status);
		EQ(v.io.calls, 1);
		if (c->status == QCOW2_OK) {
			EQ(v.image.version, 1);
			EQ(v.image.size, image_get(&v.file, 24, 8));
			EQ(v.image.l1_pos, image_get(&v.file, 40, 8));
			EQ(v.image.flags, c->flags);
			EQ(v.image.header_len, 48);
			EQ(v.image.backing_name.len, 0);
		} else {
			ALL(&v.image, 0, sizeof v.image);
			TRUE(err.io == &v.io.io);
			if (c->err_pos != ANY)
				EQ(err.pos, c->err_pos);
			if (c->detail != ANY)
				EQ(err.detail, c->detail);
		}
		v1_free(&v);
	}
}

static void test_header_ends(void **state)
{
	struct qcow2_error err;
	struct v1 v;

	(void)state;
	v1_begin(&v, 12, 9, MIB, 48);
	for (unsigned len = 0; len <= 56; len++) {
		int want = len < 8 ? QCOW2_E_NOT_QCOW2 : len < 56 ? QCOW2_E_TRUNCATED : QCOW2_OK;

		test_case("%u bytes", len);
		if (len >= 4 && len < 8)
			want = QCOW2_E_VERSION;
		image_buf_resize(&v.file, 56);
		test_io_bytes(&v.io, v.file.data, len);
		EQ(qcow2_image_open_v1(&v.image, &v.io.io, 0, &err), want);
		EQ(qcow2_image_open_v1(&v.image, &v.io.io, QCOW2_OPEN_TRUNCATED, NULL),
		   want == QCOW2_E_TRUNCATED && len >= 48 ? QCOW2_OK : want);
	}
	test_case("the callback fails");
	test_io_reset(&v.io);
	v.io.fail_at = 1;
	EQ(qcow2_image_open_v1(&v.image, &v.io.io, 0, &err), QCOW2_E_IO);
	EQ(err.io_code, IO_FAULT);
	EQ(err.pos, 0);
	test_case("arguments");
	EQ(qcow2_image_open_v1(NULL, &v.io.io, 0, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_open_v1(&v.image, NULL, 0, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_open(&v.image, &v.io.io, 0, &err), QCOW2_E_VERSION);
	EQ(err.detail, 1);
	v1_free(&v);
}

/* The name of the backing file may be anywhere; the image cannot be read without the file. */
static void test_name(void **state)
{
	struct qcow2_error err;
	char name[1023];
	struct v1 v;

	(void)state;
	v1_begin(&v, 9, 12, MIB, 48);
	memset(name, 'n', sizeof name);
	image_buf_put(&v.file, 9001, name, sizeof name);
	image_put(&v.file, 8, 9001, 8);
	image_put(&v.file, 16, 1023, 4);
	EQ(v1_open(&v, 0, &err), QCOW2_OK);
	EQ(v.image.backing_name.pos, 9001);
	EQ(v.image.backing_name.len, 1023);
	EQ(qcow2_image_ready(&v.image, &err), QCOW2_E_BACKING);
	EQ(v1_open(&v, QCOW2_OPEN_LAYER, &err), QCOW2_OK);
	EQ(qcow2_image_ready(&v.image, &err), QCOW2_OK);
	image_put(&v.file, 16, 1024, 4);
	EQ(v1_open(&v, 0, &err), QCOW2_E_HEADER);
	image_put(&v.file, 16, 1023, 4);
	image_buf_resize(&v.file, v.file.len - 1);
	EQ(v1_open(&v, 0, &err), QCOW2_E_TRUNCATED);
	EQ(err.pos, v.file.len);
	EQ(v1_open(&v, QCOW2_OPEN_TRUNCATED, &err), QCOW2_OK);
	v1_free(&v);
}

/* Puts into `want` what v1_data put into the image. */
static void expect_data(uint8_t *want, unsigned bits, uint64_t index, uint64_t seed)
{
	image_fill(want + (index << bits), (size_t)1 << bits, seed, 0);
}

/*
 * All kinds of clusters, for all cluster sizes, with tables whose entries go from one slice to the
 * next, and with clusters of data at any multiple of 512. The first L2 table is at an odd position.
 */
static void test_clusters(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 32; n++) {
		unsigned bits = 9 + n % 8;
		unsigned l2_bits = n < 16 ? 6 : 13;
		uint64_t l1 = 56 + 509 * (n / 8 % 2);
		uint64_t size =
			n < 16 ? ((UINT64_C(65) << bits) + 77) : ((UINT64_C(40) << bits) - 300);
		uint64_t t0 = 4096 + 1021;
		uint64_t t1 = t0 + (UINT64_C(8) << l2_bits) + 3;
		uint64_t data = 128 * KIB + 512;
		uint8_t *want = calloc(66, (size_t)1 << bits);
		struct test_reader reader;
		struct qcow2_extent e;
		struct v1 v;
		size_t len = 0;

		test_case("clusters of 2^%u, L2 tables of 2^%u, L1 at %u", bits, l2_bits,
		          (unsigned)l1);
		v1_begin(&v, bits, l2_bits, size, l1);
		v1_l2(&v, 0, t0);
		if (n < 16) {
			v1_l2(&v, 1, t1);
			v1_data(&v, t1 + 8, data + (UINT64_C(9) << bits), 5);
			expect_data(want, bits, 65, 5);
		}
		v1_data(&v, t0, data, 1);
		v1_data(&v, t0 + 8, data + (UINT64_C(1) << bits), 2);
		v1_data(&v, t0 + 24, data + (UINT64_C(3) << bits), 3);
		v1_data(&v, t0 + 30 * 8, data + (UINT64_C(5) << bits) + 512, 4);
		len = v1_packed(&v, t0 + 38 * 8, data + (UINT64_C(7) << bits) + 513, 9);
		v1_packed(&v, t0 + 39 * 8, data + (UINT64_C(7) << bits) + 513 + len, 10);
		expect_data(want, bits, 0, 1);
		expect_data(want, bits, 1, 2);
		expect_data(want, bits, 3, 3);
		expect_data(want, bits, 30, 4);
		memset(want + (UINT64_C(38) << bits), 9, (size_t)1 << bits);
		memset(want + (UINT64_C(39) << bits), 10, (size_t)1 << bits);
		EQ(v1_open(&v, 0, NULL), QCOW2_OK);
		EQ(v.image.l1_entries, n < 16 ? 2 : 1);
		for (unsigned k = 0; k < 2; k++) {
			test_reader_init(&reader, &v.image,
			                 k == 0 ? 0 : QCOW2_READER_MEMORY_DEFLATE + 9 * KIB,
			                 deflate_only);
			EQ(test_reader_read(&reader, 0, want, (size_t)size), QCOW2_OK);
			EQ(test_reader_read(&reader, size - 1, want + size - 1, 1), QCOW2_OK);
			EQ(test_reader_read(&reader, 1, want + 1, 3), QCOW2_OK);
			EQ(test_reader_read(&reader, size, want, 1), QCOW2_E_RANGE);
			EQ(qcow2_reader_map(&reader.q, 5, size - 5, &e), QCOW2_OK);
			EQ(e.kind, QCOW2_EXTENT_DATA);
			EQ(e.pos, data + 5);
			EQ(e.len, (UINT64_C(2) << bits) - 5); /* two clusters are one extent */
			EQ(qcow2_reader_map(&reader.q, UINT64_C(2) << bits, 1, &e), QCOW2_OK);
			EQ(e.kind, QCOW2_EXTENT_ABSENT);
			TRUE(e.io == NULL);
			EQ(qcow2_reader_map(&reader.q, (UINT64_C(38) << bits) + 1, 9, &e),
			   QCOW2_OK);
			EQ(e.kind, QCOW2_EXTENT_COMPRESSED);
			EQ(e.pos, data + (UINT64_C(7) << bits) + 513);
			EQ(e.packed_len, len);
			EQ(e.len, 9);
			test_reader_free(&reader);
		}
		free(want);
		v1_free(&v);
	}
}

/* An L1 entry of 0 makes all absent that it would map. */
static void test_no_l2(void **state)
{
	struct test_reader reader;
	struct qcow2_extent e;
	struct v1 v;

	(void)state;
	v1_begin(&v, 16, 13, 3 * GIB, 48); /* an entry maps 512 MiB */
	v1_l2(&v, 3, 1001);
	EQ(v1_open(&v, 0, NULL), QCOW2_OK);
	test_reader_init(&reader, &v.image, 0, NULL);
	test_io_reset(&v.io);
	EQ(qcow2_reader_map(&reader.q, 600 * MIB, 3 * GIB - 600 * MIB, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_EXTENT_ABSENT);
	EQ(e.len, 3 * GIB - 600 * MIB);
	test_reader_free(&reader);
	v1_free(&v);
}

struct entry_case {
	const char *name;
	bool l1;
	uint64_t entry;
	unsigned flags;
	int map, read;
};

static const struct entry_case entry_cases[] = {
	{ "not a sector", false, 20480 + 256, 0, QCOW2_E_L2_ENTRY, QCOW2_E_L2_ENTRY },
	{ "a sector", false, 20480 + 512, 0, QCOW2_OK, QCOW2_OK },
	{ "the last sector", false, 32768 - 512, 0, QCOW2_OK, QCOW2_OK },
	{ "the end", false, 32768, 0, QCOW2_E_TRUNCATED, QCOW2_E_TRUNCATED },
	{ "the end, allowed", false, 32768, QCOW2_OPEN_TRUNCATED, QCOW2_OK, QCOW2_OK },
	{ "almost 2^63", false, INT64_MAX - 511, 0, QCOW2_E_TRUNCATED, QCOW2_E_TRUNCATED },
	{ "almost 2^63, allowed", false, INT64_MAX - 511, QCOW2_OPEN_TRUNCATED, QCOW2_OK,
	  QCOW2_OK },
	{ "packed, 0 bytes", false, UINT64_C(1) << 63 | 20480, 0, QCOW2_OK, QCOW2_E_COMPRESSED },
	{ "packed, past the end", false, UINT64_C(1) << 63 | UINT64_C(9) << 51 | 32768, 0, QCOW2_OK,
	  QCOW2_E_TRUNCATED },
	{ "packed, all bits", false, UINT64_MAX, 0, QCOW2_OK, QCOW2_E_TRUNCATED },
	{ "L2 entry at the end", true, 32768 - 8, 0, QCOW2_OK, QCOW2_OK },
	{ "and a byte behind", true, 32768 - 7, 0, QCOW2_E_TRUNCATED, QCOW2_E_TRUNCATED },
	{ "allowed", true, 32768 - 7, QCOW2_OPEN_TRUNCATED, QCOW2_OK, QCOW2_OK },
	{ "L2 past the end", true, 40000, 0, QCOW2_E_TRUNCATED, QCOW2_E_TRUNCATED },
	{ "L2 at 2^63", true, UINT64_C(1) << 63, QCOW2_OPEN_TRUNCATED, QCOW2_E_L2_ENTRY,
	  QCOW2_E_L2_ENTRY },
	{ "L2 at 2^64-1", true, UINT64_MAX, 0, QCOW2_E_L2_ENTRY, QCOW2_E_L2_ENTRY },
};

static void test_entries(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(entry_cases); i++) {
		const struct entry_case *c = &entry_cases[i];
		struct test_reader reader;
		struct qcow2_extent e;
		uint8_t byte = 0;
		struct v1 v;

		test_case("%s", c->name);
		v1_begin(&v, 12, 9, MIB, 48);
		v1_l2(&v, 0, 4096);
		image_buf_resize(&v.file, 32768);
		image_put(&v.file, c->l1 ? 48 : 4096, c->entry, 8);
		EQ(v1_open(&v, c->flags, NULL), QCOW2_OK);
		test_reader_init(&reader, &v.image, 0, deflate_only);
		EQ(qcow2_reader_map(&reader.q, 0, 1, &e), c->map);
		if (c->map == QCOW2_E_L2_ENTRY)
			EQ(reader.q.error.pos, c->l1 ? 48 : 4096);
		if (c->map == QCOW2_E_TRUNCATED)
			EQ(reader.q.error.pos, 32768);
		EQ(qcow2_reader_read(&reader.q, 0, &byte, 1), c->read);
		test_reader_free(&reader);
		v1_free(&v);
	}
}

/* Each io call fails once; then the same read succeeds. */
static void test_faults(void **state)
{
	struct test_reader reader;
	uint8_t want[4096], got[4096];
	struct v1 v;

	(void)state;
	v1_begin(&v, 12, 9, MIB, 509);
	v1_l2(&v, 0, 4096 + 1021);
	v1_data(&v, 4096 + 1021, 16384, 1);
	image_fill(want, sizeof want, 1, 0);
	EQ(v1_open(&v, 0, NULL), QCOW2_OK);
	for (unsigned n = 1; n <= 6; n++) {
		test_case("call %u fails", n);
		test_reader_init(&reader, &v.image, 0, NULL);
		test_io_reset(&v.io);
		v.io.fail_at = n;
		EQ(qcow2_reader_read(&reader.q, 0, got, sizeof got),
		   n <= 5 ? QCOW2_E_IO : QCOW2_OK);
		EQ(v.io.calls, n <= 5 ? n : 5);
		test_io_reset(&v.io);
		EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
		test_reader_free(&reader);
	}
	v1_free(&v);
}

/* Version 2 over version 1 over raw, and what an image of version 1 does not have. */
static void test_chain(void **state)
{
	struct test_image top = { 0 };
	struct test_reader reader;
	struct qcow2_image raw;
	struct qcow2_snapshot snapshot;
	struct image_buf base = { 0 };
	uint8_t *want = calloc(1, 64 * KIB);
	uint32_t n = 1;
	uint64_t count = 0;
	struct test_io io;
	struct v1 v;

	(void)state;
	image_buf_resize(&base, 20000);
	image_fill(base.data, base.len, 7, 0);
	test_io_init(&io, &base);
	EQ(qcow2_image_raw(&raw, &io.io), QCOW2_OK);
	v1_begin(&v, 9, 12, 40 * KIB, 48);
	v1_l2(&v, 0, 1024);
	v1_data(&v, 1024 + 8, 65536, 1);
	EQ(v1_open(&v, 0, NULL), QCOW2_OK);
	EQ(qcow2_image_attach_backing(&v.image, &raw), QCOW2_OK);
	image_init(&top.img, 3, 12, 64 * KIB);
	image_add(&top.img, &top.img.active, 1, IMAGE_DATA);
	test_image_open(&top);
	EQ(qcow2_image_attach_backing(&top.image, &v.image), QCOW2_OK);
	memcpy(want, base.data, base.len);
	image_fill(want + 512, 512, 1, 0);
	image_expect(&top.img, &top.img.active, 0, want, 64 * KIB);
	test_reader_init(&reader, &top.image, 0, deflate_only);
	EQ(test_reader_read(&reader, 0, want, 64 * KIB), QCOW2_OK);
	test_reader_free(&reader);
	free(want);
	EQ(qcow2_image_attach_data(&v.image, &io.io), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_extensions(&v.image, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_next(&v.image, NULL, &snapshot, NULL), QCOW2_E_NOT_FOUND);
	EQ(qcow2_refcounts(&v.image, 0, &n, &count, NULL), QCOW2_E_ARGUMENT);
	test_image_free(&top);
	v1_free(&v);
	free(base.data);
}

/* ---- AES: data is encrypted, with sectors that are numbered from the beginning of the disk ----
 */

enum { AES_KEY = 99, AES_BITS = 12, AES_SIZE = 16 * 4096 + 700 };

/*
 * Encrypted clusters 0, 1, 3 and 16, not in the order of the disk, and compressed cluster 5. The
 * last cluster has `there` bytes in the file. `want` becomes what the disk has.
 */
static void aes_begin(struct v1 *v, size_t there, uint8_t want[AES_SIZE])
{
	static const uint8_t numbers[] = { 3, 0, 1, 16 };
	uint64_t table = 1021, data = 16384 + 512;
	uint8_t disk[17 * 4096] = { 0 };

	v1_begin(v, AES_BITS, 9, AES_SIZE, 48);
	image_put(&v->file, 36, 1, 4);
	v1_l2(v, 0, table);
	v1_packed(v, table + 5 * 8, 8001, 77);
	memset(disk + 5 * 4096, 77, 4096);
	for (unsigned i = 0; i < COUNT(numbers); i++, data += 4096) {
		uint8_t *cluster = disk + numbers[i] * 4096;
		uint8_t bytes[4096];

		image_fill(cluster, 4096, i + 1, 0);
		memcpy(bytes, cluster, 4096);
		toy_crypt(AES_KEY, numbers[i] * 8, bytes, 8);
		image_buf_put(&v->file, data, bytes, 4096);
		image_put(&v->file, table + numbers[i] * 8, data, 8);
	}
	image_buf_resize(&v->file, data - 4096 + there);
	memcpy(want, disk, AES_SIZE);
}

static void test_aes(void **state)
{
	uint8_t *want = malloc(AES_SIZE);
	struct image_buf base = { 0 };
	struct toy_log log = { 0 };
	struct toy_cipher cipher;
	struct test_reader reader;
	struct qcow2_image raw;
	struct qcow2_extent e;
	struct test_io io;
	struct v1 v;

	(void)state;
	aes_begin(&v, 4096, want);
	toy_cipher_init(&cipher, &log, AES_KEY);
	image_buf_resize(&base, 20000);
	image_fill(base.data, base.len, 7, 0);
	memcpy(want + 2 * 4096, base.data + 2 * 4096, 4096);
	memcpy(want + 4 * 4096, base.data + 4 * 4096, base.len - 4 * 4096);
	test_io_init(&io, &base);
	EQ(qcow2_image_raw(&raw, &io.io), QCOW2_OK);
	EQ(v1_open(&v, QCOW2_OPEN_INSPECT, NULL), QCOW2_OK);
	EQ(v.image.crypt_method, QCOW2_CRYPT_AES);
	EQ(qcow2_image_attach_backing(&v.image, &raw), QCOW2_OK);
	EQ(qcow2_image_ready(&v.image, NULL), QCOW2_E_ENCRYPTED);
	EQ(qcow2_image_attach_cipher(&v.image, &cipher.base), QCOW2_OK);
	test_reader_init(&reader, &v.image, 0, deflate_only);
	EQ(test_reader_read(&reader, 0, want, AES_SIZE), QCOW2_OK);
	for (uint64_t off = 0; off + 1500 < AES_SIZE; off += 777)
		EQ(test_reader_read(&reader, off, want + off, 1500), QCOW2_OK);
	EQ(qcow2_reader_map(&reader.q, 100, AES_SIZE - 100, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_EXTENT_ENCRYPTED);
	EQ(e.pos, 16384 + 512 + 4096 + 100);
	EQ(e.len, 2 * 4096 - 100);
	EQ(qcow2_reader_map(&reader.q, 3 * 4096 + 1030, 4096, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_EXTENT_ENCRYPTED);
	EQ(e.pos, 16384 + 512 + 1030);
	EQ(qcow2_extent_sector(&e), 3 * 8 + 2);
	EQ(qcow2_reader_map(&reader.q, 5 * 4096, 4096, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_EXTENT_COMPRESSED);
	EQ(qcow2_reader_map(&reader.q, 4 * 4096, 1, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_EXTENT_DATA);
	EQ(e.depth, 1);
	test_reader_free(&reader);
	free(base.data);
	free(want);
	v1_free(&v);
}

/* P15: a sector that is cut cannot be decrypted. */
static void test_aes_cut(void **state)
{
	static const size_t lengths[] = { 0, 1, 511, 512, 699, 700, 1023, 1024, 4095, 4096 };
	uint8_t *want = malloc(AES_SIZE);

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
		size_t there = lengths[i / 2], whole = there / 512 * 512;
		unsigned flags = i % 2 == 0 ? 0 : QCOW2_OPEN_TRUNCATED;
		struct toy_log log = { 0 };
		struct toy_cipher cipher;
		struct test_reader reader;
		struct v1 v;

		test_case("%u bytes of the last cluster, flags %u", (unsigned)there, flags);
		aes_begin(&v, there, want);
		toy_cipher_init(&cipher, &log, AES_KEY);
		EQ(v1_open(&v, QCOW2_OPEN_INSPECT | flags, NULL), QCOW2_OK);
		EQ(qcow2_image_attach_cipher(&v.image, &cipher.base), QCOW2_OK);
		test_reader_init(&reader, &v.image, 0, deflate_only);
		if (whole < 700)
			memset(want + 16 * 4096 + whole, 0, 700 - whole);
		EQ(test_reader_read(&reader, 0, want, AES_SIZE),
		   flags != 0 || whole >= 700 ? QCOW2_OK : QCOW2_E_TRUNCATED);
		EQ(test_reader_read(&reader, 0, want, 16 * 4096), QCOW2_OK);
		if (whole != 0)
			EQ(test_reader_read(&reader, 16 * 4096 + 9, want + 16 * 4096 + 9, 503),
			   QCOW2_OK);
		test_reader_free(&reader);
		v1_free(&v);
	}
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers), cmocka_unit_test(test_header_ends),
		cmocka_unit_test(test_name),    cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_no_l2),   cmocka_unit_test(test_entries),
		cmocka_unit_test(test_faults),  cmocka_unit_test(test_chain),
		cmocka_unit_test(test_aes),     cmocka_unit_test(test_aes_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
