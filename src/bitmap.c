/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
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

/* Decodes the extension: how many bitmaps there are, and where their directory begins and ends. */
static int directory_decode(const struct qcow2_image *image, const uint8_t *raw,
                            struct qcow2_bitmap *bitmap)
{
	uint32_t len = q2_be32(raw + AT_DIRECTORY_LEN + 4); /* the low half */

	bitmap->n_bitmaps = q2_be32(raw + AT_N_BITMAPS);
	bitmap->next_pos = q2_be64(raw + AT_DIRECTORY_POS);
	bitmap->left = len;
	if (image->bitmaps.len != EXTENSION_LEN || bitmap->n_bitmaps > BITMAPS_MAX ||
	    q2_be32(raw + AT_DIRECTORY_LEN) != 0u || len > bitmap->n_bitmaps * BITMAP_LEN_MAX)
		return QCOW2_E_BITMAP;
	return len > q2_left(image->io.size, bitmap->next_pos) ? QCOW2_E_TRUNCATED : QCOW2_OK;
}

/* Decodes the entry at bitmap->next_pos; entries are padded to a multiple of 8 bytes. */
static int bitmap_decode(const struct qcow2_image *image, const uint8_t *raw,
                         struct qcow2_bitmap *bitmap)
{
	uint64_t pos = bitmap->next_pos;
	uint32_t left = bitmap->left - BITMAP_FIXED_LEN;
	uint32_t len = q2_be16(raw + AT_BITMAP_NAME_LEN);
	uint32_t extra_len = q2_be32(raw + AT_EXTRA_LEN);

	bitmap->pos = pos;
	bitmap->table_pos = q2_be64(raw + AT_TABLE_POS);
	bitmap->table_entries = q2_be32(raw + AT_TABLE_ENTRIES);
	/* "Autoclear": a writer that does not know bitmaps clears the bit. */
	bitmap->flags = q2_be32(raw + AT_BITMAP_FLAGS) |
	                (~(uint32_t)image->autoclear & QCOW2_BITMAP_IN_USE);
	bitmap->type = raw[AT_BITMAP_TYPE];
	bitmap->granularity_bits = raw[AT_GRANULARITY_BITS];
	bitmap->name_len = (uint16_t)len;
	bitmap->extra_len = extra_len;
	if (len > left || extra_len > left - len || bitmap->granularity_bits > GRANULARITY_BITS_MAX)
		return QCOW2_E_BITMAP;
	pos += BITMAP_FIXED_LEN;
	bitmap->name_pos = pos + extra_len;
	len = (len + extra_len + 7u) & ~UINT32_C(7);
	/* The last entry may end without its padding. */
	if (len > left)
		len = left;
	bitmap->next_pos = pos + len;
	bitmap->left = left - len;
	return QCOW2_OK;
}

/* Both are read by the same lines. */
Q2_STATIC_ASSERT(extension_is_like_entry, EXTENSION_LEN == BITMAP_FIXED_LEN);

/*
 * Reads entry number `index` of the directory, which is at bitmap->next_pos. If `first`, that is
 * the position of the extension, which is read before and says where the directory is.
 */
static int bitmap_read(const struct qcow2_image *image, struct qcow2_bitmap *bitmap, uint32_t index,
                       bool first, q2_cursor *at)
{
	uint8_t raw[BITMAP_FIXED_LEN];

	for (; index < bitmap->n_bitmaps; first = false) {
		int rc;

		at->pos = bitmap->next_pos;
		if (bitmap->left < BITMAP_FIXED_LEN)
			return QCOW2_E_BITMAP;
		/* Even with QCOW2_OPEN_TRUNCATED: zeros would be bitmaps that never existed. */
		if (BITMAP_FIXED_LEN > q2_left(image->io.size, at->pos))
			return QCOW2_E_TRUNCATED;
		rc = q2_io_read(at, raw, BITMAP_FIXED_LEN);
		if (rc == QCOW2_OK)
			rc = first ? directory_decode(image, raw, bitmap)
			           : bitmap_decode(image, raw, bitmap);
		if (rc != QCOW2_OK || !first)
			return rc;
	}
	return QCOW2_E_NOT_FOUND;
}

