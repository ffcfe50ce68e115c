/* SPDX-License-Identifier: MIT */
/*
 * Walks the bitmap directory, qcow2.txt "Bitmaps extension" and "Bitmap directory".
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
	GRANULARITY_BITS_MAX = 63
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
	rc = q2_image_read(image, image->bitmaps.pos, extension, EXTENSION_LEN, at);
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
	rc = q2_image_read(image, at->pos, entry, BITMAP_FIXED_LEN, at);
	if (rc != QCOW2_OK)
		return rc;
	bitmap->table_pos = q2_be64(entry + AT_TABLE_POS);
	bitmap->table_entries = q2_be32(entry + AT_TABLE_ENTRIES);
	bitmap->flags = q2_be32(entry + AT_BITMAP_FLAGS);
	bitmap->type = entry[AT_BITMAP_TYPE];
	bitmap->granularity_bits = entry[AT_GRANULARITY_BITS];
	bitmap->name_len = (uint16_t)q2_be16(entry + AT_BITMAP_NAME_LEN);
	extra_len = q2_be32(entry + AT_EXTRA_LEN);
	len = BITMAP_FIXED_LEN + bitmap->name_len;
	if (len > left || extra_len > left - len || bitmap->granularity_bits > GRANULARITY_BITS_MAX)
		return QCOW2_E_BITMAP;
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
	int rc = QCOW2_OK;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_open(image) || bitmap == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	if (previous != NULL) {
		bitmap->index = previous->index + 1u;
		bitmap->n_bitmaps = previous->n_bitmaps;
		bitmap->next_pos = previous->next_pos;
		bitmap->left = previous->left;
	} else {
		memset(bitmap, 0, sizeof *bitmap);
		/* "Autoclear": a writer that does not know bitmaps clears the bit. */
		if (image->bitmaps.len != 0u && (image->autoclear & QCOW2_AUTOCLEAR_BITMAPS) != 0u)
			rc = directory_find(image, bitmap, err);
	}
	if (rc == QCOW2_OK && bitmap->index >= bitmap->n_bitmaps) {
		err->io = NULL; /* the end of the list is no place in the file */
		rc = QCOW2_E_NOT_FOUND;
	}
	if (rc == QCOW2_OK)
		rc = bitmap_read(image, bitmap, err);
	return q2_note(err, rc);
}

int qcow2_bitmap_name(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap, void *buf,
                      struct qcow2_error *err)
{
	struct qcow2_error unseen;

	if (bitmap == NULL)
		return q2_note(q2_err(err, &unseen), QCOW2_E_ARGUMENT);
	return q2_bytes(image, bitmap->name_pos, bitmap->name_len, buf, err);
}
