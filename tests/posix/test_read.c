/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The documented contract of qcow2_read and qcow2_map: content, ends, failures, cost. */
#include "support.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qcow2/status.h"

enum { CLUSTER = 65536 };

/* The disk of most tests: every kind of cluster, and an end in the middle of a sector. */
struct disk {
	struct image img;
	uint8_t *want; /* its content */
	size_t size;   /* the length of that */
	int fd;
	struct qcow2 *q;
};

static void disk_make(struct disk *disk)
{
	struct image *img = &disk->img;

	disk->size = 12 * CLUSTER - 300;
	image_init(img, 3, 16, disk->size);
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
	disk->want = calloc(1, disk->size);
	TRUE(disk->want != NULL);
	image_expect(img, &img->active, 0, disk->want, disk->size);
}

static void disk_free(struct disk *disk)
{
	image_free(&disk->img);
	free(disk->want);
}

static int disk_setup(void **state)
{
	static struct disk disk;

	disk_make(&disk);
	disk.fd = image_to_fd(&disk.img);
	disk.q = open_good(disk.fd);
	hooks_reset();
	*state = &disk;
	return 0;
}

static int disk_teardown(void **state)
{
	struct disk *disk = *state;

	hooks_reset();
	qcow2_close(disk->q);
	disk_free(disk);
	return 0;
}

static void check_read(const struct disk *disk, size_t len, uint64_t off)
{
	size_t expected = off >= disk->size        ? 0u
	                  : len < disk->size - off ? len
	                                           : disk->size - (size_t)off;
	struct guarded buf;

	/* The buffer ends where the disk does, and the library must not touch what is after it. */
	guard_init(&buf, expected, 1);
	EQ(qcow2_read(disk->q, buf.p, len, off), expected);
	if (expected != 0u)
		SAME(buf.p, disk->want + off, expected);
	TRUE(guard_intact(&buf));
	guard_unmap(&buf);
}

static void test_read_content(void **state)
{
	static const size_t lens[] = { 0, 1, 511, 4096, CLUSTER - 1, CLUSTER, 3 * CLUSTER + 7 };
	struct disk *disk = *state;
	size_t i;
	uint64_t off;

	EQ(qcow2_get_size(disk->q), disk->size);
	for (i = 0; i < COUNT(lens); i++)
		for (off = 0; off < disk->size + 2 * CLUSTER; off += 9973)
			check_read(disk, lens[i], off);
	check_read(disk, disk->size, 0);
	check_read(disk, disk->size + 1, 0);
}

static void test_read_end(void **state)
{
	struct disk *disk = *state;
	uint8_t buf[16];

	check_read(disk, 16, disk->size - 16);
	check_read(disk, 16, disk->size - 15);
	check_read(disk, 16, disk->size - 1);
	errno = EXDEV;
	EQ(read_guarded(disk->q, buf, sizeof buf, disk->size), 0);
	EQ(read_guarded(disk->q, buf, sizeof buf, UINT64_MAX), 0);
	EQ(qcow2_read(disk->q, NULL, 0, 0), 0);
	EQ(errno, EXDEV);
}

static void test_read_interrupted(void **state)
{
	struct disk *disk = *state;

	hooks_reset();
	hooks.eintr = 2;
	hooks.pread_most = 1000;
	check_read(disk, disk->size, 0);
	TRUE(hooks.n[CALL_PREAD] > 200u);
	hooks_reset();
}

/* errno is that of pread(2), and the next call succeeds. */
static void test_read_fails(void **state)
{
	struct disk *disk = *state;
	uint8_t buf[512];

	hooks_reset();
	hooks.fail_at[CALL_PREAD] = 1;
	errno = 0;
	EQ(read_guarded(disk->q, buf, sizeof buf, CLUSTER), -1);
	EQ(errno, ENODATA);
	EQ(qcow2_last_failure()->status, QCOW2_E_IO);
	TRUE(qcow2_last_failure()->has_pos);
	hooks_reset();
	check_read(disk, disk->size, 0);
}

/* A file that shrinks is an error, never a signal. */
static void test_read_shrunk(void **state)
{
	struct disk *disk = *state;
	uint8_t *buf;

	buf = malloc(disk->size);
	EQ(ftruncate(disk->fd, 4096), 0);
	errno = 0;
	EQ(read_guarded(disk->q, buf, disk->size, 0), -1);
	EQ(errno, EIO);
	HAS(qcow2_last_failure()->message, "shrank");
	EQ(pwrite(disk->fd, disk->img.file.data, disk->img.file.len, 0), disk->img.file.len);
	check_read(disk, disk->size, 0);
	free(buf);
}

/* The library leaves the descriptor's position alone: a duplicate shares it. */
static void test_position_is_kept(void **state)
{
	struct disk disk;
	int fd, other;

	(void)state;
	disk_make(&disk);
	fd = image_to_fd(&disk.img);
	other = dup(fd);
	EQ(lseek(fd, 777, SEEK_SET), 777);
	disk.q = open_good(fd);
	check_read(&disk, disk.size, 0);
	qcow2_close(disk.q);
	EQ(lseek(other, 0, SEEK_CUR), 777);
	close(other);
	disk_free(&disk);
}

