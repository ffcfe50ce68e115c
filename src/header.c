/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads the fixed header, qcow2.txt "Header"; image.c and feature.c call this. The fields are
 * checked in the order in which QEMU checks them: if several are wrong, both report the same one.
 */
#include "internal.h"

/* Byte positions of the fields. Each is a multiple of 4, so a field is one word or two. */
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
	HEADER_WORDS = 27 /* the words up to the one with the compression type */
};

/* Features that the core reads, or that do not matter to a reader: dirty and corrupt. */
#define KNOWN_INCOMPATIBLE                                                                         \
	(QCOW2_INCOMPATIBLE_DIRTY | QCOW2_INCOMPATIBLE_CORRUPT | QCOW2_INCOMPATIBLE_DATA_FILE |    \
	 QCOW2_INCOMPATIBLE_COMPRESSION | QCOW2_INCOMPATIBLE_EXTENDED_L2)

/* The header as 32-bit numbers, in the byte order of the processor. */
struct header {
	uint32_t words[HEADER_WORDS];
};

/* The field that was read last. If a check fails, this is the field at fault. */
struct field {
	uint32_t pos;
	uint64_t value;
};

static uint32_t field32(const struct header *h, struct field *f, uint32_t pos)
{
	f->pos = pos;
	f->value = h->words[pos / 4u];
	return h->words[pos / 4u];
}

static uint64_t field64(const struct header *h, struct field *f, uint32_t pos)
{
	f->pos = pos;
	f->value = ((uint64_t)h->words[pos / 4u] << 32) + h->words[pos / 4u + 1u];
	return f->value;
}

/*
 * Which format is it? The older format qcow, version 1, has the same magic number but other fields
 * after the version, so the version is checked first.
 *
 * A version 2 header has 72 bytes. The fields that version 3 added get their default values here
 * (qcow2.txt: refcounts of 16 bits, everything else 0), so the rest of this file treats both
 * versions alike.
 */
static int read_version(struct header *h, struct qcow2_image *image, struct field *f)
{
	uint32_t version;

	if (field32(h, f, AT_MAGIC) != Q2_MAGIC)
		return QCOW2_E_NOT_QCOW2;
	version = field32(h, f, AT_VERSION);
	if (version != 2u && version != 3u)
		return QCOW2_E_VERSION;
	image->version = (uint8_t)version;
	image->header_len = Q2_HEADER_V3_LEN; /* at least; read_shape sets the exact length */
	if (version == 2u) {
		image->header_len = Q2_HEADER_V2_LEN;
		memset(h->words + Q2_HEADER_V2_LEN / 4, 0, sizeof h->words - Q2_HEADER_V2_LEN);
		h->words[AT_REFCOUNT_ORDER / 4] = 4;
		h->words[AT_HEADER_LEN / 4] = Q2_HEADER_V2_LEN;
	}
	/* The header must be complete, even with QCOW2_OPEN_TRUNCATED. */
	return image->io.size < image->header_len ? QCOW2_E_TRUNCATED : QCOW2_OK;
}

/* Cluster size, length of the header, feature bits, position of the backing file's name. */
static int read_shape(const struct header *h, struct qcow2_image *image, struct field *f)
{
	uint32_t cluster_bits = field32(h, f, AT_CLUSTER_BITS);

	if (cluster_bits - Q2_CLUSTER_BITS_MIN > Q2_CLUSTER_BITS_MAX - Q2_CLUSTER_BITS_MIN)
		return QCOW2_E_CLUSTER_BITS;
	image->cluster_bits = (uint8_t)cluster_bits;
	image->cluster_len = UINT32_C(1) << cluster_bits;
	if (field32(h, f, AT_HEADER_LEN) < image->header_len || f->value > image->cluster_len)
		return QCOW2_E_HEADER;
	image->header_len = (uint32_t)f->value;
	if (image->header_len > AT_COMPRESSION_TYPE)
		image->compression_type = (uint8_t)(h->words[AT_COMPRESSION_TYPE / 4] >> 24);
	image->compatible = field64(h, f, AT_COMPATIBLE);
	image->autoclear = field64(h, f, AT_AUTOCLEAR);
	image->incompatible = field64(h, f, AT_INCOMPATIBLE);
	image->backing_name.pos = (uint32_t)field64(h, f, AT_BACKING_POS);
	return f->value > image->cluster_len ? QCOW2_E_HEADER : QCOW2_OK;
}

/*
 * Compression type, features, extended L2 entries. "compression_type": its feature bit is set
 * exactly if the type is not the default.
 */
static int check_features(const struct header *h, struct qcow2_image *image, struct field *f)
{
	bool marked = (image->incompatible & QCOW2_INCOMPATIBLE_COMPRESSION) != 0u;

	f->pos = AT_COMPRESSION_TYPE;
	f->value = image->compression_type;
	if (image->compression_type > QCOW2_COMPRESSION_ZSTD)
		return QCOW2_E_COMPRESSION;
	if (marked != (image->compression_type != QCOW2_COMPRESSION_DEFLATE))
		return QCOW2_E_HEADER;
	f->pos = AT_AUTOCLEAR;
	/* The bit says that the data file is a raw disk, so the image must have a data file. */
	if (!q2_has_external_data(image) &&
	    (image->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) != 0u)
		return QCOW2_E_HEADER;
	f->pos = AT_INCOMPATIBLE;
	f->value = image->incompatible & ~KNOWN_INCOMPATIBLE;
	if (f->value != 0u)
		return QCOW2_E_FEATURE;
	/* "Extended L2 Entries": 32 subclusters of at least 512 bytes make 16 KiB. */
	image->l2_entry_bits = 3;
	if (q2_has_extended_l2(image)) {
		if (field32(h, f, AT_CLUSTER_BITS) < 14u)
			return QCOW2_E_CLUSTER_BITS;
		image->l2_entry_bits = 4;
	}
	image->l1_entry_bits = (uint8_t)(2u * image->cluster_bits - image->l2_entry_bits);
	return QCOW2_OK;
}

