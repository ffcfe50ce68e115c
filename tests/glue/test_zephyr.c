/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Tests port/zephyr over a model of disk_access, of a file system and of a mutex. */
#include "glue.h"

#include <errno.h>
#include <string.h>

#include "qcow2_disk.h"

/* ---- The model of Zephyr ---- */

static struct glue_storage storage;
static size_t file_len, file_pos, most; /* fs_read delivers at most so many bytes */
static int open_files, open_result, seek_result, tell_result, register_result;
static struct disk_info *registered;
static struct qcow2_file image_file;

int k_mutex_init(struct k_mutex *mutex)
{
	mutex->count = 0;
	return 0;
}

int k_mutex_lock(struct k_mutex *mutex, int timeout)
{
	EQ(timeout, K_FOREVER);
	EQ(mutex->count++, 0);
	return 0;
}

int k_mutex_unlock(struct k_mutex *mutex)
{
	EQ(mutex->count--, 1);
	return 0;
}

int disk_access_register(struct disk_info *disk)
{
	if (register_result != 0)
		return register_result;
	TRUE(registered == NULL);
	TRUE(disk->node == NULL && disk->dev == NULL && disk->refcnt == 0);
	registered = disk;
	return 0;
}

int disk_access_unregister(struct disk_info *disk)
{
	TRUE(registered == disk);
	registered = NULL;
	return 0;
}

void fs_file_t_init(struct fs_file_t *file)
{
	memset(file, 0, sizeof *file);
}

int fs_open(struct fs_file_t *file, const char *name, unsigned flags)
{
	TRUE(file->filep == NULL);
	TEXT(name, "/SD:/disk.qcow2");
	EQ(flags, FS_O_READ);
	if (open_result != 0)
		return open_result;
	file->filep = &storage;
	open_files++;
	file_pos = 0;
	return 0;
}

int fs_close(struct fs_file_t *file)
{
	TRUE(file->filep == &storage);
	file->filep = NULL;
	open_files--;
	return 0;
}

int fs_seek(struct fs_file_t *file, off_t offset, int whence)
{
	TRUE(file->filep == &storage);
	EQ(image_file.lock.count, whence == FS_SEEK_SET); /* from a seek until all is read */
	if (seek_result != 0)
		return seek_result;
	file_pos = (size_t)offset + (whence == FS_SEEK_END ? file_len : 0);
	LE(file_pos, file_len);
	return 0;
}

off_t fs_tell(struct fs_file_t *file)
{
	TRUE(file->filep == &storage);
	return tell_result != 0 ? tell_result : (off_t)file_pos;
}

ssize_t fs_read(struct fs_file_t *file, void *buf, size_t len)
{
	size_t n = len < most ? len : most;
	int rc;

	TRUE(file->filep == &storage);
	EQ(image_file.lock.count, 1);
	LE(len, file_len - file_pos);
	if (n == 0)
		return 0;
	rc = glue_storage_read(&storage, file_pos, buf, n);
	file_pos += n;
	return rc != 0 ? rc : (ssize_t)n;
}

/* ---- The tests ---- */

static struct qcow2_disk disk;

static void insert(const struct image_buf *bytes)
{
	glue_storage_init(&storage, bytes, 0, bytes->len);
	file_len = bytes->len;
	most = SIZE_MAX;
	EQ(qcow2_file_open(&image_file, "/SD:/disk.qcow2"), 0);
	EQ(image_file.io.size, file_len);
	EQ(image_file.lock.count, 0);
}

static void eject(void)
{
	EQ(qcow2_file_close(&image_file), 0);
	EQ(open_files, 0);
	glue_storage_free(&storage);
}

static int start(void)
{
	return qcow2_disk_register(&disk, "VM", &image_file.io, NULL);
}

static uint32_t ask(uint8_t cmd)
{
	uint32_t answer = 0;

	EQ(registered->ops->ioctl(registered, cmd, &answer), 0);
	return answer;
}

/* Reads to guarded memory and checks the content. */
static int read_sectors(const struct glue_disk *want, uint32_t first, uint32_t count)
{
	uint8_t *buf = glue_dest((size_t)count * GLUE_SECTOR);
	int rc = registered->ops->read(registered, buf, first, count);

	glue_dest_check();
	if (rc == 0)
		SAME(buf, want->want + (size_t)first * GLUE_SECTOR, (size_t)count * GLUE_SECTOR);
	EQ(disk.lock.count, 0);
	EQ(image_file.lock.count, 0);
	return rc;
}

