/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Internal snapshots, with tables like those of CVE-2014-0143, -0144 and -0145. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 12, CLUSTER = 1 << BITS };

/* Three snapshots with different sizes, shared and own clusters, over the active disk. */
static void make(struct test_image *s)
{
	struct image *img = &s->img;
	struct image_snapshot *snap = NULL;

	memset(s, 0, sizeof *s);
	image_init(img, 3, BITS, 3 * MIB);
	image_add_range(img, &img->active, 0, 20, IMAGE_DATA);
	image_add_range(img, &img->active, 30, 3, IMAGE_COMPRESSED);
	snap = image_add_snapshot(img, "1", "first");
	snap->disk_size = MIB + 77;
	snap->table.l1_entries = 1;
	image_share(img, &snap->table, &img->active, 3);
	image_share(img, &snap->table, &img->active, 31);
	image_add_range(img, &snap->table, 100, 5, IMAGE_DATA);
	image_add(img, &snap->table, 256, IMAGE_DATA);
	snap = image_add_snapshot(img, "second id", "");
	snap->extra_len = 24;
	snap->icount = UINT64_C(0x1122334455667788);
	snap->vm_state_size = 5;
	snap->vm_state_size_large = UINT64_C(0x100000005);
	snap->disk_size = 5 * MIB;
	snap->table.l1_entries = 3;
	image_add(img, &snap->table, 1200, IMAGE_COMPRESSED);
	snap = image_add_snapshot(img, "", "\xc3\xa9 third");
	snap->vm_state_size = 9;
	snap->extra_len = 0;
}

static void check_next(const struct test_image *s, struct qcow2_snapshot *entry, bool first)
{
	struct qcow2_error err = { 0 };

	EQ(qcow2_snapshot_next(&s->image, first ? NULL : entry, entry, &err), QCOW2_OK);
	EQ(err.status, 0);
}

static void check_strings(const struct test_image *s, const struct qcow2_snapshot *entry,
                          const char *id, const char *name)
{
	struct guarded buf;

	EQ(entry->id_len, strlen(id));
	EQ(entry->name_len, strlen(name));
	guard_init(&buf, strlen(id) + strlen(name), 1);
	EQ(qcow2_snapshot_strings(&s->image, entry, buf.p, NULL), QCOW2_OK);
	SAME(buf.p, id, strlen(id));
	SAME(buf.p + strlen(id), name, strlen(name));
	guard_free(&buf);
}

static void test_list(void **state)
{
	struct test_image s;
	struct qcow2_snapshot e;
	struct qcow2_snapshot last;
	struct qcow2_error err = { 0 };

	(void)state;
	test_case("list");
	make(&s);
	test_image_open(&s);
	EQ(s.image.n_snapshots, 3);
	EQ(s.image.snapshots_pos, s.img.snapshots_pos);
	test_io_reset(&s.io);
	check_next(&s, &e, true);
	LE(s.io.calls, 2);
	EQ(e.index, 0);
	EQ(e.l1_pos, s.img.snapshots[0].table.l1_pos);
	EQ(e.l1_entries, 1);
	EQ(e.disk_size, MIB + 77);
	EQ(e.has_disk_size, 1);
	EQ(e.vm_state_size, 0);
	EQ(e.vm_clock_nsec, UINT64_C(5000000000));
	EQ(e.date_sec, 1700000001);
	EQ(e.date_nsec, 123456789);
	EQ(e.has_icount, false);
	check_strings(&s, &e, "1", "first");
	check_next(&s, &e, false);
	EQ(e.index, 1);
	EQ(e.disk_size, 5 * MIB);
	EQ(e.vm_state_size, UINT64_C(0x100000005));
	EQ(e.has_icount, true);
	EQ(e.icount, UINT64_C(0x1122334455667788));
	check_strings(&s, &e, "second id", "");
	check_next(&s, &e, false);
	EQ(e.index, 2);
	EQ(e.has_disk_size, 0);
	EQ(e.disk_size, 3 * MIB); /* the entry has none, so it is that of the image */
	EQ(e.vm_state_size, 9);
	EQ(e.has_icount, false);
	check_strings(&s, &e, "", "\xc3\xa9 third");
	memcpy(&last, &e, sizeof e);
	EQ(qcow2_snapshot_next(&s.image, &e, &e, &err), QCOW2_E_NOT_FOUND);
	SAME(&e, &last, sizeof e);
	test_image_free(&s);
}

