/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the files of the UEFI port share. The programs publish qcow2 images on a volume as disks of
 * the firmware. Each file calls only files that stand below it here:
 *
 *	main_app.c, main_driver.c    the two programs
 *	session.c    from the image handle to disks: which volume, which images
 *	handover.c   leaves a variable that names the image for the operating system
 *	disk.c       an image as EFI_BLOCK_IO_PROTOCOL
 *	overlay.c    what is written to a disk, in memory
 *	chain.c      an image and its backing files
 *	measure.c    measures files into the TPM
 *	config.c     parses the words that name the images
 *	file.c       a file on the volume as a struct qcow2_io
 *	volume.c     the file system that holds the images, and its blocks
 *	cache.c      turns many small reads into few large ones
 *	firmware.c   the firmware's tables, and memory from its pool
 *	console.c    messages
 *	fat.c        finds the blocks of a file on a FAT volume
 *	path.c       joins and decodes file names
 *
 * The port uses at most this much memory. tests/firmware/run-uefi.sh compares the limits with what
 * the programs report.
 *
 *	for the volume         1 MiB on FAT, nothing on other file systems
 *	for each file          on FAT 8 bytes for each fragment, 512 KiB at most; on other file
 *	                       systems 256 KiB; on both, 4 KiB more
 *	for each disk          what qcow2_reader_memory recommends, 8.2 MiB at most; with an
 *	                       overlay 64 KiB more, and up to 16 MiB as it is written
 *	during opening         600 KiB more; with measure=yes, as much as the longest file, 64 MiB
 *	                       at most
 *
 * All of it is boot services data, which the operating system reclaims.
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

