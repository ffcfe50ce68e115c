/* SPDX-License-Identifier: MIT */
/*
 * U-Boot: a block device for the disk in a qcow2 image. The image fills another block device, or a
 * partition of it.
 *
 * Written for U-Boot 2023.01 (driver model, CONFIG_BLK) and tried there by hand with
 * qemu_arm64_defconfig: it read files from a FAT partition in a compressed image on a virtio disk.
 * (Looking up the device below for each read is newer, and was not tried there.)
 * tests/glue/test_uboot.c runs it against a model of the block layer.
 *
 * Copy this file, the Makefile here, src/ and include/ to drivers/block/qcow2/; add
 *	obj-y += qcow2/				to drivers/block/Makefile
 *	UCLASS_QCOW2,				to include/dm/uclass-id.h, before UCLASS_COUNT
 *	{ UCLASS_QCOW2, "qcow2" },		to uclass_idname_str[] of drivers/block/blk-uclass.c
 * Then
 *	=> qcow2 virtio 0:1
 *	qcow2 0: the disk of virtio 0:1, 67108864 bytes
 *	=> ls qcow2 0:2
 * Images that need another file (backing file, external data file) are refused.
 *
 * The EFI loader (bootefi) prints "Adding disk ... failed" and does not use the new disk: it has no
 * device path for it until lib/efi_loader/efi_device_path.c gets a case for UCLASS_QCOW2.
 */
#include <common.h>
#include <blk.h>
#include <command.h>
#include <dm.h>
#include <malloc.h>
#include <memalign.h>
#include <part.h>
#include <dm/device-internal.h>
#include <dm/lists.h>
#include <dm/root.h>

#include "qcow2/block.h"
#include "qcow2/reader.h"

enum { SECTOR = 512 };

struct qcow2_disk {
	/* The device with the image, by class and number, because "usb stop" may remove it. */
	enum uclass_id below_class;
	int below_num;
	ulong below_blksz;
	lbaint_t start; /* of the partition */
	struct qcow2_block block;
	struct qcow2_io io;
	struct qcow2_image image;
	struct qcow2_reader reader;
	void *memory;
};

struct qcow2_plat {
	struct qcow2_disk *disk;
};

static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_small, &qcow2_zstd_fast, NULL };

static int below_read(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	struct qcow2_disk *disk = ctx;
	lbaint_t start = disk->start + (lbaint_t)lba;
	struct blk_desc *below = blk_get_devnum_by_uclass_id(disk->below_class, disk->below_num);

	if (below == NULL || below->blksz != disk->below_blksz)
		return -ENODEV;
	return blk_dread(below, start, count, buf) == count ? 0 : -EIO;
}

static const struct qcow2_block_ops below_ops = { below_read };

static int complain(const struct qcow2_error *error)
{
	printf("qcow2: %s (byte %llu)\n", qcow2_status_text(error->status),
	       (unsigned long long)error->pos);
	return error->status == QCOW2_E_IO ? error->io_code : -EINVAL;
}

/* Gives the reader the memory that makes it fast, or else the least that it needs. */
static int start_reader(struct qcow2_disk *disk)
{
	size_t min, good;

	if (qcow2_reader_memory(&disk->image, codecs, &min, &good) != QCOW2_OK)
		min = good = QCOW2_READER_MEMORY_DEFLATE; /* the start fails, with the reason */
	disk->memory = malloc(good);
	if (disk->memory == NULL) {
		good = min;
		disk->memory = malloc(good);
	}
	if (disk->memory == NULL)
		return -ENOMEM;
	if (qcow2_reader_start(&disk->reader, &disk->image, codecs, disk->memory, good) != QCOW2_OK)
		return complain(&disk->reader.error);
	return 0;
}

static int open_disk(struct qcow2_disk *disk, const struct disk_partition *part)
{
	struct qcow2_block *block = &disk->block;
	struct qcow2_error error;

	block->ops = &below_ops;
	block->ctx = disk;
	block->size = (uint64_t)part->size * part->blksz;
	block->block_len = (uint32_t)part->blksz;
	block->align = ARCH_DMA_MINALIGN;
	block->bounce = malloc_cache_aligned(part->blksz);
	if (block->bounce == NULL)
		return -ENOMEM;
	if (qcow2_block_init(block, &disk->io) != QCOW2_OK)
		return -EINVAL;
	if (qcow2_image_open(&disk->image, &disk->io, 0, &error) != QCOW2_OK)
		return complain(&error);
	return start_reader(disk);
}

