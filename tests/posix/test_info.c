/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The calls that describe an image: qcow2_get_info, qcow2_list_bitmaps, qcow2_count_clusters; and
 * those that make text from an image printable.
 */
#include "support.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/status.h"

enum { CLUSTER = 65536, DISK = 256 * 1024 };

static struct qcow2_info info_of(struct qcow2 *q, unsigned depth)
{
	struct qcow2_info info;

	memset(&info, 0xee, sizeof info);
	info.struct_size = sizeof info;
	EQ(qcow2_get_info(q, depth, &info), 0);
	EQ(info.struct_size, sizeof info);
	return info;
}

static void string_is(struct qcow2_string s, const char *want, size_t len)
{
	if (want == NULL) {
		TRUE(s.bytes == NULL);
		EQ(s.len, 0);
		return;
	}
	TRUE(s.bytes != NULL);
	EQ(s.len, len);
	SAME(s.bytes, want, len);
	EQ(s.bytes[len], 0);
}

/* ---- qcow2_get_info ---- */

static void test_info(void **state)
{
	struct image img;
	struct qcow2_info info;
	struct qcow2 *q;

	(void)state;
	small_image(&img);
	q = qcow2_open(image_to_fd(&img), NULL);
	TRUE(q != NULL);
	info = info_of(q, 0);
	TEXT(info.format, "qcow2");
	EQ(info.version, 3);
	EQ(info.flags, 0);
	EQ(info.incomplete, 0);
	EQ(info.size, DISK);
	EQ(info.file_size, img.file.len);
	EQ(info.cluster_size, CLUSTER);
	EQ(info.refcount_bits, 16);
	TEXT(info.compression, "zlib");
	TRUE(info.encryption == NULL);
	string_is(info.backing_file, NULL, 0);
	string_is(info.backing_format, NULL, 0);
	string_is(info.data_file, NULL, 0);
	EQ(info.incompatible | info.compatible | info.autoclear, 0);
	EQ(info.l1_offset, img.active.l1_pos);
	EQ(info.refcount_table_offset, img.refcount_table_pos);
	EQ(info.refcount_table_clusters, img.refcount_table_clusters);
	EQ(info.header_length, 112);
	EQ(info.l1_entries, 1);
	EQ(info.n_snapshots, 0);
	qcow2_close(q);
	image_free(&img);
}

/* Feature bits of the header, and the flags that stand for them. */
static const struct {
	uint64_t incompatible, compatible, autoclear;
	unsigned flags;
} flag_cases[] = {
	{ 1, 0, 0, QCOW2_INFO_DIRTY },
	{ 2, 0, 0, QCOW2_INFO_CORRUPT },
	{ 4, 0, 0, QCOW2_INFO_DATA_FILE },
	{ 16, 0, 0, QCOW2_INFO_EXTENDED_L2 },
	{ 0, 1, 0, QCOW2_INFO_LAZY_REFCOUNTS },
	{ 4, 0, 2, QCOW2_INFO_DATA_FILE | QCOW2_INFO_DATA_FILE_RAW },
};

static void test_info_flags(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	size_t i;

	(void)state;
	options.flags = QCOW2_INSPECT;
	for (i = 0; i < COUNT(flag_cases); i++) {
		struct image img;
		struct qcow2_info info;
		struct qcow2 *q;

		small_image(&img);
		image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, flag_cases[i].incompatible);
		image_set(&img, IMAGE_COMPATIBLE_FEATURES, flag_cases[i].compatible);
		image_set(&img, IMAGE_AUTOCLEAR_FEATURES, flag_cases[i].autoclear);
		q = qcow2_open_options(image_to_fd(&img), &options, NULL);
		test_case("flags %zu", i);
		TRUE(q != NULL);
		info = info_of(q, 0);
		EQ(info.flags, flag_cases[i].flags);
		EQ(info.incompatible, flag_cases[i].incompatible);
		EQ(info.compatible, flag_cases[i].compatible);
		EQ(info.autoclear, flag_cases[i].autoclear);
		qcow2_close(q);
		image_free(&img);
	}
}

