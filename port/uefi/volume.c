/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The volume that holds the images: its file system and its blocks.
 */
#include "uefi.h"

/*
 * The protocol that reads the blocks of a volume, or NULL. It is looked up for each read, because
 * `reconnect -r` in the shell replaces it, and it disappears when the user unplugs the stick.
 */
static EFI_BLOCK_IO_PROTOCOL *block_io_of(const struct qu_volume *volume)
{
	void *block_io;

	if (EFI_ERROR(qu_boot->HandleProtocol(volume->handle, &qu_block_io_guid, &block_io)))
		return NULL;
	return block_io;
}

/* A status of the firmware as an int for io.read: without the top bit, which marks errors. */
static int io_code(EFI_STATUS status)
{
	return EFI_ERROR(status) ? (int)(status & 0x7fffffffu) : 0;
}

static int device_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct qu_volume *volume = ctx;
	EFI_BLOCK_IO_PROTOCOL *block_io = block_io_of(volume);

	if (block_io == NULL)
		return io_code(EFI_NO_MEDIA);
	return io_code(block_io->ReadBlocks(block_io, volume->media_id, pos >> volume->block_bits,
	                                    len, buf));
}

/* log2 of a block size from 512 to 64 KiB; 0 for any other number. */
static uint32_t block_bits_of(uint32_t size)
{
	uint32_t bits;

	for (bits = 9; bits <= 16u; bits++)
		if (UINT32_C(1) << bits == size)
			return bits;
	return 0;
}

/* Opens the cache over the blocks. Fails if the program cannot use their size or alignment. */
static bool device_open(struct qu_volume *volume, const EFI_BLOCK_IO_MEDIA *media)
{
	static const struct qcow2_io_ops ops = { device_read };
	uint32_t align = media->IoAlign > 1u ? media->IoAlign : 1u;
	struct qcow2_io device;

	volume->media_id = media->MediaId;
	volume->block_bits = block_bits_of(media->BlockSize);
	if (volume->block_bits == 0u || align > EFI_PAGE_SIZE ||
	    media->LastBlock >= UINT64_C(1) << 47) /* the size in bytes would overflow */
		return false;
	device.ops = &ops;
	device.ctx = volume;
	device.size = (media->LastBlock + 1u) << volume->block_bits;
	return qu_cache_open(&volume->cache, &device, media->BlockSize, align, QU_LINES_MAX);
}

/* Opens the volume as FAT, if it is one. fat.h explains why this does not use the driver. */
static bool fat_open(struct qu_volume *volume)
{
	EFI_BLOCK_IO_PROTOCOL *block_io = block_io_of(volume);

	if (block_io == NULL || !device_open(volume, block_io->Media))
		return false;
	if (qu_fat_open(&volume->fat, &volume->cache.io) == QU_FAT_OK)
		return true;
	qu_cache_close(&volume->cache);
	return false;
}

bool qu_volume_open(struct qu_volume *volume, EFI_HANDLE handle)
{
	EFI_STATUS status;
	void *file_system;

	memset(volume, 0, sizeof *volume);
	volume->handle = handle;
	status = qu_boot->HandleProtocol(handle, &qu_file_system_guid, &file_system);
	if (!EFI_ERROR(status)) {
		volume->file_system = file_system;
		status = volume->file_system->OpenVolume(volume->file_system, &volume->root);
	}
	if (EFI_ERROR(status)) {
		qu_say("qcow2: cannot open the volume that this program was loaded from: %s\n",
		       qu_efi_text(status));
		return false;
	}
	volume->is_fat = fat_open(volume);
	return true;
}

bool qu_volume_has_driver(const struct qu_volume *volume)
{
	void *now;

	return !EFI_ERROR(qu_boot->HandleProtocol(volume->handle, &qu_file_system_guid, &now)) &&
	       now == volume->file_system;
}

void qu_volume_close(struct qu_volume *volume)
{
	if (volume->is_fat)
		qu_cache_close(&volume->cache);
	volume->is_fat = false;
	if (volume->root != NULL && qu_volume_has_driver(volume))
		(void)volume->root->Close(volume->root);
	volume->root = NULL;
}
