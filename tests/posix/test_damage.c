/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Where a read or a map fails, and how far the reason reaches: offset, length and looks_cut of
 * qcow2_failure. What is before that part and behind it can be read.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/pack.h"
#include "qcow2/status.h"

enum { CLUSTER = 65536, N_CLUSTERS = 12, DISK = N_CLUSTERS * CLUSTER };

static const uint64_t table_len = UINT64_C(512) << 20; /* what an L2 table maps */
static const uint64_t far = UINT64_C(1) << 40;         /* past the end of each file here */
static const uint64_t bad_entry = 0x200;               /* not a multiple of the cluster size */

/* The part that a failure must have. */
struct part {
	int status;
	uint64_t offset, length;
};

static void part_is(const struct part *part)
{
	const struct qcow2_failure *failure = qcow2_last_failure();

	EQ(failure->status, part->status);
	EQ(failure->error, errno);
	EQ(failure->offset, part->offset);
	EQ(failure->length, part->length);
}

/* Reading [offset, offset + len) fails in this part, and not outside of it. */
static void read_fails(struct qcow2 *q, uint64_t offset, size_t len, struct part part)
{
	static uint8_t buf[DISK];
	uint64_t end = part.offset + part.length;
	size_t before = (size_t)(part.offset - offset);

	test_case("%zu bytes at %llu", len, (unsigned long long)offset);
	TRUE(q != NULL);
	EQ(qcow2_read(q, buf, len, offset), -1);
	part_is(&part);
	if (before != 0u)
		EQ(qcow2_read(q, buf, before, offset), before);
	if (end < qcow2_get_size(q)) {
		EQ(qcow2_read(q, buf, 1, end - 1u), -1);
		part = (struct part){ part.status, end - 1u, 1 };
		part_is(&part);
	}
}

/* The same, and qcow2_map fails where the part begins. */
static void fails(struct qcow2 *q, uint64_t offset, size_t len, struct part part)
{
	struct qcow2_segment s;

	read_fails(q, offset, len, part);
	EQ(map_guarded(q, part.offset, 1, &s), -1);
	part_is(&part);
}

/* The byte where the part ends is fine. */
static void goes_on(struct qcow2 *q, const struct qcow2_failure *failure)
{
	uint8_t byte;

	EQ(read_guarded(q, &byte, 1, failure->offset + failure->length), 1);
}

static struct qcow2 *open_image(struct image *img)
{
	struct qcow2 *q = open_good(image_to_fd(img));

	image_free(img);
	return q;
}

/* ---- Entries ---- */

/* Entries side by side that are bad for the same reason are one part. */
static void test_l2_entries(void **state)
{
	struct image img;
	struct qcow2 *q;
	unsigned i;

	(void)state;
	image_init(&img, 3, 16, DISK);
	image_add_range(&img, &img.active, 0, N_CLUSTERS, IMAGE_DATA);
	for (i = 3; i < 6; i++)
		image_add_raw(&img, &img.active, i, bad_entry, 0);
	image_add_raw(&img, &img.active, 8, bad_entry, 0);
	image_add_raw(&img, &img.active, 9, IMAGE_COPIED | far, 0);
	image_add_raw(&img, &img.active, 11, bad_entry, 0);
	q = open_image(&img);
	fails(q, 0, DISK, (struct part){ QCOW2_E_L2_ENTRY, 3 * CLUSTER, 3 * CLUSTER });
	goes_on(q, qcow2_last_failure());
	fails(q, 3 * CLUSTER, 10, (struct part){ QCOW2_E_L2_ENTRY, 3 * CLUSTER, 3 * CLUSTER });
	fails(q, 4 * CLUSTER + 100, 1,
	      (struct part){ QCOW2_E_L2_ENTRY, 4 * CLUSTER + 100, 2 * CLUSTER - 100 });
	fails(q, 7 * CLUSTER, 2 * CLUSTER, (struct part){ QCOW2_E_L2_ENTRY, 8 * CLUSTER, CLUSTER });
	fails(q, 9 * CLUSTER, 1, (struct part){ QCOW2_E_TRUNCATED, 9 * CLUSTER, CLUSTER });
	goes_on(q, qcow2_last_failure());
	fails(q, 10 * CLUSTER, CLUSTER + 1,
	      (struct part){ QCOW2_E_L2_ENTRY, 11 * CLUSTER, CLUSTER });
	qcow2_close(q);
}