/* An image that only opens for inspection: encrypted, zstd, with names of any bytes. */
static void test_info_inspect(void **state)
{
	static const struct {
		unsigned method;
		const char *name;
	} methods[] = { { 1, "aes" }, { 2, "luks" } };
	struct qcow2_options options = { .struct_size = sizeof options };
	size_t i;

	(void)state;
	options.flags = QCOW2_INSPECT;
	for (i = 0; i < COUNT(methods); i++) {
		struct image img;
		struct qcow2_info info;
		struct qcow2 *q;

		small_image(&img);
		img.compression_type = 1;
		image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, 8 | 4);
		image_set(&img, IMAGE_CRYPT_METHOD, methods[i].method);
		image_set_backing(&img, "a\0\xff", 3, 0);
		image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
		image_add_ext(&img, IMAGE_EXT_DATA_FILE, 4, "data", 4);
		q = qcow2_open_options(image_to_fd(&img), &options, NULL);
		TRUE(q != NULL);
		info = info_of(q, 0);
		TEXT(info.encryption, methods[i].name);
		EQ(info.crypt_method, methods[i].method);
		TEXT(info.compression, "zstd");
		string_is(info.backing_file, "a\0\xff", 3);
		string_is(info.backing_format, "raw", 3);
		string_is(info.data_file, "data", 4);
		qcow2_close(q);
		image_free(&img);
	}
}

/* An empty name of a data file is not the same as none. Without the feature bit there is none. */
static void test_info_empty_name(void **state)
{
	static const struct {
		uint64_t incompatible;
		bool has_extension;
		const char *name;
	} cases[] = { { 4, true, "" }, { 4, false, NULL }, { 0, true, NULL } };
	struct qcow2_options options = { .struct_size = sizeof options };
	size_t i;

	(void)state;
	options.flags = QCOW2_INSPECT;
	for (i = 0; i < COUNT(cases); i++) {
		struct qcow2_info info;
		struct image img;
		struct qcow2 *q;

		small_image(&img);
		image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, cases[i].incompatible);
		if (cases[i].has_extension)
			image_add_ext(&img, IMAGE_EXT_DATA_FILE, 0, "", 0);
		q = qcow2_open_options(image_to_fd(&img), &options, NULL);
		test_case("empty name %zu", i);
		TRUE(q != NULL);
		info = info_of(q, 0);
		EQ(info.incomplete, 0);
		string_is(info.data_file, cases[i].name, 0);
		qcow2_close(q);
		image_free(&img);
	}
}

/* Each image of the chain; the bottom one is raw. */
static void test_info_chain(void **state)
{
	struct qcow2_info info;
	struct qcow2 *q;
	int i;

	(void)state;
	file_write("base", "12345", 5);
	write_overlay("mid", "base", "raw");
	write_overlay("top", "mid", "qcow2");
	q = open_with("top", QCOW2_FOLLOW);
	TRUE(q != NULL);
	hooks_reset();
	for (i = 0; i < 2; i++) {
		info = info_of(q, 0);
		string_is(info.backing_file, "mid", 3);
		string_is(info.backing_format, "qcow2", 5);
		info = info_of(q, 1);
		string_is(info.backing_file, "base", 4);
		string_is(info.backing_format, "raw", 3);
		info = info_of(q, 2);
		TEXT(info.format, "raw");
		EQ(info.version, 0);
		EQ(info.size, 5);
		EQ(info.file_size, 5);
		EQ(info.cluster_size, 0);
		EQ(info.refcount_bits, 0);
		TRUE(info.compression == NULL);
		TRUE(info.encryption == NULL);
		string_is(info.backing_file, NULL, 0);
	}
	/* Opening the chain has read the names. */
	EQ(hooks.n[CALL_PREAD], 0);
	errno = 0;
	EQ(qcow2_get_info(q, 3, &info), -1);
	EQ(errno, ENOENT);
	qcow2_close(q);
}

