/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The part of a check that goes through the bitmaps. Only programs that give it to the check link
 * it, and bitmap.c with it.
 */
#include "walk.h"

enum {
	BITMAP_ENTRY_ALL_ONES = 1,
	BITS_LEN_MAX = 0x20000000 /* bytes of the bits of a bitmap; a limit of QEMU */
};

/*
 * c->finding has an entry of a bitmap table. One that is 0 or 1 says that all bits are equal, and
 * any other is a position.
 */
static void bitmap_entry(struct qcow2_check *c)
{
	c->finding.value = c->finding.entry;
	if (c->finding.entry <= BITMAP_ENTRY_ALL_ONES)
		return;
	if (c->finding.entry >> 56 != 0u || !q2_check_is_aligned(c, c->finding.entry))
		q2_check_report_first(c, QCOW2_CHECK_BITMAP_ENTRY);
	else
		q2_check_refer_cluster(c);
}

static void walk_bitmap(struct qcow2_check *c)
{
	q2_check_at(c, QCOW2_OWNER_BITMAP_TABLE, c->bitmap.pos);
	c->finding.index = c->bitmap.index;
	q2_check_table(c, c->bitmap.table_entries, c->bitmap.table_pos, QCOW2_OWNER_BITMAP_DATA);
	while (q2_check_next(c, &c->table))
		bitmap_entry(c);
}

/*
 * Does QEMU open an image that has this entry in its directory? A bitmap that is in use need not
 * fit the disk, whose size may have changed.
 */
static bool directory_entry_is_valid(const struct qcow2_image *image,
                                     const struct qcow2_bitmap *bitmap)
{
	uint32_t most = (uint32_t)BITS_LEN_MAX >> image->cluster_bits;
	bool in_use = (bitmap->flags & QCOW2_BITMAP_IN_USE) != 0u;

	return q2_bitmap_check(image, bitmap, !in_use) == QCOW2_OK &&
	       bitmap->name_len - 1u < QCOW2_NAME_MAX && bitmap->table_pos != 0u &&
	       ((uint32_t)bitmap->table_pos & (image->cluster_len - 1u)) == 0u &&
	       bitmap->table_entries - 1u < most;
}

/*
 * Goes through the bitmaps whose directory is at pos, up to the first that is invalid. Returns
 * whether there is any, none is invalid, and nothing follows the last one.
 */
static bool walk_directory(struct qcow2_check *c, uint64_t pos)
{
	const struct qcow2_bitmap *previous = NULL;

	if (!q2_check_is_aligned(c, pos))
		return false;
	while (q2_check_spend(c, 2)) {
		int rc = qcow2_bitmap_next(&c->image, previous, &c->bitmap, c->error);

		q2_check_at(c, QCOW2_OWNER_BITMAP_DIRECTORY, pos);
		if (rc == QCOW2_E_NOT_FOUND)
			return previous != NULL && previous->left == 0u;
		if (rc == QCOW2_E_IO)
			c->ended = rc;
		if (rc != QCOW2_OK || !directory_entry_is_valid(&c->image, &c->bitmap))
			return false;
		walk_bitmap(c);
		pos = c->bitmap.next_pos;
		previous = &c->bitmap;
	}
	return true;
}

/*
 * "Bitmaps extension": the length of the directory is at byte 8, and its position follows. QEMU
 * ignores the extension unless the autoclear bit is set.
 */
void qcow2_check_bitmaps(struct qcow2_check *check)
{
	uint64_t pos;

	if ((check->image.autoclear & QCOW2_AUTOCLEAR_BITMAPS) == 0u ||
	    !q2_check_pair(check, QCOW2_OWNER_BITMAP_DIRECTORY, check->image.bitmaps.pos + 8u))
		return;
	pos = check->finding.length;
	check->finding.length = check->finding.value;
	check->finding.value = pos;
	q2_check_refer(check);
	if (!walk_directory(check, pos))
		q2_check_report_first(check, QCOW2_CHECK_BITMAP_DIRECTORY);
}
