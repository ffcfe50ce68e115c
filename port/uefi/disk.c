/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Publishes an image as a disk of the firmware: EFI_BLOCK_IO_PROTOCOL and a device path, to which
 * the firmware's partition and file system drivers connect. The disk is read-only, or what is
 * written to it stays in memory.
 *
 * If the size of the disk is not a multiple of the block size, zeros fill the last block.
 */
#include "uefi.h"

/* A vendor-defined node with the number of the disk, and the end node. */
struct disk_path {
	EFI_DEVICE_PATH_PROTOCOL vendor;
	EFI_GUID guid;
	uint8_t number[4];
	EFI_DEVICE_PATH_PROTOCOL end;
} __attribute__((packed));

struct qu_disk {
	EFI_BLOCK_IO_PROTOCOL block_io; /* first, because the firmware passes its address */
	EFI_BLOCK_IO_MEDIA media;
	struct disk_path path;
	EFI_HANDLE handle;
	struct qu_layer *top;
	struct qcow2_reader reader;
	struct qu_overlay overlay;
	void *memory;
	uint32_t block_bits;
	uint32_t n_reports;              /* how many more failures are printed */
	struct qcow2_error last_failure; /* the one that was printed last */
};

enum {
	MEDIA_ID = 1,    /* any number will do: the medium never changes */
	REPORTS_MAX = 8, /* printed failures of a disk: enough to see a pattern on one screen */
	PATHS_MAX = 256  /* values of the disk's number in its device path, which is one byte */
};

static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_fast, &qcow2_zstd_fast, NULL };

