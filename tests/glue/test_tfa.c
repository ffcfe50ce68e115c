/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Tests port/tfa over a model of the io layer. Its io device can be open only once, as with some
 * drivers of TF-A.
 */
#include "glue.h"

#include <string.h>

#include "glue/tfa.h"
#include "io_qcow2.h"

enum { IMAGE_ID = 5, IMAGE_POS = 12345 };

/* ---- The model of TF-A ---- */

static struct glue_storage storage;
static io_block_spec_t image_spec;
static int below_device;
static bool below_open, open_fails, seek_fails, reads_short;
static size_t below_pos;
static const io_dev_info_t *registered;
static int register_result;

int io_register_device(const io_dev_info_t *dev_info)
{
	if (register_result == 0)
		registered = dev_info;
	return register_result;
}

int io_open(uintptr_t dev_handle, const uintptr_t spec, uintptr_t *handle)
{
	EQ(dev_handle, (uintptr_t)&below_device);
	EQ(spec, (uintptr_t)&image_spec);
	TRUE(!below_open);
	if (open_fails)
		return -ENXIO;
	below_open = true;
	below_pos = 0;
	*handle = (uintptr_t)&below_open;
	return 0;
}

int io_seek(uintptr_t handle, io_seek_mode_t mode, signed long long offset)
{
	EQ(handle, (uintptr_t)&below_open);
	TRUE(below_open);
	EQ(mode, IO_SEEK_SET);
	LE(offset, image_spec.length);
	if (seek_fails)
		return -ESPIPE;
	below_pos = (size_t)offset;
	return 0;
}

int io_read(uintptr_t handle, uintptr_t buffer, size_t length, size_t *length_read)
{
	int rc;

	EQ(handle, (uintptr_t)&below_open);
	TRUE(below_open);
	LE(length, image_spec.length - below_pos);
	rc = glue_storage_read(&storage, image_spec.offset + below_pos, (void *)buffer, length);
	if (rc == 0)
		*length_read = reads_short ? length - 1 : length;
	return rc;
}

int io_close(uintptr_t handle)
{
	EQ(handle, (uintptr_t)&below_open);
	TRUE(below_open);
	below_open = false;
	return 0;
}

int plat_get_image_source(unsigned int image_id, uintptr_t *dev_handle, uintptr_t *spec)
{
	if (image_id != IMAGE_ID)
		return -1;
	*dev_handle = (uintptr_t)&below_device;
	*spec = (uintptr_t)&image_spec;
	return 0;
}

/* ---- The tests ---- */

static io_dev_info_t *dev;
static io_entity_t entity;

static void insert(const struct image_buf *file)
{
	const io_dev_connector_t *connector = NULL;

	glue_storage_init(&storage, file, IMAGE_POS, IMAGE_POS + file->len + 100);
	image_spec.offset = IMAGE_POS;
	image_spec.length = file->len;
	EQ(register_io_dev_qcow2(&connector), 0);
	EQ(connector->dev_open(0, &dev), 0);
	TRUE(dev == registered);
	LE(dev->funcs->type(), IO_TYPE_MAX - 1);
}

static void eject(void)
{
	EQ(dev->funcs->dev_close(dev), 0);
	TRUE(!below_open);
	glue_storage_free(&storage);
}

static int init(void)
{
	return dev->funcs->dev_init(dev, IMAGE_ID);
}

static int open_part(size_t offset, size_t length)
{
	const io_block_spec_t spec = { offset, length };

	return dev->funcs->open(dev, (uintptr_t)&spec, &entity);
}

/* Reads to guarded memory and checks the content. */
static int read_part(const uint8_t *want, size_t length, size_t *got)
{
	uint8_t *buf = glue_dest(length);
	int rc;

	*got = SIZE_MAX;
	rc = dev->funcs->read(&entity, (uintptr_t)buf, length, got);
	glue_dest_check();
	if (rc == 0) {
		LE(*got, length);
		SAME(buf, want, *got);
	} else {
		EQ(*got, SIZE_MAX);
	}
	return rc;
}

static void check_reads(const struct glue_disk *disk)
{
	static const size_t steps[] = { 1000, 4096, 100000, 1000000 };
	size_t len, got;

	insert(&disk->img.file);
	EQ(init(), 0);
	EQ(open_part(0, 0), 0);
	EQ(dev->funcs->size(&entity, &len), 0);
	EQ(len, disk->size);
	for (size_t i = 0; i < COUNT(steps); i++) {
		EQ(dev->funcs->seek(&entity, IO_SEEK_SET, 0), 0);
		for (size_t at = 0; at < disk->size; at += got) {
			EQ(read_part(disk->want + at, steps[i], &got), 0);
			EQ(got, disk->size - at < steps[i] ? disk->size - at : steps[i]);
		}
		EQ(read_part(NULL, 1, &got), 0);
		EQ(got, 0);
	}
	EQ(dev->funcs->close(&entity), 0);
	eject();
}

static void reads_all(void **state)
{
	(void)state;
	glue_disk_reads(check_reads);
}

