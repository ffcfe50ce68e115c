// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
/*
 * A block device for the disk in a qcow2 image
 */
#include <blk.h>
#include <dm.h>
#include <errno.h>
#include <malloc.h>
#include <memalign.h>
#include <part.h>
#include <qcow2_blk.h>
#include <dm/device-internal.h>
#include <dm/lists.h>
#include <dm/root.h>
#include <linux/string.h>

#include "qcow2/block.h"
#include "qcow2/heap_reader.h"

enum { SECTOR = 512 };

struct qcow2_disk {
	struct qcow2_place place;
	struct qcow2_block block;
	struct qcow2_io io;
	struct qcow2_image image;
	struct qcow2_reader reader;
	void *memory;
};

struct qcow2_plat {
	struct qcow2_disk *disk;
};

static const struct qcow2_block_ops below_ops = { qcow2_place_read };

/* Prints what the error is. Returns a code that shows that this is done. */
static int complain(const struct qcow2_error *error)
{
	printf("qcow2: %s (byte %llu)\n", qcow2_status_text(error->status),
	       (unsigned long long)error->pos);
	return -EBADMSG;
}

static void *heap_alloc(size_t len)
{
	return malloc(len);
}

static int open_image(struct qcow2_disk *disk)
{
	struct qcow2_block *block = &disk->block;
	struct qcow2_error error;

	block->ops = &below_ops;
	block->ctx = &disk->place;
	block->size = disk->place.size;
	block->block_len = (u32)disk->place.blksz;
	block->align = ARCH_DMA_MINALIGN;
	block->bounce = malloc_cache_aligned(disk->place.blksz);
	if (!block->bounce)
		return -ENOMEM;
	if (qcow2_block_init(block, &disk->io))
		return -EINVAL;
	if (qcow2_image_open(&disk->image, &disk->io, 0, &error))
		return complain(&error);
	if (port_heap_reader_start(&disk->reader, &disk->image, heap_alloc,
				   &disk->memory) == QCOW2_OK)
		return 0;
	return disk->memory ? complain(&disk->reader.error) : -ENOMEM;
}

static int open_disk(struct qcow2_disk *disk, struct blk_desc *desc,
		     struct disk_partition *part, const char *path)
{
	const struct qcow2_run whole = { 0, part->start, false };
	int ret;

	qcow2_place_init(&disk->place, desc);
	if (path) {
		ret = qcow2_place_find(&disk->place, desc, part, path);
	} else {
		disk->place.size = (u64)part->size * part->blksz;
		ret = qcow2_place_add(&disk->place, &whole);
	}
	return ret ? ret : open_image(disk);
}

static void free_disk(struct qcow2_disk *disk)
{
	free(disk->memory);
	free(disk->block.bounce);
	qcow2_place_free(&disk->place);
	free(disk);
}

static ulong qcow2_blk_read(struct udevice *dev, lbaint_t start,
			    lbaint_t blkcnt, void *buffer)
{
	struct qcow2_plat *plat = dev_get_plat(dev);
	struct blk_desc *desc = dev_get_uclass_plat(dev);
	struct qcow2_disk *disk = plat->disk; /* NULL if removal has failed */
	u64 off = (u64)start * SECTOR;
	size_t len = (size_t)blkcnt * SECTOR;
	size_t there = len;

	if (!disk)
		return (ulong)-ENODEV;
	if (start > desc->lba || blkcnt > desc->lba - start ||
	    len / SECTOR != blkcnt)
		return (ulong)-EINVAL;
	if (!blkcnt)
		return 0;
	/* The disk may end in the middle of its last sector. */
	if (there > disk->image.size - off)
		there = (size_t)(disk->image.size - off);
	if (qcow2_reader_read(&disk->reader, off, buffer, there)) {
		complain(&disk->reader.error);
		return (ulong)-EIO;
	}
	memset((char *)buffer + there, 0, len - there);
	return blkcnt;
}

static int qcow2_blk_unbind(struct udevice *dev)
{
	struct qcow2_plat *plat = dev_get_plat(dev);

	if (plat->disk)
		free_disk(plat->disk);
	/* The device stays, without a disk, if one of its children does. */
	plat->disk = NULL;
	return 0;
}

static const struct blk_ops qcow2_blk_ops = { .read = qcow2_blk_read };

/* U-Boot finds the disks of an interface by the class of their parent. */
UCLASS_DRIVER(qcow2) = {
	.id = UCLASS_QCOW2,
	.name = "qcow2",
};

U_BOOT_DRIVER(qcow2_image) = {
	.name = "qcow2_image",
	.id = UCLASS_QCOW2,
};

U_BOOT_DRIVER(qcow2_blk) = {
	.name = "qcow2_blk",
	.id = UCLASS_BLK,
	.ops = &qcow2_blk_ops,
	.unbind = qcow2_blk_unbind,
	.plat_auto = sizeof(struct qcow2_plat),
};

static int probe(struct qcow2_disk *disk, struct udevice *dev)
{
	struct qcow2_plat *plat = dev_get_plat(dev);
	int ret;

	plat->disk = disk;
	ret = device_probe(dev); /* finds the partitions */
	/* The EFI loader runs after the probe; the disk works if it fails. */
	if (device_active(dev))
		return 0;
	plat->disk = NULL;
	return ret;
}

static int remove_devices(struct udevice *parent)
{
	int ret = device_remove(parent, DM_REMOVE_NORMAL);

	return ret ? ret : device_unbind(parent);
}

/* What "qcow2 info" shows. */
static void describe(struct blk_desc *desc)
{
	strcpy(desc->vendor, "U-Boot");
	strcpy(desc->product, "qcow2");
	strcpy(desc->revision, "1.0");
}

/* Creates the devices. On success they own the disk. */
static int publish(struct qcow2_disk *disk, struct udevice **devp)
{
	u64 sectors =
		disk->image.size / SECTOR + (disk->image.size % SECTOR != 0);
	struct udevice *parent;
	int ret;

	if (sectors > (lbaint_t)-1)
		return -EFBIG;
	ret = device_bind_driver(dm_root(), "qcow2_image", "qcow2", &parent);
	if (ret)
		return ret;
	ret = blk_create_devicef(parent, "qcow2_blk", "disk", UCLASS_QCOW2, -1,
				 SECTOR, (lbaint_t)sectors, devp);
	if (!ret) {
		describe(dev_get_uclass_plat(*devp));
		ret = probe(disk, *devp);
	}
	if (ret)
		remove_devices(parent);
	return ret;
}

int qcow2_blk_create(struct blk_desc *desc, struct disk_partition *part,
		     const char *path, struct udevice **devp)
{
	struct qcow2_disk *disk = calloc(1, sizeof(*disk));
	int ret;

	if (!disk)
		return -ENOMEM;
	ret = open_disk(disk, desc, part, path);
	if (!ret)
		ret = publish(disk, devp);
	if (ret)
		free_disk(disk);
	return ret;
}

int qcow2_blk_destroy(struct udevice *dev)
{
	return remove_devices(dev_get_parent(dev));
}
