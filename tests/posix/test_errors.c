/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Failures that the image's own format does not cause: names that are not text, devices, files from
 * the caller that are missing or not needed. Checks the errno, and that the message explains it.
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

/* The backing file name in an image, and how a message shows it. */
static const struct {
	const char *name, *shown;
} names[] = {
	{ "plain name", "'plain name'" },
	{ "\x7e\xc2\xa0\xdf\xbf", "'\x7e\xc2\xa0\xdf\xbf'" },
	{ "\xe0\xa0\x80\xef\xbf\xbd", "'\xe0\xa0\x80\xef\xbf\xbd'" },
	{ "\xf0\x90\x80\x80\xf4\x8f\xbf\xbd", "'\xf0\x90\x80\x80\xf4\x8f\xbf\xbd'" },
	{ "\xed\x9f\xbf\xee\x80\x80", "'\xed\x9f\xbf\xee\x80\x80'" }, /* around the surrogates */
	/* Control characters, and marks that change how the text around them looks. */
	{ "a\nb\x1b", "'a\\x0ab\\x1b'" },
	{ "\x7f", "'\\x7f'" },
	{ "\xc2\x9f", "'\\xc2\\x9f'" },
	{ "\xe2\x80\xa7|\xe2\x80\xa8", "'\xe2\x80\xa7|\\xe2\\x80\\xa8'" },
	{ "\xe2\x80\xae|\xe2\x80\xaf", "'\\xe2\\x80\\xae|\xe2\x80\xaf'" },
	{ "\xe2\x81\x9f|\xe2\x81\xa0", "'\xe2\x81\x9f|\\xe2\\x81\\xa0'" },
	{ "\xe2\x81\xaf|\xe2\x81\xb0", "'\\xe2\\x81\\xaf|\xe2\x81\xb0'" },
	/* Invalid UTF-8: stray bytes, cut or overlong sequences, surrogates, beyond Unicode. */
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
	for (i = 0; i < COUNT(names); i++) {
		const char *message = qcow2_last_failure()->message;

		write_overlay("named", names[i].name, "raw");
		fails_with("named", &options, ENOTSUP);
		test_case("name %zu", i);
		HAS(message, names[i].shown);
	}
}

/* With a name of the greatest length, the message still ends, and no character is cut. */
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
	HAS(message, "\xe2\x82\xac' (format raw)");
	LE(strlen(message), 400); /* the name takes 255 at most */
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
	EQ(lseek(fd, 7, SEEK_SET), 7);
	hooks.block_device = true;
	q = qcow2_open(fd, NULL);
	TRUE(q != NULL);
	EQ(lseek(fd, 0, SEEK_CUR), 7);
	EQ(read_guarded(q, buf, CLUSTER, CLUSTER), CLUSTER);
	image_expect(&img, &img.active, CLUSTER, want, CLUSTER);
	SAME(buf, want, CLUSTER);
	qcow2_close(q);
	hooks_reset();
	image_free(&img);
}

/* The size cannot be found, or the position cannot be restored. */
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
		TRUE(qcow2_open(image_to_fd(&img), NULL) == NULL);
		EQ(errno, ENXIO);
		HAS(qcow2_last_failure()->message, "device");
		EQ(count_fds(), before);
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
	TRUE(qcow2_open(image_to_fd(&img), NULL) == NULL);
	EQ(errno, EOVERFLOW);
	EQ(count_fds(), before);
	hooks_reset();
	image_free(&img);
}

/* ---- Files from the caller ---- */

static void test_given_missing(void **state)
{
	struct qcow2_file file = { "not here", -1, "raw" };
	struct qcow2_options options = { .struct_size = sizeof options };

	(void)state;
	write_overlay("top", "base", "raw");
	options.backing = &file;
	options.n_backing = 1;
	fails_with("top", &options, ENOENT);
	HAS(qcow2_last_failure()->message, "not here");

	/* The image names no backing file, and the caller gives no format for the one it passes. */
	{
		struct image img;

		small_image(&img);
		image_to_file(&img, "alone", NULL);
		image_free(&img);
	}
	file.path = "alone";
	file.format = NULL;
	fails_with("alone", &options, ENOTSUP);
	EQ(qcow2_last_failure()->status, QCOW2_E_ARGUMENT);
}