static void reads_a_part(void **state)
{
	struct glue_disk disk;
	size_t len, got;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(init(), 0);
	EQ(open_part(10001, 6000), 0);
	EQ(open_part(0, 0), -ENOMEM); /* one at a time */
	EQ(dev->funcs->size(&entity, &len), 0);
	EQ(len, 6000);
	EQ(read_part(disk.want + 10001, 6000, &got), 0);
	EQ(got, 6000);
	EQ(dev->funcs->seek(&entity, IO_SEEK_SET, 5990), 0);
	EQ(read_part(disk.want + 10001 + 5990, 6000, &got), 0);
	EQ(got, 10);
	EQ(dev->funcs->seek(&entity, IO_SEEK_SET, 6001), -EINVAL);
	EQ(dev->funcs->seek(&entity, IO_SEEK_SET, -1), -EINVAL);
	EQ(dev->funcs->seek(&entity, IO_SEEK_END, 0), -ENOSYS);
	EQ(dev->funcs->close(&entity), 0);

	EQ(open_part(disk.size, 0), 0); /* an empty part at the end of the disk is allowed */
	EQ(read_part(NULL, 1, &got), 0);
	EQ(got, 0);
	EQ(dev->funcs->close(&entity), 0);
	EQ(open_part(disk.size + 1, 0), -EINVAL);
	EQ(open_part(1, disk.size), -EINVAL);
	EQ(open_part(SIZE_MAX, SIZE_MAX), -EINVAL);
	eject();
	EQ(open_part(0, 0), -EINVAL); /* closed */
	glue_disk_free(&disk);
}

static void refuses_images(void **state)
{
	struct glue_disk disk;
	struct image img;

	(void)state;
	glue_disk_init(&disk);
	image_put(&disk.img.file, 0, 0, 4);
	insert(&disk.img.file);
	EQ(dev->funcs->dev_init(dev, IMAGE_ID + 1), -ENOENT);
	EQ(init(), -EINVAL);
	EQ(open_part(0, 0), -EINVAL);
	eject();
	glue_disk_free(&disk);

	glue_overlay_init(&img);
	insert(&img.file);
	EQ(init(), -EINVAL);
	EQ(open_part(0, 0), -EINVAL);
	eject();
	image_free(&img);
}

static void damage_is_an_error(void **state)
{
	struct glue_disk disk;
	size_t got;

	(void)state;
	glue_disk_init(&disk);
	glue_disk_damage(&disk);
	insert(&disk.img.file);
	EQ(init(), 0);
	EQ(open_part(3 * 4096, 0), 0);
	EQ(read_part(NULL, GLUE_SECTOR, &got), -EINVAL);
	EQ(dev->funcs->close(&entity), 0);
	eject();
	glue_disk_free(&disk);
}

/*
 * Lets the n-th read of the storage fail, while the device is started or read. The port must return
 * the error as long as the storage fails, and work afterwards. Returns false if there is no such
 * read.
 */
static bool storage_fault(const struct glue_disk *disk, unsigned n, bool persistent)
{
	unsigned tries = persistent ? 3 : 1;
	int started = -1, rc = -1;
	size_t got;
	bool fired;

	test_case("storage read %u fails%s", n, persistent ? " and all after it" : "");
	insert(&disk->img.file);
	storage.fail_at = n;
	storage.persistent = persistent;
	for (unsigned i = 0; i < tries && started != 0; i++) {
		started = init();
		TRUE(started == GLUE_FAULT || (started == 0 && i == 0));
		EQ(glue_printed("qcow2: read error"), started != 0);
		EQ(open_part(0, 0), started == 0 ? 0 : -EINVAL);
	}
	for (unsigned i = 0; i < tries && rc != 0 && started == 0; i++) {
		rc = read_part(disk->want, disk->size + 1, &got);
		TRUE(rc == GLUE_FAULT || (rc == 0 && i == 0));
		EQ(glue_printed("qcow2: read error"), rc != 0);
	}
	fired = storage.calls >= n;
	EQ(fired, rc != 0); /* no failure is ignored */
	storage.fail_at = 0;
	if (started != 0) {
		EQ(init(), 0);
		EQ(open_part(0, 0), 0);
	}
	EQ(dev->funcs->seek(&entity, IO_SEEK_SET, 0), 0);
	EQ(read_part(disk->want, disk->size + 1, &got), 0);
	EQ(got, disk->size);
	EQ(dev->funcs->close(&entity), 0);
	eject();
	return fired;
}

static void storage_fails(void **state)
{
	(void)state;
	glue_storage_fails(storage_fault);
}

/* Lets another call of the io layer fail repeatedly. */
static void layer_fault(const struct glue_disk *disk, bool *fails, int error)
{
	size_t got;

	insert(&disk->img.file);
	*fails = true;
	EQ(init(), error);
	EQ(init(), error);
	TRUE(!below_open);
	*fails = false;
	EQ(init(), 0);
	EQ(open_part(0, 0), 0);
	*fails = true;
	EQ(read_part(NULL, 5000, &got), error);
	EQ(read_part(NULL, 5000, &got), error);
	TRUE(!below_open);
	*fails = false;
	EQ(read_part(disk->want, 5000, &got), 0);
	EQ(got, 5000);
	EQ(dev->funcs->close(&entity), 0);
	eject();
}

static void layer_fails(void **state)
{
	struct glue_disk disk;
	const io_dev_connector_t *connector = NULL;

	(void)state;
	glue_disk_init(&disk);
	layer_fault(&disk, &open_fails, -ENXIO);
	layer_fault(&disk, &seek_fails, -ESPIPE);
	layer_fault(&disk, &reads_short, -EIO);
	register_result = -ENOMEM;
	EQ(register_io_dev_qcow2(&connector), -ENOMEM);
	TRUE(connector == NULL);
	register_result = 0;
	glue_disk_free(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all),      cmocka_unit_test(reads_a_part),
		cmocka_unit_test(refuses_images), cmocka_unit_test(damage_is_an_error),
		cmocka_unit_test(storage_fails),  cmocka_unit_test(layer_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
