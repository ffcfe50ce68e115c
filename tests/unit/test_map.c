/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What map answers: every kind of entry, merging, damaged entries, random images against the model,
 * cost. Other readers got this wrong: they checked the zero bit before the compressed bit.
 */
#include "support.h"

#include <string.h>

/* ---- One entry ---- */

/* Guest cluster 5 of 16 has the entry under test. At HOST, the file has data. */
enum { GUEST = 5, CLUSTER = 65536, HOST = CLUSTER };

#define COPIED      (UINT64_C(1) << 63)
#define PACKED      (UINT64_C(1) << 62)
#define L2_RESERVED UINT64_C(0x3f000000000001fe)
#define ZEROS(n)    ((uint64_t)(n) << 32)

struct entry_case {
	const char *name;
	unsigned version;
	bool extended;
	uint64_t entry, bitmap;
	int status;
	uint32_t kind;
	bool has_io;
	uint64_t pos;
};

#define BAD QCOW2_E_L2_ENTRY, 0, false, 0

static const struct entry_case entries[] = {
	{ "0", 3, 0, 0, 0, 0, QCOW2_EXTENT_ABSENT, false, 0 },
	{ "standard", 3, 0, HOST, 0, 0, QCOW2_EXTENT_DATA, true, HOST },
	{ "standard, copied", 2, 0, HOST | COPIED, 0, 0, QCOW2_EXTENT_DATA, true, HOST },
	{ "copied only: unallocated", 3, 0, COPIED, 0, 0, QCOW2_EXTENT_ABSENT, false, 0 },
	{ "copied only, version 2", 2, 0, COPIED, 0, 0, QCOW2_EXTENT_ABSENT, false, 0 },
	{ "zero plain", 3, 0, 1, 0, 0, QCOW2_EXTENT_ZERO, false, 0 },
	{ "zero plain, copied", 3, 0, COPIED | 1, 0, 0, QCOW2_EXTENT_ZERO, false, 0 },
	{ "zero allocated", 3, 0, HOST | 1, 0, 0, QCOW2_EXTENT_ZERO, true, HOST },
	{ "zero in version 2", 2, 0, 1, 0, BAD },
	{ "zero allocated in version 2", 2, 0, HOST | COPIED | 1, 0, BAD },
	{ "reserved bits (P5)", 3, 0, HOST | L2_RESERVED, 0, 0, QCOW2_EXTENT_DATA, true, HOST },
	{ "reserved bits, version 2", 2, 0, HOST | L2_RESERVED, 0, 0, QCOW2_EXTENT_DATA, true,
	  HOST },
	{ "only reserved bits", 3, 0, L2_RESERVED, 0, 0, QCOW2_EXTENT_ABSENT, false, 0 },
	{ "reserved bits, zero", 3, 0, L2_RESERVED | 1, 0, 0, QCOW2_EXTENT_ZERO, false, 0 },
	{ "misaligned by 512", 3, 0, HOST + 512, 0, BAD },
	{ "misaligned by 32768", 2, 0, HOST + 32768, 0, BAD },
	{ "misaligned, zero allocated", 3, 0, (HOST + 512) | 1, 0, BAD },
	{ "misaligned, zero, offset below a cluster", 3, 0, 512 | 1, 0, BAD },
	{ "the L1 table is data", 3, 0, 0x60000, 0, 0, QCOW2_EXTENT_DATA, true, 0x60000 },
	{ "compressed", 3, 0, PACKED | (HOST + 7), 0, 0, QCOW2_EXTENT_COMPRESSED, true, HOST + 7 },
	{ "compressed, version 2", 2, 0, PACKED | (HOST + 511), 0, 0, QCOW2_EXTENT_COMPRESSED, true,
	  HOST + 511 },
	{ "compressed with bit 63", 3, 0, COPIED | PACKED | HOST, 0, 0, QCOW2_EXTENT_COMPRESSED,
	  true, HOST },
	{ "compressed before zero", 3, 0, PACKED | (HOST + 1), 0, 0, QCOW2_EXTENT_COMPRESSED, true,
	  HOST + 1 },
	{ "compressed before zero, version 2", 2, 0, PACKED | (HOST + 1), 0, 0,
	  QCOW2_EXTENT_COMPRESSED, true, HOST + 1 },
	{ "compressed at 0", 3, 0, PACKED, 0, 0, QCOW2_EXTENT_COMPRESSED, true, 0 },

	/* Extended L2. */
	{ "extended: 0", 3, 1, 0, 0, 0, QCOW2_EXTENT_ABSENT, false, 0 },
	{ "extended: all data", 3, 1, HOST, 0xffffffff, 0, QCOW2_EXTENT_DATA, true, HOST },
	{ "extended: bit 0 of the entry is ignored", 3, 1, HOST | 1, 0xffffffff, 0,
	  QCOW2_EXTENT_DATA, true, HOST },
	{ "extended: bit 0 of the entry makes no zeros", 3, 1, 1, 0, 0, QCOW2_EXTENT_ABSENT, false,
	  0 },
	{ "extended: all zero, no host", 3, 1, 0, ZEROS(0xffffffff), 0, QCOW2_EXTENT_ZERO, false,
	  0 },
	{ "extended: all zero, host", 3, 1, HOST, ZEROS(0xffffffff), 0, QCOW2_EXTENT_ZERO, true,
	  HOST },
	{ "extended: host, no bits", 3, 1, HOST | COPIED, 0, 0, QCOW2_EXTENT_ABSENT, true, HOST },
	{ "extended: reserved bits", 3, 1, HOST | L2_RESERVED, 0xffffffff, 0, QCOW2_EXTENT_DATA,
	  true, HOST },
	{ "extended: both bits of subcluster 0", 3, 1, HOST, ZEROS(1) | 1, BAD },
	{ "extended: both bits of subcluster 31", 3, 1, HOST, ZEROS(1u << 31) | 1u << 31, BAD },
	{ "extended: both bits elsewhere", 3, 1, HOST, ZEROS(0x100) | 0x101, BAD },
	{ "extended: data bits without host", 3, 1, 0, 1, BAD },
	{ "extended: data bit 31 without host, bit 63", 3, 1, COPIED, 1u << 31, BAD },
	{ "extended: misaligned", 3, 1, HOST + 512, 0xffffffff, BAD },
	{ "extended: misaligned, all zero", 3, 1, HOST + 512, ZEROS(0xffffffff), BAD },
	{ "extended: misaligned, no bits", 3, 1, HOST + 512, 0, BAD },
	{ "extended: compressed, bitmap ignored", 3, 1, PACKED | HOST, ~UINT64_C(0), 0,
	  QCOW2_EXTENT_COMPRESSED, true, HOST },
	{ "extended: compressed, bitmap 0", 3, 1, PACKED | (HOST + 3), 0, 0,
	  QCOW2_EXTENT_COMPRESSED, true, HOST + 3 },
};

