/* SPDX-License-Identifier: MIT */
/*
 * Persistent dirty bitmaps: lists those that an image has. qcow2.txt "Bitmaps".
 *
 * Reading a disk needs no bitmaps, and an image with a damaged bitmap directory still opens.
 */
#ifndef QCOW2_BITMAP_H
#define QCOW2_BITMAP_H

#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* qcow2.txt "Bitmap directory": bits of `flags`. */
enum {
	QCOW2_BITMAP_IN_USE = 1, /* a writer did not close the image: the content may be stale */
	QCOW2_BITMAP_AUTO = 2    /* QEMU records writes in it whenever it opens the image */
};

/* One entry of the bitmap directory. */
struct qcow2_bitmap {
	uint64_t table_pos;       /* of the bitmap table, in the image file; not validated */
	uint64_t name_pos;        /* of the name, name_len bytes, in the image file */
	uint32_t table_entries;   /* not validated */
	uint32_t flags;           /* QCOW2_BITMAP_*; further bits as the image has them */
	uint16_t name_len;        /* bytes */
	uint8_t type;             /* 1: dirty tracking, the only type that is defined */
	uint8_t granularity_bits; /* a bit stands for 1 << granularity_bits bytes; 0 to 63 */

	/* For the walk over the directory: qcow2_bitmap_next sets these and goes on from them. */
	uint32_t index;     /* of this entry, from 0 */
	uint32_t n_bitmaps; /* that the directory has */
	uint64_t next_pos;  /* where the next entry begins */
	uint32_t left;      /* bytes of the directory from there on */
};

/*
 * Gets the first bitmap (previous is NULL), or the one after *previous, into *bitmap, which may be
 * the same object. Call qcow2_image_extensions before the first call: it finds the directory. If
 * the image does not set QCOW2_AUTOCLEAR_BITMAPS, its bitmaps are out of date and count as none. On
 * failure *bitmap is unspecified.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image or bitmap is NULL, or the image is closed
 *	QCOW2_E_NOT_FOUND  there is no further bitmap
 *	QCOW2_E_BITMAP     the directory or an entry cannot be right; err->pos is where
 *	QCOW2_E_TRUNCATED  the directory is not wholly inside the file, whatever the image was
 *	                   opened with
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: one io call of 24 bytes, and one more for the first bitmap.
 */
int qcow2_bitmap_next(const struct qcow2_image *image, const struct qcow2_bitmap *previous,
                      struct qcow2_bitmap *bitmap, struct qcow2_error *err);

/*
 * Copies the name of a bitmap, name_len bytes without a terminator, to buf.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   an argument other than err is NULL, or the image is closed
 *	QCOW2_E_TRUNCATED  the file ends before the name does
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: one io call, none if the name is empty.
 */
int qcow2_bitmap_name(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap, void *buf,
                      struct qcow2_error *err);

#ifdef __cplusplus
}
#endif
#endif
