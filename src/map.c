/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds what one image has at an offset of the virtual disk, qcow2.txt "Cluster mapping". The
 * offset selects an entry of the L1 table, which leads to an L2 table, whose entry describes the
 * cluster:
 *
 *	         high bits                    middle bits         low bits
 *	offset   [ L1 index ................. | L2 index ........ | in cluster ... ]
 *	               |                            |
 *	L1 table ... [entry] --> L2 table ...... [entry] --> cluster, or compressed data
 *
 * chain.c calls this for one image after the other.
 */
#include "internal.h"

/*
 * All functions here get an extent *e with the image, e->image, and the offset, e->off. On entry
 * its kind is QCOW2_EXTENT_ABSENT, and its len is the most that the answer may have. reader->error
 * always has the file and the position that are being read, so a function that fails just returns.
 */

/*
 * Table entries are handled in halves of 32 bits, because small processors have registers of 32
 * bits. "L1 table entry", "Standard Cluster Descriptor": bits 9-55 are the position, so bits 0-23
 * of the high half belong to it.
 */
enum {
	HIGH_POS = 0xffffff,
	HIGH_COMPRESSED = 1 << 30 /* "L2 table entry", bit 62: decides what all other bits mean */
};

/*
 * Bit 63: the refcount of the cluster is 1. A reader needs it only to tell the first cluster of an
 * external data file, which is at position 0, from no cluster.
 */
#define HIGH_COPIED (UINT32_C(1) << 31)

/* The low half. Bit 0 of a standard entry, from version 3 on: the cluster reads as zeros. */
#define LOW_POS  UINT32_C(0xfffffe00)
#define LOW_ZERO UINT32_C(1)

/* Returns how far into its cluster the extent begins. */
static uint32_t in_cluster(const struct qcow2_extent *e)
{
	return (uint32_t)e->off & (e->image->cluster_len - 1u);
}

/*
 * "Compressed Clusters Descriptor": with x = 62 - (cluster_bits - 8), bits 0 to x-1 are the
 * position of the data, which need not be aligned, and bits x to 61 are the number of 512-byte
 * sectors after the one in which it begins. The data ends somewhere in the last sector.
 */
static int compressed_extent(uint32_t high, uint32_t low, struct qcow2_extent *e)
{
	const struct qcow2_image *image = e->image;
	unsigned x = 38u - image->cluster_bits; /* as a bit of the high half: 17 to 29 */

	/* "External data file": an image with one has no compressed clusters. */
	if (image->data != NULL)
		return QCOW2_E_L2_ENTRY;
	high &= HIGH_COMPRESSED - 1;
	/*@ assert x == 38 - image->cluster_bits && high == \at(high, Pre) % 0x40000000; */
	/*@ assert high - (high >> x << x) == high % (1 << x) < 0x20000000; */
	/*@ assert (high >> x) == high / (1 << x) && (high >> x) < 0x2000; */
	e->kind = QCOW2_EXTENT_COMPRESSED;
	e->io = &image->io;
	e->packed_len = ((high >> x) + 1u) * 512u - low % 512u;
	e->pos = ((uint64_t)(high - (high >> x << x)) << 32) + low;
	/*@ assert e->packed_len == (high / (1 << x) + 1) * 512 - low % 512; */
	/*@ assert e->pos == high % (1 << x) * 0x100000000 + low; */
	q2_extent_clip(e, image->cluster_len - in_cluster(e));
	return QCOW2_OK;
}

/*
 * Checks the position in a standard entry, and sets e->pos and e->io to it. If the entry has none,
 * they stay as they are.
 */
static int host_cluster(uint32_t high, uint32_t low, struct qcow2_extent *e)
{
	const struct qcow2_image *image = e->image;
	uint64_t pos = ((uint64_t)(high & HIGH_POS) << 32) + (low & LOW_POS);

	/*@ assert (low & LOW_POS) == low - low % 512 && pos == entry_pos(high, low); */
	/* The header is at position 0, so 0 means no cluster. A data file has no header. */
	if (pos == 0u && (image->data == NULL || (high & HIGH_COPIED) == 0u))
		return QCOW2_OK;
	if (((uint32_t)pos & (image->cluster_len - 1u)) != 0u)
		return QCOW2_E_L2_ENTRY;
	/*@ assert pos % image->cluster_len == 0; */
	e->pos = pos + in_cluster(e);
	e->io = &image->io;
	if (image->data != NULL) {
		/* "External data file": the offset in the file is that in the disk. */
		if (e->pos != e->off)
			return QCOW2_E_L2_ENTRY;
		e->io = image->data;
	}
	return QCOW2_OK;
}

