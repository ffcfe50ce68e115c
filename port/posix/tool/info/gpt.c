/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads a GUID partition table (UEFI specification, "GUID Partition Table (GPT) Disk Layout").
 *
 * The header is in the second sector, and a copy of it in the last one; each names the place of a
 * list of entries, and has a checksum of itself and of the list. If the first one is damaged, the
 * copy counts. The size of a sector is that of the device that the disk came from.
 */
#include <stdio.h>
#include <string.h>

#include "partitions.h"

enum {
	AT_HEADER_LEN = 12,
	AT_HEADER_CRC = 16,
	AT_MY_LBA = 24,
	AT_LIST_LBA = 72,
	AT_N_ENTRIES = 80,
	AT_ENTRY_LEN = 84,
	AT_LIST_CRC = 88,
	HEADER_LEN_MIN = 92,

	AT_FIRST_LBA = 32, /* in an entry */
	AT_LAST_LBA = 40,
	AT_ATTRIBUTES = 48,
	AT_NAME = 56,
	NAME_UNITS = 36,
	ENTRY_LEN_MIN = 128,
	ENTRY_LEN_MAX = 4096,
	LEGACY_BOOTABLE = 1 << 2, /* in the attributes */

	LIST_LEN_MAX = 512 * 1024, /* the usual list has 16 KiB */
	SECTOR_MAX = 4096
};

/* What is needed of a header whose checksum is right. */
struct gpt_header {
	uint64_t list_at; /* offset of the list in the disk */
	uint32_t n_entries;
	uint32_t entry_len; /* a power of two */
	uint32_t list_crc;
};

/* CRC-32 as in gzip; begin with crc 0. */
static uint32_t crc32_more(uint32_t crc, const uint8_t *bytes, size_t len)
{
	size_t i;
	int bit;

	crc = ~crc;
	for (i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
	}
	return ~crc;
}

/* The checksum of a header, in which the field of the checksum itself counts as 0. */
static uint32_t header_crc(const uint8_t *header, size_t len)
{
	static const uint8_t zeros[4];
	uint32_t crc = crc32_more(0, header, AT_HEADER_CRC);

	crc = crc32_more(crc, zeros, sizeof zeros);
	return crc32_more(crc, header + AT_HEADER_CRC + 4, len - AT_HEADER_CRC - 4u);
}

/* Takes the header at sector `lba` if its checksum is right, and the list can be in the disk. */
static bool header_check(const struct partition_disk *disk, const uint8_t *sector,
                         unsigned sector_size, uint64_t lba, struct gpt_header *h)
{
	uint32_t len = partition_le32(sector + AT_HEADER_LEN);
	uint64_t list_lba = partition_le64(sector + AT_LIST_LBA), list_len;

	if (memcmp(sector, "EFI PART", 8) != 0 || len < HEADER_LEN_MIN || len > sector_size ||
	    partition_le32(sector + AT_HEADER_CRC) != header_crc(sector, len) ||
	    partition_le64(sector + AT_MY_LBA) != lba)
		return false;
	h->n_entries = partition_le32(sector + AT_N_ENTRIES);
	h->entry_len = partition_le32(sector + AT_ENTRY_LEN);
	h->list_crc = partition_le32(sector + AT_LIST_CRC);
	if (h->entry_len < ENTRY_LEN_MIN || h->entry_len > ENTRY_LEN_MAX ||
	    (h->entry_len & (h->entry_len - 1u)) != 0u ||
	    h->n_entries > LIST_LEN_MAX / h->entry_len || list_lba > disk->size / sector_size)
		return false;
	h->list_at = list_lba * sector_size;
	list_len = (uint64_t)h->n_entries * h->entry_len;
	return list_len <= disk->size - h->list_at;
}

/* Encodes a code point as UTF-8. Returns the number of bytes. */
static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80u) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800u) {
		to[0] = (char)(0xc0u | c >> 6);
		to[1] = (char)(0x80u | (c & 0x3fu));
		return 2;
	}
	if (c < 0x10000u) {
		to[0] = (char)(0xe0u | c >> 12);
		to[1] = (char)(0x80u | (c >> 6 & 0x3fu));
		to[2] = (char)(0x80u | (c & 0x3fu));
		return 3;
	}
	to[0] = (char)(0xf0u | c >> 18);
	to[1] = (char)(0x80u | (c >> 12 & 0x3fu));
	to[2] = (char)(0x80u | (c >> 6 & 0x3fu));
	to[3] = (char)(0x80u | (c & 0x3fu));
	return 4;
}

