/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Block devices for the disks in qcow2 images
 */
#ifndef QCOW2_BLK_H
#define QCOW2_BLK_H

#include <blk.h>

struct disk_partition;
struct udevice;

/**
 * struct qcow2_run - blocks of an image that follow each other on the device
 *
 * @index: number of the first of these blocks in the image
 * @start: number of the same block on the device
 * @hole: the file system has no blocks for this part, which is all zeroes
 */
struct qcow2_run {
	lbaint_t index;
	lbaint_t start;
	bool hole;
};

/**
 * struct qcow2_place - where an image is: its size, and its blocks on a device
 *
 * The device is kept by class and number, because it may be removed, as "usb
 * stop" does. The other facts about it show whether the number has become that
 * of another device.
 *
 * @uclass_id: class of the device with the image
 * @devnum: number of that device
 * @blksz: length of a block in bytes
 * @hwpart: hardware partition, e.g. of eMMC
 * @lba: number of blocks of the device
 * @size: size of the image in bytes
 * @runs: all blocks of the image, in ascending order
 * @n_runs: number of runs
 * @max_runs: number of runs that there is memory for
 */
struct qcow2_place {
	enum uclass_id uclass_id;
	int devnum;
	ulong blksz;
	unsigned char hwpart;
	lbaint_t lba;
	u64 size;
	struct qcow2_run *runs;
	uint n_runs;
	uint max_runs;
};

/**
 * qcow2_place_init() - Start a place on a device, without any blocks
 *
 * @place: set to an image without blocks
 * @desc: device with the image
 */
void qcow2_place_init(struct qcow2_place *place, struct blk_desc *desc);

/**
 * qcow2_place_add() - Add blocks to an image
 *
 * The blocks reach up to those that the next call adds, or to the end.
 *
 * @place: place to add the blocks to
 * @run: where they are; runs are added in ascending order
 * Return: 0, or -ENOMEM
 */
int qcow2_place_add(struct qcow2_place *place, const struct qcow2_run *run);

/**
 * qcow2_place_find() - Find the blocks of a file on a FAT or ext4 file system
 *
 * The file system is used only during this call, because none of them can be
 * entered again while it reads from the disk inside the image. The file must
 * not be changed as long as the place is in use.
 *
 * @place: filled with the blocks of the file
 * @desc: device with the file system
 * @part: its partition
 * @path: name of the file, with "/" between directories
 * Return: 0, or a negative errno
 */
int qcow2_place_find(struct qcow2_place *place, struct blk_desc *desc,
		     struct disk_partition *part, const char *path);

/**
 * qcow2_place_read() - Read blocks of an image
 *
 * @ctx: the struct qcow2_place
 * @lba: number of the first block in the image
 * @count: number of blocks, all of them inside the image
 * @buf: filled with the blocks, aligned for DMA
 * Return: 0, or a negative errno
 */
int qcow2_place_read(void *ctx, u64 lba, u32 count, void *buf);

/**
 * qcow2_place_free() - Release the memory of a place
 *
 * @place: place that was started with qcow2_place_init()
 */
void qcow2_place_free(struct qcow2_place *place);

/**
 * qcow2_blk_create() - Create a block device for the disk in a qcow2 image
 *
 * @desc: device with the image
 * @part: partition that the image fills, or that has the file system with it
 * @path: name of the image in that file system, or NULL if it fills @part
 * @devp: returns the new block device
 * Return: 0; -EBADMSG after a message that gives the reason why the image is
 * refused; or another negative errno, without a message
 */
int qcow2_blk_create(struct blk_desc *desc, struct disk_partition *part,
		     const char *path, struct udevice **devp);

/**
 * qcow2_blk_destroy() - Remove such a block device and release its memory
 *
 * @dev: block device that qcow2_blk_create() returned
 * Return: 0, or a negative errno
 */
int qcow2_blk_destroy(struct udevice *dev);

#endif
