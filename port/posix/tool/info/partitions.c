/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads the table of an MBR: four primary partitions, one of which may be extended. In that one,
 * each logical partition has a table of its own. Its first entry is the partition, and the second
 * one leads to the next table:
 *
 *	extended:  [table][logical 5 ......]  [table][logical 6 ...]
 *	             |  '------^               ^  |  '----^
 *	             '-------------------------'  '--> (none)
 */
#include "partitions.h"

#include <stdio.h>
#include <string.h>

enum {
	SECTOR = 512,
	AT_ENTRIES = 446, /* in the MBR, and in the table of a logical partition */
	ENTRY_LEN = 16,
	AT_SIGNATURE = 510,
	FIRST_LOGICAL = 5,
	LOGICAL_MAX = 128,
	TYPE_GPT = 0xee
};

/* An entry of a table; sectors are counted from where the table says. */
struct mbr_entry {
	unsigned flag; /* 0x80: active; 0: not; others are invalid */
	unsigned type; /* 0: not used */
	uint32_t start;
	uint32_t length;
};

static struct mbr_entry entry_at(const uint8_t *sector, unsigned index)
{
	const uint8_t *e = sector + AT_ENTRIES + index * ENTRY_LEN;
	struct mbr_entry entry = { e[0], e[4], partition_le32(e + 8), partition_le32(e + 12) };

	return entry;
}

static bool is_used(const struct mbr_entry *e)
{
	return e->type != 0u && e->length != 0u;
}

static bool is_extended(const struct mbr_entry *e)
{
	return is_used(e) && (e->type == 0x05u || e->type == 0x0fu || e->type == 0x85u);
}

static bool has_signature(const uint8_t *sector)
{
	return sector[AT_SIGNATURE] == 0x55u && sector[AT_SIGNATURE + 1] == 0xaau;
}

/* Adds the partition of an entry whose sectors are counted from `base`. */
static void add_mbr_entry(struct partition_table *table, const struct mbr_entry *e, uint64_t base,
                          unsigned number)
{
	struct partition *p = partitions_add(table);

	if (p == NULL)
		return;
	p->number = number;
	p->start = (base + e->start) * SECTOR;
	p->length = (uint64_t)e->length * SECTOR;
	p->is_bootable = e->flag == 0x80u;
	snprintf(p->type, sizeof p->type, "0x%02x", e->type);
	p->type_name = partition_type_name_mbr(e->type);
}

/* Reads a sector. A sector outside the disk is a problem of the table, and gives zeros. */
static bool sector_read(const struct partition_disk *disk, struct partition_table *table,
                        uint64_t index, uint8_t *sector)
{
	uint64_t n = disk->size / SECTOR;

	if (index < n)
		return disk->read(disk->ctx, index * SECTOR, sector, SECTOR);
	memset(sector, 0, SECTOR);
	table->problem = "a logical partition is outside the disk";
	return true;
}

static bool is_in(const uint64_t *list, unsigned n, uint64_t value)
{
	while (n > 0u)
		if (list[--n] == value)
			return true;
	return false;
}

/* Follows the tables of the logical partitions. `base` is where the extended partition begins. */
static bool read_logical(const struct partition_disk *disk, struct partition_table *table,
                         uint64_t base)
{
	uint64_t seen[LOGICAL_MAX] = { 0 }, at = base;
	uint8_t sector[SECTOR];
	unsigned n, number = FIRST_LOGICAL;

	for (n = 0; n < LOGICAL_MAX; n++) {
		struct mbr_entry e, next;

		if (is_in(seen, n, at)) {
			table->problem = "the list of logical partitions is a loop";
			return true;
		}
		seen[n] = at;
		if (!sector_read(disk, table, at, sector))
			return false;
		if (!has_signature(sector)) {
			if (table->problem == NULL)
				table->problem = "the list of logical partitions is damaged";
			return true;
		}
		e = entry_at(sector, 0);
		next = entry_at(sector, 1);
		if (is_used(&e))
			add_mbr_entry(table, &e, at, number++);
		if (!is_extended(&next))
			return true;
		at = base + next.start;
	}
	table->problem = "the table has too many logical partitions";
	return true;
}

/*
 * A boot sector of a file system has the signature as well, but other bytes in place of the table.
 */
static bool is_table(const uint8_t *sector)
{
	bool used = false;
	unsigned i;

	for (i = 0; i < 4u; i++) {
		struct mbr_entry e = entry_at(sector, i);

		if ((e.flag & 0x7fu) != 0u || (is_used(&e) && e.start == 0u))
			return false;
		used |= is_used(&e);
	}
	return used && has_signature(sector);
}

static bool read_mbr(const struct partition_disk *disk, struct partition_table *table,
                     const uint8_t *sector)
{
	uint64_t extended = 0;
	unsigned i;

	table->scheme = PARTITIONS_MBR;
	table->sector_size = SECTOR;
	for (i = 0; i < 4u; i++) {
		struct mbr_entry e = entry_at(sector, i);

		if (is_used(&e))
			add_mbr_entry(table, &e, 0, i + 1u);
		if (is_extended(&e) && extended == 0u)
			extended = e.start;
	}
	return extended == 0u || read_logical(disk, table, extended);
}

bool partitions_read(const struct partition_disk *disk, struct partition_table *table)
{
	uint8_t sector[SECTOR];
	unsigned i;

	memset(table, 0, sizeof *table);
	if (disk->size < SECTOR)
		return true;
	if (!disk->read(disk->ctx, 0, sector, SECTOR))
		return false;
	if (!is_table(sector))
		return true;
	for (i = 0; i < 4u; i++)
		if (entry_at(sector, i).type == TYPE_GPT)
			return partitions_read_gpt(disk, table);
	return read_mbr(disk, table, sector);
}
