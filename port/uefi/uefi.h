/* SPDX-License-Identifier: MIT */
/*
 * What the files of the UEFI port share: qcow2 images on a volume that the firmware reads, shown to
 * it as disks.
 *
 *	start.c      from the image handle to disks: which volume, which images
 *	config.c     the words that say which images
 *	chain.c      an image and the files below it
 *	file.c       a file on the volume as a struct qcow2_io
 *	fat.c        where a file lies on a FAT volume
 *	cache.c      few large reads in place of many small ones
 *	volume.c     the volume's blocks
 *	disk.c       an image as EFI_BLOCK_IO_PROTOCOL
 *	console.c    messages
 *	main_app.c, main_driver.c    the two programs
 *
 * Memory, which tests/firmware/run-uefi.sh holds against what the programs say that they take:
 *
 *	the volume             1 MiB on FAT, else nothing
 *	each file of a chain   512 KiB at most, but 8 bytes for each piece of it on FAT is what it
 *	                       takes; elsewhere 256 KiB; and 4 KiB
 *	each disk              what its reader calls good, 8.2 MiB at most
 *	while they are opened  600 KiB more
 *
 * All of it is boot services data: an operating system gets it back.
 */
#ifndef QU_UEFI_H
#define QU_UEFI_H

#include <stdbool.h>

#include "efi.h"
#include "fat.h"
#include "path.h"
#include "qcow2/codec.h"
#include "qcow2/image.h"
#include "qcow2/reader.h"