/* Clusters 4 and 6 hold data; 5 is the entry under test. */
static void build_entry(struct test_image *s, const struct entry_case *c)
{
	memset(s, 0, sizeof *s);
	image_init(&s->img, c->version, 16, 16 * CLUSTER);
	s->img.extended_l2 = c->extended;
	image_alloc(&s->img, 2);
	image_add(&s->img, &s->img.active, GUEST - 1, IMAGE_DATA);
	image_add(&s->img, &s->img.active, GUEST + 1, IMAGE_DATA);
	image_add_raw(&s->img, &s->img.active, GUEST, c->entry, c->bitmap);
	test_image_open(s);
	EQ(s->img.active.l1_pos, 0x60000); /* one of the cases relies on this */
}

static void check_extent(const struct qcow2_extent *e, const struct entry_case *c,
                         const struct test_image *s)
{
	EQ(e->kind, c->kind);
	EQ(e->off, GUEST * CLUSTER);
	EQ(e->depth, 0);
	TRUE(e->image == &s->image);
	TRUE(e->io == (c->has_io ? &s->image.io : NULL));
	if (c->has_io)
		EQ(e->pos, c->pos);
	if (c->kind == QCOW2_EXTENT_COMPRESSED)
		EQ(e->packed_len, 512 - c->pos % 512);
	else
		EQ(e->packed_len, 0);
}