/*
 * "Extended L2 Entries": the cluster has 32 parts. Each has its bit set in the bitmap `data` if it
 * is allocated, in the bitmap `zero` if it reads as zeros, and in none if it is absent. Sets the
 * kind of *e, and ends it where the next part is of another kind.
 */
static int subclusters(uint32_t data, uint32_t zero, struct qcow2_extent *e)
{
	unsigned bits = e->image->cluster_bits - 5u; /* 32 parts */
	unsigned n = ((uint32_t)e->off >> bits) % Q2_SUBCLUSTERS;
	uint32_t others = data | zero; /* the parts of another kind than that of e->off */

	/*@ assert e->image->cluster_len == 32 << bits && n == \at(part(e), Pre) < 32; */
	/*@ assert (n << bits) <= \at(e->off % e->image->cluster_len, Pre) < (n + 1 << bits); */
	/* No part can be both, and data must have a place. */
	if ((data & zero) != 0u || (data != 0u && e->io == NULL))
		return QCOW2_E_L2_ENTRY;
	if ((data >> n) % 2u != 0u) {
		e->kind = QCOW2_EXTENT_DATA;
		others = ~data;
	} else if ((zero >> n) % 2u != 0u) {
		e->kind = QCOW2_EXTENT_ZERO;
		others = ~zero;
	}
	/*@ loop invariant \at(part(e), Pre) <= n < 32;
	    loop assigns n;
	    loop variant 32 - n; */
	do
		n++;
	while (n < Q2_SUBCLUSTERS && (others >> n) % 2u == 0u);
	/*@ assert (\at(part(e), Pre) + 1 << bits) <= (n << bits) <= (32 << bits); */
	/*@ assert 1 <= (n << bits) - \at(e->off % e->image->cluster_len, Pre); */
	q2_extent_clip(e, (n << bits) - in_cluster(e));
	/*@ split e->kind; */
	return QCOW2_OK;
}

/*
 * Extends *e over the clusters after the first one, as long as their entries continue it: to the
 * end of the slice at most, or until *e has the bytes that are wanted.
 *
 * An entry continues *e if it is exactly what is expected. A bad entry ends the run before it, and
 * is reported only when that entry itself is read. If only bit 63 differs, the run also ends, and
 * q2_map merges the two extents.
 */
static void standard_clusters(const struct qcow2_reader *reader, const uint8_t *raw,
                              struct qcow2_extent *e)
{
	size_t at = (size_t)(raw - reader->memory);
	const uint8_t *last = reader->memory + (at | (Q2_SLICE_LEN - 8u)); /* of the slice */
	uint32_t cluster = e->image->cluster_len;
	uint32_t len = cluster - in_cluster(e);
	uint64_t entry = q2_be64(raw);

	/*@ assert (at | 504) == at - at % 512 + 504; */
	if ((~(uint32_t)(entry >> 32) & HIGH_POS) == 0u) /* adding could carry into bit 56 */
		last = raw;
	/*@ loop invariant \base_addr(raw) == \base_addr(reader->memory);
	    loop invariant at <= raw - reader->memory <= at - at % 512 + 504;
	    loop invariant (raw - reader->memory) % 8 == 0;
	    loop invariant 1 <= len <= (1 + (raw - reader->memory - at) / 8) * 0x200000;
	    loop assigns raw, entry, len;
	    loop variant at - at % 512 + 504 - (raw - reader->memory); */
	while (raw < last && reader->want > len) {
		raw += 8;
		/*@ assert raw - reader->memory <= at - at % 512 + 504; */
		/* With a place, the position goes up; without, the same entry follows. */
		if (e->io != NULL)
			entry += cluster;
		if (q2_be64(raw) != entry)
			break;
		len += cluster;
	}
	q2_extent_clip(e, len);
}