static EFI_STATUS EFIAPI disk_reset(EFI_BLOCK_IO_PROTOCOL *self, BOOLEAN is_extended)
{
	(void)self;
	(void)is_extended;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI disk_flush(EFI_BLOCK_IO_PROTOCOL *self)
{
	(void)self;
	return EFI_SUCCESS;
}

/* Is this the failure that was printed last? */
static bool is_repeated(const struct qu_disk *disk, const struct qcow2_error *err)
{
	const struct qcow2_error *last = &disk->last_failure;

	return last->status == err->status && last->io == err->io && last->pos == err->pos;
}

/*
 * Firmware tries each read of a new disk many times, and all may need the same damaged cluster. So
 * a failure that repeats is printed once, and only the first few different ones are printed.
 */
static void report(struct qu_disk *disk, int status, uint64_t off)
{
	const struct qcow2_error *err = &disk->reader.error;

	if (disk->n_reports == 0u || is_repeated(disk, err))
		return;
	disk->n_reports--;
	memcpy(&disk->last_failure, err, sizeof *err);
	qu_say("qcow2: reading at disk offset %U failed:\n", off);
	qu_chain_report(disk->top, status, err);
	if (disk->n_reports == 0u)
		qu_say("qcow2: further failures of this disk are not shown\n");
}

/* The read of a struct qcow2_io: the image without the overlay, and zeros after its end. */
static int image_read(void *ctx, uint64_t off, void *buf, size_t len)
{
	struct qu_disk *disk = ctx;
	uint64_t left = disk->top->image.size - off;
	size_t n = left < len ? (size_t)left : len;
	int rc = qcow2_reader_read(&disk->reader, off, buf, n);

	if (rc != QCOW2_OK)
		report(disk, rc, off);
	else
		memset((uint8_t *)buf + n, 0, len - n);
	return rc;
}

/* Checks the arguments of a read or a write, of which len is not 0. */
static EFI_STATUS check_range(const struct qu_disk *disk, EFI_LBA lba, UINTN len, const void *buf)
{
	UINTN n_blocks = len >> disk->block_bits;

	if (buf == NULL)
		return EFI_INVALID_PARAMETER;
	if ((len & (disk->media.BlockSize - 1u)) != 0u)
		return EFI_BAD_BUFFER_SIZE;
	if (lba > disk->media.LastBlock || n_blocks - 1u > disk->media.LastBlock - lba)
		return EFI_INVALID_PARAMETER;
	return EFI_SUCCESS;
}

/*
 * A reader serves one call at a time, and the callback of a timer may also read. It runs at
 * TPL_CALLBACK, the highest level at which the firmware may call the functions of a disk, so these
 * run at that level.
 *
 * 13.9 "EFI_BLOCK_IO_PROTOCOL.ReadBlocks()".
 */
static EFI_STATUS EFIAPI disk_read(EFI_BLOCK_IO_PROTOCOL *self, uint32_t media_id, EFI_LBA lba,
                                   UINTN len, void *buf)
{
	struct qu_disk *disk = (struct qu_disk *)(void *)self;
	uint64_t off = lba << disk->block_bits;
	EFI_STATUS status;
	EFI_TPL tpl;

	if (media_id != MEDIA_ID)
		return EFI_MEDIA_CHANGED;
	if (len == 0u)
		return EFI_SUCCESS;
	status = check_range(disk, lba, len, buf);
	if (EFI_ERROR(status))
		return status;
	tpl = qu_boot->RaiseTPL(TPL_CALLBACK);
	if (image_read(disk, off, buf, len) != 0)
		status = EFI_DEVICE_ERROR;
	else
		qu_overlay_read(&disk->overlay, off, buf, len);
	qu_boot->RestoreTPL(tpl);
	return status;
}

/* Writes to the overlay. The specification has no status for a lack of memory. */
static EFI_STATUS write_bytes(struct qu_disk *disk, uint64_t off, const void *buf, UINTN len)
{
	EFI_STATUS status = qu_overlay_write(&disk->overlay, off, buf, len);

	if (status != EFI_OUT_OF_RESOURCES)
		return status;
	if (disk->n_reports > 0u) {
		disk->n_reports--;
		qu_say("qcow2: %w: a write at disk offset %U failed: no memory is left, of 16 MiB "
		       "at most\n",
		       disk->top->file.path, off);
	}
	return EFI_DEVICE_ERROR;
}

/* 13.9 "EFI_BLOCK_IO_PROTOCOL.WriteBlocks()". */
static EFI_STATUS EFIAPI disk_write(EFI_BLOCK_IO_PROTOCOL *self, uint32_t media_id, EFI_LBA lba,
                                    UINTN len, void *buf)
{
	struct qu_disk *disk = (struct qu_disk *)(void *)self;
	EFI_STATUS status;
	EFI_TPL tpl;

	if (media_id != MEDIA_ID)
		return EFI_MEDIA_CHANGED;
	if (disk->media.ReadOnly != 0u)
		return EFI_WRITE_PROTECTED;
	if (len == 0u)
		return EFI_SUCCESS;
	status = check_range(disk, lba, len, buf);
	if (EFI_ERROR(status))
		return status;
	tpl = qu_boot->RaiseTPL(TPL_CALLBACK);
	status = write_bytes(disk, lba << disk->block_bits, buf, len);
	qu_boot->RestoreTPL(tpl);
	return status;
}

/* Gives the reader the memory that makes it fast, or else the least that it needs. */
static bool reader_open(struct qu_disk *disk)
{
	size_t min = 0, good = 0;
	int rc = qcow2_reader_memory(&disk->top->image, codecs, &min, &good);

	if (rc == QCOW2_OK)
		disk->memory = qu_try_alloc(good);
	if (rc == QCOW2_OK && disk->memory == NULL) {
		good = min;
		disk->memory = qu_alloc(min);
		if (disk->memory == NULL)
			return false;
	}
	rc = qcow2_reader_start(&disk->reader, &disk->top->image, codecs, disk->memory, good);
	if (rc != QCOW2_OK)
		qu_chain_report(disk->top, rc, &disk->reader.error);
	return rc == QCOW2_OK;
}

/* Opens the overlay if the user asks for one. */
static bool overlay_open(struct qu_disk *disk, bool is_wanted)
{
	static const struct qcow2_io_ops ops = { image_read };
	struct qcow2_io below;

	below.ops = &ops;
	below.ctx = disk;
	below.size = disk->top->image.size;
	return !is_wanted || qu_overlay_open(&disk->overlay, &below);
}

static bool media_fill(struct qu_disk *disk, uint32_t block_size)
{
	uint64_t size = disk->top->image.size;

	if (size == 0u) {
		qu_say("qcow2: %w: the disk is empty\n", disk->top->file.path);
		return false;
	}
	disk->block_bits = block_size == 4096u ? 12 : 9; /* config.c allows 512 and 4096 */
	disk->media.MediaId = MEDIA_ID;
	disk->media.MediaPresent = 1;
	disk->media.ReadOnly = disk->overlay.pieces == NULL;
	disk->media.BlockSize = block_size;
	disk->media.IoAlign = 1; /* the reader writes to any address */
	disk->media.LastBlock = (size - 1u) >> disk->block_bits;
	disk->block_io.Revision = EFI_BLOCK_IO_PROTOCOL_REVISION;
	disk->block_io.Media = &disk->media;
	disk->block_io.Reset = disk_reset;
	disk->block_io.ReadBlocks = disk_read;
	disk->block_io.WriteBlocks = disk_write;
	disk->block_io.FlushBlocks = disk_flush;
	return true;
}

static void path_fill(struct disk_path *path, uint32_t number)
{
	/* A random GUID of our own, so that no other vendor has the same device paths. */
	static const EFI_GUID guid = {
		0xcf3f871f, 0x5127, 0x4c9e, { 0x80, 0xfb, 0x35, 0xa3, 0xdb, 0x90, 0x65, 0x31 }
	};

	memset(path, 0, sizeof *path);
	path->vendor.Type = HARDWARE_DEVICE_PATH;
	path->vendor.SubType = HW_VENDOR_DP;
	path->vendor.Length[0] = sizeof path->vendor + sizeof path->guid + sizeof path->number;
	memcpy(&path->guid, &guid, sizeof guid);
	path->number[0] = (uint8_t)number;
	path->end.Type = END_DEVICE_PATH_TYPE;
	path->end.SubType = END_ENTIRE_DEVICE_PATH_SUBTYPE;
	path->end.Length[0] = sizeof path->end;
}

/*
 * Installs the protocols under the first free number. The firmware refuses a device path that it
 * already has, from another image or from another instance of this program.
 */
static bool install(struct qu_disk *disk)
{
	EFI_STATUS status = EFI_LOAD_ERROR;
	uint32_t number;

	for (number = 0; EFI_ERROR(status) && number < PATHS_MAX; number++) {
		path_fill(&disk->path, number);
		disk->handle = NULL;
		status = qu_boot->InstallMultipleProtocolInterfaces(
			&disk->handle, &qu_device_path_guid, &disk->path, &qu_block_io_guid,
			&disk->block_io, NULL);
	}
	if (EFI_ERROR(status))
		qu_say("qcow2: %w: the firmware does not accept the disk: %s\n",
		       disk->top->file.path, qu_efi_text(status));
	return !EFI_ERROR(status);
}

static void disk_free(struct qu_disk *disk)
{
	qu_chain_close(disk->top);
	qu_overlay_close(&disk->overlay);
	qu_free(disk->memory);
	qu_free(disk);
}

struct qu_disk *qu_disk_publish(struct qu_volume *volume, const struct qu_request *request)
{
	size_t before = qu_usage.now;
	struct qu_disk *disk = qu_alloc(sizeof *disk);

	if (disk == NULL)
		return NULL;
	disk->n_reports = REPORTS_MAX;
	if (!qu_measure_disk(request) || !qu_chain_open(&disk->top, volume, request) ||
	    !reader_open(disk) || !overlay_open(disk, request->has_overlay) ||
	    !media_fill(disk, request->block_size) || !install(disk)) {
		disk_free(disk);
		return NULL;
	}
	qu_say("qcow2: %w: a disk of %U bytes in blocks of %u%s, with %u KiB of memory\n",
	       disk->top->file.path, disk->top->image.size, (unsigned)disk->media.BlockSize,
	       request->has_overlay ? ", writable in memory" : "", qu_kib(qu_usage.now - before));
	/* Fails if no driver connects, which is not an error: a disk may have no partitions. */
	(void)qu_boot->ConnectController(disk->handle, NULL, NULL, 1);
	return disk;
}

EFI_STATUS qu_disk_retire(struct qu_disk *disk)
{
	EFI_STATUS status;

	/* Also fails if no driver is connected. Uninstalling shows whether the disk is free. */
	(void)qu_boot->DisconnectController(disk->handle, NULL, NULL);
	status = qu_boot->UninstallMultipleProtocolInterfaces(disk->handle, &qu_device_path_guid,
	                                                      &disk->path, &qu_block_io_guid,
	                                                      &disk->block_io, NULL);
	if (EFI_ERROR(status)) {
		(void)qu_boot->ConnectController(disk->handle, NULL, NULL, 1);
		qu_say("qcow2: %w: still in use: %s\n", disk->top->file.path, qu_efi_text(status));
		return status;
	}
	disk_free(disk);
	return EFI_SUCCESS;
}

const EFI_DEVICE_PATH_PROTOCOL *qu_disk_path(const struct qu_disk *disk)
{
	return &disk->path.vendor;
}

const struct qu_layer *qu_disk_image(const struct qu_disk *disk)
{
	return disk->top;
}
