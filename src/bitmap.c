/* SPDX-License-Identifier: MIT */
/*
 * Walks the bitmap directory, qcow2.txt "Bitmaps extension" and "Bitmap directory", and finds runs
 * of equal bits in a bitmap, "Bitmap table" and "Bitmap data". The offset in the disk selects an
 * entry of the bitmap table, which leads to a cluster of bits or says that all its bits are equal:
 *
 *	         high bits               middle bits          low bits
 *	offset   [ index in table ...... | bit in cluster ... | below the granularity ]
 */
#include "internal.h"
#include "qcow2/bitmap.h"

/* Byte positions of the fields, and limits of QEMU. */
enum {
	/* The header extension. */
	AT_N_BITMAPS = 0,
	AT_DIRECTORY_LEN = 8,
	AT_DIRECTORY_POS = 16,
	EXTENSION_LEN = 24,
	BITMAPS_MAX = 65535,
	BITMAP_LEN_MAX = 1024, /* of an entry, on average over the directory */
	/* An entry of the directory. */
	AT_TABLE_POS = 0,
	AT_TABLE_ENTRIES = 8,
	AT_BITMAP_FLAGS = 12,
	AT_BITMAP_TYPE = 16,
	AT_GRANULARITY_BITS = 17,
	AT_BITMAP_NAME_LEN = 18,
	AT_EXTRA_LEN = 20,
	BITMAP_FIXED_LEN = 24,
	GRANULARITY_BITS_MAX = 63,
	/* Of a bitmap that can be used. */
	DIRTY_TRACKING = 1, /* the only type */
	USABLE_BITS_MIN = 9,
	USABLE_BITS_MAX = 31, /* of the granularity; both are limits of QEMU */
	USABLE_FLAGS = QCOW2_BITMAP_IN_USE | QCOW2_BITMAP_AUTO,
	BITMAP_TABLE_MAX = 0x8000000 /* entries */
};

/* Reads the extension: how many bitmaps there are, and where their directory begins and ends. */
static int directory_find(const struct qcow2_image *image, struct qcow2_bitmap *bitmap,
                          q2_cursor *at)
{
	uint8_t extension[EXTENSION_LEN];
	uint64_t len, pos;
	int rc;

	at->io = &image->io;
	at->pos = image->bitmaps.pos;
	if (image->bitmaps.len != EXTENSION_LEN)
		return QCOW2_E_BITMAP;
	if (EXTENSION_LEN > q2_left(image->io.size, at->pos))
		return QCOW2_E_TRUNCATED;
	rc = q2_io_read(at, extension, EXTENSION_LEN);
	if (rc != QCOW2_OK)
		return rc;
	bitmap->n_bitmaps = q2_be32(extension + AT_N_BITMAPS);
	len = q2_be64(extension + AT_DIRECTORY_LEN);
	pos = q2_be64(extension + AT_DIRECTORY_POS);
	if (bitmap->n_bitmaps > BITMAPS_MAX || len > bitmap->n_bitmaps * BITMAP_LEN_MAX)
		return QCOW2_E_BITMAP;
	/* Checked even with QCOW2_OPEN_TRUNCATED: zeros would be bitmaps that never existed. */
	if (len > q2_left(image->io.size, pos))
		return QCOW2_E_TRUNCATED;
	bitmap->next_pos = pos;
	bitmap->left = (uint32_t)len;
	return QCOW2_OK;
}

