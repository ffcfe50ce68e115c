/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Lists of snapshots and of bitmaps that are not as simple as those of a good image: another
 * process changes the file while the list is made, or the table is too long.
 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "qcow2/status.h"

enum { SNAPSHOT_LEN = 40, SNAPSHOT_LENS = 12, BITMAP_LEN = 24, BITMAP_NAME_LEN = 18 };

/* ---- Files that change ---- */

/* Two bytes of the file, which hold the length of a name, and what another process writes there. */
static int changing_fd;
static off_t changing_pos;

static void put_length(uint16_t len)
{
	uint8_t bytes[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	EQ(pwrite(changing_fd, bytes, sizeof bytes, changing_pos), sizeof bytes);
}

static void make_longer(void)
{
	put_length(300);
}

static int list_snapshots(struct qcow2 *q, void **list)
{
	struct qcow2_snapshot_entry *entries;
	int n = qcow2_list_snapshots(q, &entries);

	*list = n >= 0 ? entries : NULL;
	return n;
}

static int list_bitmaps(struct qcow2 *q, void **list)
{
	struct qcow2_bitmap_entry *entries;
	int n = qcow2_list_bitmaps(q, &entries);

	*list = n >= 0 ? entries : NULL;
	return n;
}

/*
 * The name, of len bytes, becomes longer before each pread of the list in turn. The list has the
 * old name or the new one, or the call fails with this status: it never exceeds the memory that it
 * has taken for the old one. AddressSanitizer would notice.
 */
static void change_at_each_read(struct qcow2 *q, int (*list)(struct qcow2 *q, void **list),
                                uint16_t len, int status)
{
	unsigned n = 0, n_failed = 0;
	void *entries;

	do {
		int rc;

		put_length(len);
		hooks_reset();
		hooks.swap = make_longer;
		hooks.swap_call = CALL_PREAD;
		hooks.swap_at = ++n;
		rc = list(q, &entries);
		test_case("before read %u", n);
		if (rc < 0) {
			EQ(errno, EINVAL);
			EQ(qcow2_last_failure()->status, status);
			n_failed++;
		} else {
			EQ(rc, 1);
		}
		free(entries);
	} while (hooks.n[CALL_PREAD] >= n);
	TRUE(n_failed > 0u);
	LE(n_failed, n - 2u); /* before the first read, and after the last one, it does no harm */
	hooks_reset();
}

static void test_changing_snapshot(void **state)
{
	struct image img;
	struct qcow2 *q;

	(void)state;
	small_image(&img);
	image_add_snapshot(&img, "1", "first");
	image_finish(&img);
	image_buf_resize(&img.file, img.file.len + 1000u);
	changing_fd = image_to_fd(&img);
	changing_pos = (off_t)img.snapshots_pos + SNAPSHOT_LENS + 2;
	q = open_good(changing_fd);
	change_at_each_read(q, list_snapshots, 5, QCOW2_E_SNAPSHOT);
	qcow2_close(q);
	image_free(&img);
}

static void test_changing_bitmap(void **state)
{
	uint8_t extension[24] = { 0 };
	struct image img;
	struct qcow2 *q;
	uint64_t end;

	(void)state;
	small_image(&img);
	image_set(&img, IMAGE_AUTOCLEAR_FEATURES, 1);
	image_add_ext(&img, IMAGE_EXT_BITMAPS, sizeof extension, extension, sizeof extension);
	image_finish(&img);
	end = img.file.len;
	image_put(&img.file, img.ext_pos + 8u, 1, 4);
	image_put(&img.file, img.ext_pos + 16u, 1000, 8); /* room for the longer name */
	image_put(&img.file, img.ext_pos + 24u, end, 8);
	image_buf_resize(&img.file, (size_t)end + 1000u);
	image_put(&img.file, end, 65536, 8);
	image_put(&img.file, end + 8u, 1, 4);
	image_put(&img.file, end + 16u, 1, 1);
	image_put(&img.file, end + 17u, 16, 1);
	image_put(&img.file, end + BITMAP_NAME_LEN, 3, 2);
	image_buf_put(&img.file, end + BITMAP_LEN, "one", 3);
	changing_fd = image_to_fd(&img);
	changing_pos = (off_t)end + BITMAP_NAME_LEN;
	q = open_good(changing_fd);
	change_at_each_read(q, list_bitmaps, 3, QCOW2_E_BITMAP);
	qcow2_close(q);
	image_free(&img);
}

/* ---- Tables that are too long ---- */

/* Entries with the longest id and name, up to 64 MiB and past that. The file has holes there. */
static void test_long_snapshot_table(void **state)
{
	enum { ENTRY_LEN = (SNAPSHOT_LEN + 2 * 65535 + 7) / 8 * 8, FITS = (64 << 20) / ENTRY_LEN };
	static const uint8_t longest[4] = { 0xff, 0xff, 0xff, 0xff };
	struct qcow2_snapshot_entry *list = NULL;
	struct image img;
	unsigned i;

	(void)state;
	for (i = 0; i < 2u; i++) {
		struct qcow2 *q;
		off_t at;
		int fd;

		small_image(&img);
		image_set(&img, IMAGE_NB_SNAPSHOTS, FITS + i);
		image_set(&img, IMAGE_SNAPSHOTS_OFFSET, 1 << 20);
		fd = image_to_fd(&img);
		EQ(ftruncate(fd, 70 << 20), 0);
		for (at = 1 << 20; at < 66 << 20; at += ENTRY_LEN)
			EQ(pwrite(fd, longest, sizeof longest, at + SNAPSHOT_LENS), 4);
		q = open_good(fd);
		if (i == 0u) {
			EQ(qcow2_list_snapshots(q, &list), FITS);
			EQ(list[FITS - 1].name_len, 65535);
			free(list);
			list = NULL;
		} else {
			EQ(qcow2_list_snapshots(q, &list), -1);
			EQ(errno, EFBIG);
			EQ(qcow2_last_failure()->status, QCOW2_E_TOO_BIG);
			HAS(qcow2_last_failure()->message, "larger than 64 MiB");
			TRUE(list == NULL);
		}
		qcow2_close(q);
		image_free(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changing_snapshot),
		cmocka_unit_test(test_changing_bitmap),
		cmocka_unit_test(test_long_snapshot_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
