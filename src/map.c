/* SPDX-License-Identifier: MIT */
/*
 * From an offset in the virtual disk to an extent, by one image: L1 table, L2 table, entry. chain.c
 * asks one after the other. qcow2.txt "Cluster mapping", "L1 table entry", "L2 table entry".
 */
#include "internal.h"

/*
 * How a question is asked: *e says which image (e->image) and where (e->off), and is absent so far.
 * On the way reader->error says what is being looked at, so that a failure has only to return.
 */

/* The high half of a table entry; bits 0-23 of it belong to a position. */
enum {
	HIGH_POS = 0xffffff,
	HIGH_COMPRESSED = 1 << 30 /* goes before all other bits */
};
#define HIGH_COPIED (UINT32_C(1) << 31) /* tells a cluster at 0 in external data from none */

/* The low half. Bit 0, in version 3 and standard entries: reads as zeros. */
#define LOW_POS  UINT32_C(0xfffffe00)
#define LOW_ZERO UINT32_C(1)

static uint32_t in_cluster(const struct qcow2_extent *e)
{
	return (uint32_t)e->off & (e->image->cluster_len - 1u);
}

/*
 * "Compressed Clusters Descriptor": with x = 62 - (cluster_bits - 8), bits 0 to x-1 are the
 * position, x to 61 the number of further 512-byte sectors.
 */
static int compressed_extent(uint32_t high, uint32_t low, struct qcow2_extent *e)
{
	const struct qcow2_image *image = e->image;
	unsigned x = 38u - image->cluster_bits; /* in the high half: 17 to 29 */

	/* "External data file": it has no compressed clusters. */
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
 * Is the host cluster of an entry one that can be? On success *e has its place in the file, or
 * none.
 */
static int host_cluster(uint32_t high, uint32_t low, struct qcow2_extent *e)
{
	const struct qcow2_image *image = e->image;
	uint64_t pos = ((uint64_t)(high & HIGH_POS) << 32) + (low & LOW_POS);

	/*@ assert (low & LOW_POS) == low - low % 512 && pos == entry_pos(high, low); */
	/* Position 0 is the header, except in an external data file. */
	if (pos == 0u && (image->data == NULL || (high & HIGH_COPIED) == 0u))
		return QCOW2_OK;
	if (((uint32_t)pos & (image->cluster_len - 1u)) != 0u)
		return QCOW2_E_L2_ENTRY;
	/*@ assert pos % image->cluster_len == 0; */
	e->pos = pos + in_cluster(e);
	e->io = &image->io;
	if (image->data != NULL) {
		/* "External data file": guest and host offset are the same. */
		if (e->pos != e->off)
			return QCOW2_E_L2_ENTRY;
		e->io = image->data;
	}
	return QCOW2_OK;
}

/*
 * "Extended L2 Entries": the second word says what each of the 32 parts of the cluster is, by a bit
 * in one of two bitmaps, or in none. Returns how far it is the same from e->off on.
 */
static int subclusters(uint32_t data, uint32_t zero, struct qcow2_extent *e)
{
	unsigned bits = e->image->cluster_bits - 5u;
	unsigned n = ((uint32_t)e->off >> bits) % Q2_SUBCLUSTERS;
	uint32_t others = data | zero;

	/*@ assert e->image->cluster_len == 32 << bits && n == \at(part(e), Pre) < 32; */
	/*@ assert (n << bits) <= \at(e->off % e->image->cluster_len, Pre) < (n + 1 << bits); */
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
 * The clusters that follow the first one in its way, as far as the slice of the table goes, or
 * until *e has the bytes that are wanted. An entry that is wrong ends the extent before it: whoever
 * asks for that is told. Entries are compared as they are: where only bit 63 differs, q2_map puts
 * the extents together.
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
	if ((~(uint32_t)(entry >> 32) & HIGH_POS) == 0u) /* soon the position would wrap */
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
		if (e->io != NULL)
			entry += cluster;
		if (q2_be64(raw) != entry)
			break;
		len += cluster;
	}
	q2_extent_clip(e, len);
}

