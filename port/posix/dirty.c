/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds persistent bitmaps by their names, and which parts of the disk they mark as dirty.
 */
#include "posix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bitmaps.h"
#include "cancel.h"
#include "failure.h"
#include "handle.h"
#include "printable.h"
#include "qcow2/bitmap.h"

enum {
	/* log2 of the bits of each bitmap that one call of qcow2_map_bitmaps examines. */
	DIRTY_BITS = 20,
	BITMAP_NAME_MAX = UINT16_MAX
};

struct dirty_bitmap {
	struct qcow2_bitmap bitmap;
	const char *name; /* in the block of the set */
};

/* The names follow the bitmaps, in one block of memory. */
struct qcow2_bitmap_set {
	unsigned flags;       /* for qcow2_bitmap_extent */
	unsigned finest_bits; /* log2 of the smallest granularity */
	size_t n;
	struct dirty_bitmap bitmaps[];
};

/* Why a bitmap cannot be used. NULL: for a reason that is not about the bitmap. */
static const char *bitmap_reason(int rc)
{
	switch (rc) {
	case QCOW2_E_INCONSISTENT: return "it is in use, so it may lack changes";
	case QCOW2_E_BITMAP: return "its entry or its table is invalid";
	case QCOW2_E_TRUNCATED: return "the file ends before its bits do";
	default: return NULL;
	}
}

/* Notes that a bitmap cannot be used. */
static void bitmap_failed(const char *name, int rc, const struct qcow2_error *err)
{
	char shown[QP_PRINTABLE], what[QP_PRINTABLE + 64];
	const char *why = bitmap_reason(rc);

	if (why == NULL) {
		qp_fail_core(rc, err);
		return;
	}
	snprintf(what, sizeof what, "bitmap '%s': %s", qp_printable(shown, name, strlen(name)),
	         why);
	qp_fail_core_what(rc, err, what);
}

static void bitmap_missing(const char *name)
{
	char shown[QP_PRINTABLE];

	qp_fail(ENOENT, QCOW2_E_NOT_FOUND, "the image has no such bitmap",
	        "the image has no bitmap '%s'", qp_printable(shown, name, strlen(name)));
}

/* Is this the name of the bitmap? `text` has room for the longest one. */
static int bitmap_is_named(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap,
                           const char *name, char *text, struct qcow2_error *err)
{
	int rc;

	if (bitmap->name_len != strlen(name))
		return 0;
	rc = qcow2_bitmap_name(image, bitmap, text, err);
	if (rc != QCOW2_OK)
		return rc;
	return memcmp(text, name, bitmap->name_len) == 0;
}

/* Finds the bitmap with this name. */
static bool bitmap_find(const struct qcow2_image *image, const char *name, char *text,
                        struct qcow2_bitmap *bitmap)
{
	const struct qcow2_bitmap *previous = NULL;
	struct qcow2_error err = { 0 };
	int rc, found = 0;

	while ((rc = qcow2_bitmap_next(image, previous, bitmap, &err)) == QCOW2_OK) {
		found = bitmap_is_named(image, bitmap, name, text, &err);
		if (found != 0)
			break;
		previous = bitmap;
	}
	if (found > 0)
		return true;
	if (rc == QCOW2_E_NOT_FOUND)
		bitmap_missing(name);
	else
		qp_bitmaps_failed(image, rc != QCOW2_OK ? rc : found, &err);
	return false;
}

/* Finds a bitmap for the set, which may be used as it is. */
static bool set_add(struct qcow2_bitmap_set *set, const struct qcow2_image *image, const char *name,
                    char *text)
{
	struct dirty_bitmap *to = &set->bitmaps[set->n];
	struct qcow2_error err = { .status = QCOW2_E_INCONSISTENT, .io = &image->io };

	if (!bitmap_find(image, name, text, &to->bitmap))
		return false;
	if ((to->bitmap.flags & ~set->flags & QCOW2_BITMAP_IN_USE) != 0u) {
		err.pos = to->bitmap.pos;
		bitmap_failed(name, QCOW2_E_INCONSISTENT, &err);
		return false;
	}
	to->name = name;
	if (to->bitmap.granularity_bits < set->finest_bits)
		set->finest_bits = to->bitmap.granularity_bits;
	set->n++;
	return true;
}

/* A set with no bitmap yet. *text is where copies of the names go, one after the other. */
static struct qcow2_bitmap_set *set_new(const char *const *names, size_t n, char **text)
{
	size_t bytes = sizeof(struct qcow2_bitmap_set), i;
	struct qcow2_bitmap_set *set;

	for (i = 0; i < n; i++)
		bytes += sizeof set->bitmaps[0] + strlen(names[i]) + 1u;
	set = malloc(bytes);
	if (set == NULL)
		return NULL;
	set->n = 0;
	set->finest_bits = 63;
	*text = (char *)(set->bitmaps + n);
	return set;
}