/* Each call returns the same strings, which are read once. */
static void test_info_cost(void **state)
{
	struct qcow2_info info;
	const char *bytes;
	struct qcow2 *q;

	(void)state;
	write_overlay("top", "base", "raw");
	q = open_with("top", QCOW2_INSPECT);
	TRUE(q != NULL);
	hooks_reset();
	bytes = info_of(q, 0).backing_file.bytes;
	EQ(hooks.n[CALL_PREAD], 2);
	info = info_of(q, 0);
	TRUE(info.backing_file.bytes == bytes);
	EQ(hooks.n[CALL_PREAD], 2);
	EQ(hooks.n[CALL_STAT], 0);
	qcow2_close(q);
}

/* A struct from another version of the library. */
static void test_info_size(void **state)
{
	struct {
		struct qcow2_info info;
		unsigned char more[16];
	} large;
	struct image img;
	struct qcow2 *q;
	size_t i;

	(void)state;
	small_image(&img);
	q = qcow2_open(image_to_fd(&img), NULL);
	TRUE(q != NULL);
	memset(&large, 0xee, sizeof large);
	large.info.struct_size = sizeof large;
	EQ(qcow2_get_info(q, 0, &large.info), 0);
	EQ(large.info.struct_size, sizeof large);
	EQ(large.info.version, 3);
	for (i = 0; i < sizeof large.more; i++)
		EQ(large.more[i], 0);
	large.info.struct_size = 0;
	errno = 0;
	EQ(qcow2_get_info(q, 0, &large.info), -1);
	EQ(errno, EINVAL);
	EQ(qcow2_last_failure()->status, 0);
	EQ(large.info.version, 3);
	qcow2_close(q);
	image_free(&img);
}

/* A name that cannot be read is left out, and the next call tries again. */
static void test_info_incomplete(void **state)
{
	struct qcow2_info info;
	struct qcow2 *q;

	(void)state;
	write_overlay("top", "base", "raw");
	q = open_with("top", QCOW2_INSPECT);
	TRUE(q != NULL);
	hooks_reset();
	hooks.fail_at[CALL_PREAD] = 1;
	info = info_of(q, 0);
	TRUE(info.incomplete != 0);
	string_is(info.backing_file, NULL, 0);
	string_is(info.backing_format, "raw", 3);
	EQ(qcow2_last_failure()->error, call_errno[CALL_PREAD]);
	hooks_reset();
	hooks.fail_at[CALL_ALLOC] = 1;
	info = info_of(q, 0);
	TRUE(info.incomplete != 0);
	EQ(qcow2_last_failure()->error, ENOMEM);
	hooks_reset();
	info = info_of(q, 0);
	EQ(info.incomplete, 0);
	string_is(info.backing_file, "base", 4);
	qcow2_close(q);
}

/*
 * The file ends inside a name. Zeros in place of the rest would be a name that the image never had.
 */
static void test_info_cut_name(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2_info info;
	struct image img;
	struct qcow2 *q;

	(void)state;
	options.flags = QCOW2_INSPECT | QCOW2_ALLOW_TRUNCATED;
	small_image(&img);
	image_set_backing(&img, "base.raw", 8, 0);
	image_finish(&img);
	image_buf_resize(&img.file, img.backing_pos + 7);
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	TRUE(q != NULL);
	info = info_of(q, 0);
	TRUE(info.incomplete != 0);
	string_is(info.backing_file, NULL, 0);
	EQ(qcow2_last_failure()->status, QCOW2_E_TRUNCATED);
	EQ(qcow2_last_failure()->error, EIO);
	EQ(qcow2_last_failure()->pos, img.file.len);
	qcow2_close(q);
	image_free(&img);
}

/* ---- qcow2_list_bitmaps ---- */

/* An entry of the bitmap directory. */
struct bitmap {
	const char *name;
	size_t name_len;
	unsigned flags, granularity_bits, extra_len;
};

