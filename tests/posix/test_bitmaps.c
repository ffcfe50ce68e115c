/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* qcow2_find_bitmaps and qcow2_map_bitmaps: unions, each way to fail, threads, files that grow. */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/status.h"

enum { BITS = 12, UNIT = 1 << BITS, ENTRY_ROOM = 64, MARKS = 4 * UNIT };

/* A bitmap that one table entry describes; its bits are 0xNN repeated, or all equal. */
struct bitmap {
	const char *name;
	unsigned flags, granularity_bits;
	uint64_t entry; /* 0, 1, or the byte of the bits in a cluster, times 256 */
};

static const struct bitmap usual[] = {
	{ "low", 0, 14, 0x0f00 },    { "high", 0, 14, 0xc000 }, { "none", 2, 16, 0 },
	{ "coarse", 0, 17, 0x0100 }, { "used", 1, 14, 1 },
};

/* A disk of 1 MiB: 64 marks of 16 KiB. The bits of each bitmap are in the last clusters. */
static void make_image(struct image *img)
{
	static const uint8_t extension[24];
	uint64_t directory, at;
	size_t i;

	image_init(img, 3, BITS, 1024 * 1024);
	image_add_ext(img, IMAGE_EXT_BITMAPS, 24, extension, 24);
	image_set(img, IMAGE_AUTOCLEAR_FEATURES, 1);
	image_add(img, &img->active, 3, IMAGE_DATA);
	image_add_snapshot(img, "1", "snapshot");
	image_finish(img);
	directory = (img->file.len + UNIT - 1) / UNIT * UNIT;
	at = directory + UNIT;
	for (i = 0; i < COUNT(usual); i++) {
		uint64_t entry = directory + i * ENTRY_ROOM;

		image_put(&img->file, entry, at, 8);
		image_put(&img->file, entry + 8, 1, 4);
		image_put(&img->file, entry + 12, usual[i].flags, 4);
		image_put(&img->file, entry + 16, 1, 1);
		image_put(&img->file, entry + 17, usual[i].granularity_bits, 1);
		/* The name fills the entry: the directory has no padding between them. */
		image_put(&img->file, entry + 18, ENTRY_ROOM - 24, 2);
		image_buf_fill(&img->file, entry + 24, '.', ENTRY_ROOM - 24);
		image_buf_put(&img->file, entry + 24, usual[i].name, strlen(usual[i].name));
		image_put(&img->file, at, usual[i].entry < 2 ? usual[i].entry : at + UNIT, 8);
		image_buf_fill(&img->file, at + UNIT, (uint8_t)(usual[i].entry >> 8), UNIT);
		at += 2 * UNIT;
	}
	image_put(&img->file, img->ext_pos + 8, COUNT(usual), 4);
	image_put(&img->file, img->ext_pos + 16, COUNT(usual) * ENTRY_ROOM, 8);
	image_put(&img->file, img->ext_pos + 24, directory, 8);
}

/* The name of a bitmap as it is in the image. */
static const char *full_name(char name[ENTRY_ROOM], const char *bitmap)
{
	memset(name, '.', ENTRY_ROOM - 24);
	name[ENTRY_ROOM - 24] = '\0';
	memcpy(name, bitmap, strlen(bitmap));
	return name;
}

static int find(struct qcow2 *q, const char *a, const char *b, unsigned flags,
                struct qcow2_bitmap_set **set)
{
	char names[2][ENTRY_ROOM];
	const char *list[2] = { full_name(names[0], a), b != NULL ? full_name(names[1], b) : NULL };

	return qcow2_find_bitmaps(q, list, b != NULL ? 2 : 1, flags, set);
}

/* Goes over the disk: each range has the length and kind that the bits of this byte say. */
static void check_marks(struct qcow2 *q, const struct qcow2_bitmap_set *set, unsigned byte,
                        uint64_t step)
{
	struct qcow2_dirty_range r;
	uint64_t off, size = qcow2_get_size(q);

	for (off = 0; off < size; off += r.length) {
		uint64_t mark;

		EQ(qcow2_map_bitmaps(q, set, off, step, &r), 1);
		EQ(r.start, off);
		TRUE(r.length > 0 && r.length <= step);
		for (mark = off / MARKS; mark * MARKS < off + r.length; mark++)
			EQ(r.dirty, (byte >> mark % 8) % 2u);
		mark = (off + r.length) / MARKS;
		if (r.length < step && off + r.length < size)
			TRUE((byte >> mark % 8) % 2u != (unsigned)r.dirty);
	}
	EQ(qcow2_map_bitmaps(q, set, size, 1, &r), 0);
	EQ(qcow2_map_bitmaps(q, set, 0, 0, &r), 0);
}

static void test_union(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned flags, byte;
	} cases[] = {
		{ "low", NULL, 0, 0x0f },   { "high", NULL, 0, 0xc0 },  { "none", NULL, 0, 0 },
		{ "low", "high", 0, 0xcf }, { "high", "low", 0, 0xcf }, { "none", "high", 0, 0xc0 },
		{ "low", "used", 1, 0xff }, { "used", NULL, 1, 0xff },  { "low", "low", 0, 0x0f },
	};
	struct image img;
	struct qcow2 *q;
	size_t i;

	(void)state;
	make_image(&img);
	q = open_good(image_to_fd(&img));
	for (i = 0; i < COUNT(cases); i++) {
		struct qcow2_bitmap_set *set = NULL;

		test_case("%s and %s", cases[i].a, cases[i].b != NULL ? cases[i].b : "nothing");
		EQ(find(q, cases[i].a, cases[i].b, cases[i].flags, &set), 0);
		check_marks(q, set, cases[i].byte, UINT64_MAX);
		check_marks(q, set, cases[i].byte, 5000);
		free(set);
	}
	qcow2_close(q);
	image_free(&img);
}

