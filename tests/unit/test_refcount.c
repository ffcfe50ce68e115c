/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Refcounts: every width, every position in a byte, block and table, and each way to fail. */
#include "support.h"

#include "qcow2/refcount.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 9, CLUSTER = 1 << BITS };

/* What the image says about a cluster, read bit by bit: qcow2.txt "Host cluster management". */
static uint64_t expected(const struct image *img, uint64_t cluster)
{
	unsigned width = 1u << img->refcount_order;
	uint64_t per_block = (uint64_t)CLUSTER * 8 / width;
	uint64_t entry = cluster / per_block * 8;
	uint64_t bit = cluster % per_block * width, pos, count = 0;

	if (entry >= (uint64_t)img->refcount_table_clusters * CLUSTER)
		return 0;
	pos = image_get(&img->file, img->refcount_table_pos + entry, 8) & ~UINT64_C(511);
	if (pos == 0)
		return 0;
	if (width >= 8)
		return image_get(&img->file, pos + bit / 8, width / 8);
	for (unsigned i = 0; i < width; i++) {
		uint64_t at = bit + i;

		count |= (image_get(&img->file, pos + at / 8, 1) >> at % 8 & 1) << i;
	}
	return count;
}

/* Asks for n refcounts from `first` on, repeatedly until it has that many. */
static void check_run(const struct test_image *s, uint64_t first, uint32_t n)
{
	uint64_t per_block = (uint64_t)CLUSTER * 8 >> s->img.refcount_order;
	struct guarded g;
	uint32_t done = 0;

	while (done < n) {
		uint32_t left = n - done, got = left;
		uint64_t most = per_block - (first + done) % per_block;
		const uint64_t *counts;

		guard_init(&g, left * 8, 8);
		counts = (const uint64_t *)(const void *)g.p;
		EQ(qcow2_refcounts(&s->image, first + done, &got, (uint64_t *)(void *)g.p, NULL),
		   QCOW2_OK);
		EQ(got, left < most ? left : most);
		for (uint32_t i = 0; i < got; i++)
			EQ(counts[i], expected(&s->img, first + done + i));
		guard_free(&g);
		done += got;
	}
}

/* An image with some blocks of random refcounts, and a gap in the refcount table. */
static void random_refcounts(struct test_image *s, unsigned order)
{
	static uint8_t block[CLUSTER];
	uint64_t second, fourth;

	image_init(&s->img, 3, BITS, 4 * MIB);
	s->img.refcount_order = order;
	second = image_alloc(&s->img, 1);
	fourth = image_alloc(&s->img, 1);
	image_finish(&s->img);
	image_put(&s->img.file, s->img.refcount_table_pos + 8, second, 8);
	image_put(&s->img.file, s->img.refcount_table_pos + 16, 0, 8);
	/* "Bits 0-8: reserved". */
	image_put(&s->img.file, s->img.refcount_table_pos + 24, fourth | 0x1ff, 8);
	for (unsigned i = 0; i < 2; i++) {
		for (size_t k = 0; k < sizeof block; k++)
			block[k] = (uint8_t)test_random(256);
		image_buf_put(&s->img.file, i == 0 ? second : fourth, block, sizeof block);
	}
	test_image_open(s);
}

static void test_widths(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 6; order++) {
		struct test_image s = { 0 };
		uint64_t per_block = (uint64_t)CLUSTER * 8 >> order;

		test_case("refcounts of %u bits", 1u << order);
		random_refcounts(&s, order);
		/* From each place in a byte, each length up to some bytes. */
		for (uint32_t first = 0; first < 9; first++) {
			for (uint32_t n = 0; n < 20; n++)
				check_run(&s, per_block + first, n);
		}
		/* Around the ends of a block, across the gap, and past the table. */
		check_run(&s, per_block - 3, 6);
		check_run(&s, 2 * per_block - 3, (uint32_t)per_block + 6);
		check_run(&s, 3 * per_block, (uint32_t)per_block);
		check_run(&s, s.img.refcount_table_clusters * (CLUSTER / 8) * per_block - 1, 3);
		check_run(&s, UINT64_C(1) << 55, 2);
		check_run(&s, UINT64_MAX - 1, 2);
		test_image_free(&s);
	}
}

