/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Files that end before the tables of the image do: what the failure says, and when
 * QCOW2_ALLOW_TRUNCATED helps. test_damage.c has what is missing of the disk.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2/status.h"

enum { CLUSTER = 65536 };

static const uint64_t far = UINT64_C(1) << 40; /* past the end of each file here */

/* Checks a failure because of the end of the file, which has size bytes. */
static void failed_at_end(size_t size, int looks_cut, const char *text)
{
	const struct qcow2_failure *failure = qcow2_last_failure();

	EQ(errno, EIO);
	EQ(failure->error, EIO);
	EQ(failure->status, QCOW2_E_TRUNCATED);
	EQ(failure->has_pos, 1);
	EQ(failure->pos, size);
	EQ(failure->length, 0);
	EQ(failure->looks_cut, looks_cut);
	HAS(failure->message, text);
}

/* Opens the file "cut". */
static struct qcow2 *open_cut_file(unsigned flags, const char *snapshot)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	options.flags = flags;
	options.snapshot = snapshot;
	return qcow2_open_options(open_read("cut"), &options, NULL);
}

/*
 * Writes the first len bytes of the image. Opening them fails, and with QCOW2_ALLOW_TRUNCATED only
 * if looks_cut is 0. Frees the image.
 */
static void open_cut(struct image *img, uint64_t len, int looks_cut, const char *text)
{
	struct qcow2 *q;

	test_case("%s", text);
	image_buf_resize(&img->file, (size_t)len);
	file_write("cut", img->file.data, (size_t)len);
	image_free(img);
	TRUE(open_cut_file(QCOW2_LAYER_ONLY, NULL) == NULL);
	failed_at_end((size_t)len, looks_cut, text);
	q = open_cut_file(QCOW2_LAYER_ONLY | QCOW2_ALLOW_TRUNCATED, NULL);
	EQ(q != NULL, looks_cut);
	qcow2_close(q);
}

static struct image finished_image(void)
{
	struct image img;

	small_image(&img);
	image_finish(&img);
	return img;
}

static void test_header(void **state)
{
	struct image img = finished_image();

	(void)state;
	open_cut(&img, 80, 0,
	         "image is truncated: the header is cut off at the end of the file (80 ");
}

static void test_l1_table(void **state)
{
	struct image img = finished_image();
	uint64_t l1 = img.active.l1_pos;
	char text[200];

	(void)state;
	snprintf(text, sizeof text,
	         "image is truncated: the L1 table at file offset %llu is cut off at the end of "
	         "the file (%llu bytes)",
	         (unsigned long long)l1, (unsigned long long)l1 + 4u);
	open_cut(&img, l1 + 4u, 1, text);
	img = finished_image();
	open_cut(&img, l1 - 10u, 1, " is past the end of the file (");
	/* The file is complete, and the refcounts know nothing of a table there. */
	img = finished_image();
	image_put(&img.file, image_field_pos(IMAGE_L1_TABLE_OFFSET), far, 8);
	file_write("cut", img.file.data, img.file.len);
	TRUE(open_cut_file(0, NULL) == NULL);
	failed_at_end(img.file.len, 0,
	              "the L1 table at file offset 1099511627776 is past the end of the file (");
	TRUE(strstr(qcow2_last_failure()->message, "truncated") == NULL);
	image_free(&img);
}

/* A disk of no bytes has no L1 table, so that its file can end with what belongs to the header. */
static void test_names(void **state)
{
	struct image img;

	(void)state;
	image_init(&img, 3, 16, 0);
	image_set_backing(&img, "base.raw", 8, 0);
	image_finish(&img);
	open_cut(&img, img.backing_pos + 7u, 1,
	         "image is truncated: the name of the backing file at file offset ");
	image_init(&img, 3, 16, 0);
	image_add_ext(&img, 0x12345678, 8, "whatever", 8);
	image_finish(&img);
	open_cut(&img, img.ext_pos + 4u, 1,
	         "image is truncated: the header extensions are cut off at the end of the file (");
}

/* ---- Snapshots ---- */

/* Makes an image with a snapshot, whose entry is moved to the end of the file. */
static struct image image_with_snapshot(uint64_t *entry)
{
	enum { ENTRY_LEN = 40 + 16 + 2 + 5 };
	struct image_snapshot *s;
	struct image img;

	small_image(&img);
	s = image_add_snapshot(&img, "77", "first");
	s->extra_len = 16;
	s->disk_size = 2 * CLUSTER;
	image_finish(&img);
	*entry = img.file.len;
	image_buf_resize(&img.file, img.file.len + ENTRY_LEN);
	memcpy(img.file.data + *entry, img.file.data + img.snapshots_pos, ENTRY_LEN);
	image_put(&img.file, image_field_pos(IMAGE_SNAPSHOTS_OFFSET), *entry, 8);
	return img;
}