/* The error names the position of a damaged entry; the clusters around it still answer (P11). */
static void check_bad(struct test_image *s, struct test_reader *reader)
{
	struct qcow2_extent e;
	struct qcow2_extent before;
	uint64_t pos = image_l2_entry_pos(&s->img, &s->img.active, GUEST);
	uint8_t want[2 * CLUSTER];

	memset(&e, 0x33, sizeof e);
	memcpy(&before, &e, sizeof e);
	EQ(qcow2_reader_map(&reader->q, GUEST * CLUSTER + 100, 5, &e), QCOW2_E_L2_ENTRY);
	SAME(&e, &before, sizeof e);
	EQ(reader->q.error.status, QCOW2_E_L2_ENTRY);
	EQ(reader->q.error.pos, pos);
	TRUE(reader->q.error.io == &s->image.io);
	EQ(reader->q.error.io_code, 0);

	/* An answer that starts before it ends there. */
	EQ(qcow2_reader_map(&reader->q, (GUEST - 1) * CLUSTER, 4 * CLUSTER, &e), QCOW2_OK);
	EQ(e.len, CLUSTER);
	EQ(e.kind, QCOW2_EXTENT_DATA);
	/* Requests that touch it fail; those around it do not. */
	memset(want, 0, sizeof want);
	image_expect(&s->img, &s->img.active, (GUEST - 1) * CLUSTER, want, CLUSTER);
	EQ(test_reader_read(reader, (GUEST - 1) * CLUSTER, want, CLUSTER), QCOW2_OK);
	EQ(test_reader_read(reader, (GUEST - 1) * CLUSTER, want, CLUSTER + 1), QCOW2_E_L2_ENTRY);
	EQ(test_reader_read(reader, (GUEST + 1) * CLUSTER - 1, want, 1), QCOW2_E_L2_ENTRY);
	image_expect(&s->img, &s->img.active, (GUEST + 1) * CLUSTER, want, CLUSTER);
	EQ(test_reader_read(reader, (GUEST + 1) * CLUSTER, want, CLUSTER), QCOW2_OK);
}

