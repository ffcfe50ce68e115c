/* SPDX-License-Identifier: MIT */
/*
 * The fixed header, qcow2.txt "Header". Fields are checked in the order in which the reference
 * implementation checks them, so that of several faults the same one is reported.
 */
#include "q2.h"

/* Byte positions of the fields. */
enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_BACKING_POS = 8,
	AT_BACKING_LEN = 16,
	AT_CLUSTER_BITS = 20,
	AT_SIZE = 24,
	AT_CRYPT_METHOD = 32,
	AT_L1_ENTRIES = 36,
	AT_L1_POS = 40,
	AT_REFCOUNT_TABLE_POS = 48,
	AT_REFCOUNT_TABLE_CLUSTERS = 56,
	AT_N_SNAPSHOTS = 60,
	AT_SNAPSHOTS_POS = 64,
	AT_INCOMPATIBLE = 72,
	AT_COMPATIBLE = 80,
	AT_AUTOCLEAR = 88,
	AT_REFCOUNT_ORDER = 96,
	AT_HEADER_LEN = 100,
	AT_COMPRESSION_TYPE = 104,
	HEADER_READ_LEN = 105 /* of all that is ever looked at */
};

#define HEADER_MAGIC UINT32_C(0x514649fb) /* "QFI\xfb" */

#define KNOWN_INCOMPATIBLE                                                                         \
	(QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT | QCOW2_INCOMPATIBLE_DATA_FILE |    \
	 QCOW2_INCOMPATIBLE_COMPRESSION | QCOW2_INCOMPATIBLE_EXTENDED_L2)

/* The header; *err tells the field that was looked at last, which is where a failure is. */
struct header {
	struct qcow2_image *image;
	struct qcow2_error *err;
	uint8_t bytes[HEADER_READ_LEN];
};

static uint32_t field32(struct header *h, uint32_t at)
{
	uint32_t value = q2_be32(h->bytes + at);

	h->err->pos = at;
	h->err->detail = value;
	return value;
}

static uint64_t field64(struct header *h, uint32_t at)
{
	uint64_t value = q2_be64(h->bytes + at);

	h->err->pos = at;
	h->err->detail = value;
	return value;
}

/* Which format is it? Version 1 has the same magic, so the version is looked at before the rest. */
static int read_version(struct header *h)
{
	uint32_t version;

	if (field32(h, AT_MAGIC) != HEADER_MAGIC)
		return QCOW2_E_NOT_QCOW2;
	version = field32(h, AT_VERSION);
	if (version != 2u && version != 3u)
		return QCOW2_E_VERSION;
	h->image->version = (uint8_t)version;
	/* A version 2 header may be all that there is. */
	if (h->image->io.size < (version == 2u ? Q2_HEADER_V2_LEN : Q2_HEADER_V3_LEN))
		return QCOW2_E_TRUNCATED;
	return QCOW2_OK;
}

/* What version 3 has more than version 2. */
static int read_version3(struct header *h)
{
	struct qcow2_image *image = h->image;

	image->header_len = field32(h, AT_HEADER_LEN);
	if (image->header_len < Q2_HEADER_V3_LEN || image->header_len > q2_cluster_len(image))
		return QCOW2_E_HEADER;
	image->compatible = field64(h, AT_COMPATIBLE);
	image->autoclear = field64(h, AT_AUTOCLEAR);
	image->incompatible = field64(h, AT_INCOMPATIBLE);
	if (image->header_len > AT_COMPRESSION_TYPE)
		image->compression_type = h->bytes[AT_COMPRESSION_TYPE];
	return QCOW2_OK;
}

/* Cluster size, length of the header, where the name of the backing file begins. */
static int read_shape(struct header *h)
{
	struct qcow2_image *image = h->image;
	uint32_t cluster_bits = field32(h, AT_CLUSTER_BITS);
	uint64_t backing_pos;

	if (cluster_bits < Q2_CLUSTER_BITS_MIN || cluster_bits > Q2_CLUSTER_BITS_MAX)
		return QCOW2_E_CLUSTER_BITS;
	image->cluster_bits = (uint8_t)cluster_bits;
	image->header_len = Q2_HEADER_V2_LEN;
	if (image->version >= 3u) {
		int rc = read_version3(h);

		if (rc != QCOW2_OK)
			return rc;
	}
	image->backing_name.len = field32(h, AT_BACKING_LEN); /* checked at the end of open */
	backing_pos = field64(h, AT_BACKING_POS);
	if (backing_pos > q2_cluster_len(image))
		return QCOW2_E_HEADER;
	image->backing_name.pos = (uint32_t)backing_pos;
	return QCOW2_OK;
}

