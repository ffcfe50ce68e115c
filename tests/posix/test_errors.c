/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong beside the image itself: names that are no text, devices, files that the caller
 * gave and that are not there. The errno, and that the message tells it.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/pack.h"
#include "qcow2/status.h"

enum { CLUSTER = 65536 };

/* ---- Names in messages ---- */

/* What an image calls its backing file, and what a message may show of that. */
static const struct {
	const char *name, *shown;
} names[] = {
	{ "plain name", "'plain name'" },
	{ "\x7e\xc2\xa0\xdf\xbf", "'\x7e\xc2\xa0\xdf\xbf'" },
	{ "\xe0\xa0\x80\xef\xbf\xbd", "'\xe0\xa0\x80\xef\xbf\xbd'" },
	{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "'\xf0\x90\x80\x80\xf4\x8f\xbf\xbf'" },
	{ "\xed\x9f\xbf\xee\x80\x80", "'\xed\x9f\xbf\xee\x80\x80'" }, /* around the surrogates */
	/* Control characters, and marks that change what is seen around them. */
	{ "a\nb\x1b", "'a\\x0ab\\x1b'" },
	{ "\x7f", "'\\x7f'" },
	{ "\xc2\x9f", "'\\xc2\\x9f'" },
	{ "\xe2\x80\xa7|\xe2\x80\xa8", "'\xe2\x80\xa7|\\xe2\\x80\\xa8'" },
	{ "\xe2\x80\xae|\xe2\x80\xaf", "'\\xe2\\x80\\xae|\xe2\x80\xaf'" },
	{ "\xe2\x81\xa5|\xe2\x81\xa6", "'\xe2\x81\xa5|\\xe2\\x81\\xa6'" },
	{ "\xe2\x81\xa9|\xe2\x81\xaa", "'\\xe2\\x81\\xa9|\xe2\x81\xaa'" },
	/* No UTF-8: stray, cut short, longer than need be, surrogates, beyond Unicode. */
	{ "\x80", "'\\x80'" },
	{ "\xc2", "'\\xc2'" },
	{ "\xc2\x41", "'\\xc2A'" },
	{ "\xe2\x82", "'\\xe2\\x82'" },
	{ "\xe2\x82\xc0", "'\\xe2\\x82\\xc0'" },
	{ "\xc1\xbf", "'\\xc1\\xbf'" },
	{ "\xe0\x9f\xbf", "'\\xe0\\x9f\\xbf'" },
	{ "\xf0\x8f\xbf\xbf", "'\\xf0\\x8f\\xbf\\xbf'" },
	{ "\xed\xa0\x80", "'\\xed\\xa0\\x80'" },
	{ "\xed\xbf\xbf", "'\\xed\\xbf\\xbf'" },
	{ "\xf4\x90\x80\x80", "'\\xf4\\x90\\x80\\x80'" },
	{ "\xf5\x80\x80\x80", "'\\xf5\\x80\\x80\\x80'" },
};

static void test_names(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(names); i++) {
		const char *message = qcow2_last_failure()->message;

		write_overlay("named", names[i].name, "raw");
		fails_with("named", &options, ENOTSUP);
		if (strstr(message, names[i].shown) == NULL)
			fail_msg("case %zu: %s is not in: %s", i, names[i].shown, message);
	}
}

/* A name of the greatest length still leaves a message that ends, and is not cut in a character. */
static void test_long_name(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	const char *message = qcow2_last_failure()->message;
	char name[1024] = "";
	size_t at;

	(void)state;
	for (at = 0; at + 3u < sizeof name; at += 3u)
		memcpy(name + at, "\xe2\x82\xac", 4);
	write_overlay("named", name, "raw");
	fails_with("named", &options, ENOTSUP);
	assert_non_null(strstr(message, "\xe2\x82\xac' (format raw)"));
	assert_true(strlen(message) < 400u); /* the name takes 255 at most */
}

/* ---- Devices ---- */

static void test_device(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t buf[CLUSTER], want[CLUSTER];
	int fd;

	(void)state;
	hooks_reset();
	small_image(&img);
	fd = image_to_fd(&img);
	assert_int_equal(lseek(fd, 7, SEEK_SET), 7);
	hooks.block_device = true;
	q = qcow2_open(fd, NULL);
	assert_non_null(q);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
	assert_int_equal(read_guarded(q, buf, CLUSTER, CLUSTER), CLUSTER);
	image_expect(&img, &img.active, CLUSTER, want, CLUSTER);
	assert_memory_equal(buf, want, CLUSTER);
	qcow2_close(q);
	hooks_reset();
	image_free(&img);
}

