/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "efi_model.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/*
 * A FAT16 volume as in the "Microsoft FAT Specification". A cluster is one sector, and there are
 * more than 4084 of them, as FAT16 requires. Boot sector, FAT and root directory are so far apart
 * that the program needs a read for each.
 */
enum {
	SECTOR = 512,
	SECTORS = 8000,
	FAT_SECTOR = 128,
	FAT_SECTORS = 128,
	ENTRY_LEN = 32,
	ROOT_SECTOR = FAT_SECTOR + FAT_SECTORS,
	DATA_SECTOR = ROOT_SECTOR + 1,
	/* Clusters in a fragment of a file, before LONG_FROM and after it. */
	LONG_FROM = 65536,
	PIECE = 5,
	PIECE_LONG = 400
};

void efi_volume_add(struct efi_volume *volume, const char *name, const void *bytes, size_t len)
{
	struct efi_file *file = &volume->files[volume->n_files++];

	LE(volume->n_files, SECTOR / ENTRY_LEN);
	file->name = name;
	file->bytes = bytes;
	file->len = len;
}

static void put16(uint8_t *p, size_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

static void put_boot_sector(uint8_t *p)
{
	put16(p + 11, SECTOR);
	p[13] = 1;                         /* sectors for each cluster */
	put16(p + 14, FAT_SECTOR);         /* sectors before the FAT */
	p[16] = 1;                         /* one FAT */
	put16(p + 17, SECTOR / ENTRY_LEN); /* entries in the root */
	put16(p + 19, SECTORS);
	p[21] = 0xf8;
	put16(p + 22, FAT_SECTORS);
	p[38] = 0x29; /* a volume ID follows */
	p[39] = 0x34;
	p[40] = 0x12;
	p[41] = 0xcd;
	p[42] = 0xab;
	p[510] = 0x55;
	p[511] = 0xaa;
}

/* "top.q" to "TOP     Q  ". */
static void put_entry(uint8_t *entry, const struct efi_file *file)
{
	size_t at = 0;

	memset(entry, ' ', 11);
	for (const char *c = file->name; *c != '\0'; c++) {
		if (*c == '.')
			at = 8;
		else
			entry[at++] = (uint8_t)toupper((unsigned char)*c);
	}
	put16(entry + 28, file->len);
	put16(entry + 30, file->len >> 16);
}

/* Writes the fragment of a file that starts at byte *done. Returns its number of clusters. */
static size_t put_piece(struct efi_volume *volume, size_t i, size_t *done, size_t *last,
                        size_t cluster)
{
	const struct efi_file *file = &volume->files[i];
	uint8_t *fat = volume->blocks + FAT_SECTOR * SECTOR;
	size_t most = *done < LONG_FROM ? PIECE : PIECE_LONG;
	size_t n = 0;

	for (; n < most && *done < file->len; n++) {
		size_t left = file->len - *done;

		if (*last == 0)
			put16(volume->blocks + ROOT_SECTOR * SECTOR + i * ENTRY_LEN + 26,
			      cluster + n);
		else
			put16(fat + 2 * *last, cluster + n);
		*last = cluster + n;
		put16(fat + 2 * *last, 0xffff);
		memcpy(volume->blocks + (DATA_SECTOR + *last - 2) * SECTOR, file->bytes + *done,
		       left < SECTOR ? left : SECTOR);
		*done += left < SECTOR ? left : SECTOR;
	}
	return n;
}

void efi_volume_fat(struct efi_volume *volume)
{
	size_t done[EFI_FILES_MAX] = { 0 }, last[EFI_FILES_MAX] = { 0 };
	size_t cluster = 2, before = 0;

	volume->len = (size_t)SECTORS * SECTOR;
	volume->blocks = calloc(1, volume->len);
	TRUE(volume->blocks != NULL);
	put_boot_sector(volume->blocks);
	for (size_t i = 0; i < volume->n_files; i++)
		put_entry(volume->blocks + ROOT_SECTOR * SECTOR + i * ENTRY_LEN, &volume->files[i]);
	while (cluster != before) {
		before = cluster;
		for (size_t i = 0; i < volume->n_files; i++) {
			LE(DATA_SECTOR + cluster + PIECE_LONG, SECTORS);
			cluster += put_piece(volume, i, &done[i], &last[i], cluster);
		}
	}
}

void efi_volume_damage(struct efi_volume *volume)
{
	memset(volume->blocks + FAT_SECTOR * SECTOR, 0, FAT_SECTORS * SECTOR);
}

void efi_volume_other(struct efi_volume *volume)
{
	volume->len = (size_t)SECTORS * SECTOR;
	volume->blocks = calloc(1, volume->len);
	TRUE(volume->blocks != NULL);
}

void efi_volume_free(struct efi_volume *volume)
{
	free(volume->blocks);
	memset(volume, 0, sizeof *volume);
}