/* Appends the directory to the file, and writes the extension that describes it. */
static void put_bitmaps(struct image *img, const struct bitmap *b, unsigned n)
{
	uint64_t start, at, ext;
	unsigned i;

	image_finish(img);
	start = at = img->file.len;
	for (i = 0; i < n; i++) {
		image_put(&img->file, at, CLUSTER, 8);
		image_put(&img->file, at + 8, 1, 4);
		image_put(&img->file, at + 12, b[i].flags, 4);
		image_put(&img->file, at + 16, 1, 1);
		image_put(&img->file, at + 17, b[i].granularity_bits, 1);
		image_put(&img->file, at + 18, b[i].name_len, 2);
		image_put(&img->file, at + 20, b[i].extra_len, 4);
		at += 24 + b[i].extra_len;
		image_buf_put(&img->file, at, b[i].name, b[i].name_len);
		at = (at + b[i].name_len + 7) & ~UINT64_C(7);
	}
	image_buf_resize(&img->file, (size_t)at);
	ext = img->ext_pos + 8;
	image_put(&img->file, ext, n, 4);
	image_put(&img->file, ext + 8, at - start, 8);
	image_put(&img->file, ext + 16, start, 8);
}

/* Opens an image with these bitmaps. Bit 0 of autoclear means that they are valid. */
static struct qcow2 *open_bitmaps(const struct bitmap *b, unsigned n, uint64_t autoclear)
{
	static const uint8_t zeros[24];
	struct image img;
	struct qcow2 *q;

	small_image(&img);
	image_add_ext(&img, IMAGE_EXT_BITMAPS, sizeof zeros, zeros, sizeof zeros);
	image_set(&img, IMAGE_AUTOCLEAR_FEATURES, autoclear);
	put_bitmaps(&img, b, n);
	q = qcow2_open(image_to_fd(&img), NULL);
	image_free(&img);
	TRUE(q != NULL);
	return q;
}

static const struct bitmap three_bitmaps[] = {
	{ "one", 3, 2, 16, 0 },
	{ "a\nb\0c", 5, 3, 9, 8 },
	{ "", 0, 0xfffffffc, 63, 0 },
};

static void test_bitmaps(void **state)
{
	struct qcow2_bitmap_entry *list;
	struct qcow2 *q = open_bitmaps(three_bitmaps, 3, 1);

	(void)state;
	EQ(qcow2_list_bitmaps(q, &list), 3);
	TEXT(list[0].name, "one");
	EQ(list[0].name_len, 3);
	EQ(list[0].granularity, 65536);
	EQ(list[0].table_offset, CLUSTER);
	EQ(list[0].table_entries, 1);
	EQ(list[0].flags, QCOW2_BITMAP_ENTRY_AUTO);
	EQ(list[1].name_len, 5);
	SAME(list[1].name, "a\nb\0c", 6);
	EQ(list[1].granularity, 512);
	EQ(list[1].flags, QCOW2_BITMAP_ENTRY_AUTO | QCOW2_BITMAP_ENTRY_IN_USE);
	TEXT(list[2].name, "");
	EQ(list[2].name_len, 0);
	TRUE(list[2].granularity == UINT64_C(1) << 63);
	EQ(list[2].flags, 0);
	free(list);
	qcow2_close(q);
}

/* A program that does not know bitmaps has changed the image: all of them are in use. */
static void test_old_bitmaps(void **state)
{
	struct qcow2_bitmap_entry *list;
	struct qcow2 *q = open_bitmaps(three_bitmaps, 3, 0);

	(void)state;
	EQ(qcow2_list_bitmaps(q, &list), 3);
	EQ(list[0].flags, QCOW2_BITMAP_ENTRY_AUTO | QCOW2_BITMAP_ENTRY_IN_USE);
	EQ(list[2].flags, QCOW2_BITMAP_ENTRY_IN_USE);
	free(list);
	qcow2_close(q);
}

/* No extension, or no bitmaps. */
static void test_no_bitmaps(void **state)
{
	struct qcow2_bitmap_entry *list;
	struct image img;
	struct qcow2 *q;

	(void)state;
	q = open_bitmaps(three_bitmaps, 0, 1);
	EQ(qcow2_list_bitmaps(q, &list), 0);
	free(list);
	qcow2_close(q);
	small_image(&img);
	q = qcow2_open(image_to_fd(&img), NULL);
	EQ(qcow2_list_bitmaps(q, &list), 0);
	free(list);
	qcow2_close(q);
	image_free(&img);
}