int qcow2_bitmap_next(const struct qcow2_image *image, const struct qcow2_bitmap *previous,
                      struct qcow2_bitmap *bitmap, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	uint32_t index = 0;
	int rc;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_open(image) || bitmap == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	if (previous != NULL) {
		index = previous->index + 1u;
		bitmap->n_bitmaps = previous->n_bitmaps;
		bitmap->next_pos = previous->next_pos;
		bitmap->left = previous->left;
	} else { /* the extension; its length is 0 if the image has none */
		bitmap->n_bitmaps = image->bitmaps.len;
		bitmap->next_pos = image->bitmaps.pos;
		bitmap->left = image->bitmaps.len;
	}
	err->io = &image->io;
	rc = bitmap_read(image, bitmap, index, previous == NULL, err);
	if (rc == QCOW2_E_NOT_FOUND) {
		err->io = NULL; /* the end of the list is no place in the file */
		return q2_note(err, QCOW2_E_NOT_FOUND);
	}
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

int q2_bitmap_check(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap,
                    bool must_fit)
{
	unsigned bits; /* log2 of the bytes of the disk that an entry of the table stands for */
	uint64_t last;

	if (bitmap->type != DIRTY_TRACKING || bitmap->granularity_bits < USABLE_BITS_MIN ||
	    bitmap->granularity_bits > USABLE_BITS_MAX || bitmap->extra_len != 0u ||
	    bitmap->flags > USABLE_FLAGS)
		return QCOW2_E_BITMAP;
	bits = bitmap->granularity_bits + image->cluster_bits + 3u;
	last = q2_shr64(image->size - 1u, bits);
	if (must_fit && (last >= BITMAP_TABLE_MAX || (uint32_t)last + 1u != bitmap->table_entries))
		return QCOW2_E_BITMAP;
	return QCOW2_OK;
}

/*
 * Finds byte number `at` of a table or a cluster of bits, len bytes at pos, and what follows it in
 * its slice. "Bitmap table": bits 0-8 and 56-63 of a position are 0. What is past the end of the
 * file is never zeros, even with QCOW2_OPEN_TRUNCATED: that would mean that nothing has changed.
 */
static int bits_fetch(struct qcow2_reader *reader, const struct qcow2_extent *e, uint64_t pos,
                      uint32_t at, uint32_t len, const uint8_t **raw)
{
	const struct qcow2_image *image = reader->image;

	if (pos == 0u || pos >> 56 != 0u || ((uint32_t)pos & (image->cluster_len - 1u)) != 0u)
		return QCOW2_E_BITMAP;
	if (len > q2_left(image->io.size, pos))
		return QCOW2_E_TRUNCATED;
	/* pos begins a cluster, so it begins a slice as well. Written out, the proof sees it. */
	*raw = q2_table_entry(reader, e, pos / Q2_SLICE_LEN * Q2_SLICE_LEN + at);
	return *raw != NULL ? QCOW2_OK : QCOW2_E_IO;
}

/* Returns the number of the first bit of a slice, from bit n on, that is not `kind`. */
static uint32_t bits_end(const uint8_t *slice, uint32_t n, uint32_t kind)
{
	for (; n < 8u * Q2_SLICE_LEN; n++) {
		uint32_t others = slice[n / 8u] ^ 255u * kind;

		if (others == 0u)
			n |= 7u; /* the last one of this byte */
		else if ((others >> n % 8u & 1u) != 0u)
			break;
	}
	return n;
}

/*
 * Sets the kind of *e to the bit for e->off, and ends *e where the next bit differs, with the slice
 * or with the table entry. Fails as qcow2_bitmap_extent does.
 */
static int bits_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                       const struct qcow2_bitmap *bitmap, struct qcow2_extent *e)
{
	uint64_t number = q2_shr64(e->off, bitmap->granularity_bits);
	uint32_t in_entry = 8u * image->cluster_len, in_slice = 8u * Q2_SLICE_LEN; /* bits */
	uint32_t bit = (uint32_t)number & (in_entry - 1u);
	uint32_t at = 8u * (uint32_t)q2_shr64(number, image->cluster_bits + 3u);
	uint32_t len = 8u * bitmap->table_entries;
	uint64_t pos = bitmap->table_pos;
	unsigned up = 32u - bitmap->granularity_bits;
	uint32_t n = 0; /* bits of this kind */
	const uint8_t *raw;

	for (;;) {
		int rc = bits_fetch(reader, e, pos, at, len, &raw);

		if (rc != QCOW2_OK)
			return rc;
		if (n != 0u) { /* the second turn: these are bits */
			e->kind = (uint32_t)raw[bit / 8u] >> bit % 8u & 1u;
			n = bits_end(raw, bit, e->kind) - bit;
			break;
		}
		pos = q2_be64(raw);
		e->kind = (uint32_t)pos;
		n = in_entry - bit;
		if (pos <= 1u) /* all bits are this one, and have no cluster */
			break;
		at = bit / in_slice * Q2_SLICE_LEN;
		bit %= in_slice;
		len = image->cluster_len;
	}
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
	rc = q2_bitmap_check(image, bitmap, true);
	if (rc == QCOW2_OK && (bitmap->flags & ~flags & QCOW2_BITMAP_IN_USE) != 0u)
		rc = QCOW2_E_INCONSISTENT;
	if (rc == QCOW2_OK)
		rc = bits_extent(reader, image, bitmap, extent);
	return q2_note(&reader->error, rc);
}
