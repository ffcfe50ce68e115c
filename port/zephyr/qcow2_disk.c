/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Zephyr: a driver of disk_access for the disk in a qcow2 image. */
#include "qcow2_disk.h"

#include <errno.h>
#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/sys/util.h>

LOG_MODULE_REGISTER(qcow2, CONFIG_QCOW2_LOG_LEVEL);

static const struct qcow2_codec *const codecs[] = {
	&qcow2_deflate_small,
#ifdef CONFIG_QCOW2_ZSTD
	&qcow2_zstd_small,
#endif
	NULL,
};

static int complain(const struct qcow2_error *error)
{
	LOG_ERR("%s, at byte %llu", qcow2_status_text(error->status),
	        (unsigned long long)error->pos);
	if (error->status == QCOW2_E_IO && error->io_code < 0)
		return error->io_code;
	return error->status == QCOW2_E_IO || error->status <= QCOW2_E_L2_ENTRY ? -EIO : -EINVAL;
}

static struct qcow2_disk *disk_of(struct disk_info *info)
{
	return CONTAINER_OF(info, struct qcow2_disk, info);
}

static uint64_t sectors_of(const struct qcow2_disk *disk)
{
	uint64_t size = disk->image.size;

	return size / QCOW2_DISK_SECTOR + (size % QCOW2_DISK_SECTOR != 0u ? 1u : 0u);
}

static int qcow2_disk_init(struct disk_info *info)
{
	ARG_UNUSED(info);
	return 0;
}

/* File systems take any other status, such as write-protected, for a disk that is not ready. */
static int qcow2_disk_status(struct disk_info *info)
{
	ARG_UNUSED(info);
	return DISK_STATUS_OK;
}

static int qcow2_disk_read(struct disk_info *info, uint8_t *buf, uint32_t start, uint32_t count)
{
	struct qcow2_disk *disk = disk_of(info);
	uint64_t sectors = sectors_of(disk), off = (uint64_t)start * QCOW2_DISK_SECTOR;
	size_t len = (size_t)count * QCOW2_DISK_SECTOR, there;
	int rc;

	if (start > sectors || count > sectors - start || len / QCOW2_DISK_SECTOR != count)
		return -EINVAL;
	if (count == 0u)
		return 0;
	there = disk->image.size - off < len ? (size_t)(disk->image.size - off) : len;
	k_mutex_lock(&disk->lock, K_FOREVER);
	rc = qcow2_reader_read(&disk->reader, off, buf, there);
	if (rc != QCOW2_OK)
		rc = complain(&disk->reader.error);
	k_mutex_unlock(&disk->lock);
	memset(buf + there, 0, len - there);
	return rc;
}

static int qcow2_disk_write(struct disk_info *info, const uint8_t *buf, uint32_t start,
                            uint32_t count)
{
	ARG_UNUSED(info);
	ARG_UNUSED(buf);
	ARG_UNUSED(start);
	ARG_UNUSED(count);
	return -EROFS;
}

static int qcow2_disk_ioctl(struct disk_info *info, uint8_t cmd, void *buf)
{
	switch (cmd) {
	case DISK_IOCTL_GET_SECTOR_COUNT:
		*(uint32_t *)buf = (uint32_t)sectors_of(disk_of(info));
		return 0;
	case DISK_IOCTL_GET_SECTOR_SIZE: *(uint32_t *)buf = QCOW2_DISK_SECTOR; return 0;
	case DISK_IOCTL_GET_ERASE_BLOCK_SZ: *(uint32_t *)buf = 1; return 0;
	case DISK_IOCTL_CTRL_SYNC:
	case DISK_IOCTL_CTRL_INIT:
	case DISK_IOCTL_CTRL_DEINIT: return 0;
	default: return -ENOTSUP;
	}
}

static const struct disk_operations operations = {
	.init = qcow2_disk_init,
	.status = qcow2_disk_status,
	.read = qcow2_disk_read,
	.write = qcow2_disk_write,
	.ioctl = qcow2_disk_ioctl,
};

static int open_image(struct qcow2_disk *disk, const struct qcow2_io *io,
                      const struct qcow2_image *backing)
{
	struct qcow2_error error;

	if (qcow2_image_open(&disk->image, io, 0, &error) != QCOW2_OK)
		return complain(&error);
	if (backing != NULL && qcow2_image_attach_backing(&disk->image, backing) != QCOW2_OK)
		return -EINVAL;
	if (qcow2_reader_start(&disk->reader, &disk->image, codecs, disk->memory,
	                       sizeof(disk->memory)) != QCOW2_OK)
		return complain(&disk->reader.error);
	return sectors_of(disk) > UINT32_MAX ? -EFBIG : 0;
}

int qcow2_disk_register(struct qcow2_disk *disk, const char *name, const struct qcow2_io *io,
                        const struct qcow2_image *backing)
{
	int rc = open_image(disk, io, backing);

	if (rc != 0)
		return rc;
	k_mutex_init(&disk->lock);
	memset(&disk->info, 0, sizeof(disk->info));
	disk->info.name = name;
	disk->info.ops = &operations;
	return disk_access_register(&disk->info);
}

int qcow2_disk_unregister(struct qcow2_disk *disk)
{
	return disk_access_unregister(&disk->info);
}
