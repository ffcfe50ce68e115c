/* SPDX-License-Identifier: MIT */
/* Tests port/grub over a model of GRUB's files, which calls the filter as grub_file_open does. */
#include "glue.h"

#include <stdio.h>
#include <string.h>

#include "glue/grub.h"

void grub_mod_init_qcow2io(void);
void grub_mod_fini_qcow2io(void);

/* ---- The model of GRUB ---- */

struct grub_device {
	int open;
};

static struct grub_device device;
static struct glue_storage storage;
static grub_file_filter_t filter;
static char message[200];
static size_t piece;    /* the most bytes that one read returns; 0 for no limit */
static bool ends_early; /* reads return 0 bytes, without an error */

grub_err_t grub_errno;

grub_err_t grub_error(grub_err_t n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return grub_errno = n;
}

void *grub_malloc(grub_size_t len)
{
	void *p = glue_alloc(16, len);

	if (p == NULL)
		grub_error(GRUB_ERR_OUT_OF_MEMORY, "out of memory");
	return p;
}

void *grub_zalloc(grub_size_t len)
{
	void *p = grub_malloc(len);

	return p != NULL ? memset(p, 0, len) : NULL;
}

void grub_free(void *p)
{
	glue_release(p);
}

grub_ssize_t grub_file_read(grub_file_t file, void *buf, grub_size_t len)
{
	grub_ssize_t n;

	LE(file->offset, file->size);
	if (len > file->size - file->offset)
		len = file->size - file->offset;
	if (len == 0)
		return 0;
	n = file->fs->fs_read(file, buf, len);
	if (n > 0)
		file->offset += (grub_off_t)n;
	return n;
}

grub_off_t grub_file_seek(grub_file_t file, grub_off_t offset)
{
	grub_off_t old = file->offset;

	LE(offset, file->size);
	file->offset = offset;
	return old;
}

grub_err_t grub_file_close(grub_file_t file)
{
	if (file->fs->fs_close != NULL)
		file->fs->fs_close(file);
	if (file->device != NULL)
		file->device->open--;
	grub_free(file);
	return grub_errno;
}

void grub_file_filter_register(grub_file_filter_id_t id, grub_file_filter_t wanted)
{
	EQ(id, GRUB_FILE_FILTER_QCOW2);
	filter = wanted;
}

void grub_file_filter_unregister(grub_file_filter_id_t id)
{
	EQ(id, GRUB_FILE_FILTER_QCOW2);
	filter = NULL;
}

static grub_ssize_t plain_read(grub_file_t file, char *buf, grub_size_t len)
{
	if (piece != 0 && len > piece)
		len = piece;
	if (ends_early)
		return 0;
	if (glue_storage_read(&storage, (size_t)file->offset, buf, len) == 0)
		return (grub_ssize_t)len;
	/* A status that the filter itself never sets, so that the test knows whose error it is. */
	grub_error(GRUB_ERR_OUT_OF_RANGE, "the disk is broken");
	return -1;
}

static struct grub_fs plain_fs = { "plain", plain_read, NULL };

static grub_file_t open_file(enum grub_file_type type)
{
	grub_file_t below = glue_zalloc(sizeof *below), file;

	TRUE(below != NULL);
	device.open++;
	below->device = &device;
	below->fs = &plain_fs;
	below->size = storage.len;
	grub_errno = GRUB_ERR_NONE;
	file = filter(below, type);
	if (file == NULL)
		grub_file_close(below);
	return file;
}

/* ---- The tests ---- */

static void insert(const struct image_buf *file)
{
	glue_storage_init(&storage, file, 0, file->len);
	glue_heap_reset();
	grub_mod_init_qcow2io();
	TRUE(filter != NULL);
}

