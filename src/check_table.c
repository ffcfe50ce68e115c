/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads for a check: pieces of the file, refcounts, and tables, entry by entry. All tables of an
 * image are gone through in the same way, except for the lists of snapshots and bitmaps, whose
 * entries have no fixed length:
 *
 *	table   [ entry | entry | ... | entry | ... ]
 *	          piece in memory -->  piece
 */
#include "qcow2/refcount.h"
#include "walk.h"

void q2_check_strictly(struct qcow2_check *c)
{
	if (c->strict != NULL && q2_check_is_first(c))
		c->strict(c);
}

bool q2_check_spend(struct qcow2_check *c, uint32_t n)
{
	if (c->ended != QCOW2_OK)
		return false;
	if (n > c->max_calls - c->n_calls) {
		c->ended = QCOW2_E_LIMIT;
		return false;
	}
	c->n_calls += n;
	return true;
}

/* Reads len bytes at t->pos of the image file to t->piece, with zeros past its end. */
static bool table_read(struct qcow2_check *c, const struct qcow2_check_table *t, uint32_t len)
{
	if (!q2_check_spend(c, 1))
		return false;
	c->ended = q2_image_read(&c->image, t->pos, t->piece, len, c->error);
	return c->ended == QCOW2_OK;
}

bool q2_check_pair(struct qcow2_check *c, uint32_t owner, uint32_t pos)
{
	q2_check_at(c, owner, pos);
	c->table.pos = pos;
	if (!table_read(c, &c->table, 16))
		return false;
	c->finding.value = q2_be64(c->table.piece);
	c->finding.length = q2_be64(c->table.piece + 8);
	return true;
}

bool q2_check_refcounts(struct qcow2_check *c, uint64_t cluster, uint32_t *n, uint64_t *counts)
{
	int rc;

	if (!q2_check_spend(c, 2))
		return false;
	rc = qcow2_refcounts(&c->image, cluster, n, counts, c->error);
	if (rc == QCOW2_E_IO)
		c->ended = rc;
	return rc == QCOW2_OK;
}

void q2_check_table(struct qcow2_check *c, uint32_t n, uint64_t pos, uint32_t owner)
{
	struct qcow2_check_table *t = &c->table;

	c->finding.value = pos;
	c->finding.length = (uint64_t)n << Q2_CHECK_ENTRY_BITS;
	q2_check_refer(c);
	t->owner = owner;
	t->pos = pos;
	t->index = 0;
	t->n_entries = n;
}

bool q2_check_next(struct qcow2_check *c, struct qcow2_check_table *t)
{
	uint32_t at = t->index << t->entry_bits & (t->piece_len - 1u);
	const uint8_t *raw = t->piece + at;

	if (t->index == t->n_entries)
		return false;
	if (at == 0u && (t->pos >= c->image.io.size || !table_read(c, t, t->piece_len)))
		return false;
	q2_check_at(c, t->owner, t->pos);
	c->finding.index = t->index++;
	c->finding.entry = q2_be64(raw);
	if (t->entry_bits > Q2_CHECK_ENTRY_BITS)
		c->subclusters = q2_be64(raw + 8);
	t->pos += UINT32_C(1) << t->entry_bits;
	q2_check_strictly(c);
	return true;
}
