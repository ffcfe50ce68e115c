/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads files on a FAT volume from its blocks: FAT12, FAT16 and FAT32 with long names.
 *
 * Why not through the firmware's FAT driver? That driver also reads the disk inside the image.
 * While it does so it calls this port, which would have to call the driver again, and the drivers
 * are not re-entrant: EDK2's has one lock for all volumes, and taking it twice leaves the task
 * priority raised, so that a boot loader cannot wait for a key; U-Boot's keeps the current device
 * in a variable. So this port finds a file once, keeps its position as a list of runs, and then
 * reads only blocks.
 *
 * Independent of UEFI, so that tests run it on the host: the volume is a struct qcow2_io.
 */
#ifndef QU_FAT_H
#define QU_FAT_H

#include "qcow2/io.h"
#include "qcow2/types.h"

enum qu_fat_status {
	QU_FAT_OK = 0,
	QU_FAT_NOT_FAT,    /* the volume has another file system */
	QU_FAT_IO,         /* the read callback of the volume failed */
	QU_FAT_NOT_FOUND,  /* the file does not exist */
	QU_FAT_DAMAGED,    /* a cluster chain is invalid */
	QU_FAT_FRAGMENTED, /* the file has more runs than the caller's array */
	QU_FAT_STATUSES
};

struct qu_fat {
	struct qcow2_io io;    /* the volume */
	uint64_t fat_pos;      /* of the file allocation table */
	uint64_t root_pos;     /* of the root directory, in FAT12 and FAT16 */
	uint64_t data_pos;     /* of cluster 2 */
	uint32_t root_entries; /* 0 in FAT32, whose root is the chain that starts at root_cluster */
	uint32_t root_cluster;
	uint32_t n_clusters;
	uint32_t volume_id; /* the "serial number", which makes the UUID in Linux; 0 if none */
	uint8_t entry_bits; /* 12, 16 or 32 */
	uint8_t cluster_bits;
};

/* The clusters of a file from number `index` on are contiguous and start at `cluster`. */
struct qu_fat_run {
	uint32_t index;
	uint32_t cluster;
};

struct qu_fat_file {
	const struct qu_fat *fat;
	uint32_t size;
	uint32_t first_cluster;
	struct qu_fat_run *runs; /* memory of the caller */
	uint32_t n_runs;
};

/* Opens the volume in *io, which is copied. Returns QU_FAT_NOT_FAT if it is not FAT. */
int qu_fat_open(struct qu_fat *fat, const struct qcow2_io *io);

/*
 * Finds a file by its path, NUL-terminated UTF-16 like "\\dir\\name", without regard to the case of
 * A to Z. Fills *file except for its runs.
 */
int qu_fat_find(const struct qu_fat *fat, const uint16_t *path, struct qu_fat_file *file);

/* Fills runs[max_runs] with the runs of the file. The caller keeps the array as long as *file. */
int qu_fat_locate(struct qu_fat_file *file, struct qu_fat_run *runs, uint32_t max_runs);

/* Reads [pos, pos + len) of a located file. Returns 0, or the code of the volume's callback. */
int qu_fat_read(const struct qu_fat_file *file, uint64_t pos, void *buf, size_t len);

/* What a status means. */
const char *qu_fat_text(int status);

#endif