static void bitmaps_fail(struct qcow2 *q, int error, int status)
{
	struct qcow2_bitmap_entry *list = NULL;

	errno = 0;
	EQ(qcow2_list_bitmaps(q, &list), -1);
	EQ(errno, error);
	EQ(qcow2_last_failure()->error, error);
	EQ(qcow2_last_failure()->status, status);
	TRUE(list == NULL);
}

static void test_bad_bitmaps(void **state)
{
	static const struct bitmap bad = { "x", 1, 0, 64, 0 };
	struct qcow2 *q = open_bitmaps(&bad, 1, 1);

	(void)state;
	bitmaps_fail(q, EINVAL, QCOW2_E_BITMAP);
	TRUE(qcow2_last_failure()->has_pos != 0);
	qcow2_close(q);
}

/* Each read and each allocation fails once; after that the list is complete. */
static void test_bitmap_faults(void **state)
{
	static const enum call calls[] = { CALL_PREAD, CALL_ALLOC };
	struct qcow2 *q = open_bitmaps(three_bitmaps, 3, 1);
	struct qcow2_bitmap_entry *list;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(calls); i++) {
		unsigned n = 0;

		for (;;) {
			hooks_reset();
			hooks.fail_at[calls[i]] = ++n;
			if (qcow2_list_bitmaps(q, &list) == 3)
				break;
			EQ(hooks.n_failed, 1);
			EQ(qcow2_last_failure()->error, call_errno[calls[i]]);
		}
		EQ(hooks.n_failed, 0);
		TRUE(n > 1);
		free(list);
	}
	hooks_reset();
	qcow2_close(q);
}

/* ---- qcow2_count_clusters ---- */

static uint64_t count_of(struct qcow2 *q, uint64_t enough)
{
	uint64_t n = 12345;

	EQ(qcow2_count_clusters(q, 0, enough, &n), 0);
	return n;
}

/* All refcount widths: the count is the number of clusters that the image writer allocated. */
static void test_count(void **state)
{
	unsigned order;

	(void)state;
	for (order = 0; order <= 6; order++) {
		struct image img;
		uint64_t used = 0;
		struct qcow2 *q;
		size_t i;

		image_init(&img, 3, 9, 512 * 1024);
		img.refcount_order = order;
		image_add_range(&img, &img.active, 0, 300, IMAGE_DATA);
		image_alloc(&img, 5); /* a hole in the refcounts */
		image_add_range(&img, &img.active, 400, 100, IMAGE_DATA);
		q = qcow2_open(image_to_fd(&img), NULL);
		TRUE(q != NULL);
		for (i = 0; i < img.n_refs; i++)
			used += img.refs[i] != 0;
		TRUE(used > 400 && used + 5 <= img.file.len / 512);
		EQ(count_of(q, UINT64_MAX), used);
		EQ(count_of(q, 0), 0);
		TRUE(count_of(q, 1) >= 1);
		TRUE(count_of(q, used) >= used);
		qcow2_close(q);
		image_free(&img);
	}
}

/* The last refcount block has entries for more clusters than the file has. */
static void test_count_end(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint64_t block, n;

	(void)state;
	small_image(&img);
	image_finish(&img);
	n = img.file.len / CLUSTER;
	block = image_get(&img.file, img.refcount_table_pos, 8);
	image_put(&img.file, block + 2 * n, 1, 2); /* past the end of the file */
	q = qcow2_open(image_to_fd(&img), NULL);
	EQ(count_of(q, UINT64_MAX), n);
	qcow2_close(q);
	/* One byte more makes one cluster more. */
	image_buf_resize(&img.file, img.file.len + 1);
	q = qcow2_open(image_to_fd(&img), NULL);
	EQ(count_of(q, UINT64_MAX), n + 1);
	qcow2_close(q);
	image_free(&img);
}

