/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Version 1 of the format, which QEMU calls qcow: its header, and its map of the disk. Nothing here
 * is linked unless a program calls qcow2_image_open_v1, which leaves a pointer to the map in the
 * image.
 *
 * The header has 48 bytes, and there are no extensions, snapshots and refcounts. As in map.c, an L1
 * entry leads to an L2 table, whose entry describes a cluster. Tables begin at any byte, and their
 * entries are 64-bit positions without flags, except for bit 63 of an L2 entry:
 *
 *	0 [ position, a multiple of 512 ....................... ]   data; 0 is no cluster
 *	1 [ length: cluster_bits bits ][ position of any byte .. ]  compressed data
 */
#include "internal.h"
#include "qcow2/version1.h"

/* Byte positions of the fields. */
enum {
	AT_V1_MAGIC = 0,
	AT_V1_VERSION = 4,
	AT_V1_BACKING_POS = 8,
	AT_V1_BACKING_LEN = 16,
	AT_V1_SIZE = 24,
	AT_V1_CLUSTER_BITS = 32,
	AT_V1_L2_BITS = 33,
	AT_V1_CRYPT_METHOD = 36,
	AT_V1_L1_POS = 40,
	V1_HEADER_LEN = 48,
	V1_CLUSTER_BITS_MAX = 16,
	V1_L2_BITS_MIN = 6, /* log2 of the entries of an L2 table */
	V1_L2_BITS_MAX = 13,
	V1_SIZE_MIN = 2,
	V1_L1_ENTRIES_MAX = INT32_MAX / Q2_L1_ENTRY_LEN,
	V1_ENTRY_LEN = 8
};

/* The field that was read last. If a check fails, this is the field at fault. */
struct v1_field {
	uint32_t pos;
	uint64_t value;
};

/* The size of the disk, of a cluster and of an L2 table. The size comes first, as in QEMU. */
static int v1_shape(struct qcow2_image *image, const uint8_t *h, struct v1_field *f)
{
	unsigned cluster_bits = h[AT_V1_CLUSTER_BITS];
	unsigned l2_bits = h[AT_V1_L2_BITS];
	uint32_t method;

	f->pos = AT_V1_SIZE;
	image->size = q2_be64(h + AT_V1_SIZE);
	if (image->size < V1_SIZE_MIN)
		return QCOW2_E_HEADER;
	f->pos = AT_V1_CLUSTER_BITS;
	f->value = cluster_bits;
	if (cluster_bits - Q2_CLUSTER_BITS_MIN > V1_CLUSTER_BITS_MAX - Q2_CLUSTER_BITS_MIN)
		return QCOW2_E_CLUSTER_BITS;
	image->cluster_bits = (uint8_t)cluster_bits;
	image->cluster_len = UINT32_C(1) << cluster_bits;
	f->pos = AT_V1_L2_BITS;
	if (l2_bits - V1_L2_BITS_MIN > V1_L2_BITS_MAX - V1_L2_BITS_MIN)
		return QCOW2_E_HEADER;
	image->l1_entry_bits = (uint8_t)(cluster_bits + l2_bits);
	image->l2_entry_bits = 3;
	f->pos = AT_V1_CRYPT_METHOD;
	method = q2_be32(h + AT_V1_CRYPT_METHOD);
	f->value = method;
	if (method > ((image->flags & QCOW2_OPEN_INSPECT) != 0u ? QCOW2_CRYPT_AES : 0u))
		return QCOW2_E_ENCRYPTED;
	image->crypt_method = (uint8_t)method;
	return QCOW2_OK;
}

/*
 * The L1 table, whose length follows from the size of the disk. The name of the backing file, which
 * may be anywhere in the first 4 GiB of the file.
 */