/* Without id and name, no read is needed. */
static void test_no_strings(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_snapshot e;
	char untouched = 'u';

	(void)state;
	test_case("no strings");
	image_init(&s.img, 3, 16, MIB);
	image_add_snapshot(&s.img, "", "");
	test_image_open(&s);
	EQ(qcow2_snapshot_next(&s.image, NULL, &e, NULL), QCOW2_OK);
	EQ(e.id_len, 0);
	EQ(e.name_len, 0);
	test_io_reset(&s.io);
	EQ(qcow2_snapshot_strings(&s.image, &e, &untouched, NULL), QCOW2_OK);
	EQ(untouched, 'u');
	EQ(s.io.calls, 0);
	test_image_free(&s);
}

/* The same where the place of the strings is past the end of the file. */
static void test_no_strings_at_end(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_snapshot e;
	struct qcow2_error err;
	char untouched = 'u';

	(void)state;
	test_case("no strings, past the end");
	image_init(&s.img, 3, BITS, 0);
	s.img.refcounts = false;
	image_add_snapshot(&s.img, "", "")->extra_len = 1024;
	image_finish(&s.img);
	image_buf_resize(&s.img.file, (size_t)s.img.snapshots_pos + 40 + 24);
	test_image_open(&s);
	EQ(qcow2_snapshot_next(&s.image, NULL, &e, &err), QCOW2_OK);
	LE(s.img.file.len + 1, e.id_pos);
	memset(&err, 0x77, sizeof err); /* as after another failure */
	EQ(qcow2_snapshot_next(&s.image, &e, &e, &err), QCOW2_E_NOT_FOUND);
	EQ(err.io_code, 0);
	TRUE(err.io == NULL);
	EQ(qcow2_snapshot_strings(&s.image, &e, &untouched, &err), QCOW2_OK);
	EQ(untouched, 'u');
	test_image_free(&s);
}

/* Entries of all lengths: the next one begins at a multiple of 8. */
static void test_lengths(void **state)
{
	static const char letters[] = "abcdefghijklmnopq";

	(void)state;
	for (size_t len = 0; len < sizeof letters; len++) {
		struct test_image s = { 0 };
		struct qcow2_snapshot e;
		char id[8] = { 0 };
		char name[sizeof letters] = { 0 };

		test_case("id and name of %u", (unsigned)len);
		memcpy(id, letters, len < 4 ? len : 4);
		memcpy(name, letters + strlen(id), len - strlen(id));
		image_init(&s.img, 3, BITS, MIB);
		image_add_snapshot(&s.img, id, name);
		image_add_snapshot(&s.img, "2", "next");
		test_image_open(&s);
		check_next(&s, &e, true);
		check_strings(&s, &e, id, name);
		EQ(e.next_pos, (e.id_pos + len + 7) / 8 * 8);
		check_next(&s, &e, false);
		check_strings(&s, &e, "2", "next");
		test_image_free(&s);
	}
}