static void free_disk(struct qcow2_disk *disk)
{
	free(disk->memory);
	free(disk->block.bounce);
	free(disk);
}

static ulong qcow2_blk_read(struct udevice *dev, lbaint_t start, lbaint_t blkcnt, void *buffer)
{
	struct qcow2_plat *plat = dev_get_plat(dev);
	struct blk_desc *desc = dev_get_uclass_plat(dev);
	struct qcow2_disk *disk = plat->disk;
	uint64_t off = (uint64_t)start * SECTOR;
	size_t len = (size_t)blkcnt * SECTOR;
	size_t there = len;

	if (start > desc->lba || blkcnt > desc->lba - start || len / SECTOR != blkcnt)
		return (ulong)-EINVAL;
	if (blkcnt == 0)
		return 0;
	/* The disk may end in the middle of its last sector. */
	if (there > disk->image.size - off)
		there = (size_t)(disk->image.size - off);
	if (qcow2_reader_read(&disk->reader, off, buffer, there) != QCOW2_OK) {
		complain(&disk->reader.error);
		return (ulong)-EIO;
	}
	memset((char *)buffer + there, 0, len - there);
	return blkcnt;
}

static int qcow2_blk_unbind(struct udevice *dev)
{
	struct qcow2_plat *plat = dev_get_plat(dev);

	if (plat->disk != NULL)
		free_disk(plat->disk);
	return 0;
}

static const struct blk_ops qcow2_blk_ops = { .read = qcow2_blk_read };

/* U-Boot finds the disks of an interface by the class of their parent device. */
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
	if (device_active(dev))
		return 0; /* even if the EFI loader, which runs after the probe, has failed */
	plat->disk = NULL;
	return ret;
}

/* Creates the devices. On success they own the disk. */
static int publish(struct qcow2_disk *disk, struct udevice **devp)
{
	uint64_t sectors = disk->image.size / SECTOR + (disk->image.size % SECTOR != 0);
	struct udevice *parent;
	int ret;

	if (sectors > (lbaint_t)-1)
		return -EFBIG;
	ret = device_bind_driver(dm_root(), "qcow2_image", "qcow2", &parent);
	if (ret != 0)
		return ret;
	ret = blk_create_devicef(parent, "qcow2_blk", "disk", UCLASS_QCOW2, -1, SECTOR,
	                         (lbaint_t)sectors, devp);
	if (ret == 0)
		ret = probe(disk, *devp);
	if (ret != 0) {
		device_remove(parent, DM_REMOVE_NORMAL);
		device_unbind(parent);
	}
	return ret;
}

/* Publishes the disk in the image that fills `part` of a device. Returns 0 or a negative errno. */
int qcow2_blk_create(struct blk_desc *below, const struct disk_partition *part,
                     struct udevice **devp);

int qcow2_blk_create(struct blk_desc *below, const struct disk_partition *part,
                     struct udevice **devp)
{
	struct qcow2_disk *disk = calloc(1, sizeof *disk);
	int ret;

	if (disk == NULL)
		return -ENOMEM;
	disk->below_class = below->uclass_id;
	disk->below_num = below->devnum;
	disk->below_blksz = below->blksz;
	disk->start = part->start;
	ret = open_disk(disk, part);
	if (ret == 0)
		ret = publish(disk, devp);
	if (ret != 0)
		free_disk(disk);
	return ret;
}

static int do_qcow2(struct cmd_tbl *cmdtp, int flag, int argc, char *const argv[])
{
	struct disk_partition part;
	struct blk_desc *below, *desc;
	struct udevice *dev;

	(void)cmdtp;
	(void)flag;
	if (argc != 3)
		return CMD_RET_USAGE;
	if (blk_get_device_part_str(argv[1], argv[2], &below, &part, 1) < 0)
		return CMD_RET_FAILURE;
	if (qcow2_blk_create(below, &part, &dev) != 0)
		return CMD_RET_FAILURE;
	desc = dev_get_uclass_plat(dev);
	printf("qcow2 %d: the disk of %s %s, %llu bytes\n", desc->devnum, argv[1], argv[2],
	       (unsigned long long)desc->lba * SECTOR);
	return CMD_RET_SUCCESS;
}

U_BOOT_CMD(qcow2, 3, 0, do_qcow2, "publish the disk in a qcow2 image",
           "<interface> <dev[:part]> - create a block device from the image on that device");
