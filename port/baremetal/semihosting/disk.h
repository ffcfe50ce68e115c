/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The disk: a device that reads whole blocks, for layer.c and main.c. It is a file of the host. */
#ifndef DISK_H
#define DISK_H

#include <stdint.h>

enum {
	DISK_BLOCK_LEN = 512,
	DISK_ALIGN = 4,     /* of buffers, as many DMA controllers need it */
	DISK_MAX_BLOCKS = 8 /* in one transfer */
};

/* What the two functions return. After a failed read, qcow2_error.io_code has it. */
enum { DISK_OK, DISK_E_RANGE, DISK_E_ALIGN, DISK_E_OPEN, DISK_E_SEEK, DISK_E_READ };

struct disk {
	uintptr_t handle;
	uint64_t size; /* in bytes; if the last block is not full, the rest of it reads as zeros */
};

int disk_open(struct disk *disk, const char *name);
/* Like the driver of a real disk: reads whole blocks into an aligned buffer. ctx: struct disk. */
int disk_read(void *ctx, uint64_t lba, uint32_t count, void *buf);

#endif