static void test_cost(void **state)
{
	struct test_image s = { 0 };
	uint64_t counts[8];
	uint32_t n = 8;

	(void)state;
	random_refcounts(&s, 4);
	test_case("a block");
	test_io_reset(&s.io);
	EQ(qcow2_refcounts(&s.image, 256, &n, counts, NULL), QCOW2_OK);
	EQ(s.io.calls, 2);
	EQ(s.io.bytes, 8 + 16);
	test_case("a gap in the table");
	test_io_reset(&s.io);
	EQ(qcow2_refcounts(&s.image, 512, &n, counts, NULL), QCOW2_OK);
	EQ(s.io.calls, 1);
	test_case("behind the table");
	test_io_reset(&s.io);
	EQ(qcow2_refcounts(&s.image, UINT64_C(1) << 40, &n, counts, NULL), QCOW2_OK);
	EQ(s.io.calls, 0);
	test_case("nothing");
	n = 0;
	EQ(qcow2_refcounts(&s.image, 256, &n, counts, NULL), QCOW2_OK);
	EQ(n, 0);
	test_image_free(&s);
}

static void test_refused(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_image closed = { 0 }, raw;
	struct qcow2_error err;
	uint64_t counts[4];
	uint32_t n = 4;

	(void)state;
	random_refcounts(&s, 4);
	EQ(qcow2_image_raw(&raw, &s.io.io), QCOW2_OK);
	test_case("arguments");
	EQ(qcow2_refcounts(NULL, 0, &n, counts, &err), QCOW2_E_ARGUMENT);
	EQ(err.status, QCOW2_E_ARGUMENT);
	TRUE(err.io == NULL);
	EQ(qcow2_refcounts(&closed, 0, &n, counts, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_refcounts(&raw, 0, &n, counts, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_refcounts(&s.image, 0, NULL, counts, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_refcounts(&s.image, 0, &n, NULL, NULL), QCOW2_E_ARGUMENT);

	test_case("failing storage");
	for (unsigned call = 1; call <= 2; call++) {
		test_io_reset(&s.io);
		s.io.fail_at = call;
		EQ(qcow2_refcounts(&s.image, 256, &n, counts, &err), QCOW2_E_IO);
		EQ(err.io_code, IO_FAULT);
		TRUE(err.io == &s.image.io);
		s.io.fail_at = 0;
		n = 4;
		EQ(qcow2_refcounts(&s.image, 256, &n, counts, &err), QCOW2_OK);
	}
	test_image_free(&s);
}

/* Tables and blocks that are not aligned, too high, or not in the file. */
static void test_misplaced(void **state)
{
	static const struct {
		const char *name;
		uint64_t table, block; /* ANY: as it is */
		int status, status_truncated;
	} cases[] = {
		{ "block not aligned to a cluster", ANY, 0x600, QCOW2_E_REFCOUNT,
		  QCOW2_E_REFCOUNT },
		{ "block near 2^63", ANY, UINT64_C(0x7fffffff00000000), QCOW2_E_REFCOUNT,
		  QCOW2_E_REFCOUNT },
		{ "block at 2^63", ANY, UINT64_C(1) << 63, QCOW2_E_REFCOUNT, QCOW2_E_REFCOUNT },
		{ "block behind the file", ANY, UINT64_C(1) << 40, QCOW2_E_TRUNCATED, QCOW2_OK },
		{ "table not aligned to a cluster", 0x600, ANY, QCOW2_E_REFCOUNT,
		  QCOW2_E_REFCOUNT },
		{ "table whose entries wrap", ~UINT64_C(0x3ff), ANY, QCOW2_E_REFCOUNT,
		  QCOW2_E_REFCOUNT },
		{ "table behind the file", UINT64_C(1) << 40, ANY, QCOW2_E_TRUNCATED, QCOW2_OK },
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		struct test_image s = { 0 };
		struct qcow2_error err = { 0 };
		uint64_t table, counts[4] = { 1, 1, 1, 1 };
		uint32_t n = 4;
		int want = i % 2 ? cases[i / 2].status_truncated : cases[i / 2].status;

		test_case("%s, truncation allowed %u", cases[i / 2].name, (unsigned)(i % 2));
		image_init(&s.img, 3, 10, 4 * MIB);
		image_finish(&s.img);
		table = s.img.refcount_table_pos;
		if (cases[i / 2].block != ANY)
			image_put(&s.img.file, table, cases[i / 2].block, 8);
		if (cases[i / 2].table != ANY) {
			table = cases[i / 2].table;
			image_put(&s.img.file, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET), table,
			          8);
		}
		test_image_open_flags(&s, i % 2 ? QCOW2_OPEN_TRUNCATED : 0);
		EQ(qcow2_refcounts(&s.image, 0, &n, counts, &err), want);
		EQ(err.status, want);
		if (want == QCOW2_OK)
			ALL(counts, 0, sizeof counts);
		if (want == QCOW2_E_REFCOUNT) {
			TRUE(err.io == &s.image.io);
			EQ(err.pos, table);
			EQ(n, 4);
		}
		if (want == QCOW2_E_TRUNCATED)
			EQ(err.pos, s.img.file.len);
		test_image_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_misplaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
