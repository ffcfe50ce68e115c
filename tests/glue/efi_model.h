/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A model of a firmware on the host, with the part of UEFI that port/uefi calls. It runs one
 * program from a volume, connects drivers to the disks that the program publishes, and can let any
 * of its services fail, once or from that call on. It is as strict as UEFI allows: a service that
 * fails returns garbage in its results, buffers must have the alignment that the medium asks for,
 * and only what exists can be freed or uninstalled.
 */
#ifndef EFI_MODEL_H
#define EFI_MODEL_H

#include "efi.h"
#include "glue.h"

/* ---- The volume with the program and the images ---- */

enum { EFI_FILES_MAX = 16 };

struct efi_file {
	const char *name; /* 8.3, in the root */
	const uint8_t *bytes;
	size_t len;
};

struct efi_volume {
	struct efi_file files[EFI_FILES_MAX];
	size_t n_files;
	uint8_t *blocks; /* of 512 bytes; NULL if the file system has no block device */
	size_t len;
};

void efi_volume_add(struct efi_volume *volume, const char *name, const void *bytes, size_t len);
/* Makes the blocks: FAT16 with all files, fragmented; or blocks that hold no FAT. */
void efi_volume_fat(struct efi_volume *volume);
/* Clears the file allocation table of efi_volume_fat. */
void efi_volume_damage(struct efi_volume *volume);
void efi_volume_other(struct efi_volume *volume);
void efi_volume_free(struct efi_volume *volume);

/* ---- The firmware ---- */

enum { EFI_CONSOLE_MAX = 16384, EFI_VARIABLE_MAX = 1024, EFI_TEXTS_MAX = 4096 };

typedef EFI_STATUS(EFIAPI *efi_program)(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

struct efi_model {
	unsigned calls;    /* calls of services that can fail */
	unsigned fail_at;  /* the number of the call that fails, from 1; 0 if none fails */
	bool persistent;   /* all calls after it fail as well */
	unsigned failed;   /* calls that failed */
	EFI_STATUS status; /* of the first of them */

	char console[EFI_CONSOLE_MAX]; /* everything that the program has printed */
	size_t console_len;
	/*
	 * The driver of the volume's file system restarts after one failure to find its protocol,
	 * as with `reconnect -r`. The files that were open are then invalid.
	 */
	bool was_restarted;
	unsigned stalls; /* calls of Stall */

	char variable[EFI_VARIABLE_MAX]; /* the text of Qcow2Boot; empty if it does not exist */
	bool has_full_store;             /* there is no room for variables */

	bool has_tpm;
	bool has_full_log; /* of the events of the TPM */
	/*
	 * What the program has measured: all bytes that were hashed, and the texts of the events.
	 * With bytes == NULL, the model keeps neither.
	 */
	struct {
		uint8_t *bytes; /* memory of the test */
		size_t max, len;
		char texts[EFI_TEXTS_MAX]; /* each with a line feed */
		size_t texts_len;
	} measured;

	uint64_t loader_blocks;     /* the disk with this many blocks has a boot loader */
	EFI_STATUS (*loader)(void); /* the boot loader */
	unsigned loader_runs;
};

extern struct efi_model efi;

/*
 * The node of the volume's device path that describes its partition, 42 bytes. efi_power_on makes
 * it that of a partition in a GPT.
 */
extern uint8_t *const efi_partition;

/* Starts the firmware with a volume. `options` are the load options of the program, or NULL. */
void efi_power_on(const struct efi_volume *volume, const char *options);
EFI_STATUS efi_run(efi_program program);
/* Unloads the program, which must have set Unload. */
EFI_STATUS efi_unload(void);
bool efi_can_unload(void);

/* The n-th disk that the program has published, or NULL. */
EFI_BLOCK_IO_PROTOCOL *efi_disk(size_t n);

/* Checks that the program has freed everything and that its output is whole lines of text. */
void efi_check_clean(void);
/* Does the output contain this text? */
bool efi_printed(const char *part);
/* The number of lines that report neither a new disk nor the memory in use. */
unsigned efi_complaints(void);

#endif