/* Its size cannot be found, or the position not be put back. */
static void test_device_fails(void **state)
{
	struct image img;
	unsigned n, before = count_fds();

	(void)state;
	small_image(&img);
	for (n = 1; n <= 3; n++) {
		hooks_reset();
		hooks.block_device = true;
		hooks.fail_at[CALL_LSEEK] = n;
		errno = 0;
		assert_null(qcow2_open(image_to_fd(&img), NULL));
		assert_int_equal(errno, ENXIO);
		assert_non_null(strstr(qcow2_last_failure()->message, "device"));
		assert_int_equal(count_fds(), before);
	}
	hooks_reset();
	image_free(&img);
}

static void test_no_stat(void **state)
{
	struct image img;
	unsigned before = count_fds();

	(void)state;
	small_image(&img);
	hooks_reset();
	hooks.fail_at[CALL_STAT] = 1;
	assert_null(qcow2_open(image_to_fd(&img), NULL));
	assert_int_equal(errno, EOVERFLOW);
	assert_int_equal(count_fds(), before);
	hooks_reset();
	image_free(&img);
}

/* ---- Files that the caller gave ---- */

static void test_given_missing(void **state)
{
	struct qcow2_file file = { "not here", -1, "raw" };
	struct qcow2_options options = { .struct_size = sizeof options };

	(void)state;
	write_overlay("top", "base", "raw");
	options.backing = &file;
	options.n_backing = 1;
	fails_with("top", &options, ENOENT);
	assert_non_null(strstr(qcow2_last_failure()->message, "not here"));

	/* The image names none, and nobody says what the file is. */
	{
		struct image img;

		small_image(&img);
		image_to_file(&img, "alone", NULL);
		image_free(&img);
	}
	file.path = "alone";
	file.format = NULL;
	fails_with("alone", &options, ENOTSUP);
	assert_int_equal(qcow2_last_failure()->status, QCOW2_E_ARGUMENT);
}

/* A backing file that came as a descriptor has no name for the message: its depth says which. */
static void test_depth_in_message(void **state)
{
	struct qcow2_file files[2] = { { NULL, -1, "qcow2" }, { NULL, -1, "qcow2" } };
	struct qcow2_options options = { .struct_size = sizeof options };

	(void)state;
	write_overlay("top", "mid", "qcow2");
	write_overlay("mid", "low", "qcow2");
	file_write("low", "no image", 8);
	options.backing = files;
	options.n_backing = 2;
	files[0].fd = open_read("mid");
	files[1].fd = open_read("low");
	assert_null(qcow2_open_options(open_read("top"), &options, NULL));
	assert_int_equal(errno, EINVAL);
	assert_int_equal(qcow2_last_failure()->depth, 2);
	assert_non_null(strstr(qcow2_last_failure()->message, "backing file at depth 2: "));
}

/* The same of a data file, whose depth is that of the image that has it. */
static void test_data_file_in_message(void **state)
{
	struct qcow2_file file = { NULL, -1, NULL };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;
	struct qcow2 *q;
	char byte;

	(void)state;
	image_init(&img, 3, 16, CLUSTER);
	img.has_data_file = true;
	image_add(&img, &img.active, 0, IMAGE_DATA);
	image_to_file(&img, "img", NULL);
	image_free(&img);
	file_write("empty", "", 0);
	file.fd = open_read("empty");
	options.data_file = &file;
	q = qcow2_open_options(open_read("img"), &options, NULL);
	assert_non_null(q);
	assert_int_equal(read_guarded(q, &byte, 1, 0), -1);
	assert_int_equal(qcow2_last_failure()->status, QCOW2_E_TRUNCATED);
	assert_int_equal(qcow2_last_failure()->depth, 0);
	assert_string_equal(qcow2_last_failure()->message,
	                    "data file at depth 0: image is truncated (at file offset 0)");
	qcow2_close(q);
}

/* ---- Limits and options ---- */