/* Clusters that are contiguous in the file cost one read, zeros none. */
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
	EQ(read_guarded(q, buf, 1, 0), 1);
	hooks_reset();
	EQ(read_guarded(q, buf, sizeof buf, 8 * CLUSTER), sizeof buf);
	EQ(hooks.n[CALL_PREAD], 1);
	EQ(read_guarded(q, buf, sizeof buf, 16 * CLUSTER), sizeof buf);
	EQ(read_guarded(q, buf, sizeof buf, 0), sizeof buf);
	EQ(hooks.n[CALL_PREAD], 1);
	qcow2_close(q);
	image_free(&img);
}

#ifndef __SANITIZE_THREAD__ /* it needs too much shadow memory for such a buffer */
/* More than INT_MAX bytes of addresses that share 2 MiB of memory, between guard pages. */
static void *wide_buffer(size_t len, size_t piece)
{
	int fd = memfd_create("piece", 0);
	char *at, *base;

	EQ(ftruncate(fd, (off_t)piece), 0);
	base = mmap(NULL, len + 2u * piece, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	            -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	base += piece;
	for (at = base; at < base + len; at += piece)
		TRUE(mmap(at, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at);
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
		EQ(qcow2_read(q, buf, len, 5), INT_MAX);
		EQ(qcow2_read(q, buf, SIZE_MAX, 5), INT_MAX);
		EQ(qcow2_read(q, buf, len, (UINT64_C(8) << 30) - 9), 9);
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
	struct disk *disk = *state;
	uint8_t byte;
	uint64_t at;

	for (at = 0; map_guarded(disk->q, at, UINT64_MAX, &s) == 1; at += s.length) {
		EQ(s.start, at);
		EQ(s.flags, flags[at / CLUSTER]);
		EQ(s.flags, flags[(at + s.length - 1u) / CLUSTER]);
		EQ(s.depth, 0);
		if ((s.flags & QCOW2_SEGMENT_AT) == 0u || (s.flags & QCOW2_SEGMENT_DATA) == 0u)
			continue;
		EQ(pread(s.fd, &byte, 1, (off_t)s.file_offset), 1);
		EQ(byte, disk->want[at]);
	}
	EQ(at, disk->size);
	EQ(map_guarded(disk->q, 0, 0, &s), 0);
	EQ(map_guarded(disk->q, disk->size, 1, &s), 0);
	EQ(map_guarded(disk->q, 100, 200, &s), 1);
	EQ(s.length, 200);
}

/* An empty disk of 1 TiB: its tables are short, but those of a hostile image need not be. */
static void test_map_is_bounded(void **state)
{
	struct qcow2_file below = { .format = "qcow2" };
	struct qcow2_options options = { .struct_size = sizeof options };
	uint64_t at, size = UINT64_C(1) << 40;
	struct image disk, base;
	struct qcow2_segment s;
	struct qcow2 *q;

	(void)state;
	image_init(&disk, 3, 16, size);
	q = open_good(image_to_fd(&disk));
	for (at = 0; map_guarded(q, at, UINT64_MAX, &s) == 1; at += s.length)
		EQ(s.length, UINT64_C(64) << 30);
	EQ(at, size);
	qcow2_close(q);
	image_free(&disk);

	/* With a second image and clusters of 512 bytes. */
	image_init(&base, 3, 9, CLUSTER);
	below.fd = image_to_fd(&base);
	image_init(&disk, 3, 16, size);
	image_set_backing(&disk, "base", 4, 0);
	options.backing = &below;
	options.n_backing = 1;
	q = qcow2_open_options(image_to_fd(&disk), &options, NULL);
	TRUE(q != NULL);
	EQ(map_guarded(q, CLUSTER, UINT64_MAX, &s), 1);
	EQ(s.length, UINT64_C(256) << 20);
	qcow2_close(q);
	image_free(&disk);
	image_free(&base);
}

static void test_little_memory(void **state)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct disk disk;

	(void)state;
	disk_make(&disk);
	options.reader_memory = 1;
	options.max_readers = 1;
	disk.q = qcow2_open_options(image_to_fd(&disk.img), &options, NULL);
	TRUE(disk.q != NULL);
	check_read(&disk, disk.size, 0);
	check_read(&disk, 100, 5 * CLUSTER + 100);
	qcow2_close(disk.q);
	disk_free(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_DISK(test) cmocka_unit_test_setup_teardown(test, disk_setup, disk_teardown)
		WITH_DISK(test_read_content),
		WITH_DISK(test_read_end),
		WITH_DISK(test_read_interrupted),
		WITH_DISK(test_read_fails),
		WITH_DISK(test_read_shrunk),
		cmocka_unit_test(test_position_is_kept),
		cmocka_unit_test(test_read_cost),
		cmocka_unit_test(test_read_int_max),
		WITH_DISK(test_map),
		cmocka_unit_test(test_map_is_bounded),
		cmocka_unit_test(test_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