/* Reads the entry at bitmap->next_pos; entries are padded to a multiple of 8 bytes. */
static int bitmap_read(const struct qcow2_image *image, struct qcow2_bitmap *bitmap, q2_cursor *at)
{
	uint8_t entry[BITMAP_FIXED_LEN];
	uint32_t left = bitmap->left;
	uint32_t extra_len, len;
	int rc;

	at->io = &image->io;
	at->pos = bitmap->next_pos;
	if (left < BITMAP_FIXED_LEN)
		return QCOW2_E_BITMAP;
	/* Inside the file, as the whole directory is. */
	rc = q2_io_read(at, entry, BITMAP_FIXED_LEN);
	if (rc != QCOW2_OK)
		return rc;
	bitmap->pos = at->pos;
	bitmap->table_pos = q2_be64(entry + AT_TABLE_POS);
	bitmap->table_entries = q2_be32(entry + AT_TABLE_ENTRIES);
	bitmap->flags = q2_be32(entry + AT_BITMAP_FLAGS);
	/* "Autoclear": a writer that does not know bitmaps clears the bit. */
	bitmap->flags |= ~(uint32_t)image->autoclear & QCOW2_BITMAP_IN_USE;
	bitmap->type = entry[AT_BITMAP_TYPE];
	bitmap->granularity_bits = entry[AT_GRANULARITY_BITS];
	bitmap->name_len = (uint16_t)q2_be16(entry + AT_BITMAP_NAME_LEN);
	extra_len = q2_be32(entry + AT_EXTRA_LEN);
	len = BITMAP_FIXED_LEN + bitmap->name_len;
	if (len > left || extra_len > left - len || bitmap->granularity_bits > GRANULARITY_BITS_MAX)
		return QCOW2_E_BITMAP;
	bitmap->extra_len = extra_len;
	bitmap->name_pos = at->pos + BITMAP_FIXED_LEN + extra_len;
	len = (len + extra_len + 7u) & ~UINT32_C(7);
	/* The last entry may end without its padding. */
	if (len > left)
		len = left;
	bitmap->next_pos += len;
	bitmap->left -= len;
	return QCOW2_OK;
}

int qcow2_bitmap_next(const struct qcow2_image *image, const struct qcow2_bitmap *previous,
                      struct qcow2_bitmap *bitmap, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	uint32_t index = 0;
	int rc = QCOW2_OK;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_open(image) || bitmap == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	if (previous != NULL) {
		index = previous->index + 1u;
		bitmap->n_bitmaps = previous->n_bitmaps;
		bitmap->next_pos = previous->next_pos;
		bitmap->left = previous->left;
	} else {
		bitmap->n_bitmaps = 0;
		if (image->bitmaps.len != 0u)
			rc = directory_find(image, bitmap, err);
	}
	if (rc == QCOW2_OK && index >= bitmap->n_bitmaps) {
		err->io = NULL; /* the end of the list is no place in the file */
		rc = QCOW2_E_NOT_FOUND;
	}
	if (rc == QCOW2_OK)
		rc = bitmap_read(image, bitmap, err);
	/* Not before: the caller may repeat a call that failed. */
	if (rc == QCOW2_OK)
		bitmap->index = index;
	return q2_note(err, rc);
}

int qcow2_bitmap_name(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap, void *buf,
                      struct qcow2_error *err)
{
	if (bitmap == NULL)
		return q2_bytes(NULL, 0, 0, buf, err);
	return q2_bytes(image, bitmap->name_pos, bitmap->name_len, buf, err);
}

/* The log2 of the bytes of the disk that an entry of the bitmap table stands for: 21 to 55. */
static unsigned table_bits(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap)
{
	return bitmap->granularity_bits + image->cluster_bits + 3u;
}

int q2_bitmap_usable(const struct qcow2_bitmap *bitmap)
{
	if (bitmap->type != DIRTY_TRACKING || bitmap->granularity_bits < USABLE_BITS_MIN ||
	    bitmap->granularity_bits > USABLE_BITS_MAX || bitmap->extra_len != 0u ||
	    bitmap->flags > USABLE_FLAGS)
		return QCOW2_E_BITMAP;
	return QCOW2_OK;
}

int q2_bitmap_fits(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap)
{
	uint64_t last = q2_shr64(image->size - 1u, table_bits(image, bitmap));

	if (last >= BITMAP_TABLE_MAX || (uint32_t)last + 1u != bitmap->table_entries)
		return QCOW2_E_BITMAP;
	return QCOW2_OK;
}

/* Checks what the directory says of a bitmap whose bits are wanted. */
static int bitmap_check(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap,
                        unsigned flags)
{
	int rc = q2_bitmap_usable(bitmap);

	if (rc == QCOW2_OK)
		rc = q2_bitmap_fits(image, bitmap);
	if (rc != QCOW2_OK)
		return rc;
	return (bitmap->flags & ~flags & QCOW2_BITMAP_IN_USE) == 0u ? QCOW2_OK
	                                                            : QCOW2_E_INCONSISTENT;
}

