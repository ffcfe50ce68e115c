/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The disks of this board: virtio block devices, which QEMU numbers as the slots of their bus. */
#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stdint.h>

enum { DISK_BLOCK_LEN = 512, DISK_ALIGN = 4, DISK_MAX_BLOCKS = 8 };

enum { DISK_OK, DISK_E_RANGE, DISK_E_ALIGN, DISK_E_NONE, DISK_E_FEATURES, DISK_E_READ };

enum { DISK_SLOTS = 8, QUEUE_LEN = 4 };

/* The memory that the device reads and writes: virtio 1.1, sections 2.6 and 5.2.6. */
struct disk_queue {
	struct {
		uint64_t at;
		uint32_t len;
		uint16_t flags;
		uint16_t next;
	} parts[QUEUE_LEN];
	struct {
		uint16_t flags;
		uint16_t count;
		uint16_t ring[QUEUE_LEN];
	} todo;
	struct {
		uint16_t flags;
		uint16_t count;
		struct {
			uint32_t part;
			uint32_t len;
		} ring[QUEUE_LEN];
	} done;
	struct {
		uint32_t type;
		uint32_t reserved;
		uint64_t sector;
	} request;
	uint8_t status;
};

struct disk {
	volatile uint32_t *registers;
	uint64_t size; /* in bytes */
	/* The list of parts must be aligned to 16. */
	volatile struct disk_queue queue __attribute__((aligned(16)));
};

bool disk_is_there(unsigned slot);
/* name ends with the number of a slot: "disk0". */
int disk_open(struct disk *disk, const char *name);
int disk_read(void *ctx, uint64_t lba, uint32_t count, void *buf);

#endif