/* A file of 8 EiB with nothing but a header: counting ends with the refcount table. */
static void test_count_huge(void **state)
{
	struct image img;
	struct qcow2 *q;
	int fd;

	(void)state;
	small_image(&img);
	fd = image_to_fd(&img);
	EQ(ftruncate(fd, INT64_MAX - 511), 0);
	q = qcow2_open(fd, NULL);
	TRUE(q != NULL);
	hooks_reset();
	EQ(count_of(q, UINT64_MAX), img.file.len / CLUSTER);
	/* One table of 8192 entries, one block. */
	TRUE(hooks.n[CALL_PREAD] <= 8192 + 1);
	qcow2_close(q);
	image_free(&img);
}

/* A refcount block costs two system calls, however many clusters it covers. */
static void test_count_cost(void **state)
{
	struct image img;
	struct qcow2 *q;

	(void)state;
	small_image(&img);
	q = qcow2_open(image_to_fd(&img), NULL);
	hooks_reset();
	count_of(q, UINT64_MAX);
	EQ(hooks.n[CALL_PREAD], 2);
	qcow2_close(q);
	image_free(&img);
}

static void count_fails(struct qcow2 *q, unsigned depth, int error)
{
	uint64_t n = 12345;

	errno = 0;
	EQ(qcow2_count_clusters(q, depth, UINT64_MAX, &n), -1);
	EQ(errno, error);
	EQ(qcow2_last_failure()->error, error);
	TRUE(strcmp(qcow2_last_failure()->message, "") != 0);
	EQ(n, 12345);
}

static void test_count_fails(void **state)
{
	struct image img;
	struct qcow2 *q;

	(void)state;
	file_write("base", "12345", 5);
	write_overlay("top", "base", "raw");
	q = open_with("top", QCOW2_FOLLOW);
	count_fails(q, 1, ENOTSUP);
	count_fails(q, 2, ENOENT);
	hooks_reset();
	hooks.fail_at[CALL_ALLOC] = 1;
	count_fails(q, 0, ENOMEM);
	hooks_reset();
	hooks.fail_at[CALL_PREAD] = 2;
	count_fails(q, 0, call_errno[CALL_PREAD]);
	hooks_reset();
	TRUE(count_of(q, UINT64_MAX) > 0);
	qcow2_close(q);

	small_image(&img);
	image_finish(&img);
	image_put(&img.file, img.refcount_table_pos, 512, 8); /* not the start of a cluster */
	q = qcow2_open(image_to_fd(&img), NULL);
	count_fails(q, 0, EIO);
	EQ(qcow2_last_failure()->status, QCOW2_E_REFCOUNT);
	qcow2_close(q);
	image_put(&img.file, image_field_pos(IMAGE_REFCOUNT_TABLE_CLUSTERS), 129, 4);
	q = qcow2_open(image_to_fd(&img), NULL);
	count_fails(q, 0, EFBIG);
	qcow2_close(q);
	image_free(&img);
}

/* ---- qcow2_get_decoder ---- */

/* The names of both types and of their decoders, then the end. */
static void test_decoders(void **state)
{
	const char *compression = NULL, *decoder = NULL;

	(void)state;
	EQ(qcow2_get_decoder(0, &compression, &decoder), 1);
	TEXT(compression, "zlib");
	TRUE(decoder != NULL);
	EQ(qcow2_get_decoder(1, &compression, &decoder), 1);
	TEXT(compression, "zstd");
	TRUE(strcmp(decoder, "libzstd") == 0 || strcmp(decoder, "built in") == 0);
	compression = decoder = "unchanged";
	EQ(qcow2_get_decoder(2, &compression, &decoder), 0);
	EQ(qcow2_get_decoder(UINT_MAX, &compression, &decoder), 0);
	TEXT(compression, "unchanged");
	TEXT(decoder, "unchanged");
}

/* ---- qcow2_character, qcow2_printable ---- */

