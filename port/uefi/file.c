/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Files on the volume. On FAT, reads their blocks without the firmware's driver, for the reason in
 * fat.h; on other file systems, uses that driver.
 */
#include "uefi.h"

enum {
	TEXT_MAX = 65536, /* of a configuration file */
	FILE_LINES = 4    /* of the cache of a file: 256 KiB */
};

static bool say_file_failure(const struct qu_file *file, const char *why)
{
	qu_say("qcow2: %w: %s\n", file->path, why);
	return false;
}

static int fat_file_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct qu_file *file = ctx;

	return qu_fat_read(&file->fat, pos, buf, len);
}

/* Moves the runs to memory of the right size, because they stay as long as the file is open. */
static bool shrink_runs(struct qu_file *file)
{
	size_t len = file->fat.n_runs * sizeof *file->fat.runs;
	struct qu_fat_run *runs = qu_alloc(len > 0u ? len : 1u);

	if (runs == NULL)
		return false;
	memcpy(runs, file->fat.runs, len);
	qu_free(file->fat.runs);
	file->fat.runs = runs;
	return true;
}

static bool open_on_fat(struct qu_file *file)
{
	static const struct qcow2_io_ops ops = { fat_file_read };
	struct qu_fat_run *runs;
	int rc = qu_fat_find(&file->volume->fat, file->path, &file->fat);

	file->volume->n_found += rc != QU_FAT_NOT_FOUND;
	if (rc != QU_FAT_OK)
		return say_file_failure(file, qu_fat_text(rc));
	runs = qu_alloc(QU_RUNS_MAX * sizeof *runs);
	if (runs == NULL)
		return false;
	rc = qu_fat_locate(&file->fat, runs, QU_RUNS_MAX);
	if (rc != QU_FAT_OK)
		return say_file_failure(file, qu_fat_text(rc));
	if (!shrink_runs(file))
		return false;
	file->io.ops = &ops;
	file->io.ctx = file;
	file->io.size = file->fat.size;
	return true;
}

static int handle_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct qu_file *file = ctx;
	uint8_t *to = buf;
	EFI_STATUS status = EFI_NO_MEDIA;

	if (qu_volume_has_driver(file->volume))
		status = file->handle->SetPosition(file->handle, pos);
	while (!EFI_ERROR(status) && len > 0u) {
		UINTN n = len;

		status = file->handle->Read(file->handle, &n, to);
		if (!EFI_ERROR(status) && (n == 0u || n > len))
			status = EFI_DEVICE_ERROR; /* the file shrank */
		if (!EFI_ERROR(status)) {
			to += n;
			len -= n;
		}
	}
	return EFI_ERROR(status) ? (int)(status & 0x7fffffffu) : 0;
}

/* Reads through the cache of the file. io.ctx is the file, because chain.c looks for that. */
static int cached_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	struct qu_file *file = ctx;

	return file->cache.io.ops->read(file->cache.io.ctx, pos, buf, len);
}

/* SetPosition with all bits set moves to the end of the file. */
static EFI_STATUS handle_size(EFI_FILE_PROTOCOL *handle, uint64_t *size)
{
	EFI_STATUS status = handle->SetPosition(handle, UINT64_MAX);

	if (!EFI_ERROR(status))
		status = handle->GetPosition(handle, size);
	return status;
}

/* Opens a file by its path from the root, if the volume still has its driver. */
static EFI_STATUS handle_open(struct qu_volume *volume, const uint16_t *path,
                              EFI_FILE_PROTOCOL **handle)
{
	if (!qu_volume_has_driver(volume))
		return EFI_NO_MEDIA;
	return volume->root->Open(volume->root, handle, path, EFI_FILE_MODE_READ, 0);
}

static bool open_by_driver(struct qu_file *file)
{
	static const struct qcow2_io_ops handle_ops = { handle_read };
	static const struct qcow2_io_ops ops = { cached_read };
	struct qcow2_io below;
	EFI_STATUS status = handle_open(file->volume, file->path, &file->handle);

	file->volume->n_found += status != EFI_NOT_FOUND;
	if (EFI_ERROR(status)) {
		file->handle = NULL;
		return say_file_failure(file, qu_efi_text(status));
	}
	status = handle_size(file->handle, &file->io.size);
	if (EFI_ERROR(status))
		return say_file_failure(file, "a directory, or a file of unknown size");
	below.ops = &handle_ops;
	below.ctx = file;
	below.size = file->io.size;
	file->io.ops = &ops;
	file->io.ctx = file;
	return qu_cache_open(&file->cache, &below, 1, 1, FILE_LINES);
}

bool qu_file_open(struct qu_file *file, struct qu_volume *volume)
{
	file->volume = volume;
	return volume->is_fat ? open_on_fat(file) : open_by_driver(file);
}

void qu_file_close(struct qu_file *file)
{
	qu_free(file->fat.runs);
	file->fat.runs = NULL;
	qu_cache_close(&file->cache);
	if (file->handle != NULL && qu_volume_has_driver(file->volume))
		(void)file->handle->Close(file->handle);
	file->handle = NULL;
}

/* Reads the file to *text, which the caller frees, even after an error. */
static EFI_STATUS read_text(EFI_FILE_PROTOCOL *handle, uint8_t **text, size_t *len)
{
	UINTN n = TEXT_MAX;
	EFI_STATUS status;

	*text = qu_alloc(TEXT_MAX);
	if (*text == NULL)
		return EFI_OUT_OF_RESOURCES;
	status = handle->Read(handle, &n, *text);
	*len = n;
	return !EFI_ERROR(status) && n == TEXT_MAX ? EFI_BUFFER_TOO_SMALL : status;
}

bool qu_file_text(struct qu_volume *volume, const uint16_t *path, uint8_t **text, size_t *len)
{
	EFI_FILE_PROTOCOL *handle;
	EFI_STATUS status = handle_open(volume, path, &handle);

	*text = NULL;
	if (status == EFI_NOT_FOUND)
		return true;
	if (!EFI_ERROR(status)) {
		status = read_text(handle, text, len);
		(void)handle->Close(handle);
	}
	if (!EFI_ERROR(status))
		return true;
	qu_free(*text);
	*text = NULL;
	qu_say("qcow2: %w: %s\n", path,
	       status == EFI_BUFFER_TOO_SMALL ? "too long: it must be shorter than 64 KiB"
	                                      : qu_efi_text(status));
	return false;
}
