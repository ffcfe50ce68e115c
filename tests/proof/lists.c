/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Snapshots, bitmaps, refcounts and feature names: any image, any arguments, any failure.
 */
#include "proof.h"
#include "../../src/internal.h"
#include "qcow2/bitmap.h"
#include "qcow2/refcount.h"
#include "qcow2/snapshot.h"

static uint64_t memory[2 * QCOW2_READER_SLICE / 8];
static struct qcow2_image image, old;
static struct qcow2_reader reader;
static struct qcow2_io file;

static void snapshots(void)
{
	static char strings[2 * 65535];
	struct qcow2_snapshot snapshot;
	struct qcow2_error err;

	if (qcow2_snapshot_next(&image, NULL, &snapshot, &err) != QCOW2_OK)
		return;
	while (Frama_C_interval(0, 1)) {
		(void)qcow2_snapshot_strings(&image, &snapshot, strings, &err);
		(void)qcow2_snapshot_image(&old, &image, &snapshot, &err);
		(void)qcow2_snapshot_state_image(&old, &image, &snapshot, &err);
		if (qcow2_snapshot_next(&image, &snapshot, &snapshot, NULL) != QCOW2_OK)
			return;
	}
}

/* Any bits of a bitmap; the reader does not start on an image that needs other files. */
static void bits(const struct qcow2_bitmap *bitmap)
{
	struct qcow2_extent extent;

	(void)qcow2_bitmap_extent(NULL, bitmap, 0, &extent);
	if (qcow2_reader_init(&reader, &image, memory, sizeof memory) != QCOW2_OK)
		return;
	(void)qcow2_bitmap_extent(&reader, NULL, 0, &extent);
	(void)qcow2_bitmap_extent(&reader, bitmap, 0, NULL);
	while (Frama_C_interval(0, 1)) {
		extent.off = any64();
		(void)qcow2_bitmap_extent(&reader, bitmap,
		                          Frama_C_unsigned_int_interval(0, UINT32_MAX), &extent);
	}
}

static void bitmaps(void)
{
	static char name[65535];
	struct qcow2_bitmap bitmap;
	struct qcow2_error err;

	if (qcow2_bitmap_next(&image, NULL, &bitmap, &err) != QCOW2_OK)
		return;
	while (Frama_C_interval(0, 1)) {
		(void)qcow2_bitmap_name(&image, &bitmap, name, &err);
		bits(&bitmap);
		if (qcow2_bitmap_next(&image, &bitmap, &bitmap, NULL) != QCOW2_OK)
			return;
	}
}

/*
 * Each width of a refcount, up to 3 of them, from each place in a byte. Open checks the width, but
 * Eva does not see that the number it checks is the one that it stores.
 */
static void refcounts(void)
{
	static uint64_t counts[3];
	struct qcow2_error err;
	uint8_t order;
	uint32_t n, k;

	for (order = 0; order <= 6u; order++) {
		image.refcount_order = order;
		for (n = 0; n <= 3u; n++) {
			for (k = 0; k < 8u; k++) {
				uint32_t got = n;

				(void)qcow2_refcounts(&image, any64() / 8u * 8u + k, &got, counts,
				                      &err);
			}
		}
	}
}

int main(void)
{
	char name[47];

	any_io(&file);
	Frama_C_make_unknown((char *)memory, sizeof memory);
	(void)qcow2_feature_name(&file, Frama_C_unsigned_int_interval(0, UINT32_MAX),
	                         Frama_C_unsigned_int_interval(0, UINT32_MAX), name);
	if (qcow2_image_open(&image, &file, Frama_C_unsigned_int_interval(0, 7), NULL) ==
	    QCOW2_OK) {
		(void)qcow2_image_extensions(&image, NULL);
		snapshots();
		bitmaps();
		refcounts();
	}
	return 0;
}