static const struct {
	const char *bytes;
	size_t n;
	uint32_t code;
	int printable;
} characters[] = {
	{ "a", 1, 'a', 1 },
	{ "\n", 1, '\n', 0 },
	{ "\x7f", 1, 0x7f, 0 },
	{ "\xc2\x9f", 2, 0x9f, 0 },
	{ "\xc2\xa0", 2, 0xa0, 1 },
	{ "\xe2\x82\xac", 3, 0x20ac, 1 },
	{ "\xe2\x80\xa8", 3, 0x2028, 0 },
	{ "\xe2\x80\xae", 3, 0x202e, 0 },
	{ "\xe2\x81\xa9", 3, 0x2069, 0 },
	{ "\xf0\x9f\x98\x80", 4, 0x1f600, 1 },
	{ "\xc2\xad", 2, 0xad, 0 },             /* soft hyphen */
	{ "\xe2\x80\x8b", 3, 0x200b, 0 },       /* zero width space */
	{ "\xef\xb8\x8f", 3, 0xfe0f, 0 },       /* variation selector */
	{ "\xf3\xa0\x81\x81", 4, 0xe0041, 0 },  /* tag */
	{ "\xef\xbf\xbf", 3, 0xffff, 0 },       /* no character */
	{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff, 0 }, /* no character */
	{ "\xf4\x8f\xbf\xbd", 4, 0x10fffd, 1 },

	{ "\x80", 1, 0xfffd, 0 },
	{ "\xe2\x82", 1, 0xfffd, 0 },
	{ "\xed\xa0\x80", 1, 0xfffd, 0 },
	{ "\xef\xbf\xbd", 3, 0xfffd, 1 },
};

static void test_character(void **state)
{
	uint32_t code;
	int printable;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(characters); i++) {
		const char *bytes = characters[i].bytes;

		EQ(qcow2_character(bytes, strlen(bytes), &code, &printable), characters[i].n);
		EQ(code, characters[i].code);
		EQ(printable, characters[i].printable);
	}
	EQ(qcow2_character("\0", 1, &code, &printable), 1);
	EQ(code, 0);
	EQ(printable, 0);
}

/* For every length of the buffer: whole characters, a NUL, and not a byte more. */
static void test_printable(void **state)
{
	static const char bytes[] = "a\xe2\x82\xac\xff\n";
	static const char shown[] = "a\xe2\x82\xac\\xff\\x0a";
	static const size_t fits[] = { 0, 0, 1, 1, 1, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12 };
	size_t room;

	(void)state;
	EQ(qcow2_printable(NULL, 0, bytes, 6), 12);
	for (room = 1; room < COUNT(fits); room++) {
		struct guarded g;

		guard_init(&g, room, 1);
		EQ(qcow2_printable((char *)g.p, room, bytes, 6), 12);
		TRUE(guard_intact(&g));
		SAME(g.p, shown, fits[room]);
		EQ(g.p[fits[room]], 0);
		guard_unmap(&g);
	}
	{
		char end[1] = { 'x' };

		EQ(qcow2_printable(end, sizeof end, NULL, 0), 0);
		EQ(end[0], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),          cmocka_unit_test(test_info_flags),
		cmocka_unit_test(test_info_inspect),  cmocka_unit_test(test_info_empty_name),
		cmocka_unit_test(test_info_chain),    cmocka_unit_test(test_info_cost),
		cmocka_unit_test(test_info_size),     cmocka_unit_test(test_info_incomplete),
		cmocka_unit_test(test_info_cut_name), cmocka_unit_test(test_bitmaps),
		cmocka_unit_test(test_old_bitmaps),   cmocka_unit_test(test_no_bitmaps),
		cmocka_unit_test(test_bad_bitmaps),   cmocka_unit_test(test_bitmap_faults),
		cmocka_unit_test(test_count),         cmocka_unit_test(test_count_end),
		cmocka_unit_test(test_count_huge),    cmocka_unit_test(test_count_cost),
		cmocka_unit_test(test_count_fails),   cmocka_unit_test(test_decoders),
		cmocka_unit_test(test_character),     cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