/* The largest disk that an L1 table can cover, and one more. */
static void test_largest(void **state)
{
	struct test_image s = { 0 };
	struct image_snapshot *snap = NULL;
	struct qcow2_snapshot e;
	struct qcow2_image image;
	struct qcow2_error err;

	(void)state;
	test_case("largest disk");
	image_init(&s.img, 3, 21, MIB);
	snap = image_add_snapshot(&s.img, "1", "a");
	snap->disk_size = UINT64_C(1) << 61;
	snap->l1_entries_set = true;
	snap->l1_entries = 4194304;
	test_image_open_flags(&s, QCOW2_OPEN_TRUNCATED);
	EQ(qcow2_snapshot_next(&s.image, NULL, &e, NULL), QCOW2_OK);
	EQ(e.disk_size, UINT64_C(1) << 61);
	EQ(qcow2_snapshot_image(&image, &s.image, &e, &err), QCOW2_OK);
	EQ(image.size, UINT64_C(1) << 61);
	e.disk_size++;
	EQ(qcow2_snapshot_image(&image, &s.image, &e, &err), QCOW2_E_L1);
	EQ(err.detail, 4194304);
	e.disk_size = UINT64_C(1) << 63;
	EQ(qcow2_snapshot_image(&image, &s.image, &e, &err), QCOW2_E_TOO_BIG);
	EQ(err.detail, UINT64_C(1) << 63);
	test_image_free(&s);
}

/* Snapshots open as images, with the size of the disk at that time (P9). */
static void test_images(void **state)
{
	struct test_image s;
	struct qcow2_snapshot e;

	(void)state;
	make(&s);
	test_image_open(&s);
	for (unsigned i = 0; i < 3; i++) {
		const struct image_table *t = &s.img.snapshots[i].table;
		struct qcow2_image image;
		struct qcow2_error err = { 0 };
		struct test_reader reader;
		uint8_t *want = NULL;

		test_case("snapshot %u", i);
		check_next(&s, &e, i == 0);
		EQ(qcow2_snapshot_image(&image, &s.image, &e, &err), QCOW2_OK);
		EQ(image.size, e.disk_size);
		want = calloc((size_t)image.size, 1);
		image_expect(&s.img, t, 0, want, (size_t)image.size);
		test_reader_init(&reader, &image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, 0, want, (size_t)image.size), QCOW2_OK);
		EQ(test_reader_read(&reader, image.size - 1, want + image.size - 1, 1), QCOW2_OK);
		EQ(test_reader_read(&reader, image.size, want, 1), QCOW2_E_RANGE);
		test_reader_free(&reader);
		free(want);
	}
	test_case("the active disk is as it was");
	{
		struct test_reader reader;
		uint8_t *want = calloc(3, MIB);

		image_expect(&s.img, &s.img.active, 0, want, 3 * MIB);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, 0, want, 3 * MIB), QCOW2_OK);
		test_reader_free(&reader);
		free(want);
	}
	test_image_free(&s);
}

/* A snapshot over the backing image of its parent, and one whose L1 table is too short. */
static void test_short_l1(void **state)
{
	struct test_image s = { 0 };
	struct test_image base = { 0 };
	struct image_snapshot *snap = NULL;
	struct qcow2_snapshot e;
	struct qcow2_image image;
	struct layer layers[2];

	(void)state;
	image_init(&base.img, 3, BITS, 5 * MIB);
	base.img.active.seed = 9;
	image_add_range(&base.img, &base.img.active, 0, 5 * MIB / CLUSTER, IMAGE_DATA);
	test_image_open(&base);
	for (uint32_t n = 0; n <= 3; n++) {
		struct test_reader reader;
		uint8_t *want = calloc(6, MIB);

		test_case("L1 of %u entries for 6 MiB", (unsigned)n);
		memset(&s, 0, sizeof s);
		image_init(&s.img, 3, BITS, 6 * MIB);
		snap = image_add_snapshot(&s.img, "1", "x");
		snap->extra_len = 0; /* so it has the size of the image */
		snap->table.l1_entries = n == 0 ? 1 : n;
		if (n != 0)
			image_add(&s.img, &snap->table, 7, IMAGE_DATA);
		snap->l1_entries_set = true;
		snap->l1_entries = n;
		image_finish(&s.img);
		/* What follows it is no entry. */
		image_put(&s.img.file, s.img.snapshots[0].table.l1_pos + n * 8, 0x200, 8);
		test_image_open(&s);
		EQ(qcow2_image_attach_backing(&s.image, &base.image), QCOW2_OK);
		check_next(&s, &e, true);
		EQ(qcow2_snapshot_image(&image, &s.image, &e, NULL), QCOW2_OK);
		layers[0] = (struct layer){ .img = &s.img,
			                    .table = &s.img.snapshots[0].table,
			                    .size = 6 * MIB };
		layers[1] = (struct layer){ .img = &base.img, .size = 5 * MIB };
		expect_chain(layers, 2, 0, want, 6 * MIB);
		test_reader_init(&reader, &image, 0, NULL);
		EQ(test_reader_read(&reader, 0, want, 6 * MIB), QCOW2_OK);
		EQ(test_reader_read(&reader, 4 * MIB - 3, want + 4 * MIB - 3, 3 * CLUSTER),
		   QCOW2_OK);
		test_reader_free(&reader);
		free(want);
		test_image_free(&s);
	}
	test_image_free(&base);
}

