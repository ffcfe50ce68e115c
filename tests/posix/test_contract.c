/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The documented contract of qcow2_open, qcow2_close and qcow2_get_size, line by line, and of the
 * smaller calls. test_read.c has qcow2_read and qcow2_map.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qcow2/image.h"
#include "qcow2/status.h"

enum { CLUSTER = 65536 };

static const char untouched[] = "untouched";

/* Opening fd must fail with this errno, and in every other respect as the contract says. */
static void open_bad(int fd, int error)
{
	const char *text = untouched;

	errno = 0;
	TRUE(qcow2_open(fd, &text) == NULL);
	EQ(errno, error);
	TRUE(text != untouched);
	TRUE(text != NULL);
	TRUE(text[0] != '\0');
	EQ(qcow2_last_failure()->error, error);
	TRUE(qcow2_last_failure()->text == text);
	if (fd >= 0)
		TRUE(!fd_is_open(fd));
	if (errno == error) {
		/* The text is static, so the next failure does not change it. */
		char copy[256];

		TRUE(strlen(text) < sizeof copy);
		strcpy(copy, text);
		TRUE(qcow2_open(-1, NULL) == NULL);
		TEXT(text, copy);
	}
}

/* ---- qcow2_open ---- */

static void test_open_success(void **state)
{
	struct image img;
	struct qcow2 *q;
	int fd;

	(void)state;
	small_image(&img);
	fd = image_to_fd(&img);
	q = open_good(fd);
	EQ(qcow2_get_size(q), 256 * 1024);
	TRUE(fd_is_open(fd));
	qcow2_close(q);
	TRUE(!fd_is_open(fd));

	q = qcow2_open(image_to_fd(&img), NULL);
	TRUE(q != NULL);
	qcow2_close(q);
	image_free(&img);
}

static void test_close_null(void **state)
{
	(void)state;
	errno = EXDEV;
	qcow2_close(NULL);
	EQ(errno, EXDEV);
}

static void test_close_keeps_errno(void **state)
{
	struct image img;
	struct qcow2 *q;

	(void)state;
	small_image(&img);
	q = open_good(image_to_fd(&img));
	errno = EXDEV;
	qcow2_close(q);
	EQ(errno, EXDEV);
	image_free(&img);
}

/* A wrong value for a field of the header, and how opening fails. */
static const struct {
	enum image_field field;
	uint64_t value;
	int error;
	int status;
} header_cases[] = {
	{ IMAGE_MAGIC, 0x51464900, EINVAL, QCOW2_E_NOT_QCOW2 },
	{ IMAGE_VERSION, 1, EINVAL, QCOW2_E_CLUSTER_BITS }, /* its fields are at other places */
	{ IMAGE_VERSION, 4, ENOTSUP, QCOW2_E_VERSION },
	{ IMAGE_CLUSTER_BITS, 8, EINVAL, QCOW2_E_CLUSTER_BITS },
	{ IMAGE_CLUSTER_BITS, 22, EINVAL, QCOW2_E_CLUSTER_BITS },
	{ IMAGE_HEADER_LENGTH, 103, EINVAL, QCOW2_E_HEADER },
	{ IMAGE_INCOMPATIBLE_FEATURES, UINT64_C(1) << 40, ENOTSUP, QCOW2_E_FEATURE },
	{ IMAGE_CRYPT_METHOD, 1, ENOTSUP, QCOW2_E_ENCRYPTED },
	{ IMAGE_CRYPT_METHOD, 2, ENOTSUP, QCOW2_E_ENCRYPTED },
	{ IMAGE_CRYPT_METHOD, 3, ENOTSUP, QCOW2_E_ENCRYPTED },
	{ IMAGE_SIZE, UINT64_C(1) << 40, EINVAL, QCOW2_E_L1 },
	{ IMAGE_SIZE, UINT64_C(1) << 62, EFBIG, QCOW2_E_TOO_BIG },
	{ IMAGE_SIZE, UINT64_MAX, EFBIG, QCOW2_E_TOO_BIG },
	{ IMAGE_L1_SIZE, 0, EINVAL, QCOW2_E_L1 },
	{ IMAGE_L1_SIZE, UINT32_MAX, EFBIG, QCOW2_E_TOO_BIG },
	{ IMAGE_L1_TABLE_OFFSET, 512, EINVAL, QCOW2_E_L1 },
	{ IMAGE_L1_TABLE_OFFSET, UINT64_C(1) << 40, EIO, QCOW2_E_TRUNCATED },
	{ IMAGE_REFCOUNT_ORDER, 7, EINVAL, QCOW2_E_HEADER },
	{ IMAGE_BACKING_FILE_OFFSET, UINT64_C(1) << 30, EINVAL, QCOW2_E_HEADER },
	{ IMAGE_COMPRESSION_TYPE, 2, ENOTSUP, QCOW2_E_COMPRESSION },
	{ IMAGE_NB_SNAPSHOTS, UINT32_MAX, EFBIG, QCOW2_E_TOO_BIG },
};

