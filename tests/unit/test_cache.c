/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The cache of table slices: more memory makes a reader faster, and never changes its answers. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BITS = 9, CLUSTER = 1 << BITS, SLICE = 64 * CLUSTER /* of the disk, in an L2 slice */ };

/* Every second cluster is data: no answer covers more than a cluster. */
static void make(struct test_image *s, uint64_t slices)
{
	memset(s, 0, sizeof *s);
	image_init(&s->img, 3, BITS, slices * SLICE);
	s->img.place = IMAGE_SHUFFLED;
	for (uint64_t i = 0; i < slices * 64; i += 2)
		image_add(&s->img, &s->img.active, i, IMAGE_DATA);
	test_image_open(s);
}

static uint64_t map_cost(struct test_image *s, struct test_reader *reader, uint64_t off)
{
	struct qcow2_extent e;

	test_io_reset(&s->io);
	EQ(qcow2_reader_map(&reader->q, off, 1, &e), QCOW2_OK);
	EQ(e.kind, off / CLUSTER % 2 == 0 ? QCOW2_EXTENT_DATA : QCOW2_EXTENT_ABSENT);
	if (e.kind == QCOW2_EXTENT_DATA)
		EQ(e.pos, model_place(&s->img, &s->img.active, off).pos);
	return s->io.calls;
}

/*
 * With the memory that qcow2_reader_memory calls good, a disk of moderate size reads tables once.
 */
static void test_good(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 5, 32, 100, 300 };

	(void)state;
	test_random_state = 51;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct test_image s;
		struct test_reader reader;
		size_t min = 0;
		size_t good = 0;
		uint64_t calls = 0;

		test_case("%u slices", (unsigned)sizes[i]);
		make(&s, sizes[i]);
		EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
		test_reader_init(&reader, &s.image, good, NULL);
		/* The cache grows on misses, so it takes some rounds to settle. */
		for (uint64_t k = 0; k < 6 * sizes[i]; k++)
			map_cost(&s, &reader, k % sizes[i] * SLICE + k / sizes[i] * 2 * CLUSTER);
		for (uint64_t k = 0; k < sizes[i]; k++)
			calls += map_cost(&s, &reader, k * SLICE + CLUSTER);
		LE(calls, sizes[i] / 10);
		calls = 0;
		for (uint64_t k = 0; k < 200; k++)
			calls += map_cost(&s, &reader, test_random(s.img.size));
		LE(calls, 20);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* The good amount of memory is proportional to the tables, up to 4096 slices. */
static void test_good_amount(void **state)
{
	static const struct {
		unsigned bits;
		uint64_t size;
		size_t slices;
	} cases[] = {
		{ 16, MIB, 8 },         { 16, 16 * MIB, 16 },    { 16, 128 * MIB, 128 },
		{ 16, 512 * MIB, 512 }, { 16, 8 * GIB, 4096 },   { 16, TIB, 4096 },
		{ 9, MIB, 128 },        { 21, 100 * GIB, 2048 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct test_image s = { 0 };
		size_t min = 0;
		size_t good = 0;

		test_case("clusters of 2^%u, %u MiB", cases[i].bits,
		          (unsigned)(cases[i].size / MIB));
		image_init(&s.img, 3, cases[i].bits, cases[i].size);
		test_image_open(&s);
		EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_MEMORY);
		EQ(good, cases[i].slices * QCOW2_READER_SLICE);
		test_image_free(&s);
	}
}

/* L1 and three slices of L2 fill four slots, and stay. A fourth slice replaces one of them. */
static void test_four(void **state)
{
	struct test_image s;
	struct test_reader reader;
	uint64_t calls = 0;

	(void)state;
	test_case("four slots");
	make(&s, 8);
	test_reader_init(&reader, &s.image, 4 * QCOW2_READER_SLICE, NULL);
	EQ(map_cost(&s, &reader, 0), 2); /* L1 and the first slice */
	for (uint64_t k = 0; k < 12; k++)
		map_cost(&s, &reader, k % 3 * SLICE);
	for (uint64_t k = 0; k < 9; k++)
		EQ(map_cost(&s, &reader, k % 3 * SLICE + 2 * CLUSTER), 0);
	EQ(map_cost(&s, &reader, 3 * SLICE), 1);
	for (uint64_t k = 0; k < 3; k++)
		calls += map_cost(&s, &reader, k * SLICE + 4 * CLUSTER);
	LE(1, calls);
	LE(calls, 4);
	test_reader_free(&reader);
	test_image_free(&s);
}