static void expect_failure(int rc, int error, int status, const char *message)
{
	EQ(rc, -1);
	EQ(errno, error);
	EQ(qcow2_last_failure()->error, error);
	EQ(qcow2_last_failure()->status, status);
	HAS(qcow2_last_failure()->message, message);
}

static void test_refused(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options, .snapshot = "snapshot" };
	struct qcow2_bitmap_set *set = NULL;
	struct image img;
	struct qcow2 *q;

	(void)state;
	make_image(&img);
	q = open_good(image_to_fd(&img));
	expect_failure(find(q, "other", NULL, 0, &set), ENOENT, QCOW2_E_NOT_FOUND,
	               "no bitmap 'other");
	expect_failure(find(q, "low", "used", 0, &set), ESTALE, QCOW2_E_INCONSISTENT,
	               "bitmap 'used");
	TRUE(qcow2_last_failure()->has_pos != 0);
	expect_failure(qcow2_find_bitmaps(q, NULL, 0, 0, &set), EINVAL, 0, "no bitmap is named");
	qcow2_close(q);
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	expect_failure(find(q, "low", NULL, 0, &set), EINVAL, 0, "a snapshot has no bitmaps");
	qcow2_close(q);
	TRUE(set == NULL);
	image_free(&img);
}

/* Each read and each allocation fails once; after that the answer is right. */
static void test_faults(void **state)
{
	static const enum call calls[] = { CALL_PREAD, CALL_ALLOC };
	struct image img;
	size_t i;

	(void)state;
	make_image(&img);
	for (i = 0; i < COUNT(calls); i++) {
		unsigned n = 0;
		bool done = false;

		while (!done) {
			struct qcow2 *q = open_good(image_to_fd(&img));
			struct qcow2_bitmap_set *set = NULL;
			struct qcow2_dirty_range r = { 0 };

			hooks_reset();
			hooks.fail_at[calls[i]] = ++n;
			done = find(q, "low", "coarse", 0, &set) == 0 &&
			       qcow2_map_bitmaps(q, set, 0, UINT64_MAX, &r) == 1 &&
			       hooks.n_failed == 0;
			if (!done && hooks.n_failed != 0 && r.length == 0)
				EQ(qcow2_last_failure()->error, call_errno[calls[i]]);
			hooks_reset();
			free(set);
			EQ(find(q, "low", "coarse", 0, &set), 0);
			EQ(qcow2_map_bitmaps(q, set, 0, UINT64_MAX, &r), 1);
			EQ(r.dirty, 1);
			EQ(r.length, 12 * MARKS); /* 8 of the coarse one, and 4 that follow */
			free(set);
			qcow2_close(q);
		}
		TRUE(n > 2);
	}
	image_free(&img);
}

/* The bits are past the end of the file; then the file grows. */
static void test_grown(void **state)
{
	struct qcow2_bitmap_set *set = NULL;
	struct qcow2_dirty_range r;
	struct image img;
	struct qcow2 *q;
	size_t len;
	int fd;

	(void)state;
	make_image(&img);
	len = img.file.len;
	fd = image_to_fd(&img);
	EQ(ftruncate(fd, (off_t)(len - 9 * UNIT)), 0);
	q = open_good(fd);
	EQ(find(q, "low", NULL, 0, &set), 0);
	EQ(qcow2_map_bitmaps(q, set, 0, UINT64_MAX, &r), -1);
	EQ(errno, EIO);
	HAS(qcow2_last_failure()->message, "the file ends before its bits do");
	EQ(pwrite(fd, img.file.data, len, 0), len);
	check_marks(q, set, 0x0f, UINT64_MAX);
	free(set);
	qcow2_close(q);
	image_free(&img);
}

struct shared {
	struct qcow2 *q;
	const struct qcow2_bitmap_set *set;
};

static void *use(void *shared)
{
	const struct shared *s = shared;
	struct qcow2_dirty_range r;
	uint64_t off, dirty = 0;

	for (off = 0; qcow2_map_bitmaps(s->q, s->set, off, UINT64_MAX, &r) == 1; off += r.length)
		dirty += r.dirty ? r.length : 0u;
	return (void *)(uintptr_t)dirty;
}

static void test_threads(void **state)
{
	pthread_t threads[4];
	struct qcow2_bitmap_set *set = NULL;
	struct shared s;
	struct image img;
	size_t i;

	(void)state;
	make_image(&img);
	s.q = open_good(image_to_fd(&img));
	EQ(find(s.q, "low", "high", 0, &set), 0);
	s.set = set;
	for (i = 0; i < COUNT(threads); i++)
		EQ(pthread_create(&threads[i], NULL, use, &s), 0);
	for (i = 0; i < COUNT(threads); i++) {
		void *dirty;

		EQ(pthread_join(threads[i], &dirty), 0);
		EQ((uintptr_t)dirty, 6 * 8 * MARKS);
	}
	free(set);
	qcow2_close(s.q);
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_union),   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_faults),  cmocka_unit_test(test_grown),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
