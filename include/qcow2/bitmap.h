/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Persistent dirty bitmaps: lists those that an image has, and finds which parts of the disk they
 * mark as dirty. qcow2.txt "Bitmaps".
 *
 *	rc = qcow2_bitmap_next(&image, NULL, &bitmap, &err);
 *	extent.off = 0;
 *	rc = qcow2_bitmap_extent(&reader, &bitmap, 0, &extent);     // extent.kind, extent.len
 *
 * Reading a disk needs no bitmaps, and an image with a damaged bitmap directory still opens.
 *
 * A bitmap is dirty wherever something has been written since the bitmap was made. It belongs to
 * its image: it has no marks for what was written to other images of the chain.
 */
#ifndef QCOW2_BITMAP_H
#define QCOW2_BITMAP_H

#include "qcow2/reader.h"

#ifdef __cplusplus
extern "C" {
#endif

/* qcow2.txt "Bitmap directory": bits of `flags`. */
enum {
	/*
	 * The bitmap may lack changes, because a writer did not close the image. qcow2_bitmap_next
	 * also sets this if a writer that does not know bitmaps has changed the image: such a
	 * writer clears QCOW2_AUTOCLEAR_BITMAPS.
	 */
	QCOW2_BITMAP_IN_USE = 1,
	QCOW2_BITMAP_AUTO = 2 /* QEMU records writes in it whenever it opens the image */
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

	uint64_t pos;       /* of this entry, in the image file */
	uint32_t extra_len; /* bytes of extra data, which is before the name */
};

/*
 * Gets the first bitmap (previous is NULL), or the one after *previous, into *bitmap, which may be
 * the same object. Call qcow2_image_extensions before the first call: it finds the directory. On
 * failure *bitmap is unspecified, but if it is the same object as *previous, the call may be
 * repeated.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image or bitmap is NULL, or the image is closed
 *	QCOW2_E_NOT_FOUND  there is no further bitmap
 *	QCOW2_E_BITMAP     the directory or an entry cannot be right; err->pos is where
 *	QCOW2_E_TRUNCATED  the extension or the directory is not wholly inside the file, whatever
 *	                   the image was opened with
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

/* extent->kind after qcow2_bitmap_extent: the bits that are 0, and those that are 1. */
enum { QCOW2_BITMAP_CLEAN = 0, QCOW2_BITMAP_DIRTY = 1 };

/*
 * Finds whether the disk is dirty at extent->off: sets extent->kind to QCOW2_BITMAP_CLEAN or
 * QCOW2_BITMAP_DIRTY, and extent->len to the number of bytes from there on that are of this kind.
 * The next extent may be of the same kind. The last one ends with the disk, whatever the bitmap has
 * after it. The other members of *extent mean nothing, also kind and len after a failure.
 *
 * The bitmap is one that qcow2_bitmap_next found in the top image of the reader, which is not a
 * snapshot: a snapshot has no bitmaps, and its disk may have another size. The union of several
 * bitmaps is dirty where one of them is.
 *
 * A bitmap that is in use may lack marks for any part of the disk. It is refused unless flags,
 * which is otherwise 0, is QCOW2_BITMAP_IN_USE.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT      an argument is NULL, or the reader did not start
 *	QCOW2_E_RANGE         extent->off is at or past the end of the disk
 *	QCOW2_E_INCONSISTENT  the bitmap is in use, and flags does not allow that
 *	QCOW2_E_BITMAP        the entry of the directory or of the bitmap table at
 *	                      reader->error.pos is invalid; the number of table entries must fit
 *	                      the size of the disk
 *	QCOW2_E_TRUNCATED     the table, or a cluster of bits, is not wholly inside the file,
 *	                      whatever the image was opened with: zeros would mean that nothing
 *	                      has changed
 *	QCOW2_E_IO            the io callback failed
 * reader->error has the details, unless reader is NULL.
 *
 * Cost: at most 2 io calls of 512 bytes, and at most 1 where an entry of the bitmap table says that
 * all its bits are equal. Calls in the order of the disk, with two slices or more, make one for
 * each 4096 bits, and one for each 64 entries of the table. As slices of bits replace that of the
 * table, it is read again: at most once for every two times 4096 bits, and more rarely with more
 * slices.
 */
int qcow2_bitmap_extent(struct qcow2_reader *reader, const struct qcow2_bitmap *bitmap,
                        unsigned flags, struct qcow2_extent *extent);

#ifdef __cplusplus
}
#endif
#endif
