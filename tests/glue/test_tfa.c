/* SPDX-License-Identifier: MIT */
/* port/tfa over an io device of our own, which can be open but once, as some are. */
#include "glue.h"

#include <string.h>

#include "glue/tfa.h"
#include "io_qcow2.h"

enum { IMAGE_ID = 5, IMAGE_POS = 12345 };

/* ---- TF-A's part ---- */

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

static int read_part(void *buf, size_t length, size_t *got)
{
	*got = SIZE_MAX;
	return dev->funcs->read(&entity, (uintptr_t)buf, length, got);
}

static void reads_all(void **state)
{
	static const size_t steps[] = { 1000, 4096, 100000, 1000000 };
	static uint8_t buf[1000000];
	struct glue_disk disk;
	size_t len, got;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(init(), 0);
	EQ(open_part(0, 0), 0);
	EQ(dev->funcs->size(&entity, &len), 0);
	EQ(len, disk.size);
	for (size_t i = 0; i < COUNT(steps); i++) {
		EQ(dev->funcs->seek(&entity, IO_SEEK_SET, 0), 0);
		for (size_t at = 0; at < disk.size; at += got) {
			EQ(read_part(buf, steps[i], &got), 0);
			EQ(got, disk.size - at < steps[i] ? disk.size - at : steps[i]);
			SAME(buf, disk.want + at, got);
		}
		EQ(read_part(buf, 1, &got), 0);
		EQ(got, 0);
	}
	EQ(dev->funcs->close(&entity), 0);
	eject();
	glue_disk_free(&disk);
}

static void reads_a_part(void **state)
{
	uint8_t buf[6000];
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
	EQ(read_part(buf, sizeof buf, &got), 0);
	EQ(got, 6000);
	SAME(buf, disk.want + 10001, 6000);
	EQ(dev->funcs->seek(&entity, IO_SEEK_SET, 5990), 0);
	EQ(read_part(buf, sizeof buf, &got), 0);
	EQ(got, 10);
	SAME(buf, disk.want + 10001 + 5990, 10);
	EQ(dev->funcs->seek(&entity, IO_SEEK_SET, 6001), -EINVAL);
	EQ(dev->funcs->seek(&entity, IO_SEEK_SET, -1), -EINVAL);
	EQ(dev->funcs->seek(&entity, IO_SEEK_END, 0), -ENOSYS);
	EQ(dev->funcs->close(&entity), 0);

	EQ(open_part(disk.size, 0), 0); /* nothing, but not wrong */
	EQ(read_part(buf, 1, &got), 0);
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
	uint8_t buf[GLUE_SECTOR];
	struct glue_disk disk;
	size_t got;

	(void)state;
	glue_disk_init(&disk);
	glue_disk_damage(&disk);
	insert(&disk.img.file);
	EQ(init(), 0);
	EQ(open_part(3 * 4096, 0), 0);
	EQ(read_part(buf, sizeof buf, &got), -EINVAL);
	EQ(got, SIZE_MAX);
	EQ(dev->funcs->close(&entity), 0);
	eject();
	glue_disk_free(&disk);
}

/* Each call below fails once: its error comes back, and a retry finds all in order. */
static void storage_fails(void **state)
{
	static uint8_t buf[400 * GLUE_SECTOR];
	struct glue_disk disk;
	unsigned n = 0;
	size_t got;
	bool fired;

	(void)state;
	glue_disk_init(&disk);
	do {
		int rc;

		insert(&disk.img.file);
		storage.fail_at = ++n;
		rc = init();
		if (rc != 0) {
			EQ(rc, GLUE_FAULT);
			EQ(init(), 0);
		}
		EQ(open_part(0, 0), 0);
		rc = read_part(buf, sizeof buf, &got);
		if (rc != 0) {
			EQ(rc, GLUE_FAULT);
			LE(n, storage.calls);
			EQ(read_part(buf, sizeof buf, &got), 0);
		}
		fired = storage.calls >= n;
		EQ(got, disk.size);
		SAME(buf, disk.want, disk.size);
		EQ(dev->funcs->close(&entity), 0);
		eject();
	} while (fired);
	LE(10, n);
	glue_disk_free(&disk);
}

static void layer_fails(void **state)
{
	struct glue_disk disk;
	const io_dev_connector_t *connector = NULL;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	open_fails = true;
	EQ(init(), -ENXIO);
	open_fails = false;
	seek_fails = true;
	EQ(init(), -ESPIPE);
	seek_fails = false;
	reads_short = true;
	EQ(init(), -EIO);
	reads_short = false;
	TRUE(!below_open);
	EQ(init(), 0);
	eject();
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