/* "compression_type": the feature bit is set exactly if the type is not the default. */
static int check_features(struct header *h)
{
	const struct qcow2_image *image = h->image;
	uint64_t marked = image->incompatible & QCOW2_INCOMPATIBLE_COMPRESSION;

	h->err->pos = AT_COMPRESSION_TYPE;
	h->err->detail = image->compression_type;
	if (image->compression_type > QCOW2_COMPRESSION_ZSTD)
		return QCOW2_E_COMPRESSION;
	if ((marked != 0u) != (image->compression_type != QCOW2_COMPRESSION_DEFLATE))
		return QCOW2_E_HEADER;
	h->err->pos = AT_INCOMPATIBLE;
	h->err->detail = image->incompatible & ~KNOWN_INCOMPATIBLE;
	if (h->err->detail != 0u)
		return QCOW2_E_FEATURE;
	/* "Extended L2 Entries": subclusters of less than 512 bytes cannot be. */
	if (q2_has_extended_l2(image) && field32(h, AT_CLUSTER_BITS) < 14u)
		return QCOW2_E_CLUSTER_BITS;
	return QCOW2_OK;
}

static int read_refcounts_and_encryption(struct header *h)
{
	struct qcow2_image *image = h->image;
	uint32_t order = image->version >= 3u ? field32(h, AT_REFCOUNT_ORDER) : 4u;

	if (order > 6u)
		return QCOW2_E_HEADER;
	image->refcount_order = (uint8_t)order;
	image->refcount_table_pos = field64(h, AT_REFCOUNT_TABLE_POS);
	image->refcount_table_clusters = field32(h, AT_REFCOUNT_TABLE_CLUSTERS);
	image->crypt_method = field32(h, AT_CRYPT_METHOD);
	if (image->crypt_method > Q2_CRYPT_LUKS ||
	    (image->crypt_method != 0u && (image->flags & QCOW2_OPEN_INSPECT) == 0u))
		return QCOW2_E_ENCRYPTED;
	return QCOW2_OK;
}

/* The table position is checked even for 0 snapshots, as the reference does. */
static int read_snapshot_table(struct header *h)
{
	struct qcow2_image *image = h->image;

	image->n_snapshots = field32(h, AT_N_SNAPSHOTS);
	if (image->n_snapshots > Q2_SNAPSHOTS_MAX)
		return QCOW2_E_TOO_BIG;
	image->snapshots_pos = field64(h, AT_SNAPSHOTS_POS);
	if (!q2_is_table_pos(image, image->snapshots_pos))
		return QCOW2_E_HEADER;
	return QCOW2_OK;
}

/* The L1 table must reach to the end of the disk: what it lacks is damage, never zeros. */
static int read_disk(struct header *h)
{
	struct qcow2_image *image = h->image;
	uint64_t needed = 0;
	int rc;

	image->l1_entries = field32(h, AT_L1_ENTRIES);
	if (image->l1_entries > Q2_L1_ENTRIES_MAX)
		return QCOW2_E_TOO_BIG;
	image->l1_pos = field64(h, AT_L1_POS);
	rc = q2_l1_check(image);
	if (rc != QCOW2_OK)
		return rc;
	image->size = field64(h, AT_SIZE);
	if (image->size > INT64_MAX)
		return QCOW2_E_TOO_BIG;
	if (image->size != 0u)
		needed = q2_shr64(image->size - 1u, q2_l1_entry_bits(image)) + 1u;
	if (needed > INT32_MAX)
		return QCOW2_E_TOO_BIG;
	if (field32(h, AT_L1_ENTRIES) < needed)
		return QCOW2_E_L1;
	return QCOW2_OK;
}

int q2_header_read(struct qcow2_image *image, struct qcow2_error *err)
{
	struct header h;
	int rc = q2_io_read(&image->io, 0, h.bytes, HEADER_READ_LEN, err);

	if (rc != QCOW2_OK)
		return rc;
	h.image = image;
	h.err = err;
	if ((rc = read_version(&h)) != QCOW2_OK || (rc = read_shape(&h)) != QCOW2_OK ||
	    (rc = check_features(&h)) != QCOW2_OK ||
	    (rc = read_refcounts_and_encryption(&h)) != QCOW2_OK ||
	    (rc = read_snapshot_table(&h)) != QCOW2_OK)
		return rc;
	return read_disk(&h);
}