/* Extra data of any size up to 1024. */
static void test_extra(void **state)
{
	static const uint32_t sizes[] = { 0,  7,  8,    15,   16,   17,    23,         24,
		                          25, 32, 1000, 1024, 1025, 65536, 0x7fffffff, 0xffffffff };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct test_image s = { 0 };
		struct image_snapshot *snap = NULL;
		struct qcow2_snapshot e;
		struct qcow2_error err = { 0 };
		uint32_t n = sizes[i];
		int want = n <= 1024 ? QCOW2_OK : QCOW2_E_SNAPSHOT;

		test_case("extra data of %u", (unsigned)n);
		image_init(&s.img, 3, BITS, MIB);
		snap = image_add_snapshot(&s.img, "id", "name");
		snap->vm_state_size = 3;
		snap->vm_state_size_large = 4;
		snap->disk_size = 2 * MIB;
		snap->icount = 5;
		snap->extra_len = n <= 1025 ? n : 16;
		image_add_snapshot(&s.img, "2", "next");
		image_finish(&s.img);
		image_put(&s.img.file, s.img.snapshots_pos + 36, n, 4);
		test_image_open(&s);
		EQ(qcow2_snapshot_next(&s.image, NULL, &e, &err), want);
		if (want != QCOW2_OK) {
			EQ(err.pos, s.img.snapshots_pos);
			EQ(err.status, QCOW2_E_SNAPSHOT);
			TRUE(err.io == &s.image.io || err.io == &s.io.io);
		} else {
			EQ(e.vm_state_size, n >= 8 ? 4 : 3);
			EQ(e.disk_size, n >= 16 ? 2 * MIB : MIB);
			EQ(e.has_icount, n >= 24);
			if (n >= 24)
				EQ(e.icount, 5);
			check_strings(&s, &e, "id", "name");
			check_next(&s, &e, false);
			check_strings(&s, &e, "2", "next");
		}
		test_image_free(&s);
	}
}

