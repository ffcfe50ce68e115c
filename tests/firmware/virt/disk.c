/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* A driver for virtio block devices of version 2 on the memory-mapped bus. It waits for each
 * request. */
#include "disk.h"

/* virtio 1.1, "MMIO Device Register Layout": numbers of 32-bit words. */
enum {
	MAGIC = 0x000 / 4,
	VERSION = 0x004 / 4,
	DEVICE_ID = 0x008 / 4,
	DRIVER_FEATURES = 0x020 / 4,
	DRIVER_FEATURES_SEL = 0x024 / 4,
	QUEUE_SEL = 0x030 / 4,
	QUEUE_NUM = 0x038 / 4,
	QUEUE_READY = 0x044 / 4,
	QUEUE_NOTIFY = 0x050 / 4,
	STATUS = 0x070 / 4,
	QUEUE_DESC = 0x080 / 4,
	QUEUE_DRIVER = 0x090 / 4,
	QUEUE_DEVICE = 0x0a0 / 4,
	CAPACITY = 0x100 / 4
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { PART_NEXT = 1, PART_WRITE = 2 };

static const uint32_t virt = 0x74726976u; /* the magic number */

static volatile uint32_t *slot_registers(unsigned slot)
{
	const uintptr_t bus = 0x10001000u, slot_len = 0x1000u;

	return (volatile uint32_t *)(bus + slot * slot_len);
}

bool disk_is_there(unsigned slot)
{
	const volatile uint32_t *registers = slot_registers(slot);

	return registers[MAGIC] == virt && registers[VERSION] == 2u && registers[DEVICE_ID] == 2u;
}

static void set_address(volatile uint32_t *registers, const volatile void *memory)
{
	registers[0] = (uint32_t)(uintptr_t)memory;
	registers[1] = (uint32_t)((uint64_t)(uintptr_t)memory >> 32);
}

static void start_queue(struct disk *disk)
{
	volatile uint32_t *registers = disk->registers;

	registers[QUEUE_SEL] = 0;
	registers[QUEUE_NUM] = QUEUE_LEN;
	set_address(registers + QUEUE_DESC, disk->queue.parts);
	set_address(registers + QUEUE_DRIVER, &disk->queue.todo);
	set_address(registers + QUEUE_DEVICE, &disk->queue.done);
	registers[QUEUE_READY] = 1;
}

int disk_open(struct disk *disk, const char *name)
{
	volatile uint32_t *registers;
	unsigned slot;

	while (name[0] != '\0' && name[1] != '\0')
		name++;
	slot = (unsigned)(uint8_t)*name - '0';
	if (slot >= DISK_SLOTS || !disk_is_there(slot))
		return DISK_E_NONE;
	registers = disk->registers = slot_registers(slot);
	registers[STATUS] = 0;
	registers[STATUS] = ACKNOWLEDGE | DRIVER;
	registers[DRIVER_FEATURES_SEL] = 0;
	registers[DRIVER_FEATURES] = 0;
	registers[DRIVER_FEATURES_SEL] = 1;
	registers[DRIVER_FEATURES] = 1; /* VIRTIO_F_VERSION_1 */
	registers[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK;
	if ((registers[STATUS] & FEATURES_OK) == 0)
		return DISK_E_FEATURES;
	start_queue(disk);
	registers[STATUS] = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
	disk->size =
		((uint64_t)registers[CAPACITY + 1] << 32 | registers[CAPACITY]) * DISK_BLOCK_LEN;
	return DISK_OK;
}

static void set_part(struct disk *disk, unsigned i, const volatile void *at, uint32_t len,
                     unsigned flags)
{
	disk->queue.parts[i].at = (uintptr_t)at;
	disk->queue.parts[i].len = len;
	disk->queue.parts[i].flags = (uint16_t)flags;
	disk->queue.parts[i].next = (uint16_t)(i + 1);
}

int disk_read(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	struct disk *disk = ctx;
	volatile struct disk_queue *queue = &disk->queue;
	uint64_t blocks = disk->size / DISK_BLOCK_LEN;
	uint16_t next = queue->todo.count;

	if (count == 0 || count > DISK_MAX_BLOCKS || lba > blocks || count > blocks - lba)
		return DISK_E_RANGE;
	if ((uintptr_t)buf % DISK_ALIGN != 0)
		return DISK_E_ALIGN;
	queue->request.type = 0; /* VIRTIO_BLK_T_IN */
	queue->request.sector = lba;
	queue->status = 0xff;
	set_part(disk, 0, &queue->request, sizeof queue->request, PART_NEXT);
	set_part(disk, 1, buf, count * DISK_BLOCK_LEN, PART_NEXT | PART_WRITE);
	set_part(disk, 2, &queue->status, 1, PART_WRITE);
	queue->todo.ring[next % QUEUE_LEN] = 0;
	__sync_synchronize();
	queue->todo.count = (uint16_t)(next + 1);
	__sync_synchronize();
	disk->registers[QUEUE_NOTIFY] = 0;
	while (queue->done.count == next)
		continue;
	__sync_synchronize();
	return queue->status == 0 ? DISK_OK : DISK_E_READ;
}