int q2_data_check(struct qcow2_reader *reader, struct qcow2_extent *e)
{
	uint32_t mask = e->image->cluster_len - 1u;
	uint32_t before = in_cluster(e); /* bytes of the cluster or sector before the extent */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): data is never without a file */
	uint64_t size = e->io->size;
	uint64_t left;

	if (e->image->crypt_method != 0u) {
		e->kind = QCOW2_EXTENT_ENCRYPTED;
		mask = QCOW2_SECTOR_LEN - 1;
		before %= QCOW2_SECTOR_LEN;
		size -= size % QCOW2_SECTOR_LEN;
	}
	left = q2_left(size, e->pos - before);
	if ((e->image->flags & QCOW2_OPEN_TRUNCATED) != 0u)
		return QCOW2_OK;
	if (left == 0u) {
		reader->error.io = e->io;
		return QCOW2_E_TRUNCATED;
	}
	/*@ assert mask + 1 == 1 << 9 || mask + 1 == 1 << e->image->cluster_bits; */
	/*@ assert (left - 1 | mask) >= mask; */
	q2_extent_clip(e, ((left - 1u) | mask) - before + 1u);
	return QCOW2_OK;
}

/* Sets *e from the entry of the L2 table at raw, which is in its slice. */
static int l2_extent(struct qcow2_reader *reader, const uint8_t *raw, struct qcow2_extent *e)
{
	uint32_t high = q2_be32(raw);
	uint32_t low = q2_be32(raw + 4);
	bool extended = q2_has_extended_l2(e->image);
	int rc;

	if ((high & HIGH_COMPRESSED) != 0u)
		return compressed_extent(high, low, e);
	if (!extended && (low & LOW_ZERO) != 0u) {
		/* In version 2 the bit is reserved. */
		if (e->image->version < 3u)
			return QCOW2_E_L2_ENTRY;
		e->kind = QCOW2_EXTENT_ZERO;
		/* Zeros at position 0 have no place, whatever bit 63 says. */
		high &= ~HIGH_COPIED;
	}
	rc = host_cluster(high, low, e);
	if (rc != QCOW2_OK)
		return rc;
	/*@ assert reader->memory == \at(reader->memory, Pre) && good_entry(reader, raw); */
	if (extended) {
		rc = subclusters(q2_be32(raw + 12), q2_be32(raw + 8), e);
		/*@ assert rc == 0 ==> has_file(e) && 1 <= e->len <= \at(e->len, Pre); */
	} else {
		standard_clusters(reader, raw, e);
		if (e->io != NULL && e->kind == QCOW2_EXTENT_ABSENT)
			e->kind = QCOW2_EXTENT_DATA;
		/*@ assert has_file(e) && 1 <= e->len <= \at(e->len, Pre); */
	}
	return rc == QCOW2_OK && e->kind == QCOW2_EXTENT_DATA ? q2_data_check(reader, e) : rc;
}

/*
 * Looks up the L1 entry, then the L2 entry. Without an L2 table, everything that it would map is
 * absent.
 */
static int qcow2_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                        struct qcow2_extent *e)
{
	/* A mask for the bits of an offset that are below the L1 index. */
	uint64_t in_table = q2_shr64(UINT64_MAX, 64u - image->l1_entry_bits);
	uint64_t index = q2_shr64(e->off, image->l1_entry_bits);
	uint32_t cluster;
	const uint8_t *raw;
	uint64_t pos;
	int rc;

	q2_extent_clip(e, (~e->off & in_table) + 1u);
	/* Only in a snapshot: qcow2_image_open refuses an image whose L1 table is too short. */
	if (index >= image->l1_entries)
		return QCOW2_OK;
	raw = q2_table_entry(reader, e, image->l1_pos + (uint32_t)index * Q2_L1_ENTRY_LEN);
	if (raw == NULL)
		return QCOW2_E_IO;
	pos = ((uint64_t)(q2_be32(raw) & HIGH_POS) << 32) + (q2_be32(raw + 4) & LOW_POS);
	if (pos == 0u)
		return QCOW2_OK;
	rc = q2_table_check(image, image->cluster_len, pos);
	if (rc != QCOW2_OK)
		return rc == QCOW2_E_L1 ? QCOW2_E_L2_ENTRY : rc;
	cluster = (uint32_t)q2_shr64(e->off, image->cluster_bits);
	raw = q2_table_entry(reader, e,
	                     pos + (cluster << image->l2_entry_bits & (image->cluster_len - 1u)));
	if (raw == NULL)
		return QCOW2_E_IO;
	return l2_extent(reader, raw, e);
}

int q2_layer_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                    struct qcow2_extent *e)
{
	e->image = image;
	reader->error.io = &image->io;
	q2_extent_clip(e, image->size - e->off);
	if (image->layer_extent != NULL)
		return image->layer_extent(reader, image, e);
	return qcow2_extent(reader, image, e);
}