static void test_readers(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;
	struct qcow2 *q;
	char byte;

	(void)state;
	small_image(&img);
	image_to_file(&img, "img", NULL);
	options.max_readers = UINT_MAX; /* as many as there can be */
	q = qcow2_open_options(open_read("img"), &options, NULL);
	assert_non_null(q);
	assert_int_equal(read_guarded(q, &byte, 1, 0), 1);
	qcow2_close(q);

	hooks_reset();
	hooks.no_sysconf = true; /* nobody knows how many processors there are */
	options.max_readers = 0;
	q = qcow2_open_options(open_read("img"), &options, NULL);
	hooks_reset();
	assert_non_null(q);
	assert_int_equal(read_guarded(q, &byte, 1, 0), 1);
	qcow2_close(q);
	image_free(&img);
}

static void test_allow_truncated(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t buf[CLUSTER];
	size_t i;

	(void)state;
	small_image(&img);
	image_finish(&img);
	file_write("cut", img.file.data, (size_t)img.active.clusters[0].pos);
	assert_null(open_with("cut", 0));
	assert_int_equal(errno, EIO);
	q = open_with("cut", QCOW2_ALLOW_TRUNCATED);
	assert_non_null(q);
	assert_int_equal(read_guarded(q, buf, CLUSTER, CLUSTER), CLUSTER);
	for (i = 0; i < CLUSTER; i++)
		assert_int_equal(buf[i], 0);
	qcow2_close(q);
	image_free(&img);
}

static void test_bad_snapshot(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image_snapshot *s;
	struct image img;

	(void)state;
	small_image(&img);
	s = image_add_snapshot(&img, "1", "one");
	s->l1_pos_set = true;
	s->l1_pos = 512;
	image_to_file(&img, "snap", NULL);
	image_free(&img);
	options.snapshot = "one";
	fails_with("snap", &options, EINVAL);
	assert_int_equal(qcow2_last_failure()->status, QCOW2_E_L1);
}

static void test_names_not_followed(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	char name[1024];

	(void)state;
	options.flags = QCOW2_FOLLOW;
	options.path = "top";
	write_overlay("top", "file:", "raw");
	fails_with("top", &options, ENOENT);
	memset(name, 'n', sizeof name);
	name[sizeof name - 2u] = '\0'; /* longer than a name in a directory can be */
	write_overlay("top", name, "raw");
	fails_with("top", &options, ENAMETOOLONG);
}

/* The directory of an absolute name may end in slashes, in the image's path too. */
static void test_slashes(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	char path[256], name[256];
	struct qcow2 *q;
	char byte;

	(void)state;
	file_write("base", "x", 1);
	snprintf(name, sizeof name, "%s//base", dir_path());
	snprintf(path, sizeof path, "%s//top", dir_path());
	write_overlay("top", name, "raw");
	options.flags = QCOW2_FOLLOW;
	options.path = path;
	q = qcow2_open_options(open_read("top"), &options, NULL);
	assert_non_null(q);
	assert_int_equal(read_guarded(q, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	qcow2_close(q);
}

/* A match from far back: the least memory of a reader is enough for it, whichever decoder it is. */
static void test_memory(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	uint8_t *plain = malloc(CLUSTER), *packed = malloc(pack_bound(CLUSTER));
	struct image img;
	struct qcow2 *q;
	uint32_t x = 1;
	size_t i, n;
	char buf[100];

	(void)state;
	for (i = 0; i < CLUSTER; i++) {
		x = x * 1664525u + 1013904223u;
		plain[i] = i < 20000 ? (uint8_t)(x >> 24) : plain[i - 20000];
	}
	n = pack_fixed(packed, plain, CLUSTER, 32768);
	image_init(&img, 3, 16, 2 * CLUSTER);
	image_add_packed(&img, &img.active, 0, packed, n, IMAGE_ANYWHERE, 0, plain);
	options.reader_memory = 1;
	options.max_readers = 1;
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	assert_non_null(q);
	assert_int_equal(read_guarded(q, buf, sizeof buf, 50000), sizeof buf);
	assert_memory_equal(buf, plain + 50000, sizeof buf);
	qcow2_close(q);
	image_free(&img);
	free(plain);
	free(packed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_device_fails),
		cmocka_unit_test(test_no_stat),
		cmocka_unit_test(test_given_missing),
		cmocka_unit_test(test_depth_in_message),
		cmocka_unit_test(test_data_file_in_message),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_allow_truncated),
		cmocka_unit_test(test_bad_snapshot),
		cmocka_unit_test(test_names_not_followed),
		cmocka_unit_test(test_slashes),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