/*
 * A bad L1 entry takes all that its table would map. The next one is another part: going through
 * what it maps cluster by cluster would take long.
 */
static void test_l1_entries(void **state)
{
	const uint64_t per_table = table_len / CLUSTER;
	struct image img;
	struct qcow2 *q;

	(void)state;
	image_init(&img, 3, 16, 4 * table_len - 5000);
	image_set_l1(&img, &img.active, 0, bad_entry);
	image_set_l1(&img, &img.active, 1, bad_entry);
	image_add(&img, &img.active, 2 * per_table, IMAGE_DATA);
	image_set_l1(&img, &img.active, 3, bad_entry);
	q = open_image(&img);
	fails(q, 10, 1, (struct part){ QCOW2_E_L2_ENTRY, 10, table_len - 10 });
	fails(q, table_len, 1, (struct part){ QCOW2_E_L2_ENTRY, table_len, table_len });
	goes_on(q, qcow2_last_failure());
	fails(q, 3 * table_len - 1, 2,
	      (struct part){ QCOW2_E_L2_ENTRY, 3 * table_len, table_len - 5000 });
	qcow2_close(q);
}

/* ---- Pointers past the end of the file ---- */

/* Checks looks_cut and a part of the message. */
static void says(int looks_cut, const char *text)
{
	EQ(qcow2_last_failure()->looks_cut, looks_cut);
	EQ(strstr(qcow2_last_failure()->message, "image is truncated: ") != NULL, looks_cut);
	HAS(qcow2_last_failure()->message, text);
}

/* Nothing was where the entry points: it is wrong, and the file is not cut. */
static void test_bad_pointers(void **state)
{
	struct image img;
	struct qcow2 *q;

	(void)state;
	image_init(&img, 3, 16, 2 * table_len);
	image_add(&img, &img.active, 2, IMAGE_DATA);
	image_add_raw(&img, &img.active, 3, IMAGE_COPIED | far, 0);
	image_set_l1(&img, &img.active, 1, IMAGE_COPIED | far);
	q = open_image(&img);
	fails(q, 0, DISK, (struct part){ QCOW2_E_TRUNCATED, 3 * CLUSTER, CLUSTER });
	says(0, "the L2 entry at file offset ");
	says(0, " points to data at 1099511627776, past the end of the file (");
	says(0, " bytes) (at disk offset 196608)");
	fails(q, table_len + 7, 1,
	      (struct part){ QCOW2_E_TRUNCATED, table_len + 7, table_len - 7 });
	says(0, "the L1 entry at file offset ");
	says(0, " points to an L2 table at 1099511627776, past the end of the file (");
	qcow2_close(q);
}

/* Opens an image whose last cluster is cluster 5 of the disk, without this cluster. */
static struct qcow2 *open_without_last(bool bad_pointer, uint64_t incompatible,
                                       uint64_t refcount_table)
{
	struct image img;

	image_init(&img, 3, 16, DISK);
	image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, incompatible);
	if (bad_pointer)
		image_add_raw(&img, &img.active, 5, IMAGE_COPIED | far, 0);
	else
		image_add_last(&img, &img.active, 5, CLUSTER);
	image_finish(&img);
	if (refcount_table != 0u)
		image_put(&img.file, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET), refcount_table,
		          8);
	if (!bad_pointer)
		image_buf_resize(&img.file, img.file.len - CLUSTER);
	return open_image(&img);
}

/*
 * The file looks cut if the refcounts say that the cluster is in use, or if they are not to be
 * relied on: those of a dirty image, or those that are missing as well.
 */
