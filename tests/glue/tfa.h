/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The part of TF-A 2.8 that port/tfa uses, for a compiler on the host; test_tfa.c implements it.
 */
#ifndef GLUE_TFA_H
#define GLUE_TFA_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

typedef enum { IO_TYPE_INVALID, IO_TYPE_BLOCK, IO_TYPE_MAX } io_type_t;
typedef enum { IO_SEEK_INVALID, IO_SEEK_SET, IO_SEEK_END, IO_SEEK_CUR } io_seek_mode_t;

typedef struct io_block_spec {
	size_t offset;
	size_t length;
} io_block_spec_t;

typedef struct io_entity {
	struct io_dev_info *dev_handle;
	uintptr_t info;
} io_entity_t;

typedef struct io_dev_info {
	const struct io_dev_funcs *funcs;
	uintptr_t info;
} io_dev_info_t;

typedef struct io_dev_connector {
	int (*dev_open)(const uintptr_t dev_spec, io_dev_info_t **dev_info);
} io_dev_connector_t;

typedef struct io_dev_funcs {
	io_type_t (*type)(void);
	int (*open)(io_dev_info_t *dev_info, const uintptr_t spec, io_entity_t *entity);
	int (*seek)(io_entity_t *entity, int mode, signed long long offset);
	int (*size)(io_entity_t *entity, size_t *length);
	int (*read)(io_entity_t *entity, uintptr_t buffer, size_t length, size_t *length_read);
	int (*write)(io_entity_t *entity, const uintptr_t buffer, size_t length,
	             size_t *length_written);
	int (*close)(io_entity_t *entity);
	int (*dev_init)(io_dev_info_t *dev_info, const uintptr_t init_params);
	int (*dev_close)(io_dev_info_t *dev_info);
} io_dev_funcs_t;

int io_register_device(const io_dev_info_t *dev_info);
int io_open(uintptr_t dev_handle, const uintptr_t spec, uintptr_t *handle);
int io_seek(uintptr_t handle, io_seek_mode_t mode, signed long long offset);
int io_read(uintptr_t handle, uintptr_t buffer, size_t length, size_t *length_read);
int io_close(uintptr_t handle);

int plat_get_image_source(unsigned int image_id, uintptr_t *dev_handle, uintptr_t *image_spec);

int glue_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define WARN(...) ((void)glue_say(__VA_ARGS__))

#endif