/* Entries and names that run past the end of the file, and misplaced tables. */
static void test_truncated(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_snapshot e;
	struct qcow2_error err = { 0 };
	uint64_t start = 0;
	uint64_t full = 0;
	struct guarded buf;

	(void)state;
	image_init(&s.img, 3, BITS, 0);
	s.img.refcounts = false;
	image_add_snapshot(&s.img, "the id", "the name")->extra_len = 24;
	image_finish(&s.img);
	start = s.img.snapshots_pos;
	full = s.img.file.len;
	for (uint64_t len = start; len <= start + 40 + 24 + 14; len++) {
		int want = len < start + 40 + 24 ? QCOW2_E_TRUNCATED : QCOW2_OK;

		test_case("file ends %u bytes into the entry", (unsigned)(len - start));
		test_image_open(&s);
		s.image.io.size = len;
		s.io.io.size = len;
		EQ(qcow2_snapshot_next(&s.image, NULL, &e, &err), want);
		if (want != QCOW2_OK) {
			EQ(err.pos, len);
			continue;
		}
		guard_init(&buf, 14, 1);
		EQ(qcow2_snapshot_strings(&s.image, &e, buf.p, &err),
		   len < start + 40 + 24 + 14 ? QCOW2_E_TRUNCATED : QCOW2_OK);
		guard_free(&buf);
	}
	EQ(full % CLUSTER, 0);

	test_case("a name of 65535");
	image_put(&s.img.file, start + 14, 65535, 2);
	test_image_open(&s);
	EQ(qcow2_snapshot_next(&s.image, NULL, &e, &err), QCOW2_OK);
	EQ(e.name_len, 65535);
	guard_init(&buf, e.id_len + 65535u, 1);
	EQ(qcow2_snapshot_strings(&s.image, &e, buf.p, &err), QCOW2_E_TRUNCATED);
	guard_free(&buf);
	EQ(err.pos, full);

	test_case("the header counts more snapshots than the table has");
	image_put(&s.img.file, start + 14, 8, 2);
	image_put(&s.img.file, 60, 65536, 4);
	image_buf_resize(&s.img.file, (size_t)start + 80);
	test_image_open(&s);
	EQ(qcow2_snapshot_next(&s.image, NULL, &e, &err), QCOW2_OK);
	EQ(qcow2_snapshot_next(&s.image, &e, &e, &err), QCOW2_E_TRUNCATED);
	test_image_free(&s);
}

/* Opening a snapshot checks its L1 table. */
struct l1_case {
	const char *name;
	uint64_t pos;
	uint32_t entries;
	uint64_t disk_size;
	int status, status_truncated;
};

static const struct l1_case l1_cases[] = {
	{ "misaligned", 512, 1, MIB, QCOW2_E_L1, QCOW2_E_L1 },
	{ "misaligned by 1", CLUSTER + 1, 1, MIB, QCOW2_E_L1, QCOW2_E_L1 },
	{ "too many entries", CLUSTER, 4194305, MIB, QCOW2_E_TOO_BIG, QCOW2_E_TOO_BIG },
	{ "2^32-1 entries", CLUSTER, 0xffffffff, MIB, QCOW2_E_TOO_BIG, QCOW2_E_TOO_BIG },
	{ "2^29 entries", CLUSTER, 0x20000000, MIB, QCOW2_E_TOO_BIG, QCOW2_E_TOO_BIG },
	{ "ends past 2^63", UINT64_C(0x7ffffffffffff000), 513, MIB, QCOW2_E_L1, QCOW2_E_L1 },
	{ "wraps", UINT64_C(0xfffffffffffff000), 513, MIB, QCOW2_E_L1, QCOW2_E_L1 },
	{ "past the file", UINT64_C(1) << 40, 1, MIB, QCOW2_E_TRUNCATED, QCOW2_OK },
	{ "far past the file", UINT64_C(0x7ffffffe00000000), 1, MIB, QCOW2_E_TRUNCATED, QCOW2_OK },
	{ "too far", UINT64_C(0x7fffffff00000000), 1, MIB, QCOW2_E_L1, QCOW2_E_L1 },
	{ "in part past the file", CLUSTER, 4194304, MIB, QCOW2_E_TRUNCATED, QCOW2_OK },
	{ "0 entries", 0, 0, MIB, QCOW2_E_L1, QCOW2_E_L1 },
	{ "0 entries, past the file", UINT64_C(1) << 40, 0, MIB, QCOW2_E_L1, QCOW2_E_L1 },
	{ "0 entries, size 0", 0, 0, 0, QCOW2_OK, QCOW2_OK },
	{ "just long enough", CLUSTER, 1, 2 * MIB, QCOW2_OK, QCOW2_OK },
	{ "one byte too short", CLUSTER, 1, 2 * MIB + 1, QCOW2_E_L1, QCOW2_E_L1 },
	{ "size 2^62", CLUSTER, 1, UINT64_C(1) << 62, QCOW2_E_L1, QCOW2_E_L1 },
	{ "size 0", CLUSTER, 1, 0, QCOW2_OK, QCOW2_OK },
	{ "size 2^63", CLUSTER, 1, UINT64_C(1) << 63, QCOW2_E_TOO_BIG, QCOW2_E_TOO_BIG },
	{ "size 2^64-1", CLUSTER, 1, UINT64_MAX, QCOW2_E_TOO_BIG, QCOW2_E_TOO_BIG },
};