static void test_looks_cut(void **state)
{
	static const struct {
		bool bad_pointer;
		uint64_t incompatible, refcount_table;
		int looks_cut;
	} cases[] = {
		{ false, 0, 0, 1 },
		{ true, 0, 0, 0 },
		{ true, 1, 0, 1 },
		{ true, 0, UINT64_C(1) << 41, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct qcow2 *q = open_without_last(cases[i].bad_pointer, cases[i].incompatible,
		                                    cases[i].refcount_table);

		fails(q, 0, DISK, (struct part){ QCOW2_E_TRUNCATED, 5 * CLUSTER, CLUSTER });
		test_case("case %zu", i);
		says(cases[i].looks_cut, "points to data at ");
		qcow2_close(q);
	}
}

/* The file ends inside an L2 table. */
static void test_cut_table(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint64_t end;

	(void)state;
	image_init(&img, 3, 16, DISK);
	image_add(&img, &img.active, 5, IMAGE_DATA);
	image_finish(&img);
	end = img.file.len;
	EQ(end % CLUSTER, 0);
	image_put(&img.file, image_l1_entry_pos(&img, &img.active, 0), IMAGE_COPIED | end, 8);
	image_buf_resize(&img.file, (size_t)end + 512);
	q = open_image(&img);
	fails(q, 1, 1, (struct part){ QCOW2_E_TRUNCATED, 1, DISK - 1 });
	says(1, "points to an L2 table at ");
	says(1, ", cut off at the end of the file (");
	qcow2_close(q);
}

/* ---- Compressed data ---- */

/* The whole cluster is lost, whatever part of it is wanted, but not the one after it. */
static void test_compressed(void **state)
{
	static const uint8_t garbage[40] = { 0xff, 0xff, 0xff };
	struct image img;
	struct qcow2 *q;

	(void)state;
	image_init(&img, 3, 16, DISK);
	image_add(&img, &img.active, 1, IMAGE_COMPRESSED);
	image_add_packed(&img, &img.active, 2, garbage, sizeof garbage, IMAGE_ANYWHERE, 0, NULL);
	image_add_packed(&img, &img.active, 3, garbage, sizeof garbage, IMAGE_ANYWHERE, 0, NULL);
	q = open_image(&img);
	read_fails(q, 0, DISK, (struct part){ QCOW2_E_COMPRESSED, 2 * CLUSTER, CLUSTER });
	read_fails(q, 2 * CLUSTER + 5, 9,
	           (struct part){ QCOW2_E_COMPRESSED, 2 * CLUSTER + 5, CLUSTER - 5 });
	qcow2_close(q);
}

/* If its end is missing, QCOW2_ALLOW_TRUNCATED does not help: looks_cut is 0. */
static void test_cut_compressed(void **state)
{
	static const unsigned flags[] = { 0, QCOW2_ALLOW_TRUNCATED };
	static uint8_t plain[CLUSTER], packed[2 * CLUSTER];
	struct image img;
	size_t i;

	(void)state;
	LE(pack_bound(CLUSTER), sizeof packed);
	image_fill(plain, sizeof plain, 77, 0);
	image_init(&img, 3, 16, DISK);
	image_add_last_packed(&img, &img.active, 4, packed,
	                      pack_fixed(packed, plain, sizeof plain, 32768), 0, 0);
	image_finish(&img);
	image_buf_resize(&img.file, img.file.len - 3000);
	image_to_file(&img, "cut", NULL);
	for (i = 0; i < COUNT(flags); i++) {
		struct qcow2 *q = open_with("cut", flags[i]);

		read_fails(q, 0, DISK, (struct part){ QCOW2_E_TRUNCATED, 4 * CLUSTER, CLUSTER });
		EQ(qcow2_last_failure()->looks_cut, 0);
		HAS(qcow2_last_failure()->message, "points to compressed data at ");
		HAS(qcow2_last_failure()->message, ", cut off at the end of the file (");
		goes_on(q, qcow2_last_failure());
		qcow2_close(q);
	}
	image_free(&img);
}

/* ---- Reads that fail ---- */

/* The n-th pread from now on fails, and all after it if persistent. */
static void pread_fails(unsigned n, bool persistent)
{
	hooks_reset();
	hooks.fail_at[CALL_PREAD] = n;
	hooks.persistent = persistent;
}

static void lost_is(struct qcow2 *q, uint64_t offset, size_t len, struct part part)
{
	static uint8_t buf[DISK];

	EQ(qcow2_read(q, buf, len, offset), -1);
	EQ(errno, ENODATA);
	part_is(&part);
	hooks_reset();
	EQ(qcow2_read(q, buf, len, offset), len);
}

/* Data that cannot be read is lost up to the end of what was asked for. */
static void test_data_fails(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t byte;

	(void)state;
	image_init(&img, 3, 16, DISK);
	image_add_range(&img, &img.active, 0, 3, IMAGE_DATA);
	image_add(&img, &img.active, 4, IMAGE_DATA);
	q = open_image(&img);
	EQ(read_guarded(q, &byte, 1, 0), 1);
	pread_fails(1, true);
	lost_is(q, 10, 1000, (struct part){ QCOW2_E_IO, 10, 1000 });
	pread_fails(1, false);
	lost_is(q, 10, DISK - 10, (struct part){ QCOW2_E_IO, 10, 3 * CLUSTER - 10 });
	pread_fails(2, true);
	lost_is(q, 0, DISK, (struct part){ QCOW2_E_IO, 4 * CLUSTER, CLUSTER });
	qcow2_close(q);
}

/* A part of a table that cannot be read takes what its 512 bytes map. */
static void test_tables_fail(void **state)
{
	const uint64_t l2_part = UINT64_C(64) * CLUSTER, l1_part = 64 * table_len;
	static const uint64_t at = UINT64_C(5) << 20; /* in the second part of the L2 table */
	struct image img;
	unsigned n;

	(void)state;
	image_init(&img, 3, 16, UINT64_C(40) << 30);
	image_add(&img, &img.active, 0, IMAGE_DATA);
	image_to_file(&img, "tables", NULL);
	image_free(&img);
	for (n = 1; n <= 2u; n++) {
		struct qcow2 *q = open_with("tables", 0);
		uint64_t end = n == 1u ? l1_part : 2 * l2_part;

		pread_fails(n, true);
		lost_is(q, at, 10, (struct part){ QCOW2_E_IO, at, end - at });
		qcow2_close(q);
		/* Once only: nothing shows where it was. */
		q = open_with("tables", 0);
		pread_fails(n, false);
		lost_is(q, at, 10, (struct part){ QCOW2_E_IO, at, 10 });
		qcow2_close(q);
	}
}

/*
 * Finding out how far damage reaches takes reads, each of which may fail. The failure is still that
 * of the call, and about a part of what was asked for.
 */
static void test_exploring_fails(void **state)
{
	const struct part part = { QCOW2_E_TRUNCATED, 5 * CLUSTER, CLUSTER };
	unsigned n = 0, n_failed = 1;

	(void)state;
	while (n_failed != 0u) {
		struct qcow2 *q = open_without_last(false, 0, 0);
		const struct qcow2_failure *failure = qcow2_last_failure();
		uint8_t buf[10];

		test_case("read %u fails", ++n);
		pread_fails(n, false);
		EQ(qcow2_read(q, buf, sizeof buf, 5 * CLUSTER), -1);
		n_failed = hooks.n_failed;
		EQ(failure->error, errno);
		TRUE(failure->status == QCOW2_E_TRUNCATED || failure->status == QCOW2_E_IO);
		EQ(errno, failure->status == QCOW2_E_IO ? ENODATA : EIO);
		EQ(failure->offset, 5 * CLUSTER);
		LE(1, failure->length);
		LE(failure->length, DISK - 5 * CLUSTER);
		hooks_reset();
		EQ(qcow2_read(q, buf, sizeof buf, 5 * CLUSTER), -1);
		part_is(&part);
		says(1, "points to data at ");
		qcow2_close(q);
	}
	LE(5, n); /* both tables, both entries, a refcount */
}

/* ---- Chains ---- */

/* Writes an overlay that has one cluster of data. */
static void write_layer(const char *path, const char *backing, unsigned cluster_bits, uint64_t size,
                        uint64_t cluster)
{
	struct image img;

	image_init(&img, 3, cluster_bits, size);
	image_set_backing(&img, backing, strlen(backing), 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
	image_add(&img, &img.active, cluster, IMAGE_DATA);
	image_to_file(&img, path, NULL);
	image_free(&img);
}

/*
 * What a table of a backing file maps is lost up to what an image above has, and no further than
 * the smallest of the images.
 */
static void test_layers(void **state)
{
	static const int status = QCOW2_E_L2_ENTRY;
	const uint64_t mid_size = table_len + 9 * CLUSTER;
	struct image img;
	struct qcow2 *q;
	uint8_t byte;

	(void)state;
	image_init(&img, 3, 16, 4 * table_len);
	image_set_l1(&img, &img.active, 0, bad_entry);
	image_set_l1(&img, &img.active, 1, bad_entry);
	image_to_file(&img, "base", NULL);
	image_free(&img);
	write_layer("mid", "base", 16, mid_size, 6);
	write_layer("top", "mid", 16, 2 * table_len, 3);
	q = open_with("top", QCOW2_FOLLOW);
	fails(q, 100, 1, (struct part){ status, 100, 3 * CLUSTER - 100 });
	EQ(qcow2_last_failure()->depth, 2);
	goes_on(q, qcow2_last_failure());
	fails(q, 3 * CLUSTER, 2 * CLUSTER, (struct part){ status, 4 * CLUSTER, 2 * CLUSTER });
	goes_on(q, qcow2_last_failure());
	fails(q, 7 * CLUSTER, 1, (struct part){ status, 7 * CLUSTER, table_len - 7 * CLUSTER });
	fails(q, table_len, 1, (struct part){ status, table_len, 9 * CLUSTER });
	/* Behind the end of the middle image, the disk is zeros. */
	EQ(read_guarded(q, &byte, 1, mid_size), 1);
	EQ(byte, 0);
	qcow2_close(q);
}

/* An image below that is smaller than the one above: its damage ends where it does. */
static void test_small_base(void **state)
{
	struct image img;
	struct qcow2 *q;

	(void)state;
	image_init(&img, 3, 16, 9 * CLUSTER + 77);
	image_set_l1(&img, &img.active, 0, bad_entry);
	image_to_file(&img, "base", NULL);
	image_free(&img);
	write_layer("top", "base", 16, DISK, 1);
	q = open_with("top", QCOW2_FOLLOW);
	fails(q, 2 * CLUSTER, 1, (struct part){ QCOW2_E_L2_ENTRY, 2 * CLUSTER, 7 * CLUSTER + 77 });
	goes_on(q, qcow2_last_failure());
	qcow2_close(q);
}

/*
 * One failure tells no more than 65,536 clusters of the image above hold, so that no call maps all
 * of that image.
 */
static void test_small_clusters_above(void **state)
{
	const uint64_t most = UINT64_C(65536) * 512u;
	struct image img;
	struct qcow2 *q;
	uint8_t byte;

	(void)state;
	image_init(&img, 3, 16, 2 * table_len);
	image_set_l1(&img, &img.active, 0, bad_entry);
	image_to_file(&img, "base", NULL);
	image_free(&img);
	write_layer("top", "base", 9, 2 * table_len, 2 * table_len / 512u - 1u);
	q = open_with("top", QCOW2_FOLLOW);
	EQ(read_guarded(q, &byte, 1, 7), -1);
	part_is(&(struct part){ QCOW2_E_L2_ENTRY, 7, most });
	fails(q, table_len - 5, 5, (struct part){ QCOW2_E_L2_ENTRY, table_len - 5, 5 });
	qcow2_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_clusters_above),
		cmocka_unit_test(test_l2_entries),
		cmocka_unit_test(test_l1_entries),
		cmocka_unit_test(test_bad_pointers),
		cmocka_unit_test(test_looks_cut),
		cmocka_unit_test(test_cut_table),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_cut_compressed),
		cmocka_unit_test(test_data_fails),
		cmocka_unit_test(test_tables_fail),
		cmocka_unit_test(test_exploring_fails),
		cmocka_unit_test(test_layers),
		cmocka_unit_test(test_small_base),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