/* The position and length of the refcount table are not checked: reading needs no refcounts. */
static int read_refcounts_and_encryption(const struct header *h, struct qcow2_image *image,
                                         struct field *f)
{
	uint32_t method;

	if (field32(h, f, AT_REFCOUNT_ORDER) > 6u)
		return QCOW2_E_HEADER;
	image->refcount_order = (uint8_t)f->value;
	image->refcount_table_pos = field64(h, f, AT_REFCOUNT_TABLE_POS);
	image->refcount_table_clusters = field32(h, f, AT_REFCOUNT_TABLE_CLUSTERS);
	method = field32(h, f, AT_CRYPT_METHOD);
	if (method > QCOW2_CRYPT_LUKS ||
	    (method != 0u && (image->flags & QCOW2_OPEN_INSPECT) == 0u))
		return QCOW2_E_ENCRYPTED;
	image->crypt_method = (uint8_t)method;
	return QCOW2_OK;
}

/* The position of the table is checked even if the image has no snapshots, as in QEMU. */
static int read_snapshot_table(const struct header *h, struct qcow2_image *image, struct field *f)
{
	image->n_snapshots = field32(h, f, AT_N_SNAPSHOTS);
	if (image->n_snapshots > Q2_SNAPSHOTS_MAX)
		return QCOW2_E_TOO_BIG;
	image->snapshots_pos = field64(h, f, AT_SNAPSHOTS_POS);
	if (image->snapshots_pos > INT64_MAX ||
	    ((uint32_t)image->snapshots_pos & (image->cluster_len - 1u)) != 0u)
		return QCOW2_E_HEADER;
	return QCOW2_OK;
}

/*
 * The L1 table must map the whole disk: if it is too short, that is damage and not zeros. QEMU
 * counts L1 entries in an int.
 */
static int read_disk(const struct header *h, struct qcow2_image *image, struct field *f)
{
	uint64_t last;
	int rc;

	image->l1_entries = field32(h, f, AT_L1_ENTRIES);
	if (image->l1_entries > Q2_L1_ENTRIES_MAX)
		return QCOW2_E_TOO_BIG;
	image->l1_pos = field64(h, f, AT_L1_POS);
	rc = q2_table_check(image, Q2_L1_ENTRY_LEN * image->l1_entries, image->l1_pos);
	if (rc != QCOW2_OK)
		return rc;
	image->size = field64(h, f, AT_SIZE);
	if (image->size == 0u)
		return QCOW2_OK;
	last = q2_shr64(image->size - 1u, image->l1_entry_bits);
	if (image->size > INT64_MAX || last >= INT32_MAX)
		return QCOW2_E_TOO_BIG;
	if (field32(h, f, AT_L1_ENTRIES) <= last)
		return QCOW2_E_L1;
	return QCOW2_OK;
}

/* The name of the backing file, which is in the first cluster. Position 0 means no name. */
static int read_name(const struct header *h, struct qcow2_image *image, struct field *f)
{
	struct qcow2_span *name = &image->backing_name;
	uint32_t len = field32(h, f, AT_BACKING_LEN);

	if (name->pos == 0u || len == 0u)
		return QCOW2_OK;
	if (len > QCOW2_NAME_MAX || len > image->cluster_len - name->pos)
		return QCOW2_E_HEADER;
	name->len = len;
	return q2_is_inside(image, len, name->pos) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

/* Runs the checks in QEMU's order, and returns the status of the first one that fails. */
static int header_check(struct header *h, struct qcow2_image *image, struct field *f)
{
	int rc;

	if ((rc = read_version(h, image, f)) != QCOW2_OK ||
	    (rc = read_shape(h, image, f)) != QCOW2_OK ||
	    (rc = check_features(h, image, f)) != QCOW2_OK ||
	    (rc = read_refcounts_and_encryption(h, image, f)) != QCOW2_OK ||
	    (rc = read_snapshot_table(h, image, f)) != QCOW2_OK ||
	    (rc = read_disk(h, image, f)) != QCOW2_OK)
		return rc;
	return read_name(h, image, f);
}

int q2_header_read(struct qcow2_image *image, q2_cursor *at)
{
	struct header h;
	struct field f;
	uint8_t *bytes = (uint8_t *)h.words;
	int i;
	int rc;

	at->pos = 0;
	rc = q2_io_read(at, bytes, sizeof h.words);
	if (rc != QCOW2_OK)
		return rc;
	for (i = 0; i < HEADER_WORDS; i++)
		h.words[i] = q2_be32(bytes + 4 * i);
	rc = header_check(&h, image, &f);
	at->pos = f.pos;
	at->detail = f.value;
	return rc;
}