static void check_reads(const struct glue_disk *want)
{
	static const uint32_t steps[] = { 1, 7, 100 };

	insert(&want->img.file);
	EQ(start(), 0);
	TEXT(registered->name, "VM");
	EQ(ask(DISK_IOCTL_GET_SECTOR_COUNT), want->sectors);
	for (size_t i = 0; i < COUNT(steps); i++) {
		for (uint32_t at = 0, n; at < want->sectors; at += n) {
			n = want->sectors - at < steps[i] ? (uint32_t)want->sectors - at : steps[i];
			EQ(read_sectors(want, at, n), 0);
		}
	}
	EQ(qcow2_disk_unregister(&disk), 0);
	TRUE(registered == NULL);
	eject();
}

static void reads_all(void **state)
{
	(void)state;
	glue_disk_reads(check_reads);
}

static void answers(void **state)
{
	struct glue_disk want;
	uint32_t sectors;
	uint8_t sector[GLUE_SECTOR];

	(void)state;
	glue_disk_init(&want);
	sectors = (uint32_t)want.sectors;
	insert(&want.img.file);
	EQ(start(), 0);
	EQ(registered->ops->init(registered), 0);
	EQ(registered->ops->status(registered), DISK_STATUS_OK);
	EQ(ask(DISK_IOCTL_GET_SECTOR_SIZE), GLUE_SECTOR);
	EQ(ask(DISK_IOCTL_GET_ERASE_BLOCK_SZ), 1);
	EQ(ask(DISK_IOCTL_CTRL_SYNC), 0);
	EQ(ask(DISK_IOCTL_CTRL_INIT), 0);
	EQ(ask(DISK_IOCTL_CTRL_DEINIT), 0);
	EQ(registered->ops->ioctl(registered, 99, NULL), -ENOTSUP);
	EQ(registered->ops->write(registered, sector, 0, 1), -EROFS);

	EQ(read_sectors(&want, sectors, 0), 0);
	EQ(registered->ops->read(registered, sector, sectors, 1), -EINVAL);
	EQ(registered->ops->read(registered, sector, sectors + 1, 0), -EINVAL);
	EQ(registered->ops->read(registered, sector, 1, sectors), -EINVAL);
	EQ(registered->ops->read(registered, sector, UINT32_MAX, UINT32_MAX), -EINVAL);
	EQ(qcow2_disk_unregister(&disk), 0);
	eject();
	glue_disk_free(&want);
}

static void refuses_images(void **state)
{
	struct glue_disk want;
	struct image img;

	(void)state;
	glue_disk_init(&want);
	image_put(&want.img.file, 0, 0, 4);
	insert(&want.img.file);
	EQ(start(), -EINVAL);
	TRUE(glue_printed("not a qcow2 image"));
	eject();
	glue_disk_free(&want);

	glue_overlay_init(&img);
	insert(&img.file);
	EQ(start(), -EINVAL);
	TRUE(glue_printed("needs its backing file"));
	EQ(qcow2_disk_register(&disk, "VM", &image_file.io, &(const struct qcow2_image){ 0 }),
	   -EINVAL);
	eject();
	image_free(&img);

	image_init(&img, 3, 21, UINT64_C(1) << 42);
	image_finish(&img);
	insert(&img.file);
	EQ(start(), -EFBIG);
	eject();
	image_free(&img);
	TRUE(registered == NULL);
}

static int memory_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct image_buf *bytes = ctx;

	LE(pos, bytes->len);
	LE(len, bytes->len - (size_t)pos);
	memcpy(buf, bytes->data + pos, len);
	return 0;
}

/* The caller opens the image below, on storage of its own. */
static void reads_a_chain(void **state)
{
	static const struct qcow2_io_ops memory_ops = { memory_read };
	struct qcow2_image below;
	struct glue_disk want;
	struct image img;

	(void)state;
	glue_disk_init(&want);
	glue_overlay_init(&img);

	const struct qcow2_io io = { &memory_ops, &want.img.file, want.img.file.len };

	EQ(qcow2_image_open(&below, &io, 0, NULL), 0);
	insert(&img.file);
	EQ(qcow2_disk_register(&disk, "VM", &image_file.io, &below), 0);
	EQ(read_sectors(&want, 0, ask(DISK_IOCTL_GET_SECTOR_COUNT)), 0);
	EQ(qcow2_disk_unregister(&disk), 0);
	eject();
	image_free(&img);
	glue_disk_free(&want);
}

