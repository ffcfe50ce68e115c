/* SPDX-License-Identifier: MIT */
/*
 * Files of a FAT volume, straight from its blocks: FAT12, FAT16 and FAT32 with long names.
 *
 * Why not through the firmware's file system driver: the image is read when the firmware's FAT
 * driver asks for a block of the disk in it, and that driver cannot be entered again. EDK2's has
 * one lock for all volumes, and taken twice it leaves the task priority raised for good (a boot
 * loader then cannot wait for a key); U-Boot's keeps the current device in a variable. So a file
 * is looked up once, its place noted as a list of runs, and from then on only blocks are read.
 *
 * Knows nothing of UEFI: the volume is a struct qcow2_io.
 */
#ifndef QU_FAT_H
#define QU_FAT_H

#include <stdbool.h>

#include "qcow2/io.h"

enum qu_fat_status {
	QU_FAT_OK = 0,
	QU_FAT_NOT_FAT,    /* the volume has another file system */
	QU_FAT_IO,         /* reading failed */
	QU_FAT_NOT_FOUND,  /* no such file */
	QU_FAT_DAMAGED,    /* a cluster chain that cannot be */
	QU_FAT_FRAGMENTED, /* more runs than there is room for */
	QU_FAT_STATUSES
};

struct qu_fat {
	struct qcow2_io io;    /* the volume */
	uint64_t fat_pos;      /* of the file allocation table */
	uint64_t root_pos;     /* of the root directory, in FAT12 and FAT16 */
	uint64_t data_pos;     /* of cluster 2 */
	uint32_t root_entries; /* 0: the root directory is the chain from root_cluster on */
	uint32_t root_cluster;
	uint32_t n_clusters;
	uint8_t entry_bits; /* 12, 16 or 32 */
	uint8_t cluster_bits;
};

/* Clusters of a file from number `index` on lie together from `cluster` on. */
struct qu_fat_run {
	uint32_t index;
	uint32_t cluster;
};

struct qu_fat_file {
	const struct qu_fat *fat;
	uint32_t size;
	uint32_t first_cluster;
	struct qu_fat_run *runs; /* the caller's */
	uint32_t n_runs;
};

/* Is there a FAT volume in *io, which is copied? */
int qu_fat_open(struct qu_fat *fat, const struct qcow2_io *io);

/*
 * Looks up a file: path is NUL-terminated UTF-16 like "\\dir\\name". Names match without regard
 * to the case of A to Z. Fills all of *file but its runs.
 */
int qu_fat_find(const struct qu_fat *fat, const uint16_t *path, struct qu_fat_file *file);

/* Notes where the file lies, in runs[max_runs]. */
int qu_fat_locate(struct qu_fat_file *file, struct qu_fat_run *runs, uint32_t max_runs);

/* Reads [pos, pos + len) of a located file; 0, or the code of the volume's io. */
int qu_fat_read(const struct qu_fat_file *file, uint64_t pos, void *buf, size_t len);

/* What a status means. */
const char *qu_fat_text(int status);

#endif