static void eject(grub_file_t file)
{
	grub_errno = GRUB_ERR_NONE;
	if (file != NULL)
		EQ(grub_file_close(file), GRUB_ERR_NONE);
	EQ(glue_heap.live, 0);
	EQ(device.open, 0);
	grub_mod_fini_qcow2io();
	TRUE(filter == NULL);
	glue_storage_free(&storage);
}

/* Reads from the position of the file to guarded memory and checks the content. */
static grub_ssize_t read_on(grub_file_t file, const uint8_t *want, size_t len)
{
	uint8_t *buf = glue_dest(len);
	grub_ssize_t n = grub_file_read(file, buf, len);

	glue_dest_check();
	if (n > 0)
		SAME(buf, want, (size_t)n);
	return n;
}

static void check_reads(const struct glue_disk *disk)
{
	static const size_t steps[] = { 512, 1000, 4096, 100000, 1000000 };
	grub_file_t file;

	insert(&disk->img.file);
	file = open_file(GRUB_FILE_TYPE_LOOPBACK | GRUB_FILE_TYPE_NO_DECOMPRESS);
	TRUE(file != NULL && file->fs != &plain_fs);
	EQ(grub_file_size(file), disk->size);
	for (size_t i = 0; i < COUNT(steps); i++) {
		size_t at = 0;

		piece = i * 100; /* 0: no limit */
		grub_file_seek(file, 0);
		while (at < disk->size) {
			size_t want = disk->size - at < steps[i] ? disk->size - at : steps[i];

			EQ(read_on(file, disk->want + at, steps[i]), want);
			at += want;
		}
		EQ(read_on(file, NULL, 1), 0);
	}
	piece = 0;
	eject(file);
}

static void reads_all(void **state)
{
	(void)state;
	glue_disk_reads(check_reads);
}

/* The filter must leave alone files that are not images, or are not opened for loopback. */
static void leaves_alone(void **state)
{
	struct glue_disk disk;
	grub_file_t file;
	uint8_t byte;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	file = open_file(GRUB_FILE_TYPE_LINUX_KERNEL);
	TRUE(file != NULL && file->fs == &plain_fs);
	eject(file);

	image_put(&disk.img.file, 0, 0x58464951, 4);
	insert(&disk.img.file);
	file = open_file(GRUB_FILE_TYPE_LOOPBACK);
	TRUE(file != NULL && file->fs == &plain_fs);
	EQ(grub_errno, GRUB_ERR_NONE);
	EQ(grub_file_read(file, &byte, 1), 1); /* from the beginning */
	EQ(byte, 0x58);
	eject(file);

	disk.img.file.len = 3;
	insert(&disk.img.file);
	file = open_file(GRUB_FILE_TYPE_LOOPBACK);
	TRUE(file != NULL && file->fs == &plain_fs);
	eject(file);
	glue_disk_free(&disk);
}

static void refuses_images(void **state)
{
	struct glue_disk disk;
	struct image img;

	(void)state;
	glue_disk_init(&disk);
	image_put(&disk.img.file, 4, 7, 4); /* the version */
	insert(&disk.img.file);
	TRUE(open_file(GRUB_FILE_TYPE_LOOPBACK) == NULL);
	EQ(grub_errno, GRUB_ERR_BAD_FILE_TYPE);
	HAS(message, "version");
	eject(NULL);
	glue_disk_free(&disk);

	glue_overlay_init(&img);
	insert(&img.file);
	TRUE(open_file(GRUB_FILE_TYPE_LOOPBACK) == NULL);
	EQ(grub_errno, GRUB_ERR_BAD_FILE_TYPE);
	HAS(message, "backing file");
	eject(NULL);
	image_free(&img);
}

static void damage_is_an_error(void **state)
{
	struct glue_disk disk;
	grub_file_t file;

	(void)state;
	glue_disk_init(&disk);
	glue_disk_damage(&disk);
	insert(&disk.img.file);
	file = open_file(GRUB_FILE_TYPE_LOOPBACK);
	TRUE(file != NULL);
	grub_file_seek(file, 3 * 4096);
	EQ(read_on(file, NULL, GLUE_SECTOR), -1);
	EQ(grub_errno, GRUB_ERR_BAD_FILE_TYPE);
	HAS(message, "compressed data is corrupt");
	eject(file);
	glue_disk_free(&disk);
}