static void damage_is_an_error(void **state)
{
	struct glue_disk want;

	(void)state;
	glue_disk_init(&want);
	glue_disk_damage(&want);
	insert(&want.img.file);
	EQ(start(), 0);
	EQ(read_sectors(&want, 3 * 4096 / GLUE_SECTOR, 1), -EIO);
	TRUE(glue_printed("compressed data is corrupt"));
	EQ(read_sectors(&want, 0, 1), 0);
	EQ(qcow2_disk_unregister(&disk), 0);
	eject();
	glue_disk_free(&want);
}

/*
 * Lets the n-th read of the file fail, while the disk is registered or read. The port must return
 * the error as long as the file fails, and work afterwards. Returns false if there is no such read.
 */
static bool storage_fault(const struct glue_disk *want, unsigned n, bool persistent)
{
	unsigned tries = persistent ? 3 : 1;
	uint32_t sectors = (uint32_t)want->sectors;
	int started = -1, rc = -1;
	bool fired;

	test_case("file read %u fails%s", n, persistent ? " and all after it" : "");
	insert(&want->img.file);
	storage.fail_at = n;
	storage.persistent = persistent;
	for (unsigned i = 0; i < tries && started != 0; i++) {
		started = start();
		TRUE(started == GLUE_FAULT || (started == 0 && i == 0));
		EQ(glue_printed("read error"), started != 0);
		EQ(registered != NULL, started == 0);
	}
	for (unsigned i = 0; i < tries && rc != 0 && started == 0; i++) {
		rc = read_sectors(want, 0, sectors);
		TRUE(rc == GLUE_FAULT || (rc == 0 && i == 0));
		EQ(glue_printed("read error"), rc != 0);
	}
	fired = storage.calls >= n;
	EQ(fired, rc != 0); /* no failure is ignored */
	storage.fail_at = 0;
	if (started != 0)
		EQ(start(), 0);
	EQ(read_sectors(want, 0, sectors), 0);
	EQ(qcow2_disk_unregister(&disk), 0);
	eject();
	return fired;
}

static void storage_fails(void **state)
{
	(void)state;
	glue_storage_fails(storage_fault);
}

static int open_file(void)
{
	int rc = qcow2_file_open(&image_file, "/SD:/disk.qcow2");

	EQ(open_files, 0);
	return rc;
}

/* The other calls of Zephyr fail. */
static void layer_fails(void **state)
{
	struct glue_disk want;

	(void)state;
	glue_disk_init(&want);
	open_result = -ENOENT;
	EQ(open_file(), -ENOENT);
	open_result = 0;
	seek_result = -ESPIPE;
	EQ(open_file(), -ESPIPE);
	seek_result = 0;
	tell_result = -EIO;
	EQ(open_file(), -EIO);
	tell_result = 0;

	insert(&want.img.file);
	register_result = -EINVAL;
	EQ(start(), -EINVAL);
	register_result = 0;
	EQ(start(), 0);
	most = 100; /* a file system may deliver less than it is asked for */
	EQ(read_sectors(&want, 0, (uint32_t)want.sectors), 0);
	EQ(qcow2_disk_unregister(&disk), 0);
	EQ(start(), 0);
	seek_result = -ESPIPE;
	EQ(read_sectors(&want, 0, 1), -ESPIPE);
	seek_result = 0;
	most = 0; /* the file has ended */
	EQ(read_sectors(&want, 0, 1), -EIO);
	most = SIZE_MAX;
	EQ(read_sectors(&want, 0, 1), 0);
	EQ(qcow2_disk_unregister(&disk), 0);
	eject();
	glue_disk_free(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all),     cmocka_unit_test(answers),
		cmocka_unit_test(reads_a_chain), cmocka_unit_test(refuses_images),
		cmocka_unit_test(storage_fails), cmocka_unit_test(damage_is_an_error),
		cmocka_unit_test(layer_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
