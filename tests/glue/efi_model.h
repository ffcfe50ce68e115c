/* SPDX-License-Identifier: MIT */
/*
 * A firmware for the host: as much of UEFI as port/uefi calls. It runs one program from a volume,
 * connects drivers to the disks that this makes, and can let any of its services fail, once or from
 * there on for ever. It is as strict as a firmware may be: what a service that fails has to give
 * back is garbage, buffers are aligned as they must be, and what is freed or uninstalled was there.
 */
#ifndef EFI_MODEL_H
#define EFI_MODEL_H

#include "efi.h"
#include "glue.h"

/* ---- The volume that the program and the images are on ---- */

enum { EFI_FILES_MAX = 16 };

struct efi_file {
	const char *name; /* 8.3, in the root */
	const uint8_t *bytes;
	size_t len;
};

struct efi_volume {
	struct efi_file files[EFI_FILES_MAX];
	size_t n_files;
	uint8_t *blocks; /* of 512 bytes; NULL: no block device is seen below the file system */
	size_t len;
};

void efi_volume_add(struct efi_volume *volume, const char *name, const void *bytes, size_t len);
/* Makes the blocks: FAT16 with all the files, in pieces; or what no one here can read. */
void efi_volume_fat(struct efi_volume *volume);
void efi_volume_other(struct efi_volume *volume);
void efi_volume_free(struct efi_volume *volume);

/* ---- The firmware ---- */

enum { EFI_CONSOLE_MAX = 16384 };

typedef EFI_STATUS(EFIAPI *efi_program)(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

struct efi_model {
	unsigned calls;    /* of services that can fail */
	unsigned fail_at;  /* the number of the call that fails, from 1; 0: none */
	bool persistent;   /* and all after it */
	unsigned failed;   /* how many did, */
	EFI_STATUS status; /* and how the first of them */

	char console[EFI_CONSOLE_MAX]; /* what was said, all of it */
	size_t console_len;
	/*
	 * The driver of the volume's file system was restarted, as it is after one failure to
	 * find its protocol: the files that were open are no more.
	 */
	bool was_restarted;
	unsigned stalls;

	/* Of the disk that has a boot loader: its number of blocks. And the boot loader. */
	uint64_t loader_blocks;
	EFI_STATUS (*loader)(void);
	unsigned loader_runs;
};

extern struct efi_model efi;

/* Starts the firmware with a volume. options: the load options; NULL: none. */
void efi_power_on(const struct efi_volume *volume, const char *options);
EFI_STATUS efi_run(efi_program program);
/* Unloads the program, which must have said how. */
EFI_STATUS efi_unload(void);
bool efi_can_unload(void);

/* The disks that the program has made: the n-th, or NULL. */
EFI_BLOCK_IO_PROTOCOL *efi_disk(size_t n);

/* Nothing that the program took is left; and what it said is whole lines of text. */
void efi_check_clean(void);
bool efi_was_said(const char *part);
/* How many lines were said that tell of no disk that was made. */
unsigned efi_complaints(void);

#endif
