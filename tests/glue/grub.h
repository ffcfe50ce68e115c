/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The part of GRUB that port/grub uses, for a compiler on the host; test_grub.c implements it. */
#ifndef GLUE_GRUB_H
#define GLUE_GRUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef size_t grub_size_t;
typedef ptrdiff_t grub_ssize_t;
typedef uint64_t grub_off_t;
typedef uint64_t grub_disk_addr_t;

typedef enum {
	GRUB_ERR_NONE,
	GRUB_ERR_OUT_OF_MEMORY,
	GRUB_ERR_OUT_OF_RANGE,
	GRUB_ERR_BAD_ARGUMENT,
	GRUB_ERR_BAD_DEVICE,
	GRUB_ERR_FILE_NOT_FOUND,
	GRUB_ERR_UNKNOWN_DEVICE,
	GRUB_ERR_NOT_IMPLEMENTED_YET,
	GRUB_ERR_READ_ERROR
} grub_err_t;

extern grub_err_t grub_errno;
grub_err_t grub_error(grub_err_t n, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define N_(text) text

void *grub_malloc(grub_size_t len);
void *grub_zalloc(grub_size_t len);
void grub_free(void *p);
char *grub_strdup(const char *text);
int grub_strcmp(const char *a, const char *b);
char *grub_strchr(const char *text, int c);
void *grub_memset(void *p, int byte, grub_size_t len);

typedef struct grub_file *grub_file_t;

struct grub_file {
	grub_off_t offset;
	grub_off_t size;
};

enum grub_file_type {
	GRUB_FILE_TYPE_NONE,
	GRUB_FILE_TYPE_LOOPBACK,
	GRUB_FILE_TYPE_NO_DECOMPRESS = 0x20000
};

#define GRUB_FILE_SIZE_UNKNOWN UINT64_MAX

grub_file_t grub_file_open(const char *name, int type);
grub_ssize_t grub_file_read(grub_file_t file, void *buf, grub_size_t len);
grub_off_t grub_file_seek(grub_file_t file, grub_off_t offset);
grub_err_t grub_file_close(grub_file_t file);

static inline grub_off_t grub_file_size(const grub_file_t file)
{
	return file->size;
}

enum { GRUB_DISK_SECTOR_BITS = 9, GRUB_DISK_CACHE_BITS = 6, GRUB_DISK_CACHE_NUM = 11 };
enum grub_disk_dev_id { GRUB_DISK_DEVICE_LOOPBACK_ID = 6 };
typedef enum { GRUB_DISK_PULL_NONE, GRUB_DISK_PULL_REMOVABLE } grub_disk_pull_t;
typedef int (*grub_disk_dev_iterate_hook_t)(const char *name, void *data);

struct grub_disk {
	uint64_t total_sectors;
	unsigned int max_agglomerate;
	unsigned long id;
	void *data;
};
typedef struct grub_disk *grub_disk_t;

struct grub_disk_dev {
	const char *name;
	enum grub_disk_dev_id id;
	int (*disk_iterate)(grub_disk_dev_iterate_hook_t hook, void *data, grub_disk_pull_t pull);
	grub_err_t (*disk_open)(const char *name, struct grub_disk *disk);
	void (*disk_close)(struct grub_disk *disk);
	grub_err_t (*disk_read)(struct grub_disk *disk, grub_disk_addr_t sector, grub_size_t n,
	                        char *buf);
	grub_err_t (*disk_write)(struct grub_disk *disk, grub_disk_addr_t sector, grub_size_t n,
	                         const char *buf);
	struct grub_disk_dev *next;
};

void grub_disk_dev_register(struct grub_disk_dev *dev);
void grub_disk_dev_unregister(struct grub_disk_dev *dev);
grub_disk_t grub_disk_open(const char *name);
void grub_disk_close(grub_disk_t disk);

struct grub_disk_cache {
	enum grub_disk_dev_id dev_id;
	unsigned long disk_id;
	grub_disk_addr_t sector;
	char *data;
	int lock;
};
extern struct grub_disk_cache grub_disk_cache_table[GRUB_DISK_CACHE_NUM];

typedef struct grub_command *grub_command_t;
typedef grub_err_t (*grub_command_func_t)(grub_command_t cmd, int argc, char **args);

grub_command_t grub_register_command(const char *name, grub_command_func_t func,
                                     const char *summary, const char *description);
void grub_unregister_command(grub_command_t cmd);

typedef struct grub_dl *grub_dl_t;
int grub_dl_ref(grub_dl_t mod);
int grub_dl_unref(grub_dl_t mod);

#define GRUB_MOD_LICENSE(text) extern const int grub_needs_no_licence_here
#define GRUB_MOD_INIT(name)                                                                        \
	void grub_mod_init_##name(grub_dl_t mod);                                                  \
	void grub_mod_init_##name(grub_dl_t mod)
#define GRUB_MOD_FINI(name)                                                                        \
	void grub_mod_fini_##name(void);                                                           \
	void grub_mod_fini_##name(void)

#endif
