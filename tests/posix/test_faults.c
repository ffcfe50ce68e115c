/* SPDX-License-Identifier: MIT */
/*
 * Every allocation and every read fails once: the error is told, nothing leaks, and the same call
 * succeeds after that.
 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/status.h"

enum { CLUSTER = 65536, DISK = 8 * CLUSTER };

static uint8_t expected[DISK];

/* An overlay with every kind of cluster and a snapshot, over a qcow2 file, over a raw one. */
static void write_files(void)
{
	struct image img;
	struct image_snapshot *s;

	memset(expected, 0x55, sizeof expected);
	file_write("raw", expected, sizeof expected);

	image_init(&img, 2, 12, DISK);
	image_add_range(&img, &img.active, 16, 16, IMAGE_DATA);
	image_set_backing(&img, "raw", 3, 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	image_to_file(&img, "mid", NULL);
	image_expect(&img, &img.active, 0, expected, sizeof expected);
	image_free(&img);

	image_init(&img, 3, 16, DISK);
	image_add(&img, &img.active, 2, IMAGE_DATA);
	image_add(&img, &img.active, 3, IMAGE_COMPRESSED);
	image_add(&img, &img.active, 4, IMAGE_ZERO);
	image_set_backing(&img, "mid", 3, 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
	s = image_add_snapshot(&img, "1", "first");
	s->disk_size = DISK;
	image_share(&img, &s->table, &img.active, 2);
	image_share(&img, &s->table, &img.active, 3);
	image_add(&img, &s->table, 4, IMAGE_ZERO);
	image_to_file(&img, "top", NULL);
	image_expect(&img, &img.active, 0, expected, sizeof expected);
	image_free(&img);
}

static int setup(void **state)
{
	int rc = dir_setup(state);

	if (rc == 0)
		write_files();
	return rc;
}

static struct qcow2 *open_top(void)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	options.flags = QCOW2_FOLLOW;
	options.path = "top";
	options.snapshot = "first";
	options.max_readers = 1;
	return qcow2_open_options(open_read("top"), &options, NULL);
}

static int read_all(struct qcow2 *q)
{
	static uint8_t buf[DISK];
	int n = qcow2_read(q, buf, sizeof buf, 0);

	if (n > 0) {
		assert_int_equal(n, sizeof buf);
		assert_memory_equal(buf, expected, sizeof buf);
	}
	return n;
}

static int list(struct qcow2 *q)
{
	struct qcow2_snapshot_entry *entries;
	int n = qcow2_list_snapshots(q, &entries);

	if (n >= 0) {
		assert_int_equal(n, 1);
		assert_string_equal(entries[0].name, "first");
		free(entries);
	}
	return n;
}

static int map_all(struct qcow2 *q)
{
	struct qcow2_segment segment;
	uint64_t at = 0;
	int rc;

	while ((rc = qcow2_map(q, at, UINT64_MAX, &segment)) > 0)
		at += segment.length;
	if (rc == 0)
		assert_int_equal(at, DISK);
	return rc;
}

/* Lets the n-th allocation or read fail. */
static void arm(bool alloc, unsigned n)
{
	hooks_reset();
	if (alloc)
		hooks.fail_alloc = n;
	else
		hooks.fail_pread = n;
	hooks.pread_errno = ENODATA;
}

static bool has_fired(bool alloc, unsigned n)
{
	return alloc ? hooks.n_allocs >= n : hooks.n_preads >= n;
}

/* Each fault while opening: NULL, the right errno, no descriptor left. */
static void open_faults(bool alloc)
{
	unsigned before = count_fds(), n;
	struct qcow2 *q;

	for (n = 1;; n++) {
		arm(alloc, n);
		errno = 0;
		q = open_top();
		if (!has_fired(alloc, n))
			break;
		if (q == NULL) {
			assert_int_equal(errno, alloc ? ENOMEM : ENODATA);
			assert_int_equal(count_fds(), before);
		}
		/* A path for messages may be missing; nothing else. */
		hooks_reset();
		if (q != NULL)
			assert_int_equal(read_all(q), DISK);
		qcow2_close(q);
	}
	assert_non_null(q);
	assert_true(n > 5u);
	qcow2_close(q);
	assert_int_equal(count_fds(), before);
}

/*
 * Each fault in a call on a fresh handle; the next call succeeds. A fault in reading ahead is made
 * good by reading what is needed, one in starting zlib by the core's decoder: the call may succeed,
 * but not each time.
 */
static void call_faults(bool alloc, int (*call)(struct qcow2 *q), bool must_fail)
{
	unsigned n, failed = 0;

	for (n = 1;; n++) {
		struct qcow2 *q;
		int rc;

		hooks_reset();
		q = open_top();
		assert_non_null(q);
		arm(alloc, n);
		errno = 0;
		rc = call(q);
		if (!has_fired(alloc, n)) {
			assert_true(rc >= 0);
			qcow2_close(q);
			break;
		}
		if (rc == -1) {
			assert_int_equal(errno, alloc ? ENOMEM : ENODATA);
			failed++;
		}
		hooks_reset();
		assert_true(call(q) >= 0);
		qcow2_close(q);
	}
	assert_true(!must_fail || failed >= n / 2u);
	hooks_reset();
}

static void test_open_alloc(void **state)
{
	(void)state;
	open_faults(true);
}

static void test_open_read(void **state)
{
	(void)state;
	open_faults(false);
}

static void test_read_alloc(void **state)
{
	(void)state;
	call_faults(true, read_all, true);
}

static void test_read_read(void **state)
{
	(void)state;
	call_faults(false, read_all, true);
}

static void test_list_alloc(void **state)
{
	(void)state;
	call_faults(true, list, true);
}

static void test_list_read(void **state)
{
	(void)state;
	call_faults(false, list, true);
}

static void test_map_alloc(void **state)
{
	(void)state;
	call_faults(true, map_all, true);
}

static void test_map_read(void **state)
{
	(void)state;
	call_faults(false, map_all, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_alloc), cmocka_unit_test(test_open_read),
		cmocka_unit_test(test_read_alloc), cmocka_unit_test(test_read_read),
		cmocka_unit_test(test_list_alloc), cmocka_unit_test(test_list_read),
		cmocka_unit_test(test_map_alloc),  cmocka_unit_test(test_map_read),
	};

	return cmocka_run_group_tests(tests, setup, dir_teardown);
}