static struct qcow2_bitmap_set *set_find(struct qcow2 *q, const char *const *names, size_t n,
                                         unsigned flags)
{
	char *at = NULL, *text = malloc(BITMAP_NAME_MAX);
	struct qcow2_bitmap_set *set = text != NULL ? set_new(names, n, &at) : NULL;
	bool good = set != NULL;
	size_t i;

	if (!good)
		qp_fail_memory();
	for (i = 0; good && i < n; i++) {
		size_t len = strlen(names[i]) + 1u;

		set->flags = (flags & QCOW2_BITMAPS_IN_USE) != 0u ? QCOW2_BITMAP_IN_USE : 0u;
		memcpy(at, names[i], len);
		good = set_add(set, &q->top->image, at, text);
		at += len;
	}
	free(text);
	if (good)
		return set;
	free(set);
	return NULL;
}

int qcow2_find_bitmaps(struct qcow2 *q, const char *const *names, size_t n, unsigned flags,
                       struct qcow2_bitmap_set **set)
{
	int cancel_state = qp_cancel_hold();
	struct qcow2_bitmap_set *found = NULL;

	if (n == 0u)
		qp_fail_text(EINVAL, 0, "no bitmap is named");
	else if (q->image != &q->top->image)
		qp_fail_text(EINVAL, 0, "a snapshot has no bitmaps");
	else
		found = set_find(q, names, n, flags);
	if (found != NULL)
		*set = found;
	qp_cancel_restore(cancel_state);
	return found != NULL ? 0 : qp_failed();
}

/*
 * Sets *dirty to whether one of the bitmaps is dirty at off, and *len, which is the most that is
 * wanted, to how far that is certain. Sets *failed to the bitmap that fails.
 */
static int set_step(struct qcow2_reader *reader, const struct qcow2_bitmap_set *set, uint64_t off,
                    uint64_t *len, bool *dirty, const struct dirty_bitmap **failed)
{
	uint64_t most = *len;
	size_t i;

	*dirty = false;
	for (i = 0; i < set->n; i++) {
		struct qcow2_extent e = { .off = off };
		int rc = qcow2_bitmap_extent(reader, &set->bitmaps[i].bitmap, set->flags, &e);
		bool is_dirty;

		*failed = &set->bitmaps[i];
		if (rc != QCOW2_OK)
			return rc;
		if (e.len > most)
			e.len = most;
		/* Dirty as long as the longest of the dirty ones, clean as the shortest of all. */
		is_dirty = e.kind == QCOW2_BITMAP_DIRTY;
		if (is_dirty ? !*dirty || e.len > *len : !*dirty && e.len < *len)
			*len = e.len;
		*dirty |= is_dirty;
	}
	return QCOW2_OK;
}

/*
 * Joins steps of one kind. What fails after the first step ends the range: the next call meets it
 * again.
 */
static int set_range(struct qcow2_reader *reader, const struct qcow2_bitmap_set *set, uint64_t len,
                     struct qcow2_dirty_range *range, const struct dirty_bitmap **failed)
{
	bool dirty = false;
	uint64_t n = len;
	int rc = set_step(reader, set, range->start, &n, &dirty, failed);

	range->dirty = dirty;
	range->length = n;
	while (rc == QCOW2_OK && range->length < len) {
		n = len - range->length;
		if (set_step(reader, set, range->start + range->length, &n, &dirty, failed) !=
		            QCOW2_OK ||
		    dirty != (range->dirty != 0))
			break;
		range->length += n;
	}
	return rc;
}

int qcow2_map_bitmaps(struct qcow2 *q, const struct qcow2_bitmap_set *set, uint64_t offset,
                      uint64_t len, struct qcow2_dirty_range *range)
{
	uint64_t size = q->image->size, most = UINT64_C(1) << (DIRTY_BITS + set->finest_bits % 32u);
	struct qcow2_dirty_range found = { .start = offset };
	const struct dirty_bitmap *failed = NULL;
	struct qp_slot *slot;
	int rc;

	if (offset >= size || len == 0u)
		return 0;
	if (len > size - offset)
		len = size - offset;
	if (len > most)
		len = most;
	slot = qp_slot_take(&q->pool);
	if (slot == NULL)
		return qp_failed();
	rc = set_range(&slot->reader.core, set, len, &found, &failed);
	if (rc == QCOW2_E_TRUNCATED && qp_slot_grow(&q->pool, slot))
		rc = set_range(&slot->reader.core, set, len, &found, &failed);
	if (rc != QCOW2_OK)
		bitmap_failed(failed->name, rc, &slot->reader.core.error);
	qp_slot_give(&q->pool, slot);
	if (rc != QCOW2_OK)
		return qp_failed();
	*range = found;
	return 1;
}
