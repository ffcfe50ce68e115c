/* SPDX-License-Identifier: MIT */
/*
 * The documented contract of qcow2_open, qcow2_close, qcow2_get_size and qcow2_read, line by line,
 * and of the calls beside them.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qcow2/image.h"
#include "qcow2/status.h"

enum { CLUSTER = 65536 };

static const char untouched[] = "untouched";

/* Opens what must open; the message stays as it was. */
static struct qcow2 *open_good(int fd)
{
	const char *text = untouched;
	struct qcow2 *q;

	errno = EXDEV;
	q = qcow2_open(fd, &text);
	assert_non_null(q);
	assert_ptr_equal(text, untouched);
	assert_int_equal(errno, EXDEV);
	return q;
}

/* Opens what must not open: all that the contract says about that. */
static void open_bad(int fd, int error)
{
	const char *text = untouched;

	errno = 0;
	assert_null(qcow2_open(fd, &text));
	assert_int_equal(errno, error);
	assert_ptr_not_equal(text, untouched);
	assert_non_null(text);
	assert_string_not_equal(text, "");
	assert_int_equal(qcow2_last_failure()->error, error);
	assert_ptr_equal(qcow2_last_failure()->text, text);
	if (fd >= 0)
		assert_false(fd_is_open(fd));
	if (errno == error) {
		/* The text is static: the next failure does not change it. */
		char copy[256];

		assert_true(strlen(text) < sizeof copy);
		strcpy(copy, text);
		assert_null(qcow2_open(-1, NULL));
		assert_string_equal(text, copy);
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
	assert_int_equal(qcow2_get_size(q), 256 * 1024);
	assert_true(fd_is_open(fd));
	qcow2_close(q);
	assert_false(fd_is_open(fd));

	q = qcow2_open(image_to_fd(&img), NULL);
	assert_non_null(q);
	qcow2_close(q);
	image_free(&img);
}

static void test_close_null(void **state)
{
	(void)state;
	errno = EXDEV;
	qcow2_close(NULL);
	assert_int_equal(errno, EXDEV);
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
	assert_int_equal(errno, EXDEV);
	image_free(&img);
}

/* A field of the header, and what opening says. */
static const struct {
	enum image_field field;
	uint64_t value;
	int error;
	int status;
} header_cases[] = {
	{ IMAGE_MAGIC, 0x51464900, EINVAL, QCOW2_E_NOT_QCOW2 },
	{ IMAGE_VERSION, 1, ENOTSUP, QCOW2_E_VERSION },
	{ IMAGE_VERSION, 4, ENOTSUP, QCOW2_E_VERSION },
	{ IMAGE_CLUSTER_BITS, 8, EINVAL, QCOW2_E_CLUSTER_BITS },
	{ IMAGE_CLUSTER_BITS, 22, EINVAL, QCOW2_E_CLUSTER_BITS },
	{ IMAGE_HEADER_LENGTH, 103, EINVAL, QCOW2_E_HEADER },
	{ IMAGE_INCOMPATIBLE_FEATURES, UINT64_C(1) << 40, ENOTSUP, QCOW2_E_FEATURE },
	{ IMAGE_CRYPT_METHOD, 1, ENOTSUP, QCOW2_E_ENCRYPTED },
	{ IMAGE_CRYPT_METHOD, 2, ENOTSUP, QCOW2_E_ENCRYPTED },
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
	for (i = 0; i < COUNT_OF(header_cases); i++) {
		struct image img;
		int fd;

		small_image(&img);
		image_set(&img, header_cases[i].field, header_cases[i].value);
		fd = image_to_fd(&img);
		assert_null(qcow2_open(dup(fd), NULL));
		if (qcow2_last_failure()->status != header_cases[i].status)
			print_message("case %zu: %s\n", i, qcow2_last_failure()->message);
		assert_int_equal(qcow2_last_failure()->status, header_cases[i].status);
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
	assert_null(qcow2_open(image_to_fd(&img), NULL));
	assert_non_null(strstr(failure->message, "time\\x1btravel"));
	assert_non_null(strstr(failure->message, "(at file offset 72)"));
	assert_true(failure->has_pos);
	assert_int_equal(failure->pos, 72);
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
	assert_int_equal(hooks.n[CALL_OPEN], 0);
	assert_null(qcow2_open(image_to_fd(&img), NULL));
	assert_int_equal(qcow2_last_failure()->status, QCOW2_E_BACKING);
	assert_non_null(strstr(qcow2_last_failure()->message, "base.raw"));
	image_free(&img);

	image_init(&img, 3, 16, CLUSTER);
	img.has_data_file = true;
	image_add_ext(&img, IMAGE_EXT_DATA_FILE, 8, "data.raw", 8);
	hooks_reset();
	fd = image_to_fd(&img);
	open_bad(fd, ENOTSUP);
	assert_int_equal(hooks.n[CALL_OPEN], 0);
	assert_null(qcow2_open(image_to_fd(&img), NULL));
	assert_int_equal(qcow2_last_failure()->status, QCOW2_E_DATA_FILE);
	assert_non_null(strstr(qcow2_last_failure()->message, "data.raw"));
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
	assert_int_equal(pipe(fds), 0);
	open_bad(fds[0], ESPIPE);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
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

/* Cut anywhere: refused, or read with an error or the right bytes. */
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

		assert_int_equal(write(fd, img.file.data, len), len);
		q = qcow2_open(fd, NULL);
		if (q == NULL) {
			assert_false(fd_is_open(fd));
			continue;
		}
		/* Only the data cluster may lose its end. */
		if (read_guarded(q, buf, sizeof buf, 0) == sizeof buf)
			assert_memory_equal(buf + 512, want + 512, 512 * 3);
		else
			assert_int_equal(errno, EIO);
		qcow2_close(q);
	}
	image_free(&img);
}

/* ---- qcow2_read ---- */

/* An image of every kind of cluster, which ends in the middle of a sector. */
static void rich_image(struct image *img, uint8_t **want, size_t *size)
{
	*size = 12 * CLUSTER - 300;
	image_init(img, 3, 16, *size);
	image_add(img, &img->active, 0, IMAGE_DATA);
	image_add(img, &img->active, 1, IMAGE_DATA);
	image_add(img, &img->active, 2, IMAGE_ZERO);
	image_add(img, &img->active, 3, IMAGE_ZERO_ALLOC);
	image_add(img, &img->active, 5, IMAGE_COMPRESSED);
	image_add(img, &img->active, 6, IMAGE_STORED);
	image_add(img, &img->active, 7, IMAGE_COMPRESSED);
	image_add(img, &img->active, 9, IMAGE_DATA);
	image_add(img, &img->active, 11, IMAGE_DATA);
	image_finish(img);
	*want = calloc(1, *size);
	assert_non_null(*want);
	image_expect(img, &img->active, 0, *want, *size);
}

static void check_read(struct qcow2 *q, const uint8_t *want, size_t size, size_t len, uint64_t off)
{
	size_t expected = off >= size ? 0u : len < size - off ? len : size - (size_t)off;
	struct guarded buf;

	/* Where the disk ends before the read does, nothing behind it may be touched. */
	guard_init(&buf, expected, 1);
	assert_int_equal(qcow2_read(q, buf.p, len, off), expected);
	if (expected != 0u)
		assert_memory_equal(buf.p, want + off, expected);
	assert_true(guard_intact(&buf));
	guard_unmap(&buf);
}

static void test_read_content(void **state)
{
	static const size_t lens[] = { 0, 1, 511, 4096, CLUSTER - 1, CLUSTER, 3 * CLUSTER + 7 };
	struct image img;
	struct qcow2 *q;
	uint8_t *want;
	size_t size, i;
	uint64_t off;

	(void)state;
	rich_image(&img, &want, &size);
	q = open_good(image_to_fd(&img));
	assert_int_equal(qcow2_get_size(q), size);
	for (i = 0; i < COUNT_OF(lens); i++)
		for (off = 0; off < size + 2 * CLUSTER; off += 9973)
			check_read(q, want, size, lens[i], off);
	check_read(q, want, size, size, 0);
	check_read(q, want, size, size + 1, 0);
	qcow2_close(q);
	image_free(&img);
	free(want);
}

static void test_read_end(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t *want, buf[16];
	size_t size;

	(void)state;
	rich_image(&img, &want, &size);
	q = open_good(image_to_fd(&img));
	check_read(q, want, size, 16, size - 16);
	check_read(q, want, size, 16, size - 15);
	check_read(q, want, size, 16, size - 1);
	errno = EXDEV;
	assert_int_equal(read_guarded(q, buf, sizeof buf, size), 0);
	assert_int_equal(read_guarded(q, buf, sizeof buf, UINT64_MAX), 0);
	assert_int_equal(qcow2_read(q, NULL, 0, 0), 0);
	assert_int_equal(errno, EXDEV);
	qcow2_close(q);
	image_free(&img);
	free(want);
}

static void test_read_interrupted(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t *want;
	size_t size;

	(void)state;
	rich_image(&img, &want, &size);
	hooks_reset();
	hooks.eintr = 2;
	hooks.pread_most = 1000;
	q = open_good(image_to_fd(&img));
	check_read(q, want, size, size, 0);
	assert_true(hooks.n[CALL_PREAD] > 200u);
	hooks_reset();
	qcow2_close(q);
	image_free(&img);
	free(want);
}

/* The errno of pread(2), as it is; and the next call succeeds. */
static void test_read_fails(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t *want, buf[512];
	size_t size;

	(void)state;
	rich_image(&img, &want, &size);
	q = open_good(image_to_fd(&img));
	hooks_reset();
	hooks.fail_at[CALL_PREAD] = 1;
	errno = 0;
	assert_int_equal(read_guarded(q, buf, sizeof buf, CLUSTER), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(qcow2_last_failure()->status, QCOW2_E_IO);
	assert_true(qcow2_last_failure()->has_pos);
	hooks_reset();
	check_read(q, want, size, size, 0);
	qcow2_close(q);
	image_free(&img);
	free(want);
}

/* A file that gets shorter is an error, never a signal. */
static void test_read_shrunk(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t *want, *buf;
	size_t size;
	int fd;

	(void)state;
	rich_image(&img, &want, &size);
	buf = malloc(size);
	fd = image_to_fd(&img);
	q = open_good(fd);
	assert_int_equal(ftruncate(fd, 4096), 0);
	errno = 0;
	assert_int_equal(read_guarded(q, buf, size, 0), -1);
	assert_int_equal(errno, EIO);
	assert_non_null(strstr(qcow2_last_failure()->message, "shorter"));
	assert_int_equal(pwrite(fd, img.file.data, img.file.len, 0), img.file.len);
	check_read(q, want, size, size, 0);
	qcow2_close(q);
	image_free(&img);
	free(want);
	free(buf);
}

/* The descriptor's position is the caller's, through a duplicate. */
static void test_position_is_kept(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t *want;
	size_t size;
	int fd, other;

	(void)state;
	rich_image(&img, &want, &size);
	fd = image_to_fd(&img);
	other = dup(fd);
	assert_int_equal(lseek(fd, 777, SEEK_SET), 777);
	q = open_good(fd);
	check_read(q, want, size, size, 0);
	qcow2_close(q);
	assert_int_equal(lseek(other, 0, SEEK_CUR), 777);
	close(other);
	image_free(&img);
	free(want);
}

/* What is contiguous in the file is one read, and zeros are none. */
static void test_read_cost(void **state)
{
	static uint8_t buf[4 * CLUSTER];
	struct image img;
	struct qcow2 *q;

	(void)state;
	image_init(&img, 3, 16, 64 * CLUSTER);
	image_add_range(&img, &img.active, 8, 4, IMAGE_DATA);
	image_add_range(&img, &img.active, 16, 4, IMAGE_ZERO);
	q = open_good(image_to_fd(&img));
	assert_int_equal(read_guarded(q, buf, 1, 0), 1);
	hooks_reset();
	assert_int_equal(read_guarded(q, buf, sizeof buf, 8 * CLUSTER), sizeof buf);
	assert_int_equal(hooks.n[CALL_PREAD], 1);
	assert_int_equal(read_guarded(q, buf, sizeof buf, 16 * CLUSTER), sizeof buf);
	assert_int_equal(read_guarded(q, buf, sizeof buf, 0), sizeof buf);
	assert_int_equal(hooks.n[CALL_PREAD], 1);
	qcow2_close(q);
	image_free(&img);
}

#ifndef __SANITIZE_THREAD__ /* whose shadow memory is too large for this */
/* More than INT_MAX bytes of addresses that take 2 MiB of memory, and a guard at each end. */
static void *wide_buffer(size_t len, size_t piece)
{
	int fd = memfd_create("piece", 0);
	char *at, *base;

	assert_int_equal(ftruncate(fd, (off_t)piece), 0);
	base = mmap(NULL, len + 2u * piece, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	            -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	base += piece;
	for (at = base; at < base + len; at += piece)
		assert_ptr_equal(
			mmap(at, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), at);
	close(fd);
	return base;
}

static void test_read_int_max(void **state)
{
	const size_t piece = 2u << 20, len = (size_t)1 << 31;
	struct image img;
	struct qcow2 *q;
	void *buf;

	(void)state;
	image_init(&img, 3, 21, UINT64_C(8) << 30);
	q = open_good(image_to_fd(&img));
	buf = wide_buffer(len, piece);
	if (buf != NULL) {
		assert_int_equal(qcow2_read(q, buf, len, 5), INT_MAX);
		assert_int_equal(qcow2_read(q, buf, SIZE_MAX, 5), INT_MAX);
		assert_int_equal(qcow2_read(q, buf, len, (UINT64_C(8) << 30) - 9), 9);
		munmap((char *)buf - piece, len + 2u * piece);
	}
	qcow2_close(q);
	image_free(&img);
}
#else
static void test_read_int_max(void **state)
{
	(void)state;
	skip();
}
#endif

/* ---- What is beside the four calls ---- */

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
	assert_int_equal(read_guarded(q, buf, sizeof buf, CLUSTER), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(failure->status, QCOW2_E_L2_ENTRY);
	assert_true(failure->has_pos);
	assert_int_equal(failure->pos, pos);
	assert_int_equal(failure->depth, 0);
	assert_int_equal(read_guarded(q, buf, sizeof buf, 0), sizeof buf);
	qcow2_close(q);
	image_free(&img);
}

static void test_map(void **state)
{
	static const unsigned flags[12] = {
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_AT,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_AT,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_ZERO,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_ZERO | QCOW2_SEGMENT_AT,
		QCOW2_SEGMENT_ZERO,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_COMPRESSED,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_COMPRESSED,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_COMPRESSED,
		QCOW2_SEGMENT_ZERO,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_AT,
		QCOW2_SEGMENT_ZERO,
		QCOW2_SEGMENT_PRESENT | QCOW2_SEGMENT_DATA | QCOW2_SEGMENT_AT,
	};
	struct qcow2_segment s;
	struct image img;
	struct qcow2 *q;
	uint8_t *want, byte;
	size_t size;
	uint64_t at;

	(void)state;
	rich_image(&img, &want, &size);
	q = open_good(image_to_fd(&img));
	for (at = 0; map_guarded(q, at, UINT64_MAX, &s) == 1; at += s.length) {
		assert_int_equal(s.start, at);
		assert_int_equal(s.flags, flags[at / CLUSTER]);
		assert_int_equal(s.flags, flags[(at + s.length - 1u) / CLUSTER]);
		assert_int_equal(s.depth, 0);
		if ((s.flags & QCOW2_SEGMENT_AT) == 0u || (s.flags & QCOW2_SEGMENT_DATA) == 0u)
			continue;
		assert_int_equal(pread(s.fd, &byte, 1, (off_t)s.file_offset), 1);
		assert_int_equal(byte, want[at]);
	}
	assert_int_equal(at, size);
	assert_int_equal(map_guarded(q, 0, 0, &s), 0);
	assert_int_equal(map_guarded(q, size, 1, &s), 0);
	assert_int_equal(map_guarded(q, 100, 200, &s), 1);
	assert_int_equal(s.length, 200);
	qcow2_close(q);
	image_free(&img);
	free(want);
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
	assert_non_null(q);
	qcow2_close(q);
	wide.more = 1;
	fails_with("options", &wide.options, EINVAL);
}

static void test_little_memory(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;
	struct qcow2 *q;
	uint8_t *want;
	size_t size;

	(void)state;
	rich_image(&img, &want, &size);
	options.reader_memory = 1;
	options.max_readers = 1;
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	assert_non_null(q);
	check_read(q, want, size, size, 0);
	check_read(q, want, size, 100, 5 * CLUSTER + 100);
	qcow2_close(q);
	image_free(&img);
	free(want);
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
	assert_int_equal(qcow2_list_snapshots(q, &list), 2);
	assert_string_equal(list[0].id, "7");
	assert_string_equal(list[0].name, "one");
	assert_int_equal(list[0].disk_size, CLUSTER);
	assert_int_equal(list[0].icount, UINT64_MAX);
	assert_string_equal(list[1].id, "one");
	assert_int_equal(list[1].icount, 5);
	free(list);
	qcow2_close(q);

	/* The id goes before the name. */
	options.snapshot = "7";
	q = qcow2_open_options(open_read("snap"), &options, NULL);
	assert_non_null(q);
	assert_int_equal(qcow2_get_size(q), CLUSTER);
	assert_int_equal(qcow2_get_info(q, 0, &info), 0);
	assert_int_equal(info.size, 256 * 1024);
	assert_int_equal(read_guarded(q, buf, sizeof buf, 512), sizeof buf);
	image_expect(&img, &img.snapshots[0].table, 512, want, sizeof want);
	assert_memory_equal(buf, want, sizeof want);
	qcow2_close(q);

	options.snapshot = "nine";
	fails_with("snap", &options, ENOENT);
	assert_non_null(strstr(qcow2_last_failure()->message, "nine"));
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
	assert_non_null(q);
	assert_int_equal(qcow2_get_info(q, 0, &info), 0);
	assert_int_equal(info.crypt_method, 1);
	assert_int_equal(qcow2_get_info(q, 1, &info), -1);
	assert_null(qcow2_get_path(q, 0));
	assert_int_equal(qcow2_get_fd(q, 1), -1);
	assert_int_equal(qcow2_get_data_fd(q, 0), -1);
	assert_int_equal(qcow2_get_data_fd(q, 1), -1);
	assert_int_equal(read_guarded(q, buf, sizeof buf, 0), -1);
	assert_int_equal(errno, ENOTSUP);
	assert_string_equal(qcow2_last_failure()->message,
	                    "encrypted images (aes) are not supported");
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
		cmocka_unit_test(test_read_content),
		cmocka_unit_test(test_read_end),
		cmocka_unit_test(test_read_interrupted),
		cmocka_unit_test(test_read_fails),
		cmocka_unit_test(test_read_shrunk),
		cmocka_unit_test(test_position_is_kept),
		cmocka_unit_test(test_read_cost),
		cmocka_unit_test(test_read_int_max),
		cmocka_unit_test(test_failure_place),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_options_size),
		cmocka_unit_test(test_little_memory),
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_inspect),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