/* Opens the disk, or sets grub_errno and returns NULL. */
static grub_file_t open_disk(void)
{
	grub_file_t file = open_file(GRUB_FILE_TYPE_LOOPBACK);

	TRUE(file == NULL || file->fs != &plain_fs);
	return file;
}

/*
 * Lets the n-th read of the storage fail, while the file is opened or read. GRUB's own error must
 * remain as long as the storage fails, and the file must work afterwards. Returns false if there is
 * no such read.
 */
static bool storage_fault(const struct glue_disk *disk, unsigned n, bool persistent)
{
	unsigned tries = persistent ? 3 : 1;
	grub_file_t file = NULL;
	grub_ssize_t got = -1;
	bool fired;

	test_case("storage read %u fails%s", n, persistent ? " and all after it" : "");
	insert(&disk->img.file);
	storage.fail_at = n;
	storage.persistent = persistent;
	for (unsigned i = 0; i < tries && file == NULL; i++) {
		file = open_disk();
		EQ(grub_errno, file == NULL ? GRUB_ERR_OUT_OF_RANGE : GRUB_ERR_NONE);
		TRUE(file == NULL || i == 0);
	}
	for (unsigned i = 0; i < tries && got < 0 && file != NULL; i++) {
		got = read_on(file, disk->want, disk->size);
		TRUE(got < 0 || i == 0);
		EQ(grub_errno, got < 0 ? GRUB_ERR_OUT_OF_RANGE : GRUB_ERR_NONE);
		EQ(file->offset, got < 0 ? 0 : disk->size);
	}
	fired = storage.calls >= n;
	EQ(fired, got < 0); /* no failure is ignored */
	storage.fail_at = 0;
	if (file == NULL)
		file = open_disk();
	TRUE(file != NULL);
	grub_file_seek(file, 0);
	EQ(read_on(file, disk->want, disk->size), disk->size);
	eject(file);
	return fired;
}

static void storage_fails(void **state)
{
	struct glue_disk disk;

	(void)state;
	glue_storage_fails(storage_fault);

	test_case("the storage returns no bytes and no error");
	glue_disk_init(&disk);
	insert(&disk.img.file);
	ends_early = true;
	TRUE(open_disk() == NULL);
	EQ(grub_errno, GRUB_ERR_BAD_FILE_TYPE);
	HAS(message, "read error");
	ends_early = false;
	eject(NULL);
	glue_disk_free(&disk);
}

/* Lets the n-th allocation fail. Returns true if the disk could still be opened. */
static bool heap_fault(const struct glue_disk *disk, unsigned n, bool persistent, bool *fired)
{
	grub_file_t file;
	bool survived;

	test_case("allocation %u fails%s", n, persistent ? " and all after it" : "");
	insert(&disk->img.file);
	glue_heap.fail_at = n;
	glue_heap.persistent = persistent;
	file = open_disk();
	*fired = glue_heap.calls >= n;
	survived = file != NULL;
	EQ(grub_errno, survived ? GRUB_ERR_NONE : GRUB_ERR_OUT_OF_MEMORY);
	glue_heap.fail_at = 0;
	if (!survived)
		file = open_disk();
	EQ(read_on(file, disk->want, disk->size), disk->size);
	eject(file);
	return survived && *fired;
}

static void heap_fails(void **state)
{
	(void)state;
	glue_heap_fails(2, heap_fault); /* the first allocation is the file of the image */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all),      cmocka_unit_test(leaves_alone),
		cmocka_unit_test(refuses_images), cmocka_unit_test(damage_is_an_error),
		cmocka_unit_test(storage_fails),  cmocka_unit_test(heap_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