static void test_entries(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(entries); i++) {
		const struct entry_case *c = &entries[i];
		struct test_image s;
		struct test_reader reader;
		struct qcow2_extent e;

		test_case("%s", c->name);
		build_entry(&s, c);
		test_reader_init(&reader, &s.image, 0, NULL);
		if (c->status != QCOW2_OK) {
			check_bad(&s, &reader);
		} else {
			EQ(qcow2_reader_map(&reader.q, GUEST * CLUSTER, CLUSTER, &e), QCOW2_OK);
			check_extent(&e, c, &s);
			EQ(e.len, CLUSTER);
		}
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* Each pair of alloc and zero bits of each subcluster, with each kind of neighbour. */
static void test_subclusters(void **state)
{
	static const uint64_t bitmaps[] = {
		0x00000000ffff0000, 0xffff00000000ffff, 0x5555555500000000, 0x00000000aaaaaaaa,
		0x55555555aaaaaaaa, 0x0000000180000000, 0x8000000000000001, 0x0f0f00000000f0f0,
		0x00000000fffffffe, 0xfffffffe00000001, 0x7fffffff80000000, 0x0000000000000000,
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bitmaps); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		uint64_t off = 0;

		test_case("bitmap %zu", i);
		image_init(&s.img, 3, 14, 4 * 16384);
		s.img.extended_l2 = true;
		image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
		image_add_subclusters(&s.img, &s.img.active, 1, bitmaps[i], true);
		image_add_subclusters(&s.img, &s.img.active, 2, bitmaps[i], true);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, 0, NULL);
		for (off = 16384; off < 3 * 16384; off += 512) {
			struct place p = model_place(&s.img, &s.img.active, off);
			struct qcow2_extent e;

			EQ(qcow2_reader_map(&reader.q, off + 17, 300, &e), QCOW2_OK);
			EQ(e.kind, p.kind);
			EQ(e.len, 300);
			EQ(e.pos, p.pos + 17);
			TRUE(e.io == &s.image.io);
		}
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* L1 entries: reserved bits, misalignment, the table past the end. */
struct l1_case {
	const char *name;
	uint64_t value; /* of the entry; plus the position of the L2 table if `add` */
	bool add;
	int status;
	uint32_t kind;
};

static const struct l1_case l1_cases[] = {
	{ "as it should be", COPIED, true, QCOW2_OK, QCOW2_EXTENT_DATA },
	{ "not copied", 0, true, QCOW2_OK, QCOW2_EXTENT_DATA },
	{ "reserved bits", UINT64_C(0x7f000000000001ff), true, QCOW2_OK, QCOW2_EXTENT_DATA },
	{ "0", 0, false, QCOW2_OK, QCOW2_EXTENT_ABSENT },
	{ "copied, no table", COPIED, false, QCOW2_OK, QCOW2_EXTENT_ABSENT },
	{ "reserved bits, no table", UINT64_C(0x7f000000000001ff), false, QCOW2_OK,
	  QCOW2_EXTENT_ABSENT },
	{ "misaligned", 512, true, QCOW2_E_L2_ENTRY, 0 },
	{ "misaligned, below a cluster", 2048, false, QCOW2_E_L2_ENTRY, 0 },
	{ "far past the end", UINT64_C(1) << 50, false, QCOW2_E_TRUNCATED, 0 },
	{ "highest position", UINT64_C(0x00fffffffffff000), false, QCOW2_E_TRUNCATED, 0 },
};

static void test_l1_entries(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(l1_cases); i++) {
		const struct l1_case *c = &l1_cases[i];
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint64_t value = c->value;
		uint64_t at = 0;

		test_case("L1 entry: %s", c->name);
		image_init(&s.img, 3, 12, 8 * MIB);
		image_add_range(&s.img, &s.img.active, 510, 4, IMAGE_DATA); /* two tables */
		image_finish(&s.img);
		at = image_l1_entry_pos(&s.img, &s.img.active, 1);
		if (c->add)
			value |= image_get(&s.img.file, at, 8) & ~COPIED;
		image_put(&s.img.file, at, value, 8);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(qcow2_reader_map(&reader.q, 2 * MIB, 4096, &e), c->status);
		if (c->status == QCOW2_OK) {
			EQ(e.kind, c->kind);
		} else if (c->status == QCOW2_E_L2_ENTRY) {
			EQ(reader.q.error.pos, at);
			TRUE(reader.q.error.io == &s.image.io);
		} else {
			EQ(reader.q.error.pos, s.img.file.len);
		}
		/* The other table still answers. */
		EQ(qcow2_reader_map(&reader.q, 510 * 4096, 4 * 4096, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_DATA);
		LE(c->status == QCOW2_OK && c->kind == QCOW2_EXTENT_DATA ? 0 : e.len, 2 * 4096);
		EQ(qcow2_reader_map(&reader.q, 2 * MIB, 4096, &e), c->status);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* An L2 table at every position that an L1 entry can hold. */
static void test_far_table(void **state)
{
	static const uint64_t positions[] = { UINT64_C(0xfffff000), UINT64_C(0x100000000),
		                              UINT64_C(1) << 40, UINT64_C(0x00ffffffffffe000) };

	(void)state;
	for (size_t i = 0; i < COUNT(positions); i++) {
		struct test_image s = { 0 };
		struct qcow2_extent e;
		uint8_t table[4096];
		struct test_reader reader;

		test_case("L2 table at %llx", (unsigned long long)positions[i]);
		image_init(&s.img, 3, 12, MIB);
		image_add(&s.img, &s.img.active, 3, IMAGE_DATA);
		image_finish(&s.img);
		memcpy(table, s.img.file.data + s.img.active.l1[0].value, sizeof table);
		image_put(&s.img.file, image_l1_entry_pos(&s.img, &s.img.active, 0),
		          positions[i] | COPIED, 8);
		test_image_open(&s);
		s.image.io.size = s.io.io.size = positions[i] + sizeof table;
		s.io.far = table;
		s.io.far_pos = positions[i];
		s.io.far_len = sizeof table;
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(qcow2_reader_map(&reader.q, 3 * 4096, 4096, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_DATA);
		EQ(e.pos, model_place(&s.img, &s.img.active, 3 * 4096).pos);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* A run that continues past the end of the file ends there, wherever the request begins. */
static void test_end_of_file(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_extent e;
	struct test_reader reader;

	(void)state;
	image_init(&s.img, 3, 12, MIB);
	image_place_l1(&s.img, &s.img.active);
	image_place_l2(&s.img, &s.img.active, 0);
	image_add_range(&s.img, &s.img.active, 0, 8, IMAGE_DATA);
	test_image_open(&s);
	test_reader_init(&reader, &s.image, 0, NULL);
	for (uint64_t len = 1; len <= 4096; len += 4095) {
		s.image.io.size = model_place(&s.img, &s.img.active, 4 * 4096).pos + len;
		for (uint64_t off = 0; off < 5 * 4096; off += 512) {
			test_case("from %u on", (unsigned)off);
			EQ(qcow2_reader_init(&reader.q, &s.image, reader.memory.p,
			                     reader.memory.len),
			   QCOW2_OK);
			EQ(qcow2_reader_map(&reader.q, off, 8 * 4096 - off, &e), QCOW2_OK);
			EQ(e.kind, QCOW2_EXTENT_DATA);
			EQ(e.len, 5 * 4096 - off);
		}
		EQ(qcow2_reader_map(&reader.q, 5 * 4096, 1, &e), QCOW2_E_TRUNCATED);
	}
	test_reader_free(&reader);
	test_image_free(&s);
}

/* ---- Merging ---- */

struct merge_case {
	const char *name;
	unsigned cluster_bits;
	bool extended;
	uint64_t first, n; /* clusters of that kind; the disk has 8 more */
	enum image_kind kind;
	uint64_t size; /* of the disk in clusters; 0: first + n + 8 */
};

static const struct merge_case merges[] = {
	{ "data over slices (64 entries)", 12, false, 3, 300, IMAGE_DATA, 0 },
	{ "data over L2 tables", 9, false, 3, 300, IMAGE_DATA, 0 },
	{ "data over L2 tables, extended", 14, true, 1000, 100, IMAGE_DATA, 0 },
	{ "zeros over L2 tables", 9, false, 60, 200, IMAGE_ZERO, 0 },
	{ "zeros over host clusters", 9, false, 1, 100, IMAGE_ZERO_ALLOC, 0 },
	{ "zeros, extended", 14, true, 30, 1100, IMAGE_ZERO, 0 },
	{ "nothing, in an L2 table", 16, false, 0, 0, IMAGE_ABSENT, 1000 },
};

static void test_merge(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(merges); i++) {
		const struct merge_case *c = &merges[i];
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint64_t cluster = UINT64_C(1) << c->cluster_bits;
		uint64_t n = c->size != 0 ? c->size : c->first + c->n + 8;

		test_case("%s", c->name);
		image_init(&s.img, 3, c->cluster_bits, n * cluster);
		s.img.extended_l2 = c->extended;
		image_add_range(&s.img, &s.img.active, c->first, c->n, c->kind);
		image_place_l2(&s.img, &s.img.active, 0);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, 0, NULL);
		if (c->first != 0) {
			EQ(qcow2_reader_map(&reader.q, 0, n * cluster, &e), QCOW2_OK);
			EQ(e.kind, QCOW2_EXTENT_ABSENT);
			EQ(e.len, c->first * cluster);
		}
		EQ(qcow2_reader_map(&reader.q, c->first * cluster + 1, (n - c->first) * cluster - 1,
		                    &e),
		   QCOW2_OK);
		EQ(e.len, (c->n != 0 ? c->n : n) * cluster - 1);
		EQ(e.off, c->first * cluster + 1);
		/* If the caller asks for less, the extent is shorter. */
		EQ(qcow2_reader_map(&reader.q, c->first * cluster + 3, 5, &e), QCOW2_OK);
		EQ(e.len, 5);
		EQ(e.off, c->first * cluster + 3);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* Shuffled neighbours, and those with a gap between them, are not merged. */
static void test_no_merge(void **state)
{
	(void)state;
	for (unsigned place = IMAGE_IN_ORDER; place <= IMAGE_GAPS; place++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint64_t off = 0;

		test_case("placement %u", place);
		image_init(&s.img, 3, 9, 100 * 512);
		s.img.place = (enum image_place)place;
		image_add_range(&s.img, &s.img.active, 0, 100, IMAGE_DATA);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, 0, NULL);
		for (; off < s.img.size; off += e.len) {
			uint64_t end = 0;
			struct place p = model_place(&s.img, &s.img.active, off);

			EQ(qcow2_reader_map(&reader.q, off, s.img.size - off, &e), QCOW2_OK);
			EQ(e.pos, p.pos);
			for (end = 512; off + end < s.img.size; end += 512) {
				if (model_place(&s.img, &s.img.active, off + end).pos !=
				    p.pos + end)
					break;
			}
			EQ(e.len, end);
		}
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* Disks of many L1 entries and hardly any L2 table. The cost is in proportion to the answer. */
static void test_holes(void **state)
{
	static const struct {
		unsigned cluster_bits;
		uint64_t size;
	} shapes[] = { { 16, 2048 * TIB }, { 21, 65536 * TIB }, { 9, 128 * GIB }, { 12, 8 * TIB } };

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint64_t cluster = UINT64_C(1) << shapes[i].cluster_bits;
		uint64_t n = shapes[i].size / cluster;

		test_case("shape %zu", i);
		image_init(&s.img, 3, shapes[i].cluster_bits, shapes[i].size);
		s.img.refcounts = false;
		image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
		image_add(&s.img, &s.img.active, n / 2, IMAGE_DATA);
		image_add(&s.img, &s.img.active, n - 1, IMAGE_DATA);
		test_image_open(&s);
		LE(s.io.bytes, 4 * KIB); /* opening a huge image reads only a few KiB */
		test_reader_init(&reader, &s.image, 0, NULL);
		test_io_reset(&s.io);
		EQ(qcow2_reader_map(&reader.q, cluster, shapes[i].size - cluster, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_ABSENT);
		EQ(e.off + e.len, n / 2 * cluster);
		TRUE(e.io == NULL);
		LE(s.io.calls, 2 * (e.len / cluster / 64 + 1) + 2);
		test_io_reset(&s.io);
		EQ(qcow2_reader_map(&reader.q, n / 2 * cluster, cluster, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_DATA);
		LE(s.io.calls, 4);
		EQ(qcow2_reader_map(&reader.q, shapes[i].size - 1, 1, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_DATA);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* ---- Random images ---- */

struct random_shape {
	unsigned version, cluster_bits;
	bool extended;
	uint64_t clusters;
};

static const struct random_shape shapes[] = {
	{ 3, 9, false, 400 }, { 2, 9, false, 300 }, { 3, 12, false, 1200 }, { 3, 14, true, 2200 },
	{ 3, 16, true, 60 },  { 3, 16, false, 90 }, { 3, 10, false, 400 },  { 2, 12, false, 700 },
};

static void random_run(struct image *img, const struct random_shape *r, uint64_t first, uint64_t n)
{
	static const enum image_kind v2[] = { IMAGE_ABSENT, IMAGE_DATA, IMAGE_COMPRESSED };
	static const enum image_kind v3[] = { IMAGE_ABSENT,     IMAGE_DATA, IMAGE_COMPRESSED,
		                              IMAGE_ZERO_ALLOC, IMAGE_ZERO, IMAGE_STORED };
	uint64_t pick = test_random(r->extended ? 9 : 6);
	uint64_t bitmap = test_random(UINT64_MAX);

	if (r->version == 2)
		image_add_range(img, &img->active, first, n, v2[pick % 3]);
	else if (pick < 6 && img->cluster_bits <= 12)
		image_add_range(img, &img->active, first, n, v3[pick]);
	else if (pick < 6) /* no large packed data */
		image_add_range(img, &img->active, first, n, v3[pick == 2 || pick == 5 ? 1 : pick]);
	for (uint64_t i = 0; pick >= 6 && i < n; i++)
		image_add_subclusters(img, &img->active, first + i, bitmap & ~(bitmap << 32),
		                      test_random(2) == 0);
}

static void random_image(struct image *img, const struct random_shape *r)
{
	uint64_t first = 0;

	image_init(img, r->version, r->cluster_bits, (r->clusters << r->cluster_bits) - 700);
	img->extended_l2 = r->extended;
	img->place = (enum image_place)test_random(3);
	while (first < r->clusters) {
		uint64_t n = test_random(test_random(4) == 0 ? 150 : 4) + 1;

		if (n > r->clusters - first)
			n = r->clusters - first;
		if (img->extended_l2 && n > 8)
			n = 8;
		if (test_random(3) != 0)
			random_run(img, r, first, n);
		first += n;
	}
}

/* The whole answer must match the model, and what follows must not continue it. */
static void check_model(const struct test_image *s, const struct qcow2_extent *e, uint64_t limit)
{
	const struct image_table *t = &s->img.active;
	uint64_t off = e->off;
	struct place p = { 0 };

	while (off < e->off + e->len) {
		p = model_place(&s->img, t, off);
		EQ(e->kind, p.kind);
		TRUE((e->io != NULL) == p.has_io);
		if (p.has_io)
			EQ(e->kind == QCOW2_EXTENT_COMPRESSED ? e->pos : e->pos + (off - e->off),
			   p.pos);
		off = (off | (p.unit - 1)) + 1;
	}
	off = e->off + e->len;
	if (off >= limit || e->kind == QCOW2_EXTENT_COMPRESSED)
		return;
	p = model_place(&s->img, t, off);
	if (p.kind == e->kind && p.has_io == (e->io != NULL))
		TRUE(p.has_io && p.pos != e->pos + e->len);
}

static void test_random_images(void **state)
{
	(void)state;
	test_random_state = 12345;
	for (size_t i = 0; i < 3 * COUNT(shapes); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint64_t off = 0;

		test_case("random image %zu", i);
		random_image(&s.img, &shapes[i % COUNT(shapes)]);
		test_image_open(&s);
		test_reader_init(&reader, &s.image,
		                 i % 3 == 0 ? 0 : QCOW2_READER_MEMORY * (1 + test_random(40)),
		                 NULL);
		for (off = 0; off < s.img.size; off += e.len) {
			EQ(qcow2_reader_map(&reader.q, off, s.img.size - off, &e), QCOW2_OK);
			EQ(e.off, off);
			TRUE(e.len > 0 && e.len <= s.img.size - off);
			check_model(&s, &e, s.img.size);
		}
		for (unsigned k = 0; k < 300; k++) {
			uint64_t len = 0;

			off = test_random(s.img.size);
			len = 1 + test_random(s.img.size - off);
			if (test_random(2) == 0)
				len = 1 + test_random(len < 5000 ? len : 5000);
			EQ(qcow2_reader_map(&reader.q, off, len, &e), QCOW2_OK);
			EQ(e.off, off);
			TRUE(e.len > 0 && e.len <= len);
			check_model(&s, &e, off + len);
		}
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* ---- Arguments ---- */

static void test_range(void **state)
{
	static const struct {
		uint64_t off, len;
	} bad[] = { { 0, 0 },          { 100000, 1 },
		    { 99999, 2 },      { 0, 100001 },
		    { UINT64_MAX, 1 }, { 1, UINT64_MAX },
		    { 100000, 0 },     { UINT64_C(1) << 63, UINT64_C(1) << 63 } };
	struct test_image s = { 0 };
	struct test_reader reader;
	struct qcow2_extent e;
	struct qcow2_extent before;

	(void)state;
	image_init(&s.img, 3, 12, 100000);
	test_image_open(&s);
	test_reader_init(&reader, &s.image, 0, NULL);
	memset(&e, 0x44, sizeof e);
	memcpy(&before, &e, sizeof e);
	test_io_reset(&s.io);
	for (size_t i = 0; i < COUNT(bad); i++) {
		test_case("range %zu", i);
		EQ(qcow2_reader_map(&reader.q, bad[i].off, bad[i].len, &e), QCOW2_E_RANGE);
		EQ(reader.q.error.status, QCOW2_E_RANGE);
		SAME(&e, &before, sizeof e);
	}
	EQ(s.io.calls, 0);
	EQ(qcow2_reader_map(&reader.q, 99999, 1, &e), QCOW2_OK);
	EQ(e.len, 1);
	test_reader_free(&reader);
	test_image_free(&s);
}

/* A run of clusters ends at the highest position that an entry can hold. */
static void test_highest(void **state)
{
	static const uint64_t highest = UINT64_C(0x80fffffffffff000);

	(void)state;
	for (unsigned zero = 0; zero < 2; zero++) {
		struct test_image s = { 0 };
		struct qcow2_extent e;
		struct test_reader reader;

		test_case("zero %u", zero);
		image_init(&s.img, 3, 12, 65536);
		image_add_raw(&s.img, &s.img.active, 0, highest - 4096 + zero, 0);
		image_add_raw(&s.img, &s.img.active, 1, highest + zero, 0);
		image_add_raw(&s.img, &s.img.active, 2, highest + 4096 + zero, 0);
		test_image_open_flags(&s, QCOW2_OPEN_TRUNCATED);
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(qcow2_reader_map(&reader.q, 0, 65536, &e), QCOW2_OK);
		EQ(e.len, 8192);
		TRUE(e.io != NULL);
		EQ(qcow2_reader_map(&reader.q, 8192, 4096, &e), QCOW2_OK);
		TRUE(e.io == NULL);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_highest),     cmocka_unit_test(test_entries),
		cmocka_unit_test(test_subclusters), cmocka_unit_test(test_l1_entries),
		cmocka_unit_test(test_far_table),   cmocka_unit_test(test_end_of_file),
		cmocka_unit_test(test_merge),       cmocka_unit_test(test_no_merge),
		cmocka_unit_test(test_holes),       cmocka_unit_test(test_random_images),
		cmocka_unit_test(test_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
