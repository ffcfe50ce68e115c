/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * TF-A: an io device for the disk in a qcow2 image. The image is on another io device (block,
 * memmap). README.md has the steps. tests/glue/test_tfa.c runs it against a model of the io layer.
 *
 * Each access opens the device below and closes it again, because some devices can be open only
 * once. Images that need another file (backing file, external data file) are refused.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <common/debug.h>
#include <drivers/io/io_driver.h>
#include <drivers/io/io_storage.h>
#include <plat/common/platform.h>

#include "io_qcow2.h"
#include "qcow2/reader.h"

/* The device with the image, and the position of the image on it. */
static struct {
	uintptr_t device;
	uintptr_t spec;
} below;

/* The open part of the disk. */
static struct {
	bool is_open;
	uint64_t start;
	size_t length;
	size_t pos;
} part;

static bool is_ready;
static struct qcow2_image image;
static struct qcow2_reader reader;

/*
 * Decoding zstd needs a whole cluster in memory, so IO_QCOW2_ZSTD_CLUSTER_BITS is the log2 of the
 * longest cluster of an image that is compressed with zstd. Such an image with longer clusters is
 * refused. Deflate needs less, at any cluster size.
 */
#ifndef IO_QCOW2_ZSTD_CLUSTER_BITS
#define IO_QCOW2_ZSTD_CLUSTER_BITS 16
#endif
#if IO_QCOW2_ZSTD_CLUSTER_BITS < 12
#error IO_QCOW2_ZSTD_CLUSTER_BITS must be at least 12
#endif
static uint64_t memory[QCOW2_READER_MEMORY_ZSTD(IO_QCOW2_ZSTD_CLUSTER_BITS) / 8];

static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_small, &qcow2_zstd_small, NULL };

static int below_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	uintptr_t handle;
	size_t got = 0;
	int rc = io_open(below.device, below.spec, &handle);

	(void)ctx;
	if (rc != 0)
		return rc;
	rc = io_seek(handle, IO_SEEK_SET, (signed long long)pos);
	if (rc == 0)
		rc = io_read(handle, (uintptr_t)buf, len, &got);
	if (rc == 0 && got != len)
		rc = -EIO;
	(void)io_close(handle);
	return rc;
}

static const struct qcow2_io_ops below_ops = { below_read };

static int complain(const struct qcow2_error *error)
{
	WARN("qcow2: %s (byte %llu)\n", qcow2_status_text(error->status),
	     (unsigned long long)error->pos);
	return error->status == QCOW2_E_IO ? error->io_code : -EINVAL;
}

static io_type_t qcow2_type(void)
{
	return IO_TYPE_BLOCK;
}

static int qcow2_part_open(io_dev_info_t *dev_info, const uintptr_t spec, io_entity_t *entity)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): TF-A passes pointers as numbers. */
	const io_block_spec_t *wanted = (const io_block_spec_t *)spec;
	uint64_t left;

	(void)dev_info;
	if (!is_ready || wanted->offset > image.size)
		return -EINVAL;
	if (part.is_open)
		return -ENOMEM;
	left = image.size - wanted->offset;
	if (wanted->length > left || (wanted->length == 0u && left > SIZE_MAX))
		return -EINVAL;
	part.is_open = true;
	part.start = wanted->offset;
	part.length = wanted->length != 0u ? wanted->length : (size_t)left;
	part.pos = 0;
	entity->info = (uintptr_t)&part;
	return 0;
}

static int qcow2_part_seek(io_entity_t *entity, int mode, signed long long offset)
{
	(void)entity;
	if (mode != IO_SEEK_SET)
		return -ENOSYS;
	if (offset < 0 || (unsigned long long)offset > part.length)
		return -EINVAL;
	part.pos = (size_t)offset;
	return 0;
}

static int qcow2_part_size(io_entity_t *entity, size_t *length)
{
	(void)entity;
	*length = part.length;
	return 0;
}

static int qcow2_part_read(io_entity_t *entity, uintptr_t buffer, size_t length,
                           size_t *length_read)
{
	size_t n = part.length - part.pos;

	(void)entity;
	if (n > length)
		n = length;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): as above. */
	if (n > 0u && qcow2_reader_read(&reader, part.start + part.pos, (void *)buffer, n) != 0)
		return complain(&reader.error);
	part.pos += n;
	*length_read = n;
	return 0;
}

static int qcow2_part_close(io_entity_t *entity)
{
	part.is_open = false;
	entity->info = 0;
	return 0;
}

static int qcow2_dev_init(io_dev_info_t *dev_info, const uintptr_t init_params)
{
	struct qcow2_io io = { &below_ops, NULL, 0 };
	struct qcow2_error error;
	int rc = plat_get_image_source((unsigned int)init_params, &below.device, &below.spec);

	(void)dev_info;
	is_ready = false;
	if (rc != 0)
		return -ENOENT;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): as above. */
	io.size = ((const io_block_spec_t *)below.spec)->length;
	if (qcow2_image_open(&image, &io, 0, &error) != QCOW2_OK)
		return complain(&error);
	if (qcow2_reader_start(&reader, &image, codecs, memory, sizeof(memory)) != QCOW2_OK)
		return complain(&reader.error);
	is_ready = true;
	return 0;
}

static int qcow2_dev_close(io_dev_info_t *dev_info)
{
	(void)dev_info;
	is_ready = false;
	return 0;
}

static const io_dev_funcs_t qcow2_funcs = {
	.type = qcow2_type,
	.open = qcow2_part_open,
	.seek = qcow2_part_seek,
	.size = qcow2_part_size,
	.read = qcow2_part_read,
	.close = qcow2_part_close,
	.dev_init = qcow2_dev_init,
	.dev_close = qcow2_dev_close,
};

static io_dev_info_t qcow2_dev_info = { .funcs = &qcow2_funcs };

static int qcow2_dev_open(const uintptr_t dev_spec, io_dev_info_t **dev_info)
{
	(void)dev_spec;
	*dev_info = &qcow2_dev_info;
	return 0;
}

static const io_dev_connector_t qcow2_connector = { .dev_open = qcow2_dev_open };

int register_io_dev_qcow2(const io_dev_connector_t **dev_con)
{
	int rc = io_register_device(&qcow2_dev_info);

	if (rc == 0)
		*dev_con = &qcow2_connector;
	return rc;
}