static uint32_t utf16_unit(const uint8_t *bytes, unsigned i)
{
	return (uint32_t)bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
}

/* Half of a surrogate pair becomes U+FFFD. A pair takes 4 bytes, fewer than twice 3. */
static void copy_name(char *to, const uint8_t *units)
{
	unsigned i;

	for (i = 0; i < NAME_UNITS; i++) {
		uint32_t c = utf16_unit(units, i);
		uint32_t low = i + 1u < NAME_UNITS ? utf16_unit(units, i + 1u) : 0u;

		if (c == 0u)
			break;
		if ((c & 0xfc00u) == 0xd800u && (low & 0xfc00u) == 0xdc00u) {
			c = 0x10000u + ((c & 0x3ffu) << 10 | (low & 0x3ffu));
			i++;
		} else if ((c & 0xf800u) == 0xd800u) {
			c = 0xfffdu;
		}
		to += put_utf8(to, c);
	}
	*to = '\0';
}

/* The first three fields of a GUID are little-endian. */
static void copy_guid(char *to, const uint8_t *b)
{
	snprintf(to, PARTITION_TYPE_LEN,
	         "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[3], b[2],
	         b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
	         b[15]);
}

static void add_entry(struct partition_table *table, const uint8_t *e, unsigned number)
{
	static const uint8_t unused[16];
	uint64_t first = partition_le64(e + AT_FIRST_LBA), last = partition_le64(e + AT_LAST_LBA);
	struct partition *p;

	if (memcmp(e, unused, sizeof unused) == 0)
		return;
	if (first > last || last >= UINT64_MAX / table->sector_size) {
		table->problem = "an entry of the table is damaged";
		return;
	}
	p = partitions_add(table);
	if (p == NULL)
		return;
	p->number = number;
	p->start = first * table->sector_size;
	p->length = (last - first + 1u) * table->sector_size;
	p->is_bootable = (e[AT_ATTRIBUTES] & LEGACY_BOOTABLE) != 0u;
	copy_guid(p->type, e);
	p->type_name = partition_type_name_gpt(p->type);
	copy_name(p->name, e + AT_NAME);
}

/* Reads the list. *valid: its checksum is right; otherwise the table stays empty. */
static bool read_list(const struct partition_disk *disk, const struct gpt_header *h,
                      struct partition_table *table, bool *valid)
{
	uint8_t entries[ENTRY_LEN_MAX]; /* one or more of them */
	uint32_t len = h->n_entries * h->entry_len, crc = 0, at, i, n;

	for (at = 0; at < len; at += n) {
		n = len - at < sizeof entries ? len - at : (uint32_t)sizeof entries;
		if (!disk->read(disk->ctx, h->list_at + at, entries, n))
			return false;
		crc = crc32_more(crc, entries, n);
		for (i = 0; i < n; i += h->entry_len)
			add_entry(table, entries + i, (at + i) / h->entry_len + 1u);
	}
	*valid = crc == h->list_crc;
	if (!*valid)
		table->n = 0;
	return true;
}

/* Reads the header at sector `lba`, and its list. */
static bool read_copy(const struct partition_disk *disk, struct partition_table *table,
                      uint64_t lba, bool *valid)
{
	uint8_t sector[SECTOR_MAX];
	struct gpt_header h;

	*valid = false;
	table->problem = NULL;
	if (lba >= disk->size / table->sector_size)
		return true;
	if (!disk->read(disk->ctx, lba * table->sector_size, sector, table->sector_size))
		return false;
	if (!header_check(disk, sector, table->sector_size, lba, &h))
		return true;
	return read_list(disk, &h, table, valid);
}

bool partitions_read_gpt(const struct partition_disk *disk, struct partition_table *table)
{
	static const unsigned sector_sizes[] = { 512, 4096 };
	bool valid;
	unsigned i;

	table->scheme = PARTITIONS_GPT;
	for (i = 0; i < 4u; i++) {
		bool is_backup = i >= 2u;

		table->sector_size = sector_sizes[i % 2u];
		if (!read_copy(disk, table, is_backup ? disk->size / table->sector_size - 1u : 1u,
		               &valid))
			return false;
		if (!valid)
			continue;
		if (is_backup)
			table->problem = "the table is damaged; this is its backup";
		return true;
	}
	table->sector_size = 512;
	table->problem = "the table and its backup are damaged";
	return true;
}