/* A backing file passed as a descriptor has no name; the message has its depth instead. */
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
	TRUE(qcow2_open_options(open_read("top"), &options, NULL) == NULL);
	EQ(errno, EINVAL);
	EQ(qcow2_last_failure()->depth, 2);
	HAS(qcow2_last_failure()->message, "backing file at depth 2: ");
}

/* The same for a data file, which has the depth of the image that needs it. */
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
	TRUE(q != NULL);
	EQ(read_guarded(q, &byte, 1, 0), -1);
	EQ(qcow2_last_failure()->status, QCOW2_E_TRUNCATED);
	EQ(qcow2_last_failure()->depth, 0);
	TEXT(qcow2_last_failure()->message,
	     "data file at depth 0: image is truncated: the data at file offset 0 is past the end "
	     "of the file (0 bytes) (at disk offset 0)");
	EQ(qcow2_last_failure()->offset, 0);
	LE(1, qcow2_last_failure()->length);
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
	options.max_readers = UINT_MAX; /* the most that there can be */
	q = qcow2_open_options(open_read("img"), &options, NULL);
	TRUE(q != NULL);
	EQ(read_guarded(q, &byte, 1, 0), 1);
	qcow2_close(q);

	hooks_reset();
	hooks.no_sysconf = true; /* the number of processors is unknown */
	options.max_readers = 0;
	q = qcow2_open_options(open_read("img"), &options, NULL);
	hooks_reset();
	TRUE(q != NULL);
	EQ(read_guarded(q, &byte, 1, 0), 1);
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
	TRUE(open_with("cut", 0) == NULL);
	EQ(errno, EIO);
	q = open_with("cut", QCOW2_ALLOW_TRUNCATED);
	TRUE(q != NULL);
	EQ(read_guarded(q, buf, CLUSTER, CLUSTER), CLUSTER);
	for (i = 0; i < CLUSTER; i++)
		EQ(buf[i], 0);
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
	EQ(qcow2_last_failure()->status, QCOW2_E_L1);
}

static void test_snapshot_with_data_file(void **state)
{
	struct qcow2_file file = { NULL, -1, NULL };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;

	(void)state;
	image_init(&img, 3, 16, CLUSTER);
	img.has_data_file = true;
	image_add_snapshot(&img, "1", "one");
	image_to_file(&img, "img", NULL);
	image_free(&img);
	file_write("data", "x", 1);
	file.fd = open_read("data");
	options.data_file = &file;
	options.snapshot = "one";
	TRUE(qcow2_open_options(open_read("img"), &options, NULL) == NULL);
	EQ(errno, ENOTSUP);
	EQ(qcow2_last_failure()->status, QCOW2_E_SNAPSHOT_DATA_FILE);
	TEXT(qcow2_last_failure()->message,
	     "snapshots of an image with an external data file cannot be read");
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
	name[sizeof name - 2u] = '\0'; /* longer than a file name can be */
	write_overlay("top", name, "raw");
	fails_with("top", &options, ENAMETOOLONG);
}

/* Repeated slashes in an absolute name do not matter, nor in the path of the image. */
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
	TRUE(q != NULL);
	EQ(read_guarded(q, &byte, 1, 0), 1);
	EQ(byte, 'x');
	qcow2_close(q);
}

/* With either decoder, the least memory of a reader is enough for a match from far back. */
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
	TRUE(q != NULL);
	EQ(read_guarded(q, buf, sizeof buf, 50000), sizeof buf);
	SAME(buf, plain + 50000, sizeof buf);
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
		cmocka_unit_test(test_snapshot_with_data_file),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_allow_truncated),
		cmocka_unit_test(test_bad_snapshot),
		cmocka_unit_test(test_names_not_followed),
		cmocka_unit_test(test_slashes),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