static void test_l1(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(l1_cases); i++) {
		const struct l1_case *c = &l1_cases[i / 2];
		struct test_image s = { 0 };
		struct image_snapshot *snap = NULL;
		struct qcow2_snapshot e;
		struct qcow2_image image;
		struct qcow2_error err = { 0 };
		int want = i % 2 ? c->status_truncated : c->status;
		int rc = 0;

		test_case("%s, truncation allowed %u", c->name, (unsigned)(i % 2));
		image_init(&s.img, 3, BITS, MIB);
		snap = image_add_snapshot(&s.img, "1", "x");
		snap->l1_pos_set = snap->l1_entries_set = true;
		snap->l1_pos = c->pos;
		snap->l1_entries = c->entries;
		snap->disk_size = c->disk_size;
		test_image_open_flags(&s, i % 2 ? QCOW2_OPEN_TRUNCATED : 0);
		EQ(qcow2_snapshot_next(&s.image, NULL, &e, &err), QCOW2_OK);
		memset(&image, 0, sizeof image);
		rc = qcow2_snapshot_image(&image, &s.image, &e, &err);
		EQ(rc, want);
		EQ(err.status, rc);
		if (rc != QCOW2_OK) {
			TRUE(err.io == &s.image.io);
			ALL(&image, 0, sizeof image); /* closed */
		}
		if (rc == QCOW2_E_TRUNCATED)
			EQ(err.pos, s.img.file.len);
		if (rc == QCOW2_E_TOO_BIG)
			EQ(err.detail, c->disk_size > INT64_MAX ? c->disk_size : c->entries);
		test_image_free(&s);
	}
}

/*
 * The state of the machine is behind the disk, at the next L1 entry. An entry of the L1 table maps
 * 2 MiB, and the table begins a slice, so the first entries of the state may be in any slice.
 */
struct state_case {
	uint64_t disk_size;
	uint32_t first; /* L1 entry */
	uint64_t len;
	uint32_t extra_len;
};

static const struct state_case state_cases[] = {
	{ 0, 0, 1, 16 },
	{ 1, 1, 4097, 16 },
	{ 2 * MIB, 1, 2 * MIB, 16 },
	{ 2 * MIB + 1, 2, 2 * MIB + 1, 24 },
	{ 3 * MIB, 2, 5 * MIB + 3, 0 }, /* no sizes in the extra data: that of the image, 32 bits */
	{ 126 * MIB, 63, 4 * MIB, 16 },
	{ 128 * MIB, 64, 300000, 16 },
};

