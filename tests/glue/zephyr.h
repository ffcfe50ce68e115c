/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The part of Zephyr 4.0 that port/zephyr uses, for a compiler on the host; test_zephyr.c
 * implements it.
 */
#ifndef GLUE_ZEPHYR_H
#define GLUE_ZEPHYR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFIG_QCOW2_LOG_LEVEL         3
#define CONFIG_QCOW2_ZSTD              1
#define CONFIG_QCOW2_ZSTD_CLUSTER_BITS 16

#define ARG_UNUSED(x) ((void)(x))
#define CONTAINER_OF(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

struct k_mutex {
	int count;
};
#define K_FOREVER (-1)
int k_mutex_init(struct k_mutex *mutex);
int k_mutex_lock(struct k_mutex *mutex, int timeout);
int k_mutex_unlock(struct k_mutex *mutex);

enum { DISK_STATUS_OK = 0 };
enum {
	DISK_IOCTL_GET_SECTOR_COUNT = 1,
	DISK_IOCTL_GET_SECTOR_SIZE = 2,
	DISK_IOCTL_GET_ERASE_BLOCK_SZ = 4,
	DISK_IOCTL_CTRL_SYNC = 5,
	DISK_IOCTL_CTRL_INIT = 6,
	DISK_IOCTL_CTRL_DEINIT = 7
};

struct disk_operations;

struct disk_info {
	void *node;
	const char *name;
	const struct disk_operations *ops;
	const void *dev;
	uint16_t refcnt;
};

struct disk_operations {
	int (*init)(struct disk_info *disk);
	int (*status)(struct disk_info *disk);
	int (*read)(struct disk_info *disk, uint8_t *buf, uint32_t start, uint32_t count);
	int (*write)(struct disk_info *disk, const uint8_t *buf, uint32_t start, uint32_t count);
	int (*ioctl)(struct disk_info *disk, uint8_t cmd, void *buf);
};

int disk_access_register(struct disk_info *disk);
int disk_access_unregister(struct disk_info *disk);

struct fs_file_t {
	void *filep;
	const void *mp;
	uint8_t flags;
};
#define FS_O_READ   1
#define FS_SEEK_SET 0
#define FS_SEEK_END 2
void fs_file_t_init(struct fs_file_t *file);
int fs_open(struct fs_file_t *file, const char *name, unsigned flags);
int fs_close(struct fs_file_t *file);
int fs_seek(struct fs_file_t *file, off_t offset, int whence);
off_t fs_tell(struct fs_file_t *file);
ssize_t fs_read(struct fs_file_t *file, void *buf, size_t len);

int glue_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define LOG_MODULE_REGISTER(name, level) typedef char log_of_##name[(level) + 1]
#define LOG_ERR(...)                     ((void)glue_say(__VA_ARGS__))

#endif
