/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* External data files. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 14, CLUSTER = 1 << BITS, N = 16 };

static void make(struct test_image *s, bool extended, bool raw)
{
	struct image *img = &s->img;

	memset(s, 0, sizeof *s);
	image_init(img, 3, BITS, N * CLUSTER - 100);
	img->has_data_file = true;
	img->extended_l2 = extended;
	image_add_ext(img, IMAGE_EXT_DATA_FILE, 8, "disk.raw", 8);
	if (raw)
		image_set(img, IMAGE_AUTOCLEAR_FEATURES, QCOW2_AUTOCLEAR_DATA_FILE_RAW);
	image_add_range(img, &img->active, 0, 2, IMAGE_DATA); /* the first entry is COPIED | 0 */
	image_add(img, &img->active, 3, IMAGE_ZERO);
	image_add(img, &img->active, 4, IMAGE_ZERO_ALLOC);
	image_add_range(img, &img->active, 6, 3, IMAGE_DATA);
	image_add(img, &img->active, N - 1, IMAGE_DATA);
	if (extended)
		image_add_subclusters(img, &img->active, 10, UINT64_C(0x000ff0f0f0f00f0f), true);
}

static void test_content(void **state)
{
	(void)state;
	test_random_state = 21;
	for (unsigned variant = 0; variant < 4; variant++) {
		struct test_image s;
		struct test_reader reader;
		uint8_t *want = calloc(N, CLUSTER);

		test_case("extended %u, raw %u", variant & 1, variant >> 1);
		make(&s, variant & 1, variant >> 1);
		test_image_open(&s);
		EQ(s.image.data_file_name.len, 8);
		TRUE(s.image.data == &s.data.io);
		image_expect(&s.img, &s.img.active, 0, want, (size_t)s.img.size);
		test_reader_init(&reader, &s.image, 0, NULL);
		test_io_reset(&s.data);
		EQ(test_reader_read(&reader, 0, want, (size_t)s.img.size), QCOW2_OK);
		TRUE(s.data.calls > 0);
		for (unsigned i = 0; i < 100; i++) {
			uint64_t off = test_random(s.img.size);
			uint64_t len = 1 + test_random(s.img.size - off);

			EQ(test_reader_read(&reader, off, want + off, (size_t)len), QCOW2_OK);
		}
		test_reader_free(&reader);
		free(want);
		test_image_free(&s);
	}
}

/* Entries in an image with a data file; guest cluster 5. */
struct entry_case {
	const char *name;
	bool extended;
	uint64_t entry, bitmap;
	int status;
	uint32_t kind;
	bool has_io;
};

#define HERE   (UINT64_C(5) * CLUSTER)
#define COPIED IMAGE_COPIED
#define BAD    QCOW2_E_L2_ENTRY, 0, false

static const struct entry_case entries[] = {
	{ "0: unallocated", false, 0, 0, 0, QCOW2_EXTENT_ABSENT, false },
	{ "at its guest offset", false, HERE | COPIED, 0, 0, QCOW2_EXTENT_DATA, true },
	{ "at its guest offset, not copied", false, HERE, 0, 0, QCOW2_EXTENT_DATA, true },
	{ "elsewhere", false, (HERE + CLUSTER) | COPIED, 0, BAD },
	{ "copied only: allocated at 0, which is elsewhere", false, COPIED, 0, BAD },
	{ "zero, plain", false, 1, 0, 0, QCOW2_EXTENT_ZERO, false },
	{ "zero, allocated", false, HERE | COPIED | 1, 0, 0, QCOW2_EXTENT_ZERO, true },
	{ "zero, copied, but no place", false, COPIED | 1, 0, 0, QCOW2_EXTENT_ZERO, false },
	{ "misaligned", false, HERE + 512, 0, BAD },
	{ "compressed", false, IMAGE_COMPRESSED_FLAG | 65536, 0, BAD },
	{ "compressed with extended L2", true, IMAGE_COMPRESSED_FLAG | 65536, 0, BAD },
	{ "extended, all", true, HERE | COPIED, 0xffffffff, 0, QCOW2_EXTENT_DATA, true },
	{ "extended, elsewhere", true, (HERE - CLUSTER) | COPIED, 0xffffffff, BAD },
	{ "extended, bits without place", true, 0, 0xffffffff, BAD },
	{ "extended, none", true, 0, 0, 0, QCOW2_EXTENT_ABSENT, false },
	{ "extended, zeros", true, 0, UINT64_C(0xffffffff00000000), 0, QCOW2_EXTENT_ZERO, false },
};