/* mem.c of the core: the compiler calls these itself, and firmware has no libc. */
void *memcpy(void *restrict dest, const void *restrict src, size_t len);
void *memset(void *dest, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

/* ---- console.c ---- */

/* qu_firmware_use sets it. */
extern EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *qu_console;

/*
 * Prints a message: %s is a NUL-terminated string of bytes, %w one of UTF-16, %u an unsigned,
 * %U a uint64_t, %x a uint64_t in hexadecimal. Strings may come from an image: control characters
 * in them are printed as '?'. A '\n' in the format ends the line.
 */
void qu_say(const char *format, ...);

enum { QU_DECIMAL_MAX = 21 }; /* the digits of UINT64_MAX, and a NUL */

/* Writes a number to the end of `text` and returns where it begins. */
const char *qu_decimal(char text[QU_DECIMAL_MAX], uint64_t value);

/* Returns a text for a status of the firmware, such as "device error". Never NULL. */
const char *qu_efi_text(EFI_STATUS status);

/* ---- firmware.c ---- */

/* Set by qu_firmware_use, which must be called before anything else in this header. */
extern EFI_BOOT_SERVICES *qu_boot;
extern EFI_RUNTIME_SERVICES *qu_runtime;
void qu_firmware_use(const EFI_SYSTEM_TABLE *system);

extern const EFI_GUID qu_block_io_guid;
extern const EFI_GUID qu_device_path_guid;
extern const EFI_GUID qu_file_system_guid;
extern const EFI_GUID qu_loaded_image_guid;

/* The memory that the program uses, in bytes. */
struct qu_usage {
	size_t now;
	size_t most; /* the largest value that `now` has had */
};

extern struct qu_usage qu_usage;

/* Counts memory that does not come from qu_alloc: adds `more` bytes and subtracts `less`. */
void qu_count(size_t more, size_t less);

static inline unsigned qu_kib(size_t len)
{
	return (unsigned)((len + 1023u) / 1024u);
}

/* Returns zeroed memory, or prints a message and returns NULL. */
void *qu_alloc(size_t len);

/* Like qu_alloc, but leaves the memory uninitialised and prints nothing. */
void *qu_try_alloc(size_t len);

/* Frees memory of qu_alloc or qu_try_alloc; does nothing with NULL. */
void qu_free(void *memory);

/* ---- cache.c ---- */

enum { QU_LINE_LEN = 65536, QU_LINES_MAX = 16 };

struct qu_line {
	uint64_t pos;
	uint32_t last_use; /* the cache's clock at that time; 0 if the line is empty */
};

/*
 * A cache of 64 KiB lines. Tables and compressed clusters are next to each other in an image, and
 * firmware needs about as long to read 64 KiB as to read one sector. Longer reads bypass the cache.
 */
struct qu_cache {
	struct qcow2_io io;    /* reads any bytes, through the cache */
	struct qcow2_io below; /* reads whole units only, into aligned memory */
	uint32_t unit;         /* a power of two, at most 64 KiB */
	uint32_t align;        /* of memory; a power of two, at most a page */
	uint32_t clock;
	uint32_t n_lines;
	EFI_PHYSICAL_ADDRESS memory; /* of the lines; 0 if there is none */
	struct qu_line lines[QU_LINES_MAX];
};

/* below->size must be a multiple of unit. Without memory, prints a message and returns false. */
bool qu_cache_open(struct qu_cache *cache, const struct qcow2_io *below, uint32_t unit,
                   uint32_t align, uint32_t n_lines);
void qu_cache_close(struct qu_cache *cache);

/* ---- volume.c ---- */

struct qu_volume {
	EFI_HANDLE handle;
	EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *file_system;
	EFI_FILE_PROTOCOL *root;
	uint32_t n_found; /* files that exist, whether they could be opened or not */
	bool is_fat;      /* if not, the members below are unused */
	uint32_t media_id;
	uint32_t block_bits; /* log2 of the block size */
	struct qu_cache cache;
	struct qu_fat fat;
};

/* Opens the volume of `handle`. On failure, prints a message and returns false. */
bool qu_volume_open(struct qu_volume *volume, EFI_HANDLE handle);
void qu_volume_close(struct qu_volume *volume);

/*
 * Does the file system driver still serve the volume? If it does not, the root and the files that
 * the driver opened are invalid, and the caller must not use them.
 */
bool qu_volume_has_driver(const struct qu_volume *volume);

/* ---- file.c ---- */

/* Fragments of one file on FAT: 512 KiB of memory. */
enum { QU_RUNS_MAX = 65536 };

/* A file on a volume. On FAT it is read block by block, elsewhere through the firmware's driver. */
struct qu_file {
	struct qcow2_io io; /* io.ctx is this struct */
	uint16_t path[QU_PATH_MAX];
	struct qu_volume *volume;
	struct qu_fat_file fat;
	EFI_FILE_PROTOCOL *handle;
	struct qu_cache cache; /* over handle */
};

/*
 * Opens file->path; all other members must be zero. On failure, prints a message and returns false.
 * The caller must call qu_file_close in either case.
 */
bool qu_file_open(struct qu_file *file, struct qu_volume *volume);
void qu_file_close(struct qu_file *file);

/*
 * Reads a small text file by its path from the root. The caller frees *text, which is NULL if the
 * file does not exist. If it cannot be read, prints a message and returns false.
 */
bool qu_file_text(struct qu_volume *volume, const uint16_t *path, uint8_t **text, size_t *len);

/* ---- config.c ---- */

/* Images of a backing chain. A longer chain is more likely a loop. */
enum { QU_CHAIN_MAX = 16 };

/* One image that the user asks for. */
struct qu_request {
	uint16_t path[QU_PATH_MAX];
	uint32_t block_size;
	uint32_t n_backing;
	struct {
		uint16_t path[QU_PATH_MAX];
		bool is_raw;
	} backing[QU_CHAIN_MAX]; /* replace the names in the images, from the top down */
	uint16_t data[QU_PATH_MAX];
	bool has_data;
	bool has_overlay; /* writes go to memory */
	bool is_measured;
};

/* Words in UTF-16 or in UTF-8. */
struct qu_words {
	const void *text;
	size_t len; /* in units of UTF-16 or in bytes */
	size_t at;  /* of the next unit to parse */
	bool is_wide;
	bool has_comments;
};

/* Parses the next image into *request. Returns 1, 0 at the end, or -1 after a message. */
int qu_request_next(struct qu_words *words, struct qu_request *request);

/* Skips the first word if it names a program: *.efi. */
void qu_words_skip_program(struct qu_words *words);

/* Do the words that follow contain a '.', '\' or '/', as a file name does? */
bool qu_words_have_path(const struct qu_words *words);

/* ---- measure.c ---- */

/*
 * Measures that a disk follows, and whether its files are measured. Without a TPM, prints a message
 * and returns false if they should be.
 */
bool qu_measure_disk(const struct qu_request *request);

/*
 * Measures all bytes of an open file and what it is used as: "qcow2", "raw" or "data". On failure,
 * prints a message and returns false.
 */
bool qu_measure_file(const struct qu_file *file, const char *kind);

/* ---- chain.c ---- */

struct qu_layer {
	struct qu_file file;
	struct qu_file data; /* the external data file, if the image has one */
	struct qcow2_image image;
	struct qu_layer *below; /* the backing file, or NULL */
};

/*
 * Opens an image and its backing files. On failure, prints a message and returns false. The caller
 * must call qu_chain_close in either case.
 */
bool qu_chain_open(struct qu_layer **top, struct qu_volume *volume,
                   const struct qu_request *request);
void qu_chain_close(struct qu_layer *top);

/* Prints "FILE: what is wrong (at file offset N); what to do". */
void qu_chain_report(const struct qu_layer *top, int status, const struct qcow2_error *err);

/* ---- overlay.c ---- */

enum { QU_PIECES_MAX = 4096 }; /* pieces of 4 KiB: 16 MiB for each disk */

struct qu_piece;

/* What was written to a disk. If `pieces` is NULL, the disk is read-only. */
struct qu_overlay {
	struct qu_piece *pieces;
	uint32_t n_pieces;
	struct qcow2_io below; /* reads the disk without the overlay, and zeros after its end */
};

/* Copies *below. Without memory, prints a message and returns false. */
bool qu_overlay_open(struct qu_overlay *overlay, const struct qcow2_io *below);
/* Does nothing with an overlay that is not open, and may be called twice. */
void qu_overlay_close(struct qu_overlay *overlay);

/* Replaces the bytes that were written in [off, off + len), which the caller has read from below.
 */
void qu_overlay_read(const struct qu_overlay *overlay, uint64_t off, uint8_t *buf, size_t len);

/*
 * Writes [off, off + len). Returns EFI_OUT_OF_RESOURCES without memory or beyond QU_PIECES_MAX, and
 * EFI_DEVICE_ERROR if the disk cannot be read; then a part may be written.
 */
EFI_STATUS qu_overlay_write(struct qu_overlay *overlay, uint64_t off, const uint8_t *buf,
                            size_t len);

/* ---- disk.c ---- */

struct qu_disk;

/* Opens an image and publishes it as a disk. On failure, prints a message and returns NULL. */
struct qu_disk *qu_disk_publish(struct qu_volume *volume, const struct qu_request *request);

/* Removes the disk and frees it. If that fails, the disk is still published and usable. */
EFI_STATUS qu_disk_retire(struct qu_disk *disk);

const EFI_DEVICE_PATH_PROTOCOL *qu_disk_path(const struct qu_disk *disk);
const struct qu_layer *qu_disk_image(const struct qu_disk *disk);

/* ---- handover.c ---- */

/*
 * Sets the variable Qcow2Boot, which names the files of the disk's image to the operating system.
 * If that fails, prints a message: the firmware can boot without it.
 */
void qu_handover_set(const struct qu_volume *volume, const struct qu_disk *disk);

/* Removes the variable. Without one, does nothing. */
void qu_handover_remove(void);

/* ---- session.c ---- */

enum { QU_DISKS_MAX = 16 };

struct qu_session {
	EFI_LOADED_IMAGE_PROTOCOL *loaded; /* this program */
	struct qu_volume volume;
	struct qu_disk *disks[QU_DISKS_MAX];
	uint32_t n_disks;
};

/*
 * Publishes the images that the load options of this program name, or else those that its
 * configuration file names. An image that fails does not affect the others. Returns an error if no
 * disk is published; then nothing is left to end.
 */
EFI_STATUS qu_session_start(struct qu_session *session, EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

/*
 * Removes all disks and frees all memory. If a disk is still in use, returns an error; the caller
 * may try again.
 */
EFI_STATUS qu_session_end(struct qu_session *session);

#endif