/* Data must start inside its file, each cluster of it; ordinary files end in the middle of one. */
static int data_check(struct qcow2_reader *reader, struct qcow2_extent *e)
{
	uint32_t mask = e->image->cluster_len - 1u;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): data is never without a file */
	uint64_t left = q2_left(e->io->size, e->pos - in_cluster(e));

	if ((e->image->flags & QCOW2_OPEN_TRUNCATED) != 0u)
		return QCOW2_OK;
	if (left == 0u) {
		reader->error.io = e->io;
		return QCOW2_E_TRUNCATED;
	}
	/*@ assert mask + 1 == 1 << e->image->cluster_bits; */
	/*@ assert (left - 1 | mask) >= mask; */
	q2_extent_clip(e, ((left - 1u) | mask) - in_cluster(e) + 1u);
	return QCOW2_OK;
}

/* The extent that starts at e->off, by an entry of an L2 table. */
static int l2_extent(struct qcow2_reader *reader, const uint8_t *raw, struct qcow2_extent *e)
{
	uint32_t high = q2_be32(raw);
	uint32_t low = q2_be32(raw + 4);
	bool extended = q2_has_extended_l2(e->image);
	int rc;

	if ((high & HIGH_COMPRESSED) != 0u)
		return compressed_extent(high, low, e);
	if (!extended && (low & LOW_ZERO) != 0u) {
		/* Version 2 has no such bit. */
		if (e->image->version < 3u)
			return QCOW2_E_L2_ENTRY;
		e->kind = QCOW2_EXTENT_ZERO;
		/* In an external data file, bit 63 does not make it a place. */
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
	return rc == QCOW2_OK && e->kind == QCOW2_EXTENT_DATA ? data_check(reader, e) : rc;
}

/*
 * What a qcow2 image says about e->off: an entry of its L1 table, and one of the L2 table that that
 * leads to. Where there is no such table, all is absent that it would be for.
 */
static int qcow2_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                        struct qcow2_extent *e)
{
	uint64_t in_table = q2_shr64(UINT64_MAX, 64u - image->l1_entry_bits);
	uint64_t index = q2_shr64(e->off, image->l1_entry_bits);
	uint32_t cluster;
	const uint8_t *raw;
	uint64_t pos;
	int rc;

	q2_extent_clip(e, (~e->off & in_table) + 1u);
	if (index >= image->l1_entries) /* of a snapshot: open checks the active table */
		return QCOW2_OK;
	raw = q2_table_entry(reader, e, image->l1_pos, (uint32_t)index * Q2_L1_ENTRY_LEN);
	if (raw == NULL)
		return QCOW2_E_IO;
	pos = ((uint64_t)(q2_be32(raw) & HIGH_POS) << 32) + (q2_be32(raw + 4) & LOW_POS);
	if (pos == 0u)
		return QCOW2_OK;
	rc = q2_table_check(image, image->cluster_len, pos);
	if (rc != QCOW2_OK)
		return rc == QCOW2_E_L1 ? QCOW2_E_L2_ENTRY : rc;
	cluster = (uint32_t)q2_shr64(e->off, image->cluster_bits);
	raw = q2_table_entry(reader, e, pos,
	                     cluster << image->l2_entry_bits & (image->cluster_len - 1u));
	if (raw == NULL)
		return QCOW2_E_IO;
	return l2_extent(reader, raw, e);
}

/* What one image says about e->off. */
int q2_layer_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                    struct qcow2_extent *e)
{
	e->image = image;
	reader->error.io = &image->io;
	q2_extent_clip(e, image->size - e->off);
	if (q2_is_qcow2(image))
		return qcow2_extent(reader, image, e);
	e->kind = QCOW2_EXTENT_DATA;
	e->io = &image->io;
	return QCOW2_OK;
}
