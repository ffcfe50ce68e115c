/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* A raw image on top: the option `format` of qcow2_open_options, and what each call says of it. */
#include "support.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE = 3 * 65536 + 77 };

static uint8_t content[SIZE];

static int raw_setup(void **state)
{
	size_t i;

	for (i = 0; i < SIZE; i++)
		content[i] = (uint8_t)(i * 7u + i / 256u);
	if (dir_setup(state) != 0)
		return -1;
	file_write("raw", content, SIZE);
	return 0;
}

static struct qcow2 *open_raw(const char *path, unsigned flags)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;

	options.format = "raw";
	options.flags = flags;
	options.path = path;
	q = qcow2_open_options(open_read(path), &options, NULL);
	TRUE(q != NULL);
	return q;
}

static void test_read(void **state)
{
	struct qcow2 *q = open_raw("raw", 0);
	struct qcow2_segment segment;
	static uint8_t buf[SIZE];

	(void)state;
	EQ(qcow2_get_size(q), SIZE);
	EQ(read_guarded(q, buf, SIZE, 0), SIZE);
	SAME(buf, content, SIZE);
	EQ(read_guarded(q, buf, 500, SIZE - 100), 100);
	SAME(buf, content + SIZE - 100, 100);
	EQ(map_guarded(q, 5, UINT64_MAX, &segment), 1);
	EQ(segment.start, 5);
	EQ(segment.length, SIZE - 5);
	EQ(segment.flags, QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_AT);
	EQ(segment.depth, 0);
	EQ(segment.fd, qcow2_get_fd(q, 0));
	EQ(segment.file_offset, 5);
	qcow2_close(q);
}

/* One call maps a raw disk of any size, because it has no tables. */
static void test_map_of_a_large_disk(void **state)
{
	const uint64_t size = UINT64_C(1) << 40;
	struct qcow2_segment segment;
	struct qcow2 *q;

	(void)state;
	file_write("large", content, SIZE);
	EQ(truncate("large", (off_t)size), 0);
	q = open_raw("large", 0);
	EQ(map_guarded(q, 0, UINT64_MAX, &segment), 1);
	EQ(segment.length, size);
	qcow2_close(q);
}

/* The calls that describe an image know that there is not much to say. */
static void test_description(void **state)
{
	static const unsigned flags[] = { 0, QCOW2_INSPECT, QCOW2_LAYER_ONLY, QCOW2_ALLOW_TRUNCATED,
		                          QCOW2_FOLLOW };
	struct qcow2_info info = { .struct_size = sizeof info };
	struct qcow2_snapshot_entry *snapshots;
	struct qcow2_bitmap_entry *bitmaps;
	uint64_t count;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof flags / sizeof flags[0]; i++) {
		struct qcow2 *q = open_raw("raw", flags[i]);

		EQ(qcow2_get_info(q, 0, &info), 0);
		TEXT(info.format, "raw");
		EQ(info.version, 0);
		EQ(info.size, SIZE);
		EQ(info.file_size, SIZE);
		EQ(info.cluster_size, 0);
		TRUE(info.compression == NULL && info.backing_file.bytes == NULL);
		EQ(info.incomplete, 0);
		EQ(qcow2_get_info(q, 1, &info), -1);
		EQ(qcow2_list_snapshots(q, &snapshots), 0);
		free(snapshots);
		EQ(qcow2_list_bitmaps(q, &bitmaps), 0);
		free(bitmaps);
		EQ(qcow2_count_clusters(q, 0, UINT64_MAX, &count), -1);
		EQ(errno, ENOTSUP);
		EQ(qcow2_get_data_fd(q, 0), -1);
		qcow2_close(q);
	}
}

/* A qcow2 image is never taken for a raw one, nor the other way round, whatever it looks like. */
static void test_never_guessed(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;
	struct qcow2 *q;
	char magic[4];

	(void)state;
	small_image(&img);
	image_to_file(&img, "qcow2", NULL);
	image_free(&img);
	q = open_raw("qcow2", 0);
	EQ(qcow2_read(q, magic, 4, 0), 4);
	SAME(magic, "QFI\xfb", 4);
	qcow2_close(q);
	options.format = "qcow2";
	q = qcow2_open_options(open_read("qcow2"), &options, NULL);
	TRUE(q != NULL);
	EQ(qcow2_get_size(q), 256 * 1024);
	qcow2_close(q);
	fails_with("raw", &options, EINVAL);
	options.format = NULL;
	fails_with("raw", &options, EINVAL);
}

static void test_wrong_options(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2_file file = { "raw", -1, "raw" };

	(void)state;
	options.format = "vmdk";
	fails_with("raw", &options, EINVAL);
	HAS(qcow2_last_failure()->message, "neither raw, qcow2 nor qcow");
	options.format = "raw";
	options.backing = &file;
	options.n_backing = 1;
	fails_with("raw", &options, EINVAL);
	options.n_backing = 0;
	options.data_file = &file;
	fails_with("raw", &options, EINVAL);
	options.data_file = NULL;
	options.snapshot = "1";
	fails_with("raw", &options, ENOENT);
}

/* A program that was built before the option existed passes a shorter struct. */
static void test_older_struct(void **state)
{
	struct qcow2_options options = { .struct_size = offsetof(struct qcow2_options, format) };

	(void)state;
	options.format = "raw"; /* behind the end of what the program knows */
	fails_with("raw", &options, EINVAL);
}

static void test_empty(void **state)
{
	struct qcow2_segment segment;
	struct qcow2 *q;

	(void)state;
	file_write("empty", "", 0);
	q = open_raw("empty", 0);
	EQ(qcow2_get_size(q), 0);
	EQ(qcow2_map(q, 0, 1, &segment), 0);
	qcow2_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),          cmocka_unit_test(test_map_of_a_large_disk),
		cmocka_unit_test(test_description),   cmocka_unit_test(test_never_guessed),
		cmocka_unit_test(test_wrong_options), cmocka_unit_test(test_older_struct),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, raw_setup, dir_teardown);
}
