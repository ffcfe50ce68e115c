/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Header extensions, qcow2.txt "Header extensions". They begin at the end of the header and end at
 * the name of the backing file or, if the image has no such name, at the end of the first cluster.
 * Each has a type, a length and that many bytes, padded to a multiple of 8.
 */
#include "internal.h"

enum {
	EXTENSION_HEAD_LEN = 8,  /* type and length */
	BACKING_FORMAT_MAX = 15, /* the longest name that QEMU accepts */
	CRYPTO_LEN = 16          /* "Full disk encryption header pointer": offset and length */
};

#define EXTENSION_END            UINT32_C(0x00000000)
#define EXTENSION_BACKING_FORMAT UINT32_C(0xe2792aca)
#define EXTENSION_FEATURE_NAMES  UINT32_C(0x6803f857)
#define EXTENSION_BITMAPS        UINT32_C(0x23852875)
#define EXTENSION_CRYPTO         UINT32_C(0x0537be77)
#define EXTENSION_DATA_FILE      UINT32_C(0x44415441)

/*
 * The member of *image for extensions of this type, or NULL. If the image has several of one type,
 * the last one counts, as in QEMU.
 */
static struct qcow2_span *extension_place(struct qcow2_image *image, uint32_t type)
{
	switch (type) {
	case EXTENSION_BACKING_FORMAT: return &image->backing_format;
	case EXTENSION_FEATURE_NAMES: return &image->feature_names;
	case EXTENSION_BITMAPS: return &image->bitmaps;
	case EXTENSION_CRYPTO: return &image->crypto;
	case EXTENSION_DATA_FILE: return &image->data_file_name;
	default: return NULL;
	}
}

/* Can an extension of this type have this length, and can this image have it? */
static bool extension_fits(const struct qcow2_image *image, uint32_t type, uint32_t len)
{
	if (type == EXTENSION_BACKING_FORMAT)
		return len <= BACKING_FORMAT_MAX;
	if (type == EXTENSION_CRYPTO)
		return image->crypt_method == QCOW2_CRYPT_LUKS && len == CRYPTO_LEN;
	return true;
}

int q2_extensions_read(struct qcow2_image *image, q2_cursor *at)
{
	uint32_t end = image->backing_name.pos;
	uint32_t pos = image->header_len;
	uint8_t head[EXTENSION_HEAD_LEN];

	if (end == 0u)
		end = image->cluster_len;
	while (pos < end) {
		struct qcow2_span *place;
		uint32_t type, len;
		int rc;

		at->pos = pos;
		/* This is damage wherever the file ends, so it is checked before the file's end. */
		if (end - pos < EXTENSION_HEAD_LEN)
			return QCOW2_E_EXTENSION;
		if (pos >= image->io.size)
			break;
		if (!q2_is_inside(image, EXTENSION_HEAD_LEN, pos))
			return QCOW2_E_TRUNCATED;
		rc = q2_io_read(at, head, EXTENSION_HEAD_LEN);
		if (rc != QCOW2_OK)
			return rc;
		type = q2_be32(head);
		len = q2_be32(head + 4);
		if (len > end - pos - EXTENSION_HEAD_LEN || !extension_fits(image, type, len))
			return QCOW2_E_EXTENSION;
		if (type == EXTENSION_END)
			break;
		pos += EXTENSION_HEAD_LEN;
		place = extension_place(image, type);
		if (place != NULL) {
			place->pos = pos;
			place->len = len;
		}
		/* Rounding up may give a position past the end. That ends the loop. */
		pos += (len + 7u) & ~UINT32_C(7);
	}
	/* Without the feature bit the image has no data file, so its name is out of date. */
	if (!q2_has_external_data(image))
		image->data_file_name.len = 0;
	return QCOW2_OK;
}

int qcow2_image_extensions(struct qcow2_image *image, struct qcow2_error *err)
{
	struct qcow2_error unseen;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_qcow2(image))
		return q2_note(err, QCOW2_E_ARGUMENT);
	err->io = &image->io;
	return q2_note(err, q2_extensions_read(image, err));
}
