/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The partition table of a disk: MBR with logical partitions, or GPT.
 *
 * The table is untrusted. What it says is bounded and never believed further than it is shown: at
 * most PARTITIONS_MAX partitions, which may overlap or lie outside the disk.
 */
#ifndef QCOW2_TOOL_PARTITIONS_H
#define QCOW2_TOOL_PARTITIONS_H

#include "../tool.h"

enum {
	PARTITIONS_MAX = 256,
	PARTITION_NAME_LEN = 36 * 3 + 1, /* 36 UTF-16 units as UTF-8, and a NUL */
	PARTITION_TYPE_LEN = 37          /* a GUID as text, and a NUL */
};

/* The disk, as the caller can read it. */
struct partition_disk {
	uint64_t size; /* bytes */
	/* Reads len bytes at offset, which are inside the disk. Returns false on failure. */
	bool (*read)(void *ctx, uint64_t offset, void *buf, size_t len);
	void *ctx;
};

struct partition {
	unsigned number; /* from 1 on; logical partitions from 5 on, as in Linux */
	uint64_t start;  /* offset in the disk, bytes */
	uint64_t
		length; /* bytes; start + length never wraps, but may be past the end of the disk */
	bool is_bootable;              /* MBR: active; GPT: legacy BIOS bootable */
	char type[PARTITION_TYPE_LEN]; /* "0x83", or a GUID in lower case */
	const char *type_name;         /* static, or NULL: an unknown type */
	char name[PARTITION_NAME_LEN]; /* well-formed UTF-8, but it may hold anything; "" for MBR */
};

enum partition_scheme { PARTITIONS_NONE, PARTITIONS_MBR, PARTITIONS_GPT };

struct partition_table {
	enum partition_scheme scheme;
	/*
	 * What is wrong with the table, or NULL. Static. With it, the table may be incomplete, or
	 * the backup that GPT keeps at the end of the disk.
	 */
	const char *problem;
	unsigned sector_size; /* the unit of the table, bytes: 512 or 4096 */
	unsigned n;
	struct partition list[PARTITIONS_MAX];
};

/*
 * Reads the table. Returns false if the disk cannot be read. That there is no table is no failure.
 * Reads at most 3 MiB for GPT, and one sector for each logical partition for MBR.
 */
bool partitions_read(const struct partition_disk *disk, struct partition_table *table);

/* ---- For the files that read one kind of table ---- */

/* Reads the GPT of a disk whose MBR says that it has one. */
bool partitions_read_gpt(const struct partition_disk *disk, struct partition_table *table);

/* Adds a partition and returns it, zeroed, or returns NULL after a note if the table is full. */
struct partition *partitions_add(struct partition_table *table);

/* Returns the name of a type, or NULL. */
const char *partition_type_name_mbr(unsigned type);
const char *partition_type_name_gpt(const char *guid);

static inline uint32_t partition_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t partition_le64(const uint8_t *p)
{
	return (uint64_t)partition_le32(p) | (uint64_t)partition_le32(p + 4) << 32;
}

#endif