/*
 * Returns byte number `at` of a table or a cluster of bits, len bytes at pos, and what follows it
 * in its slice. "Bitmap table": bits 0-8 and 56-63 of a position are 0. What is past the end of the
 * file is never zeros, even with QCOW2_OPEN_TRUNCATED: that would mean that nothing has changed.
 * On failure returns NULL, and reader->error.status is the status.
 */
static const uint8_t *bits_fetch(struct qcow2_reader *reader, const struct qcow2_extent *e,
                                 uint64_t pos, uint32_t at, uint32_t len)
{
	const struct qcow2_image *image = reader->image;

	reader->error.status = QCOW2_E_BITMAP;
	if (pos == 0u || pos >> 56 != 0u || ((uint32_t)pos & (image->cluster_len - 1u)) != 0u)
		return NULL;
	reader->error.status = QCOW2_E_TRUNCATED;
	if (len > q2_left(image->io.size, pos))
		return NULL;
	reader->error.status = QCOW2_E_IO;
	/* pos begins a cluster, so it begins a slice as well. Written out, the proof sees it. */
	return q2_table_entry(reader, e, pos / Q2_SLICE_LEN * Q2_SLICE_LEN + at);
}

/* Returns the number of the first bit of a slice, after bit n, that is not `kind`. */
static uint32_t bits_end(const uint8_t *slice, uint32_t n, uint32_t kind)
{
	do
		n = slice[n / 8u] == 255u * kind ? (n | 7u) + 1u : n + 1u;
	while (n < 8u * Q2_SLICE_LEN && ((uint32_t)slice[n / 8u] >> n % 8u & 1u) == kind);
	return n;
}

/*
 * Sets the kind of *e to the bit for e->off, and ends *e where the next bit differs, with the slice
 * or with the table entry. Fails as qcow2_bitmap_extent does.
 */
static int bits_extent(struct qcow2_reader *reader, const struct qcow2_bitmap *bitmap,
                       uint32_t index, struct qcow2_extent *e)
{
	uint32_t cluster = reader->image->cluster_len;
	unsigned up = 32u - bitmap->granularity_bits;
	uint32_t bit, n, kind;
	const uint8_t *raw;
	uint64_t pos;

	bit = (uint32_t)q2_shr64(e->off, bitmap->granularity_bits) & (cluster * 8u - 1u);
	raw = bits_fetch(reader, e, bitmap->table_pos, index * 8u, bitmap->table_entries * 8u);
	if (raw == NULL)
		return reader->error.status;
	pos = q2_be64(raw);
	kind = (uint32_t)pos;
	n = cluster * 8u - bit;
	if (pos > 1u) { /* otherwise all bits are this one, and have no cluster */
		raw = bits_fetch(reader, e, pos, bit / 8u / Q2_SLICE_LEN * Q2_SLICE_LEN, cluster);
		if (raw == NULL)
			return reader->error.status;
		bit %= 8u * Q2_SLICE_LEN;
		kind = (uint32_t)raw[bit / 8u] >> bit % 8u & 1u;
		n = bits_end(raw, bit, kind) - bit;
	}
	e->kind = kind;
	/* (n << bits) minus what is before off in its granule; both are shifted up by `up`. */
	q2_extent_clip(e, q2_shr64(((uint64_t)n << 32) - ((uint32_t)e->off << up), up));
	return QCOW2_OK;
}

int qcow2_bitmap_extent(struct qcow2_reader *reader, const struct qcow2_bitmap *bitmap,
                        unsigned flags, struct qcow2_extent *extent)
{
	const struct qcow2_image *image;
	int rc;

	if (reader == NULL)
		return QCOW2_E_ARGUMENT;
	image = reader->image;
	if (image == NULL || bitmap == NULL || extent == NULL)
		return q2_note(&reader->error, QCOW2_E_ARGUMENT);
	extent->len = q2_left(image->size, extent->off);
	if (extent->len == 0u)
		return q2_note(&reader->error, QCOW2_E_RANGE);
	reader->error.io = &image->io;
	reader->error.pos = bitmap->pos;
	extent->depth = 0;
	rc = bitmap_check(image, bitmap, flags);
	if (rc == QCOW2_OK)
		rc = bits_extent(reader, bitmap,
		                 (uint32_t)q2_shr64(extent->off, table_bits(image, bitmap)),
		                 extent);
	return q2_note(&reader->error, rc);
}