static void test_entries(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(entries); i++) {
		const struct entry_case *c = &entries[i];
		struct test_image s;
		struct test_reader reader;
		struct qcow2_extent e;

		test_case("%s", c->name);
		make(&s, c->extended, false);
		image_add_raw(&s.img, &s.img.active, 5, c->entry, c->bitmap);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(qcow2_reader_map(&reader.q, HERE + 3, 9, &e), c->status);
		if (c->status != QCOW2_OK) {
			EQ(reader.q.error.pos, image_l2_entry_pos(&s.img, &s.img.active, 5));
			TRUE(reader.q.error.io == &s.image.io);
			EQ(qcow2_reader_map(&reader.q, 6 * CLUSTER, 9, &e), QCOW2_OK);
		} else {
			EQ(e.kind, c->kind);
			TRUE(e.io == (c->has_io ? &s.data.io : NULL));
			if (c->has_io)
				EQ(e.pos, HERE + 3);
		}
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* "Copied" with position 0 is cluster 0 of the data file; without the bit it is not allocated. */
static void test_first_cluster(void **state)
{
	struct test_image s;
	struct test_reader reader;
	struct qcow2_extent e;
	uint8_t want[CLUSTER];

	(void)state;
	for (unsigned copied = 0; copied < 2; copied++) {
		test_case("first cluster, copied %u", copied);
		make(&s, false, false);
		image_finish(&s.img);
		image_put(&s.img.file, image_l2_entry_pos(&s.img, &s.img.active, 0),
		          copied ? COPIED : 0, 8);
		test_image_open(&s);
		memset(want, 0, sizeof want);
		if (copied)
			image_expect(&s.img, &s.img.active, 0, want, sizeof want);
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
		EQ(qcow2_reader_map(&reader.q, 0, CLUSTER, &e), QCOW2_OK);
		EQ(e.kind, copied ? QCOW2_EXTENT_DATA : QCOW2_EXTENT_ABSENT);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* P2 and P3 also hold for a data file that is too short. */
static void test_short(void **state)
{
	struct test_image s;
	struct test_reader reader;
	uint8_t want[CLUSTER];
	uint8_t zeros[CLUSTER] = { 0 };

	(void)state;
	make(&s, false, true);
	image_finish(&s.img);
	for (unsigned allowed = 0; allowed < 2; allowed++) {
		test_case("data file ends in cluster 7, allowed %u", allowed);
		test_image_open_flags(&s, allowed ? QCOW2_OPEN_TRUNCATED : 0);
		s.data.io.size = 7 * CLUSTER + 100;
		test_reader_init(&reader, &s.image, 0, NULL);
		memset(want, 0, sizeof want);
		image_expect(&s.img, &s.img.active, 7 * CLUSTER, want, 100);
		EQ(test_reader_read(&reader, 7 * CLUSTER, want, CLUSTER), QCOW2_OK);
		EQ(test_reader_read(&reader, 8 * CLUSTER, zeros, CLUSTER),
		   allowed ? QCOW2_OK : QCOW2_E_TRUNCATED);
		if (!allowed) {
			EQ(reader.q.error.pos, 7 * CLUSTER + 100);
			TRUE(reader.q.error.io == &s.data.io);
		}
		EQ(test_reader_read(&reader, 4 * CLUSTER, zeros, CLUSTER), QCOW2_OK);
		test_reader_free(&reader);
		test_case("empty data file, allowed %u", allowed);
		s.data.io.size = 0;
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(test_reader_read(&reader, 0, zeros, 1), allowed ? QCOW2_OK : QCOW2_E_TRUNCATED);
		EQ(test_reader_read(&reader, 3 * CLUSTER, zeros, CLUSTER), QCOW2_OK);
		test_reader_free(&reader);
	}
	test_image_free(&s);
}

static void test_attach(void **state)
{
	struct test_image s;
	struct test_image plain = { 0 };
	struct qcow2_reader reader;
	struct qcow2_image image;
	struct qcow2_io no_ops = { NULL, NULL, 0 };
	struct qcow2_io_ops nothing = { NULL };
	struct qcow2_io no_read = { &nothing, NULL, 0 };
	uint64_t memory[QCOW2_READER_MEMORY / 8 + 1];
	size_t min = 0;
	size_t good = 0;

	(void)state;
	test_case("not attached");
	make(&s, false, false);
	test_image_open(&s);
	EQ(qcow2_image_open(&image, &s.io.io, 0, NULL), QCOW2_OK);
	EQ(qcow2_reader_init(&reader, &image, memory, sizeof memory), QCOW2_E_DATA_FILE);
	EQ(reader.error.status, QCOW2_E_DATA_FILE);
	TRUE(reader.error.io == &image.io);
	EQ(qcow2_reader_memory(&image, NULL, &min, &good), QCOW2_E_DATA_FILE);
	EQ(qcow2_image_open(&image, &s.io.io, QCOW2_OPEN_LAYER | QCOW2_OPEN_TRUNCATED, NULL), 0);
	EQ(qcow2_reader_init(&reader, &image, memory, sizeof memory), QCOW2_E_DATA_FILE);

	test_case("arguments");
	EQ(qcow2_image_attach_data(&image, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_data(NULL, &s.data.io), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_data(&image, &no_ops), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_data(&image, &no_read), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_data(&s.image, &s.data.io), QCOW2_E_ARGUMENT); /* has one */

	test_case("an image that has none");
	image_init(&plain.img, 3, 12, 10000);
	image_add_ext(&plain.img, IMAGE_EXT_DATA_FILE, 8, "disk.raw", 8);
	test_image_open(&plain);
	EQ(plain.image.data_file_name.len, 0); /* without a data file, the name is not used */
	EQ(qcow2_image_attach_data(&plain.image, &s.data.io), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_raw(&image, &plain.io.io), QCOW2_OK);
	EQ(qcow2_image_attach_data(&image, &s.data.io), QCOW2_E_ARGUMENT);
	test_image_free(&plain);
	test_image_free(&s);

	test_case("no name, raw: the bit is what counts");
	memset(&s, 0, sizeof s);
	image_init(&s.img, 3, BITS, N * CLUSTER);
	s.img.has_data_file = true;
	image_set(&s.img, IMAGE_AUTOCLEAR_FEATURES, QCOW2_AUTOCLEAR_DATA_FILE_RAW);
	test_image_open(&s);
	EQ(s.image.data_file_name.len, 0);
	test_image_free(&s);
}

/* "Copied, position 0" at another offset is an error, also after a run of absent clusters. */
static void test_copied_after_absent(void **state)
{
	struct test_image s;
	struct test_reader reader;
	struct qcow2_extent e;
	uint8_t *want = calloc(N, CLUSTER);

	(void)state;
	test_case("copied only, after three absent ones");
	make(&s, false, false);
	image_add_raw(&s.img, &s.img.active, 12, COPIED, 0);
	test_image_open(&s);
	test_reader_init(&reader, &s.image, 0, NULL);
	EQ(qcow2_reader_map(&reader.q, 9 * CLUSTER, 5 * CLUSTER, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_EXTENT_ABSENT);
	EQ(e.len, 3 * CLUSTER);
	EQ(test_reader_read(&reader, 9 * CLUSTER, want, 3 * CLUSTER), QCOW2_OK);
	EQ(test_reader_read(&reader, 9 * CLUSTER, want, 5 * CLUSTER), QCOW2_E_L2_ENTRY);
	test_reader_free(&reader);
	free(want);
	test_image_free(&s);
}

/* In a chain: what the image does not hold comes from the one below. */
static void test_over_backing(void **state)
{
	struct test_image s;
	struct test_image base = { 0 };
	struct test_reader reader;
	uint8_t *want = calloc(N, CLUSTER);
	struct layer layers[2];

	(void)state;
	test_case("a data file over a backing image");
	make(&s, true, false);
	test_image_open(&s);
	image_init(&base.img, 3, 16, N * CLUSTER);
	base.img.active.seed = 2;
	image_add_range(&base.img, &base.img.active, 0, N / 4, IMAGE_COMPRESSED);
	test_image_open(&base);
	EQ(qcow2_image_attach_backing(&s.image, &base.image), QCOW2_OK);
	layers[0] = (struct layer){ .img = &s.img, .size = s.img.size };
	layers[1] = (struct layer){ .img = &base.img, .size = base.img.size };
	expect_chain(layers, 2, 0, want, (size_t)s.img.size);
	test_reader_init(&reader, &s.image,
	                 QCOW2_READER_MEMORY_CLUSTER(16, QCOW2_DEFLATE_SMALL_WORK), deflate_only);
	EQ(test_reader_read(&reader, 0, want, (size_t)s.img.size), QCOW2_OK);
	test_reader_free(&reader);
	free(want);
	test_image_free(&base);
	test_image_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_first_cluster),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_over_backing),
		cmocka_unit_test(test_copied_after_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