static int v1_places(struct qcow2_image *image, const uint8_t *h, struct v1_field *f)
{
	uint64_t last = q2_shr64(image->size - 1u, image->l1_entry_bits);
	uint32_t len;

	f->pos = AT_V1_SIZE;
	f->value = image->size;
	if (last >= V1_L1_ENTRIES_MAX)
		return QCOW2_E_TOO_BIG;
	f->pos = AT_V1_L1_POS;
	image->l1_entries = (uint32_t)last + 1u;
	image->l1_pos = q2_be64(h + AT_V1_L1_POS);
	/* As in q2_table_check. */
	if (image->l1_pos >> 32 >= INT32_MAX)
		return QCOW2_E_L1;
	if (!q2_is_inside(image, image->l1_entries * V1_ENTRY_LEN, image->l1_pos))
		return QCOW2_E_TRUNCATED;
	f->pos = AT_V1_BACKING_POS;
	image->backing_name.pos = q2_be32(h + AT_V1_BACKING_POS + 4);
	/* QEMU looks at the position and the length only if neither is 0. */
	len = q2_be32(h + AT_V1_BACKING_LEN);
	if (len == 0u)
		return QCOW2_OK;
	if (q2_be32(h + AT_V1_BACKING_POS) != 0u)
		return QCOW2_E_HEADER;
	if (image->backing_name.pos == 0u)
		len = 0;
	f->pos = AT_V1_BACKING_LEN;
	if (len > QCOW2_NAME_MAX)
		return QCOW2_E_HEADER;
	image->backing_name.len = len;
	return q2_is_inside(image, len, image->backing_name.pos) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

/*
 * Replaces *pos, the position of a table, by entry number `index` of it, which must be inside the
 * file. The entry may go from one slice to the next, so each byte is looked up by itself.
 */
static int v1_entry(struct qcow2_reader *reader, const struct qcow2_extent *e, uint32_t index,
                    uint64_t *pos)
{
	q2_cursor *at = &reader->error;
	uint64_t entry = 0;
	unsigned i;

	/* As in q2_table_check. So the sum below does not wrap. */
	if (*pos >> 32 >= INT32_MAX)
		return QCOW2_E_L2_ENTRY;
	at->pos = *pos + index * V1_ENTRY_LEN;
	if (!q2_is_inside(e->image, V1_ENTRY_LEN, at->pos))
		return QCOW2_E_TRUNCATED;
	for (i = 0; i < V1_ENTRY_LEN; i++) {
		const uint8_t *byte = q2_table_entry(reader, e, at->pos);

		if (byte == NULL)
			return QCOW2_E_IO;
		entry = (entry << 8) + *byte;
		at->pos++;
	}
	at->pos -= V1_ENTRY_LEN;
	*pos = entry;
	return QCOW2_OK;
}

/* Sets *e, which is in one cluster, from an L2 entry that is not 0. */
static int v1_cluster(struct qcow2_reader *reader, uint32_t high, uint32_t low,
                      struct qcow2_extent *e)
{
	const struct qcow2_image *image = e->image;
	unsigned x = 31u - image->cluster_bits; /* the length's place in the high half: 15 to 22 */
	uint32_t mask = image->cluster_len - 1u;

	e->io = &image->io;
	e->kind = QCOW2_EXTENT_COMPRESSED;
	e->packed_len = high >> x & mask;
	e->pos = ((uint64_t)(high - (high >> x << x)) << 32) + low;
	if (high >> 31 != 0u)
		return QCOW2_OK;
	/* It is not compressed. */
	if (low % 512u != 0u)
		return QCOW2_E_L2_ENTRY;
	e->kind = QCOW2_EXTENT_DATA;
	e->packed_len = 0;
	e->pos = ((uint64_t)high << 32) + low + ((uint32_t)e->off & mask);
	return q2_data_check(reader, e);
}

/*
 * image->layer_extent: the counterpart of qcow2_extent in map.c. Looks up the L1 entry and, if
 * there is an L2 table, its entry. An L2 table maps at most 2^29 bytes. Clusters that continue each
 * other are merged by q2_map.
 */
static int v1_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                     struct qcow2_extent *e)
{
	unsigned bits = image->l1_entry_bits; /* log2 of what the entry maps */
	uint32_t index = (uint32_t)q2_shr64(e->off, bits);
	uint64_t entry = image->l1_pos;

	for (;;) {
		uint32_t mask = (UINT32_C(1) << bits) - 1u;
		int rc;

		q2_extent_clip(e, (~(uint32_t)e->off & mask) + 1u);
		rc = v1_entry(reader, e, index, &entry);
		if (rc != QCOW2_OK || entry == 0u)
			return rc;
		if (bits == image->cluster_bits)
			return v1_cluster(reader, (uint32_t)(entry >> 32), (uint32_t)entry, e);
		bits = image->cluster_bits;
		index = ((uint32_t)e->off & mask) >> bits;
	}
}

/* Checks the header, and fills *image, which is all zeros except for io and flags. */
static int v1_header(struct qcow2_image *image, const uint8_t *h, struct v1_field *f)
{
	int rc;

	f->pos = AT_V1_MAGIC;
	f->value = q2_be32(h + AT_V1_VERSION);
	if (q2_be32(h + AT_V1_MAGIC) != Q2_MAGIC)
		return QCOW2_E_NOT_QCOW2;
	f->pos = AT_V1_VERSION;
	if (f->value != 1u)
		return QCOW2_E_VERSION;
	if (image->io.size < V1_HEADER_LEN)
		return QCOW2_E_TRUNCATED;
	image->version = 1;
	image->header_len = V1_HEADER_LEN;
	image->layer_extent = v1_extent;
	rc = v1_shape(image, h, f);
	return rc == QCOW2_OK ? v1_places(image, h, f) : rc;
}

static int v1_header_read(struct qcow2_image *image, q2_cursor *at)
{
	uint8_t h[V1_HEADER_LEN];
	struct v1_field f;
	int rc;

	at->pos = 0;
	rc = q2_io_read(at, h, sizeof h);
	if (rc != QCOW2_OK)
		return rc;
	rc = v1_header(image, h, &f);
	at->pos = f.pos;
	at->detail = f.value;
	return rc;
}

int qcow2_image_open_v1(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                        struct qcow2_error *err)
{
	return q2_image_open(image, io, flags, err, v1_header_read);
}
