/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* A block device that is a file of the host, as strict about range and alignment as a real one. */
#include "disk.h"

#include "semihost.h"

int disk_open(struct disk *disk, const char *name)
{
	enum { READ_BINARY = 1 };
	uintptr_t len = 0;
	intptr_t handle, size;

	while (name[len] != '\0')
		len++;

	const uintptr_t open[] = { (uintptr_t)name, READ_BINARY, len };

	handle = semihost(SEMIHOST_OPEN, open);
	if (handle < 0)
		return DISK_E_OPEN;
	disk->handle = (uintptr_t)handle;
	size = semihost(SEMIHOST_FILE_LEN, &disk->handle);
	if (size < 0)
		return DISK_E_OPEN;
	disk->size = (uint64_t)size;
	return DISK_OK;
}

int disk_read(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	const struct disk *disk = ctx;
	uint64_t blocks = (disk->size + DISK_BLOCK_LEN - 1) / DISK_BLOCK_LEN;
	uint8_t *to = buf;

	if (count == 0 || count > DISK_MAX_BLOCKS || lba > blocks || count > blocks - lba)
		return DISK_E_RANGE;
	if ((uintptr_t)buf % DISK_ALIGN != 0)
		return DISK_E_ALIGN;

	uintptr_t len = (uintptr_t)count * DISK_BLOCK_LEN;
	uintptr_t pos = (uintptr_t)lba * DISK_BLOCK_LEN;
	uintptr_t there = disk->size - pos < len ? (uintptr_t)(disk->size - pos) : len;
	const uintptr_t seek[] = { disk->handle, pos };
	const uintptr_t read[] = { disk->handle, (uintptr_t)buf, there };

	if (semihost(SEMIHOST_SEEK, seek) != 0)
		return DISK_E_SEEK;
	/* SEMIHOST_READ returns the number of bytes that it did not read. */
	if (semihost(SEMIHOST_READ, read) != 0)
		return DISK_E_READ;
	for (uintptr_t i = there; i < len; i++)
		to[i] = 0;
	return DISK_OK;
}
