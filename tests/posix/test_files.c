/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Files that are not as simple as a file with an image: another process writes to them, they grow,
 * they are parts of other files, or their descriptor has O_DIRECT.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/status.h"

enum { CLUSTER = 65536, N_CLUSTERS = 10, DISK = N_CLUSTERS * CLUSTER - 300 };

/* Makes a disk with every kind of cluster, and its content in `want`, which has DISK bytes. */
static void disk_image(struct image *img, uint8_t *want)
{
	image_init(img, 3, 16, DISK);
	image_add(img, &img->active, 0, IMAGE_DATA);
	image_add(img, &img->active, 2, IMAGE_ZERO);
	image_add(img, &img->active, 3, IMAGE_COMPRESSED);
	image_add(img, &img->active, 4, IMAGE_COMPRESSED);
	image_add(img, &img->active, 7, IMAGE_DATA);
	image_add(img, &img->active, 9, IMAGE_DATA);
	image_finish(img);
	memset(want, 0, DISK);
	image_expect(img, &img->active, 0, want, DISK);
}

/* Begins an image of the same size with a backing file. */
static void overlay_image(struct image *img, const char *backing)
{
	image_init(img, 3, 16, DISK);
	image_set_backing(img, backing, strlen(backing), 0);
	image_add_ext(img, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
}

/* Moves a cluster of the file to its end. Returns the new position. */
static uint64_t cluster_move(struct image *img, uint64_t pos)
{
	uint64_t end = img->file.len;

	image_buf_resize(&img->file, (size_t)end + CLUSTER);
	image_buf_put(&img->file, end, img->file.data + pos, CLUSTER);
	return end;
}

/*
 * Moves the L2 table, and then the data, to the end of the file, as if they had been written last.
 * Returns the position of the table.
 */
static uint64_t tables_first(struct image *img)
{
	const uint64_t flags = (UINT64_C(1) << 63) + 1u, compressed = UINT64_C(1) << 62;
	uint64_t l1, l2;
	unsigned i;

	image_buf_resize(&img->file, (img->file.len + CLUSTER - 1u) / CLUSTER * CLUSTER);
	l1 = image_get(&img->file, 40, 8);
	l2 = cluster_move(img, image_get(&img->file, l1, 8) & ~flags);
	image_put(&img->file, l1, l2 | flags, 8);
	for (i = 0; i < N_CLUSTERS; i++) {
		uint64_t at = l2 + 8u * i, entry = image_get(&img->file, at, 8);

		if ((entry & compressed) == 0u && (entry & ~flags) != 0u)
			image_put(&img->file, at,
			          (entry & flags) | cluster_move(img, entry & ~flags), 8);
	}
	return l2;
}

static void check_content(struct qcow2 *q, const uint8_t *want)
{
	static uint8_t got[DISK];

	TRUE(q != NULL);
	memset(got, 0xee, sizeof got);
	EQ(qcow2_read(q, got, sizeof got, 0), DISK);
	SAME(got, want, DISK);
}

/* ---- In use ---- */

/* Locks a byte of a file as QEMU does. Returns the descriptor that holds the lock. */
static int lock_byte(const char *path, off_t byte)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = open_read(path);

	lock.l_start = byte;
	lock.l_len = 1;
	EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

/* The byte that says "I write" counts, in the image and in its data file; no other one does. */
static void test_in_use(void **state)
{
	static const struct {
		const char *path;
		off_t byte;
		int in_use;
	} cases[] = {
		{ "top", 101, 1 }, { "top.data", 101, 1 }, { "other", 101, 0 }, { "top", 100, 0 },
		{ "top", 102, 0 }, { "top", 201, 0 },      { "top", 0, 0 },
	};
	struct image img;
	struct qcow2 *q;
	size_t i;

	(void)state;
	image_init(&img, 3, 16, DISK);
	img.has_data_file = true;
	image_add(&img, &img.active, 0, IMAGE_DATA);
	image_add_ext(&img, IMAGE_EXT_DATA_FILE, 8, "top.data", 8);
	image_to_file(&img, "top", "top.data");
	image_to_file(&img, "other", NULL);
	image_free(&img);
	q = open_with("top", QCOW2_FOLLOW);
	for (i = 0; i < COUNT(cases); i++) {
		int fd = lock_byte(cases[i].path, cases[i].byte);

		test_case("byte %d of %s", (int)cases[i].byte, cases[i].path);
		errno = EXDEV;
		EQ(qcow2_in_use(q, 0), cases[i].in_use);
		EQ(errno, EXDEV);
		close(fd);
		EQ(qcow2_in_use(q, 0), 0);
	}
	EQ(qcow2_in_use(q, 1), -1);
	EQ(errno, ENOENT);
	qcow2_close(q);
}

/* ---- Growing ---- */

/* Opens the first len bytes of the image, in a file of their own. */
static struct qcow2 *open_cut(const struct image *img, uint64_t len)
{
	test_case("%llu of %zu bytes", (unsigned long long)len, img->file.len);
	file_write("grows", img->file.data, (size_t)len);
	return open_with("grows", 0);
}

/* Reads the disk of the file, which is cut: it asks for the size of the file once, and fails. */
static void read_cut(struct qcow2 *q)
{
	static uint8_t got[DISK];

	hooks_reset();
	EQ(qcow2_read(q, got, sizeof got, 0), -1);
	EQ(qcow2_last_failure()->status, QCOW2_E_TRUNCATED);
	EQ(hooks.n[CALL_STAT], 1);
}

/* Reads the disk of a file that is cut before its L2 table, or later, when it is complete. */
static void test_grows(void **state)
{
	static uint8_t want[DISK], got[DISK];
	struct image img;
	uint64_t l2, len;

	(void)state;
	disk_image(&img, want);
	l2 = tables_first(&img);
	for (len = l2; len < img.file.len; len += CLUSTER) {
		struct qcow2 *q = open_cut(&img, len);

		TRUE(q != NULL);
		read_cut(q);
		/* A part of what is missing comes, and then the rest. */
		if (len + CLUSTER < img.file.len) {
			file_write("grows", img.file.data, (size_t)len + CLUSTER);
			EQ(qcow2_read(q, got, DISK, 0), -1);
			read_cut(q);
		}
		file_write("grows", img.file.data, img.file.len);
		check_content(q, want);
		qcow2_close(q);
	}
	image_free(&img);
}

/* A call of qcow2_map asks for the size again as well. */
static void test_map_grows(void **state)
{
	static uint8_t want[DISK];
	struct qcow2_segment s;
	struct image img;
	struct qcow2 *q;

	(void)state;
	disk_image(&img, want);
	q = open_cut(&img, tables_first(&img));
	EQ(map_guarded(q, 9 * CLUSTER, 1, &s), -1);
	EQ(qcow2_last_failure()->status, QCOW2_E_TRUNCATED);
	file_write("grows", img.file.data, img.file.len);
	EQ(map_guarded(q, 9 * CLUSTER, 1, &s), 1);
	EQ(s.file_offset, img.file.len - CLUSTER);
	qcow2_close(q);
	image_free(&img);
}

/* Files below the image may grow as well, also two of them before one read. */
static void test_chain_grows(void **state)
{
	static uint8_t want[DISK], got[DISK];
	struct image base, middle, top;
	struct qcow2 *q;

	(void)state;
	disk_image(&base, want);
	(void)tables_first(&base);
	overlay_image(&middle, "base");
	image_add(&middle, &middle.active, 2, IMAGE_DATA);
	image_finish(&middle);
	overlay_image(&top, "middle");
	image_to_file(&top, "top", NULL);
	image_expect(&middle, &middle.active, 2 * CLUSTER, want + 2 * CLUSTER, CLUSTER);
	file_write("base", base.file.data, base.file.len - CLUSTER);
	file_write("middle", middle.file.data, (size_t)tables_first(&middle));
	q = open_with("top", QCOW2_FOLLOW);
	EQ(qcow2_read(q, got, DISK, 0), -1);
	file_write("base", base.file.data, base.file.len);
	file_write("middle", middle.file.data, middle.file.len);
	check_content(q, want);
	qcow2_close(q);
	image_free(&base);
	image_free(&middle);
	image_free(&top);
}

/* Another image of the chain, and the data file, may grow at the same time. */
static void test_data_file_grows(void **state)
{
	static uint8_t want[DISK], got[DISK];
	struct image img;
	struct qcow2 *q;
	size_t half = 5 * CLUSTER;

	(void)state;
	image_init(&img, 3, 16, DISK);
	img.has_data_file = true;
	image_add_range(&img, &img.active, 0, N_CLUSTERS, IMAGE_DATA);
	image_add_ext(&img, IMAGE_EXT_DATA_FILE, 9, "grow.data", 9);
	image_to_file(&img, "grow", NULL);
	file_write("grow.data", img.data.data, half);
	image_expect(&img, &img.active, 0, want, DISK);
	q = open_with("grow", QCOW2_FOLLOW);
	EQ(qcow2_read(q, got, DISK, 0), -1);
	EQ(qcow2_last_failure()->status, QCOW2_E_TRUNCATED);
	EQ(qcow2_last_failure()->offset, half);
	HAS(qcow2_last_failure()->message, "data file './grow.data': image is truncated: ");
	file_write("grow.data", img.data.data, img.data.len);
	check_content(q, want);
	qcow2_close(q);
	image_free(&img);
}

/* A file that does not grow is asked once for each failure; without failures, it is not asked. */
static void test_cost(void **state)
{
	static uint8_t want[DISK];
	struct image img;
	struct qcow2 *q;

	(void)state;
	disk_image(&img, want);
	q = open_good(image_to_fd(&img));
	hooks_reset();
	check_content(q, want);
	EQ(hooks.n[CALL_STAT], 0);
	qcow2_close(q);
	image_free(&img);
}

/* No memory for the copies of the images: the call fails as if the file had not grown. */
static void test_grows_without_memory(void **state)
{
	static uint8_t want[DISK], got[DISK];
	struct image img;
	struct qcow2 *q;

	(void)state;
	disk_image(&img, want);
	q = open_cut(&img, tables_first(&img));
	read_cut(q);
	file_write("grows", img.file.data, img.file.len);
	hooks_reset();
	hooks.fail_at[CALL_ALLOC] = 1;
	EQ(qcow2_read(q, got, DISK, 0), -1);
	EQ(errno, EIO);
	hooks_reset();
	check_content(q, want);
	qcow2_close(q);
	image_free(&img);
}

/* ---- Parts of files ---- */

enum { BEFORE = 1536 };

/* Writes the image between other bytes. */
static void write_part(const struct image *img, const char *path, size_t after)
{
	size_t len = BEFORE + img->file.len + after;
	uint8_t *bytes = malloc(len);

	TRUE(bytes != NULL);
	memset(bytes, 0xee, len);
	memcpy(bytes + BEFORE, img->file.data, img->file.len);
	file_write(path, bytes, len);
	free(bytes);
}

static struct qcow2 *open_part(const char *path, uint64_t offset, uint64_t length)
{
	struct qcow2_options options = { .struct_size = sizeof options };

	options.image_offset = offset;
	options.image_length = length;
	return qcow2_open_options(open_read(path), &options, NULL);
}

static void test_part(void **state)
{
	static const size_t afters[] = { 0, 1, 10000 };
	static uint8_t want[DISK];
	struct image img;
	size_t i;

	(void)state;
	disk_image(&img, want);
	for (i = 0; i < COUNT(afters); i++) {
		struct qcow2_info info = { .struct_size = sizeof info };
		struct qcow2_segment s;
		struct qcow2 *q;
		uint8_t byte;

		write_part(&img, "archive", afters[i]);
		q = open_part("archive", BEFORE, img.file.len);
		check_content(q, want);
		EQ(qcow2_get_info(q, 0, &info), 0);
		EQ(info.file_size, img.file.len);
		EQ(info.file_start, BEFORE);
		EQ(map_guarded(q, 7 * CLUSTER, 1, &s), 1);
		EQ(pread(s.fd, &byte, 1, (off_t)s.file_offset), 1);
		EQ(byte, want[7 * CLUSTER]);
		qcow2_close(q);
		/* The length may be left out, or too long. */
		q = open_part("archive", BEFORE, 0);
		check_content(q, want);
		qcow2_close(q);
		q = open_part("archive", BEFORE, UINT64_MAX);
		check_content(q, want);
		qcow2_close(q);
	}
	image_free(&img);
}

/*
 * The last cluster of data ends with the part, and the file goes on behind it: those bytes are not
 * of the disk, neither for qcow2_read nor for a caller that reads the file where qcow2_map says.
 */
static void test_part_ends(void **state)
{
	struct qcow2_segment s;
	struct image img;
	struct qcow2 *q;
	uint8_t byte;

	(void)state;
	small_image(&img);
	image_finish(&img);
	(void)tables_first(&img);
	write_part(&img, "archive", 10000);
	q = open_part("archive", BEFORE, img.file.len - 1000);
	EQ(map_guarded(q, CLUSTER, CLUSTER, &s), 1);
	EQ(s.length, CLUSTER - 1000);
	TRUE((s.flags & QCOW2_SEGMENT_AT) != 0u);
	EQ(map_guarded(q, 2 * CLUSTER - 1000, 1000, &s), 1);
	EQ(s.length, 1000);
	EQ(s.fd, -1);
	TRUE((s.flags & QCOW2_SEGMENT_AT) == 0u);
	EQ(read_guarded(q, &byte, 1, 2 * CLUSTER - 1001), 1);
	TRUE(byte != 0);
	EQ(read_guarded(q, &byte, 1, 2 * CLUSTER - 1000), 1);
	EQ(byte, 0);
	qcow2_close(q);
	image_free(&img);
}

/* Positions of failures are positions in the file. */
static void test_part_fails(void **state)
{
	struct image img;
	struct qcow2 *q;
	uint8_t byte;

	(void)state;
	small_image(&img);
	image_add_raw(&img, &img.active, 2, (UINT64_C(1) << 63) + 513, 0);
	image_finish(&img);
	write_part(&img, "archive", 10);
	q = open_part("archive", BEFORE, 0);
	TRUE(q != NULL);
	EQ(read_guarded(q, &byte, 1, 2 * CLUSTER), -1);
	EQ(qcow2_last_failure()->status, QCOW2_E_L2_ENTRY);
	EQ(qcow2_last_failure()->pos % CLUSTER, BEFORE + 2 * 8);
	qcow2_close(q);
	TRUE(open_part("archive", 1, 0) == NULL);
	EQ(qcow2_last_failure()->status, QCOW2_E_NOT_QCOW2);
	TRUE(open_part("archive", BEFORE + img.file.len + 10, 0) == NULL);
	EQ(errno, EINVAL);
	HAS(qcow2_last_failure()->message, "ends before the image in it begins");
	TRUE(open_part("archive", UINT64_MAX, UINT64_MAX) == NULL);
	EQ(errno, EINVAL);
	image_free(&img);
}

/* A program that was built before the options had these fields. */
static void test_part_old_options(void **state)
{
	struct qcow2_options options = { 0 };
	static uint8_t want[DISK];
	struct image img;
	struct qcow2 *q;

	(void)state;
	options.struct_size = offsetof(struct qcow2_options, image_offset);
	options.image_offset = 77;
	options.image_length = 1;
	disk_image(&img, want);
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	check_content(q, want);
	qcow2_close(q);
	image_free(&img);
}

/* The offset is that of the top image. Its backing file begins at byte 0. */
static void test_part_of_chain(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	static uint8_t want[DISK];
	struct image base, top;
	struct qcow2 *q;

	(void)state;
	disk_image(&base, want);
	image_to_file(&base, "base", NULL);
	overlay_image(&top, "base");
	image_finish(&top);
	write_part(&top, "archive", 512);
	options.image_offset = BEFORE;
	options.image_length = top.file.len;
	options.flags = QCOW2_FOLLOW;
	options.path = "archive";
	q = qcow2_open_options(open_read("archive"), &options, NULL);
	check_content(q, want);
	qcow2_close(q);
	image_free(&base);
	image_free(&top);
}

/* ---- O_DIRECT ---- */

/* Each read that is not aligned fails, as on the strictest file system. */
static void test_direct(void **state)
{
	static uint8_t want[DISK];
	struct qcow2_segment s;
	uint8_t buf[1000];
	struct image img;
	struct qcow2 *q;

	(void)state;
	disk_image(&img, want);
	write_part(&img, "archive", 100);
	hooks_reset();
	hooks.direct = true;
	q = open_part("archive", BEFORE, img.file.len);
	check_content(q, want);
	EQ(read_guarded(q, buf, sizeof buf, 7 * CLUSTER + 77), sizeof buf);
	SAME(buf, want + 7 * CLUSTER + 77, sizeof buf);
	hooks.fail_at[CALL_ALLOC] = hooks.n[CALL_ALLOC] + 1u;
	EQ(qcow2_read(q, buf, sizeof buf, 7 * CLUSTER + 77), -1);
	EQ(errno, ENOMEM);
	/* The file ends before the cluster does, in a block that the file has a part of. */
	hooks.fail_at[CALL_ALLOC] = 0;
	EQ(map_guarded(q, 9 * CLUSTER, 1, &s), 1);
	EQ(truncate("archive", (off_t)s.file_offset), 0);
	EQ(qcow2_read(q, buf, sizeof buf, 9 * CLUSTER), -1);
	EQ(errno, EIO);
	qcow2_close(q);
	hooks_reset();
	image_free(&img);
}

/* The second read is the one that is aligned: it is interrupted, or it fails. */
static void test_direct_fails(void **state)
{
	static uint8_t want[DISK];
	uint8_t buf[1000];
	struct image img;
	struct qcow2 *q;

	(void)state;
	disk_image(&img, want);
	q = open_good(image_to_fd(&img));
	EQ(qcow2_read(q, buf, 1, 0), 1); /* the tables are known from here on */
	hooks_reset();
	hooks.direct = true;
	hooks.eintr = 2;
	EQ(qcow2_read(q, buf, sizeof buf, 7 * CLUSTER + 77), sizeof buf);
	SAME(buf, want + 7 * CLUSTER + 77, sizeof buf);
	LE(3, hooks.n[CALL_PREAD]);
	hooks_reset();
	hooks.direct = true;
	hooks.fail_at[CALL_PREAD] = 2;
	EQ(qcow2_read(q, buf, sizeof buf, 7 * CLUSTER + 77), -1);
	EQ(errno, ENODATA);
	EQ(qcow2_last_failure()->status, QCOW2_E_IO);
	EQ(hooks.n_failed, 1);
	qcow2_close(q);
	hooks_reset();
	image_free(&img);
}

/* Without O_DIRECT, the same errno is a failure like any other. */
static void test_not_direct(void **state)
{
	static uint8_t want[DISK];
	struct image img;
	struct qcow2 *q;
	uint8_t byte;

	(void)state;
	disk_image(&img, want);
	q = open_good(image_to_fd(&img));
	hooks_reset();
	hooks.fail_at[CALL_PREAD] = 1;
	hooks.persistent = true;
	hooks.pread_error = EINVAL;
	EQ(read_guarded(q, &byte, 1, 0), -1);
	EQ(errno, EINVAL);
	EQ(qcow2_last_failure()->status, QCOW2_E_IO);
	hooks_reset();
	check_content(q, want);
	qcow2_close(q);
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_map_grows),
		cmocka_unit_test(test_chain_grows),
		cmocka_unit_test(test_data_file_grows),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_grows_without_memory),
		cmocka_unit_test(test_part),
		cmocka_unit_test(test_part_ends),
		cmocka_unit_test(test_part_fails),
		cmocka_unit_test(test_part_old_options),
		cmocka_unit_test(test_part_of_chain),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_direct_fails),
		cmocka_unit_test(test_not_direct),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
