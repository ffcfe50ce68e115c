/* SPDX-License-Identifier: MIT */
/* What a reader keeps of tables: more memory makes it faster, and never different. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BITS = 9, CLUSTER = 1 << BITS, SLICE = 64 * CLUSTER /* of the disk, in an L2 slice */ };

/* Every second cluster is data: no answer covers more than a cluster. */
static void make(struct subject *s, uint64_t slices)
{
	memset(s, 0, sizeof *s);
	image_init(&s->img, 3, BITS, slices * SLICE);
	s->img.place = IMAGE_SHUFFLED;
	for (uint64_t i = 0; i < slices * 64; i += 2)
		image_add(&s->img, &s->img.active, i, IMAGE_DATA);
	subject_open(s);
}

static uint64_t map_cost(struct subject *s, struct rig *rig, uint64_t off)
{
	struct qcow2_extent e;

	test_io_reset(&s->io);
	EQ(qcow2_reader_map(&rig->reader, off, 1, &e), QCOW2_OK);
	EQ(e.kind, off / CLUSTER % 2 == 0 ? QCOW2_EXTENT_DATA : QCOW2_EXTENT_ABSENT);
	if (e.kind == QCOW2_EXTENT_DATA)
		EQ(e.pos, model_place(&s->img, &s->img.active, off).pos);
	return s->io.calls;
}

/* With the memory that is called good, a disk of moderate size costs table reads once. */
static void test_good(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 5, 32, 100, 300 };

	(void)state;
	test_random_state = 51;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct subject s;
		struct rig rig;
		size_t min = 0;
		size_t good = 0;
		uint64_t calls = 0;

		test_case("%u slices", (unsigned)sizes[i]);
		make(&s, sizes[i]);
		EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
		rig_init(&rig, &s.image, good, NULL);
		/* It takes memory into use as it is asked for: some rounds to settle. */
		for (uint64_t k = 0; k < 6 * sizes[i]; k++)
			map_cost(&s, &rig, k % sizes[i] * SLICE);
		for (uint64_t k = 0; k < sizes[i]; k++)
			calls += map_cost(&s, &rig, k * SLICE + CLUSTER);
		LE(calls, sizes[i] / 10);
		calls = 0;
		for (uint64_t k = 0; k < 200; k++)
			calls += map_cost(&s, &rig, test_random(s.img.size));
		LE(calls, 20);
		rig_free(&rig);
		subject_free(&s);
	}
}

/* Memory that is called good is in proportion to the tables, up to 4096 slices. */
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
		struct subject s = { 0 };
		size_t min = 0;
		size_t good = 0;

		test_case("clusters of 2^%u, %u MiB", cases[i].bits,
		          (unsigned)(cases[i].size / MIB));
		image_init(&s.img, 3, cases[i].bits, cases[i].size);
		subject_open(&s);
		EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_MEMORY);
		EQ(good, cases[i].slices * QCOW2_READER_SLICE);
		subject_free(&s);
	}
}

/* Four slots: what was used last stays. L1 is used each time, and L2 slices by turns. */
static void test_recent(void **state)
{
	struct subject s;
	struct rig rig;

	(void)state;
	test_case("four slots");
	make(&s, 8);
	rig_init(&rig, &s.image, 4 * QCOW2_READER_SLICE, NULL);
	EQ(map_cost(&s, &rig, 0), 2); /* L1 and the first slice */
	EQ(map_cost(&s, &rig, SLICE), 1);
	EQ(map_cost(&s, &rig, 2 * SLICE), 1);
	EQ(map_cost(&s, &rig, 2 * CLUSTER), 0); /* all four are there */
	EQ(map_cost(&s, &rig, SLICE + 2 * CLUSTER), 0);
	EQ(map_cost(&s, &rig, 3 * SLICE), 1); /* in place of slice 2 */
	EQ(map_cost(&s, &rig, 4 * CLUSTER), 0);
	EQ(map_cost(&s, &rig, SLICE + 4 * CLUSTER), 0);
	EQ(map_cost(&s, &rig, 2 * SLICE + 4 * CLUSTER), 1);
	rig_free(&rig);
	subject_free(&s);
}

/* Any amount of memory gives the same answers, and never costs more than the least does. */
static void test_sizes(void **state)
{
	struct subject s;

	(void)state;
	make(&s, 40);
	for (size_t slots = 1; slots <= 70; slots++) {
		struct rig rig;

		test_case("%zu slots", slots);
		test_random_state = 52;
		rig_init(&rig, &s.image, slots * QCOW2_READER_SLICE + slots % 8, NULL);
		for (unsigned k = 0; k < 300; k++)
			LE(map_cost(&s, &rig, test_random(s.img.size)), 4);
		rig_free(&rig);
	}
	subject_free(&s);
}

/* There is a limit to what is of use; more memory is as good, and none of it is touched at first.
 */
static void test_most(void **state)
{
	size_t len = ((size_t)QCOW2_READER_SLICE << 20) + QCOW2_READER_SLICE;
	struct subject s;
	struct rig rig;

	(void)state;
	test_case("%zu bytes of memory", len);
	make(&s, 40);
	rig.memory.p = mmap(NULL, len, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TRUE(rig.memory.p != MAP_FAILED);
	EQ(qcow2_reader_init(&rig.reader, &s.image, rig.memory.p, len), QCOW2_OK);
	EQ(rig.reader.max_slots, 1 << 20);
	ALL(rig.memory.p + 4096, 0, 4096);
	for (uint64_t k = 0; k < 6 * 40; k++)
		map_cost(&s, &rig, k % 40 * SLICE);
	for (uint64_t k = 0; k < 40; k++)
		LE(map_cost(&s, &rig, k * SLICE), 1);
	ALL(rig.memory.p + 65536, 0, 65536); /* taken into use as misses show that it is wanted */
	munmap(rig.memory.p, len);
	subject_free(&s);
}

/* A wrong entry is where it is, also when its slice was read for another one. */
static void test_place(void **state)
{
	struct subject s = { 0 };
	struct qcow2_extent e;
	struct rig rig;

	(void)state;
	test_case("the second entry is wrong");
	image_init(&s.img, 3, 12, MIB);
	image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
	image_add_raw(&s.img, &s.img.active, 1, 513, 0);
	subject_open(&s);
	rig_init(&rig, &s.image, 0, NULL);
	EQ(qcow2_reader_map(&rig.reader, 0, 1, &e), QCOW2_OK);
	for (unsigned i = 0; i < 2; i++) {
		test_io_reset(&s.io);
		EQ(qcow2_reader_map(&rig.reader, 4096, 1, &e), QCOW2_E_L2_ENTRY);
		EQ(rig.reader.error.pos, image_l2_entry_pos(&s.img, &s.img.active, 1));
		EQ(s.io.calls, 0);
	}
	rig_free(&rig);
	subject_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_place),
		cmocka_unit_test(test_recent), cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_most),   cmocka_unit_test(test_good_amount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