/* mem.c */
void *memcpy(void *restrict dest, const void *restrict src, size_t len);
void *memset(void *dest, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

/* start.c: the firmware, and this program in it. Set once, before all else. */
extern EFI_BOOT_SERVICES *qu_boot;
extern EFI_SYSTEM_TABLE *qu_system;
extern const EFI_GUID qu_block_io_guid;
extern const EFI_GUID qu_device_path_guid;
extern const EFI_GUID qu_file_system_guid;
extern const EFI_GUID qu_loaded_image_guid;

/* console.c */

/*
 * Prints: %s (bytes, NUL-terminated), %w (UTF-16, the same), %u (unsigned), %U (uint64_t), %x
 * (uint64_t). Control characters come out as '?', but for '\n' in the format.
 */
void qu_say(const char *format, ...);

/* "device error", for a status of the firmware. */
const char *qu_efi_text(EFI_STATUS status);

/* start.c: all memory that is taken and given back is counted. */

struct qu_taken {
	size_t now, most; /* bytes */
};

extern struct qu_taken qu_taken;
void qu_count(size_t more, size_t less);

static inline unsigned qu_kib(size_t len)
{
	return (unsigned)((len + 1023u) / 1024u);
}

/* Zeroed memory, or NULL and a message. NULL may be freed. */
void *qu_alloc(size_t len);
void qu_free(void *memory);

/* The same, but the bytes are any, and there is no message. */
void *qu_try_alloc(size_t len);

/* cache.c */

enum { QU_LINE_LEN = 65536, QU_LINES_MAX = 16 };

struct qu_line {
	uint64_t pos;
	uint32_t last_use; /* 0: empty */
};

/*
 * Reads through lines of 64 KiB: tables and compressed clusters lie next to each other, and a
 * firmware takes about as long for 64 KiB as for a sector. What is larger goes straight through.
 */
struct qu_cache {
	struct qcow2_io io;    /* what is read: any bytes */
	struct qcow2_io below; /* is only asked for whole units, into aligned memory */
	uint32_t unit;         /* a power of two, at most 64 KiB */
	uint32_t align;        /* of memory: a power of two, at most a page */
	uint32_t clock;
	uint32_t n_lines;
	EFI_PHYSICAL_ADDRESS memory; /* 0: none */
	struct qu_line lines[QU_LINES_MAX];
};

/* False, and a message, if there is no memory. below->size must be a multiple of unit. */
bool qu_cache_open(struct qu_cache *cache, const struct qcow2_io *below, uint32_t unit,
                   uint32_t align, uint32_t n_lines);
void qu_cache_close(struct qu_cache *cache);

/* volume.c */

struct qu_volume {
	EFI_HANDLE handle;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *file_system;
	EFI_FILE_PROTOCOL *root;
	uint32_t n_found;    /* files that were opened, or failed for another reason than absence */
	bool is_fat;         /* then the rest is filled, too */
	uint32_t media_id;   /* of the volume's blocks when it was opened */
	uint32_t block_bits; /* log2 */
	struct qu_cache cache;
	struct qu_fat fat;
};

bool qu_volume_open(struct qu_volume *volume, EFI_HANDLE handle);
void qu_volume_close(struct qu_volume *volume);

/* Is the file system still there? If not, its files must not be touched, nor its root. */
bool qu_volume_has_driver(const struct qu_volume *volume);

/* file.c */

enum { QU_RUNS_MAX = 65536 };

/* A file on a volume: by its blocks on FAT, through the firmware's driver elsewhere. */
struct qu_file {
	struct qcow2_io io; /* io.ctx is this */
	uint16_t path[QU_PATH_MAX];
	struct qu_volume *volume;
	struct qu_fat_file fat;
	EFI_FILE_PROTOCOL *handle;
	struct qu_cache cache; /* over handle */
};

/* file is all zeros but for its path. False, and a message; qu_file_close is due in any case. */
bool qu_file_open(struct qu_file *file, struct qu_volume *volume);
void qu_file_close(struct qu_file *file);

/*
 * The content of a small text file, opened by its path from the root. *text is freed by the caller;
 * NULL: there is no such file. False, and a message, if it cannot be read.
 */
bool qu_file_text(struct qu_volume *volume, const uint16_t *path, uint8_t **text, size_t *len);

/* config.c */

enum { QU_CHAIN_MAX = 16 };

/* What is asked for: one image. */
struct qu_request {
	uint16_t path[QU_PATH_MAX];
	uint32_t block_size;
	uint32_t n_backing;
	struct {
		uint16_t path[QU_PATH_MAX];
		bool is_raw;
	} backing[QU_CHAIN_MAX]; /* from the top down, in place of what the images name */
	uint16_t data[QU_PATH_MAX];
	bool has_data;
};

/* Words, in UTF-16 or in UTF-8. */
struct qu_words {
	const void *text;
	size_t len; /* in units */
	size_t at;
	bool is_wide;
	bool has_comments;
};

/* The next image: 1 and *request, 0 at the end, -1 after a message. */
int qu_request_next(struct qu_words *words, struct qu_request *request);

/* Skips the first word if it names a program: *.efi. */
void qu_words_skip_program(struct qu_words *words);

/* Is there a separator of paths or a '.' in what follows? Else it may be no name of a file. */
bool qu_words_have_path(const struct qu_words *words);

/* chain.c */

struct qu_layer {
	struct qu_file file;
	struct qu_file data;
	struct qcow2_image image;
	struct qu_layer *below;
};

/* False, and a message; qu_chain_close is due in any case. */
bool qu_chain_open(struct qu_layer **top, struct qu_volume *volume,
                   const struct qu_request *request);
void qu_chain_close(struct qu_layer *top);

/* "path: what (at file offset n)". */
void qu_chain_report(const struct qu_layer *top, int status, const struct qcow2_error *err);

/* disk.c */

struct qu_disk;

/* Opens an image and shows it to the firmware. NULL, and a message, if it cannot be. */
struct qu_disk *qu_disk_publish(struct qu_volume *volume, const struct qu_request *request);

/* Takes it back. On an error it is still there. */
EFI_STATUS qu_disk_retire(struct qu_disk *disk);

const EFI_DEVICE_PATH_PROTOCOL *qu_disk_path(const struct qu_disk *disk);

/* start.c */

enum { QU_DISKS_MAX = 16 };

struct qu_session {
	EFI_LOADED_IMAGE_PROTOCOL *loaded; /* this program */
	struct qu_volume volume;
	struct qu_disk *disks[QU_DISKS_MAX];
	uint32_t n_disks;
};

/*
 * Publishes all images that the options of this program name, or else its configuration file. What
 * is wrong with one does not keep the others away. An error if none is published.
 */
EFI_STATUS qu_session_start(struct qu_session *session, EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

/* Takes all back. On an error some are still there, and it can be tried again. */
EFI_STATUS qu_session_end(struct qu_session *session);

#endif
