/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The part of U-Boot that port/uboot uses, for a compiler on the host; test_uboot.c implements it.
 * Block numbers have 32 bits. UCLASS_QCOW2 is the only name that the port adds.
 */
#ifndef GLUE_UBOOT_H
#define GLUE_UBOOT_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef unsigned long ulong;
typedef unsigned int uint;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t loff_t;
typedef uint32_t lbaint_t;

#define IS_ENABLED(option) 1
#define CONFIG_FS_EXT4     1

#define ARCH_DMA_MINALIGN 64

enum uclass_id { UCLASS_ROOT, UCLASS_BLK, UCLASS_VIRTIO, UCLASS_QCOW2 };

struct udevice;

struct driver {
	const char *name;
	enum uclass_id id;
	int (*unbind)(struct udevice *dev);
	int plat_auto;
	const void *ops;
};

struct uclass_driver {
	const char *name;
	enum uclass_id id;
};

#define U_BOOT_DRIVER(name) struct driver u_boot_driver_##name
#define UCLASS_DRIVER(name) struct uclass_driver u_boot_uclass_##name

enum { DM_REMOVE_NORMAL = 1 };

struct blk_desc {
	enum uclass_id uclass_id;
	unsigned char hwpart;
	int devnum;
	lbaint_t lba;
	unsigned long blksz;
	char vendor[41], product[21], revision[9];
	struct udevice *bdev;
};

struct disk_partition {
	lbaint_t start;
	lbaint_t size;
	ulong blksz;
};

struct blk_ops {
	unsigned long (*read)(struct udevice *dev, lbaint_t start, lbaint_t blkcnt, void *buffer);
};

struct udevice *dm_root(void);
void *dev_get_plat(const struct udevice *dev);
void *dev_get_uclass_plat(const struct udevice *dev);
int device_bind_driver(struct udevice *parent, const char *drv_name, const char *dev_name,
                       struct udevice **devp);
int device_probe(struct udevice *dev);
bool device_active(const struct udevice *dev);
int device_remove(struct udevice *dev, unsigned flags);
int device_unbind(struct udevice *dev);
struct udevice *dev_get_parent(const struct udevice *dev);

struct blk_desc *blk_get_devnum_by_uclass_id(enum uclass_id uclass_id, int devnum);
unsigned long blk_dread(struct blk_desc *desc, lbaint_t start, lbaint_t blkcnt, void *buffer);
int blk_create_devicef(struct udevice *parent, const char *drv_name, const char *name,
                       int uclass_id, int devnum, int blksz, lbaint_t lba, struct udevice **devp);
int blk_get_device_part_str(const char *ifname, const char *dev_part_str,
                            struct blk_desc **dev_desc, struct disk_partition *info,
                            int allow_whole_dev);

/* Of ext4, only where the blocks of the open file are. */
struct ext2_inode {
	u32 size;
	u32 size_high;
};

struct ext2fs_node {
	void *data;
	struct ext2_inode inode;
};

struct ext_block_cache {
	char *buf;
};

extern struct ext2fs_node *ext4fs_file;
int ext4fs_probe(struct blk_desc *desc, struct disk_partition *part);
int ext4fs_open(const char *filename, loff_t *len);
void ext4fs_close(void);
long int read_allocated_block(struct ext2_inode *inode, int fileblock,
                              struct ext_block_cache *cache);
void ext_cache_init(struct ext_block_cache *cache);
void ext_cache_fini(struct ext_block_cache *cache);
enum { UBOOT_EXT4_BLOCK_BITS = 10 };
#define LOG2_BLOCK_SIZE(data) ((data) != NULL ? UBOOT_EXT4_BLOCK_BITS : 0)
#define le32_to_cpu(x)        (x)

/* The heap of glue.h, which fails on demand. */
void *uboot_malloc(size_t len);
void *uboot_calloc(size_t n, size_t len);
void uboot_free(void *p);
void *malloc_cache_aligned(size_t len);
#define malloc uboot_malloc
#define calloc uboot_calloc
#define free   uboot_free

/* The console of glue.h. */
int glue_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define printf glue_say

struct cmd_tbl {
	const char *name;
	int maxargs;
	int (*cmd)(struct cmd_tbl *cmd, int flag, int argc, char *const argv[]);
};

enum { CMD_RET_SUCCESS, CMD_RET_FAILURE, CMD_RET_USAGE = -1 };

ulong dectoul(const char *text, char **end);
int blk_common_cmd(int argc, char *const argv[], enum uclass_id uclass_id, int *cur_devnump);

#define U_BOOT_SUBCMD_MKENT(name, maxargs, repeatable, function)                                   \
	{                                                                                          \
#name, maxargs, function                                                           \
	}
#define U_BOOT_CMD_WITH_SUBCMDS(name, usage, help, ...)                                            \
	struct cmd_tbl u_boot_cmd_##name[] = { __VA_ARGS__, { NULL, 0, NULL } }

#endif