/* Any amount of memory gives the same answers, and never costs more calls than the least. */
static void test_sizes(void **state)
{
	struct test_image s;

	(void)state;
	make(&s, 40);
	for (size_t slots = 1; slots <= 70; slots++) {
		struct test_reader reader;

		test_case("%zu slots", slots);
		test_random_state = 52;
		test_reader_init(&reader, &s.image, slots * QCOW2_READER_SLICE + slots % 8, NULL);
		for (unsigned k = 0; k < 300; k++)
			LE(map_cost(&s, &reader, test_random(s.img.size)), 4);
		test_reader_free(&reader);
	}
	test_image_free(&s);
}

/* A reader does not touch memory before it needs it, however much it has. */
static void test_most(void **state)
{
	size_t len = ((size_t)QCOW2_READER_SLICE << 20) + QCOW2_READER_SLICE;
	struct test_image s;
	struct test_reader reader;

	(void)state;
	test_case("%zu bytes of memory", len);
	make(&s, 40);
	reader.memory.p = mmap(NULL, len, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TRUE(reader.memory.p != MAP_FAILED);
	EQ(qcow2_reader_init(&reader.q, &s.image, reader.memory.p, len), QCOW2_OK);
	ALL(reader.memory.p + 4096, 0, 4096);
	for (uint64_t k = 0; k < 6 * 40; k++)
		map_cost(&s, &reader, k % 40 * SLICE);
	for (uint64_t k = 0; k < 40; k++)
		LE(map_cost(&s, &reader, k * SLICE), 1);
	ALL(reader.memory.p + 65536, 0, 65536); /* the cache grows only after misses */
	munmap(reader.memory.p, len);
	test_image_free(&s);
}

/* The error has the position of the bad entry, even if its slice was read for another one. */
static void test_place(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_extent e;
	struct test_reader reader;

	(void)state;
	test_case("the second entry is wrong");
	image_init(&s.img, 3, 12, MIB);
	image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
	image_add_raw(&s.img, &s.img.active, 1, 513, 0);
	test_image_open(&s);
	test_reader_init(&reader, &s.image, 2 * QCOW2_READER_SLICE, NULL);
	EQ(qcow2_reader_map(&reader.q, 0, 1, &e), QCOW2_OK);
	for (unsigned i = 0; i < 3; i++) {
		test_io_reset(&s.io);
		EQ(qcow2_reader_map(&reader.q, 4096, 1, &e), QCOW2_E_L2_ENTRY);
		EQ(reader.q.error.pos, image_l2_entry_pos(&s.img, &s.img.active, 1));
		if (i > 0)
			EQ(s.io.calls, 0); /* both tables are in memory */
	}
	test_reader_free(&reader);
	test_image_free(&s);
}

/*
 * An L1 table that crosses a high power of two, so that one of its slices has the low position bits
 * of the L2 table, which is read first. The cache must not confuse them.
 */
static void test_far_l1(void **state)
{
	enum { SLICES = 12, ENTRIES = 64 * SLICES };
	uint8_t *l1 = calloc(ENTRIES, 8);
	struct test_image s = { 0 };
	struct qcow2_extent e;
	struct test_reader reader;
	uint64_t l2, far;

	(void)state;
	image_init(&s.img, 3, BITS, (uint64_t)ENTRIES * SLICE);
	image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
	image_finish(&s.img);
	l2 = s.img.active.l1[0].value;
	for (uint64_t i = 0; i < (uint64_t)22 * (SLICES - 1); i++) {
		uint64_t k = 1 + i % (SLICES - 1);
		uint64_t power = 41 + i / (SLICES - 1); /* 2 TiB to 4 EiB */

		test_case("slice %u of the L1 table is where the L2 table is, but for 2^%u",
		          (unsigned)k, (unsigned)power);
		far = (UINT64_C(1) << power) + l2 - k * 512;
		image_put(&s.img.file, 40, far, 8); /* l1_table_offset */
		memcpy(l1, s.img.file.data + s.img.active.l1_pos, 8);
		test_image_open_flags(&s, QCOW2_OPEN_TRUNCATED);
		s.image.io.size = s.io.io.size = far + ENTRIES * 8;
		s.io.far = l1;
		s.io.far_pos = far;
		s.io.far_len = ENTRIES * 8;
		test_reader_init(&reader, &s.image, 64 * QCOW2_READER_SLICE, NULL);
		EQ(qcow2_reader_map(&reader.q, 0, 1, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_DATA);
		EQ(qcow2_reader_map(&reader.q, k * 64 * SLICE, 1, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_ABSENT);
		EQ(e.len, 1);
		test_reader_free(&reader);
	}
	free(l1);
	test_image_free(&s);
}

/*
 * Slices that are next to each other in memory need not be so in the table. A run must end with the
 * slice in which it began.
 */
static void test_neighbours(void **state)
{
	enum { SLICES = 60 };
	const uint64_t cluster = 4096; /* 8 slices in a table */
	struct test_image s = { 0 };
	struct qcow2_extent e;
	uint64_t after;

	(void)state;
	image_init(&s.img, 3, 12, SLICES * 64 * cluster);
	image_add_range(&s.img, &s.img.active, 0, 64, IMAGE_DATA);
	after = s.img.active.clusters[63].pos + cluster;
	for (uint64_t k = 2; k < SLICES; k++) /* these continue the first slice's data */
		image_add_raw(&s.img, &s.img.active, k * 64, after | UINT64_C(1) << 63, 0);
	test_image_open(&s);
	for (size_t slots = 1; slots <= 64; slots++) {
		struct test_reader reader;

		test_reader_init(&reader, &s.image, slots * QCOW2_READER_SLICE, NULL);
		for (uint64_t from = 0; from < 64; from++) {
			uint64_t off = from * cluster;

			test_case("from cluster %u, %zu slots", (unsigned)from, slots);
			for (uint64_t k = SLICES; k-- > 2;)
				EQ(qcow2_reader_map(&reader.q, k * 64 * cluster, 1, &e), QCOW2_OK);
			EQ(qcow2_reader_map(&reader.q, off, s.img.size - off, &e), QCOW2_OK);
			EQ(e.len, 64 * cluster - off);
		}
		test_reader_free(&reader);
	}
	test_image_free(&s);
}

/* Fills the memory with the key of a slice. The reader must not take that for a key. */
static void poison(struct test_reader *reader, uint64_t table_pos)
{
	struct q2_slice_key key = { 0, (uint32_t)(table_pos / 512) };

	for (size_t at = 0; at + sizeof key <= reader->memory.len; at += sizeof key)
		memcpy(reader->memory.p + at, &key, sizeof key);
}

static void test_poisoned(void **state)
{
	enum { SLICES = 40 };
	struct test_image s;

	(void)state;
	make(&s, SLICES);
	for (uint64_t k = 0; k <= 2 * SLICES; k++) {
		size_t len = 64 * QCOW2_READER_SLICE +
		             (k / SLICES == 1 ? QCOW2_DEFLATE_SMALL_WORK + 8192 : 0);
		uint64_t pos = image_l2_entry_pos(&s.img, &s.img.active, k % SLICES * 64);
		struct test_reader reader;

		if (k == 2 * SLICES)
			pos = s.img.active.l1_pos;
		test_case("%u", (unsigned)k);
		test_reader_init(&reader, &s.image, len, NULL);
		poison(&reader, pos);
		EQ(qcow2_reader_init(&reader.q, &s.image, reader.memory.p, len), QCOW2_OK);
		for (uint64_t i = 0; i < 3 * SLICES; i++)
			map_cost(&s, &reader, i % SLICES * SLICE);
		if (k / SLICES == 1) { /* too late for codecs, but the tables must stay right */
			poison(&reader, pos);
			EQ(qcow2_reader_codecs(&reader.q, deflate_only), QCOW2_OK);
			for (uint64_t i = 0; i < SLICES; i++)
				map_cost(&s, &reader, i * SLICE + 2 * CLUSTER);
		}
		test_reader_free(&reader);
	}
	test_image_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),       cmocka_unit_test(test_place),
		cmocka_unit_test(test_four),       cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_most),       cmocka_unit_test(test_good_amount),
		cmocka_unit_test(test_far_l1),     cmocka_unit_test(test_poisoned),
		cmocka_unit_test(test_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
