/* SPDX-License-Identifier: MIT */
/*
 * The part of GRUB 2.06 that port/grub uses, for a compiler on the host; test_grub.c implements it.
 * GRUB_FILE_FILTER_QCOW2 is the only name that the port adds to GRUB.
 */
#ifndef GLUE_GRUB_H
#define GLUE_GRUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef size_t grub_size_t;
typedef ptrdiff_t grub_ssize_t;
typedef uint64_t grub_off_t;

typedef enum {
	GRUB_ERR_NONE,
	GRUB_ERR_OUT_OF_MEMORY,
	GRUB_ERR_OUT_OF_RANGE,
	GRUB_ERR_BAD_FILE_TYPE,
	GRUB_ERR_READ_ERROR
} grub_err_t;

extern grub_err_t grub_errno;
grub_err_t grub_error(grub_err_t n, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define N_(text) text

void *grub_malloc(grub_size_t len);
void *grub_zalloc(grub_size_t len);
void grub_free(void *p);

struct grub_device;
typedef struct grub_device *grub_device_t;
typedef struct grub_file *grub_file_t;

struct grub_fs {
	const char *name;
	grub_ssize_t (*fs_read)(grub_file_t file, char *buf, grub_size_t len);
	grub_err_t (*fs_close)(grub_file_t file);
};
typedef struct grub_fs *grub_fs_t;

struct grub_file {
	char *name;
	grub_device_t device;
	grub_fs_t fs;
	grub_off_t offset;
	grub_off_t size;
	void *data;
};

enum grub_file_type {
	GRUB_FILE_TYPE_NONE,
	GRUB_FILE_TYPE_LOOPBACK,
	GRUB_FILE_TYPE_LINUX_KERNEL,
	GRUB_FILE_TYPE_MASK = 0xffff,
	GRUB_FILE_TYPE_NO_DECOMPRESS = 0x20000
};

#define GRUB_FILE_SIZE_UNKNOWN UINT64_MAX

grub_ssize_t grub_file_read(grub_file_t file, void *buf, grub_size_t len);
grub_off_t grub_file_seek(grub_file_t file, grub_off_t offset);
grub_err_t grub_file_close(grub_file_t file);

static inline grub_off_t grub_file_size(const grub_file_t file)
{
	return file->size;
}

typedef enum { GRUB_FILE_FILTER_QCOW2, GRUB_FILE_FILTER_MAX } grub_file_filter_id_t;
typedef grub_file_t (*grub_file_filter_t)(grub_file_t in, enum grub_file_type type);

void grub_file_filter_register(grub_file_filter_id_t id, grub_file_filter_t filter);
void grub_file_filter_unregister(grub_file_filter_id_t id);

#define GRUB_MOD_LICENSE(text) extern const int grub_needs_no_licence_here
#define GRUB_MOD_INIT(name)                                                                        \
	void grub_mod_init_##name(void);                                                           \
	void grub_mod_init_##name(void)
#define GRUB_MOD_FINI(name)                                                                        \
	void grub_mod_fini_##name(void);                                                           \
	void grub_mod_fini_##name(void)

#endif