/* Without its entries, the table tells nothing, so zeros in their place are never read. */
static void test_snapshot_table(void **state)
{
	static const unsigned flags[] = { 0, QCOW2_ALLOW_TRUNCATED };
	struct qcow2_snapshot_entry *list = NULL;
	uint64_t entry;
	struct image img = image_with_snapshot(&entry);
	size_t i, len = (size_t)entry + 30u;

	(void)state;
	file_write("cut", img.file.data, len);
	image_free(&img);
	for (i = 0; i < COUNT(flags); i++) {
		struct qcow2 *q = open_with("cut", flags[i]);

		EQ(qcow2_list_snapshots(q, &list), -1);
		failed_at_end(len, 0, "image is truncated: the snapshot table at file offset ");
		TRUE(list == NULL);
		qcow2_close(q);
		TRUE(open_cut_file(flags[i], "first") == NULL);
		failed_at_end(len, 0, "image is truncated: the snapshot table at file offset ");
	}
}

/* The file ends inside the name of the snapshot. */
static void test_snapshot_name(void **state)
{
	struct qcow2_snapshot_entry *list = NULL;
	uint64_t entry;
	struct image img = image_with_snapshot(&entry);
	size_t len = img.file.len - 2u;
	struct qcow2 *q;

	(void)state;
	file_write("cut", img.file.data, len);
	image_free(&img);
	q = open_with("cut", 0);
	EQ(qcow2_list_snapshots(q, &list), -1);
	failed_at_end(len, 1, "image is truncated: the snapshot table at file offset ");
	qcow2_close(q);
	TRUE(open_cut_file(0, "first") == NULL);
	failed_at_end(len, 1, "image is truncated: the snapshot table at file offset ");
	q = open_with("cut", QCOW2_ALLOW_TRUNCATED);
	EQ(qcow2_list_snapshots(q, &list), 1);
	TEXT(list[0].id, "77");
	EQ(list[0].name_len, 5);
	SAME(list[0].name, "fir\0\0", 6);
	free(list);
	qcow2_close(q);
	q = open_cut_file(QCOW2_ALLOW_TRUNCATED, "77");
	EQ(qcow2_get_size(q), 2 * CLUSTER);
	qcow2_close(q);
}

static void test_snapshot_l1_table(void **state)
{
	static const char text[] = "the L1 table of the snapshot at file offset ";
	uint64_t entry, end;
	struct image img = image_with_snapshot(&entry);
	struct qcow2 *q;
	uint8_t byte;

	(void)state;
	image_put(&img.file, entry, far, 8);
	file_write("cut", img.file.data, img.file.len);
	TRUE(open_cut_file(0, "first") == NULL);
	failed_at_end(img.file.len, 0, text);
	HAS(qcow2_last_failure()->message, "1099511627776 is past the end of the file (");
	/* Four of the eight bytes of the table are there. */
	end = (img.file.len + CLUSTER - 1u) / CLUSTER * CLUSTER;
	image_put(&img.file, entry, end, 8);
	image_buf_resize(&img.file, (size_t)end + 4u);
	file_write("cut", img.file.data, img.file.len);
	TRUE(open_cut_file(0, "first") == NULL);
	failed_at_end(img.file.len, 1, text);
	q = open_cut_file(QCOW2_ALLOW_TRUNCATED, "first");
	EQ(read_guarded(q, &byte, 1, CLUSTER), 1);
	EQ(byte, 0);
	qcow2_close(q);
	image_free(&img);
}

/* ---- Bitmaps ---- */

/* Like the snapshot table, the bitmap directory must be complete. */
static void test_bitmaps(void **state)
{
	static const unsigned flags[] = { 0, QCOW2_ALLOW_TRUNCATED };
	struct qcow2_bitmap_entry *list = NULL;
	uint8_t extension[24] = { 0 };
	struct image img;
	uint64_t end;
	size_t i;

	(void)state;
	small_image(&img);
	image_set(&img, IMAGE_AUTOCLEAR_FEATURES, 1);
	image_add_ext(&img, IMAGE_EXT_BITMAPS, sizeof extension, extension, sizeof extension);
	image_finish(&img);
	end = img.file.len;
	image_put(&img.file, img.ext_pos + 8u, 1, 4);
	image_put(&img.file, img.ext_pos + 16u, 32, 8);
	image_put(&img.file, img.ext_pos + 24u, end, 8);
	image_buf_resize(&img.file, (size_t)end + 20u);
	image_to_file(&img, "cut", NULL);
	for (i = 0; i < COUNT(flags); i++) {
		struct qcow2 *q = open_with("cut", flags[i]);

		EQ(qcow2_list_bitmaps(q, &list), -1);
		failed_at_end(img.file.len, 0,
		              "image is truncated: the bitmap directory at file offset ");
		HAS(qcow2_last_failure()->message, "is cut off at the end of the file (");
		TRUE(list == NULL);
		qcow2_close(q);
	}
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),        cmocka_unit_test(test_l1_table),
		cmocka_unit_test(test_names),         cmocka_unit_test(test_snapshot_table),
		cmocka_unit_test(test_snapshot_name), cmocka_unit_test(test_snapshot_l1_table),
		cmocka_unit_test(test_bitmaps),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
