/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Walks through the data of two disks in lock step.
 */
#include "compare_plan.h"

#include <string.h>

void compare_plan_begin(struct compare_plan *p, struct qcow2 *const q[2], size_t room)
{
	unsigned i;

	memset(p, 0, sizeof *p);
	p->room = room;
	for (i = 0; i < 2u; i++)
		copy_plan_begin(&p->side[i].plan, q[i], NULL, NULL, false);
}

void compare_plan_end(struct compare_plan *p)
{
	copy_plan_end(&p->side[0].plan);
	copy_plan_end(&p->side[1].plan);
}

/* Makes sure that some of a piece is left, unless there is no more data. False on failure. */
static bool side_refill(struct compare_side *s, size_t room)
{
	int rc = s->piece.len != 0u ? 1 : copy_plan_next(&s->plan, room, &s->piece);

	if (rc <= 0)
		s->piece.len = 0;
	s->is_cut = rc < 0;
	return rc >= 0;
}

/* Where the next data of the disk begins, or where the disk is not known. */
static uint64_t side_next(const struct compare_side *s)
{
	if (s->is_cut)
		return s->plan.at;
	return s->piece.len != 0u ? s->piece.off : UINT64_MAX;
}

/* Takes the first `len` bytes off the piece, if it begins at `off`. Returns whether it does. */
static bool side_take(struct compare_side *s, uint64_t off, size_t len)
{
	if (s->piece.len == 0u || s->piece.off != off)
		return false;
	s->piece.off += len;
	s->piece.len -= len;
	return true;
}

/* How much of the piece of this disk comes before `end`, which is after its beginning? */
static size_t side_len(const struct compare_side *s, uint64_t end)
{
	uint64_t before = end - s->piece.off;

	return before < s->piece.len ? (size_t)before : s->piece.len;
}

/* Fills the piece with what comes at the lower one of the two offsets. */
static void piece_fill(struct compare_plan *p, struct compare_piece *piece, uint64_t a, uint64_t b)
{
	struct compare_side *s = p->side;
	unsigned i;

	piece->off = a < b ? a : b;
	if (a == b)
		piece->len = side_len(&s[0], s[1].piece.off + s[1].piece.len);
	else
		piece->len = a < b ? side_len(&s[0], b) : side_len(&s[1], a);
	piece->compressed = false;
	for (i = 0; i < 2u; i++) {
		piece->has_data[i] = side_take(&s[i], piece->off, piece->len);
		piece->compressed |= piece->has_data[i] && s[i].piece.compressed;
	}
	p->at = piece->off + piece->len;
}

int compare_plan_next(struct compare_plan *p, struct compare_piece *piece, unsigned *failed)
{
	struct compare_side *s = p->side;
	uint64_t next[2];
	unsigned i;

	for (i = 0; i < 2u; i++) {
		side_refill(&s[i], p->room);
		next[i] = side_next(&s[i]);
	}
	for (i = 0; i < 2u; i++)
		if (s[i].is_cut && next[i] <= next[1u - i]) {
			/* The other disk may have been asked since: let this one fail again. */
			p->at = next[i];
			*failed = i;
			if (!side_refill(&s[i], p->room))
				return -1;
			next[i] = side_next(&s[i]);
		}
	if (next[0] == UINT64_MAX && next[1] == UINT64_MAX) {
		p->at = s[0].plan.at > s[1].plan.at ? s[0].plan.at : s[1].plan.at;
		return 0;
	}
	piece_fill(p, piece, next[0], next[1]);
	return 1;
}