static void test_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(state_cases); i++) {
		const struct state_case *c = &state_cases[i];
		struct test_image s = { 0 };
		struct image_snapshot *snap = NULL;
		struct test_reader reader;
		struct qcow2_image below;
		struct qcow2_image image;
		struct qcow2_snapshot e;
		uint8_t *want = calloc((size_t)c->len, 1);

		test_case("state %u", (unsigned)i);
		image_init(&s.img, 3, BITS, 3 * MIB);
		image_set_backing(&s.img, "below", 5, 0);
		image_add_range(&s.img, &s.img.active, 0, 20, IMAGE_DATA);
		snap = image_add_snapshot(&s.img, "1", "x");
		snap->disk_size = c->disk_size;
		snap->vm_state_size = c->extra_len == 0 ? (uint32_t)c->len : 1;
		snap->vm_state_size_large = c->len;
		snap->extra_len = c->extra_len;
		snap->table.l1_entries = c->first + (uint32_t)(c->len / (2 * MIB)) + 1;
		image_add_range(&s.img, &snap->table, c->first * 512, 40, IMAGE_DATA);
		image_add_range(&s.img, &snap->table, c->first * 512 + 41, 3, IMAGE_COMPRESSED);
		image_add(&s.img, &snap->table, c->first * 512 + (c->len - 1) / CLUSTER,
		          IMAGE_DATA);
		test_image_open(&s);
		EQ(qcow2_image_raw(&below, &s.io.io), QCOW2_OK);
		EQ(qcow2_image_attach_backing(&s.image, &below), QCOW2_OK);
		check_next(&s, &e, true);
		test_io_reset(&s.io);
		EQ(qcow2_snapshot_state_image(&image, &s.image, &e, NULL), QCOW2_OK);
		EQ(s.io.calls, 0);
		EQ(image.size, c->len);
		EQ(image.l1_pos, e.l1_pos + 8 * c->first);
		EQ(image.l1_entries, e.l1_entries - c->first);
		image_expect(&s.img, &s.img.snapshots[0].table, c->first * 2 * MIB, want,
		             (size_t)c->len);
		test_reader_init(&reader, &image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, 0, want, (size_t)c->len), QCOW2_OK);
		EQ(test_reader_read(&reader, c->len - 1, want + c->len - 1, 1), QCOW2_OK);
		EQ(test_reader_read(&reader, c->len, want, 1), QCOW2_E_RANGE);
		test_reader_free(&reader);
		free(want);
		test_image_free(&s);
	}
}

struct no_state_case {
	const char *name;
	uint64_t len, disk_size;
	uint32_t l1_entries;
	int status;
	uint64_t detail;
};

static const struct no_state_case no_state_cases[] = {
	{ "none", 0, 2 * MIB, 1, QCOW2_E_NOT_FOUND, 0 },
	{ "fills its L1 entry", 2 * MIB, 2 * MIB, 2, QCOW2_OK, 0 },
	{ "one byte more than its L1 entry", 2 * MIB + 1, 2 * MIB, 2, QCOW2_E_L1, 2 * MIB + 1 },
	{ "no L1 entry", 1, 2 * MIB, 1, QCOW2_E_L1, 1 },
	{ "2^64-1 bytes", UINT64_MAX, 2 * MIB, 2, QCOW2_E_L1, UINT64_MAX },
	{ "the disk does not open", 5, 2 * MIB + 1, 1, QCOW2_E_L1, 1 },
};

static void test_no_state(void **state)
{
	struct qcow2_error err;
	struct qcow2_image image;
	struct qcow2_snapshot e;

	(void)state;
	for (size_t i = 0; i < COUNT(no_state_cases); i++) {
		const struct no_state_case *c = &no_state_cases[i];
		struct test_image s = { 0 };
		struct image_snapshot *snap = NULL;

		test_case("state: %s", c->name);
		image_init(&s.img, 3, BITS, MIB);
		snap = image_add_snapshot(&s.img, "1", "x");
		snap->disk_size = c->disk_size;
		snap->vm_state_size_large = c->len;
		snap->table.l1_entries = c->l1_entries;
		test_image_open(&s);
		EQ(qcow2_snapshot_next(&s.image, NULL, &e, NULL), QCOW2_OK);
		EQ(qcow2_snapshot_state_image(&image, &s.image, &e, &err), c->status);
		EQ(err.status, c->status);
		if (c->status != QCOW2_OK) {
			TRUE(err.io == &s.image.io);
			ALL(&image, 0, sizeof image); /* closed */
			EQ(err.detail, c->detail);
		}
		test_image_free(&s);
	}
	/* The entry has no disk size, and the image has grown past the table. */
	{
		struct test_image s = { 0 };
		struct image_snapshot *snap = NULL;

		test_case("state of a disk that has grown");
		image_init(&s.img, 3, BITS, 7 * MIB);
		snap = image_add_snapshot(&s.img, "1", "x");
		snap->extra_len = 0;
		snap->vm_state_size = 1;
		snap->table.l1_entries = 3;
		test_image_open(&s);
		EQ(qcow2_snapshot_next(&s.image, NULL, &e, NULL), QCOW2_OK);
		EQ(qcow2_snapshot_state_image(&image, &s.image, &e, &err), QCOW2_E_L1);
		EQ(err.detail, 1);
		EQ(qcow2_snapshot_state_image(&image, NULL, &e, NULL), QCOW2_E_ARGUMENT);
		test_image_free(&s);
	}
	{
		struct test_image s = { 0 };

		test_case("state of an image with AES");
		image_init(&s.img, 3, BITS, MIB);
		image_add_snapshot(&s.img, "1", "x")->vm_state_size_large = 5;
		image_set(&s.img, IMAGE_CRYPT_METHOD, 1);
		test_image_open_flags(&s, QCOW2_OPEN_INSPECT);
		EQ(qcow2_snapshot_next(&s.image, NULL, &e, NULL), QCOW2_OK);
		EQ(qcow2_snapshot_state_image(&image, &s.image, &e, &err), QCOW2_E_ENCRYPTED);
		EQ(err.detail, 1);
		test_image_free(&s);
	}
}

