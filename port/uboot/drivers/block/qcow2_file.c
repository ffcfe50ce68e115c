// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
/*
 * Finds the blocks of a file, which is a qcow2 image, on a FAT or ext4 file
 * system
 *
 * The drivers of file systems have one set of variables each, so a block
 * device cannot call them while they read from it. Here they are only asked
 * where the file is.
 */
#include <blk.h>
#include <dm.h>
#include <errno.h>
#include <ext4fs.h>
#include <ext_common.h>
#include <malloc.h>
#include <memalign.h>
#include <part.h>
#include <qcow2_blk.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "qcow2/block.h"
#include "qcow2/fat.h"

enum {
	PATH_LEN = 256,
	FAT_RUNS = 64, /* that are tried first */
};

/* A partition as the reader of FAT sees it */
struct volume {
	struct qcow2_place place;
	struct qcow2_block block;
	struct qcow2_io io;
};

static const struct qcow2_block_ops volume_ops = { qcow2_place_read };

static int volume_open(struct volume *volume, struct blk_desc *desc,
		       const struct disk_partition *part)
{
	const struct qcow2_run whole = { 0, part->start, false };
	struct qcow2_block *block = &volume->block;
	int ret;

	memset(volume, 0, sizeof(*volume));
	qcow2_place_init(&volume->place, desc);
	ret = qcow2_place_add(&volume->place, &whole);
	if (ret)
		return ret;
	block->ops = &volume_ops;
	block->ctx = &volume->place;
	block->size = (u64)part->size * part->blksz;
	block->block_len = (u32)part->blksz;
	block->align = ARCH_DMA_MINALIGN;
	block->bounce = malloc_cache_aligned(part->blksz);
	if (!block->bounce)
		return -ENOMEM;
	return qcow2_block_init(block, &volume->io) ? -EINVAL : 0;
}

static void volume_close(struct volume *volume)
{
	free(volume->block.bounce);
	qcow2_place_free(&volume->place);
}

/* Converts "dir/name" or "/dir/name", in ASCII, to "\dir\name" in UTF-16. */
static int fat_path(u16 to[PATH_LEN], const char *path)
{
	size_t n = 0;

	while (*path == '/')
		path++;
	to[n++] = '\\';
	for (; *path; path++) {
		if (n == PATH_LEN - 1 || (unsigned char)*path >= 0x80)
			return -ENAMETOOLONG;
		to[n++] = *path == '/' ? '\\' : (u16)*path;
	}
	to[n] = 0;
	return 0;
}

static int fat_errno(int status)
{
	switch (status) {
	case QU_FAT_OK:
		return 0;
	case QU_FAT_NOT_FAT:
		return -EPROTONOSUPPORT;
	case QU_FAT_NOT_FOUND:
		return -ENOENT;
	case QU_FAT_FRAGMENTED:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

/* Makes runs of blocks from runs of clusters. */
static int fat_add(struct qcow2_place *place, const struct qu_fat_file *file,
		   lbaint_t start)
{
	const struct qu_fat *fat = file->fat;
	u32 blksz = (u32)place->blksz, i;
	u32 per_cluster = (1U << fat->cluster_bits) / blksz;
	u64 pos;
	int ret = 0;

	if (!per_cluster || fat->data_pos % blksz)
		return -EINVAL;
	place->size = file->size;
	for (i = 0; i < file->n_runs && !ret; i++) {
		struct qcow2_run run = { 0 };

		pos = fat->data_pos +
		      ((u64)(file->runs[i].cluster - 2) << fat->cluster_bits);
		run.index = (lbaint_t)file->runs[i].index * per_cluster;
		run.start = start + (lbaint_t)(pos / blksz);
		ret = qcow2_place_add(place, &run);
	}
	return ret;
}

/* Locates the file with as much memory for runs of clusters as it takes. */
static int fat_locate(struct qcow2_place *place, struct qu_fat_file *file,
		      lbaint_t start)
{
	struct qu_fat_run *runs;
	u32 max;
	int ret = -ENOSPC;

	for (max = FAT_RUNS; ret == -ENOSPC; max *= 2) {
		runs = malloc(max * sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		ret = fat_errno(qu_fat_locate(file, runs, max));
		if (!ret)
			ret = fat_add(place, file, start);
		free(runs);
	}
	return ret;
}

/* Returns -EPROTONOSUPPORT if the file system is not FAT. */
static int find_on_fat(struct qcow2_place *place, struct blk_desc *desc,
		       const struct disk_partition *part, const char *path)
{
	struct volume volume;
	struct qu_fat_file file;
	struct qu_fat fat;
	u16 name[PATH_LEN];
	int ret;

	ret = volume_open(&volume, desc, part);
	if (!ret)
		ret = fat_errno(qu_fat_open(&fat, &volume.io));
	if (!ret)
		ret = fat_path(name, path);
	if (!ret)
		ret = fat_errno(qu_fat_find(&fat, name, &file));
	if (!ret)
		ret = fat_locate(place, &file, part->start);
	volume_close(&volume);
	return ret;
}

/*
 * Adds the blocks of the open file. A file that is larger than its partition
 * is refused, so that no inode can make this loop long.
 */
static int ext4_add(struct qcow2_place *place,
		    const struct disk_partition *part)
{
	struct ext2_inode *inode = &ext4fs_file->inode;
	int block_bits = LOG2_BLOCK_SIZE(ext4fs_file->data);
	u32 per_block = (1U << block_bits) / (u32)place->blksz;
	struct ext_block_cache cache;
	u64 n_blocks, i;
	int ret = 0;

	place->size = le32_to_cpu(inode->size) +
		      ((u64)le32_to_cpu(inode->size_high) << 32);
	if (!per_block)
		return -EINVAL;
	if (place->size > (u64)part->size * place->blksz)
		return -EFBIG;
	n_blocks = (place->size >> block_bits) + 1;
	if (n_blocks > INT_MAX)
		return -EFBIG;
	ext_cache_init(&cache);
	for (i = 0; i < n_blocks && !ret; i++) {
		long block = read_allocated_block(inode, (int)i, &cache);
		struct qcow2_run run = { 0 };

		run.index = (lbaint_t)i * per_block;
		run.hole = !block;
		run.start = part->start + (lbaint_t)block * per_block;
		ret = block < 0 ? -EIO : qcow2_place_add(place, &run);
	}
	ext_cache_fini(&cache);
	return ret;
}

static int find_on_ext4(struct qcow2_place *place, struct blk_desc *desc,
			struct disk_partition *part, const char *path)
{
	loff_t size;
	int ret;

	if (ext4fs_probe(desc, part))
		return -EPROTONOSUPPORT;
	ret = ext4fs_open(path, &size) ? -ENOENT : ext4_add(place, part);
	ext4fs_close();
	return ret;
}

int qcow2_place_find(struct qcow2_place *place, struct blk_desc *desc,
		     struct disk_partition *part, const char *path)
{
	int ret = find_on_fat(place, desc, part, path);

	if (IS_ENABLED(CONFIG_FS_EXT4) && ret == -EPROTONOSUPPORT)
		ret = find_on_ext4(place, desc, part, path);
	return ret;
}