static void test_open_header(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(header_cases); i++) {
		struct image img;
		int fd;

		small_image(&img);
		image_set(&img, header_cases[i].field, header_cases[i].value);
		fd = image_to_fd(&img);
		TRUE(qcow2_open(dup(fd), NULL) == NULL);
		if (qcow2_last_failure()->status != header_cases[i].status)
			print_message("case %zu: %s\n", i, qcow2_last_failure()->message);
		EQ(qcow2_last_failure()->status, header_cases[i].status);
		open_bad(fd, header_cases[i].error);
		image_free(&img);
	}
}

static void test_open_feature_name(void **state)
{
	struct image img;
	const struct qcow2_failure *failure = qcow2_last_failure();

	(void)state;
	small_image(&img);
	image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, UINT64_C(1) << 7);
	image_add_feature_name(&img, 0, 7, "time\033travel", 11);
	TRUE(qcow2_open(image_to_fd(&img), NULL) == NULL);
	HAS(failure->message, "time\\x1btravel");
	HAS(failure->message, "(at file offset 72)");
	TRUE(failure->has_pos);
	EQ(failure->pos, 72);
	image_free(&img);
}

/* An image that names another file is refused, and the file is not touched. */
static void test_open_needs_file(void **state)
{
	struct image img;
	int fd;

	(void)state;
	small_image(&img);
	image_set_backing(&img, "base.raw", 8, 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	fd = image_to_fd(&img);
	hooks_reset();
	open_bad(fd, ENOTSUP);
	EQ(hooks.n[CALL_OPEN], 0);
	TRUE(qcow2_open(image_to_fd(&img), NULL) == NULL);
	EQ(qcow2_last_failure()->status, QCOW2_E_BACKING);
	HAS(qcow2_last_failure()->message, "base.raw");
	image_free(&img);

	image_init(&img, 3, 16, CLUSTER);
	img.has_data_file = true;
	image_add_ext(&img, IMAGE_EXT_DATA_FILE, 8, "data.raw", 8);
	hooks_reset();
	fd = image_to_fd(&img);
	open_bad(fd, ENOTSUP);
	EQ(hooks.n[CALL_OPEN], 0);
	TRUE(qcow2_open(image_to_fd(&img), NULL) == NULL);
	EQ(qcow2_last_failure()->status, QCOW2_E_DATA_FILE);
	HAS(qcow2_last_failure()->message, "data.raw");
	image_free(&img);
}

static void test_open_not_a_file(void **state)
{
	int fds[2];

	(void)state;
	open_bad(-1, EBADF);
	open_bad(9999, EBADF);
	open_bad(open_read("."), EISDIR);
	open_bad(open_read("/dev/null"), ESPIPE);
	open_bad(memfd_create("empty", 0), EINVAL);
	EQ(pipe(fds), 0);
	open_bad(fds[0], ESPIPE);
	close(fds[1]);
	EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	open_bad(fds[0], ESPIPE);
	close(fds[1]);
}

static void test_open_for_writing_only(void **state)
{
	struct image img;

	(void)state;
	small_image(&img);
	image_to_file(&img, "writable", NULL);
	open_bad(open("writable", O_WRONLY), EBADF);
	image_free(&img);
}

/* An image that is cut anywhere is refused, or a read fails or gives the right bytes. */
static void test_open_cut(void **state)
{
	static uint8_t buf[4 * 512], want[4 * 512];
	struct image img;
	size_t len;

	(void)state;
	image_init(&img, 2, 9, 4 * 512);
	image_add(&img, &img.active, 0, IMAGE_DATA);
	image_add(&img, &img.active, 2, IMAGE_COMPRESSED);
	image_finish(&img);
	image_expect(&img, &img.active, 0, want, sizeof want);
	for (len = 0; len < img.file.len; len++) {
		int fd = memfd_create("cut", 0);
		struct qcow2 *q;

		EQ(write(fd, img.file.data, len), len);
		q = qcow2_open(fd, NULL);
		if (q == NULL) {
			TRUE(!fd_is_open(fd));
			continue;
		}
		/* Only the data cluster may lose its end. */
		if (read_guarded(q, buf, sizeof buf, 0) == sizeof buf)
			SAME(buf + 512, want + 512, 512 * 3);
		else
			EQ(errno, EIO);
		qcow2_close(q);
	}
	image_free(&img);
}

/* ---- Failures, options, snapshots ---- */

static void test_failure_place(void **state)
{
	const struct qcow2_failure *failure = qcow2_last_failure();
	struct image img;
	struct qcow2 *q;
	uint64_t pos;
	char buf[16];

	(void)state;
	small_image(&img);
	image_finish(&img);
	pos = image_l2_entry_pos(&img, &img.active, 1);
	image_put(&img.file, pos, 0x200, 8);
	q = open_good(image_to_fd(&img));
	EQ(read_guarded(q, buf, sizeof buf, CLUSTER), -1);
	EQ(errno, EIO);
	EQ(failure->status, QCOW2_E_L2_ENTRY);
	TRUE(failure->has_pos);
	EQ(failure->pos, pos);
	EQ(failure->depth, 0);
	EQ(read_guarded(q, buf, sizeof buf, 0), sizeof buf);
	qcow2_close(q);
	image_free(&img);
}

static void test_options_size(void **state)
{
	struct {
		struct qcow2_options options;
		uint64_t more;
	} wide;
	struct image img;
	struct qcow2 *q;

	(void)state;
	small_image(&img);
	image_to_file(&img, "options", NULL);
	image_free(&img);
	memset(&wide, 0, sizeof wide);
	fails_with("options", &wide.options, EINVAL);
	wide.options.struct_size = 8;
	fails_with("options", &wide.options, EINVAL);
	wide.options.struct_size = sizeof wide;
	q = qcow2_open_options(open_read("options"), &wide.options, NULL);
	TRUE(q != NULL);
	qcow2_close(q);
	wide.more = 1;
	fails_with("options", &wide.options, EINVAL);
}

static void test_snapshots(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2_info info = { .struct_size = sizeof info };
	struct qcow2_snapshot_entry *list;
	struct image_snapshot *s;
	struct image img;
	struct qcow2 *q;
	uint8_t buf[512], want[512];

	(void)state;
	small_image(&img);
	s = image_add_snapshot(&img, "7", "one");
	image_add(&img, &s->table, 0, IMAGE_DATA);
	s->disk_size = CLUSTER;
	s = image_add_snapshot(&img, "one", "7");
	s->extra_len = 24;
	s->icount = 5;
	image_to_file(&img, "snap", NULL);

	q = open_with("snap", 0);
	EQ(qcow2_list_snapshots(q, &list), 2);
	TEXT(list[0].id, "7");
	TEXT(list[0].name, "one");
	EQ(list[0].disk_size, CLUSTER);
	EQ(list[0].icount, UINT64_MAX);
	TEXT(list[1].id, "one");
	EQ(list[1].icount, 5);
	free(list);
	qcow2_close(q);

	/* An id takes precedence over a name. */
	options.snapshot = "7";
	q = qcow2_open_options(open_read("snap"), &options, NULL);
	TRUE(q != NULL);
	EQ(qcow2_get_size(q), CLUSTER);
	EQ(qcow2_get_info(q, 0, &info), 0);
	EQ(info.size, 256 * 1024);
	EQ(read_guarded(q, buf, sizeof buf, 512), sizeof buf);
	image_expect(&img, &img.snapshots[0].table, 512, want, sizeof want);
	SAME(buf, want, sizeof want);
	qcow2_close(q);

	options.snapshot = "nine";
	fails_with("snap", &options, ENOENT);
	HAS(qcow2_last_failure()->message, "nine");
	image_free(&img);
}

static void test_inspect(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2_info info = { .struct_size = sizeof info };
	struct image img;
	struct qcow2 *q;
	char buf[16];

	(void)state;
	small_image(&img);
	image_set(&img, IMAGE_CRYPT_METHOD, 1);
	image_set_backing(&img, "base", 4, 0);
	options.flags = QCOW2_INSPECT;
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	TRUE(q != NULL);
	EQ(qcow2_get_info(q, 0, &info), 0);
	EQ(info.crypt_method, 1);
	EQ(qcow2_get_info(q, 1, &info), -1);
	TRUE(qcow2_get_path(q, 0) == NULL);
	EQ(qcow2_get_fd(q, 1), -1);
	EQ(qcow2_get_data_fd(q, 0), -1);
	EQ(qcow2_get_data_fd(q, 1), -1);
	EQ(read_guarded(q, buf, sizeof buf, 0), -1);
	EQ(errno, ENOTSUP);
	EQ(qcow2_last_failure()->status, QCOW2_E_BACKING);
	qcow2_close(q);
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_success),
		cmocka_unit_test(test_close_null),
		cmocka_unit_test(test_close_keeps_errno),
		cmocka_unit_test(test_open_header),
		cmocka_unit_test(test_open_feature_name),
		cmocka_unit_test(test_open_needs_file),
		cmocka_unit_test(test_open_not_a_file),
		cmocka_unit_test(test_open_for_writing_only),
		cmocka_unit_test(test_open_cut),
		cmocka_unit_test(test_failure_place),
		cmocka_unit_test(test_options_size),
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_inspect),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
