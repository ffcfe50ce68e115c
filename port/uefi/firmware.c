/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The firmware's tables, the GUIDs of its protocols, and memory from its pool.
 */
#include "uefi.h"

EFI_BOOT_SERVICES *qu_boot;
EFI_RUNTIME_SERVICES *qu_runtime;
const EFI_GUID qu_block_io_guid = EFI_BLOCK_IO_PROTOCOL_GUID;
const EFI_GUID qu_device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;
const EFI_GUID qu_file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
const EFI_GUID qu_loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

struct qu_usage qu_usage;

/*
 * Precedes each block of memory from the pool, because FreePool does not report its length. The
 * pool aligns to 8 bytes; the head has 8 bytes, so the memory after it is aligned as well.
 */
struct pool_head {
	uint64_t len; /* of the block, including this head */
};

void qu_firmware_use(const EFI_SYSTEM_TABLE *system)
{
	qu_boot = system->BootServices;
	qu_runtime = system->RuntimeServices;
	qu_console = system->ConOut;
}

void qu_count(size_t more, size_t less)
{
	qu_usage.now += more;
	qu_usage.now -= less;
	if (qu_usage.now > qu_usage.most)
		qu_usage.most = qu_usage.now;
}

void *qu_try_alloc(size_t len)
{
	struct pool_head *head;
	void *memory;

	len += sizeof *head;
	if (EFI_ERROR(qu_boot->AllocatePool(EfiBootServicesData, len, &memory)))
		return NULL;
	head = memory;
	head->len = len;
	qu_count(len, 0);
	return head + 1;
}

void *qu_alloc(size_t len)
{
	void *memory = qu_try_alloc(len);

	if (memory == NULL)
		qu_say("qcow2: out of memory\n");
	return memory == NULL ? NULL : memset(memory, 0, len);
}

void qu_free(void *memory)
{
	struct pool_head *head = memory;

	if (memory == NULL)
		return;
	head--;
	qu_count(0, (size_t)head->len);
	(void)qu_boot->FreePool(head);
}