static void test_refused(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_snapshot e;
	struct qcow2_image image;
	struct qcow2_image raw;
	struct qcow2_error err = { 0 };
	uint8_t buf[64];

	(void)state;
	test_case("with a data file");
	image_init(&s.img, 3, BITS, MIB);
	s.img.has_data_file = true;
	image_add_snapshot(&s.img, "1", "x");
	test_image_open(&s);
	EQ(qcow2_snapshot_next(&s.image, NULL, &e, &err), QCOW2_OK);
	EQ(qcow2_snapshot_image(&image, &s.image, &e, &err), QCOW2_E_SNAPSHOT_DATA_FILE);
	EQ(err.status, QCOW2_E_SNAPSHOT_DATA_FILE);
	EQ(err.pos, e.pos);

	test_case("arguments");
	EQ(qcow2_snapshot_next(NULL, NULL, &e, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_next(&s.image, NULL, NULL, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_strings(&s.image, NULL, buf, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_strings(&s.image, &e, NULL, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_strings(NULL, &e, buf, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_image(&image, NULL, &e, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_image(&image, &s.image, NULL, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_image(NULL, &s.image, &e, &err), QCOW2_E_ARGUMENT);
	memset(&err, 0x77, sizeof err);
	EQ(qcow2_snapshot_image(NULL, &s.image, &e, &err), QCOW2_E_ARGUMENT);
	TRUE(err.io == NULL);

	test_case("a closed image");
	memset(&raw, 0, sizeof raw);
	EQ(qcow2_snapshot_next(&raw, NULL, &e, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_strings(&raw, &e, buf, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_snapshot_image(&image, &raw, &e, &err), QCOW2_E_ARGUMENT);

	test_case("an image without");
	EQ(qcow2_image_raw(&raw, &s.io.io), QCOW2_OK);
	EQ(qcow2_snapshot_next(&raw, NULL, &e, &err), QCOW2_E_NOT_FOUND);
	test_image_free(&s);
	image_init(&s.img, 3, BITS, MIB);
	test_image_open(&s);
	EQ(qcow2_snapshot_next(&s.image, NULL, &e, NULL), QCOW2_E_NOT_FOUND);
	test_image_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),       cmocka_unit_test(test_largest),
		cmocka_unit_test(test_no_strings), cmocka_unit_test(test_images),
		cmocka_unit_test(test_short_l1),   cmocka_unit_test(test_extra),
		cmocka_unit_test(test_truncated),  cmocka_unit_test(test_l1),
		cmocka_unit_test(test_refused),    cmocka_unit_test(test_no_strings_at_end),
		cmocka_unit_test(test_lengths),    cmocka_unit_test(test_state),
		cmocka_unit_test(test_no_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
