/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Lists the persistent bitmaps.
 */
#include "posix.h"

#include <stdlib.h>

#include "bitmaps.h"
#include "cancel.h"
#include "failure.h"
#include "handle.h"
#include "open/cut.h"
#include "qcow2/bitmap.h"

/* Notes that the bitmap directory is past the end of the file; its extension says where it is. */
static void directory_cut(const struct qcow2_image *image)
{
	enum { AT_LEN = 8, AT_POS = 16, EXTENSION_BYTES = 24 };
	struct qcow2_span span = { image->bitmaps.pos, EXTENSION_BYTES };
	unsigned char extension[EXTENSION_BYTES] = { 0 };
	uint64_t len = 0, pos = 0;
	unsigned i;

	(void)qcow2_image_bytes(image, span, extension, NULL);
	for (i = 0; i < 8u; i++) {
		len = len << 8 | extension[AT_LEN + i];
		pos = pos << 8 | extension[AT_POS + i];
	}
	qp_fail_cut(image, "the bitmap directory", pos, len, false);
}

void qp_bitmaps_failed(const struct qcow2_image *image, int rc, const struct qcow2_error *err)
{
	if (rc == QCOW2_E_TRUNCATED)
		directory_cut(image);
	else
		qp_fail_core(rc, err);
}

/* Counts the bitmaps, and the bytes of their names with the terminators. */
static bool bitmaps_measure(const struct qcow2_image *image, size_t *n, size_t *bytes)
{
	const struct qcow2_bitmap *previous = NULL;
	struct qcow2_bitmap bitmap;
	struct qcow2_error err;
	int rc;

	*n = 0;
	*bytes = 0;
	/* The core accepts a directory of at most 65535 entries in 64 MiB, so no sum wraps. */
	while ((rc = qcow2_bitmap_next(image, previous, &bitmap, &err)) == QCOW2_OK) {
		*n += 1u;
		*bytes += bitmap.name_len + 1u;
		previous = &bitmap;
	}
	if (rc != QCOW2_E_NOT_FOUND)
		qp_bitmaps_failed(image, rc, &err);
	return rc == QCOW2_E_NOT_FOUND;
}

static void bitmap_fill(struct qcow2_bitmap_entry *entry, const struct qcow2_bitmap *bitmap,
                        const char *name)
{
	entry->name = name;
	entry->name_len = bitmap->name_len;
	entry->granularity = UINT64_C(1) << bitmap->granularity_bits;
	entry->flags = 0;
	if ((bitmap->flags & QCOW2_BITMAP_IN_USE) != 0u)
		entry->flags |= QCOW2_BITMAP_ENTRY_IN_USE;
	if ((bitmap->flags & QCOW2_BITMAP_AUTO) != 0u)
		entry->flags |= QCOW2_BITMAP_ENTRY_AUTO;
	entry->table_offset = bitmap->table_pos;
	entry->table_entries = bitmap->table_entries;
}

/* Fills n entries, and puts their names at `text`, which ends at `end`. */
static bool bitmaps_fill(const struct qcow2_image *image, struct qcow2_bitmap_entry *entry,
                         size_t n, char *text, const char *end)
{
	const struct qcow2_bitmap *previous = NULL;
	struct qcow2_bitmap bitmap;
	struct qcow2_error err = { 0 };
	int rc = QCOW2_OK;

	for (; n > 0u && rc == QCOW2_OK; n--, entry++) {
		rc = qcow2_bitmap_next(image, previous, &bitmap, &err);
		/* The file may have changed since bitmaps_measure. */
		if (rc == QCOW2_OK && (size_t)(end - text) < bitmap.name_len + 1u)
			rc = QCOW2_E_BITMAP;
		if (rc == QCOW2_OK)
			rc = qcow2_bitmap_name(image, &bitmap, text, &err);
		if (rc != QCOW2_OK)
			break;
		bitmap_fill(entry, &bitmap, text);
		text += bitmap.name_len;
		*text++ = '\0';
		previous = &bitmap;
	}
	if (rc != QCOW2_OK)
		qp_bitmaps_failed(image, rc, &err);
	return rc == QCOW2_OK;
}

static int bitmaps_list(struct qcow2 *q, struct qcow2_bitmap_entry **list)
{
	const struct qcow2_image *image = &q->top->image;
	struct qcow2_bitmap_entry *entries;
	size_t n, bytes;
	char *text;

	if (!bitmaps_measure(image, &n, &bytes))
		return qp_failed();
	entries = malloc(n * sizeof *entries + bytes + 1u); /* for 0 bytes it may return NULL */
	if (entries == NULL) {
		qp_fail_memory();
		return qp_failed();
	}
	text = (char *)(entries + n);
	if (!bitmaps_fill(image, entries, n, text, text + bytes)) {
		free(entries);
		return qp_failed();
	}
	*list = entries;
	return (int)n;
}

int qcow2_list_bitmaps(struct qcow2 *q, struct qcow2_bitmap_entry **list)
{
	int cancel_state = qp_cancel_hold();
	int rc = bitmaps_list(q, list);

	qp_cancel_restore(cancel_state);
	return rc;
}
